//! Round-trip time and the retransmission time-out made from it.
//!
//! Source: RFC 6298.

use swos_units::Duration;

use crate::config::Config;

/// The estimator of one connection.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    /// Smoothed round-trip time and its variation, in nanoseconds; none before the first sample.
    smoothed: Option<(u64, u64)>,
    rto_ns: u64,
    backoff: u32,
}

impl RttEstimator {
    pub(crate) const fn new(config: &Config) -> Self {
        Self { smoothed: None, rto_ns: config.rto_initial.as_nanos(), backoff: 0 }
    }

    /// Takes a measurement from a segment that was sent once. Ends any backing off.
    pub(crate) fn sample(&mut self, rtt: Duration, config: &Config) {
        let r = rtt.as_nanos();
        let (srtt, rttvar) = match self.smoothed {
            None => (r, r / 2),
            // RTTVAR first, with the old SRTT.
            Some((srtt, rttvar)) => (srtt - srtt / 8 + r / 8, rttvar - rttvar / 4 + srtt.abs_diff(r) / 4),
        };
        self.smoothed = Some((srtt, rttvar));
        let rto = srtt.saturating_add(config.clock_granularity.as_nanos().max(rttvar.saturating_mul(4)));
        self.rto_ns = rto.clamp(config.rto_min.as_nanos(), config.rto_max.as_nanos());
        self.backoff = 0;
    }

    /// The present time-out, backing off included.
    pub(crate) fn timeout(&self, config: &Config) -> Duration {
        let doubled = self.rto_ns.saturating_mul(1_u64.checked_shl(self.backoff).unwrap_or(u64::MAX));
        Duration::from_nanos(doubled.min(config.rto_max.as_nanos()))
    }

    /// Doubles the time-out after it expired (§5.5). It stays doubled until a fresh sample (Karn).
    pub(crate) const fn back_off(&mut self) {
        // Twelve doublings of the shortest sensible time-out exceed every ceiling.
        if self.backoff < 32 {
            self.backoff += 1;
        }
    }

    /// Takes the backing off back, but keeps the estimate: something new was acknowledged.
    pub(crate) const fn clear_back_off(&mut self) {
        self.backoff = 0;
    }

    /// The handshake needed a repetition and gave no sample: start data with a cautious value (§5.7).
    pub(crate) const fn after_syn_loss(&mut self, config: &Config) {
        if self.smoothed.is_none() {
            self.rto_ns = config.rto_after_syn_loss.as_nanos();
            self.backoff = 0;
        }
    }
}

#[cfg(test)]
mod tests;
