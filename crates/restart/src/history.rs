//! When the last failures were.

use swos_units::{Duration, Instant};

use crate::FAILURES_MAX;

/// The last few failures, in a ring.
#[derive(Clone, Debug)]
pub(crate) struct History {
    times: [Instant; FAILURES_MAX],
    count: usize,
}

impl History {
    pub(crate) const fn new() -> Self {
        Self { times: [Instant::ZERO; FAILURES_MAX], count: 0 }
    }

    /// Notes a failure and tells whether it is one of `limit` or more within `window`.
    pub(crate) fn note(&mut self, now: Instant, limit: usize, window: Duration) -> bool {
        if let Some(oldest) = self.times.get_mut(self.count % FAILURES_MAX) {
            *oldest = now;
        }
        self.count += 1;
        let Some(first) = self.count.checked_sub(limit.clamp(1, FAILURES_MAX)) else {
            return false;
        };
        self.times.get(first % FAILURES_MAX).is_some_and(|&first| now.since(first) <= window)
    }
}
