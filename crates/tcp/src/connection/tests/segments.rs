//! Receiving: order, duplicates, windows, acknowledgments.

use super::rig::*;
use crate::*;
use swos_units::Duration;

#[test]
fn in_order_data_is_acknowledged_with_delay_or_every_second() {
    let mut rig = Rig::established();
    assert!(rig.segment(ACK, 0, 0, &[1; 1000]).is_empty());
    // MUST-40
    assert_eq!(rig.connection.deadline(), Some(rig.now + Duration::from_millis(40)));
    let out = rig.segment(ACK, 1000, 0, &[2; 1000]);
    assert_eq!((out.len(), out[0].ack), (1, 2000));
    assert_eq!(rig.connection.deadline(), None);
    rig.segment(ACK, 2000, 0, &[3; 10]);
    assert_eq!(rig.expire()[0].ack, 2010);
    assert!(rig.expire_none());
}

impl Rig {
    fn expire_none(&self) -> bool {
        self.connection.deadline().is_none()
    }
}

#[test]
fn must_58_59_one_acknowledgment_for_a_batch() {
    let mut rig = Rig::established();
    for i in 0..6 {
        rig.deliver_quietly(header(ACK, i * 100, 0), &[7; 100]);
    }
    let out = rig.drain();
    assert_eq!((out.len(), out[0].ack), (1, 600));
}

#[test]
fn data_carries_the_acknowledgment() {
    let mut rig = Rig::established();
    rig.segment(ACK, 0, 0, &[1; 10]);
    let out = rig.push(5);
    assert_eq!((out.len(), out[0].len, out[0].ack), (1, 5, 10));
    assert!(rig.connection.deadline().is_some_and(|at| at > rig.now + Duration::from_millis(100)));
}

#[test]
fn gap_is_told_at_once_and_filled_at_once() {
    let mut rig = Rig::established();
    assert_eq!(rig.segment(ACK, 3, 0, b"defg")[0].ack, 0);
    assert_eq!(rig.segment(ACK, 10, 0, b"k")[0].ack, 0);
    assert_eq!(rig.segment(ACK, 7, 0, b"hij")[0].ack, 0);
    assert_eq!(rig.connection.readable(), 0);
    assert_eq!(rig.segment(ACK, 0, 0, b"abc")[0].ack, 11);
    assert_eq!(rig.read(), b"abcdefghijk");
    assert_eq!(rig.connection.memory_bytes(), 0);
}

#[test]
fn overlaps_and_duplicates_are_trimmed() {
    let mut rig = Rig::established();
    rig.segment(ACK, 0, 0, b"abc");
    assert!(rig.segment(ACK, -2, 0, b"..abcdef").len() <= 1);
    assert_eq!(rig.segment(ACK, 0, 0, b"abc")[0].ack, 6, "a duplicate is answered at once");
    assert_eq!(rig.read(), b"abcdef");
}

#[test]
fn every_split_and_order_of_a_stream() {
    // All orders of four pieces with overlap, across the wrap of the sequence space.
    let stream: std::vec::Vec<u8> = (0..=255).collect();
    let pieces = [(0, 80), (60, 140), (140, 200), (190, 256)];
    for order in 0..24 {
        let mut left = std::vec::Vec::from(pieces);
        let mut rig = Rig::established();
        rig.connection.receive.next = swos_wire::SeqNumber(u32::MAX - 100);
        rig.connection.receive.edge = rig.connection.receive.next + 10_000;
        let base = rig.connection.receive.next;
        let mut pick = order;
        for n in [4, 3, 2, 1] {
            let (from, to) = left.remove(pick % n);
            pick /= n;
            let header = Header { seq: base + u32::try_from(from).unwrap(), ..header(ACK, 0, 0) };
            rig.deliver(header, &stream[from..to]);
        }
        assert_eq!(rig.read(), stream, "order {order}");
    }
}

#[test]
fn reassembly_is_bounded() {
    let mut rig = Rig::established_with(Config { reassembly_ranges: 4, ..config() });
    for i in 1..=10 {
        assert_eq!(rig.segment(ACK, i * 10, 0, b"x").len(), 1);
    }
    assert_eq!(rig.connection.receive.assembler.len(), 4);
    // What was left out is simply sent again.
    for i in 0..10 {
        rig.segment(ACK, i * 10, 0, b"0123456789");
    }
    assert_eq!(rig.connection.readable(), 100);
}

#[test]
fn lone_octet_far_ahead_costs_one_chunk() {
    let mut rig = Rig::established_with(Config { receive_capacity: 65_535, ..config() });
    rig.segment(ACK, 65_000, 0, b"x");
    assert!(rig.connection.memory_bytes() < 8192, "{}", rig.connection.memory_bytes());
}

#[test]
fn must_66_closed_window_takes_control_but_no_text() {
    let mut rig = Rig::established_with(Config { receive_capacity: 1000, ..config() });
    rig.push(10);
    rig.segment(ACK, 0, 0, &[1; 1000]);
    assert_eq!(rig.connection.receive.window(), 0);
    // A probe: its text is dropped, its acknowledgment and urgent pointer count.
    let probe = Header { urgent: 3, ..header(ACK | URG, 1000, 10) };
    let out = rig.deliver(probe, b"p");
    assert_eq!((out[0].ack, out[0].window), (1000, 0));
    assert_eq!(rig.queue.len(), 0);
    assert!(rig.events.contains(Events::URGENT));
    rig.segment(RST, 1000, 0, &[]);
    assert_eq!(rig.connection.error(), Some(Error::Reset));
}

#[test]
fn must_39_window_opens_in_worthwhile_steps() {
    let mut rig = Rig::established_with(Config { receive_capacity: 4000, ..config() });
    for i in 0..4 {
        rig.segment(ACK, i * 1000, 0, &[9; 1000]);
    }
    assert_eq!(rig.connection.receive.window(), 0);
    let mut updates = 0;
    for read in 1..=40 {
        assert_eq!(rig.connection.consume(100), 100);
        for out in rig.drain() {
            updates += 1;
            assert!(out.window >= 1460, "silly window {} after {read}", out.window);
        }
    }
    assert!((1..=2).contains(&updates), "{updates}");
}

#[test]
fn must_39_answer_to_a_probe_shows_no_silly_window() {
    let mut rig = Rig::established_with(Config { receive_capacity: 4000, ..config() });
    for i in 0..4 {
        rig.segment(ACK, i * 1000, 0, &[9; 1000]);
    }
    rig.connection.consume(100);
    assert_eq!(rig.segment(ACK, 4000, 0, b"p")[0].window, 0);
    rig.connection.consume(1400);
    assert_eq!(rig.segment(ACK, 4000, 0, b"p")[0].window, 1500);
}

#[test]
fn promised_window_never_shrinks() {
    let mut rig = Rig::established();
    let edge = rig.connection.receive.edge;
    rig.connection.set_receive_capacity(100);
    rig.segment(ACK, 0, 0, &[1; 1000]);
    assert_eq!(rig.connection.receive.edge, edge);
    assert_eq!(rig.segment(ACK, 1000, 0, &[1; 1000])[0].window, 8000);
    assert_eq!(rig.connection.readable(), 2000);
}

#[test]
fn text_beyond_the_window_is_cut_off() {
    let mut rig = Rig::established_with(Config { receive_capacity: 2000, ..config() });
    rig.segment(FIN | ACK, 1500, 0, &[1; 1000]);
    rig.segment(ACK, 0, 0, &[2; 1500]);
    assert_eq!(rig.connection.readable(), 2000);
    assert_eq!(rig.state(), State::Established, "the FIN lies beyond the window");
}

#[test]
fn unacceptable_acks_do_not_start_an_ack_war() {
    let mut rig = Rig::established();
    let answers: usize = (0..1000).map(|_| rig.segment(ACK, -500, 0, &[]).len()).sum();
    assert_eq!(answers, usize::from(rig.config.challenge_acks));
    rig.now = rig.now + Duration::from_secs(1);
    assert_eq!(rig.segment(ACK, -500, 0, &[]).len(), 1);
}

#[test]
fn segment_without_ack_is_dropped() {
    let mut rig = Rig::established();
    assert!(rig.segment(PSH, 0, 0, b"x").is_empty());
    assert_eq!(rig.connection.readable(), 0);
}
