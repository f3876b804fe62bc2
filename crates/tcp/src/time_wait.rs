//! TIME-WAIT: what is left of a connection that closed in good order, in a few words of memory.

use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpFlags, TcpOptions};

use crate::config::Config;
use crate::segment::{Header, Transmit};
use crate::stamps::Stamps;

/// A connection in TIME-WAIT. It holds no buffers, so that many thousands are cheap.
///
/// Source: RFC 9293 §3.6.1 (MUST-13), §3.10.7.4; RFC 1337; RFC 6191 in the case without time stamps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeWait {
    send_next: SeqNumber,
    receive_next: SeqNumber,
    until: Instant,
    stamps: Option<Stamps>,
    window: u16,
}

/// What to do with a segment for a connection in TIME-WAIT.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimeWaitVerdict {
    /// Nothing.
    Ignore,
    /// Send this; the connection stays.
    Reply(Transmit),
    /// A SYN that cannot be an old one: forget the connection and treat the segment as if it had
    /// come for the listener, with an initial number from
    /// [`IsnGenerator::isn_after`](crate::IsnGenerator::isn_after) `last`.
    Reopen {
        /// The next number that the old incarnation would have sent.
        last: SeqNumber,
    },
}

impl TimeWait {
    pub(crate) const fn new(
        until: Instant,
        send_next: SeqNumber,
        receive_next: SeqNumber,
        window: u16,
        stamps: Option<Stamps>,
    ) -> Self {
        Self { send_next, receive_next, until, stamps, window }
    }

    /// Takes a segment for this flow with `payload` octets of data.
    pub fn on_segment(
        &mut self,
        now: Instant,
        config: &Config,
        header: &Header,
        payload: usize,
    ) -> TimeWaitVerdict {
        if header.has(TcpFlags::RST) {
            // A reset must not cut TIME-WAIT short: an old duplicate could then reach a successor.
            return TimeWaitVerdict::Ignore;
        }
        let fresh = header.seq.is_after(self.receive_next);
        if header.has(TcpFlags::SYN) && !header.has(TcpFlags::ACK) && fresh {
            return TimeWaitVerdict::Reopen { last: self.send_next };
        }
        if header.sequence_len(payload) == 0 && header.seq == self.receive_next {
            return TimeWaitVerdict::Ignore;
        }
        if header.has(TcpFlags::FIN) {
            self.until = now + two_msl(config);
        }
        TimeWaitVerdict::Reply(self.acknowledgment(now))
    }

    /// When it is over. There is nothing to do then but to forget it.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.until
    }

    pub(crate) fn acknowledgment(&self, now: Instant) -> Transmit {
        let timestamp = self.stamps.map(|stamps| stamps.option(now));
        let options = TcpOptions { timestamp, ..TcpOptions::NONE };
        Transmit::bare(self.send_next, self.receive_next, TcpFlags::ACK, self.window, options)
    }
}

pub(crate) const fn two_msl(config: &Config) -> Duration {
    config.msl.saturating_mul(2)
}
