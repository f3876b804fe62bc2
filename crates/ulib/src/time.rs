//! Clocks, read without a call.

pub use core::time::Duration;

use swos_rt::clock;

/// A moment since boot.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Instant {
    nanos: u64,
}

impl Instant {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self { nanos: clock::monotonic_ns() }
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// Time since this moment.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().duration_since(self)
    }

    /// Time from `earlier` to this moment; none if it is later.
    #[must_use]
    pub const fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

/// A moment of the calendar.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SystemTime {
    since_1970: Duration,
}

impl SystemTime {
    /// This moment; `None` if the machine has no clock.
    #[must_use]
    pub fn now() -> Option<Self> {
        clock::realtime_ns().map(|nanos| Self { since_1970: Duration::from_nanos(nanos) })
    }

    /// Time since 1970-01-01 UTC.
    #[must_use]
    pub const fn since_unix_epoch(self) -> Duration {
        self.since_1970
    }
}
