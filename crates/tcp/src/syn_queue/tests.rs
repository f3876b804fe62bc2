use super::*;
use crate::{ByteQueue, Extension, State};
use core::net::SocketAddr;
use swos_wire::{SeqNumber, TcpOptions, TcpTimestamp};

const PATH: Path = Path::ipv4(1500);
const PEER: SeqNumber = SeqNumber(u32::MAX);
const ISN: SeqNumber = SeqNumber(9000);

fn flow(n: u32) -> Flow {
    let [_, b, c, d] = n.to_be_bytes();
    Flow { local: SocketAddr::from(([10, 0, 0, 1], 80)), remote: SocketAddr::from(([11, b, c, d], 4000)) }
}

fn header(flags: TcpFlags, seq: u32, ack: SeqNumber) -> Header {
    Header { seq: PEER + seq, ack, flags, window: 5000, urgent: 0, options: TcpOptions::NONE }
}

fn syn() -> Header {
    let options = TcpOptions { mss: Some(1400), window_scale: Some(3), ..TcpOptions::NONE };
    Header { options, ..header(TcpFlags::SYN, 0, SeqNumber(0)) }
}

struct Rig {
    queue: SynQueue,
    config: Config,
    now: Instant,
}

impl Rig {
    fn new(limit: usize) -> Self {
        let now = Instant::ZERO + Duration::from_secs(500);
        Self { queue: SynQueue::new(limit, [5; 16]), config: Config::default(), now }
    }

    fn syn(&mut self, n: u32) -> Transmit {
        self.queue.on_syn(self.now, &self.config, PATH, &flow(n), ISN, &syn()).unwrap()
    }

    fn give(&mut self, n: u32, header: &Header, room: AcceptQueue) -> SynVerdict {
        self.queue.on_segment(self.now, &self.config, PATH, &flow(n), header, 0, room)
    }

    fn reply(&mut self, n: u32, header: &Header) -> Option<Header> {
        match self.give(n, header, AcceptQueue::Room) {
            SynVerdict::Reply(transmit) => Some(transmit.header),
            SynVerdict::Ignore => None,
            SynVerdict::Established(_) => panic!("established"),
        }
    }

    fn establish(&mut self, n: u32, ack: &Header) -> Connection {
        let SynVerdict::Established(mut connection) = self.give(n, ack, AcceptQueue::Room) else {
            panic!("not established")
        };
        let _ = connection.on_segment(self.now, &self.config, ack, &[], &mut ByteQueue::new());
        assert_eq!(connection.state(), State::Established);
        connection
    }
}

#[test]
fn handshake() {
    let mut rig = Rig::new(8);
    let answer = rig.syn(1).header;
    assert_eq!((answer.seq, answer.ack), (ISN, PEER + 1));
    assert_eq!(answer.flags, TcpFlags::SYN | TcpFlags::ACK);
    assert_eq!((answer.options.mss, answer.options.window_scale), (Some(1460), Some(3)));
    assert_eq!(rig.queue.len(), 1);
    rig.establish(1, &header(TcpFlags::ACK, 1, ISN + 1));
    assert!(rig.queue.is_empty() && rig.queue.deadline().is_none());
}

#[test]
fn listen_ignores_resets_and_resets_strays() {
    let mut rig = Rig::new(8);
    assert_eq!(rig.reply(1, &header(TcpFlags::RST, 1, ISN)), None);
    assert_eq!(rig.reply(1, &header(TcpFlags::FIN, 1, ISN)), None);
    let reset = rig.reply(1, &header(TcpFlags::ACK, 1, ISN + 55)).unwrap();
    assert_eq!((reset.flags, reset.seq), (TcpFlags::RST, ISN + 55));
}

#[test]
fn must_11_half_open_entry_returns_to_listen_on_reset() {
    let mut rig = Rig::new(8);
    let _ = rig.syn(1);
    assert_eq!(rig.reply(1, &header(TcpFlags::RST, 50, ISN)).unwrap().flags, TcpFlags::ACK);
    assert_eq!(rig.reply(1, &header(TcpFlags::RST, 1 << 20, ISN)), None);
    assert_eq!(rig.queue.len(), 1);
    assert_eq!(rig.reply(1, &header(TcpFlags::RST, 1, ISN)), None);
    assert!(rig.queue.is_empty());
}

#[test]
fn wrong_segments_for_an_entry() {
    let mut rig = Rig::new(8);
    let first = rig.syn(1);
    assert_eq!(rig.syn(1), first, "a repeated SYN gets the same answer");
    let other = Header { seq: PEER + 400, ..syn() };
    let answer = rig.queue.on_syn(rig.now, &rig.config, PATH, &flow(1), SeqNumber(1), &other).unwrap();
    assert_eq!((answer.header.flags, answer.header.ack), (TcpFlags::ACK, PEER + 1), "challenge");
    let bad = rig.reply(1, &header(TcpFlags::ACK, 1, ISN + 2)).unwrap();
    assert_eq!((bad.flags, bad.seq), (TcpFlags::RST, ISN + 2));
    assert_eq!(rig.reply(1, &header(TcpFlags::ACK, 1 << 20, ISN + 1)).unwrap().flags, TcpFlags::ACK);
    assert_eq!(rig.reply(1, &header(TcpFlags::PSH, 1, ISN + 1)), None);
    assert_eq!(rig.queue.len(), 1);
}

#[test]
fn full_accept_queue_keeps_the_entry() {
    let mut rig = Rig::new(8);
    let _ = rig.syn(1);
    let ack = header(TcpFlags::ACK, 1, ISN + 1);
    assert!(matches!(rig.give(1, &ack, AcceptQueue::Full), SynVerdict::Ignore));
    rig.establish(1, &ack);
}

#[test]
fn syn_ack_is_repeated_then_given_up() {
    let mut rig = Rig::new(8);
    let first = rig.syn(1);
    let mut times = std::vec::Vec::new();
    let start = rig.now;
    while let Some(at) = rig.queue.deadline() {
        rig.now = at;
        while let Some((to, transmit)) = rig.queue.poll_transmit(rig.now, &rig.config) {
            assert_eq!((to, transmit), (flow(1), first));
            times.push(rig.now.since(start).as_millis() / 1000);
        }
    }
    assert_eq!(times, [1, 3, 7, 15, 31, 63, 123]);
    assert!(rig.queue.is_empty());
    // MUST-23 holds for SYN-ACKs too.
    assert_eq!(rig.now.since(start), Duration::from_secs(183));
}

#[test]
fn many_that_never_answered_are_dropped_a_few_at_a_time() {
    let mut rig = Rig::new(1_000);
    rig.config.syn_ack_transmissions = 1;
    for n in 0..1_000 {
        let _ = rig.syn(n);
    }
    rig.now = rig.queue.deadline().unwrap();
    let mut left = rig.queue.len();
    while left > 0 {
        assert!(rig.queue.deadline().unwrap() <= rig.now, "call again");
        assert_eq!(rig.queue.poll_transmit(rig.now, &rig.config), None);
        let now = rig.queue.len();
        assert!((1..=64).contains(&(left - now)), "{}", left - now);
        left = now;
    }
    assert_eq!(rig.queue.deadline(), None);
}

#[test]
fn repeated_syn_keeps_the_entry() {
    let mut rig = Rig::new(8);
    rig.config.syn_ack_transmissions = 2;
    let _ = rig.syn(1);
    rig.now = rig.now + Duration::from_secs(1);
    assert!(rig.queue.poll_transmit(rig.now, &rig.config).is_some());
    // It would go after two seconds, but its peer shows up shortly before.
    rig.now = rig.now + Duration::from_millis(1999);
    let _ = rig.syn(1);
    rig.now = rig.now + Duration::from_millis(1);
    assert_eq!(rig.queue.poll_transmit(rig.now, &rig.config), None);
    rig.establish(1, &header(TcpFlags::ACK, 1, ISN + 1));
}

#[test]
fn flood_is_bounded_and_honest_clients_get_in() {
    let mut rig = Rig::new(64);
    let mut honest = std::vec::Vec::new();
    for n in 0..20_000 {
        let answer = rig.syn(n).header;
        if n % 1000 == 999 {
            honest.push((n, answer.seq));
            // Cookies remember the MSS class but not the shift.
            assert_eq!(answer.options.window_scale, None);
        }
        assert!(rig.queue.len() <= 64);
    }
    rig.now = rig.now + Duration::from_secs(20);
    for (n, isn) in honest {
        let connection = rig.establish(n, &header(TcpFlags::ACK, 1, isn + 1));
        assert_eq!(connection.state(), State::Established);
    }
    assert!(rig.queue.slots.len() <= 64);
    // Forged ACKs are reset, not accepted.
    for n in 0..2000 {
        assert!(rig.reply(30_000 + n, &header(TcpFlags::ACK, 1, SeqNumber(n * 77_777))).is_some());
    }
}

#[test]
fn lists_hold_together_under_random_churn() {
    let mut rig = Rig::new(32);
    let mut seed = 3_u64;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let n = u32::try_from(seed >> 58).unwrap();
        match (seed >> 40) & 3 {
            0 | 1 => drop(rig.queue.on_syn(rig.now, &rig.config, PATH, &flow(n), ISN, &syn())),
            2 => drop(rig.reply(n, &header(TcpFlags::RST, 1, ISN))),
            _ => {
                rig.now = rig.now + Duration::from_millis(200);
                while rig.queue.poll_transmit(rig.now, &rig.config).is_some() {}
            }
        }
        let linked: usize = rig
            .queue
            .levels
            .iter()
            .map(|list| {
                let (mut at, mut last, mut count, mut due) = (list.first, NONE, 0, Instant::ZERO);
                while at != NONE {
                    let slot = &rig.queue.slots[at as usize];
                    assert!(slot.previous == last && slot.due >= due);
                    (last, at, due, count) = (at, slot.next, slot.due, count + 1);
                }
                assert_eq!(list.last, last);
                count
            })
            .sum();
        assert_eq!(linked, rig.queue.len());
    }
}

#[test]
fn the_window_of_a_half_open_entry_ends_where_its_connections_does() {
    let mut rig = Rig::new(8);
    let window = u32::from(rig.syn(1).header.window);
    let behind = header(TcpFlags::FIN | TcpFlags::ACK, 1 + window, ISN + 1);
    assert!(rig.reply(1, &behind).is_some_and(|challenge| challenge.flags == TcpFlags::ACK));
    assert_eq!(rig.queue.len(), 1);
    rig.establish(1, &header(TcpFlags::ACK, window, ISN + 1));
}

#[test]
fn a_connection_that_refuses_its_third_segment_ends_in_time() {
    let mut rig = Rig::new(8);
    rig.config.timestamps = Extension::On;
    let stamped = |value, header: Header| {
        let timestamp = Some(TcpTimestamp { value, echo: 0 });
        Header { options: TcpOptions { timestamp, ..header.options }, ..header }
    };
    let syn = stamped(5_000, syn());
    assert!(rig.queue.on_syn(rig.now, &rig.config, PATH, &flow(1), ISN, &syn).is_some());
    let old = stamped(4_000, header(TcpFlags::ACK, 1, ISN + 1));
    let SynVerdict::Established(mut connection) = rig.give(1, &old, AcceptQueue::Room) else {
        panic!("the queue does not look at timestamps")
    };
    let mut bytes = ByteQueue::new();
    let _ = connection.on_segment(rig.now, &rig.config, &old, &[], &mut bytes);
    assert_eq!(connection.state(), State::SynReceived);
    let mut repeated = 0;
    while connection.state() != State::Closed {
        while let Some(transmit) = connection.poll_transmit(rig.now, &rig.config, &bytes) {
            repeated += u32::from(transmit.header.flags == TcpFlags::SYN | TcpFlags::ACK);
        }
        let Some(at) = connection.deadline() else { break };
        rig.now = rig.now.max(at);
        let _ = connection.on_timeout(rig.now, &rig.config);
    }
    assert_eq!(connection.state(), State::Closed, "with nothing left to wait for");
    assert!(repeated > 2, "{repeated} SYN-ACKs");
}
