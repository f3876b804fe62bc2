//! Events: a count that any holder adds to and that readers wait for, alone or in a [`ReadySet`](crate::ready::ReadySet).

use swos_abi::{EVENT_SEMAPHORE, Errno, TIMEOUT_NEVER};

use crate::{
    handle::{OwnedHandle, owns_handle},
    time::Duration,
};

/// A count of events.
#[derive(Debug)]
pub struct Event {
    handle: OwnedHandle,
}

owns_handle!(Event, "Chooses whether [`take`](Self::take) waits.");

impl Event {
    /// An event of which all is taken at once.
    ///
    /// # Errors
    ///
    /// [`Errno::MFILE`], [`Errno::NOMEM`].
    pub fn new() -> Result<Self, Errno> {
        swos_sys::event_create(0, 0).map(Self::from_handle)
    }

    /// An event of which one is taken at a time, with so many in it.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] beyond [`swos_abi::EVENT_MAX`], [`Errno::MFILE`], [`Errno::NOMEM`].
    pub fn semaphore(initial: u64) -> Result<Self, Errno> {
        swos_sys::event_create(initial, EVENT_SEMAPHORE).map(Self::from_handle)
    }

    /// Adds to the count. Never waits.
    ///
    /// # Errors
    ///
    /// [`Errno::OVERFLOW`] beyond [`swos_abi::EVENT_MAX`].
    pub fn add(&self, value: u64) -> Result<(), Errno> {
        swos_sys::event_add(self.handle(), value)
    }

    /// Takes the count, or one of it; waits until it is not 0, at most `timeout` (`None` = for ever).
    ///
    /// # Errors
    ///
    /// [`Errno::TIMEDOUT`]; [`Errno::AGAIN`] if it may not wait.
    pub fn take(&self, timeout: Option<Duration>) -> Result<u64, Errno> {
        swos_sys::counter_take(self.handle(), nanos(timeout))
    }
}

pub(crate) fn nanos(timeout: Option<Duration>) -> u64 {
    timeout.map_or(TIMEOUT_NEVER, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(TIMEOUT_NEVER))
}
