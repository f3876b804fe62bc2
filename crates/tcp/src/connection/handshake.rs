//! Opening: SYN-SENT, crossing SYNs, and the step to ESTABLISHED.

use swos_units::Instant;
use swos_wire::{TcpFlags, TcpOptions, TcpTimestamp};

use super::timers::SendTimer;
use super::{Connection, Events, Phase, Scaling};
use crate::config::{Config, Extension, MAX_SHIFT, Path};
use crate::congestion::Congestion;
use crate::error::Error;
use crate::half_open::HalfOpen;
use crate::receiver::{AckDue, Receiver};
use crate::segment::{Bare, Header, Transmit, answer_closed};
use crate::send_queue::SendQueue;
use crate::stamps::{Stamps, clock};

impl Connection {
    /// The connection that a half-open entry becomes when the third segment of its handshake comes.
    /// It still waits for exactly that segment.
    pub(crate) fn from_half_open(now: Instant, config: &Config, path: Path, half: &HalfOpen) -> Self {
        let mut connection = Self::new(now, config, path, half.initial, Phase::SynReceived);
        connection.take_syn(now, config, &half.syn_header());
        connection.send.next = half.initial + 1;
        connection.send.max = half.initial + 1;
        connection.send.timeouts = half.repetitions();
        // That segment may yet be refused, for an old timestamp say: then the SYN-ACK goes out again, and the end comes in time.
        connection.timers.send = SendTimer::Retransmit(now + connection.rtt.timeout(config));
        if connection.send.timeouts == 0 {
            connection.send.timed = Some((half.initial + 1, half.sent));
        }
        connection
    }

    /// Source: RFC 9293 §3.10.7.3.
    pub(super) fn on_segment_syn_sent(
        &mut self,
        now: Instant,
        config: &Config,
        header: &Header,
        payload: &[u8],
        queue: &mut impl SendQueue,
    ) -> Events {
        let acknowledges = header.has(TcpFlags::ACK);
        if acknowledges && header.ack != self.send.max {
            // `max` is `initial + 1` once the SYN is out, so this is every ACK that is not its.
            self.reply = answer_closed(header, payload.len()).map(|reset| Bare::of(&reset));
            return Events::empty();
        }
        if header.has(TcpFlags::RST) {
            // Without a good ACK it may come from anybody (RFC 5961 §3.2).
            if !acknowledges {
                return Events::empty();
            }
            self.error = Some(Error::Refused);
            self.finish();
            return Events::ABORTED | Events::CLOSED;
        }
        if !header.has(TcpFlags::SYN) {
            return Events::empty();
        }
        self.timers.heard = now;
        self.take_syn(now, config, header);
        if !acknowledges {
            // Crossing SYNs. Ours goes out again, now with an acknowledgment; text that came with
            // theirs is left for them to repeat.
            self.phase = Phase::SynReceived;
            self.send.restart_from_oldest();
            return Events::empty();
        }
        self.receive.ack = AckDue::Now;
        self.send.window_seq = header.seq;
        let events = self.on_syn_acknowledged(now, config, header);
        let rest = Header { seq: header.seq + 1, flags: header.flags.difference(TcpFlags::SYN), ..*header };
        events | self.take_urgent_text_and_fin(now, config, &rest, payload, queue)
    }

    /// Learns what the peer's SYN says.
    fn take_syn(&mut self, now: Instant, config: &Config, syn: &Header) {
        let options = &syn.options;
        let offered = match self.scaling {
            Scaling::Offered(shift) | Scaling::Agreed(shift) => Some(shift),
            Scaling::Refused => None,
        };
        let (ours, theirs) = match (offered, options.window_scale) {
            (Some(ours), Some(theirs)) => (ours, theirs.min(MAX_SHIFT)),
            (None, _) | (_, None) => (0, 0),
        };
        self.scaling = match (offered, options.window_scale) {
            (Some(shift), Some(_)) => Scaling::Agreed(shift),
            (None, _) | (_, None) => Scaling::Refused,
        };
        let reader = self.receive.reader;
        let capacity = self.receive.capacity;
        self.receive = Receiver::new(config, syn.seq, ours);
        self.receive.reader = reader;
        self.receive.set_capacity(capacity);
        // What our own SYN or SYN-ACK says, which is never scaled.
        self.receive.edge += u32::from(self.syn_window());
        self.send.shift = theirs;
        let mss = options.mss.unwrap_or(self.path.default_mss).max(MSS_FLOOR);
        self.send.mss = mss.min(self.path.mss);
        self.sack = if options.sack_permitted { config.sack } else { Extension::Off };
        let timestamp = options.timestamp.filter(|_| config.timestamps.is_on());
        self.stamps = timestamp.map(|stamp| Stamps::new(now, stamp, self.send.initial));
        if self.stamps.is_some() {
            // MUST-16: options count against the peer's MSS.
            self.send.mss = self.send.mss.saturating_sub(TIMESTAMP_LEN).max(MSS_FLOOR - TIMESTAMP_LEN);
        }
        self.congestion = Congestion::new(config, u32::from(self.send.mss));
        self.send.window = u32::from(syn.window);
        self.send.window_max = self.send.window;
        self.send.window_seq = syn.seq;
    }

    /// Our SYN is acknowledged by `header`: data may flow.
    pub(super) fn on_syn_acknowledged(&mut self, now: Instant, config: &Config, header: &Header) -> Events {
        if let Some((_, sent)) = self.send.timed.take() {
            self.rtt.sample(now.since(sent), config);
        }
        if self.send.timeouts > 0 {
            self.rtt.after_syn_loss(config);
            self.congestion.after_syn_loss(u32::from(self.send.mss));
        }
        let send = &mut self.send;
        send.unacknowledged = header.ack;
        send.next = header.ack;
        send.small_end = header.ack;
        send.recover = header.ack;
        send.window_ack = header.ack;
        send.timeouts = 0;
        send.stalled_since = now;
        self.timers.send = SendTimer::Off;
        self.phase = if send.fin { Phase::FinWait1 } else { Phase::Established };
        Events::CONNECTED | Events::WRITABLE
    }

    /// The SYN or SYN-ACK, if it is to be sent now.
    pub(super) fn emit_syn(&mut self, now: Instant, config: &Config) -> Option<Transmit> {
        if self.send.next != self.send.initial {
            return None;
        }
        let (flags, ack) = match self.phase {
            Phase::SynReceived => (TcpFlags::SYN | TcpFlags::ACK, self.receive.next),
            _ => (TcpFlags::SYN, swos_wire::SeqNumber(0)),
        };
        let first = self.send.max == self.send.initial;
        self.send.next += 1;
        self.send.max = self.send.next;
        if first {
            self.send.timed = Some((self.send.next, now));
            self.send.stalled_since = now;
        }
        self.timers.send = SendTimer::Retransmit(now + self.rtt.timeout(config));
        self.receive.set_acknowledged();
        let shift = match self.scaling {
            Scaling::Offered(shift) | Scaling::Agreed(shift) => Some(shift),
            Scaling::Refused => None,
        };
        let (sack, timestamp) = match self.phase {
            Phase::SynReceived => (self.sack, self.stamps.map(|stamps| stamps.option(now))),
            _ => {
                let first = TcpTimestamp { value: clock(now, self.send.initial), echo: 0 };
                (config.sack, config.timestamps.is_on().then_some(first))
            }
        };
        let options = TcpOptions {
            mss: Some(self.path.mss),
            window_scale: shift,
            sack_permitted: sack.is_on(),
            timestamp,
            ..TcpOptions::NONE
        };
        Some(Transmit::bare(self.send.initial, ack, flags, self.syn_window(), options))
    }

    fn syn_window(&self) -> u16 {
        u16::try_from(self.receive.capacity).unwrap_or(u16::MAX)
    }
}

/// A peer that names a tiny MSS would make us send a header for each octet (CVE-2019-11479).
const MSS_FLOOR: u16 = 48;

/// What the time stamps option takes with its padding.
const TIMESTAMP_LEN: u16 = 12;
