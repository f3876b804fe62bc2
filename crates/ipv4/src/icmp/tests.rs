use core::net::Ipv4Addr;

use swos_units::{Duration, Instant};
use swos_wire::{
    Icmpv4Repr, Icmpv4View, IpProtocol, Ipv4Repr, Ipv4View, SeqNumber, Sum, TimeExceeded, Unreachable,
};

use super::{ErrorReport, QuotedPorts, RateLimit, Trouble, may_answer_with_error, quote};
use crate::{Config, Delivery, Host};

const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

fn packet(src: Ipv4Addr, protocol: IpProtocol, fragment_offset: u16, payload: &[u8]) -> Vec<u8> {
    let repr = Ipv4Repr {
        src,
        dst: PEER,
        protocol,
        payload_len: u16::try_from(payload.len()).unwrap(),
        ident: 1,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset,
        ttl: 9,
        traffic_class: 0,
    };
    let mut bytes = vec![0; 20 + payload.len()];
    repr.emit(&mut bytes).unwrap();
    bytes[20..].copy_from_slice(payload);
    bytes
}

fn message(repr: Icmpv4Repr, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8 + data.len()];
    bytes[8..].copy_from_slice(data);
    repr.emit(&mut bytes, Sum::of(data)).unwrap();
    bytes
}

#[test]
fn errors_are_sent_only_where_they_help() {
    let gateway = Some(Ipv4Addr::new(192, 0, 2, 254));
    let host = Host::new(Config { address: US, prefix_len: 24, gateway });
    let may =
        |bytes: &[u8], delivery| may_answer_with_error(&host, &Ipv4View::parse(bytes).unwrap(), delivery);
    assert!(may(&packet(PEER, IpProtocol::UDP, 0, &[0; 8]), Delivery::Unicast));
    assert!(!may(&packet(PEER, IpProtocol::UDP, 0, &[0; 8]), Delivery::Broadcast));
    assert!(!may(&packet(PEER, IpProtocol::UDP, 8, &[0; 8]), Delivery::Unicast), "a later fragment");
    assert!(!may(&packet(Ipv4Addr::UNSPECIFIED, IpProtocol::UDP, 0, &[0; 8]), Delivery::Unicast));
    let echo = message(Icmpv4Repr::EchoRequest { ident: 1, seq: 1 }, &[]);
    assert!(may(&packet(PEER, IpProtocol::ICMP, 0, &echo), Delivery::Unicast));
    let error = message(Icmpv4Repr::TimeExceeded { code: TimeExceeded::TRANSIT }, &[]);
    assert!(!may(&packet(PEER, IpProtocol::ICMP, 0, &error), Delivery::Unicast));
    assert_eq!((quote(28), quote(548), quote(1500)), (28, 548, 548));
}

#[test]
fn reports_say_what_went_wrong_and_whose_it_was() {
    let segment = [0x12, 0x34, 0, 80, 0xde, 0xad, 0xbe, 0xef];
    let quoted = packet(US, IpProtocol::TCP, 0, &segment);
    let troubles = [
        (Unreachable::NET, Trouble::NoRoute),
        (Unreachable::HOST, Trouble::NoRoute),
        (Unreachable::PROTOCOL, Trouble::NoProtocol),
        (Unreachable::PORT, Trouble::NoPort),
        (Unreachable::FRAGMENTATION_NEEDED, Trouble::TooBig { mtu: 1400 }),
        (Unreachable::SOURCE_ROUTE_FAILED, Trouble::NoRoute),
        (Unreachable(6), Trouble::NoRoute),
        (Unreachable(13), Trouble::Prohibited),
        (Unreachable(200), Trouble::Prohibited),
    ];
    let report = |repr, data: &[u8]| ErrorReport::parse(&Icmpv4View::parse(&message(repr, data)).unwrap());
    let ports = QuotedPorts { local: 0x1234, remote: 80, seq: Some(SeqNumber(0xdead_beef)) };
    for (code, trouble) in troubles {
        let expected = ErrorReport { trouble, protocol: IpProtocol::TCP, local: US, remote: PEER, ports };
        assert_eq!(report(Icmpv4Repr::Unreachable { code, next_hop_mtu: 1400 }, &quoted), Some(expected));
    }
    let expired = Icmpv4Repr::TimeExceeded { code: TimeExceeded::TRANSIT };
    let trouble = |repr, data: &[u8]| report(repr, data).map(|report| report.trouble);
    assert_eq!(trouble(expired, &quoted), Some(Trouble::Expired));
    let problem = Icmpv4Repr::ParameterProblem { code: 0, pointer: 1 };
    assert_eq!(trouble(problem, &quoted), Some(Trouble::BadHeader));
    // Not enough to tell whose it is.
    for len in 0..28 {
        assert_eq!(report(expired, &quoted[..len]), None, "{len}");
    }
    assert_eq!(report(expired, &packet(US, IpProtocol(50), 0, &segment)), None);
    assert_eq!(report(expired, &packet(US, IpProtocol::TCP, 8, &segment)), None);
    assert_eq!(report(Icmpv4Repr::EchoReply { ident: 0, seq: 0 }, &quoted), None);
    let udp = report(expired, &packet(US, IpProtocol::UDP, 0, &segment[..4])).unwrap();
    assert_eq!(udp.ports, QuotedPorts { seq: None, ..ports });
}

#[test]
fn permissions_run_out_and_come_back() {
    let start = Instant::from_nanos(5_000);
    let mut limit = RateLimit::new(start, 3, 10);
    let after = |millis| start + Duration::from_millis(millis);
    assert_eq!([0; 5].map(|_| limit.allow(start)), [true, true, true, false, false]);
    assert!(!limit.allow(after(99)));
    assert!(limit.allow(after(100)) && !limit.allow(after(100)));
    assert!(!limit.allow(after(199)) && limit.allow(after(200)), "no part of an interval is lost");
    let burst = (0..100).filter(|_| limit.allow(after(1_000_000))).count();
    assert_eq!(burst, 3);
    let steady = (0..1_000).filter(|tick| limit.allow(after(1_000_000 + tick * 10))).count();
    assert!((98..=102).contains(&steady), "{steady}");
}
