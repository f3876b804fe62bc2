#![expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "statistics")]

use super::*;
use std::collections::HashSet;
use swos_units::Duration;

fn flow(port: u16) -> Flow {
    Flow { local: SocketAddr::from(([10, 0, 0, 1], 80)), remote: SocketAddr::from(([10, 0, 0, 2], port)) }
}

#[test]
fn must_8_clock_of_four_microseconds() {
    let generator = IsnGenerator::new([1; 16]);
    let first = generator.isn(Instant::ZERO, &flow(1));
    let later = generator.isn(Instant::ZERO + Duration::from_millis(40), &flow(1));
    assert_eq!(later.since(first), 10_000);
}

#[test]
fn must_9_depends_on_key_and_every_part_of_the_flow() {
    let generator = IsnGenerator::new([1; 16]);
    let base = flow(1);
    let mut seen = HashSet::new();
    let others = [
        base,
        flow(2),
        Flow { local: SocketAddr::from(([10, 0, 0, 1], 81)), ..base },
        Flow { local: SocketAddr::from(([10, 0, 0, 9], 80)), ..base },
        Flow { remote: SocketAddr::from(([10, 0, 0, 3], 1)), ..base },
        Flow { local: base.remote, remote: base.local },
        Flow { local: "[::1]:80".parse().unwrap(), remote: "[::2]:1".parse().unwrap() },
    ];
    for flow in others {
        assert!(seen.insert(generator.isn(Instant::ZERO, &flow)), "{flow:?}");
        assert!(seen.insert(IsnGenerator::new([2; 16]).isn(Instant::ZERO, &flow)));
    }
}

#[test]
fn next_incarnation_starts_after_the_last() {
    let generator = IsnGenerator::new([1; 16]);
    let now = Instant::ZERO;
    let isn = generator.isn(now, &flow(1));
    assert!(generator.isn_after(now, &flow(1), isn + 1_000_000).is_after(isn + 1_000_000));
    assert_eq!(generator.isn_after(now, &flow(1), isn - 1_000_000), isn);
}

/// T-6: 10^5 numbers for different ports at one moment: no repeats beyond chance, every byte evenly
/// spread, differences of neighbours too.
#[test]
fn t_6_numbers_of_different_flows_look_random() {
    let generator = IsnGenerator::new(*b"0123456789abcdef");
    let numbers: std::vec::Vec<u32> = (0..100_000_u32)
        .map(|i| {
            let remote =
                SocketAddr::from(([10, 1, u8::try_from(i >> 16).unwrap(), 7], low_word(u64::from(i)) as u16));
            generator.isn(Instant::ZERO, &Flow { remote, ..flow(0) }).0
        })
        .collect();
    let distinct = numbers.iter().collect::<HashSet<_>>().len();
    // n²/2^33 = 1.16 repeats are expected.
    assert!(numbers.len() - distinct <= 8, "{} repeats", numbers.len() - distinct);
    let steps: std::vec::Vec<u32> = numbers.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    for series in [&numbers, &steps] {
        for shift in [0, 8, 16, 24] {
            let mut bins = [0_u64; 256];
            for number in series.iter() {
                bins[usize::from((number >> shift) as u8)] += 1;
            }
            let expected = series.len() as f64 / 256.0;
            let chi: f64 = bins.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
            // 255 degrees of freedom: p > 0.001 below 330.5 (and above 190 with the same p).
            assert!((190.0..330.5).contains(&chi), "chi-square {chi} of byte {shift}");
        }
    }
}
