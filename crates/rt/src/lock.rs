//! Locks over futexes: an uncontended one costs no call.
//!
//! There is no poisoning: a panic ends the process.

use core::ops::{Deref, DerefMut};

use swos_abi::{Errno, TIMEOUT_NEVER};
use swos_sys::FUTEX_ANY;

use crate::atomics::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    SharedCell, futex_wait, futex_wake,
};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may be waiting in the kernel.
const CONTENDED: u32 = 2;

/// A lock without data.
///
/// Source: U. Drepper, "Futexes Are Tricky" (2011), mutex 3: three states, so that only a contended unlock makes a call.
#[derive(Debug)]
pub struct RawLock {
    state: AtomicU32,
}

impl RawLock {
    /// A free lock.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { state: AtomicU32::new(FREE) }
    }

    /// A free lock; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { state: AtomicU32::new(FREE) }
    }

    /// Takes the lock, waiting for it if need be.
    #[inline]
    pub fn lock(&self) {
        if self.state.compare_exchange(FREE, HELD, Acquire, Relaxed).is_err() {
            self.lock_contended();
        }
    }

    /// Takes the lock if it is free.
    #[must_use]
    pub fn try_lock(&self) -> bool {
        self.state.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok()
    }

    #[cold]
    fn lock_contended(&self) {
        // Whoever comes this way leaves CONTENDED behind, also when it was the last: one wake too many, never one too few.
        while self.state.swap(CONTENDED, Acquire) != FREE {
            let _changed_or_woken = futex_wait(&self.state, CONTENDED, TIMEOUT_NEVER, FUTEX_ANY);
        }
    }

    /// Gives the lock back. The caller holds it; otherwise mutual exclusion, not memory safety of this type, is lost.
    #[inline]
    pub(crate) fn unlock(&self) {
        if self.state.swap(FREE, Release) == CONTENDED {
            let _woken = futex_wake(&self.state, 1, FUTEX_ANY);
        }
    }
}

impl Default for RawLock {
    fn default() -> Self {
        Self::new()
    }
}

/// Data that one thread at a time may use.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized> {
    lock: RawLock,
    data: SharedCell<T>,
}

// SAFETY: only the holder of the lock reaches the data, and it may be moved between threads.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free lock around `data`.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(data: T) -> Self {
        Self { lock: RawLock::new(), data: SharedCell::new(data) }
    }

    /// A free lock around `data`; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new(data: T) -> Self {
        Self { lock: RawLock::new(), data: SharedCell::new(data) }
    }

    /// The data, when nobody shares the lock any more.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, waiting for it if need be.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock.lock();
        MutexGuard { mutex: self, not_send: core::marker::PhantomData }
    }

    /// Takes the lock if it is free.
    #[must_use]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.lock.try_lock().then_some(MutexGuard { mutex: self, not_send: core::marker::PhantomData })
    }
}

/// The lock, held; given back when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    not_send: core::marker::PhantomData<*const ()>,
}

// SAFETY: shared, it gives shared references to the data.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard exists, so the lock is held by us.
        self.mutex.data.with(|data| unsafe { &*data })
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists, so the lock is held by us, and it is borrowed mutably.
        self.mutex.data.with_mut(|data| unsafe { &mut *data })
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.lock.unlock();
    }
}

/// Where threads wait until another says that something changed.
#[derive(Debug, Default)]
pub struct Condvar {
    /// Counts notifications; a waiter sleeps while it is what it saw under the lock.
    sequence: AtomicU32,
}

impl Condvar {
    /// One that nobody waits on.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { sequence: AtomicU32::new(0) }
    }

    /// One that nobody waits on; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { sequence: AtomicU32::new(0) }
    }

    /// Gives the lock back, waits for a notification, takes the lock again. May return without one.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_timeout(guard, TIMEOUT_NEVER).0
    }

    /// As [`wait`](Self::wait), at most `timeout_ns`. Tells whether the time ran out.
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout_ns: u64,
    ) -> (MutexGuard<'a, T>, WaitOutcome) {
        let mutex = guard.mutex;
        // Read under the lock: whoever notifies after it was given back has changed it, and the wait returns at once.
        let seen = self.sequence.load(Relaxed);
        drop(guard);
        let outcome = match futex_wait(&self.sequence, seen, timeout_ns, FUTEX_ANY) {
            Err(Errno::TIMEDOUT) => WaitOutcome::TimedOut,
            _ => WaitOutcome::Notified,
        };
        (mutex.lock(), outcome)
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all waiters.
    ///
    /// They are not moved to the lock's word instead (`futex_requeue`), where each would be woken by the one before. For that a condition would
    /// have to remember the lock, which may be another one each time and may be gone when somebody notifies. `std` wakes all, too.
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    fn notify(&self, count: u32) {
        self.sequence.fetch_add(1, Relaxed);
        let _woken = futex_wake(&self.sequence, count, FUTEX_ANY);
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WaitOutcome {
    /// A notification, or nothing at all: look at the condition.
    Notified,
    /// The time ran out.
    TimedOut,
}

#[cfg(test)]
mod tests;
