//! Frames from an enemy on the link, and floods from one far away.

use crate::net::{Dice, Host, Net, at, config, ip, mac, pattern};
use swos_netstack::{Config, Error, Limits, Push, State};
use swos_units::{Duration, Instant};
use swos_wire::{
    ArpOperation, ArpRepr, EtherType, EthernetRepr, EthernetView, Icmpv4Repr, Icmpv4View, IpProtocol,
    Ipv4Repr, Ipv4View, MacAddr, SeqNumber, Sum, TcpFlags, TcpOptions, TcpRepr, TcpView, checksum,
};

/// A frame from station 9 (or another) with an IPv4 packet.
fn packet(
    src: core::net::Ipv4Addr,
    dst: core::net::Ipv4Addr,
    protocol: IpProtocol,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; 34 + payload.len()];
    EthernetRepr { dst: mac(1), src: mac(9), ethertype: EtherType::IPV4 }.emit(&mut frame).unwrap();
    let header = Ipv4Repr {
        src,
        dst,
        protocol,
        payload_len: payload.len() as u16,
        ident: 1,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        traffic_class: 0,
    };
    header.emit(&mut frame[14..]).unwrap();
    frame[34..].copy_from_slice(payload);
    frame
}

fn segment(src: core::net::Ipv4Addr, repr: &TcpRepr, data: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; repr.header_len() + data.len()];
    let pseudo = checksum::pseudo_ipv4(src, ip(1), IpProtocol::TCP, payload.len() as u16);
    let len = repr.emit(&mut payload, pseudo, Sum::of(data)).unwrap();
    payload[len..].copy_from_slice(data);
    packet(src, ip(1), IpProtocol::TCP, &payload)
}

fn arp(operation: ArpOperation, sender: (MacAddr, u8), target: u8) -> Vec<u8> {
    let mut frame = vec![0; 60];
    EthernetRepr { dst: mac(1), src: sender.0, ethertype: EtherType::ARP }.emit(&mut frame).unwrap();
    let packet = ArpRepr {
        operation,
        sender_mac: sender.0,
        sender_ip: ip(sender.1),
        target_mac: mac(1),
        target_ip: ip(target),
    };
    packet.emit(&mut frame[14..]).unwrap();
    frame
}

/// Asks host 1 for its address and an echo, as station 9: it must answer both.
fn assert_alive(host: &mut Host, now: Instant, count: u16) {
    host.out.frames.clear();
    host.frame(now, &arp(ArpOperation::Request, (mac(9), 9), 1));
    let mut message = [0; 16];
    let data = Sum::of(&message[8..]);
    Icmpv4Repr::EchoRequest { ident: 5, seq: count }.emit(&mut message, data).unwrap();
    host.frame(now, &packet(ip(9), ip(1), IpProtocol::ICMP, &message));
    let _progress = host.poll(now);
    // The first time it has to ask for us.
    host.frame(now, &arp(ArpOperation::Reply, (mac(9), 9), 1));
    let _progress = host.poll(now);
    let frames: Vec<_> = host.out.frames.drain(..).collect();
    let views = || frames.iter().map(|frame| EthernetView::parse(frame).unwrap());
    assert!(views().any(|view| view.ethertype() == EtherType::ARP && view.dst() == mac(9)));
    let echo = |view: EthernetView<'_>| {
        let packet = Ipv4View::parse(view.payload()).ok()?;
        Icmpv4Repr::parse(&Icmpv4View::parse(packet.payload()).ok()?)
    };
    assert!(views().any(|view| echo(view) == Some(Icmpv4Repr::EchoReply { ident: 5, seq: count })));
}

/// Frames of every kind, taken from real exchanges.
fn corpus() -> Vec<Vec<u8>> {
    let mut net = Net::new();
    let seen = std::rc::Rc::new(core::cell::RefCell::new(Vec::new()));
    let log = std::rc::Rc::clone(&seen);
    net.passes = Box::new(move |frame| {
        log.borrow_mut().push(frame.to_vec());
        true
    });
    let (client, server, _) = net.connected(80);
    net.transfer((0, client), (1, server), &pattern(5_000));
    let udp = net.hosts[1].stack.udp_open().unwrap();
    let host = &mut net.hosts[1];
    host.stack.send_to(net.now, udp, &pattern(100), Some(at(1, 7)), &mut host.out).unwrap();
    net.settle();
    net.hosts[0].stack.close(net.now, client).unwrap();
    net.settle();
    net.hosts[1].stack.close(net.now, server).unwrap();
    net.settle();
    let mut message = [1; 60];
    let data = Sum::of(&message[8..]);
    Icmpv4Repr::EchoRequest { ident: 1, seq: 1 }.emit(&mut message, data).unwrap();
    let mut frames = seen.take();
    frames.push(packet(ip(9), ip(1), IpProtocol::ICMP, &message));
    frames
}

/// Sets every checksum right, so that a mutation gets past the first gate.
fn repair(frame: &mut [u8]) {
    if frame.len() < 34 || frame[12..14] != [8, 0] || frame[14] >> 4 != 4 {
        return;
    }
    let header_len = usize::from(frame[14] & 15) * 4;
    if header_len < 20 || frame.len() < 14 + header_len {
        return;
    }
    frame[24..26].fill(0);
    let sum = Sum::of(&frame[14..14 + header_len]).finish();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    let (src, dst) = (frame[26..30].to_vec(), frame[30..34].to_vec());
    let protocol = IpProtocol(frame[23]);
    let payload = &mut frame[14 + header_len..];
    let offset = match protocol {
        IpProtocol::TCP => 16,
        IpProtocol::UDP => 6,
        IpProtocol::ICMP => 2,
        _ => return,
    };
    if payload.len() < offset + 2 {
        return;
    }
    payload[offset..offset + 2].fill(0);
    let pseudo =
        Sum::of(&src).add(Sum::of(&dst)).add_word(u16::from(protocol.0)).add_word(payload.len() as u16);
    let pseudo = if protocol == IpProtocol::ICMP { Sum::ZERO } else { pseudo };
    let sum = pseudo.add(Sum::of(payload)).finish();
    payload[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
}

fn mutate(dice: &mut Dice, frame: &mut Vec<u8>) {
    for _ in 0..dice.within(1..4) {
        match dice.within(0..10) {
            0..6 if frame.len() > 12 => {
                let at = dice.within(12..frame.len());
                let any = dice.byte();
                frame[at] = *dice.choose(&[0, 1, 0x7f, 0x80, 0xff, any]);
            }
            6 | 7 => frame.truncate(dice.within(0..frame.len() + 1)),
            _ => frame.extend((0..dice.within(1..64)).map(|_| dice.byte())),
        }
    }
    frame.truncate(1514);
}

#[test]
fn mutated_frames_change_nothing_but_counters() {
    let corpus = corpus();
    assert!(corpus.len() > 15);
    let mut dice = Dice::new(1);
    let limits = Limits { sockets: 300, half_open: 64, time_wait: 64, ..Limits::default() };
    let mut host = Host::new(Config { limits, ..config(1) });
    let mut now = Instant::ZERO;
    let listener = host.stack.tcp_open().unwrap();
    host.stack.bind(listener, at(1, 80)).unwrap();
    host.stack.listen(listener, 8).unwrap();
    let echo = host.stack.udp_open().unwrap();
    host.stack.bind(echo, at(1, 7)).unwrap();
    let mut buffer = [0; 100];
    for count in 0..20_000u16 {
        let mut frame = dice.choose(&corpus).clone();
        if dice.percent(90) && frame.len() >= 6 {
            frame[..6].copy_from_slice(&mac(1).0);
        }
        if frame[12..14] == [8, 0] && dice.percent(70) {
            frame[26..30].copy_from_slice(&ip(dice.within(2..9) as u8).octets());
            frame[30..34].copy_from_slice(&ip(1).octets());
        }
        if dice.percent(80) {
            mutate(&mut dice, &mut frame);
        }
        if dice.percent(50) {
            repair(&mut frame);
        }
        host.frame(now, &frame);
        now = now + Duration::from_micros(dice.within(0..5_000) as u64);
        let _progress = host.poll(now);
        host.out.frames.clear();
        let _datagram = host.stack.recv_from(echo, &mut buffer);
        if let Ok((id, _)) = host.stack.accept(listener) {
            host.stack.close(now, id).unwrap();
        }
        while host.stack.poll_event().is_some() {}
        if count % 1_000 == 0 {
            assert_alive(&mut host, now, count);
        }
    }
    host.stack.close(now, listener).unwrap();
    host.stack.close(now, echo).unwrap();
    for _ in 0..2_000 {
        let Some(next) = host.stack.deadline() else { break };
        now = next.max(now);
        let _progress = host.poll(now);
        host.out.frames.clear();
    }
    assert_eq!(host.stack.usage(), Default::default());
}

#[test]
fn a_syn_flood_keeps_no_client_out_and_no_memory() {
    let mut net = Net::new();
    let listener = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.bind(listener, at(1, 80)).unwrap();
    net.hosts[0].stack.listen(listener, 16).unwrap();
    let mut dice = Dice::new(2);
    for _ in 0..20_000 {
        let syn = TcpRepr {
            src_port: dice.within(1..65_536) as u16,
            dst_port: 80,
            seq: SeqNumber(dice.word()),
            ack: SeqNumber(0),
            flags: TcpFlags::SYN,
            window: 1000,
            urgent: 0,
            options: TcpOptions { mss: Some(1460), ..TcpOptions::NONE },
        };
        let from = core::net::Ipv4Addr::new(198, 51, dice.byte(), dice.byte());
        let host = &mut net.hosts[0];
        host.frame(net.now, &segment(from, &syn, &[]));
        host.out.frames.clear();
    }
    let usage = net.hosts[0].stack.usage();
    assert_eq!((usage.half_open, usage.sockets, usage.flows), (1_024, 1, 0));
    // All of them want their SYN-ACK again at the same moment: each call sends a few.
    net.now = net.now + Duration::from_secs(1);
    for _ in 0..1_024 / 8 {
        let host = &mut net.hosts[0];
        assert!(host.stack.deadline().unwrap() <= net.now, "there are more");
        let before = host.stack.counters().segments_sent;
        let _progress = host.stack.poll(net.now, &mut host.out);
        assert_eq!(host.stack.counters().segments_sent - before, 8);
        host.out.frames.clear();
    }
    assert!(net.hosts[0].stack.deadline().unwrap() > net.now);
    let client = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.connect(net.now, client, at(1, 80)).unwrap();
    net.settle();
    let (server, _) = net.hosts[0].stack.accept(listener).unwrap();
    let data = pattern(50_000);
    assert_eq!(net.transfer((1, client), (0, server), &data), data);
    net.passes = Box::new(|_| false);
    net.run(Duration::from_secs(200));
    assert_eq!(net.hosts[0].stack.usage().half_open, 0);
}

#[test]
fn guesses_neither_reset_nor_fill_a_connection() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    let local = net.hosts[0].stack.local(client).unwrap();
    let mut dice = Dice::new(3);
    for _ in 0..20_000 {
        let flags = TcpFlags::from_bits_truncate(dice.byte());
        let blind = TcpRepr {
            src_port: 80,
            dst_port: local.port(),
            seq: SeqNumber(dice.word()),
            ack: SeqNumber(dice.word()),
            flags,
            window: dice.word() as u16,
            urgent: dice.word() as u16,
            options: TcpOptions::NONE,
        };
        let host = &mut net.hosts[0];
        host.frame(net.now, &segment(ip(2), &blind, b"evil"));
        let _progress = host.poll(net.now);
        host.out.frames.clear();
    }
    assert_eq!(net.hosts[0].stack.tcp_state(client), Ok(State::Established));
    let data = pattern(10_000);
    assert_eq!(net.transfer((1, server), (0, client), &data), data);
}

#[test]
fn icmp_errors_count_only_for_what_is_in_flight() {
    let mut net = Net::new();
    let client = net.hosts[0].stack.tcp_open().unwrap();
    let seen = std::rc::Rc::new(core::cell::RefCell::new(Vec::new()));
    let log = std::rc::Rc::clone(&seen);
    net.passes = Box::new(move |frame| {
        log.borrow_mut().push(frame.to_vec());
        frame[12..14] == [8, 6]
    });
    net.hosts[0].stack.connect(net.now, client, at(2, 80)).unwrap();
    net.settle();
    let syn = seen.borrow().iter().find(|frame| frame[12..14] == [8, 0]).unwrap()[14..].to_vec();
    let error = |quoted: &[u8]| {
        let mut message = vec![0; 8 + quoted.len()];
        message[8..].copy_from_slice(quoted);
        let code = swos_wire::Unreachable::PORT;
        Icmpv4Repr::Unreachable { code, next_hop_mtu: 0 }.emit(&mut message, Sum::of(quoted)).unwrap();
        packet(ip(2), ip(1), IpProtocol::ICMP, &message)
    };
    let mut forged = syn.clone();
    forged[24] ^= 0x40;
    for quoted in [&forged[..28], &syn[..24], &[]] {
        net.hosts[0].frame(net.now, &error(quoted));
        assert_eq!(net.hosts[0].stack.take_error(client), Ok(None));
    }
    net.hosts[0].frame(net.now, &error(&syn[..28]));
    assert_eq!(net.hosts[0].stack.take_error(client), Ok(Some(Error::HostUnreachable)));
}

#[test]
fn answers_to_nobody_are_rate_limited() {
    let mut net = Net::new();
    let host = &mut net.hosts[0];
    host.out.capacity = 10_000;
    for port in 0..2_000 {
        let stray = TcpRepr {
            src_port: 4_000,
            dst_port: 10_000 + port,
            seq: SeqNumber(5),
            ack: SeqNumber(9),
            flags: TcpFlags::ACK,
            window: 0,
            urgent: 0,
            options: TcpOptions::NONE,
        };
        host.frame(net.now, &segment(ip(2), &stray, &[]));
    }
    assert_eq!((host.stack.counters().resets_sent, host.stack.counters().rate_limited), (200, 1_800));
    let mut datagram = [0, 9, 0, 9, 0, 8, 0, 0];
    for port in 0..200u8 {
        datagram[3] = port + 1;
        host.frame(net.now, &packet(ip(2), ip(1), IpProtocol::UDP, &datagram));
    }
    assert_eq!((host.stack.counters().icmp_errors_sent, host.stack.counters().rate_limited), (50, 1_950));
    // A packet to a broadcast address, from one, or by broadcast frame is never answered.
    let quiet = host.out.frames.len();
    for (src, dst) in
        [(ip(255), ip(1)), (ip(2), ip(255)), (ip(1), ip(1)), (ip(2), "127.0.0.1".parse().unwrap())]
    {
        host.frame(net.now + Duration::from_secs(9), &packet(src, dst, IpProtocol(99), b"12345678"));
    }
    let mut broadcast = packet(ip(2), ip(1), IpProtocol(99), b"12345678");
    broadcast[..6].fill(0xff);
    host.frame(net.now + Duration::from_secs(9), &broadcast);
    assert_eq!(host.out.frames.len(), quiet);
    assert_eq!(host.stack.counters().icmp_errors_sent, 50);
}

#[test]
fn nothing_is_learned_from_arp_packets_that_nobody_asked_for() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    let conflicts = net.hosts[0].stack.counters().address_conflicts;
    // Unasked replies and requests for addresses that we never asked for; group addresses; our own.
    let host = &mut net.hosts[0];
    for number in 3..250 {
        for operation in [ArpOperation::Reply, ArpOperation::Request] {
            host.frame(net.now, &arp(operation, (mac(9), number), 1));
        }
    }
    host.frame(net.now, &arp(ArpOperation::Reply, (MacAddr::BROADCAST, 2), 1));
    // Within the lock time, another station can't take over a neighbour.
    host.frame(net.now, &arp(ArpOperation::Reply, (mac(9), 2), 1));
    host.out.frames.clear();
    assert_eq!(net.hosts[0].stack.counters().address_conflicts, conflicts);
    let data = pattern(3_000);
    assert_eq!(net.transfer((0, client), (1, server), &data), data);
    net.hosts[0].frame(net.now, &arp(ArpOperation::Request, (mac(9), 1), 77));
    assert_eq!(net.hosts[0].stack.counters().address_conflicts, conflicts + 1, "that is our address");
    // A station that speaks for another one is not believed, even by those who are asking.
    let asking = net.hosts[0].stack.udp_open().unwrap();
    let host = &mut net.hosts[0];
    host.stack.send_to(net.now, asking, b"x", Some(at(33, 9)), &mut host.out).unwrap();
    let _progress = host.poll(net.now);
    let mut lie = arp(ArpOperation::Reply, (mac(33), 33), 1);
    lie[6..12].copy_from_slice(&mac(9).0);
    host.frame(net.now, &lie);
    let _progress = host.poll(net.now);
    assert!(host.out.frames.iter().all(|frame| frame[12..14] == [8, 6]));
    host.frame(net.now, &arp(ArpOperation::Reply, (mac(33), 33), 1));
    let _progress = host.poll(net.now);
    assert_eq!(host.out.frames.pop_back().map(|frame| frame[..6].to_vec()), Some(mac(33).0.to_vec()));
    // An address of which only an unasked reply spoke has to be asked for.
    let udp = net.hosts[0].stack.udp_open().unwrap();
    let host = &mut net.hosts[0];
    host.stack.send_to(net.now, udp, b"x", Some(at(44, 9)), &mut host.out).unwrap();
    let _progress = host.poll(net.now);
    assert!(host.out.frames.iter().all(|frame| frame[12..14] == [8, 6]));
}

#[test]
fn data_for_a_closed_socket_is_reset_and_old_ids_reach_nothing() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    net.hosts[1].stack.close(net.now, server).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].stack.recv(server, &mut [0; 4]), Err(Error::BadSocket));
    net.hosts[0].stack.send_bytes(net.now, client, b"nobody reads this", Push::Now).unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(net.hosts[0].stack.take_error(client), Ok(Some(Error::Reset)));
    let fresh = net.hosts[1].stack.tcp_open().unwrap();
    assert_eq!(fresh.index(), server.index(), "the number is used again");
    assert_eq!(net.hosts[1].stack.readiness(server), Err(Error::BadSocket));
    assert_eq!(net.hosts[1].stack.close(net.now, server), Err(Error::BadSocket));
    assert_eq!(swos_netstack::SocketId::from_bits(fresh.to_bits()), fresh);
}

#[test]
fn every_segment_we_send_keeps_to_the_mss_of_the_peer() {
    let mut narrow = config(2);
    narrow.mtu = 576;
    let mut net = Net::with(config(1), narrow);
    net.passes = Box::new(|frame| {
        if let Ok(packet) = Ipv4View::parse(&frame[14..])
            && let Ok(segment) = TcpView::parse(packet.payload())
        {
            assert!(segment.payload().len() <= 536);
        }
        true
    });
    let (client, server, _) = net.connected(80);
    let data = pattern(20_000);
    assert_eq!(net.transfer((0, client), (1, server), &data), data);
}
