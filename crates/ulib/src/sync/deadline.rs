//! When a wait with a time-out gives up.

use core::time::Duration;

/// A moment since boot, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn after(timeout: Duration) -> Self {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Self(now().saturating_add(nanos))
    }

    /// Nanoseconds that are left; the kernel takes `u64::MAX` for ever.
    pub(crate) fn left(self) -> u64 {
        if self.0 == u64::MAX { u64::MAX } else { self.0.saturating_sub(now()) }
    }
}

#[cfg(not(loom))]
fn now() -> u64 {
    swos_rt::clock::monotonic_ns()
}

/// In a model any time-out may run out at once.
#[cfg(loom)]
fn now() -> u64 {
    0
}
