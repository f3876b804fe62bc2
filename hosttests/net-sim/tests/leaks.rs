//! T-8: nothing is left behind, however connections end.

use core::net::SocketAddrV4;

use swos_net_sim::{Faults, Ours, Probe, Segment, Simulation};
use swos_netstack::{Limits, SocketOption, Usage};
use swos_tcp::Config;
use swos_units::Duration;
use swos_wire::TcpFlags;

fn assert_empty(usage: Usage, sockets: usize) {
    assert_eq!(usage, Usage { sockets, ..Usage::default() });
}

#[test]
fn ten_thousand_connections_thousand_at_once_leave_nothing() {
    let config = Config::default();
    let client = Ours::new(1, 1, config.clone(), Limits::default());
    let server = Ours::new(2, 2, config, Limits::default());
    let mut simulation = Simulation::new(3, Faults::none(Duration::from_millis(10)), client, server);
    let outcome = simulation.run(10_000, 1000, 2000);
    assert_eq!((outcome.complete, outcome.served, outcome.told), (10_000, 10_000, 0));
    // TIME-WAIT is bounded and passes.
    assert!(simulation.client.stack.usage().time_wait <= Limits::default().time_wait);
    simulation.idle(Duration::from_secs(200));
    assert_empty(simulation.client.stack.usage(), 0);
    assert_empty(simulation.server.stack.usage(), 1);
}

#[test]
fn bad_link_leaves_nothing() {
    let config = Config::default();
    let client = Ours::new(1, 1, config.clone(), Limits::default());
    let server = Ours::new(2, 2, config, Limits::default());
    let mut simulation = Simulation::new(4, Faults::all(10, Duration::from_millis(10)), client, server);
    let outcome = simulation.run(300, 100, 20_000);
    assert_eq!((outcome.wrong, outcome.stuck), (0, 0));
    simulation.idle(Duration::from_secs(1000));
    assert_empty(simulation.client.stack.usage(), 0);
    assert_empty(simulation.server.stack.usage(), 1);
}

/// Peers that shake hands and are never heard again.
#[test]
fn silent_peers_are_reaped_by_keep_alive_and_user_timeout() {
    let mut probe = Probe::new(1, Config::default());
    let listener = probe.listen(80, 2000).unwrap();
    let mut sockets = Vec::new();
    for i in 0..1000_u16 {
        let me = SocketAddrV4::new(Probe::PEER, 10_000 + i);
        let to = || Segment::to(Probe::ADDRESS, 80).from(me);
        let syn_ack = probe.inject(&to().syn(1)).remove(0);
        let _ = probe.inject(&to().with(TcpFlags::ACK, 2, syn_ack.seq.wrapping_add(1)));
        let (socket, _) = probe.stack().accept(listener).unwrap();
        let now = probe.now();
        let minute = Duration::from_secs(60);
        match i % 3 {
            // Idle, probed.
            0 => probe.stack().set_option(now, socket, SocketOption::KeepAlive(Some(minute))).unwrap(),
            // Waiting for an acknowledgment.
            1 => {
                probe.stack().send_bytes(now, socket, b"anybody?", swos_netstack::Push::Now).unwrap();
            }
            // Closed from our side.
            _ => probe.stack().close(now, socket).unwrap(),
        }
        sockets.push(socket);
    }
    assert_eq!(probe.stack().usage().flows, 1000);
    let _ = probe.advance(Duration::from_secs(3600));
    let now = probe.now();
    for (i, socket) in sockets.into_iter().enumerate() {
        if i % 3 != 2 {
            assert!(
                probe.stack().recv(socket, &mut [0; 4]).is_err(),
                "socket {i} learns that its peer is gone"
            );
            probe.stack().close(now, socket).unwrap();
        }
    }
    let _ = probe.settle();
    assert_empty(probe.stack().usage(), 1);
}
