//! The TCP machine under any sequence of segments, time-outs and commands.

use swos_tcp::{
    ByteQueue, Config, Connection, Extension, Header, KeepAlive, Nagle, Path, SendQueue as _, State,
    Unreachable, WindowScale,
};
use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpFlags, TcpOptions};

use crate::input::Input;

/// Octets that the application queues at most.
const QUEUE_LIMIT: usize = 64 << 10;
const CAPACITY: usize = 16 << 10;
/// Steps of a script.
const MOST_STEPS: usize = 400;

/// One connection, its application, and what its peer can know of it.
struct Run {
    now: Instant,
    config: Config,
    connection: Connection,
    queue: ByteQueue,
    /// One past the last number sent, and the number it expects.
    sent: u32,
    expected: u32,
}

/// A script for a connection: what arrives, what the application does, how time passes. At any time what it sends and
/// keeps is within bounds; when the application closes and nobody answers, it ends.
pub(super) fn tcp(data: &[u8]) {
    let mut input = Input::new(data);
    let mut run = Run::new(&mut input);
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
        run.drain();
    }
    run.finish();
}

impl Run {
    fn new(input: &mut Input<'_>) -> Self {
        let bits = input.u8();
        let switch = |bit: u8| if bits & bit == 0 { Extension::On } else { Extension::Off };
        let config = Config {
            receive_capacity: CAPACITY,
            reassembly_ranges: 8,
            sack: switch(1),
            timestamps: if bits & 2 == 0 { Extension::Off } else { Extension::On },
            window_scale: if bits & 4 == 0 { WindowScale::Auto } else { WindowScale::Shift(14) },
            ..Config::default()
        };
        let now = Instant::from_nanos(1_000_000_000);
        let mtu = if bits & 8 == 0 { 1500 } else { 68 };
        let connection = Connection::connect(now, &config, Path::ipv4(mtu), SeqNumber(input.u32()));
        let mut run = Self { now, config, connection, queue: ByteQueue::new(), sent: 0, expected: 0 };
        run.drain();
        if bits & 16 == 0 {
            // Most scripts start with an established connection: the handshake is not easily guessed.
            let options = TcpOptions {
                mss: Some(1460),
                window_scale: (bits & 32 == 0).then_some(7),
                sack_permitted: true,
                ..TcpOptions::NONE
            };
            let flags = TcpFlags::SYN | TcpFlags::ACK;
            run.segment(&run.header(input.u32(), run.sent, flags, 0xffff, options), 0);
            run.drain();
            assert_eq!(run.connection.state(), State::Established);
        }
        run
    }

    fn header(&self, seq: u32, ack: u32, flags: TcpFlags, window: u16, options: TcpOptions) -> Header {
        Header { seq: SeqNumber(seq), ack: SeqNumber(ack), flags, window, urgent: 0, options }
    }

    fn segment(&mut self, header: &Header, payload: usize) {
        let payload = vec![0x5a; payload];
        let _ = self.connection.on_segment(self.now, &self.config, header, &payload, &mut self.queue);
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let connection = &mut self.connection;
        match input.u8() % 16 {
            0..=4 => self.arrival(input),
            5 => self.now = self.now + Duration::from_nanos(1 << (input.u8() % 40)),
            6 | 7 => {
                if let Some(deadline) = connection.deadline() {
                    self.now = self.now.max(deadline);
                }
                let _ = connection.on_timeout(self.now, &self.config);
            }
            8 => {
                let room = QUEUE_LIMIT - self.queue.len().min(QUEUE_LIMIT);
                if connection.can_send() {
                    self.queue.push(&vec![0xa5; usize::from(input.u16()).min(room)]);
                }
            }
            9 => {
                let wanted = usize::from(input.u16());
                let readable = connection.readable();
                assert_eq!(connection.peek().is_empty(), readable == 0);
                assert_eq!(connection.consume(wanted), wanted.min(readable));
            }
            10 => connection.shutdown_send(),
            11 => connection.close(self.now, &self.config),
            12 => match input.u8() % 8 {
                0 => connection.abort(),
                1 => connection.mark_urgent(&self.queue),
                2 => connection.set_receive_capacity(usize::from(input.u16())),
                3 => connection.set_user_timeout(Duration::from_millis(input.u16().into())),
                4 => connection.set_nagle(Nagle::Off),
                5 => {
                    let second = Duration::from_secs(1);
                    let probing = KeepAlive { idle: second, interval: second, probes: input.u8() };
                    connection.set_keep_alive(self.now, Some(probing));
                }
                6 => connection.set_keep_alive(self.now, None),
                _ => connection.set_nagle(Nagle::On),
            },
            13 => {
                let kind = if input.u8() & 1 == 0 { Unreachable::Soft } else { Unreachable::Hard };
                let _ = connection.on_unreachable(kind, SeqNumber(self.sent.wrapping_sub(input.offset())));
            }
            14 => connection.on_path_mss(input.u16(), SeqNumber(self.sent.wrapping_sub(input.offset()))),
            // Late and repeated time-outs are harmless.
            _ => drop(connection.on_timeout(self.now, &self.config)),
        }
    }

    /// A segment around the numbers that matter.
    fn arrival(&mut self, input: &mut Input<'_>) {
        let flags = TcpFlags::from_bits_truncate(input.u8()) ^ TcpFlags::ACK;
        let seq = self.expected.wrapping_add(input.offset());
        let ack = self.sent.wrapping_sub(input.offset());
        let window = input.u16();
        let which = input.u8();
        let mut options = TcpOptions::NONE;
        if which & 1 != 0 {
            options = TcpOptions::parse(input.bytes(usize::from(which >> 2) % 41));
        }
        let payload = if which & 2 == 0 { 0 } else { usize::from(input.u16() % 3000) };
        let mut header = self.header(seq, ack, flags, window, options);
        header.urgent = if flags.contains(TcpFlags::URG) { input.u16() } else { 0 };
        self.segment(&header, payload);
    }

    /// Takes what is to be sent, looking at every segment.
    fn drain(&mut self) {
        let mut count = 0;
        while let Some(out) = self.connection.poll_transmit(self.now, &self.config, &self.queue) {
            count += 1;
            // A full queue in the smallest segments, and what may be sent beside data.
            assert!(count <= QUEUE_LIMIT / 4 + 16, "no end of segments");
            assert!(out.offset + out.len <= self.queue.len(), "{out:?} of {}", self.queue.len());
            let header = out.header;
            let mut copy = vec![0; out.len];
            let _sum = self.queue.copy_checksum(out.offset, &mut copy);
            assert!(header.between(1, 2).header_len() <= 60);
            if !header.flags.contains(TcpFlags::RST) {
                let len = header.sequence_len(out.len);
                let end = header.seq.0.wrapping_add(len);
                if len > 0 || self.sent == 0 {
                    self.sent = end;
                }
                if header.flags.contains(TcpFlags::ACK) {
                    self.expected = header.ack.0;
                }
            }
        }
        let buffered = self.connection.readable();
        // A capacity may shrink below what is buffered, and grow to what a script can say.
        assert!(buffered <= usize::from(u16::MAX).max(CAPACITY), "{buffered} octets buffered");
        assert!(self.connection.memory_bytes() <= 512 << 10, "{}", self.connection.memory_bytes());
        if self.connection.state() == State::Closed {
            assert_eq!(self.connection.deadline(), None, "nothing to wait for");
            assert!(!self.connection.can_send());
        }
    }

    /// The application closes; nobody answers any more. Nothing may be left to wait for.
    fn finish(&mut self) {
        self.connection.set_user_timeout(Duration::from_secs(300));
        self.connection.set_keep_alive(self.now, None);
        self.connection.consume(usize::MAX);
        self.connection.close(self.now, &self.config);
        self.drain();
        let start = self.now;
        for _ in 0..1000 {
            let Some(deadline) = self.connection.deadline() else { break };
            self.now = self.now.max(deadline);
            let _ = self.connection.on_timeout(self.now, &self.config);
            self.drain();
        }
        assert_eq!(self.connection.deadline(), None, "still waiting in {:?}", self.connection);
        assert_eq!(self.connection.state(), State::Closed);
        assert!(self.now.since(start) <= Duration::from_secs(3600), "took {:?}", self.now.since(start));
    }
}

pub(super) fn tcp_seeds() -> Vec<Vec<u8>> {
    let start = [0, 1, 0, 0, 0, 2, 0, 0, 0];
    // In-order data, a reply, its acknowledgment, both ends close.
    let talk = [
        0, 0, 0, 0, 255, 255, 2, 100, 0, 8, 200, 0, 0, 0, 0, 0, 255, 255, 0, 9, 255, 0, 10, 0, 1, 0, 0, 255,
        255, 0,
    ];
    // A hole, then what fills it; a shrunk window and its probes.
    let hole = [
        0, 0, 100, 0, 255, 255, 2, 100, 0, 0, 0, 0, 0, 0, 0, 2, 100, 0, 8, 0, 8, 6, 6, 7, 0, 0, 0, 0, 255,
        255, 0,
    ];
    let reset = [8, 255, 0, 0, 4, 1, 0, 255, 255, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut seeds: Vec<Vec<u8>> =
        [&talk[..], &hole, &reset].into_iter().map(|script| [&start[..], script].concat()).collect();
    seeds.push(vec![16, 1, 0, 0, 0, 0, 18, 5, 0, 255, 255, 0, 6, 6, 6, 12, 0]);
    seeds
}
