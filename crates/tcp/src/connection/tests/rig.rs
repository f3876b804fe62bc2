//! A connection, its queue and clock, and numbers counted from the first octet of each side.

use crate::*;
use std::vec::Vec;
use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpFlags, TcpOptions};

/// First data octet of our side and of the peer's. Both wrap soon.
pub(super) const OURS: SeqNumber = SeqNumber(u32::MAX - 2000);
pub(super) const THEIRS: SeqNumber = SeqNumber(u32::MAX - 500);
pub(super) const MSS: u16 = 1000;
pub(super) const WINDOW: u16 = 20_000;

pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const SYN: TcpFlags = TcpFlags::SYN;
pub(super) const RST: TcpFlags = TcpFlags::RST;
pub(super) const FIN: TcpFlags = TcpFlags::FIN;
pub(super) const PSH: TcpFlags = TcpFlags::PSH;
pub(super) const URG: TcpFlags = TcpFlags::URG;

pub(super) struct Rig {
    pub(super) connection: Connection,
    pub(super) queue: ByteQueue,
    pub(super) config: Config,
    pub(super) now: Instant,
    pub(super) events: Events,
}

/// A segment that came out, numbers relative.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Out {
    pub(super) flags: TcpFlags,
    pub(super) seq: i32,
    pub(super) ack: i32,
    pub(super) len: usize,
    pub(super) window: u16,
    pub(super) urgent: u16,
    pub(super) options: TcpOptions,
}

pub(super) fn config() -> Config {
    Config { receive_capacity: 10_000, window_scale: WindowScale::Off, ..Config::default() }
}

pub(super) fn peer_syn() -> Header {
    Header {
        seq: THEIRS - 1,
        ack: OURS,
        flags: SYN | ACK,
        window: WINDOW,
        urgent: 0,
        options: TcpOptions { mss: Some(MSS), ..TcpOptions::NONE },
    }
}

impl Rig {
    /// SYN-SENT, with the SYN out.
    pub(super) fn syn_sent(config: Config) -> Self {
        let now = Instant::from_nanos(10_000_000_000);
        let connection = Connection::connect(now, &config, Path::ipv4(1500), OURS - 1);
        let mut rig = Self { connection, queue: ByteQueue::new(), config, now, events: Events::empty() };
        let syn = rig.drain();
        assert_eq!((syn.len(), syn[0].flags, syn[0].seq), (1, SYN, -1));
        rig
    }

    /// ESTABLISHED, nothing owed.
    pub(super) fn established() -> Self {
        Self::established_with(config())
    }

    pub(super) fn established_with(config: Config) -> Self {
        let mut rig = Self::syn_sent(config);
        let out = rig.deliver(peer_syn(), &[]);
        assert_eq!((out.len(), out[0].flags, out[0].seq, out[0].ack), (1, ACK, 0, 0));
        assert_eq!(rig.connection.state(), State::Established);
        rig
    }

    /// A connection in `state`, nothing owed, nothing queued.
    pub(super) fn in_state(state: State) -> Self {
        let mut rig = match state {
            State::SynSent => return Self::syn_sent(config()),
            State::SynReceived => {
                let mut rig = Self::syn_sent(config());
                let crossing = Header { flags: SYN, ..peer_syn() };
                assert_eq!(rig.deliver(crossing, &[])[0].flags, SYN | ACK);
                return rig;
            }
            _ => Self::established(),
        };
        match state {
            State::FinWait1 | State::FinWait2 | State::TimeWait | State::Closing => {
                rig.connection.shutdown_send();
                assert_eq!(rig.drain()[0].flags, FIN | ACK);
                match state {
                    State::FinWait2 => assert!(rig.segment(ACK, 0, 1, &[]).is_empty()),
                    State::TimeWait => assert_eq!(rig.segment(FIN | ACK, 0, 1, &[]).len(), 1),
                    State::Closing => assert_eq!(rig.segment(FIN | ACK, 0, 0, &[]).len(), 1),
                    _ => {}
                }
            }
            State::CloseWait | State::LastAck => {
                assert_eq!(rig.segment(FIN | ACK, 0, 0, &[]).len(), 1);
                if state == State::LastAck {
                    rig.connection.shutdown_send();
                    assert_eq!(rig.drain()[0].flags, FIN | ACK);
                }
            }
            State::Closed => {
                rig.connection.abort();
                assert_eq!(rig.drain()[0].flags, RST | ACK);
            }
            State::SynSent | State::SynReceived | State::Established => {}
        }
        assert_eq!(rig.connection.state(), state);
        rig.events = Events::empty();
        rig
    }

    pub(super) fn deliver(&mut self, header: Header, payload: &[u8]) -> Vec<Out> {
        self.deliver_quietly(header, payload);
        self.drain()
    }

    /// Without draining: the first of a batch.
    pub(super) fn deliver_quietly(&mut self, header: Header, payload: &[u8]) {
        self.events |= self.connection.on_segment(self.now, &self.config, &header, payload, &mut self.queue);
    }

    /// Delivers a segment with numbers relative to each side's first data octet.
    pub(super) fn segment(&mut self, flags: TcpFlags, seq: i32, ack: i32, payload: &[u8]) -> Vec<Out> {
        self.deliver(header(flags, seq, ack), payload)
    }

    pub(super) fn drain(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(t) = self.connection.poll_transmit(self.now, &self.config, &self.queue) {
            assert!(t.offset + t.len <= self.queue.len(), "range outside the queue");
            let h = t.header;
            out.push(Out {
                flags: h.flags,
                seq: h.seq.since(OURS).cast_signed(),
                ack: h.ack.since(THEIRS).cast_signed(),
                len: t.len,
                window: h.window,
                urgent: h.urgent,
                options: h.options,
            });
            assert!(out.len() < 1000, "endless output");
        }
        out
    }

    pub(super) fn push(&mut self, octets: usize) -> Vec<Out> {
        self.queue.push(&vec![b'x'; octets]);
        self.drain()
    }

    /// Lets time pass up to the next deadline, which must exist, and drains.
    pub(super) fn expire(&mut self) -> Vec<Out> {
        self.now = self.now.max(self.connection.deadline().expect("a timer runs"));
        self.events |= self.connection.on_timeout(self.now, &self.config);
        self.drain()
    }

    /// Lets `span` pass, timers included, and drains.
    pub(super) fn wait(&mut self, span: Duration) -> Vec<Out> {
        let end = self.now + span;
        let mut out = Vec::new();
        while let Some(at) = self.connection.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.events |= self.connection.on_timeout(self.now, &self.config);
            out.extend(self.drain());
        }
        self.now = end;
        out
    }

    pub(super) fn read(&mut self) -> Vec<u8> {
        let mut octets = vec![0; self.connection.readable()];
        assert_eq!(self.connection.copy_to(0, &mut octets), octets.len());
        assert_eq!(self.connection.consume(octets.len()), octets.len());
        octets
    }

    pub(super) fn state(&self) -> State {
        self.connection.state()
    }
}

pub(super) fn header(flags: TcpFlags, seq: i32, ack: i32) -> Header {
    Header {
        seq: THEIRS + seq.cast_unsigned(),
        ack: OURS + ack.cast_unsigned(),
        flags,
        window: WINDOW,
        urgent: 0,
        options: TcpOptions::NONE,
    }
}

/// Flags and payload lengths of what came out.
pub(super) fn shapes(out: &[Out]) -> Vec<(i32, usize)> {
    out.iter().map(|o| (o.seq, o.len)).collect()
}
