//! The spin lock.

use core::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr,
};

use crate::{
    Rank,
    atomics::{AtomicBool, Ordering, SharedCell, spin},
    rank::LockRank,
};

/// A value that one CPU at a time may use. Whoever runs and finds the lock free takes it: there is no queue, in which a
/// virtual CPU whose turn has come, but which its host does not run, would hold up all behind it (docs, ADR 0008).
pub struct Lock<T: ?Sized> {
    held: AtomicBool,
    rank: LockRank,
    value: SharedCell<T>,
}

// SAFETY: the lock lets one thread at a time reach the value, so sharing the lock sends the value at most.
unsafe impl<T: ?Sized + Send> Sync for Lock<T> {}
// SAFETY: owning the lock is owning the value.
unsafe impl<T: ?Sized + Send> Send for Lock<T> {}

/// The right to use a locked value, until it is dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub struct LockGuard<'a, T: ?Sized> {
    lock: &'a Lock<T>,
    /// Not `Send`: the held rank is recorded for this CPU.
    here: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives shared access to the value only.
unsafe impl<T: ?Sized + Sync> Sync for LockGuard<'_, T> {}

impl<T> Lock<T> {
    /// A free lock of `rank` round `value`.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(rank: &'static Rank, value: T) -> Self {
        Self { held: AtomicBool::new(false), rank: LockRank::new(rank), value: SharedCell::new(value) }
    }

    /// A free lock of `rank` round `value`; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new(rank: &'static Rank, value: T) -> Self {
        Self { held: AtomicBool::new(false), rank: LockRank::new(rank), value: SharedCell::new(value) }
    }

    /// Takes the value out of a lock that nobody can hold any more.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Lock<T> {
    /// Waits for the lock and takes it.
    ///
    /// # Panics
    ///
    /// In builds that check ranks: if this CPU already holds a lock of the same or a higher rank.
    #[inline]
    pub fn lock(&self) -> LockGuard<'_, T> {
        self.rank.check();
        self.acquire();
        self.guard()
    }

    /// Takes the lock if it is free. Never waits, so it may be called against the order of ranks.
    #[inline]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        self.take().then(|| self.guard())
    }

    /// Waits for two locks of one rank, in the order of their addresses, which is the same on every CPU.
    /// `None` for the second if both are one lock.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    pub fn lock_both<'a>(&'a self, other: &'a Self) -> (LockGuard<'a, T>, Option<LockGuard<'a, T>>) {
        if ptr::addr_eq(self, other) {
            return (self.lock(), None);
        }
        self.rank.check();
        other.rank.check();
        if ptr::from_ref(self).cast::<()>() < ptr::from_ref(other).cast::<()>() {
            self.acquire();
            other.acquire();
        } else {
            other.acquire();
            self.acquire();
        }
        (self.guard(), Some(other.guard()))
    }

    /// Returns the value without locking: the exclusive reference shows that nobody holds the lock.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Takes the lock if it is free. An exchange that fails writes nothing.
    #[inline]
    fn take(&self) -> bool {
        // Acquire pairs with the release in `drop`: whoever takes the lock sees what the last holder wrote.
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes the lock, waiting while another CPU has it.
    #[inline]
    fn acquire(&self) {
        if !self.take() {
            self.contend();
        }
    }

    #[cold]
    #[inline(never)]
    fn contend(&self) {
        loop {
            // Only reads until it looks free: a CPU that waits leaves the line to the one that works.
            while self.held.load(Ordering::Relaxed) {
                spin();
            }
            if self.take() {
                return;
            }
        }
    }

    /// The guard of a lock that this CPU has taken.
    #[inline]
    fn guard(&self) -> LockGuard<'_, T> {
        self.rank.acquired();
        LockGuard { lock: self, here: PhantomData }
    }
}

impl<T: ?Sized> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard's CPU changed `held` from false to true and only its drop changes it back, so no other
        // guard of this lock exists; `&self` rules out a `&mut T` made from this one.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` rules out any other reference made from this guard.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.rank.released();
        // Release publishes the value to whoever takes the lock next.
        self.lock.held.store(false, Ordering::Release);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(value) => f.debug_tuple("Lock").field(&&*value).finish(),
            None => f.write_str("Lock(<held>)"),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
