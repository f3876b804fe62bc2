#![expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]

use core::net::Ipv4Addr;

use proptest::prelude::*;
use swos_units::{Duration, Instant};
use swos_wire::{IpProtocol, Ipv4Repr, Ipv4View};

use super::{Datagram, MAX_PIECES, Reassembly, ReassemblyLimits};

const NOW: Instant = Instant::from_nanos(7);
const DST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn src(ident: u16) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, (ident % 200) as u8)
}

fn fragment(ident: u16, offset: usize, payload: &[u8], more_fragments: bool) -> Vec<u8> {
    let repr = Ipv4Repr {
        src: src(ident),
        dst: DST,
        protocol: IpProtocol::UDP,
        payload_len: payload.len() as u16,
        ident,
        dont_fragment: false,
        more_fragments,
        fragment_offset: offset as u16,
        ttl: 9,
        traffic_class: 0,
    };
    let mut bytes = vec![0; 20 + payload.len()];
    repr.emit(&mut bytes).unwrap();
    bytes[20..].copy_from_slice(payload);
    bytes
}

fn give(reassembly: &mut Reassembly, now: Instant, bytes: &[u8]) -> Option<Datagram> {
    reassembly.on_fragment(now, &Ipv4View::parse(bytes).unwrap())
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31) >> 3) as u8).collect()
}

proptest! {
    /// Any cut into fragments, in any order, with repetitions: the datagram comes out once, and whole.
    #[test]
    fn every_order_of_every_cut(
        len in 1..4_000usize,
        cuts in prop::collection::vec(0..500usize, 0..12),
        order in any::<u64>(),
        repeat in any::<prop::sample::Index>(),
    ) {
        let whole = data(len);
        let mut edges: Vec<_> = cuts.into_iter().map(|cut| (cut * 8).min((len - 1) / 8 * 8)).collect();
        edges.extend([0, len]);
        edges.sort_unstable();
        edges.dedup();
        let mut fragments: Vec<_> =
            edges.windows(2).map(|edge| fragment(3, edge[0], &whole[edge[0]..edge[1]], edge[1] < len)).collect();
        // A permutation that the seed decides.
        let mut seed = order;
        for at in (1..fragments.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            fragments.swap(at, (seed >> 33) as usize % (at + 1));
        }
        let last = fragments.pop().unwrap();
        let mut reassembly = Reassembly::new(ReassemblyLimits::default());
        for fragment in &fragments {
            prop_assert_eq!(give(&mut reassembly, NOW, fragment), None);
        }
        if !fragments.is_empty() {
            let again = repeat.index(fragments.len());
            prop_assert_eq!(give(&mut reassembly, NOW, &fragments[again]), None);
        }
        let expected = Datagram { src: src(3), dst: DST, protocol: IpProtocol::UDP, payload: whole };
        prop_assert_eq!(give(&mut reassembly, NOW, &last), Some(expected));
        prop_assert_eq!((reassembly.memory_bytes(), reassembly.deadline()), (0, None));
    }

    /// Whatever comes, memory stays bounded and what comes out is as long as its last fragment said.
    #[test]
    fn no_fragment_breaks_the_bounds(
        fragments in prop::collection::vec((0..4u16, 0..40usize, 0..70usize, any::<bool>(), any::<u8>()), 0..200)
    ) {
        let limits = ReassemblyLimits { datagrams: 2, datagram_bytes: 300, ..ReassemblyLimits::default() };
        let mut reassembly = Reassembly::new(limits);
        for (ident, offset, len, more, byte) in fragments {
            if let Some(datagram) = give(&mut reassembly, NOW, &fragment(ident, offset * 8, &vec![byte; len], more)) {
                prop_assert!(datagram.payload.len() <= 300);
            }
            prop_assert!(reassembly.memory_bytes() <= 2 * 600);
        }
    }
}

#[test]
fn overlap_drops_the_datagram_and_all_that_follows_of_it() {
    let whole = data(64);
    // A teardrop: the second lies within the first; then one that overlaps its begin, its end, all of it.
    let cases = [(8, 16), (0, 24), (16, 40), (8, 40), (24, 32)];
    for (start, end) in cases {
        let mut reassembly = Reassembly::new(ReassemblyLimits::default());
        assert_eq!(give(&mut reassembly, NOW, &fragment(1, 8, &whole[8..32], true)), None);
        let mut other = whole[start..end].to_vec();
        other[0] ^= 1;
        assert_eq!(give(&mut reassembly, NOW, &fragment(1, start, &other, true)), None);
        assert_eq!(give(&mut reassembly, NOW, &fragment(1, 0, &whole[..8], true)), None);
        assert_eq!(give(&mut reassembly, NOW, &fragment(1, 32, &whole[32..], false)), None);
        assert_eq!(reassembly.memory_bytes(), 0, "{start}..{end}");
    }
}

#[test]
fn a_part_that_says_the_same_is_ignored() {
    let whole = data(64);
    let mut reassembly = Reassembly::new(ReassemblyLimits::default());
    assert_eq!(give(&mut reassembly, NOW, &fragment(1, 0, &whole[..32], true)), None);
    assert_eq!(give(&mut reassembly, NOW, &fragment(1, 8, &whole[8..24], true)), None);
    assert!(give(&mut reassembly, NOW, &fragment(1, 32, &whole[32..], false)).is_some());
}

#[test]
fn contradictions_about_the_end_drop_the_datagram() {
    let whole = data(64);
    type Step = (usize, usize, bool);
    let cases: [[Step; 2]; 3] = [
        // Two different ends, something behind the end, an end before what came.
        [(32, 64, false), (16, 24, false)],
        [(32, 40, false), (48, 56, true)],
        [(48, 56, true), (32, 40, false)],
    ];
    for steps in cases {
        let mut reassembly = Reassembly::new(ReassemblyLimits::default());
        for (start, end, more) in steps {
            assert_eq!(give(&mut reassembly, NOW, &fragment(1, start, &whole[start..end], more)), None);
        }
        assert_eq!(reassembly.memory_bytes(), 0, "{steps:?}");
    }
}

#[test]
fn what_is_too_long_ragged_or_empty_is_not_even_begun() {
    let mut reassembly = Reassembly::new(ReassemblyLimits::default());
    // The ping of death ends beyond 65,535.
    assert_eq!(give(&mut reassembly, NOW, &fragment(1, 65_528, &data(1_000), false)), None);
    assert_eq!(give(&mut reassembly, NOW, &fragment(1, 16_384, &data(8), false)), None);
    assert_eq!(give(&mut reassembly, NOW, &fragment(1, 0, &data(9), true)), None);
    assert_eq!(give(&mut reassembly, NOW, &fragment(1, 0, &[], true)), None);
    assert_eq!(reassembly.deadline(), None);
}

#[test]
fn datagrams_expire_and_the_oldest_makes_room() {
    let limits = ReassemblyLimits { datagrams: 2, ..ReassemblyLimits::default() };
    let mut reassembly = Reassembly::new(limits);
    for ident in 1..4 {
        let now = NOW + Duration::from_secs(u64::from(ident));
        assert_eq!(give(&mut reassembly, now, &fragment(ident, 0, &data(8), true)), None);
    }
    let late = NOW + Duration::from_secs(4);
    assert_eq!(give(&mut reassembly, late, &fragment(1, 8, &data(8), false)), None, "1 had to go");
    assert!(give(&mut reassembly, late, &fragment(3, 8, &data(8), false)).is_some());
    assert_eq!(reassembly.deadline(), Some(NOW + Duration::from_secs(64)));
    reassembly.on_timeout(NOW + Duration::from_secs(64));
    assert_eq!((reassembly.deadline(), reassembly.memory_bytes()), (None, 0));
}

#[test]
fn a_datagram_in_crumbs_is_given_up() {
    let mut reassembly = Reassembly::new(ReassemblyLimits::default());
    for crumb in 0..=MAX_PIECES {
        assert_eq!(give(&mut reassembly, NOW, &fragment(1, crumb * 16, &data(8), true)), None);
    }
    assert_eq!(reassembly.memory_bytes(), 0);
}
