//! A plain function for each format: no bytes may make it panic, hang or contradict itself. Here they get random bytes
//! and mutated packets; a fuzzer can call the same functions.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use swos_wire::{
    ArpRepr, ArpView, EthernetRepr, EthernetView, Icmpv4Repr, Icmpv4View, Ipv4Repr, Ipv4View, Sum,
    TcpOptions, TcpRepr, TcpView, UdpRepr, UdpView,
};

fn fuzz_ethernet(bytes: &[u8]) {
    let Ok(view) = EthernetView::parse(bytes) else { return };
    let mut out = [0; 14];
    EthernetRepr::parse(&view).emit(&mut out).unwrap();
    assert_eq!(out, bytes[..14]);
}

fn fuzz_arp(bytes: &[u8]) {
    let Ok(view) = ArpView::parse(bytes) else { return };
    let mut out = [0; 28];
    ArpRepr::parse(&view).emit(&mut out).unwrap();
    assert_eq!(out, bytes[..28]);
}

fn fuzz_ipv4(bytes: &[u8]) {
    if let Ok(view) = Ipv4View::parse_quoted(bytes) {
        assert_eq!(20 + view.options().len() + view.payload().len(), bytes.len());
    }
    let Ok(view) = Ipv4View::parse(bytes) else { return };
    assert!(20 + view.options().len() + view.payload().len() <= bytes.len());
    let repr = Ipv4Repr::parse(&view);
    let mut out = vec![0; 20 + view.payload().len()];
    repr.emit(&mut out).unwrap();
    let again = Ipv4View::parse(&out).unwrap();
    assert_eq!(Ipv4Repr::parse(&again), repr);
}

fn fuzz_icmp(bytes: &[u8]) {
    let Ok(view) = Icmpv4View::parse(bytes) else { return };
    let Some(repr) = Icmpv4Repr::parse(&view) else { return };
    let mut out = bytes.to_vec();
    repr.emit(&mut out, Sum::of(view.data())).unwrap();
    assert_eq!(Icmpv4Repr::parse(&Icmpv4View::parse(&out).unwrap()), Some(repr));
}

fn fuzz_udp(bytes: &[u8]) {
    let Ok(view) = UdpView::parse(bytes) else { return };
    assert_eq!(usize::from(view.length()), 8 + view.payload().len());
    let _either = view.is_intact(Sum::ZERO);
    UdpRepr::parse(&view).emit(&mut [0; 8], Sum::ZERO, Sum::of(view.payload())).unwrap();
}

fn fuzz_tcp(bytes: &[u8]) {
    let Ok(view) = TcpView::parse(bytes) else { return };
    assert_eq!(view.segment_bytes(), bytes.len());
    let repr = TcpRepr::parse(&view);
    assert!(repr.header_len() <= TcpRepr::MAX_LEN);
    let mut out = vec![0; repr.header_len()];
    repr.emit(&mut out, Sum::ZERO, Sum::ZERO).unwrap();
    let again = TcpRepr::parse(&TcpView::parse(&out).unwrap());
    // Four blocks beside other options may not all fit any more.
    let fixed = TcpOptions { sack: again.options.sack, ..repr.options };
    assert_eq!(again, TcpRepr { options: fixed, ..repr });
    assert!(repr.options.sack.as_slice().starts_with(again.options.sack.as_slice()));
}

const TARGETS: [fn(&[u8]); 6] = [fuzz_ethernet, fuzz_arp, fuzz_ipv4, fuzz_icmp, fuzz_udp, fuzz_tcp];

/// Headers that get past the first checks, to be damaged.
fn seeds() -> Vec<Vec<u8>> {
    let mut ip =
        vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2, 0, 8, 0, 0];
    let sum = Sum::of(&ip[..20]).finish();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut tcp = vec![0; 12];
    tcp.extend([
        0xf0, 0x18, 1, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 18,
    ]);
    tcp.extend([7; 24]);
    let icmp = vec![8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend([9; 20]);
    let udp = vec![0, 1, 0, 2, 0, 10, 0, 0, 1, 2];
    vec![ip, tcp, icmp, arp, udp]
}

#[test]
fn seeds_are_accepted() {
    let seeds = seeds();
    assert!(Ipv4View::parse(&seeds[0]).is_ok());
    assert!(TcpView::parse(&seeds[1]).unwrap().options().timestamp.is_some());
    assert!(Icmpv4View::parse(&seeds[2]).is_ok());
    assert!(ArpView::parse(&seeds[3]).is_ok());
    assert!(UdpView::parse(&seeds[4]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        for target in TARGETS {
            target(&bytes);
        }
    }

    #[test]
    fn damaged_headers(
        which in 0..5usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        len in any::<prop::sample::Index>(),
    ) {
        let mut bytes = seeds().swap_remove(which);
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(len.index(bytes.len()) + 1);
        for target in TARGETS {
            target(&bytes);
        }
        if bytes.len() >= 20 && which == 0 {
            // Again, with the checksum repaired.
            bytes[10..12].fill(0);
            let header = bytes.len().min(usize::from(bytes[0] & 15) * 4);
            let sum = Sum::of(&bytes[..header]).finish();
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            fuzz_ipv4(&bytes);
        }
    }

    #[test]
    fn options_end(bytes in prop::collection::vec(prop_oneof![0..10u8, any::<u8>()], 0..41)) {
        let _parsed = TcpOptions::parse(&bytes);
    }
}
