//! What an attacker off the path would have to guess: initial sequence numbers, ports, identifications.

use crate::net::{Host, at, config, ip, mac};
use swos_units::{Duration, Instant};
use swos_wire::{ArpOperation, ArpRepr, EtherType, EthernetRepr, EthernetView, Ipv4View, TcpView};

/// The 0.999 quantile of chi-square with 255 degrees of freedom.
const CHI_SQUARE: f64 = 330.52;

fn assert_uniform(name: &str, bytes: impl Iterator<Item = u8>) {
    let mut counts = [0u32; 256];
    let mut total = 0u32;
    for byte in bytes {
        counts[usize::from(byte)] += 1;
        total += 1;
    }
    let expected = f64::from(total) / 256.0;
    let square: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    assert!(square < CHI_SQUARE, "{name}: {square}");
}

/// How often the most frequent step from one value to the next occurs.
fn commonest_step(values: &[u32], bits: u32) -> usize {
    let mask = u32::MAX >> (32 - bits);
    let mut steps: Vec<_> = values.windows(2).map(|two| two[1].wrapping_sub(two[0]) & mask).collect();
    steps.sort_unstable();
    steps.chunk_by(|a, b| a == b).map(<[u32]>::len).max().unwrap()
}

#[test]
fn numbers_of_connections_are_not_to_be_guessed() {
    const SAMPLES: usize = 100_000;
    let mut host = Host::new(config(1));
    host.out.capacity = 1_000;
    let mut now = Instant::ZERO;
    let (mut isns, mut ports, mut idents) = (vec![], vec![], vec![]);
    while isns.len() < SAMPLES {
        // Each time another flow: the numbers of one flow rise with the clock, as they must.
        let client = host.stack.tcp_open().unwrap();
        host.stack.connect(now, client, at(2, 1 + (isns.len() % 65_535) as u16)).unwrap();
        let _progress = host.poll(now);
        for frame in core::mem::take(&mut host.out.frames) {
            let view = EthernetView::parse(&frame).unwrap();
            if view.ethertype() == EtherType::ARP {
                let mut answer = [0; 60];
                let packet = ArpRepr {
                    operation: ArpOperation::Reply,
                    sender_mac: mac(2),
                    sender_ip: ip(2),
                    target_mac: mac(1),
                    target_ip: ip(1),
                };
                EthernetRepr { dst: mac(1), src: mac(2), ethertype: EtherType::ARP }
                    .emit(&mut answer)
                    .unwrap();
                packet.emit(&mut answer[14..]).unwrap();
                host.frame(now, &answer);
                continue;
            }
            let packet = Ipv4View::parse(view.payload()).unwrap();
            let segment = TcpView::parse(packet.payload()).unwrap();
            isns.push(segment.seq().0);
            ports.push(u32::from(segment.src_port()));
            idents.push(u32::from(packet.ident()));
        }
        host.stack.abort(client).unwrap();
        let _progress = host.poll(now);
        now = now + Duration::from_micros(10);
    }
    for shift in [0, 8, 16, 24] {
        assert_uniform("isn", isns.iter().map(|isn| (isn >> shift) as u8));
    }
    for shift in [0, 8] {
        assert_uniform("ident", idents.iter().map(|ident| (ident >> shift) as u8));
    }
    assert_uniform("port", ports.iter().map(|port| *port as u8));
    // 100,000 random steps hardly ever hit one of 2^32 thrice, one of 2^16 fourteen times, and one of 2^15 (in a
    // triangle of twice the width) twenty times.
    assert!(commonest_step(&isns, 32) < 3);
    assert!(commonest_step(&idents, 16) < 14);
    assert!(commonest_step(&ports, 16) < 20);
}
