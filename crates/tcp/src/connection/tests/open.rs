//! Opening connections.

use super::rig::*;
use crate::*;
use swos_units::Duration;
use swos_wire::TcpOptions;

#[test]
fn must_14_syn_carries_our_mss_and_shift() {
    let config = Config { receive_capacity: 1 << 20, window_scale: WindowScale::Auto, ..Config::default() };
    let mut connection = Connection::connect(Default::default(), &config, Path::ipv4(1500), OURS);
    let syn = connection.poll_transmit(Default::default(), &config, &ByteQueue::new()).unwrap();
    // 65535 << 5 is the first that reaches 1 MiB.
    assert_eq!((syn.header.options.mss, syn.header.options.window_scale), (Some(1460), Some(5)));
    assert_eq!(syn.header.window, 65535);
}

#[test]
fn must_15_no_mss_option_means_536_or_1220() {
    for (path, expected) in [(Path::ipv4(1500), 536), (Path::ipv6(1500), 1220)] {
        let mut rig = Rig::syn_sent(config());
        rig.connection = Connection::connect(rig.now, &rig.config, path, OURS - 1);
        rig.drain();
        rig.deliver(Header { options: TcpOptions::NONE, ..peer_syn() }, &[]);
        assert_eq!(rig.push(3000)[0].len, expected);
    }
}

#[test]
fn must_16_segments_fit_the_smaller_of_both_limits() {
    for (peer, expected) in [(9000, 1460), (700, 700)] {
        let mut rig = Rig::syn_sent(config());
        let options = TcpOptions { mss: Some(peer), ..TcpOptions::NONE };
        rig.deliver(Header { options, ..peer_syn() }, &[]);
        assert_eq!(rig.push(3000)[0].len, expected);
    }
}

#[test]
fn tiny_mss_is_not_obeyed() {
    let mut rig = Rig::syn_sent(config());
    rig.deliver(Header { options: TcpOptions { mss: Some(1), ..TcpOptions::NONE }, ..peer_syn() }, &[]);
    assert!(rig.push(3000)[0].len >= 48);
}

#[test]
fn must_65_mss_and_shift_only_on_syn() {
    let mut rig = Rig::established();
    assert!(rig.push(10).iter().all(|out| out.options == TcpOptions::NONE));
}

#[test]
fn must_10_simultaneous_open() {
    let mut rig = Rig::in_state(State::SynReceived);
    // The peer's SYN-ACK repeats the number of its SYN.
    assert!(rig.deliver(peer_syn(), &[]).is_empty());
    assert_eq!(rig.state(), State::Established);
    assert!(rig.events.contains(Events::CONNECTED));
}

#[test]
fn simultaneous_open_between_two_of_ours() {
    let mut a = Rig::syn_sent(config());
    let config = config();
    let mut b = Connection::connect(a.now, &config, Path::ipv4(1500), THEIRS - 1);
    let mut queue = ByteQueue::new();
    let syn_a = Header { flags: SYN, seq: OURS - 1, ack: THEIRS, ..peer_syn() };
    let syn_b = b.poll_transmit(a.now, &config, &queue).unwrap().header;
    let _ = b.on_segment(a.now, &config, &syn_a, &[], &mut queue);
    let syn_ack_b = b.poll_transmit(a.now, &config, &queue).unwrap().header;
    let mut from_a = a.connection.on_segment(a.now, &config, &syn_b, &[], &mut a.queue);
    let syn_ack_a = a.connection.poll_transmit(a.now, &config, &a.queue).unwrap().header;
    from_a |= a.connection.on_segment(a.now, &config, &syn_ack_b, &[], &mut a.queue);
    let from_b = b.on_segment(a.now, &config, &syn_ack_a, &[], &mut queue);
    assert!(from_a.contains(Events::CONNECTED) && from_b.contains(Events::CONNECTED));
    assert_eq!((a.state(), b.state()), (State::Established, State::Established));
}

#[test]
fn syn_ack_with_text_and_fin() {
    let mut rig = Rig::syn_sent(config());
    let out = rig.deliver(Header { flags: SYN | ACK | FIN, ..peer_syn() }, b"hello");
    assert_eq!((out[0].flags, out[0].ack), (ACK, 6));
    assert_eq!(rig.read(), b"hello");
    assert!(rig.connection.at_eof());
    assert_eq!(rig.state(), State::CloseWait);
}

#[test]
fn must_23_syn_is_repeated_for_three_minutes() {
    let mut rig = Rig::syn_sent(config());
    let start = rig.now;
    let mut gaps = std::vec::Vec::new();
    let mut last = rig.now;
    while rig.state() == State::SynSent {
        let out = rig.expire();
        if rig.state() == State::SynSent {
            assert_eq!((out.len(), out[0].flags, out[0].seq), (1, SYN, -1));
            gaps.push(rig.now.since(last).as_millis());
            last = rig.now;
        }
    }
    assert_eq!(gaps, [1000, 2000, 4000, 8000, 16000, 32000, 60000]);
    assert!(rig.now.since(start) >= Duration::from_secs(180));
    assert_eq!(rig.connection.error(), Some(Error::TimedOut));
    assert!(rig.events.contains(Events::ABORTED | Events::CLOSED));
}

#[test]
fn refused_by_a_reset_with_our_number() {
    let mut rig = Rig::syn_sent(config());
    assert!(rig.segment(RST | ACK, 0, 0, &[]).is_empty());
    assert_eq!((rig.state(), rig.connection.error()), (State::Closed, Some(Error::Refused)));
}

#[test]
fn rfc_5681_lost_syn_means_one_segment_and_rto_3s() {
    let mut rig = Rig::syn_sent(config());
    rig.expire();
    rig.deliver(peer_syn(), &[]);
    assert_eq!(rig.push(5000).len(), 1, "initial window after a lost SYN");
    assert_eq!(rig.connection.deadline(), Some(rig.now + Duration::from_secs(3)));
}

#[test]
fn rfc_6928_initial_window_is_ten_segments() {
    let mut rig = Rig::established();
    assert_eq!(rig.push(18_000).len(), 10);
}

#[test]
fn window_scale_counts_only_if_both_offer() {
    let scaled = Config { receive_capacity: 1 << 20, window_scale: WindowScale::Auto, ..Config::default() };
    for (peer, room, window) in
        [(Some(2), 80_000, 1 << 15), (None, 20_000, u16::MAX), (Some(99), 20_000 << 14, 1 << 15)]
    {
        let mut rig = Rig::syn_sent(scaled.clone());
        let options = TcpOptions { mss: Some(1460), window_scale: peer, ..TcpOptions::NONE };
        let out = rig.deliver(Header { options, ..peer_syn() }, &[]);
        // In the SYN the peer's window is never scaled; in the next segment it is.
        assert_eq!(out[0].window, window);
        assert_eq!(rig.connection.send.window, 20_000);
        rig.segment(ACK, 0, 0, &[]);
        assert_eq!(rig.connection.send.window, room);
    }
}

#[test]
fn must_54_to_56_icmp_ends_only_handshakes_and_only_with_our_number() {
    let mut rig = Rig::syn_sent(config());
    assert_eq!(rig.connection.on_unreachable(Unreachable::Hard, OURS + 5), Events::empty());
    assert_eq!(rig.connection.on_unreachable(Unreachable::Soft, OURS - 1), Events::PATH_SUSPECT);
    assert_eq!(rig.state(), State::SynSent);
    assert_eq!(rig.connection.on_unreachable(Unreachable::Hard, OURS - 1), Events::ABORTED | Events::CLOSED);
    assert_eq!(rig.connection.error(), Some(Error::Unreachable));

    let mut rig = Rig::established();
    rig.push(100);
    assert_eq!(rig.connection.on_unreachable(Unreachable::Hard, OURS), Events::PATH_SUSPECT);
    assert_eq!(rig.state(), State::Established);
}

#[test]
fn path_mss_shrinks_but_not_to_nothing_nor_for_strangers() {
    let mut rig = Rig::established();
    assert_eq!(rig.push(2000).len(), 2);
    rig.connection.on_path_mss(500, OURS + 9999);
    assert!(rig.drain().is_empty());
    rig.connection.on_path_mss(500, OURS);
    assert_eq!(shapes(&rig.drain()), [(0, 500), (500, 500), (1000, 500), (1500, 500)]);
    rig.connection.on_path_mss(1, OURS);
    assert!(rig.drain().iter().all(|out| out.len >= 200));
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<Connection>() <= 512, "{}", size_of::<Connection>());
    assert!(size_of::<TimeWait>() <= 64);
}
