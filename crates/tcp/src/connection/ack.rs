//! Acknowledgments: what they release, measure, and say about loss.

use swos_units::Instant;

use super::recovery::SackNews;
use super::timers::SendTimer;
use super::{Connection, Events, Phase};
use crate::config::Config;
use crate::receiver::Reader;
use crate::segment::Header;
use crate::send_queue::SendQueue;

/// Whether the rest of the segment is processed.
pub(super) enum AckVerdict {
    /// Yes; this changed so far.
    Good(Events),
    /// No: the acknowledgment can't be the peer's.
    Bad,
}

impl Connection {
    /// Source: RFC 9293 §3.10.7.4 "fifth", RFC 5961 §5.2.
    pub(super) fn on_ack(
        &mut self,
        now: Instant,
        config: &Config,
        header: &Header,
        payload: usize,
        queue: &mut impl SendQueue,
    ) -> AckVerdict {
        let ack = header.ack;
        let oldest = self.send.unacknowledged;
        if ack.is_after(self.send.max) || ack.is_before(oldest - self.send.window_max) {
            self.challenge(now, config);
            return AckVerdict::Bad;
        }
        let news = self.take_sack(config, header);
        if ack.is_after(oldest) {
            let events = self.on_new_ack(now, config, header, queue);
            self.update_window(header);
            return AckVerdict::Good(events);
        }
        let window_before = self.send.window;
        if ack == oldest {
            self.update_window(header);
            let duplicate = match news {
                // RFC 6675 §2: one that tells of octets that arrived beyond the gap.
                SackNews::Yes => true,
                SackNews::No => false,
                // RFC 5681 §2.
                SackNews::NotSpoken => {
                    header.sequence_len(payload) == 0
                        && self.send.window == window_before
                        && self.send.max != oldest
                        && self.send.window != 0
                }
            };
            if duplicate {
                self.on_duplicate_ack();
            }
        }
        AckVerdict::Good(Events::empty())
    }

    fn on_new_ack(
        &mut self,
        now: Instant,
        config: &Config,
        header: &Header,
        queue: &mut impl SendQueue,
    ) -> Events {
        let ack = header.ack;
        let acked = ack.since(self.send.unacknowledged);
        let flight = self.send.flight();
        let octets = (acked as usize).min(queue.len());
        queue.release(octets);
        // Only a FIN takes a number without an octet in the queue.
        let fin_acknowledged = octets < acked as usize;

        match self.send.timed {
            Some((end, sent)) if !ack.is_before(end) => {
                self.rtt.sample(now.since(sent), config);
                self.send.timed = None;
            }
            Some(_) => {}
            // Nothing that was sent only once is being timed; an echo is still a measurement.
            None => {
                let stamp = header.options.timestamp;
                let echoed = self.stamps.zip(stamp).and_then(|(stamps, stamp)| stamps.measure(now, stamp));
                if let Some(rtt) = echoed {
                    self.rtt.sample(rtt, config);
                }
            }
        }
        let send = &mut self.send;
        send.unacknowledged = ack;
        send.next = send.next.max(ack);
        send.small_end = send.small_end.max(ack);
        if send.urgent.is_some_and(|end| !end.is_after(ack)) {
            send.urgent = None;
        }
        send.timeouts = 0;
        send.stalled_since = now;
        let first_partial = self.on_ack_in_recovery(config, acked, flight);

        if self.send.flight() == 0 {
            self.timers.send = SendTimer::Off;
        } else if first_partial {
            self.timers.send = SendTimer::Retransmit(now + self.rtt.timeout(config));
        }
        let mut events = if octets > 0 { Events::WRITABLE } else { Events::empty() };
        if fin_acknowledged {
            events |= self.on_fin_acknowledged(now, config);
        }
        events
    }

    /// Source: RFC 9293 §3.10.7.4 "fifth", window update.
    pub(super) fn update_window(&mut self, header: &Header) {
        let send = &mut self.send;
        let newer = send.window_seq.is_before(header.seq)
            || (send.window_seq == header.seq && !header.ack.is_before(send.window_ack));
        if !newer {
            return;
        }
        let was_closed = send.window == 0;
        send.window = u32::from(header.window) << send.shift;
        send.window_max = send.window_max.max(send.window);
        send.window_seq = header.seq;
        send.window_ack = header.ack;
        if was_closed && send.window != 0 {
            // Probing is over: that the window was closed was no congestion.
            self.rtt.clear_back_off();
            if let SendTimer::Persist(_) = self.timers.send {
                self.timers.send = SendTimer::Off;
            }
        }
    }

    fn on_fin_acknowledged(&mut self, now: Instant, config: &Config) -> Events {
        match self.phase {
            Phase::FinWait1 => {
                self.phase = Phase::FinWait2;
                if matches!(self.receive.reader, Reader::Gone) {
                    self.timers.fin_wait_2 = now + config.fin_wait_2;
                }
                Events::empty()
            }
            Phase::Closing => self.enter_time_wait(now, config),
            Phase::LastAck => {
                self.finish();
                Events::CLOSED
            }
            Phase::SynSent
            | Phase::SynReceived
            | Phase::Established
            | Phase::FinWait2
            | Phase::CloseWait
            | Phase::TimeWait { .. }
            | Phase::Closed => Events::empty(),
        }
    }
}
