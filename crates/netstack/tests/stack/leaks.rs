//! Thousands of connections, one after another and at once: nothing stays.

use crate::net::{Net, at, pattern};
use swos_netstack::{Error, Push, SocketOption, State};
use swos_units::Duration;

#[test]
fn ten_thousand_connections_in_sequence_leave_nothing() {
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 16).unwrap();
    let mut buffer = [0; 16];
    for round in 0..10_000u32 {
        let (client, server) = net.connect_to(listener, 80);
        net.hosts[0].stack.send_bytes(net.now, client, &round.to_be_bytes(), Push::Now).unwrap();
        net.settle();
        assert_eq!(net.hosts[1].stack.recv(server, &mut buffer), Ok(4));
        // In turn: the client first, the server first, a reset by either.
        match round % 4 {
            0 => {
                net.hosts[0].stack.close(net.now, client).unwrap();
                net.settle();
                net.hosts[1].stack.close(net.now, server).unwrap();
            }
            1 => {
                net.hosts[1].stack.close(net.now, server).unwrap();
                net.settle();
                net.hosts[0].stack.close(net.now, client).unwrap();
            }
            2 => {
                net.hosts[0].stack.abort(client).unwrap();
                net.settle();
                net.hosts[1].stack.close(net.now, server).unwrap();
            }
            _ => {
                net.hosts[1].stack.abort(server).unwrap();
                net.settle();
                net.hosts[0].stack.close(net.now, client).unwrap();
            }
        }
        net.settle();
        net.now = net.now + Duration::from_millis(3);
    }
    assert!(net.hosts[0].stack.usage().time_wait <= 2_500);
    net.run(Duration::from_secs(130));
    assert_eq!(net.hosts[0].stack.usage(), Default::default());
    net.hosts[1].stack.close(net.now, listener).unwrap();
    assert_eq!(net.hosts[1].stack.usage(), Default::default());
}

#[test]
fn a_thousand_at_once_whose_peer_dies_are_reaped() {
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 16).unwrap();
    let pairs: Vec<_> = (0..1_000).map(|_| net.connect_to(listener, 80)).collect();
    assert_eq!(net.hosts[1].stack.usage().flows, 1_000);
    assert_eq!(net.hosts[1].stack.usage().receive_bytes, 0, "an idle connection holds no buffer");
    for (at, (_, server)) in pairs.iter().enumerate() {
        match at % 3 {
            // Found out by probes, by unacknowledged data, or closed by a server that lost interest.
            0 => {
                let idle = Some(Duration::from_secs(30));
                net.hosts[1].stack.set_option(net.now, *server, SocketOption::KeepAlive(idle)).unwrap();
            }
            1 => drop(net.hosts[1].stack.send_bytes(net.now, *server, &[1; 3000], Push::Now).unwrap()),
            _ => net.hosts[1].stack.close(net.now, *server).unwrap(),
        }
    }
    net.passes = Box::new(|_| false);
    net.run(Duration::from_secs(2_000));
    let mut buffer = [0; 16];
    for (at, (_, server)) in pairs.iter().enumerate() {
        if at % 3 != 2 {
            assert_eq!(net.hosts[1].stack.recv(*server, &mut buffer), Err(Error::TimedOut), "{at}");
            assert_eq!(net.hosts[1].stack.tcp_state(*server), Ok(State::Closed));
            net.hosts[1].stack.close(net.now, *server).unwrap();
        }
    }
    net.settle();
    net.hosts[1].stack.close(net.now, listener).unwrap();
    assert_eq!(net.hosts[1].stack.usage(), Default::default());
}

#[test]
fn time_wait_is_bounded_and_the_oldest_goes_first() {
    let mut small = crate::net::config(1);
    small.limits.time_wait = 10;
    let mut net = Net::with(small, crate::net::config(2));
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 16).unwrap();
    for _ in 0..100 {
        let (client, server) = net.connect_to(listener, 80);
        net.hosts[0].stack.close(net.now, client).unwrap();
        net.settle();
        net.hosts[1].stack.close(net.now, server).unwrap();
        net.settle();
    }
    assert_eq!((net.hosts[0].stack.usage().time_wait, net.hosts[0].stack.usage().flows), (10, 10));
}

#[test]
fn a_full_table_of_sockets_refuses_and_recovers() {
    let mut small = crate::net::config(2);
    small.limits.sockets = 4;
    let mut net = Net::with(crate::net::config(1), small);
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 16).unwrap();
    let pairs: Vec<_> = (0..3).map(|_| net.connect_to(listener, 80)).collect();
    assert_eq!(net.hosts[1].stack.udp_open(), Err(Error::NoBuffers));
    let fourth = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, fourth, at(2, 80)).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].stack.accept(listener), Err(Error::WouldBlock));
    net.hosts[0].stack.send_bytes(net.now, fourth, b"hello?", Push::Now).unwrap();
    net.settle();
    assert_eq!(net.hosts[0].stack.take_error(fourth), Ok(Some(Error::Reset)));
    net.hosts[1].stack.abort(pairs[0].1).unwrap();
    net.settle();
    net.connect_to(listener, 80);
}

#[test]
fn receive_buffers_stay_within_the_budget_and_lose_nothing() {
    const BUDGET: usize = 100_000;
    const EACH: usize = 60_000;
    let mut small = crate::net::config(2);
    small.limits.receive_memory = BUDGET;
    let mut net = Net::with(crate::net::config(1), small);
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 16).unwrap();
    let pairs: Vec<_> = (0..20).map(|_| net.connect_to(listener, 80)).collect();
    let data = pattern(EACH);
    for (client, _) in &pairs {
        assert_eq!(net.hosts[0].stack.send_bytes(net.now, *client, &data, Push::Now), Ok(EACH));
    }
    net.run(Duration::from_secs(3));
    let held = net.hosts[1].stack.usage().receive_bytes;
    assert!((BUDGET / 2..BUDGET + 20 * 4_096).contains(&held), "{held}");
    // Readers come at last; each gets all of its own.
    let mut got = vec![Vec::<u8>::new(); pairs.len()];
    let mut buffer = [0; 8_000];
    for _ in 0..2_000 {
        for (got, (_, server)) in got.iter_mut().zip(&pairs) {
            if let Ok(len) = net.hosts[1].stack.recv(*server, &mut buffer) {
                got.extend(&buffer[..len]);
            }
        }
        if got.iter().all(|got| got.len() == EACH) {
            break;
        }
        net.run(Duration::from_millis(100));
    }
    assert!(got.iter().all(|got| *got == data));
    assert_eq!(net.hosts[1].stack.usage().receive_bytes, 0);
    for (client, server) in pairs {
        net.hosts[0].stack.close(net.now, client).unwrap();
        net.hosts[1].stack.abort(server).unwrap();
    }
    net.run(Duration::from_secs(200));
    assert_eq!(net.hosts[1].stack.usage().sockets, 1);
}
