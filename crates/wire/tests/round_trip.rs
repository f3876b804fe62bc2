//! `parse(emit(r)) == r` for every format, and agreement with an independent parser.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test fails by panicking")]

use etherparse::{NetSlice, SlicedPacket, TcpOptionElement, TransportSlice};
use proptest::prelude::*;
use swos_wire::{
    ArpOperation, ArpRepr, ArpView, EtherType, EthernetRepr, EthernetView, Icmpv4Repr, Icmpv4View,
    IpProtocol, Ipv4Addr, Ipv4Repr, Ipv4View, MacAddr, SackBlocks, SeqNumber, Sum, TcpFlags, TcpOptions,
    TcpRepr, TcpTimestamp, TcpView, TimeExceeded, UdpRepr, UdpView, Unreachable, checksum,
};

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn ip() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from_bits)
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

prop_compose! {
    fn ethernet()(dst in mac(), src in mac(), ethertype in any::<u16>()) -> EthernetRepr {
        EthernetRepr { dst, src, ethertype: EtherType(ethertype) }
    }
}

prop_compose! {
    fn arp()(request in any::<bool>(), sender_mac in mac(), sender_ip in ip(), target_mac in mac(), target_ip in ip())
        -> ArpRepr {
        let operation = if request { ArpOperation::Request } else { ArpOperation::Reply };
        ArpRepr { operation, sender_mac, sender_ip, target_mac, target_ip }
    }
}

prop_compose! {
    fn ipv4(protocol: u8, len: usize)(
        src in ip(), dst in ip(), ident in any::<u16>(), dont_fragment in any::<bool>(), ttl in any::<u8>(),
        traffic_class in any::<u8>(), more_fragments in any::<bool>(), offset in 0..8192u16,
    ) -> Ipv4Repr {
        Ipv4Repr { src, dst, protocol: IpProtocol(protocol), payload_len: len as u16, ident, dont_fragment,
            more_fragments, fragment_offset: offset * 8, ttl, traffic_class }
    }
}

fn options() -> impl Strategy<Value = TcpOptions> {
    let sack = prop::collection::vec(any::<(u32, u32)>(), 0..4);
    let stamp = prop::option::of(any::<(u32, u32)>());
    (prop::option::of(any::<u16>()), prop::option::of(any::<u8>()), any::<bool>(), sack, stamp).prop_map(
        |(mss, window_scale, sack_permitted, blocks, stamp)| {
            let timestamp = stamp.map(|(value, echo)| TcpTimestamp { value, echo });
            let mut options =
                TcpOptions { mss, window_scale, sack_permitted, sack: SackBlocks::EMPTY, timestamp };
            // As many blocks as the 40 bytes take: the others would not be emitted.
            let room = (36 - options.encoded_len()) / 8;
            for (left, right) in blocks.into_iter().take(room) {
                options.sack.push(SeqNumber(left), SeqNumber(right));
            }
            options
        },
    )
}

prop_compose! {
    fn tcp()(ports in any::<(u16, u16)>(), numbers in any::<(u32, u32)>(), flags in any::<u8>(),
        window in any::<u16>(), urgent in any::<u16>(), options in options()) -> TcpRepr {
        TcpRepr { src_port: ports.0, dst_port: ports.1, seq: SeqNumber(numbers.0), ack: SeqNumber(numbers.1),
            flags: TcpFlags::from_bits_retain(flags), window, urgent, options }
    }
}

fn icmp() -> impl Strategy<Value = Icmpv4Repr> {
    (0..5u8, any::<u8>(), any::<u16>(), any::<u16>()).prop_map(|(kind, code, a, b)| match kind {
        0 => Icmpv4Repr::EchoRequest { ident: a, seq: b },
        1 => Icmpv4Repr::EchoReply { ident: a, seq: b },
        2 => Icmpv4Repr::Unreachable { code: Unreachable(code), next_hop_mtu: a },
        3 => Icmpv4Repr::TimeExceeded { code: TimeExceeded(code) },
        _ => Icmpv4Repr::ParameterProblem { code, pointer: b as u8 },
    })
}

/// A whole frame around a payload that `fill` writes.
fn frame(ip: Ipv4Repr, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = vec![0xa5; 34 + usize::from(ip.payload_len)];
    let ethernet = EthernetRepr { dst: MacAddr::BROADCAST, src: MacAddr([2; 6]), ethertype: EtherType::IPV4 };
    ethernet.emit(&mut frame).unwrap();
    ip.emit(&mut frame[14..]).unwrap();
    fill(&mut frame[34..]);
    frame
}

/// The same packet, not a fragment: other parsers do not look into fragments.
const fn whole(ip: Ipv4Repr) -> Ipv4Repr {
    Ipv4Repr { more_fragments: false, fragment_offset: 0, ..ip }
}

proptest! {
    #[test]
    fn ethernet_and_arp(ethernet in ethernet(), arp in arp()) {
        let mut bytes = [0xa5; 60];
        ethernet.emit(&mut bytes).unwrap();
        let view = EthernetView::parse(&bytes).unwrap();
        prop_assert_eq!(EthernetRepr::parse(&view), ethernet);
        arp.emit(&mut bytes[14..]).unwrap();
        let view = ArpView::parse(&bytes[14..]).unwrap();
        prop_assert_eq!(ArpRepr::parse(&view), arp);
        EthernetRepr { ethertype: EtherType::ARP, ..ethernet }.emit(&mut bytes).unwrap();
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(NetSlice::Arp(theirs)) = sliced.net else { panic!("not ARP") };
        prop_assert_eq!(theirs.sender_hw_addr(), &arp.sender_mac.0);
        prop_assert_eq!(theirs.target_protocol_addr(), &arp.target_ip.octets());
    }

    #[test]
    fn ipv4_headers(ip in ipv4(200, 9)) {
        let bytes = frame(ip, |payload| payload.fill(7));
        let view = Ipv4View::parse(&bytes[14..]).unwrap();
        prop_assert_eq!(Ipv4Repr::parse(&view), ip);
        let (theirs, _) = etherparse::Ipv4Header::from_slice(&bytes[14..]).unwrap();
        prop_assert_eq!(theirs.header_checksum, theirs.calc_header_checksum());
        prop_assert_eq!((theirs.source, theirs.destination), (ip.src.octets(), ip.dst.octets()));
        prop_assert_eq!(theirs.fragment_offset.value() * 8, ip.fragment_offset);
        prop_assert_eq!((theirs.dont_fragment, theirs.more_fragments), (ip.dont_fragment, ip.more_fragments));
    }

    #[test]
    fn tcp_segments(tcp in tcp(), data in data(), ip in ipv4(6, 0)) {
        let len = tcp.header_len() + data.len();
        let ip = whole(Ipv4Repr { payload_len: len as u16, ..ip });
        let pseudo = checksum::pseudo_ipv4(ip.src, ip.dst, IpProtocol::TCP, len as u16);
        let bytes = frame(ip, |place| {
            let (header, payload) = place.split_at_mut(tcp.header_len());
            let sum = checksum::copy(payload, &data);
            tcp.emit(header, pseudo, sum).unwrap();
        });
        let packet = Ipv4View::parse(&bytes[14..]).unwrap();
        let view = TcpView::parse(packet.payload()).unwrap();
        prop_assert!(view.is_intact(pseudo));
        prop_assert_eq!(TcpRepr::parse(&view), tcp);
        prop_assert_eq!(view.payload(), &data[..]);
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(TransportSlice::Tcp(theirs)) = sliced.transport else { panic!("not TCP") };
        let header = theirs.to_header();
        prop_assert_eq!(theirs.checksum(), header.calc_checksum_ipv4_raw(ip.src.octets(), ip.dst.octets(), &data).unwrap());
        prop_assert_eq!((header.sequence_number, header.acknowledgment_number), (tcp.seq.0, tcp.ack.0));
        prop_assert_eq!((header.syn, header.urg, header.cwr), (tcp.flags.contains(TcpFlags::SYN),
            tcp.flags.contains(TcpFlags::URG), tcp.flags.contains(TcpFlags::CWR)));
        for option in theirs.options_iterator() {
            match option.unwrap() {
                TcpOptionElement::MaximumSegmentSize(mss) => prop_assert_eq!(Some(mss), tcp.options.mss),
                TcpOptionElement::WindowScale(shift) => prop_assert_eq!(Some(shift), tcp.options.window_scale),
                TcpOptionElement::SelectiveAcknowledgementPermitted => prop_assert!(tcp.options.sack_permitted),
                TcpOptionElement::Timestamp(value, echo) => {
                    prop_assert_eq!(Some(TcpTimestamp { value, echo }), tcp.options.timestamp);
                }
                TcpOptionElement::SelectiveAcknowledgement(first, rest) => {
                    let theirs: Vec<_> = core::iter::once(first).chain(rest.into_iter().flatten()).collect();
                    let ours = tcp.options.sack.as_slice();
                    prop_assert_eq!(theirs, ours.iter().map(|(left, right)| (left.0, right.0)).collect::<Vec<_>>());
                }
                TcpOptionElement::Noop => {}
            }
        }
    }

    #[test]
    fn udp_datagrams(ports in any::<(u16, u16)>(), data in data(), ip in ipv4(17, 0)) {
        let repr = UdpRepr { src_port: ports.0, dst_port: ports.1, payload_len: data.len() as u16 };
        let len = 8 + data.len() as u16;
        let ip = whole(Ipv4Repr { payload_len: len, ..ip });
        let pseudo = checksum::pseudo_ipv4(ip.src, ip.dst, IpProtocol::UDP, len);
        let bytes = frame(ip, |place| {
            let (header, payload) = place.split_at_mut(8);
            let sum = checksum::copy(payload, &data);
            repr.emit(header, pseudo, sum).unwrap();
        });
        let view = UdpView::parse(&bytes[34..]).unwrap();
        prop_assert!(view.is_intact(pseudo) && view.checksum() != 0);
        prop_assert_eq!(UdpRepr::parse(&view), repr);
        prop_assert_eq!(view.payload(), &data[..]);
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(TransportSlice::Udp(theirs)) = sliced.transport else { panic!("not UDP") };
        let sum = theirs.to_header().calc_checksum_ipv4_raw(ip.src.octets(), ip.dst.octets(), &data).unwrap();
        prop_assert_eq!(theirs.checksum(), sum);
    }

    #[test]
    fn icmp_messages(repr in icmp(), data in data(), ip in ipv4(1, 0)) {
        let ip = whole(Ipv4Repr { payload_len: 8 + data.len() as u16, ..ip });
        let bytes = frame(ip, |place| {
            let (header, rest) = place.split_at_mut(8);
            rest.copy_from_slice(&data);
            repr.emit(header, Sum::of(&data)).unwrap();
        });
        let view = Icmpv4View::parse(&bytes[34..]).unwrap();
        prop_assert_eq!(Icmpv4Repr::parse(&view), Some(repr));
        prop_assert_eq!(view.data(), &data[..]);
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(TransportSlice::Icmpv4(theirs)) = sliced.transport else { panic!("not ICMP") };
        let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&bytes[34..]);
        prop_assert_eq!(sum.ones_complement(), 0);
        prop_assert_eq!((theirs.type_u8(), theirs.code_u8()), (view.kind(), view.code()));
    }
}
