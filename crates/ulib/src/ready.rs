//! Readiness of many handles: [`ReadySet`], whose cost is by event, and [`poll`] for a few.

use swos_abi::{Errno, Handle, READY_ADD, READY_MODIFY, READY_REMOVE, TIMEOUT_NEVER};
pub use swos_abi::{POLL_ERR, POLL_HUP, POLL_IN, POLL_INVALID, POLL_OUT, PollItem, ReadyEvent};

use crate::{handle::OwnedHandle, time::Duration};

/// A set of watched handles. States are reported as long as they hold (level), unless [`swos_abi::READY_EDGE`] is asked for.
#[derive(Debug)]
pub struct ReadySet {
    handle: OwnedHandle,
}

impl ReadySet {
    /// An empty set.
    ///
    /// # Errors
    ///
    /// [`Errno::MFILE`], [`Errno::NOMEM`].
    pub fn new() -> Result<Self, Errno> {
        swos_sys::ready_create(0).map(|handle| Self { handle: OwnedHandle::new(handle) })
    }

    /// Watches `handle` for `events` (`POLL_*`), which come with `token`.
    ///
    /// # Errors
    ///
    /// [`Errno::EXIST`] if it is watched already.
    pub fn add(&self, handle: Handle, events: u32, token: u64) -> Result<(), Errno> {
        self.control(READY_ADD, handle, events, token)
    }

    /// Changes what is watched for.
    ///
    /// # Errors
    ///
    /// [`Errno::NOENT`] if it is not watched.
    pub fn modify(&self, handle: Handle, events: u32, token: u64) -> Result<(), Errno> {
        self.control(READY_MODIFY, handle, events, token)
    }

    /// Stops to watch `handle`. Closing a handle does so, too.
    ///
    /// # Errors
    ///
    /// [`Errno::NOENT`] if it is not watched.
    pub fn remove(&self, handle: Handle) -> Result<(), Errno> {
        self.control(READY_REMOVE, handle, 0, 0)
    }

    /// Waits for events, at most `timeout` (`None` = for ever); returns those that came.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn wait<'a>(
        &self,
        events: &'a mut [ReadyEvent],
        timeout: Option<Duration>,
    ) -> Result<&'a [ReadyEvent], Errno> {
        let count = swos_sys::ready_wait(self.handle.get(), events, nanos(timeout))?;
        Ok(events.get(..count).unwrap_or_default())
    }

    fn control(&self, operation: u32, handle: Handle, events: u32, token: u64) -> Result<(), Errno> {
        swos_sys::ready_control(
            self.handle.get(),
            operation,
            handle,
            ReadyEvent { token, events, reserved: 0 },
        )
    }
}

/// Waits until one of `items` is ready, at most `timeout` (`None` = for ever); returns how many are.
///
/// # Errors
///
/// What the kernel answers.
pub fn poll(items: &mut [PollItem], timeout: Option<Duration>) -> Result<usize, Errno> {
    swos_sys::poll(items, nanos(timeout))
}

fn nanos(timeout: Option<Duration>) -> u64 {
    timeout.map_or(TIMEOUT_NEVER, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(TIMEOUT_NEVER))
}
