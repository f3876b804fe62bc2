//! T-6: what an outsider sees of one connection tells nothing about the next.

#![expect(clippy::unwrap_used, reason = "a test harness may")]

use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::HashSet;

use swos_net_sim::{Probe, Segment};
use swos_netstack::Limits;
use swos_tcp::Config;
use swos_units::Duration;
use swos_wire::{IpProtocol, Ipv4View, TcpFlags};

const SAMPLES: usize = 100_000;

/// Chi-square of `values` over 256 bins; with 255 degrees of freedom, 330.5 has p = 0.001.
fn chi_square(values: impl Iterator<Item = u8>) -> f64 {
    let mut bins = [0_u32; 256];
    let mut total = 0_u32;
    for value in values {
        bins[usize::from(value)] += 1;
        total += 1;
    }
    let expected = f64::from(total) / 256.0;
    bins.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum()
}

/// No byte of the numbers, nor of the step from one to the next, is uneven; no step is so common
/// that guessing it would work more often than once in 2^15.
fn assert_unpredictable(name: &str, numbers: &[u32], bits: u32) {
    let steps: Vec<u32> = numbers.windows(2).map(|w| w[1].wrapping_sub(w[0]) & mask(bits)).collect();
    for (series, what) in [(numbers, "value"), (&steps, "step")] {
        for byte in 0..bits / 8 {
            let chi = chi_square(series.iter().map(|n| n.to_le_bytes()[byte as usize]));
            assert!(chi < 330.5, "{name}: {what}, byte {byte}: {chi}");
        }
    }
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let common = sorted.chunk_by(|a, b| a == b).map(<[u32]>::len).max().unwrap();
    // Chance alone: a Poisson mean of 10^5 / 2^bits, with room.
    let mean = u32::try_from(steps.len()).unwrap() >> bits.min(31);
    assert!(common <= 12 + 3 * mean as usize, "{name}: a step comes {common} times");
    let distinct = numbers.iter().collect::<HashSet<_>>().len();
    if bits == 32 {
        assert!(numbers.len() - distinct <= 10, "{name}: {} repeats", numbers.len() - distinct);
    }
}

const fn mask(bits: u32) -> u32 {
    if bits == 32 { u32::MAX } else { (1 << bits) - 1 }
}

#[test]
fn initial_numbers_of_accepted_connections() {
    // Both ways to answer a SYN: with an entry and with a cookie.
    for half_open in [16, SAMPLES] {
        let limits = Limits { half_open, ..Limits::default() };
        let mut probe = Probe::with_limits(42, Config::default(), limits);
        probe.listen(80, 16).unwrap();
        let mut numbers = Vec::with_capacity(SAMPLES);
        for i in 0..SAMPLES {
            let n = u32::try_from(i).unwrap();
            let address = Ipv4Addr::new(10, 0, 0, u8::try_from(2 + n / 50_000).unwrap());
            let peer = SocketAddrV4::new(address, u16::try_from(1024 + n % 50_000).unwrap());
            let answer = probe.inject(&Segment::to(Probe::ADDRESS, 80).from(peer).syn(1)).remove(0);
            assert_eq!(answer.flags, TcpFlags::SYN | TcpFlags::ACK);
            numbers.push(answer.seq);
        }
        assert_unpredictable("ISN", &numbers, 32);
    }
}

#[test]
fn ports_and_initial_numbers_of_our_connections() {
    let mut probe = Probe::new(43, Config::default());
    let (mut numbers, mut ports) = (Vec::new(), Vec::new());
    for i in 0..SAMPLES / 5 {
        // Another flow each time: within one, numbers follow the clock (RFC 6528 §3).
        let remote = SocketAddrV4::new(Probe::PEER, u16::try_from(1 + i).unwrap());
        let now = probe.now();
        let socket = probe.stack().tcp_open().unwrap();
        let _ = probe.stack().connect(now, socket, remote);
        let mut syn = probe.settle();
        if syn.is_empty() {
            // The first waited for the neighbour.
            syn = probe.advance(Duration::from_millis(10));
        }
        numbers.push(syn[0].seq);
        ports.push(u32::from(syn[0].src.port()));
        probe.stack().abort(socket).unwrap();
        let _ = probe.settle();
    }
    assert_unpredictable("ISN", &numbers, 32);
    let chi = chi_square(ports.iter().map(|p| p.to_le_bytes()[0]));
    assert!(chi < 330.5, "port: {chi}");
    let repeats = ports.windows(2).filter(|w| w[0].abs_diff(w[1]) <= 1).count();
    assert!(repeats < ports.len() / 1000, "{repeats} neighbouring ports in a row");
}

#[test]
fn ip_identifications_where_they_count() {
    let mut probe = Probe::new(44, Config::default());
    let mut numbers = Vec::new();
    for i in 0..SAMPLES / 5 {
        // An echo, answered by the stack: a datagram of its own.
        let mut echo = vec![8, 0, 0, 0, 0, 1];
        echo.extend(u16::try_from(i % 65_536).unwrap().to_be_bytes());
        let sum = swos_wire::Sum::of(&echo).finish().to_be_bytes();
        echo[2..4].copy_from_slice(&sum);
        probe.inject_quietly(&Probe::ipv4_packet(Probe::PEER, Probe::ADDRESS, IpProtocol::ICMP, &echo));
        let _ = probe.settle();
        for (_, packet) in probe.other_packets() {
            let view = Ipv4View::parse(&packet).unwrap();
            numbers.push((u32::from(view.ident()), view.dont_fragment()));
        }
        let _ = probe.advance(Duration::from_micros(100));
    }
    assert!(numbers.len() > SAMPLES / 10, "{} echoes", numbers.len());
    // RFC 6864: an atomic datagram's identification means nothing; it must then tell nothing.
    if numbers.iter().all(|(ident, atomic)| *atomic && *ident == 0) {
        return;
    }
    let numbers: Vec<u32> = numbers.into_iter().map(|(ident, _)| ident).collect();
    assert_unpredictable("identification", &numbers, 16);
}
