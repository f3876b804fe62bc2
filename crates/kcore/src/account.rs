//! How many processes a process and all that it starts may be together.
//!
//! An account is made where a spawn names a limit, below the account of who spawns. Each process is charged to its account and to all
//! above, from before it is made until it is forgotten: one that ended and was not waited for still counts. So a program
//! that only makes processes stops at its own limit, whatever its descendants do, and the rest of the system does not notice.

use alloc::sync::Arc;
use core::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

use swos_abi::Errno;

/// Accounts below each other at most: bounds what a charge costs.
const DEPTH_MAX: u32 = 32;

/// What one limit covers.
pub(crate) struct Account {
    limit: u32,
    used: AtomicU32,
    parent: Option<Arc<Self>>,
    depth: u32,
}

/// One process charged to an account. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Charge(Arc<Account>);

impl Account {
    /// The account of the whole system.
    pub(crate) fn root(limit: u32) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU32::new(0), parent: None, depth: 0 })
    }

    /// Adds one, if that keeps to the limit.
    fn add(&self) -> bool {
        let more = |used: u32| (used < self.limit).then_some(used + 1);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn with_parents(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |account| account.parent.as_deref())
    }

    /// The limit, of this account itself.
    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Processes that count.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Charges a process to this account and all above.
    ///
    /// # Errors
    ///
    /// [`Errno::AGAIN`] at one of the limits; nothing was charged.
    pub(crate) fn charge(self: &Arc<Self>) -> Result<Charge, Errno> {
        for (index, account) in self.with_parents().enumerate() {
            if !account.add() {
                self.with_parents().take(index).for_each(Self::remove);
                return Err(Errno::AGAIN);
            }
        }
        Ok(Charge(self.clone()))
    }

    fn remove(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// The account of what is started with a limit of its own; this one if that is no lower (0 = none).
    ///
    /// # Errors
    ///
    /// [`Errno::AGAIN`] if too many lie below each other.
    pub(crate) fn limited(self: &Arc<Self>, limit: u32) -> Result<Arc<Self>, Errno> {
        if limit == 0 || limit >= self.limit {
            return Ok(self.clone());
        }
        if self.depth == DEPTH_MAX {
            return Err(Errno::AGAIN);
        }
        let parent = Some(self.clone());
        Ok(Arc::new(Self { limit, used: AtomicU32::new(0), parent, depth: self.depth + 1 }))
    }
}

impl Charge {
    /// Where it counts.
    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.0
    }

    /// Moves the process to an account of its own below, for it and what it starts from now on.
    ///
    /// # Errors
    ///
    /// As [`Account::limited`].
    pub(crate) fn limit(&mut self, limit: u32) -> Result<(), Errno> {
        let own = self.0.limited(limit)?;
        if !Arc::ptr_eq(&own, &self.0) {
            // It counts above already, and the limit is at least 1.
            own.used.store(1, Ordering::Relaxed);
            self.0 = own;
        }
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.with_parents().for_each(Account::remove);
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("limit", &self.limit)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
