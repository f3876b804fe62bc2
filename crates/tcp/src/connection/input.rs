//! An incoming segment: the checks of RFC 9293 §3.10.7.4 in their order.

use swos_units::{Duration, Instant};
use swos_wire::TcpFlags;

use super::ack::AckVerdict;
use super::{Connection, Events, Phase};
use crate::config::Config;
use crate::error::Error;
use crate::isn::low_word;
use crate::receiver::{AckDue, Reader, Taken};
use crate::segment::{Bare, Header, answer_closed};
use crate::send_queue::SendQueue;
use crate::time_wait::{TimeWaitVerdict, two_msl};

impl Connection {
    /// Takes a segment of this connection whose checksum was found right. Acknowledged octets are
    /// released from `queue`.
    ///
    /// To have one acknowledgment for a batch of segments, give them all before draining
    /// [`Self::poll_transmit`] (MUST-58, MUST-59).
    ///
    /// Source: RFC 9293 §3.10.7, RFC 5961.
    pub fn on_segment(
        &mut self,
        now: Instant,
        config: &Config,
        header: &Header,
        payload: &[u8],
        queue: &mut impl SendQueue,
    ) -> Events {
        match self.phase {
            Phase::SynSent => self.on_segment_syn_sent(now, config, header, payload, queue),
            Phase::TimeWait { window, .. } => {
                if let Some(mut rest) = self.time_wait() {
                    match rest.on_segment(now, config, header, payload.len()) {
                        TimeWaitVerdict::Ignore => {}
                        // Only who has the listener can reopen; here a SYN is as odd as elsewhere.
                        TimeWaitVerdict::Reply(_) | TimeWaitVerdict::Reopen { .. } => {
                            self.receive.ack = AckDue::Now;
                        }
                    }
                    self.phase = Phase::TimeWait { until: rest.deadline(), window };
                }
                Events::empty()
            }
            Phase::Closed => {
                if self.reply.is_none() {
                    self.reply = answer_closed(header, payload.len()).map(|reset| Bare::of(&reset));
                }
                Events::empty()
            }
            Phase::SynReceived
            | Phase::Established
            | Phase::FinWait1
            | Phase::FinWait2
            | Phase::CloseWait
            | Phase::Closing
            | Phase::LastAck => self.on_segment_synchronised(now, config, header, payload, queue),
        }
    }

    fn on_segment_synchronised(
        &mut self,
        now: Instant,
        config: &Config,
        header: &Header,
        payload: &[u8],
        queue: &mut impl SendQueue,
    ) -> Events {
        let unsyn;
        let header = if self.is_crossed_syn_ack(header) {
            let flags = header.flags.difference(TcpFlags::SYN);
            unsyn = Header { seq: header.seq + 1, flags, ..*header };
            &unsyn
        } else {
            header
        };
        if let Some(stamps) = &self.stamps
            && !header.has(TcpFlags::RST)
        {
            match header.options.timestamp {
                // Once agreed, every segment has one; this is none of this connection's.
                None => return Events::empty(),
                Some(stamp) if stamps.is_old(now, stamp) => {
                    self.answer_unacceptable(now, config, header, payload);
                    return Events::empty();
                }
                Some(_) => {}
            }
        }
        let text = match self.accepts(header, payload.len()) {
            Acceptance::Full => payload,
            Acceptance::ControlOnly => &[],
            Acceptance::None => {
                if !header.has(TcpFlags::RST) {
                    self.answer_unacceptable(now, config, header, payload);
                }
                return Events::empty();
            }
        };
        if header.has(TcpFlags::RST) {
            return self.on_reset(now, config, header);
        }
        if header.has(TcpFlags::SYN) {
            // RFC 5961 §4.2: whoever sent it proves by a reset at the right number that it restarted.
            self.challenge(now, config);
            return Events::empty();
        }
        if !header.has(TcpFlags::ACK) {
            return Events::empty();
        }
        self.timers.heard = now;
        self.timers.probes = 0;
        if let Some(stamps) = &mut self.stamps {
            stamps.update(now, header, self.receive.acknowledged);
        }
        let mut events = Events::empty();
        if matches!(self.phase, Phase::SynReceived) {
            if header.ack != self.send.max {
                self.reply = answer_closed(header, payload.len()).map(|reset| Bare::of(&reset));
                return events;
            }
            events |= self.on_syn_acknowledged(now, config, header);
            self.update_window(header);
        } else {
            match self.on_ack(now, config, header, payload.len(), queue) {
                AckVerdict::Bad => return events,
                AckVerdict::Good(more) => events |= more,
            }
        }
        if payload.is_empty() && !header.flags.intersects(TcpFlags::URG | TcpFlags::FIN) {
            // A bare acknowledgment: it can't bring the octets that a FIN seen before waits for.
            return events;
        }
        if text.len() < payload.len() {
            // A probe of our closed window.
            self.receive.ack = AckDue::Now;
            let pure = Header { flags: header.flags.difference(TcpFlags::FIN), ..*header };
            return events | self.take_urgent_text_and_fin(now, config, &pure, text, queue);
        }
        events | self.take_urgent_text_and_fin(now, config, header, text, queue)
    }

    /// The second SYN of a simultaneous open carries the number that was already counted; its
    /// acknowledgment must not be thrown away for that (RFC 9293 §3.5, figure 8).
    fn is_crossed_syn_ack(&self, header: &Header) -> bool {
        matches!(self.phase, Phase::SynReceived)
            && header.has(TcpFlags::SYN | TcpFlags::ACK)
            && header.seq + 1 == self.receive.next
            && header.ack == self.send.max
    }

    /// The window test. One octet more than RFC 9293 allows is granted to segments without text: a
    /// peer that filled our window must still be able to acknowledge.
    fn accepts(&self, header: &Header, payload: usize) -> Acceptance {
        let (next, edge) = (self.receive.next, self.receive.edge);
        let len = header.sequence_len(payload);
        if len == 0 {
            let inside = !header.seq.is_before(next) && !header.seq.is_after(edge);
            return if inside { Acceptance::Full } else { Acceptance::None };
        }
        if next == edge {
            // MUST-66: a closed window stops text, not control.
            return if header.seq == next { Acceptance::ControlOnly } else { Acceptance::None };
        }
        let overlaps = header.seq.is_before(edge) && (header.seq + len).is_after(next);
        if overlaps { Acceptance::Full } else { Acceptance::None }
    }

    fn answer_unacceptable(&mut self, now: Instant, config: &Config, header: &Header, payload: &[u8]) {
        if payload.is_empty() && !header.has(TcpFlags::FIN) {
            // Two confused ends must not answer each other's answers for ever.
            self.challenge(now, config);
        } else {
            self.receive.ack = AckDue::Now;
        }
    }

    /// Owes an acknowledgment that tells the peer where we are, unless many went out this second.
    ///
    /// Source: RFC 5961 §7.
    pub(super) fn challenge(&mut self, now: Instant, config: &Config) {
        let timers = &mut self.timers;
        if now.since(timers.challenges_since) >= Duration::from_secs(1) {
            timers.challenges_since = now;
            timers.challenges = 0;
        }
        if timers.challenges < config.challenge_acks {
            timers.challenges += 1;
            self.receive.ack = AckDue::Now;
        }
    }

    /// Source: RFC 5961 §3.2, RFC 9293 §3.10.7.4 "second".
    fn on_reset(&mut self, now: Instant, config: &Config, header: &Header) -> Events {
        if header.seq != self.receive.next {
            self.challenge(now, config);
            return Events::empty();
        }
        match self.phase {
            Phase::Closing | Phase::LastAck => {
                // Both ends closed; all that is lost is the last acknowledgment.
                self.finish();
                Events::CLOSED
            }
            Phase::SynReceived => {
                self.error = Some(Error::Refused);
                self.finish();
                Events::ABORTED | Events::CLOSED
            }
            Phase::SynSent
            | Phase::Established
            | Phase::FinWait1
            | Phase::FinWait2
            | Phase::CloseWait
            | Phase::TimeWait { .. }
            | Phase::Closed => {
                self.error = Some(Error::Reset);
                self.finish();
                Events::ABORTED | Events::CLOSED
            }
        }
    }

    /// The sixth, seventh and eighth step: urgent pointer, text, FIN.
    pub(super) fn take_urgent_text_and_fin(
        &mut self,
        now: Instant,
        config: &Config,
        header: &Header,
        text: &[u8],
        queue: &mut impl SendQueue,
    ) -> Events {
        if !self.receives() {
            return Events::empty();
        }
        let mut events = Events::empty();
        if header.has(TcpFlags::URG) {
            events |= self.take_urgent(header);
        }
        if !text.is_empty() {
            let end = header.seq + low_word(text.len() as u64);
            if matches!(self.receive.reader, Reader::Gone) && end.is_after(self.receive.next) {
                self.abort_with(Error::Aborted);
                return events | Events::ABORTED | Events::CLOSED;
            }
            events |= self.take_text(now, config, header, text);
        }
        if header.has(TcpFlags::FIN) && self.receive.fin.is_none() {
            let fin = header.seq + low_word(text.len() as u64);
            if !fin.is_before(self.receive.next) && !fin.is_after(self.receive.edge) {
                self.receive.fin = Some(fin);
            }
            // Out of order or not, the peer hears at once where we are.
            self.receive.ack = AckDue::Now;
        }
        if self.receive.fin_is_next() {
            events |= self.take_fin(now, config, queue);
        }
        events
    }

    fn take_urgent(&mut self, header: &Header) -> Events {
        let end = header.seq + u32::from(header.urgent);
        let known = self.receive.urgent.unwrap_or_else(|| self.receive.read_position());
        if end.is_after(known) {
            self.receive.urgent = Some(end);
            Events::URGENT
        } else {
            Events::empty()
        }
    }

    fn take_text(&mut self, now: Instant, config: &Config, header: &Header, text: &[u8]) -> Events {
        let had_gap = !self.receive.assembler.is_empty();
        match self.receive.take_text(config, header.seq, text) {
            Taken::InOrder(_) => {
                if had_gap {
                    self.receive.ack = AckDue::Now;
                } else {
                    self.receive.owe_ack(now, config);
                }
                Events::READABLE
            }
            Taken::OutOfOrder | Taken::Nothing => {
                self.receive.ack = AckDue::Now;
                Events::empty()
            }
        }
    }

    /// The peer's FIN is the next number: take it.
    fn take_fin(&mut self, now: Instant, config: &Config, queue: &impl SendQueue) -> Events {
        self.receive.next += 1;
        self.receive.edge = self.receive.edge.max(self.receive.next);
        self.receive.assembler.clear();
        self.receive.ack = AckDue::Now;
        match self.phase {
            Phase::Established => self.phase = Phase::CloseWait,
            Phase::FinWait1 => self.phase = Phase::Closing,
            Phase::FinWait2 => {
                debug_assert!(queue.is_empty(), "our FIN was acknowledged, so everything before it was");
                return Events::PEER_FINISHED | self.enter_time_wait(now, config);
            }
            Phase::SynSent
            | Phase::SynReceived
            | Phase::CloseWait
            | Phase::Closing
            | Phase::LastAck
            | Phase::TimeWait { .. }
            | Phase::Closed => {}
        }
        Events::PEER_FINISHED
    }

    pub(super) fn enter_time_wait(&mut self, now: Instant, config: &Config) -> Events {
        let window = self.receive.advertise(u32::from(self.path.mss));
        let owed = self.receive.ack;
        self.finish();
        self.receive.ack = owed;
        self.phase = Phase::TimeWait { until: now + two_msl(config), window };
        Events::TIME_WAIT
    }
}

/// What of a segment is processed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Acceptance {
    /// All that lies in the window.
    Full,
    /// Its acknowledgment, urgent pointer and reset.
    ControlOnly,
    /// Nothing.
    None,
}
