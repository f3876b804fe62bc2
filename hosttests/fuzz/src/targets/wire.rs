//! Formats of the wire: what is accepted is emitted again and reads the same, and etherparse reads it alike.

use swos_wire::{
    ArpRepr, ArpView, EthernetRepr, EthernetView, Icmpv4Repr, Icmpv4View, IpProtocol, Ipv4Repr, Ipv4View,
    SeqNumber, Sum, TcpFlags, TcpOptions, TcpRepr, TcpView, UdpRepr, UdpView,
};

/// An Ethernet frame.
pub(super) fn ethernet(data: &[u8]) {
    let Ok(view) = EthernetView::parse(data) else { return };
    let mut out = [0; EthernetRepr::LEN];
    EthernetRepr::parse(&view).emit(&mut out).unwrap();
    assert_eq!(out, data[..EthernetRepr::LEN]);
    let (theirs, rest) = etherparse::Ethernet2Header::from_slice(data).unwrap();
    assert_eq!((theirs.source, theirs.destination), (view.src().0, view.dst().0));
    assert_eq!((theirs.ether_type.0, rest), (view.ethertype().0, view.payload()));
}

/// An ARP packet.
pub(super) fn arp(data: &[u8]) {
    let Ok(view) = ArpView::parse(data) else { return };
    let mut out = [0; ArpRepr::LEN];
    ArpRepr::parse(&view).emit(&mut out).unwrap();
    assert_eq!(out, data[..ArpRepr::LEN]);
}

/// An IPv4 packet, and the beginning of one in an ICMP message.
pub(super) fn ipv4(data: &[u8]) {
    if let Ok(view) = Ipv4View::parse_quoted(data) {
        assert_eq!(Ipv4Repr::LEN + view.options().len() + view.payload().len(), data.len());
    }
    // Again with the checksum repaired, which no mutation would guess.
    let mut repaired = data.to_vec();
    let header = repaired.len().min(data.first().map_or(0, |first| usize::from(first & 15) * 4));
    if header >= Ipv4Repr::LEN {
        repaired[10..12].fill(0);
        let sum = Sum::of(&repaired[..header]).finish();
        repaired[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    for bytes in [data, &repaired] {
        let Ok(view) = Ipv4View::parse(bytes) else { continue };
        assert!(Ipv4Repr::LEN + view.options().len() + view.payload().len() <= bytes.len());
        let (theirs, _) = etherparse::Ipv4Header::from_slice(bytes).expect("etherparse takes it too");
        assert_eq!((theirs.source, theirs.destination), (view.src().octets(), view.dst().octets()));
        assert_eq!((theirs.protocol.0, theirs.time_to_live), (view.protocol().0, view.ttl()));
        assert_eq!((theirs.identification, theirs.more_fragments), (view.ident(), view.more_fragments()));
        let repr = Ipv4Repr::parse(&view);
        let mut out = vec![0; Ipv4Repr::LEN + view.payload().len()];
        repr.emit(&mut out).unwrap();
        assert_eq!(Ipv4Repr::parse(&Ipv4View::parse(&out).unwrap()), repr);
    }
}

/// An ICMP message.
pub(super) fn icmpv4(data: &[u8]) {
    let mut repaired = data.to_vec();
    if repaired.len() >= Icmpv4Repr::LEN {
        repaired[2..4].fill(0);
        let sum = Sum::of(&repaired).finish();
        repaired[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    for bytes in [data, &repaired] {
        let Ok(view) = Icmpv4View::parse(bytes) else { continue };
        let _quoted = swos_ipv4::ErrorReport::parse(&view);
        let Some(repr) = Icmpv4Repr::parse(&view) else { continue };
        let mut out = bytes.to_vec();
        repr.emit(&mut out, Sum::of(view.data())).unwrap();
        assert_eq!(Icmpv4Repr::parse(&Icmpv4View::parse(&out).unwrap()), Some(repr));
    }
}

/// A UDP datagram.
pub(super) fn udp(data: &[u8]) {
    let Ok(view) = UdpView::parse(data) else { return };
    assert_eq!(usize::from(view.length()), UdpRepr::LEN + view.payload().len());
    let (theirs, _) = etherparse::UdpHeader::from_slice(data).unwrap();
    assert_eq!((theirs.source_port, theirs.destination_port), (view.src_port(), view.dst_port()));
    let mut out = data[..UdpRepr::LEN + view.payload().len()].to_vec();
    UdpRepr::parse(&view).emit(&mut out, Sum::ZERO, Sum::of(view.payload())).unwrap();
    let again = UdpView::parse(&out).unwrap();
    assert!(again.is_intact(Sum::ZERO), "our own checksum is right");
    assert_eq!(UdpRepr::parse(&again), UdpRepr::parse(&view));
}

/// A TCP segment.
pub(super) fn tcp(data: &[u8]) {
    let Ok(view) = TcpView::parse(data) else { return };
    assert_eq!(view.segment_bytes(), data.len());
    let (theirs, rest) = etherparse::TcpHeader::from_slice(data).expect("etherparse takes it too");
    assert_eq!((theirs.sequence_number, theirs.acknowledgment_number), (view.seq().0, view.ack().0));
    assert_eq!((theirs.window_size, rest), (view.window(), view.payload()));
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

pub(super) fn ethernet_seeds() -> Vec<Vec<u8>> {
    let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &ipv4_seeds()[0]].concat();
    vec![frame]
}

pub(super) fn arp_seeds() -> Vec<Vec<u8>> {
    vec![
        [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[9; 20]].concat(),
        [&[0, 1, 8, 0, 6, 4, 0, 2][..], &[9; 38]].concat(),
    ]
}

pub(super) fn ipv4_seeds() -> Vec<Vec<u8>> {
    let repr = Ipv4Repr {
        src: [192, 0, 2, 1].into(),
        dst: [192, 0, 2, 2].into(),
        protocol: IpProtocol::UDP,
        payload_len: 8,
        ident: 1,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        traffic_class: 0,
    };
    let fragment = Ipv4Repr { more_fragments: true, fragment_offset: 64, ..repr };
    [repr, fragment]
        .map(|repr| {
            let mut packet = vec![0; 28];
            repr.emit(&mut packet).unwrap();
            packet
        })
        .into()
}

pub(super) fn icmpv4_seeds() -> Vec<Vec<u8>> {
    let error = |kind, code| [&[kind, code, 0, 0, 0, 0, 5, 0][..], &ipv4_seeds()[0]].concat();
    vec![vec![8, 0, 0xf7, 0xfd, 0, 1, 0, 1], error(3, 3), error(3, 4), error(11, 0)]
}

pub(super) fn udp_seeds() -> Vec<Vec<u8>> {
    vec![vec![0, 1, 0, 2, 0, 10, 0, 0, 1, 2]]
}

pub(super) fn tcp_seeds() -> Vec<Vec<u8>> {
    let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let blocks = [&[1, 1, 5, 18][..], &[7; 16]].concat();
    let plain = TcpRepr {
        src_port: 4000,
        dst_port: 80,
        seq: SeqNumber(7),
        ack: SeqNumber(8),
        flags: TcpFlags::ACK | TcpFlags::PSH,
        window: 1000,
        urgent: 0,
        options: TcpOptions::NONE,
    };
    let mut bare = vec![0; plain.header_len()];
    plain.emit(&mut bare, Sum::ZERO, Sum::ZERO).unwrap();
    let with = |options: &[u8]| {
        let mut segment = [&bare[..], options, b"payload"].concat();
        segment[12] = u8::try_from((20 + options.len()) * 4).unwrap();
        segment
    };
    vec![with(&[]), with(&options), with(&blocks)]
}
