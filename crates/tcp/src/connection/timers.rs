//! Time: the timers of a connection and what happens when they expire.

use swos_units::Instant;

use super::sender::Recovery;
use super::{Connection, Events, Phase};
use crate::config::{Config, KeepAlive};
use crate::congestion::Repeated;
use crate::error::Error;
use crate::receiver::AckDue;

/// The one timer of the sending side. Both uses exclude each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SendTimer {
    /// Nothing to wait for.
    Off,
    /// Something is in flight.
    Retransmit(Instant),
    /// Nothing may be sent: probe the window, or send a small segment after all.
    Persist(Instant),
}

/// Timers.
#[derive(Debug)]
pub(super) struct Timers {
    pub(super) send: SendTimer,
    /// End of FIN-WAIT-2 when nobody reads any more.
    pub(super) fin_wait_2: Instant,
    /// When the peer was last heard.
    pub(super) heard: Instant,
    /// Keep-alive probes since then, and whether one is to be sent.
    pub(super) probes: u8,
    pub(super) probe_sent: Instant,
    pub(super) probe_due: bool,
    /// Challenge ACKs sent in the second that began here.
    pub(super) challenges_since: Instant,
    pub(super) challenges: u8,
}

impl Timers {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            send: SendTimer::Off,
            fin_wait_2: Instant::FAR_FUTURE,
            heard: now,
            probes: 0,
            probe_sent: now,
            probe_due: false,
            challenges_since: now,
            challenges: 0,
        }
    }

    pub(super) const fn stop(&mut self) {
        self.send = SendTimer::Off;
        self.fin_wait_2 = Instant::FAR_FUTURE;
        self.probe_due = false;
    }

    /// When the next keep-alive probe or its verdict is due.
    fn keep_alive(&self, settings: KeepAlive) -> Instant {
        if self.probes == 0 { self.heard + settings.idle } else { self.probe_sent + settings.interval }
    }
}

impl Connection {
    /// Returns when [`Self::on_timeout`] is due; `None` if only an event helps. Read it after
    /// [`Self::poll_transmit`] returned `None`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let mut first = self.timers.fin_wait_2;
        match self.timers.send {
            SendTimer::Off => {}
            SendTimer::Retransmit(at) | SendTimer::Persist(at) => first = first.min(at),
        }
        if let AckDue::At(at) = self.receive.ack {
            first = first.min(at);
        }
        if let Phase::TimeWait { until, .. } = self.phase {
            first = first.min(until);
        }
        if let Some(settings) = self.keep_alive.filter(|_| self.is_kept_alive()) {
            first = first.min(self.timers.keep_alive(settings));
        }
        (first != Instant::FAR_FUTURE).then_some(first)
    }

    /// Advances time to `now`. Early and repeated calls change nothing.
    pub fn on_timeout(&mut self, now: Instant, config: &Config) -> Events {
        let mut events = Events::empty();
        match self.timers.send {
            SendTimer::Retransmit(at) if at <= now => events |= self.on_retransmission_timeout(now, config),
            SendTimer::Persist(at) if at <= now => events |= self.on_persist_timeout(now, config),
            SendTimer::Off | SendTimer::Retransmit(_) | SendTimer::Persist(_) => {}
        }
        if matches!(self.receive.ack, AckDue::At(at) if at <= now) {
            self.receive.ack = AckDue::Now;
        }
        let time_wait_over = matches!(self.phase, Phase::TimeWait { until, .. } if until <= now);
        if time_wait_over || self.timers.fin_wait_2 <= now {
            self.finish();
            events |= Events::CLOSED;
        }
        if let Some(settings) = self.keep_alive
            && self.is_kept_alive()
            && self.timers.keep_alive(settings) <= now
        {
            events |= self.on_keep_alive(now, settings);
        }
        events
    }

    /// Probes make sense while nothing of ours waits for an answer anyway.
    fn is_kept_alive(&self) -> bool {
        let open = match self.phase {
            Phase::Established | Phase::FinWait2 | Phase::CloseWait => true,
            Phase::SynSent
            | Phase::SynReceived
            | Phase::FinWait1
            | Phase::Closing
            | Phase::LastAck
            | Phase::TimeWait { .. }
            | Phase::Closed => false,
        };
        open && matches!(self.timers.send, SendTimer::Off)
    }

    /// Source: RFC 6298 §5.4..5.7, RFC 5681 §3.1, RFC 6582 §4, RFC 9293 §3.8.3 (MUST-20..23).
    fn on_retransmission_timeout(&mut self, now: Instant, config: &Config) -> Events {
        let handshake = matches!(self.phase, Phase::SynSent | Phase::SynReceived);
        let limit = if handshake { config.syn_timeout } else { self.user_timeout };
        if now.since(self.send.stalled_since) >= limit {
            return self.give_up();
        }
        let repeated = if self.send.timeouts == 0 { Repeated::First } else { Repeated::Again };
        self.send.timeouts = self.send.timeouts.saturating_add(1);
        self.timers.send = SendTimer::Off;
        self.rtt.back_off();
        let flight = self.send.flight();
        self.send.restart_from_oldest();
        if !handshake {
            self.send.recovery = Recovery::Open;
            self.send.duplicates = 0;
            // The peer may have thrown away what it told of (RFC 2018 §8).
            self.send.scoreboard.clear();
            self.send.recover = self.send.max;
            if self.send.window == 0 {
                // The window closed over what was in flight: that is no sign of congestion.
                self.send.forced = true;
            } else {
                self.congestion.on_timeout(flight, u32::from(self.send.mss), repeated);
            }
        }
        if self.send.timeouts == config.r1_retransmissions { Events::PATH_SUSPECT } else { Events::empty() }
    }

    /// Source: RFC 9293 §3.8.6.1 (MUST-35..37), §3.8.6.2.1.
    fn on_persist_timeout(&mut self, now: Instant, config: &Config) -> Events {
        // As long as the peer answers it is alive, however long its window stays closed.
        if self.send.window == 0
            && now.since(self.timers.heard.max(self.send.stalled_since)) >= self.user_timeout
        {
            return self.give_up();
        }
        if self.send.window == 0 {
            self.rtt.back_off();
        }
        self.send.forced = true;
        self.timers.send = SendTimer::Persist(now + self.rtt.timeout(config));
        Events::empty()
    }

    /// Source: RFC 9293 §3.8.4.
    fn on_keep_alive(&mut self, now: Instant, settings: KeepAlive) -> Events {
        // One lost probe must never kill a connection (MUST-28).
        if self.timers.probes >= settings.probes.max(2) {
            return self.give_up();
        }
        self.timers.probes += 1;
        self.timers.probe_sent = now;
        self.timers.probe_due = true;
        Events::empty()
    }

    fn give_up(&mut self) -> Events {
        self.abort_with(Error::TimedOut);
        Events::ABORTED | Events::CLOSED
    }
}
