//! Timers as handles: what a server with a [`ReadySet`](crate::ready::ReadySet) waits for beside its clients.

use swos_abi::{Errno, TIMER_ABSOLUTE};

use crate::{
    event::nanos,
    handle::{OwnedHandle, owns_handle},
    time::Duration,
};

/// A timer.
#[derive(Debug)]
pub struct Timer {
    handle: OwnedHandle,
}

owns_handle!(Timer, "Chooses whether [`take`](Self::take) waits.");

impl Timer {
    /// A timer that is off.
    ///
    /// # Errors
    ///
    /// [`Errno::MFILE`], [`Errno::NOMEM`].
    pub fn new() -> Result<Self, Errno> {
        swos_sys::timer_create(0).map(|handle| Self { handle: OwnedHandle::new(handle) })
    }

    /// Sets it to `after` from now, once.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`].
    pub fn once(&self, after: Duration) -> Result<(), Errno> {
        // 0 would be off; a nanosecond is over when the call is.
        swos_sys::timer_set(self.handle(), nanos(Some(after)).max(1), 0, 0)
    }

    /// Sets it to each `period` from now on.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] for less than [`swos_abi::TIMER_PERIOD_MIN_NS`]; [`Errno::NOMEM`].
    pub fn every(&self, period: Duration) -> Result<(), Errno> {
        let period = nanos(Some(period));
        swos_sys::timer_set(self.handle(), period, period, 0)
    }

    /// Sets it to so many nanoseconds since boot, once.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`].
    pub fn at(&self, since_boot_ns: u64) -> Result<(), Errno> {
        swos_sys::timer_set(self.handle(), since_boot_ns.max(1), 0, TIMER_ABSOLUTE)
    }

    /// Switches it off.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn stop(&self) -> Result<(), Errno> {
        swos_sys::timer_set(self.handle(), 0, 0, 0)
    }

    /// How often its moment came since it was set or last asked; waits for it at most `timeout` (`None` = for ever).
    ///
    /// # Errors
    ///
    /// [`Errno::TIMEDOUT`]; [`Errno::AGAIN`] if it may not wait.
    pub fn take(&self, timeout: Option<Duration>) -> Result<u64, Errno> {
        swos_sys::counter_take(self.handle(), nanos(timeout))
    }
}
