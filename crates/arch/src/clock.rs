//! Counter ticks and nanoseconds.

use swos_units::{Duration, Instant};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Converts between ticks of the system counter and time since boot. Division only when it is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clock {
    /// Counter at boot.
    base: u64,
    /// Nanoseconds per tick, times 2^32.
    nanos_per_tick: u64,
    /// Ticks per nanosecond, times 2^32.
    ticks_per_nano: u64,
}

#[expect(clippy::cast_possible_truncation, reason = "wraps after 584 years of uptime, as `Instant` does")]
const fn scale(value: u64, factor: u64) -> u64 {
    ((value as u128 * factor as u128) >> 32) as u64
}

impl Clock {
    /// A clock whose time zero is counter value `base`, for a counter of `frequency` Hz (1 MHz to 2^32 Hz).
    #[must_use]
    pub const fn new(base: u64, frequency: u64) -> Option<Self> {
        if frequency < 1_000_000 || frequency >> 32 != 0 {
            return None;
        }
        Some(Self {
            base,
            nanos_per_tick: (NANOS_PER_SECOND << 32) / frequency,
            // Rounded up: a deadline in ticks is never early.
            ticks_per_nano: (frequency << 32).div_ceil(NANOS_PER_SECOND),
        })
    }

    /// The moment of counter value `ticks`.
    #[must_use]
    #[inline]
    pub const fn instant(&self, ticks: u64) -> Instant {
        Instant::from_nanos(scale(ticks.wrapping_sub(self.base), self.nanos_per_tick))
    }

    /// The first counter value at or after `at`; `u64::MAX` beyond the counter.
    #[must_use]
    #[inline]
    pub const fn ticks(&self, at: Instant) -> u64 {
        if at.as_nanos() >> 62 != 0 {
            return u64::MAX;
        }
        self.base.saturating_add(scale(at.as_nanos(), self.ticks_per_nano)).saturating_add(1)
    }

    /// Counter value at time zero.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Nanoseconds per tick, as a fixed-point number with 32 fraction bits.
    #[must_use]
    pub const fn nanos_per_tick(&self) -> u64 {
        self.nanos_per_tick
    }

    /// The span from `earlier` to `later`, both counter values.
    #[must_use]
    pub const fn span(&self, earlier: u64, later: u64) -> Duration {
        Duration::from_nanos(scale(later.wrapping_sub(earlier), self.nanos_per_tick))
    }
}

#[cfg(test)]
mod tests;
