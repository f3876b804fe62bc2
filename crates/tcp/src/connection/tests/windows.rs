//! Sending: the peer's window, Nagle, silly windows, probes.

use super::rig::*;
use crate::*;
use swos_units::Duration;

impl Rig {
    fn peer_window(&mut self, seq: i32, ack: i32, window: u16) -> std::vec::Vec<Out> {
        self.deliver(Header { window, ..header(ACK, seq, ack) }, &[])
    }
}

#[test]
fn must_1_windows_above_32767_are_unsigned() {
    let mut rig = Rig::established();
    rig.peer_window(0, 0, u16::MAX);
    assert_eq!(rig.connection.send.window, 65_535);
}

#[test]
fn must_17_nagle_holds_a_second_small_segment_unless_off() {
    let mut rig = Rig::established();
    assert_eq!(shapes(&rig.push(10)), [(0, 10)]);
    assert!(rig.push(10).is_empty());
    assert_eq!(shapes(&rig.segment(ACK, 0, 10, &[])), [(10, 10)]);
    rig.connection.set_nagle(Nagle::Off);
    assert_eq!(shapes(&rig.push(10)), [(20, 10)]);
}

#[test]
fn tail_behind_full_segments_does_not_wait() {
    let mut rig = Rig::established();
    assert_eq!(shapes(&rig.push(2300)), [(0, 1000), (1000, 1000), (2000, 300)]);
    assert!(rig.push(50).is_empty());
}

#[test]
fn must_61_last_buffered_segment_is_pushed() {
    let mut rig = Rig::established();
    let out = rig.push(2300);
    assert_eq!(out.iter().map(|o| o.flags.contains(PSH)).collect::<std::vec::Vec<_>>(), [false, false, true]);
}

#[test]
fn sender_stays_within_the_window() {
    let mut rig = Rig::established();
    rig.peer_window(0, 0, 2500);
    assert_eq!(shapes(&rig.push(9000)), [(0, 1000), (1000, 1000)]);
    // MUST-38: the 500 octets left are silly while more could be sent.
    assert_eq!(shapes(&rig.peer_window(0, 1000, 2500)), [(2000, 1000)]);
}

#[test]
fn must_34_window_may_shrink() {
    let mut rig = Rig::established();
    rig.peer_window(0, 0, 3000);
    assert_eq!(rig.push(9000).len(), 3);
    assert!(rig.peer_window(0, 0, 500).is_empty());
    // What lies in the window is repeated; the rest waits.
    assert_eq!(shapes(&rig.expire()), [(0, 500)]);
    assert_eq!(rig.peer_window(0, 500, 5000)[0].seq, 500);
}

#[test]
fn must_35_to_37_closed_window_is_probed_for_ever() {
    let mut rig = Rig::established();
    rig.connection.set_user_timeout(Duration::from_secs(100));
    rig.peer_window(0, 0, 0);
    assert!(rig.push(5000).is_empty());
    let (start, mut last, mut gaps) = (rig.now, rig.now, std::vec::Vec::new());
    while rig.now.since(start) < Duration::from_secs(3600) {
        let out = rig.expire();
        assert_eq!(shapes(&out), [(0, 1)]);
        gaps.push(rig.now.since(last).as_millis());
        last = rig.now;
        // The peer answers, but its window stays closed.
        assert!(rig.peer_window(0, 0, 0).is_empty());
    }
    assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1]) && gaps[0] <= 1000, "{gaps:?}");
    assert_eq!(gaps.last(), Some(&60_000));
    // It opens: everything flows from the first octet.
    let out = rig.peer_window(0, 0, 20_000);
    assert_eq!(shapes(&out)[..2], [(0, 1000), (1000, 1000)]);
}

#[test]
fn probe_that_was_taken_is_not_sent_twice() {
    let mut rig = Rig::established();
    rig.peer_window(0, 0, 0);
    rig.push(5000);
    rig.expire();
    let out = rig.peer_window(0, 1, 20_000);
    assert_eq!(out[0].seq, 1);
    assert_eq!(rig.queue.len(), 4999);
}

#[test]
fn unanswered_probes_end_at_the_user_timeout() {
    let mut rig = Rig::established();
    rig.connection.set_user_timeout(Duration::from_secs(100));
    rig.peer_window(0, 0, 0);
    rig.push(5000);
    rig.wait(Duration::from_secs(200));
    assert_eq!(rig.connection.error(), Some(Error::TimedOut));
}

#[test]
fn window_that_closes_over_data_in_flight_is_probed_too() {
    let mut rig = Rig::established();
    assert_eq!(rig.push(3000).len(), 3);
    rig.peer_window(0, 0, 0);
    let before = rig.connection.congestion.window();
    for _ in 0..20 {
        assert_eq!(shapes(&rig.expire()), [(0, 1)]);
        rig.peer_window(0, 0, 0);
    }
    assert_eq!(rig.connection.congestion.window(), before);
    assert_eq!(rig.peer_window(0, 0, 3000).len(), 3);
    rig.peer_window(0, 3000, 3000);
    assert_eq!(rig.queue.len(), 0);
}

#[test]
fn must_38_small_window_is_used_after_the_override_time() {
    let mut rig = Rig::established();
    rig.peer_window(0, 0, 300);
    assert!(rig.push(5000).is_empty(), "300 is below half of the largest window");
    assert_eq!(rig.connection.deadline(), Some(rig.now + Duration::from_millis(200)));
    assert_eq!(shapes(&rig.expire()), [(0, 300)]);
}

#[test]
fn peer_with_a_tiny_buffer_is_served() {
    let mut rig = Rig::syn_sent(config());
    rig.deliver(Header { window: 100, ..peer_syn() }, &[]);
    assert_eq!(shapes(&rig.push(1000)), [(0, 100)]);
    assert_eq!(shapes(&rig.peer_window(0, 100, 60)), [(100, 60)]);
}

#[test]
fn fin_waits_for_a_closed_window_and_is_its_own_probe() {
    let mut rig = Rig::established();
    rig.peer_window(0, 0, 0);
    rig.connection.shutdown_send();
    assert!(rig.drain().is_empty());
    let out = rig.expire();
    assert_eq!((out[0].flags, out[0].seq, out[0].len), (FIN | ACK, 0, 0));
    rig.peer_window(0, 1, 0);
    assert_eq!(rig.state(), State::FinWait2);
}

#[test]
fn old_segments_do_not_move_the_window_back() {
    let mut rig = Rig::established();
    rig.segment(ACK, 0, 0, b"abc");
    rig.deliver(Header { window: 5000, ..header(ACK, 3, 0) }, &[]);
    rig.deliver(Header { window: 9000, ..header(ACK, 0, 0) }, b"abcd");
    assert_eq!(rig.connection.send.window, 5000);
}

#[test]
fn window_that_closes_before_the_repetition_is_probed() {
    let mut rig = Rig::established();
    assert_eq!(rig.push(3000).len(), 3);
    // The time-out comes while the device is full, so nothing leaves; then the window closes over the rest.
    rig.now = rig.now.max(rig.connection.deadline().unwrap());
    let _ = rig.connection.on_timeout(rig.now, &rig.config);
    assert!(rig.peer_window(0, 1000, 0).is_empty());
    assert_eq!(shapes(&rig.expire()), [(1000, 1)]);
    // The same when the window opens and closes again in one batch, with a probe in flight.
    rig.deliver_quietly(Header { window: 9000, ..header(ACK, 0, 1000) }, &[]);
    assert!(rig.peer_window(0, 1000, 0).is_empty());
    assert_eq!(shapes(&rig.expire()), [(1000, 1)]);
    // A peer that says nothing any more is given up.
    while rig.connection.deadline().is_some() {
        rig.expire();
    }
    assert_eq!(rig.state(), State::Closed);
}
