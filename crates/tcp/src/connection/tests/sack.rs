//! Selective acknowledgments and time stamps.

use super::rig::*;
use crate::*;
use std::vec::Vec;
use swos_units::Duration;
use swos_wire::{SackBlocks, TcpOptions, TcpTimestamp};

/// ESTABLISHED with SACK, `segments` full segments in flight.
fn in_flight(segments: usize) -> Rig {
    let mut rig = Rig::syn_sent(config());
    rig.now = rig.now + Duration::from_millis(100);
    let options = TcpOptions { mss: Some(MSS), sack_permitted: true, ..TcpOptions::NONE };
    rig.deliver(Header { options, ..peer_syn() }, &[]);
    assert_eq!(rig.push(segments * usize::from(MSS)).len(), segments);
    rig
}

fn blocks(ranges: &[(u32, u32)]) -> SackBlocks {
    let mut blocks = SackBlocks::EMPTY;
    ranges.iter().for_each(|&(start, end)| blocks.push(OURS + start, OURS + end));
    blocks
}

impl Rig {
    fn sack(&mut self, ack: i32, ranges: &[(u32, u32)]) -> Vec<(i32, usize)> {
        let options = TcpOptions { sack: blocks(ranges), ..TcpOptions::NONE };
        shapes(&self.deliver(Header { options, ..header(ACK, 0, ack) }, &[]))
    }
}

#[test]
fn rfc_2018_2_only_if_both_sides_permit() {
    let mut rig = Rig::established();
    assert_eq!(rig.segment(ACK, 10, 0, b"x")[0].options, TcpOptions::NONE);
    let mut refusing =
        Connection::connect(rig.now, &Config { sack: Extension::Off, ..config() }, Path::ipv4(1500), OURS);
    let syn =
        refusing.poll_transmit(rig.now, &Config { sack: Extension::Off, ..config() }, &rig.queue).unwrap();
    assert!(!syn.header.options.sack_permitted);
}

#[test]
fn rfc_2018_4_newest_block_first_then_recent_ones() {
    let mut rig = in_flight(1);
    let told = |rig: &mut Rig, seq: i32| -> Vec<(u32, u32)> {
        let out = rig.segment(ACK, seq, 0, &[1; 10]);
        out[0].options.sack.as_slice().iter().map(|(a, b)| (a.since(THEIRS), b.since(THEIRS))).collect()
    };
    assert_eq!(told(&mut rig, 100), [(100, 110)]);
    assert_eq!(told(&mut rig, 300), [(300, 310), (100, 110)]);
    assert_eq!(told(&mut rig, 200), [(200, 210), (300, 310), (100, 110)]);
    assert_eq!(told(&mut rig, 110), [(100, 120), (200, 210), (300, 310)]);
    assert_eq!(told(&mut rig, 400), [(400, 410), (100, 120), (200, 210), (300, 310)]);
    assert_eq!(told(&mut rig, 500).len(), 4);
    // Once the gap is filled there is nothing to tell.
    assert_eq!(rig.segment(ACK, 0, 0, &[1; 520])[0].options, TcpOptions::NONE);
}

#[test]
fn data_leaves_room_for_the_option() {
    let mut rig = in_flight(0);
    rig.segment(ACK, 100, 0, b"x");
    assert_eq!(rig.push(3000)[0].len, usize::from(MSS) - 12);
}

#[test]
fn rfc_6675_repeats_every_hole_in_one_round_trip() {
    let mut rig = in_flight(10);
    // Segments 0, 3 and 6 are lost.
    assert!(rig.sack(0, &[(1000, 2000)]).is_empty());
    assert!(rig.sack(0, &[(1000, 3000)]).is_empty());
    assert_eq!(rig.sack(0, &[(4000, 5000), (1000, 3000)]), [(0, 1000)]);
    assert_eq!(rig.connection.congestion.threshold(), 5000);
    let mut repeated = Vec::new();
    repeated.extend(rig.sack(0, &[(4000, 6000), (1000, 3000)]));
    repeated.extend(rig.sack(0, &[(7000, 8000), (4000, 6000), (1000, 3000)]));
    repeated.extend(rig.sack(0, &[(7000, 9000), (4000, 6000), (1000, 3000)]));
    repeated.extend(rig.sack(0, &[(7000, 10_000), (4000, 6000), (1000, 3000)]));
    assert_eq!(repeated, [(3000, 1000), (6000, 1000)]);
    assert!(rig.sack(10_000, &[]).is_empty());
    assert_eq!(rig.connection.congestion.window(), 5000, "one reduction");
    assert_eq!(rig.connection.memory_bytes(), 0);
}

#[test]
fn partial_acknowledgment_shows_the_next_hole() {
    let mut rig = in_flight(6);
    rig.sack(0, &[(1000, 2000)]);
    rig.sack(0, &[(1000, 3000)]);
    assert_eq!(rig.sack(0, &[(1000, 4000)]), [(0, 1000)]);
    // Segment 4 is missing too, with only segment 5 behind it.
    assert_eq!(rig.sack(4000, &[(5000, 6000)]), [(4000, 1000)]);
    assert!(rig.sack(6000, &[]).is_empty());
}

#[test]
fn without_news_an_ack_is_no_duplicate() {
    let mut rig = in_flight(10);
    for _ in 0..10 {
        assert!(rig.sack(0, &[(1000, 2000)]).is_empty());
    }
    assert_eq!(rig.connection.send.duplicates, 1);
}

#[test]
fn impossible_blocks_are_not_believed() {
    let mut rig = in_flight(5);
    for range in [(0, 1000), (4000, 6000), (3000, 3000), (3000, 2000), (1 << 31, (1 << 31) + 5)] {
        assert!(rig.sack(0, &[range]).is_empty());
    }
    assert!(rig.connection.send.scoreboard.is_empty());
}

#[test]
fn rfc_2018_8_reneging_peer_gets_everything_after_a_time_out() {
    let mut rig = in_flight(5);
    rig.sack(0, &[(1000, 5000)]);
    rig.expire();
    assert!(rig.connection.send.scoreboard.is_empty());
    let mut seqs = Vec::new();
    for ack in [1000, 2000, 3000, 4000] {
        seqs.extend(rig.sack(ack, &[]).iter().map(|s| s.0));
    }
    assert!([1000, 2000, 3000, 4000].iter().all(|seq| seqs.contains(seq)), "{seqs:?}");
}

#[test]
fn after_a_time_out_what_the_peer_holds_is_skipped() {
    let mut rig = in_flight(6);
    assert_eq!(shapes(&rig.expire()), [(0, 1000)]);
    // Limited transmit repeats the next one, then the window counts only what is under way.
    assert_eq!(rig.sack(0, &[(2000, 5000)]), [(1000, 1000)]);
    assert_eq!(rig.sack(1000, &[(2000, 5000)]), [(5000, 1000)]);
}

fn with_stamps() -> (Rig, TcpTimestamp) {
    let config = Config { timestamps: Extension::On, ..config() };
    let mut rig = Rig::syn_sent(config);
    let stamp = TcpTimestamp { value: 1000, echo: 0 };
    let options = TcpOptions { mss: Some(MSS), timestamp: Some(stamp), ..TcpOptions::NONE };
    let out = rig.deliver(Header { options, ..peer_syn() }, &[]);
    assert_eq!(out[0].options.timestamp.unwrap().echo, 1000);
    (rig, stamp)
}

fn stamped(header: Header, value: u32) -> Header {
    let options = TcpOptions { timestamp: Some(TcpTimestamp { value, echo: 0 }), ..TcpOptions::NONE };
    Header { options, ..header }
}

#[test]
fn rfc_7323_3_2_stamps_on_every_segment_and_required() {
    let (mut rig, _) = with_stamps();
    let out = rig.push(3000);
    assert!(out.iter().all(|o| o.options.timestamp.is_some()));
    assert_eq!(out[0].len, usize::from(MSS) - 12, "MUST-16");
    // A segment without is dropped; a reset needs none.
    assert!(rig.segment(ACK, 0, 0, b"x").is_empty());
    assert_eq!(rig.connection.readable(), 0);
    rig.segment(RST, 0, 0, &[]);
    assert_eq!(rig.state(), State::Closed);
}

#[test]
fn rfc_7323_5_paws_drops_old_segments_with_an_ack() {
    let (mut rig, stamp) = with_stamps();
    rig.deliver(stamped(header(ACK, 0, 0), stamp.value + 50), b"new");
    let out = rig.deliver(stamped(header(ACK, 3, 0), stamp.value - 1), b"old");
    assert_eq!((out.len(), out[0].flags, out[0].ack), (1, ACK, 3));
    assert_eq!(rig.read(), b"new");
    // An equal stamp is not old, and after 24 days nothing is.
    rig.deliver(stamped(header(ACK, 3, 0), stamp.value + 50), b"a");
    rig.now = rig.now + Duration::from_secs(25 * 24 * 3600);
    rig.deliver(stamped(header(ACK, 4, 0), stamp.value - 1), b"b");
    assert_eq!(rig.read(), b"ab");
}

#[test]
fn rfc_7323_4_3_recent_is_from_the_segment_that_covers_the_last_ack() {
    let (mut rig, _) = with_stamps();
    // Out of order: not echoed.
    let out = rig.deliver(stamped(header(ACK, 10, 0), 2000), b"x");
    assert_eq!(out[0].options.timestamp.unwrap().echo, 1000);
    let out = rig.deliver(stamped(header(ACK, 0, 0), 1500), &[0; 10]);
    assert_eq!(out[0].options.timestamp.unwrap().echo, 1500);
}

#[test]
fn echo_measures_what_karn_forbids() {
    let (mut rig, _) = with_stamps();
    let sent = rig.push(100)[0].options.timestamp.unwrap();
    rig.expire();
    rig.now = rig.now + Duration::from_millis(10);
    let options =
        TcpOptions { timestamp: Some(TcpTimestamp { value: 2000, echo: sent.value }), ..TcpOptions::NONE };
    rig.deliver(Header { options, ..header(ACK, 0, 100) }, &[]);
    assert!(rig.connection.rtt.timeout(&rig.config) >= Duration::from_millis(200));
    assert_eq!(rig.queue.len(), 0);
}

#[test]
fn time_wait_answers_with_stamps() {
    let (mut rig, _) = with_stamps();
    rig.connection.shutdown_send();
    rig.drain();
    let out = rig.deliver(stamped(header(FIN | ACK, 0, 1), 1001), &[]);
    assert_eq!((rig.state(), out[0].options.timestamp.unwrap().echo), (State::TimeWait, 1001));
    let out = rig.deliver(stamped(header(FIN | ACK, 0, 1), 1001), &[]);
    assert!(out[0].options.timestamp.is_some());
}

#[test]
fn tiny_segments_carry_data_beside_the_option() {
    // An MTU of 68 leaves 28 octets, as many as three blocks take.
    for mtu in [48, 60, 68, 80, 104] {
        let now = swos_units::Instant::from_nanos(10_000_000_000);
        let connection = Connection::connect(now, &config(), Path::ipv4(mtu), OURS - 1);
        let mut rig =
            Rig { connection, queue: ByteQueue::new(), config: config(), now, events: Events::empty() };
        rig.drain();
        let mut syn = peer_syn();
        syn.options.sack_permitted = true;
        rig.deliver(syn, &[]);
        for start in [100, 200, 300, 400] {
            rig.segment(ACK, start, 0, b"x");
        }
        let out = rig.push(100);
        assert!(!out.is_empty() && out.iter().all(|o| o.len > 0), "MTU {mtu}: {out:?}");
        assert!(out.iter().all(|o| o.len + o.options.encoded_len() <= usize::from(mtu) - 40), "MTU {mtu}");
    }
}

#[test]
fn blocks_outside_of_what_is_in_flight_are_ignored() {
    let mut rig = in_flight(4);
    let third = 1 << 30;
    for (start, end) in
        [(third, 2 * third + 5), (2000, 4001), (3000, 3000), (3000, 2000), (0, 1000), (5000, 100)]
    {
        rig.sack(0, &[(start, end)]);
        assert!(rig.connection.send.scoreboard.is_empty(), "{start}..{end}");
    }
    // With nothing in flight, three numbers a third of the circle apart are each before the next.
    rig.segment(ACK, 0, 4000, &[]);
    rig.sack(4000, &[(4000 + third, 4000 + 2 * third + 5)]);
    assert!(rig.connection.send.scoreboard.is_empty());
}
