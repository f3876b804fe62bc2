use core::net::Ipv4Addr;

use swos_wire::{IpProtocol, Ipv4Repr, Ipv4View};

use super::{Config, Delivery, Host, NextHop, NoRoute, Refusal};

fn host(prefix_len: u8, gateway: Option<&str>) -> Host {
    let gateway = gateway.map(|text| text.parse().unwrap());
    Host::new(Config { address: Ipv4Addr::new(192, 0, 2, 130), prefix_len, gateway })
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

#[test]
fn routes() {
    let link = |text| Ok(NextHop::Link(ip(text)));
    let small = host(25, Some("192.0.2.129"));
    let cases = [
        ("192.0.2.130", Ok(NextHop::Local)),
        ("127.0.0.1", Ok(NextHop::Local)),
        ("127.255.255.254", Ok(NextHop::Local)),
        ("192.0.2.131", link("192.0.2.131")),
        ("192.0.2.1", link("192.0.2.129")),
        ("8.8.8.8", link("192.0.2.129")),
        ("192.0.2.255", Ok(NextHop::Broadcast)),
        ("192.0.2.128", Ok(NextHop::Broadcast)),
        ("255.255.255.255", Ok(NextHop::Broadcast)),
        ("192.0.2.127", link("192.0.2.129")),
        ("0.0.0.0", Err(NoRoute::Unusable)),
        ("0.1.2.3", Err(NoRoute::Unusable)),
        ("224.0.0.1", Err(NoRoute::Unusable)),
        ("250.0.0.1", Err(NoRoute::Unusable)),
    ];
    for (dst, expected) in cases {
        assert_eq!(small.route(ip(dst)), expected, "{dst}");
    }
    assert_eq!(host(25, None).route(ip("8.8.8.8")), Err(NoRoute::Unreachable));
    assert_eq!(
        host(25, Some("192.0.2.1")).route(ip("8.8.8.8")),
        Err(NoRoute::Unreachable),
        "gateway off the link"
    );
}

#[test]
fn prefixes_of_every_length() {
    assert_eq!(host(0, None).route(ip("8.8.8.8")), Ok(NextHop::Link(ip("8.8.8.8"))));
    assert_eq!(host(31, None).route(ip("192.0.2.131")), Ok(NextHop::Link(ip("192.0.2.131"))), "RFC 3021");
    assert_eq!(host(32, None).route(ip("192.0.2.131")), Err(NoRoute::Unreachable));
    assert_eq!(host(40, None).route(ip("192.0.2.130")), Ok(NextHop::Local));
    for prefix_len in 0..=30 {
        let host = host(prefix_len, None);
        let last = u32::MAX.checked_shr(u32::from(prefix_len)).unwrap_or(0);
        assert!(host.is_broadcast(Ipv4Addr::from_bits(host.address().to_bits() | last)), "{prefix_len}");
    }
}

#[test]
fn what_is_received() {
    let host = host(24, None);
    let receive = |src: &str, dst: &str| {
        let repr = Ipv4Repr {
            src: ip(src),
            dst: ip(dst),
            protocol: IpProtocol::UDP,
            payload_len: 0,
            ident: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 0,
            traffic_class: 0,
        };
        let mut bytes = [0; 20];
        repr.emit(&mut bytes).unwrap();
        host.receive(&Ipv4View::parse(&bytes).unwrap())
    };
    assert_eq!(receive("198.51.100.1", "192.0.2.130"), Ok(Delivery::Unicast));
    assert_eq!(receive("192.0.2.1", "192.0.2.255"), Ok(Delivery::Broadcast));
    assert_eq!(receive("192.0.2.1", "255.255.255.255"), Ok(Delivery::Broadcast));
    assert_eq!(receive("192.0.2.1", "192.0.2.131"), Err(Refusal::NotOurs));
    assert_eq!(receive("192.0.2.1", "127.0.0.1"), Err(Refusal::NotOurs));
    assert_eq!(receive("192.0.2.1", "224.0.0.1"), Err(Refusal::NotOurs));
    for martian in [
        "0.0.0.0",
        "127.0.0.1",
        "192.0.2.130",
        "192.0.2.255",
        "192.0.2.0",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
    ] {
        assert_eq!(receive(martian, "192.0.2.130"), Err(Refusal::Martian), "{martian}");
    }
}
