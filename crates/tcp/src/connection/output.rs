//! What to send next.

use swos_units::Instant;
use swos_wire::{SeqNumber, TcpFlags, TcpOptions};

use super::sender::Recovery;
use super::timers::SendTimer;
use super::{Connection, Phase};
use crate::config::{Config, Nagle};
use crate::isn::low_word;
use crate::receiver::AckDue;
use crate::segment::{Header, Transmit};
use crate::send_queue::SendQueue;

impl Connection {
    /// Takes the next segment to send; call until `None` after each input. The caller must send it:
    /// the machine counts it as sent.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        config: &Config,
        queue: &impl SendQueue,
    ) -> Option<Transmit> {
        if let Some(reply) = self.reply.take() {
            return Some(reply.transmit());
        }
        match self.phase {
            Phase::SynSent => self.emit_syn(now, config),
            Phase::SynReceived => {
                let syn_ack = self.emit_syn(now, config);
                syn_ack.or_else(|| self.emit_acknowledgment(now))
            }
            Phase::TimeWait { .. } => {
                let owed = self.receive.ack == AckDue::Now;
                self.receive.ack = AckDue::No;
                self.time_wait().filter(|_| owed).map(|rest| rest.acknowledgment(now))
            }
            Phase::Closed => None,
            Phase::Established
            | Phase::FinWait1
            | Phase::FinWait2
            | Phase::CloseWait
            | Phase::Closing
            | Phase::LastAck => self.emit_synchronised(now, config, low_word(queue.len() as u64)),
        }
    }

    fn emit_synchronised(&mut self, now: Instant, config: &Config, queued: u32) -> Option<Transmit> {
        // Octets of the queue and, behind them, the FIN, until that is acknowledged.
        let fin = self.send.fin && !matches!(self.phase, Phase::FinWait2);
        let outstanding = Outstanding { queued, total: queued + u32::from(fin) };
        if self.send.repeat_oldest {
            self.send.repeat_oldest = false;
            if self.send.flight() > 0 {
                let limit = self.send.skip_held(self.send.unacknowledged).1;
                return Some(self.repeat(now, config, outstanding, self.send.unacknowledged, limit));
            }
        }
        if let Some((start, len)) = self.next_hole() {
            return Some(self.repeat(now, config, outstanding, start, len));
        }
        let mut limit = u32::MAX;
        if self.send.next.is_before(self.send.max) && !self.send.scoreboard.is_empty() {
            (self.send.next, limit) = self.send.skip_held(self.send.next);
        }
        let offset = self.send.next.since(self.send.unacknowledged);
        if outstanding.total > offset {
            if let Some(transmit) = self.emit_new(now, config, outstanding, offset, limit) {
                return Some(transmit);
            }
            if self.timers.send == SendTimer::Off {
                // Only the peer's window or its size holds us back, and nothing of ours is on its
                // way that would bring news: ask. What was in flight before a time-out, or as a probe, counts as
                // lost: the window may have closed before it could be repeated.
                let wait = if self.send.window == 0 { self.rtt.timeout(config) } else { config.sws_override };
                self.timers.send = SendTimer::Persist(now + wait);
                if self.send.flight() == 0 {
                    self.send.stalled_since = now;
                }
            }
        }
        if self.timers.probe_due {
            self.timers.probe_due = false;
            return Some(self.segment(now, self.send.max - 1, 0, 0, TcpFlags::ACK));
        }
        self.emit_acknowledgment(now)
    }

    fn emit_acknowledgment(&mut self, now: Instant) -> Option<Transmit> {
        (self.receive.ack == AckDue::Now).then(|| self.segment(now, self.send.max, 0, 0, TcpFlags::ACK))
    }

    /// The next segment from `offset` on, if windows and size allow one.
    fn emit_new(
        &mut self,
        now: Instant,
        config: &Config,
        outstanding: Outstanding,
        offset: u32,
        limit: u32,
    ) -> Option<Transmit> {
        let mss = self.payload_limit(now);
        if offset == 0 && self.send.flight() == 0 && now.since(self.send.last_sent) > self.rtt.timeout(config)
        {
            self.congestion.restart_after_idle(config, mss);
        }
        let window = self.send.window.saturating_sub(offset);
        let mut numbers =
            (outstanding.total - offset).min(window).min(self.congestion_room(offset)).min(limit);
        let forced = self.send.forced;
        if forced {
            numbers = numbers.max(1);
        }
        let unsent = outstanding.queued.saturating_sub(offset);
        let len = unsent.min(numbers).min(mss);
        let fin = outstanding.total > outstanding.queued && len == unsent && numbers > len;
        if !(len == mss || fin || forced || self.may_send_small(len, unsent)) {
            return None;
        }
        self.send.forced = false;
        let probe = forced && window == 0;
        let seq = self.send.next;
        let end = seq + len + u32::from(fin);
        let fresh = seq == self.send.max;
        if self.send.flight() == 0 {
            self.send.stalled_since = now;
        }
        self.send.max = self.send.max.max(end);
        if probe {
            // `next` stays: should the peer drop the octet, it is sent again with the rest.
            if !matches!(self.timers.send, SendTimer::Persist(_)) {
                self.timers.send = SendTimer::Persist(now + self.rtt.timeout(config));
            }
        } else {
            self.send.next = end;
            if fresh && self.send.timed.is_none() {
                self.send.timed = Some((end, now));
            }
            if !matches!(self.timers.send, SendTimer::Retransmit(_)) {
                self.timers.send = SendTimer::Retransmit(now + self.rtt.timeout(config));
            }
        }
        if len < mss && len > 0 {
            self.send.small_end = end;
        }
        self.send.last_sent = now;
        let mut flags = TcpFlags::ACK;
        if len == unsent && len > 0 {
            flags |= TcpFlags::PSH;
        }
        if fin {
            flags |= TcpFlags::FIN;
        }
        Some(self.segment(now, seq, offset, len, flags))
    }

    /// Whether a segment short of full may go: silly-window avoidance and Nagle.
    ///
    /// Nagle is applied as Minshall refined it: a small segment waits only for an earlier small one,
    /// not for a full one, so that the tail of a reply does not wait for a delayed ACK.
    ///
    /// Source: RFC 9293 §3.7.4, §3.8.6.2.1 (MUST-38).
    fn may_send_small(&self, len: u32, unsent: u32) -> bool {
        if len == 0 {
            return false;
        }
        let repeated = self.send.next.is_before(self.send.max);
        let last = len == unsent;
        let unhindered = self.nagle == Nagle::Off || !self.send.small_end.is_after(self.send.unacknowledged);
        repeated || (last && unhindered) || len >= (self.send.window_max / 2).max(1)
    }

    /// What may be sent from `offset` on: the congestion window, and up to two segments more while
    /// the first duplicates come in (RFC 3042), less what is under way.
    fn congestion_room(&self, offset: u32) -> u32 {
        let window = self.congestion.window();
        match self.send.recovery {
            Recovery::Open => {
                let extra = u32::from(self.send.duplicates.min(2)) * u32::from(self.send.mss);
                let held = self.send.held_before_next();
                window.saturating_add(extra).saturating_sub(offset.saturating_sub(held))
            }
            Recovery::Fast { .. } => window.saturating_sub(offset),
            Recovery::Selective { repeated } => window.saturating_sub(self.send.pipe(repeated)),
        }
    }

    /// Largest payload beside the options that a segment has now.
    fn payload_limit(&self, now: Instant) -> u32 {
        let mss = u32::from(self.send.mss);
        if self.receive.assembler.is_empty() {
            return mss;
        }
        // Time stamps are off the MSS already.
        let stamps = if self.stamps.is_some() { 12 } else { 0 };
        let sack = low_word(self.options(now).encoded_len() as u64).saturating_sub(stamps);
        mss.saturating_sub(sack)
    }

    /// Up to `limit` numbers from `seq` on once more, out of turn.
    fn repeat(
        &mut self,
        now: Instant,
        config: &Config,
        outstanding: Outstanding,
        seq: SeqNumber,
        limit: u32,
    ) -> Transmit {
        let offset = seq.since(self.send.unacknowledged);
        let numbers = self.send.max.since(seq).min(limit);
        let rest = outstanding.queued.saturating_sub(offset);
        let len = rest.min(numbers).min(self.payload_limit(now));
        let fin = outstanding.total > outstanding.queued && len == rest && numbers > len;
        let mut flags = TcpFlags::ACK;
        if fin {
            flags |= TcpFlags::FIN;
        }
        if len == rest && len > 0 {
            flags |= TcpFlags::PSH;
        }
        if let Recovery::Selective { repeated } = &mut self.send.recovery {
            *repeated = repeated.max(seq + len);
        }
        self.send.timed = None;
        self.send.last_sent = now;
        if self.timers.send == SendTimer::Off {
            self.timers.send = SendTimer::Retransmit(now + self.rtt.timeout(config));
        }
        self.segment(now, seq, offset, len, flags)
    }

    /// The options of a segment that is no SYN: time stamps, and what we hold out of order.
    fn options(&self, now: Instant) -> TcpOptions {
        let mut options = TcpOptions::NONE;
        if let Some(stamps) = &self.stamps {
            options.timestamp = Some(stamps.option(now));
        }
        if self.sack.is_on() && !self.receive.assembler.is_empty() {
            let most = if self.stamps.is_some() { 3 } else { 4 };
            // On a path for tiny segments half of each is for data, or none would ever get through.
            let fit = (usize::from(self.send.mss) / 2).saturating_sub(4) / 8;
            options.sack = self.receive.assembler.sack_blocks(fit.min(most));
        }
        options
    }

    /// Puts a segment together; it carries our acknowledgment and window.
    fn segment(&mut self, now: Instant, seq: SeqNumber, offset: u32, len: u32, flags: TcpFlags) -> Transmit {
        let window = self.receive.advertise(u32::from(self.path.mss));
        self.receive.set_acknowledged();
        let options = self.options(now);
        let mut header = Header { seq, ack: self.receive.next, flags, window, urgent: 0, options };
        if let Some(end) = self.send.urgent
            && end.is_after(seq)
        {
            header.flags |= TcpFlags::URG;
            header.urgent = u16::try_from(end.since(seq)).unwrap_or(u16::MAX);
        }
        Transmit { header, offset: offset as usize, len: len as usize }
    }
}

/// What is not yet acknowledged or not yet sent.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    /// Octets in the queue.
    queued: u32,
    /// The same, and one for a FIN behind them.
    total: u32,
}
