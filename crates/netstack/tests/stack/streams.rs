//! TCP between two stacks: data, ends, refusals, errors, time.

use std::rc::Rc;

use crate::net::{Net, Page, at, config, pattern};
use swos_netstack::{Direction, Error, Push, Readiness, SocketOption, State, Switch};
use swos_units::Duration;

#[test]
fn bytes_arrive_in_both_directions() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    let data = pattern(300_000);
    assert_eq!(net.transfer((0, client), (1, server), &data), data);
    assert_eq!(net.transfer((1, server), (0, client), &data), data);
}

#[test]
fn pages_and_bytes_share_a_stream() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    let page = Page(Rc::new(pattern(4096)));
    let mut expected = b"head: 7\r\n\r\n".to_vec();
    let stack = &mut net.hosts[1].stack;
    assert_eq!(stack.send_bytes(net.now, server, &expected, Push::More), Ok(11));
    for range in [0..4096, 1..4096, 100..101, 4000..4000, 7..4001] {
        assert_eq!(
            stack.send_page(net.now, server, page.clone(), range.clone(), Push::More),
            Ok(range.len())
        );
        expected.extend(&page.0[range]);
    }
    assert_eq!(stack.send_bytes(net.now, server, b"tail", Push::Now), Ok(4));
    expected.extend(b"tail");
    assert_eq!(stack.send_page(net.now, server, page.clone(), 0..4097, Push::Now), Err(Error::BadValue));
    assert_eq!(Rc::strong_count(&page.0), 4, "neither an empty slice nor a sliver is held");
    net.settle();
    let mut got = vec![0; expected.len() + 1];
    let mut len = 0;
    while let Ok(more) = net.hosts[0].stack.recv(client, &mut got[len..]) {
        len += more;
        net.settle();
    }
    assert_eq!(got[..len], expected);
    net.run(Duration::from_secs(1));
    assert_eq!(Rc::strong_count(&page.0), 1, "acknowledged pages are given back");
    assert_eq!(net.hosts[1].stack.usage().send_pieces, 0);
}

#[test]
fn a_head_that_announces_more_shares_its_segment() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    net.run(Duration::from_secs(1));
    let before = net.frames;
    net.hosts[1].stack.send_bytes(net.now, server, b"head", Push::More).unwrap();
    net.settle();
    assert_eq!(net.frames, before, "nothing leaves yet");
    net.hosts[1].stack.send_bytes(net.now, server, b"body", Push::Now).unwrap();
    net.settle();
    assert_eq!(net.frames, before + 1);
    assert_eq!(net.hosts[0].stack.peek(client), Ok(&b"headbody"[..]));
    // Announced, but never sent: the head goes alone after a while.
    net.hosts[1].stack.send_bytes(net.now, server, b"lone", Push::More).unwrap();
    net.run(Duration::from_millis(300));
    assert_eq!(net.hosts[0].stack.peek(client), Ok(&b"headbodylone"[..]));
}

#[test]
fn both_close_and_nothing_is_left_but_time_wait() {
    let mut net = Net::new();
    let (client, server, listener) = net.connected(80);
    net.hosts[0].stack.send_bytes(net.now, client, b"last words", Push::Now).unwrap();
    net.hosts[0].stack.close(net.now, client).unwrap();
    assert_eq!(net.hosts[0].stack.send_bytes(net.now, client, b"x", Push::Now), Err(Error::BadSocket));
    net.settle();
    let mut buffer = [0; 100];
    assert_eq!(net.hosts[1].stack.recv(server, &mut buffer), Ok(10));
    assert_eq!(net.hosts[1].stack.recv(server, &mut buffer), Ok(0));
    assert_eq!(net.hosts[1].stack.tcp_state(server), Ok(State::CloseWait));
    net.hosts[1].stack.close(net.now, server).unwrap();
    net.settle();
    assert_eq!(net.hosts[0].stack.usage().time_wait, 1);
    assert_eq!(net.hosts[0].stack.usage().sockets, 0);
    assert_eq!(net.hosts[1].stack.usage().time_wait, 0);
    assert_eq!((net.hosts[1].stack.usage().sockets, net.hosts[1].stack.usage().flows), (1, 0));
    net.hosts[1].stack.close(net.now, listener).unwrap();
    net.run(Duration::from_secs(121));
    for host in &net.hosts {
        assert_eq!(host.stack.usage(), Default::default());
    }
}

#[test]
fn connections_opened_at_once_do_not_wait_for_a_repetition() {
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 8).unwrap();
    for _ in 0..4 {
        let client = net.hosts[0].stack.tcp_open().unwrap();
        let _ = net.hosts[0].stack.connect(net.now, client, at(2, 80));
    }
    // Neither side knows the other's link address yet, and no time passes.
    net.settle();
    for _ in 0..4 {
        assert!(net.hosts[1].stack.accept(listener).is_ok());
    }
}

#[test]
fn nobody_listens_means_refused() {
    let mut net = Net::new();
    let client = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, client, at(2, 81)).unwrap();
    assert_eq!(net.hosts[0].stack.connect(net.now, client, at(2, 81)), Err(Error::InProgress));
    assert_eq!(net.hosts[0].stack.readiness(client), Ok(Readiness::empty()));
    net.settle();
    let bits = Readiness::IN | Readiness::OUT | Readiness::ERR | Readiness::HUP;
    assert_eq!(net.hosts[0].stack.poll_event(), Some((client, bits)));
    assert_eq!(net.hosts[0].stack.poll_event(), None);
    assert_eq!(net.hosts[0].stack.readiness(client), Ok(bits));
    assert_eq!(net.hosts[0].stack.take_error(client), Ok(Some(Error::Refused)));
    assert_eq!(net.hosts[0].stack.take_error(client), Ok(None));
    assert_eq!(net.hosts[0].stack.recv(client, &mut [0; 4]), Ok(0));
    assert_eq!(net.hosts[0].stack.send_bytes(net.now, client, b"x", Push::Now), Err(Error::Closed));
    net.hosts[0].stack.close(net.now, client).unwrap();
    net.settle();
    assert_eq!(net.hosts[0].stack.usage(), Default::default());
}

#[test]
fn a_silent_neighbour_is_an_error_soon_and_a_host_behind_it_later() {
    let mut net = Net::new();
    let client = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, client, at(77, 80)).unwrap();
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[0].stack.take_error(client), Ok(Some(Error::HostUnreachable)));
    let behind = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, behind, "198.51.100.1:80".parse().unwrap()).unwrap();
    net.run(Duration::from_secs(4));
    assert_eq!(
        net.hosts[0].stack.take_error(behind),
        Ok(Some(Error::HostUnreachable)),
        "the gateway is silent"
    );
}

#[test]
fn a_reset_is_told_once_after_the_data() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    net.hosts[0].stack.send_bytes(net.now, client, b"data", Push::Now).unwrap();
    net.settle();
    net.hosts[0].stack.abort(client).unwrap();
    net.settle();
    assert!(net.hosts[1].stack.readiness(server).unwrap().contains(Readiness::ERR | Readiness::HUP));
    let mut buffer = [0; 100];
    assert_eq!(net.hosts[1].stack.recv(server, &mut buffer), Ok(4));
    assert_eq!(net.hosts[1].stack.recv(server, &mut buffer), Err(Error::Reset));
    assert_eq!(net.hosts[1].stack.recv(server, &mut buffer), Ok(0));
    assert_eq!(net.hosts[0].stack.usage(), Default::default());
    assert_eq!(net.hosts[1].stack.usage().flows, 0);
}

#[test]
fn readiness_is_told_at_the_edge_and_kept_as_a_level() {
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 4).unwrap();
    let client = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, client, at(2, 80)).unwrap();
    net.settle();
    assert_eq!(net.hosts[0].stack.poll_event(), Some((client, Readiness::OUT)));
    assert_eq!(net.hosts[0].stack.poll_event(), None);
    assert_eq!(net.hosts[1].stack.poll_event(), Some((listener, Readiness::IN)));
    assert_eq!(net.hosts[1].stack.readiness(listener), Ok(Readiness::IN));
    let (server, _) = net.hosts[1].stack.accept(listener).unwrap();
    assert_eq!(net.hosts[1].stack.readiness(listener), Ok(Readiness::empty()));
    assert_eq!(net.hosts[1].stack.accept(listener), Err(Error::WouldBlock));
    assert_eq!(net.hosts[1].stack.readiness(server), Ok(Readiness::OUT));
    net.hosts[0].stack.send_bytes(net.now, client, b"one", Push::Now).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].stack.poll_event(), Some((server, Readiness::IN)));
    net.hosts[0].stack.send_bytes(net.now, client, b"two", Push::Now).unwrap();
    net.run(Duration::from_millis(100));
    assert_eq!(net.hosts[1].stack.poll_event(), Some((server, Readiness::IN)), "new data is a new edge");
    assert_eq!(net.hosts[1].stack.poll_event(), None);
    net.hosts[0].stack.shutdown(client, Direction::Write).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].stack.poll_event(), Some((server, Readiness::IN)));
}

#[test]
fn a_full_queue_blocks_and_tells_when_there_is_room() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    while net.hosts[0].stack.poll_event().is_some() {}
    net.hosts[0].stack.set_option(net.now, client, SocketOption::SendBuffer(8192)).unwrap();
    assert_eq!(net.hosts[0].stack.send_bytes(net.now, client, &pattern(10_000), Push::Now), Ok(8192));
    assert_eq!(net.hosts[0].stack.send_bytes(net.now, client, b"x", Push::Now), Err(Error::WouldBlock));
    assert_eq!(net.hosts[0].stack.send_room(client), Ok(0));
    assert!(!net.hosts[0].stack.readiness(client).unwrap().contains(Readiness::OUT));
    net.settle();
    assert_eq!(net.hosts[0].stack.poll_event(), Some((client, Readiness::OUT)));
    assert!(net.hosts[0].stack.readiness(client).unwrap().contains(Readiness::OUT));
    assert_eq!(net.hosts[1].stack.recv(server, &mut [0; 10_000]), Ok(8192));
}

#[test]
fn a_full_device_holds_work_back_until_it_has_room() {
    let mut net = Net::new();
    for host in &mut net.hosts {
        host.out.capacity = 1;
    }
    let (client, server, _) = net.connected(80);
    let data = pattern(100_000);
    assert_eq!(net.transfer((1, server), (0, client), &data), data);
}

#[test]
fn a_backlog_is_kept_and_a_place_that_comes_free_is_used() {
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 2).unwrap();
    let clients: Vec<_> = (0..3).map(|_| net.hosts[0].stack.tcp_open().unwrap()).collect();
    for client in &clients {
        net.hosts[0].stack.connect(net.now, *client, at(2, 80)).unwrap();
        net.settle();
    }
    let state = |net: &Net, at: usize| net.hosts[0].stack.tcp_state(clients[at]).unwrap();
    assert_eq!((state(&net, 1), state(&net, 2)), (State::Established, State::SynSent));
    net.hosts[1].stack.accept(listener).unwrap();
    net.run(Duration::from_secs(2));
    assert_eq!(state(&net, 2), State::Established, "the SYN is repeated and finds a place");
    // Those that nobody accepted are reset when the listener closes.
    net.hosts[1].stack.close(net.now, listener).unwrap();
    net.settle();
    assert_eq!(net.hosts[0].stack.take_error(clients[1]), Ok(Some(Error::Reset)));
    assert_eq!(net.hosts[0].stack.take_error(clients[0]), Ok(None));
    assert_eq!(net.hosts[1].stack.usage().sockets, 1);
}

#[test]
fn ports_are_shared_only_as_far_as_the_owner_allows() {
    let mut net = Net::new();
    let (client, server, listener) = net.connected(80);
    let stack = &mut net.hosts[1].stack;
    let second = stack.tcp_open().unwrap();
    assert_eq!(stack.bind(second, at(2, 80)), Err(Error::AddressInUse));
    assert_eq!(stack.bind(second, at(9, 80)), Err(Error::AddressNotAvailable));
    stack.close(net.now, listener).unwrap();
    assert_eq!(stack.bind(second, at(2, 80)), Err(Error::AddressInUse), "a connection has the port");
    stack.set_option(net.now, second, SocketOption::ReuseAddress(Switch::On)).unwrap();
    assert_eq!(stack.bind(second, at(2, 80)), Ok(()));
    assert_eq!(stack.bind(second, at(2, 81)), Err(Error::AlreadyConnected));
    assert_eq!(stack.listen(second, 1), Ok(()));
    stack.close(net.now, second).unwrap();
    stack.abort(server).unwrap();
    net.settle();
    let third = net.hosts[1].stack.tcp_open().unwrap();
    assert_eq!(net.hosts[1].stack.bind(third, at(2, 80)), Ok(()), "all gone");
    let _ = client;
}

#[test]
fn an_idle_peer_that_vanished_is_found_out() {
    let mut net = Net::new();
    let (_client, server, _) = net.connected(80);
    let idle = Some(Duration::from_secs(60));
    net.hosts[1].stack.set_option(net.now, server, SocketOption::KeepAlive(idle)).unwrap();
    net.run(Duration::from_secs(600));
    assert_eq!(net.hosts[1].stack.tcp_state(server), Ok(State::Established), "probes are answered");
    net.passes = Box::new(|_| false);
    net.run(Duration::from_secs(3600));
    assert_eq!(net.hosts[1].stack.take_error(server), Ok(Some(Error::TimedOut)));
}

#[test]
fn loss_delays_and_changes_nothing() {
    let mut net = Net::new();
    let (client, server, _) = net.connected(80);
    let mut count = 0u32;
    net.passes = Box::new(move |_| {
        count += 1;
        !count.is_multiple_of(17)
    });
    let data = pattern(200_000);
    assert_eq!(net.transfer((0, client), (1, server), &data), data);
    assert_eq!(net.transfer((1, server), (0, client), &data), data);
}

#[test]
fn a_program_talks_to_itself() {
    let mut net = Net::new();
    let now = net.now;
    for home in ["127.0.0.1:8080", "192.0.2.1:8081"] {
        let home = home.parse().unwrap();
        let stack = &mut net.hosts[0].stack;
        let (listener, client) = (stack.tcp_open().unwrap(), stack.tcp_open().unwrap());
        stack.bind(listener, home).unwrap();
        stack.listen(listener, 1).unwrap();
        stack.connect(now, client, home).unwrap();
        net.settle();
        let (server, _) = net.hosts[0].stack.accept(listener).unwrap();
        let data = pattern(400_000);
        assert_eq!(net.transfer((0, client), (0, server), &data), data);
    }
    // Nothing but the announcement of the address leaves the host, and nobody outside reaches it.
    assert_eq!(net.hosts[0].stack.counters().frames_sent, 1);
}

#[test]
fn without_an_address_there_is_only_home() {
    let mut alone = config(1);
    alone.ipv4 = None;
    let mut net = Net::with(alone, config(2));
    let stack = &mut net.hosts[0].stack;
    let client = stack.tcp_open().unwrap();
    assert_eq!(stack.connect(net.now, client, at(2, 80)), Err(Error::NetworkDown));
    assert_eq!(stack.connect(net.now, client, "127.0.0.1:80".parse().unwrap()), Ok(()));
    net.settle();
    assert_eq!(net.hosts[0].stack.take_error(client), Ok(Some(Error::Refused)));
}

#[test]
fn destinations_that_are_no_host_are_refused() {
    let mut net = Net::new();
    let stack = &mut net.hosts[0].stack;
    let client = stack.tcp_open().unwrap();
    for bad in
        ["255.255.255.255:80", "192.0.2.255:80", "224.0.0.1:80", "0.0.0.0:80", "240.0.0.1:80", "192.0.2.2:0"]
    {
        assert_eq!(stack.connect(net.now, client, bad.parse().unwrap()), Err(Error::BadDestination), "{bad}");
    }
}

#[test]
fn a_port_is_reused_out_of_time_wait_by_a_newer_connection() {
    let mut net = Net::new();
    let (client, server, listener) = net.connected(80);
    let local = net.hosts[0].stack.local(client).unwrap();
    // The server closes first, so TIME-WAIT is on its side.
    net.hosts[1].stack.close(net.now, server).unwrap();
    net.settle();
    net.hosts[0].stack.close(net.now, client).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].stack.usage().time_wait, 1);
    net.run(Duration::from_secs(1));
    let again = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.bind(again, local).unwrap();
    net.hosts[0].stack.connect(net.now, again, at(2, 80)).unwrap();
    net.settle();
    assert!(net.hosts[1].stack.accept(listener).is_ok());
    assert_eq!(net.hosts[1].stack.usage().flows, 1);
    net.run(Duration::from_secs(200));
    assert_eq!(net.hosts[1].stack.usage().flows, 1, "the old entry's end does not touch the new connection");
    assert_eq!(net.hosts[1].stack.usage().time_wait, 0);
}

#[test]
fn what_was_reset_before_it_was_accepted_is_passed_over() {
    let mut net = Net::new();
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, at(2, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 2).unwrap();
    let clients = [(); 2].map(|()| {
        let client = net.hosts[0].stack.tcp_open().unwrap();
        net.hosts[0].stack.connect(net.now, client, at(2, 80)).unwrap();
        net.settle();
        client
    });
    net.hosts[0].stack.abort(clients[0]).unwrap();
    net.settle();
    let (_, peer) = net.hosts[1].stack.accept(listener).unwrap();
    assert_eq!(Ok(peer), net.hosts[0].stack.local(clients[1]));
    assert_eq!(net.hosts[1].stack.accept(listener), Err(Error::WouldBlock));
    net.settle();
    assert_eq!(net.hosts[1].stack.usage().sockets, 2);
}
