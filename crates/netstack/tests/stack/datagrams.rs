//! UDP, ICMP and ARP between two stacks.

use crate::net::{Net, at, ip, pattern};
use swos_netstack::{Error, Readiness, SocketOption, Switch};
use swos_units::Duration;

#[test]
fn datagrams_arrive_whole_and_in_order() {
    let mut net = Net::new();
    let server = net.hosts[1].stack.udp_open().unwrap();
    net.hosts[1].stack.bind(server, at(2, 53)).unwrap();
    let client = net.hosts[0].stack.udp_open().unwrap();
    let sizes = [0, 1, 2, 511, 1472];
    let now = net.now;
    for size in sizes {
        let host = &mut net.hosts[0];
        let sent = host.stack.send_to(now, client, &pattern(size), Some(at(2, 53)), &mut host.out);
        assert_eq!(sent, Ok(size));
        net.settle();
    }
    let from = net.hosts[0].stack.local(client).unwrap().port();
    assert!(from >= 32_768);
    assert_eq!(net.hosts[1].stack.poll_event(), Some((server, Readiness::IN)));
    let mut buffer = [0; 2000];
    for size in sizes {
        let got = net.hosts[1].stack.recv_from(server, &mut buffer).unwrap();
        assert_eq!((got.len, got.from), (size, at(1, from)));
        assert_eq!(buffer[..size], pattern(size));
    }
    assert_eq!(net.hosts[1].stack.recv_from(server, &mut buffer), Err(Error::WouldBlock));
}

#[test]
fn what_does_not_fit_the_mtu_is_refused_before_anything_is_built() {
    let mut net = Net::new();
    let client = net.hosts[0].stack.udp_open().unwrap();
    let host = &mut net.hosts[0];
    for size in [1473, 2037, 65_507, 70_000] {
        let sent = host.stack.send_to(net.now, client, &vec![1; size], Some(at(2, 53)), &mut host.out);
        assert_eq!(sent, Err(Error::MessageTooLong), "{size}");
    }
    assert_eq!(host.stack.counters().frames_sent, 0);
}

#[test]
fn a_connected_socket_learns_that_nobody_has_the_port() {
    let mut net = Net::new();
    let now = net.now;
    let [connected, other] = [(); 2].map(|()| net.hosts[0].stack.udp_open().unwrap());
    net.hosts[0].stack.connect(now, connected, at(2, 9)).unwrap();
    let host = &mut net.hosts[0];
    assert_eq!(host.stack.send_to(now, connected, b"?", None, &mut host.out), Ok(1));
    net.settle();
    let host = &mut net.hosts[0];
    assert_eq!(host.stack.send_to(now, other, b"?", Some(at(2, 9)), &mut host.out), Ok(1));
    net.settle();
    assert_eq!(net.hosts[1].stack.counters().icmp_errors_sent, 2);
    assert_eq!(net.hosts[0].stack.poll_event(), Some((connected, Readiness::IN | Readiness::ERR)));
    assert_eq!(net.hosts[0].stack.poll_event(), None);
    assert_eq!(net.hosts[0].stack.recv_from(connected, &mut [0; 8]), Err(Error::Refused));
    assert_eq!(net.hosts[0].stack.recv_from(connected, &mut [0; 8]), Err(Error::WouldBlock));
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    let mut net = Net::new();
    let now = net.now;
    let server = net.hosts[1].stack.udp_open().unwrap();
    net.hosts[1].stack.bind(server, at(2, 53)).unwrap();
    net.hosts[1].stack.connect(now, server, at(1, 1000)).unwrap();
    for port in [1001, 1000] {
        let client = net.hosts[0].stack.udp_open().unwrap();
        net.hosts[0].stack.bind(client, at(1, port)).unwrap();
        let host = &mut net.hosts[0];
        host.stack.send_to(now, client, &port.to_be_bytes(), Some(at(2, 53)), &mut host.out).unwrap();
        net.settle();
    }
    let mut buffer = [0; 2];
    assert_eq!(net.hosts[1].stack.recv_from(server, &mut buffer).map(|got| got.from), Ok(at(1, 1000)));
    assert_eq!(net.hosts[1].stack.recv_from(server, &mut buffer), Err(Error::WouldBlock));
}

#[test]
fn a_flood_stops_at_the_limits_of_the_queue() {
    let mut net = Net::new();
    let now = net.now;
    let server = net.hosts[1].stack.udp_open().unwrap();
    net.hosts[1].stack.bind(server, at(2, 53)).unwrap();
    net.hosts[1].stack.set_option(now, server, SocketOption::ReceiveBuffer(10_000)).unwrap();
    let client = net.hosts[0].stack.udp_open().unwrap();
    for _ in 0..100 {
        let host = &mut net.hosts[0];
        host.stack.send_to(now, client, &[7; 1000], Some(at(2, 53)), &mut host.out).unwrap();
        net.settle();
    }
    assert_eq!(net.hosts[1].stack.counters().datagrams_dropped, 90);
    assert!(net.hosts[1].stack.usage().receive_bytes < 40_000);
    let mut buffer = [0; 1000];
    while net.hosts[1].stack.recv_from(server, &mut buffer).is_ok() {}
    assert_eq!(net.hosts[1].stack.usage().receive_bytes, 0);
}

#[test]
fn a_full_device_is_told_and_so_is_its_end() {
    let mut net = Net::new();
    let now = net.now;
    let client = net.hosts[0].stack.udp_open().unwrap();
    let host = &mut net.hosts[0];
    host.stack.send_to(now, client, b"asks for the neighbour", Some(at(2, 53)), &mut host.out).unwrap();
    net.settle();
    let host = &mut net.hosts[0];
    host.out.capacity = 1;
    assert_eq!(host.stack.send_to(now, client, b"1", Some(at(2, 53)), &mut host.out), Ok(1));
    assert_eq!(host.stack.send_to(now, client, b"2", Some(at(2, 53)), &mut host.out), Err(Error::WouldBlock));
    assert_eq!(host.stack.readiness(client), Ok(Readiness::empty()));
    assert_eq!(host.poll(now), swos_netstack::Progress::DeviceFull);
    assert_eq!(host.stack.poll_event(), None);
    host.out.frames.clear();
    assert_eq!(host.poll(now), swos_netstack::Progress::Done);
    assert_eq!(host.stack.poll_event(), Some((client, Readiness::OUT)));
    assert_eq!(host.stack.readiness(client), Ok(Readiness::OUT));
}

#[test]
fn the_newest_datagrams_are_held_while_the_neighbour_is_asked() {
    let mut net = Net::new();
    let server = net.hosts[1].stack.udp_open().unwrap();
    net.hosts[1].stack.bind(server, at(2, 53)).unwrap();
    let now = net.now;
    let client = net.hosts[0].stack.udp_open().unwrap();
    for text in 0..6 {
        let host = &mut net.hosts[0];
        host.stack.send_to(now, client, &[text], Some(at(2, 53)), &mut host.out).unwrap();
    }
    net.settle();
    let mut buffer = [0; 5];
    for text in 2..6 {
        net.hosts[1].stack.recv_from(server, &mut buffer).unwrap();
        assert_eq!(buffer[0], text);
    }
    assert_eq!(net.hosts[1].stack.recv_from(server, &mut buffer), Err(Error::WouldBlock));
    // Nobody there: the packet goes away with the attempt.
    let host = &mut net.hosts[0];
    host.stack.send_to(now, client, b"lost", Some(at(3, 53)), &mut host.out).unwrap();
    net.run(Duration::from_secs(4));
    let host = &mut net.hosts[0];
    let sent = host.stack.send_to(net.now, client, b"lost", Some(at(3, 53)), &mut host.out);
    assert_eq!(sent, Err(Error::HostUnreachable));
}

#[test]
fn ports_of_both_kinds_are_apart_and_exclusive() {
    let mut net = Net::new();
    let stack = &mut net.hosts[0].stack;
    let [first, second] = [(); 2].map(|()| stack.udp_open().unwrap());
    let stream = stack.tcp_open().unwrap();
    stack.bind(first, at(1, 500)).unwrap();
    assert_eq!(stack.bind(second, at(1, 500)), Err(Error::AddressInUse));
    stack.set_option(net.now, second, SocketOption::ReuseAddress(Switch::On)).unwrap();
    assert_eq!(stack.bind(second, at(1, 500)), Err(Error::AddressInUse), "nobody steals datagrams");
    assert_eq!(stack.bind(second, "127.0.0.1:500".parse().unwrap()), Ok(()), "another address");
    assert_eq!(stack.bind(stream, at(1, 500)), Ok(()));
    stack.close(net.now, first).unwrap();
    let third = stack.udp_open().unwrap();
    assert_eq!(stack.bind(third, at(1, 500)), Ok(()));
    assert_eq!(stack.local(third), Ok(at(1, 500)));
    assert_eq!(stack.bind(first, at(1, 501)), Err(Error::BadSocket));
}

#[test]
fn broadcasts_reach_sockets_for_all_addresses() {
    let mut net = Net::new();
    let now = net.now;
    let [all, one] = [(); 2].map(|()| net.hosts[1].stack.udp_open().unwrap());
    net.hosts[1].stack.bind(all, "0.0.0.0:67".parse().unwrap()).unwrap();
    net.hosts[1].stack.bind(one, at(2, 68)).unwrap();
    let client = net.hosts[0].stack.udp_open().unwrap();
    for port in [67, 68, 69] {
        let host = &mut net.hosts[0];
        host.stack.send_to(now, client, b"all", Some(at(255, port)), &mut host.out).unwrap();
        net.settle();
    }
    assert_eq!(net.hosts[1].stack.recv_from(all, &mut [0; 3]).map(|got| *got.from.ip()), Ok(ip(1)));
    assert_eq!(net.hosts[1].stack.recv_from(one, &mut [0; 3]), Err(Error::WouldBlock));
    assert_eq!(net.hosts[1].stack.counters().icmp_errors_sent, 0, "never for a broadcast");
}
