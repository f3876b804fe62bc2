//! Thousands of connections, one after another and at once: nothing stays.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::net::{Dice, Host, Net, Page, at, pattern};
use swos_netstack::{Direction, Error, Progress, Push, Readiness, SocketId, SocketOption, State, Switch};
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
    // It is not promised a place that is not there, and asks again.
    assert_eq!(net.hosts[0].stack.tcp_state(fourth), Ok(State::SynSent));
    assert_eq!(net.hosts[1].stack.usage().half_open, 0);
    net.hosts[1].stack.abort(pairs[0].1).unwrap();
    net.run(Duration::from_secs(2));
    let (server, _) = net.hosts[1].stack.accept(listener).unwrap();
    assert_eq!(net.hosts[0].stack.tcp_state(fourth), Ok(State::Established));
    net.hosts[1].stack.abort(server).unwrap();
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

#[test]
fn a_listener_with_a_thousand_that_nobody_accepted_goes_a_few_at_a_time() {
    const WAITING: usize = 1_000;
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, WAITING).unwrap();
    let clients: Vec<_> = (0..WAITING)
        .map(|number| {
            let client = net.hosts[0].stack.tcp_open().unwrap();
            net.hosts[0].stack.connect(net.now, client, at(2, 80)).unwrap();
            net.settle();
            if number % 10 == 0 {
                // Data that nobody reads goes, too.
                net.hosts[0].stack.send_bytes(net.now, client, &[1; 3_000], Push::Now).unwrap();
                net.settle();
            }
            client
        })
        .collect();
    // Some gave up themselves before.
    for client in &clients[..20] {
        net.hosts[0].stack.abort(*client).unwrap();
    }
    net.settle();
    net.hosts[1].stack.close(net.now, listener).unwrap();
    // Who comes now finds nobody.
    let late = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, late, at(2, 80)).unwrap();
    let _ = net.hosts[0].poll(net.now);
    let syn = net.hosts[0].out.frames.pop_back().unwrap();
    net.hosts[1].frame(net.now, &syn);
    // Another may listen at once if it takes a port with connections, as after any end of connections.
    let second = net.hosts[1].stack.tcp_open().unwrap();
    assert_eq!(net.hosts[1].stack.bind(second, at(2, 80)), Err(Error::AddressInUse));
    net.hosts[1].stack.set_option(net.now, second, SocketOption::ReuseAddress(Switch::On)).unwrap();
    net.hosts[1].stack.bind(second, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(second, 16).unwrap();
    // One call after the other, each with little of it.
    let (mut calls, mut left) = (0, net.hosts[1].stack.usage().flows);
    loop {
        let host = &mut net.hosts[1];
        let progress = host.stack.poll(net.now, &mut host.out);
        calls += 1;
        let now = host.stack.usage().flows;
        assert!(left - now <= 8, "{} in one call", left - now);
        left = now;
        for frame in net.hosts[1].out.frames.drain(..).collect::<Vec<_>>() {
            net.hosts[0].frame(net.now, &frame);
        }
        let _ = net.hosts[0].poll(net.now);
        if progress == Progress::Done {
            break;
        }
    }
    assert!(calls >= (WAITING - 20) / 8, "{calls} calls");
    let usage = net.hosts[1].stack.usage();
    assert_eq!((usage.sockets, usage.flows, usage.receive_bytes), (1, 0, 0), "only the second listener");
    for client in &clients[20..] {
        assert_eq!(net.hosts[0].stack.take_error(*client), Ok(Some(Error::Reset)));
        assert_eq!(net.hosts[0].stack.tcp_state(*client), Ok(State::Closed));
    }
    assert_eq!(net.hosts[0].stack.take_error(late), Ok(Some(Error::Refused)));
    // The new one knows nothing of the old one's connections, and without it the port is nobody's.
    net.connect_to(second, 80);
    assert_eq!(net.hosts[1].stack.accept(second), Err(Error::WouldBlock));
}

#[test]
fn a_full_device_does_not_lose_those_that_nobody_accepted() {
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 64).unwrap();
    let clients: Vec<_> = (0..64).map(|_| net.hosts[0].stack.tcp_open().unwrap()).collect();
    for client in &clients {
        net.hosts[0].stack.connect(net.now, *client, at(2, 80)).unwrap();
        net.settle();
    }
    net.hosts[1].out.capacity = 3;
    net.hosts[1].stack.close(net.now, listener).unwrap();
    assert_eq!(net.hosts[1].poll(net.now), Progress::DeviceFull);
    net.settle();
    assert_eq!(net.hosts[1].stack.usage(), Default::default());
    for client in &clients {
        assert_eq!(net.hosts[0].stack.take_error(*client), Ok(Some(Error::Reset)));
    }
    let third = net.hosts[1].stack.tcp_open().unwrap();
    assert_eq!(net.hosts[1].stack.bind(third, at(2, 80)), Ok(()), "the port is free");
}

#[test]
fn what_was_reset_before_it_was_accepted_leaves_its_place_at_once() {
    const PLACES: usize = 60;
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, PLACES).unwrap();
    let mut dice = Dice::new(21);
    // Who waits, in order: what the listener should give out.
    let mut waiting = VecDeque::new();
    for _ in 0..3_000 {
        match dice.within(0..8) {
            0..4 if waiting.len() < PLACES => {
                let client = net.hosts[0].stack.tcp_open().unwrap();
                net.hosts[0].stack.connect(net.now, client, at(2, 80)).unwrap();
                net.settle();
                assert_eq!(net.hosts[0].stack.tcp_state(client), Ok(State::Established), "a place is free");
                waiting.push_back(client);
            }
            4..7 if !waiting.is_empty() => {
                let client = waiting.remove(dice.within(0..waiting.len())).unwrap();
                net.hosts[0].stack.abort(client).unwrap();
                net.settle();
            }
            _ if waiting.is_empty() => {
                assert_eq!(net.hosts[1].stack.accept(listener), Err(Error::WouldBlock));
                assert_eq!(net.hosts[1].stack.readiness(listener), Ok(Readiness::empty()));
            }
            _ => {
                let client = waiting.pop_front().unwrap();
                let (server, peer) = net.hosts[1].stack.accept(listener).unwrap();
                assert_eq!(net.hosts[0].stack.local(client), Ok(peer), "in order");
                net.hosts[1].stack.abort(server).unwrap();
                net.hosts[0].stack.abort(client).unwrap();
                net.settle();
            }
        }
        assert_eq!(net.hosts[1].stack.usage().sockets, 1 + waiting.len());
    }
    net.hosts[1].stack.close(net.now, listener).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].stack.usage(), Default::default());
}

/// A connection with `bytes` that its server has not read, in a receive buffer that takes them all.
fn unread(net: &mut Net, bytes: usize) -> (SocketId, SocketId) {
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.set_option(net.now, listener, SocketOption::ReceiveBuffer(4 << 20)).unwrap();
    net.hosts[1].stack.listen(listener, 1).unwrap();
    let (client, server) = net.connect_to(listener, 80);
    net.hosts[1].stack.close(net.now, listener).unwrap();
    let data = vec![1; bytes];
    let mut sent = 0;
    for _ in 0..1_000 {
        sent += net.hosts[0].stack.send_bytes(net.now, client, &data[sent..], Push::Now).unwrap_or(0);
        net.run(Duration::from_millis(50));
    }
    assert!(net.hosts[1].stack.usage().receive_bytes >= bytes, "the window is as wide as the buffer");
    (client, server)
}

/// Calls `poll` of host 1 until it is done: no call gives back more than `most` bytes of receive buffers. How many calls.
fn freed_in_steps(net: &mut Net, most: usize) -> usize {
    let mut left = net.hosts[1].stack.usage().receive_bytes;
    for calls in 1.. {
        let host = &mut net.hosts[1];
        let progress = host.stack.poll(net.now, &mut host.out);
        let now = host.stack.usage().receive_bytes;
        assert!(left - now <= most, "{} in one call", left - now);
        left = now;
        if progress == Progress::Done {
            return calls;
        }
    }
    unreachable!()
}

#[test]
fn what_nobody_read_is_freed_a_little_at_a_time() {
    const UNREAD: usize = 2 << 20;
    const MOST: usize = 32 * 8 * 2048 + 100_000;
    // The reader closes; says that it reads no more; its peer resets before it does.
    for way in 0..3 {
        let mut net = Net::new();
        let (client, server) = unread(&mut net, UNREAD);
        let before = net.hosts[1].stack.usage().receive_bytes;
        match way {
            0 => net.hosts[1].stack.close(net.now, server).unwrap(),
            1 => net.hosts[1].stack.shutdown(server, Direction::Read).unwrap(),
            _ => {
                net.hosts[0].stack.abort(client).unwrap();
                net.settle();
                net.hosts[1].stack.close(net.now, server).unwrap();
            }
        }
        assert!(
            before - net.hosts[1].stack.usage().receive_bytes <= 64 << 10,
            "freed by the call, way {way}"
        );
        assert!(freed_in_steps(&mut net, MOST) > UNREAD / MOST);
        assert_eq!(net.hosts[1].stack.usage().receive_bytes, 0);
        if way == 1 {
            assert_eq!(net.hosts[1].stack.recv(server, &mut [0; 10]), Ok(0));
            net.hosts[1].stack.close(net.now, server).unwrap();
        }
        net.run(Duration::from_secs(200));
        assert_eq!(net.hosts[1].stack.usage(), Default::default());
    }
}

#[test]
fn what_was_not_sent_is_freed_a_little_at_a_time() {
    const PAGES: usize = 1_000;
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    net.hosts[0].stack.set_option(net.now, client, SocketOption::SendBuffer(4 << 20)).unwrap();
    let page = Page(Rc::new(vec![3; 4096]));
    // Nothing arrives.
    net.passes = Box::new(|_| false);
    for _ in 0..PAGES {
        net.hosts[0].stack.send_page(net.now, client, page.clone(), 0..4096, Push::Now).unwrap();
    }
    net.settle();
    net.hosts[0].stack.abort(client).unwrap();
    let (mut calls, mut left) = (0, Rc::strong_count(&page.0));
    loop {
        let host = &mut net.hosts[0];
        let progress = host.stack.poll(net.now, &mut host.out);
        calls += 1;
        let now = Rc::strong_count(&page.0);
        assert!(left - now <= 160, "{} in one call", left - now);
        left = now;
        if progress == Progress::Done {
            break;
        }
    }
    assert_eq!(left, 1, "only the one here");
    assert!(calls > PAGES / 160, "{calls} calls");
    assert_eq!(net.hosts[0].stack.usage().send_pieces, 0);
    net.hosts[1].stack.abort(server).unwrap();
}

#[test]
fn slivers_of_pages_share_their_storage() {
    const SLIVERS: usize = 20_000;
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    let page = Page(Rc::new(pattern(4096)));
    let mut expected = Vec::new();
    for number in 0..SLIVERS {
        let at = number % 4_000;
        let taken =
            net.hosts[0].stack.send_page(net.now, client, page.clone(), at..at + 9, Push::More).unwrap();
        assert_eq!(taken, 9);
        expected.extend(&page.0[at..at + 9]);
    }
    assert!(net.hosts[0].stack.usage().send_pieces <= SLIVERS * 9 / 2048 + 2);
    assert_eq!(Rc::strong_count(&page.0), 1);
    let mut got = vec![0; expected.len()];
    let mut len = 0;
    while len < got.len() {
        net.run(Duration::from_millis(50));
        len += net.hosts[1].stack.recv(server, &mut got[len..]).unwrap_or(0);
    }
    assert_eq!(got, expected);
}

#[test]
fn while_memory_is_scarce_nothing_is_kept_and_later_all_arrives() {
    const LEN: usize = 200_000;
    let mut net = Net::new();
    let (client, server, listener) = net.connected(80);
    let far = net.hosts[1].stack.udp_open().unwrap();
    net.hosts[1].stack.bind(far, at(2, 53)).unwrap();
    let near = net.hosts[0].stack.udp_open().unwrap();
    net.hosts[1].stack.set_scarce(true);
    let before = net.hosts[1].stack.usage();
    let data = pattern(LEN);
    assert_eq!(net.hosts[0].stack.send_bytes(net.now, client, &data, Push::Now), Ok(LEN));
    let late = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, late, at(2, 80)).unwrap();
    let Host { stack, out } = &mut net.hosts[0];
    for len in [100, 1_400] {
        stack.send_to(net.now, near, &data[..len], Some(at(2, 53)), out).unwrap();
    }
    net.run(Duration::from_secs(2));
    let usage = net.hosts[1].stack.usage();
    assert_eq!((usage.receive_bytes, usage.sockets), (before.receive_bytes, before.sockets));
    assert_eq!(net.hosts[1].stack.accept(listener), Err(Error::WouldBlock));
    // What it has to send still leaves.
    assert_eq!(net.hosts[1].stack.send_bytes(net.now, server, b"busy", Push::Now), Ok(4));
    net.settle();
    assert_eq!(net.hosts[0].stack.recv(client, &mut [0; 10]), Ok(4));
    net.hosts[1].stack.set_scarce(false);
    let mut got: Vec<u8> = Vec::new();
    let mut buffer = [0; 8_000];
    for _ in 0..1_000 {
        net.run(Duration::from_millis(100));
        while let Ok(len) = net.hosts[1].stack.recv(server, &mut buffer) {
            got.extend(&buffer[..len]);
        }
        if got.len() == LEN {
            break;
        }
    }
    assert_eq!(got, data);
    assert!(net.hosts[1].stack.accept(listener).is_ok(), "who was ignored asked again");
}
