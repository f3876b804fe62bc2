//! NewReno's congestion window: how much may be in flight.
//!
//! Which segment is repeated when is decided in `connection::ack`; this is only the arithmetic.
//!
//! Source: RFC 5681 §3, §4, RFC 6582 §3.2, RFC 6928 §2.

use crate::config::Config;

/// The window and threshold of one connection, in octets.
#[derive(Clone, Debug)]
pub(crate) struct Congestion {
    window: u32,
    threshold: u32,
    /// Octets acknowledged since the window last grew in congestion avoidance.
    avoided: u32,
}

impl Congestion {
    pub(crate) fn new(config: &Config, mss: u32) -> Self {
        Self { window: initial(config, mss), threshold: u32::MAX, avoided: 0 }
    }

    pub(crate) const fn window(&self) -> u32 {
        self.window
    }

    #[cfg(test)]
    pub(crate) const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// `acked` new octets were acknowledged outside recovery, with `flight` in flight before that.
    /// A window that the sender did not use does not grow.
    pub(crate) fn on_ack(&mut self, config: &Config, acked: u32, flight: u32, mss: u32) {
        if flight.saturating_add(mss) < self.window
            && (self.window >= self.threshold || flight < self.window / 2)
        {
            return;
        }
        if self.window < self.threshold {
            self.window = self.window.saturating_add(acked.min(mss));
        } else {
            self.avoided = self.avoided.saturating_add(acked);
            if self.avoided >= self.window {
                self.avoided -= self.window;
                self.window = self.window.saturating_add(mss);
            }
        }
        self.window = self.window.min(config.congestion_window_max);
    }

    /// Third duplicate: halve, and count the three segments that left the network.
    pub(crate) fn enter_recovery(&mut self, flight: u32, mss: u32) {
        self.reduce_threshold(flight, mss);
        self.window = self.threshold.saturating_add(3 * mss);
    }

    /// A loss seen by SACK: halve. What left the network is counted from the scoreboard.
    pub(crate) fn enter_selective_recovery(&mut self, flight: u32, mss: u32) {
        self.reduce_threshold(flight, mss);
        self.window = self.threshold;
    }

    /// One more segment left the network during recovery.
    pub(crate) const fn inflate(&mut self, mss: u32) {
        self.window = self.window.saturating_add(mss);
    }

    /// A partial acknowledgment of `acked` octets: deflate, but let one new segment follow.
    pub(crate) const fn deflate(&mut self, acked: u32, mss: u32) {
        self.window = self.window.saturating_sub(acked);
        if acked >= mss {
            self.window = self.window.saturating_add(mss);
        }
        if self.window < mss {
            self.window = mss;
        }
    }

    /// Recovery is over with `flight` in flight: no burst, but no more than the threshold.
    pub(crate) fn exit_recovery(&mut self, flight: u32, mss: u32) {
        self.window = self.threshold.min(flight.max(mss).saturating_add(mss));
        self.avoided = 0;
    }

    /// The retransmission timer expired: one segment. The threshold moves only the first time.
    pub(crate) fn on_timeout(&mut self, flight: u32, mss: u32, repeated: Repeated) {
        if matches!(repeated, Repeated::First) {
            self.reduce_threshold(flight, mss);
        }
        self.window = mss;
        self.avoided = 0;
    }

    /// The SYN or SYN-ACK was lost: start with one segment.
    pub(crate) const fn after_syn_loss(&mut self, mss: u32) {
        self.window = mss;
    }

    /// Nothing was sent for a time-out: the path may have changed.
    pub(crate) fn restart_after_idle(&mut self, config: &Config, mss: u32) {
        self.window = self.window.min(initial(config, mss));
    }

    fn reduce_threshold(&mut self, flight: u32, mss: u32) {
        self.threshold = (flight / 2).max(2 * mss);
        self.avoided = 0;
    }
}

/// Whether a segment timed out for the first time or again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeated {
    First,
    Again,
}

/// RFC 6928: ten segments, but no more octets than ten segments of 1460 unless two are larger.
fn initial(config: &Config, mss: u32) -> u32 {
    let segments = config.initial_window.max(1);
    (segments.saturating_mul(mss)).min((segments.saturating_mul(1460)).max(2 * mss))
}

#[cfg(test)]
mod tests;
