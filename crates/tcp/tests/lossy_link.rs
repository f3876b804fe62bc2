//! Two connections over a bad link: every octet arrives in order, both close, nothing gets stuck.

mod link;

use link::{Faults, Pair, pattern};
use proptest::prelude::*;
use swos_tcp::{Config, Extension, State};
use swos_units::Duration;

fn exchange(seed: u64, config: Config, faults: Faults, forth: usize, back: usize) {
    let (forth, back) = (pattern(forth, seed), pattern(back, seed + 1));
    let mut pair = Pair::new(seed, config, faults, forth.clone(), back.clone());
    pair.run(Duration::from_secs(100_000));
    assert_eq!(pair.states(), [State::Closed, State::Closed]);
    let told = |end: usize| pair.ends[end].connection.as_ref().and_then(|c| c.error());
    assert_eq!((told(0), told(1)), (None, None), "seed {seed}");
    assert!(pair.ends[1].received == forth, "seed {seed}");
    assert!(pair.ends[0].received == back, "seed {seed}");
    for end in &pair.ends {
        assert_eq!(end.connection.as_ref().map_or(0, |c| c.memory_bytes()), 0);
    }
}

#[test]
fn clean_link_moves_everything_without_repetition() {
    let faults = Faults { loss: 0, duplicate: 0, reorder: 0, delay: Duration::from_millis(10) };
    let mut pair = Pair::new(1, Config::default(), faults, pattern(1_000_000, 1), pattern(10, 2));
    pair.run(Duration::from_secs(1000));
    assert_eq!(pair.states(), [State::Closed, State::Closed]);
    assert_eq!(pair.ends[1].received.len(), 1_000_000);
    let full = 1_000_000_usize.div_ceil(1460);
    assert!(pair.ends[0].sent_segments < full + 6, "{} segments", pair.ends[0].sent_segments);
    assert!(pair.ends[1].sent_segments < full * 6 / 10, "{} acks", pair.ends[1].sent_segments);
}

/// SACK must be worth its code: fewer time-outs, so less time, and few needless repetitions.
#[test]
fn sack_is_faster_over_a_lossy_link() {
    let faults = Faults { loss: 3, duplicate: 0, reorder: 0, delay: Duration::from_millis(20) };
    let run = |sack| {
        let (mut time, mut segments) = (0, 0);
        for seed in 0..10 {
            let config = Config { sack, ..Config::default() };
            let mut pair = Pair::new(seed, config, faults, pattern(400_000, seed), Vec::new());
            let start = pair.now;
            while pair.ends[1].received.len() < 400_000 {
                pair.run(Duration::from_millis(100));
            }
            time += pair.now.since(start).as_millis();
            segments += pair.ends[0].sent_segments;
        }
        (time, segments)
    };
    let (with, without) = (run(Extension::On), run(Extension::Off));
    assert!(with.0 * 10 < without.0 * 9, "{with:?} against {without:?}");
    // 275 segments, 3 % of them lost.
    assert!(with.1 < 10 * 275 * 115 / 100, "{with:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn every_octet_arrives(
        seed in any::<u64>(), loss in 0..=15_u64, duplicate in 0..=10_u64, reorder in 0..=10_u64,
        delay_us in 1..200_000_u64, forth in 0..200_000_usize, back in 0..50_000_usize,
        capacity in 1000..100_000_usize, extensions in 0..4_u8,
    ) {
        let on = |bit| if extensions & bit == 0 { Extension::Off } else { Extension::On };
        let config = Config {
            receive_capacity: capacity,
            user_timeout: Duration::from_secs(3600),
            sack: on(1),
            timestamps: on(2),
            ..Config::default()
        };
        let faults = Faults { loss, duplicate, reorder, delay: Duration::from_micros(delay_us) };
        exchange(seed >> 1, config, faults, forth, back);
    }
}
