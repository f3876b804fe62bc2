use core::net::Ipv4Addr;

use swos_tcp::{ByteQueue, Config, Connection, Header, Path};
use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpFlags, TcpOptions};

use super::TimeWaits;
use crate::flows::FlowKey;

fn flow(port: u16) -> FlowKey {
    FlowKey::of(Ipv4Addr::LOCALHOST, 80, Ipv4Addr::LOCALHOST, port)
}

/// What is left of a connection that ended at `now`.
fn rest(now: Instant) -> swos_tcp::TimeWait {
    let config = Config::default();
    let mut queue = ByteQueue::new();
    let mut connection = Connection::connect(now, &config, Path::ipv4(1500), SeqNumber(10));
    let header = |seq, ack, flags| Header {
        seq: SeqNumber(seq),
        ack: SeqNumber(ack),
        flags,
        window: 1000,
        urgent: 0,
        options: TcpOptions::NONE,
    };
    let _syn = connection.poll_transmit(now, &config, &queue);
    let syn_ack = header(20, 11, TcpFlags::SYN | TcpFlags::ACK);
    let _events = connection.on_segment(now, &config, &syn_ack, &[], &mut queue);
    connection.shutdown_send();
    while connection.poll_transmit(now, &config, &queue).is_some() {}
    let fin = header(21, 12, TcpFlags::FIN | TcpFlags::ACK);
    let _events = connection.on_segment(now, &config, &fin, &[], &mut queue);
    connection.time_wait().unwrap()
}

#[test]
fn they_end_in_order_and_make_room_for_new_ones() {
    let mut waits = TimeWaits::new(2);
    let second = Duration::from_secs(1);
    let start = Instant::ZERO + second;
    let (first, none) = waits.insert(flow(1), rest(start)).unwrap();
    assert_eq!(none, None);
    waits.insert(flow(2), rest(start + second)).unwrap();
    let (_, evicted) = waits.insert(flow(3), rest(start + second)).unwrap();
    assert_eq!(evicted, Some((flow(1), first)));
    let due = waits.deadline().unwrap();
    assert_eq!(waits.pop_due(due + Duration::ZERO), Some((flow(2), 1)));
    assert_eq!(waits.pop_due(start), None);
    assert_eq!(waits.len(), 1);
}

#[test]
fn one_that_is_restarted_ends_later_and_one_replaced_not_at_all() {
    let mut waits = TimeWaits::new(9);
    let config = Config::default();
    let (index, _) = waits.insert(flow(1), rest(Instant::ZERO)).unwrap();
    let (replaced, _) = waits.insert(flow(2), rest(Instant::ZERO)).unwrap();
    let old = waits.deadline().unwrap();
    let later = Instant::ZERO + Duration::from_secs(5);
    let fin = Header {
        seq: SeqNumber(21),
        ack: SeqNumber(12),
        flags: TcpFlags::FIN | TcpFlags::ACK,
        window: 1000,
        urgent: 0,
        options: TcpOptions::NONE,
    };
    let _verdict = waits.get_mut(index).unwrap().on_segment(later, &config, &fin, 0);
    waits.remove(replaced);
    assert_eq!(waits.pop_due(old), None);
    assert_eq!(waits.len(), 1);
    let new = waits.deadline().unwrap();
    assert_eq!(new, old + Duration::from_secs(5));
    assert_eq!(waits.pop_due(new), Some((flow(1), index)));
    assert_eq!((waits.len(), waits.deadline()), (0, None));
}
