//! Loss: time-outs, fast retransmit, recovery, the congestion window.

use super::rig::*;
use crate::*;
use swos_units::Duration;

/// A connection with `segments` full segments in flight; its measured RTT is 100 ms.
fn in_flight(segments: usize) -> Rig {
    let mut rig = Rig::syn_sent(config());
    rig.now = rig.now + Duration::from_millis(100);
    rig.deliver(peer_syn(), &[]);
    assert_eq!(rig.push(segments * usize::from(MSS)).len(), segments);
    rig
}

#[test]
fn rto_starts_from_the_handshake_sample() {
    let rig = in_flight(1);
    // SRTT 100 ms, RTTVAR 50 ms: 300 ms.
    assert_eq!(rig.connection.deadline(), Some(rig.now + Duration::from_millis(300)));
}

#[test]
fn must_19_time_out_backs_off_and_slow_starts() {
    let mut rig = in_flight(8);
    let (mut gaps, mut last) = (std::vec::Vec::new(), rig.now);
    for _ in 0..5 {
        // One segment, the oldest.
        assert_eq!(shapes(&rig.expire()), [(0, 1000)]);
        gaps.push(rig.now.since(last).as_millis());
        last = rig.now;
    }
    assert_eq!(gaps, [300, 600, 1200, 2400, 4800]);
    assert_eq!(rig.connection.congestion.threshold(), 4000);
    // Slow start: each acknowledgment lets two go.
    assert_eq!(shapes(&rig.segment(ACK, 0, 1000, &[])), [(1000, 1000), (2000, 1000)]);
}

#[test]
fn must_18_karn_repeated_segment_is_not_measured() {
    let mut rig = in_flight(1);
    rig.expire();
    let backed_off = rig.connection.rtt.timeout(&rig.config);
    rig.now = rig.now + Duration::from_secs(3);
    rig.segment(ACK, 0, 1000, &[]);
    // Neither a sample nor an end of the backing off.
    assert_eq!(rig.connection.rtt.timeout(&rig.config), backed_off);
    rig.push(1000);
    rig.now = rig.now + Duration::from_millis(100);
    rig.segment(ACK, 0, 2000, &[]);
    assert!(rig.connection.rtt.timeout(&rig.config) < backed_off);
}

#[test]
fn acknowledgment_beyond_what_is_being_repeated_skips_ahead() {
    let mut rig = in_flight(4);
    rig.expire();
    assert!(rig.segment(ACK, 0, 4000, &[]).is_empty());
    assert_eq!((rig.queue.len(), rig.connection.deadline()), (0, None));
    assert_eq!(shapes(&rig.push(100)), [(4000, 100)]);
}

#[test]
fn rfc_3042_first_two_duplicates_let_new_data_out() {
    let mut rig = in_flight(10);
    rig.queue.push(&[0; 5000]);
    assert!(rig.drain().is_empty(), "window is full");
    let cwnd = rig.connection.congestion.window();
    assert_eq!(shapes(&rig.segment(ACK, 0, 0, &[])), [(10_000, 1000)]);
    assert_eq!(shapes(&rig.segment(ACK, 0, 0, &[])), [(11_000, 1000)]);
    assert_eq!(rig.connection.congestion.window(), cwnd);
}

#[test]
fn rfc_5681_third_duplicate_repeats_at_once() {
    let mut rig = in_flight(10);
    rig.segment(ACK, 0, 0, &[]);
    rig.segment(ACK, 0, 0, &[]);
    assert_eq!(shapes(&rig.segment(ACK, 0, 0, &[])), [(0, 1000)]);
    assert_eq!(rig.connection.congestion.threshold(), 5000);
    assert_eq!(rig.connection.congestion.window(), 8000);
    // One more each, and the whole answer ends it at the threshold.
    rig.segment(ACK, 0, 0, &[]);
    assert_eq!(rig.connection.congestion.window(), 9000);
    rig.segment(ACK, 0, 10_000, &[]);
    assert!(rig.connection.congestion.window() <= 5000);
}

#[test]
fn rfc_6582_partial_acknowledgment_repeats_the_next_hole() {
    let mut rig = in_flight(10);
    for _ in 0..3 {
        rig.segment(ACK, 0, 0, &[]);
    }
    assert_eq!(shapes(&rig.segment(ACK, 0, 3000, &[])), [(3000, 1000)]);
    assert_eq!(shapes(&rig.segment(ACK, 0, 7000, &[])), [(7000, 1000)]);
    assert!(rig.segment(ACK, 0, 10_000, &[]).is_empty());
    assert_eq!(rig.connection.congestion.threshold(), 5000, "one reduction a window");
}

#[test]
fn not_every_repeated_ack_is_a_duplicate() {
    let mut rig = in_flight(10);
    for window in [WINDOW - 1, WINDOW - 2, WINDOW - 3, WINDOW - 4] {
        assert!(rig.deliver(Header { window, ..header(ACK, 0, 0) }, &[]).is_empty(), "window updates");
    }
    for i in 0..4 {
        rig.segment(ACK, i, 0, b"x");
    }
    assert_eq!(rig.connection.send.duplicates, 0, "data is no duplicate ACK");
}

#[test]
fn rfc_6582_duplicates_after_a_time_out_do_not_halve_again() {
    let mut rig = in_flight(10);
    rig.expire();
    let threshold = rig.connection.congestion.threshold();
    for _ in 0..5 {
        rig.segment(ACK, 0, 0, &[]);
    }
    assert_eq!(rig.connection.congestion.threshold(), threshold);
    assert_eq!(rig.connection.congestion.window(), 1000);
}

#[test]
fn rfc_5681_restart_after_idle() {
    let mut rig = in_flight(10);
    rig.segment(ACK, 0, 10_000, &[]);
    rig.connection.congestion.on_ack(&rig.config, 1000, 20_000, 1000);
    for i in 1..6 {
        assert!(!rig.push(10_000).is_empty());
        rig.segment(ACK, 0, 10_000 + i * 10_000, &[]);
    }
    assert!(rig.connection.congestion.window() > 10_000);
    rig.now = rig.now + Duration::from_secs(10);
    assert_eq!(rig.push(20_000).len(), 10);
}

#[test]
fn lost_retransmission_is_repeated_by_the_timer() {
    let mut rig = in_flight(10);
    for _ in 0..3 {
        rig.segment(ACK, 0, 0, &[]);
    }
    let out = rig.expire();
    assert_eq!(shapes(&out), [(0, 1000)]);
    assert_eq!(rig.connection.send.recovery, super::super::sender::Recovery::Open);
}

#[test]
fn late_and_repeated_time_outs_are_harmless() {
    let mut rig = in_flight(3);
    for _ in 0..10 {
        let _ = rig.connection.on_timeout(rig.now, &rig.config);
        assert!(rig.drain().is_empty());
    }
    rig.now = rig.now + Duration::from_secs(1);
    let _ = rig.connection.on_timeout(rig.now, &rig.config);
    let _ = rig.connection.on_timeout(rig.now, &rig.config);
    assert_eq!(rig.drain().len(), 1);
    assert_eq!(rig.connection.send.timeouts, 1);
}
