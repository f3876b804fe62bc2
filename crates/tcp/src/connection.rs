//! One connection: its state, the application's commands, and what the application can ask.

mod ack;
mod handshake;
mod input;
mod output;
mod recovery;
mod sender;
mod timers;

use bitflags::bitflags;
use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpFlags, TcpOptions};

use crate::config::{Config, Extension, KeepAlive, Nagle, Path};
use crate::congestion::Congestion;
use crate::error::{Error, Unreachable};
use crate::receiver::{AckDue, Reader, Receiver};
use crate::rtt::RttEstimator;
use crate::segment::{Bare, Transmit};
use crate::send_queue::SendQueue;
use crate::stamps::Stamps;
use crate::time_wait::TimeWait;
use sender::Sender;
use timers::Timers;

/// The state of a connection. LISTEN is not among them: a listener is whoever holds a
/// [`SynQueue`](crate::SynQueue), and SYN-RECEIVED here always came from SYN-SENT (a simultaneous
/// open); half-open connections of a listener live in that queue (MUST-11 by type).
///
/// Source: RFC 9293 §3.3.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Our SYN is out.
    SynSent,
    /// SYNs crossed; our SYN-ACK is out.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// We closed first; our FIN is not yet acknowledged.
    FinWait1,
    /// Our FIN is acknowledged; the peer may still send.
    FinWait2,
    /// The peer closed first; we may still send.
    CloseWait,
    /// Both closed at once; our FIN is not yet acknowledged.
    Closing,
    /// The peer closed, then we; our FIN is not yet acknowledged.
    LastAck,
    /// Both closed; old segments are waited out.
    TimeWait,
    /// Over. Drain [`Connection::poll_transmit`] once more, then forget it.
    Closed,
}

/// The state with what belongs to it alone.
#[derive(Clone, Copy, Debug)]
enum Phase {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait { until: Instant, window: u16 },
    Closed,
}

bitflags! {
    /// What an input changed for the application.
    #[must_use]
    #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
    pub struct Events: u16 {
        /// The handshake is complete.
        const CONNECTED = 1 << 0;
        /// More octets can be read.
        const READABLE = 1 << 1;
        /// Octets of the send queue were released.
        const WRITABLE = 1 << 2;
        /// The peer closed its direction: end of file after what is readable.
        const PEER_FINISHED = 1 << 3;
        /// Urgent data was announced.
        const URGENT = 1 << 4;
        /// The connection ended with [`Connection::error`].
        const ABORTED = 1 << 5;
        /// Both directions are closed: [`Connection::time_wait`] is all that must be kept.
        const TIME_WAIT = 1 << 6;
        /// Nothing must be kept.
        const CLOSED = 1 << 7;
        /// R1 retransmissions went unanswered: the route may be bad.
        const PATH_SUSPECT = 1 << 8;
    }
}

/// Window scaling of a connection (RFC 7323 §2.2): it counts only if both SYNs named a shift.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scaling {
    /// Our SYN names this shift; the peer's is not known yet.
    Offered(u8),
    /// Our windows are shifted by this.
    Agreed(u8),
    /// No window is shifted.
    Refused,
}

/// A connection, active from [`Connection::connect`] or handed out by a
/// [`SynQueue`](crate::SynQueue).
///
/// Contract: give an input (`on_*` or a command), drain [`Connection::poll_transmit`] until `None`,
/// then read [`Connection::deadline`]. Late and repeated time-outs are harmless.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    path: Path,
    send: Sender,
    receive: Receiver,
    rtt: RttEstimator,
    congestion: Congestion,
    timers: Timers,
    scaling: Scaling,
    /// Both ends understand selective acknowledgments.
    sack: Extension,
    stamps: Option<Stamps>,
    /// A reset that leaves before anything else.
    reply: Option<Bare>,
    error: Option<Error>,
    nagle: Nagle,
    keep_alive: Option<KeepAlive>,
    user_timeout: Duration,
}

impl Connection {
    /// Starts an active open. `isn` comes from an [`IsnGenerator`](crate::IsnGenerator).
    #[must_use]
    pub fn connect(now: Instant, config: &Config, path: Path, isn: SeqNumber) -> Self {
        Self::new(now, config, path, isn, Phase::SynSent)
    }

    fn new(now: Instant, config: &Config, path: Path, isn: SeqNumber, phase: Phase) -> Self {
        let send = Sender::new(now, isn, path);
        Self {
            phase,
            path,
            congestion: Congestion::new(config, u32::from(send.mss)),
            send,
            receive: Receiver::new(config, SeqNumber(0), 0),
            rtt: RttEstimator::new(config),
            timers: Timers::new(now),
            scaling: config.offered_shift().map_or(Scaling::Refused, Scaling::Offered),
            sack: Extension::Off,
            stamps: None,
            reply: None,
            error: None,
            nagle: Nagle::On,
            keep_alive: None,
            user_timeout: config.user_timeout,
        }
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::SynSent => State::SynSent,
            Phase::SynReceived => State::SynReceived,
            Phase::Established => State::Established,
            Phase::FinWait1 => State::FinWait1,
            Phase::FinWait2 => State::FinWait2,
            Phase::CloseWait => State::CloseWait,
            Phase::Closing => State::Closing,
            Phase::LastAck => State::LastAck,
            Phase::TimeWait { .. } => State::TimeWait,
            Phase::Closed => State::Closed,
        }
    }

    /// Why it was aborted, if it was.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.error
    }

    /// What remains of it in TIME-WAIT. Once the application has read what it wants, this can
    /// replace the connection.
    #[must_use]
    pub const fn time_wait(&self) -> Option<TimeWait> {
        match self.phase {
            Phase::TimeWait { until, window } => {
                let (ours, theirs) = (self.send.max, self.receive.next);
                Some(TimeWait::new(until, ours, theirs, window, self.stamps))
            }
            Phase::SynSent
            | Phase::SynReceived
            | Phase::Established
            | Phase::FinWait1
            | Phase::FinWait2
            | Phase::CloseWait
            | Phase::Closing
            | Phase::LastAck
            | Phase::Closed => None,
        }
    }

    /// Whether octets pushed to the send queue will still be sent. False after a close or abort.
    #[must_use]
    pub const fn can_send(&self) -> bool {
        !self.send.fin
            && matches!(
                self.phase,
                Phase::SynSent | Phase::SynReceived | Phase::Established | Phase::CloseWait
            )
    }

    /// Closes our direction: a FIN follows what is queued. Repeated calls change nothing.
    pub fn shutdown_send(&mut self) {
        match self.phase {
            Phase::SynSent | Phase::SynReceived => self.send.fin = true,
            Phase::Established => {
                self.send.fin = true;
                self.phase = Phase::FinWait1;
            }
            Phase::CloseWait => {
                self.send.fin = true;
                self.phase = Phase::LastAck;
            }
            Phase::FinWait1
            | Phase::FinWait2
            | Phase::Closing
            | Phase::LastAck
            | Phase::TimeWait { .. }
            | Phase::Closed => {}
        }
    }

    /// Closes both directions. What is queued is still sent; octets that nobody read, or that come
    /// later, are answered by a reset, so that the peer learns that they were lost.
    ///
    /// Source: RFC 9293 §3.6.1, RFC 1122 §4.2.2.13.
    pub fn close(&mut self, now: Instant, config: &Config) {
        self.receive.reader = Reader::Gone;
        if matches!(self.phase, Phase::SynSent) {
            // Nothing of the peer's is known yet, so there is nobody to tell.
            self.finish();
        } else if self.receive.buffer.ready() > 0 && !matches!(self.phase, Phase::TimeWait { .. }) {
            self.abort();
        } else {
            self.shutdown_send();
            if matches!(self.phase, Phase::FinWait2) {
                self.timers.fin_wait_2 = now + config.fin_wait_2;
            }
        }
    }

    /// Ends the connection at once with a reset, which [`Self::poll_transmit`] gives.
    pub fn abort(&mut self) {
        self.abort_with(Error::Aborted);
    }

    /// Frees up to `pieces` of the storage of what was received, which nobody reads any more; whether some is left. For a
    /// connection that is over, whose storage may be too much to free at once.
    pub fn shed(&mut self, pieces: usize) -> bool {
        self.receive.buffer.shed(pieces)
    }

    fn abort_with(&mut self, error: Error) {
        match self.phase {
            Phase::SynReceived
            | Phase::Established
            | Phase::FinWait1
            | Phase::FinWait2
            | Phase::CloseWait
            | Phase::Closing
            | Phase::LastAck => {
                let flags = TcpFlags::RST | TcpFlags::ACK;
                let reset = Transmit::bare(self.send.max, self.receive.next, flags, 0, TcpOptions::NONE);
                self.reply = Some(Bare::of(&reset));
            }
            Phase::SynSent | Phase::TimeWait { .. } | Phase::Closed => {}
        }
        if !matches!(self.phase, Phase::Closed) {
            self.error = Some(error);
        }
        self.finish();
    }

    fn finish(&mut self) {
        self.phase = Phase::Closed;
        self.timers.stop();
        self.receive.ack = AckDue::No;
        self.receive.assembler.clear();
        self.send.scoreboard.clear();
    }

    /// Octets that can be read.
    #[must_use]
    pub const fn readable(&self) -> usize {
        self.receive.buffer.ready()
    }

    /// The first contiguous piece of what can be read; empty only if nothing can.
    #[must_use]
    pub fn peek(&self) -> &[u8] {
        self.receive.buffer.peek()
    }

    /// Copies what can be read, from `offset` on, and returns how many octets; takes nothing away.
    pub fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        self.receive.buffer.copy_to(offset, into)
    }

    /// Takes away up to `octets` that were read, and returns how many. The window may open: drain
    /// [`Self::poll_transmit`].
    pub fn consume(&mut self, octets: usize) -> usize {
        let taken = self.receive.consume(octets);
        if taken > 0 && self.receives() && self.receive.update_is_worthwhile(u32::from(self.path.mss)) {
            self.receive.ack = AckDue::Now;
        }
        taken
    }

    /// Whether the peer closed and everything before that was read.
    #[must_use]
    pub const fn at_eof(&self) -> bool {
        self.receive.buffer.ready() == 0
            && matches!(
                self.phase,
                Phase::CloseWait | Phase::Closing | Phase::LastAck | Phase::TimeWait { .. } | Phase::Closed
            )
    }

    /// Octets up to the end of urgent data, counted from the first unread one; `None` if there is
    /// no urgent data, or it was read.
    ///
    /// Source: RFC 9293 §3.8.5 (MUST-30..33, MUST-62).
    #[must_use]
    pub fn urgent(&self) -> Option<usize> {
        let position = self.receive.read_position();
        self.receive.urgent.filter(|end| end.is_after(position)).map(|end| end.since(position) as usize)
    }

    /// Marks everything in the send queue as urgent: the pointer names the octet after it.
    pub fn mark_urgent(&mut self, queue: &impl SendQueue) {
        self.send.urgent = Some(self.send.end_of(queue.len()));
    }

    /// Switches Nagle's algorithm (MUST-17).
    pub const fn set_nagle(&mut self, nagle: Nagle) {
        self.nagle = nagle;
    }

    /// Switches keep-alive probes; off at first (MUST-24..29).
    pub const fn set_keep_alive(&mut self, now: Instant, keep_alive: Option<KeepAlive>) {
        self.keep_alive = keep_alive;
        self.timers.heard = now;
        self.timers.probes = 0;
    }

    /// Sets R2: time without progress after which the connection is given up (MUST-21).
    pub const fn set_user_timeout(&mut self, span: Duration) {
        self.user_timeout = span;
    }

    /// Changes how much is buffered for the reader. Room that was promised to the peer stays.
    pub fn set_receive_capacity(&mut self, octets: usize) {
        self.receive.set_capacity(u32::try_from(octets).unwrap_or(u32::MAX));
    }

    /// Heap memory held, in octets: none while there is nothing to read and nothing out of order, here
    /// or at the peer.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.receive.buffer.storage() + self.receive.assembler.storage() + self.send.scoreboard.storage()
    }

    /// Takes an ICMP error that quotes one of our segments with sequence number `quoted`. A quote of
    /// what is not in flight is forged or stale and changes nothing.
    ///
    /// A hard error ends only a handshake: a connection that works would be too easy to kill.
    ///
    /// Source: RFC 9293 §3.9.2.2 (MUST-54..56), RFC 5927 §4.1, §6.
    pub fn on_unreachable(&mut self, kind: Unreachable, quoted: SeqNumber) -> Events {
        if !self.is_in_flight(quoted) {
            return Events::empty();
        }
        match (kind, self.phase) {
            (Unreachable::Hard, Phase::SynSent | Phase::SynReceived) => {
                self.error = Some(Error::Unreachable);
                self.finish();
                Events::ABORTED | Events::CLOSED
            }
            _ => Events::PATH_SUSPECT,
        }
    }

    /// The path takes only `mss` octets of payload beside the headers (ICMP: datagram too big).
    /// Believed only downwards, not below 88 % of the smallest MTU, and for what is in flight.
    ///
    /// Source: RFC 1191 §6, RFC 5927 §7.
    pub fn on_path_mss(&mut self, mss: u16, quoted: SeqNumber) {
        /// An IPv4 host forwards 68 octets, but no real path is narrower than 296 (RFC 1191 §7.1).
        const FLOOR: u16 = 256;
        if self.is_in_flight(quoted) && mss < self.send.mss {
            self.send.mss = mss.max(FLOOR).min(self.send.mss);
            self.send.restart_from_oldest();
        }
    }

    fn is_in_flight(&self, quoted: SeqNumber) -> bool {
        !quoted.is_before(self.send.unacknowledged) && quoted.is_before(self.send.max)
    }

    /// Whether the peer may still send text.
    const fn receives(&self) -> bool {
        matches!(self.phase, Phase::Established | Phase::FinWait1 | Phase::FinWait2)
    }
}

#[cfg(test)]
mod tests;
