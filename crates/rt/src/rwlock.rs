//! A lock for many readers or one writer, over one futex word. Uncontended it costs no call.
//!
//! **Invariant:** writers come first: while one waits, no reader enters. Hence a thread that holds the lock for reading must not
//! ask for it again.

use core::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use swos_abi::TIMEOUT_NEVER;

use crate::atomics::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    SharedCell, futex_wait, futex_wake,
};

/// The part of the state that counts readers, or is all ones for a writer.
const COUNT: u32 = (1 << 30) - 1;
const WRITER: u32 = COUNT;
const MOST_READERS: u32 = COUNT - 1;
/// A reader may be waiting in the kernel. Also the bit by which it is woken.
const READERS_WAIT: u32 = 1 << 30;
/// A writer may be waiting in the kernel. Also the bit by which it is woken.
const WRITERS_WAIT: u32 = 1 << 31;

/// Whether nobody is in and nobody is, or was a moment ago, ahead in the queue.
const fn admits_reader(state: u32) -> bool {
    state < MOST_READERS
}

const fn is_free(state: u32) -> bool {
    state & COUNT == 0
}

/// A lock without data: any number of readers, or one writer.
///
/// One word holds the count and who waits. Readers and writers wait for the same word with different bits, so that a wake-up
/// can name a writer.
#[derive(Debug)]
struct RawRwLock {
    state: AtomicU32,
}

impl RawRwLock {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self { state: AtomicU32::new(0) }
    }

    #[cfg(loom)]
    fn new() -> Self {
        Self { state: AtomicU32::new(0) }
    }

    #[inline]
    fn read(&self) {
        if !self.try_read() {
            self.read_contended();
        }
    }

    #[inline]
    fn try_read(&self) -> bool {
        let mut state = self.state.load(Relaxed);
        while admits_reader(state) {
            match self.state.compare_exchange(state, state + 1, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    #[cold]
    fn read_contended(&self) {
        while !self.try_read() {
            let state = self.state.load(Relaxed);
            if !admits_reader(state) && self.announces(state, READERS_WAIT) {
                let _changed_or_woken =
                    futex_wait(&self.state, state | READERS_WAIT, TIMEOUT_NEVER, READERS_WAIT);
            }
        }
    }

    #[inline]
    fn leave_read(&self) {
        let state = self.state.fetch_sub(1, Release) - 1;
        if is_free(state) && state != 0 {
            self.wake(state);
        }
    }

    #[inline]
    fn write(&self) {
        if self.state.compare_exchange(0, WRITER, Acquire, Relaxed).is_err() {
            self.write_contended();
        }
    }

    fn try_write(&self) -> bool {
        self.enter_write(0)
    }

    /// Enters as the writer if nobody is in, and leaves `waiting` behind with what the state says already.
    fn enter_write(&self, waiting: u32) -> bool {
        let mut state = self.state.load(Relaxed);
        while is_free(state) {
            match self.state.compare_exchange(state, state | WRITER | waiting, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    #[cold]
    fn write_contended(&self) {
        // Whoever wakes one writer takes the bit away; it may have been set for others too, so who slept sets it again: one
        // wake-up too many, never one too few.
        let mut others = 0;
        while !self.enter_write(others) {
            let state = self.state.load(Relaxed);
            if !is_free(state) && self.announces(state, WRITERS_WAIT) {
                let _changed_or_woken =
                    futex_wait(&self.state, state | WRITERS_WAIT, TIMEOUT_NEVER, WRITERS_WAIT);
                others = WRITERS_WAIT;
            }
        }
    }

    #[inline]
    fn leave_write(&self) {
        let state = self.state.fetch_sub(WRITER, Release) - WRITER;
        if state != 0 {
            self.wake(state);
        }
    }

    /// Makes the state say that somebody waits, if it is still `state`.
    fn announces(&self, state: u32, waiting: u32) -> bool {
        state & waiting != 0 || self.state.compare_exchange(state, state | waiting, Relaxed, Relaxed).is_ok()
    }

    /// Wakes a writer, or all readers if no writer sleeps. The lock was just left with this state.
    #[cold]
    fn wake(&self, mut state: u32) {
        // Whoever enters meanwhile keeps the bits, and wakes when it leaves.
        while is_free(state) && state != 0 {
            let class = if state & WRITERS_WAIT != 0 { WRITERS_WAIT } else { READERS_WAIT };
            match self.state.compare_exchange(state, state & !class, Relaxed, Relaxed) {
                Err(now) => state = now,
                Ok(_) if class == READERS_WAIT => {
                    let _woken = futex_wake(&self.state, u32::MAX, READERS_WAIT);
                    return;
                }
                Ok(_) => {
                    // A writer on its way to sleep finds the word changed and tries again. But it is not bound to find
                    // the lock free, and the readers must not wait for that.
                    if futex_wake(&self.state, 1, WRITERS_WAIT).is_ok_and(|woken| woken != 0) {
                        return;
                    }
                    state &= !class;
                }
            }
        }
    }
}

impl Default for RawRwLock {
    fn default() -> Self {
        Self::new()
    }
}

/// Data that many threads may read at once, or one may change.
///
/// Writers come first: while one waits, no reader enters. A thread that reads must therefore not ask again.
///
/// ```
/// use swos_rt::rwlock::RwLock;
///
/// static ROUTES: RwLock<Vec<&str>> = RwLock::new(Vec::new());
/// ROUTES.write().push("default");
/// assert_eq!(ROUTES.read().len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized> {
    lock: RawRwLock,
    data: SharedCell<T>,
}

// SAFETY: one writer may move the data between threads (`Send`), many readers have references at once (`Sync`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// A free lock around `data`.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(data: T) -> Self {
        Self { lock: RawRwLock::new(), data: SharedCell::new(data) }
    }

    /// A free lock around `data`; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new(data: T) -> Self {
        Self { lock: RawRwLock::new(), data: SharedCell::new(data) }
    }

    /// The data, when nobody shares the lock any more.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Enters as a reader, waiting while a writer is in or waits.
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.lock.read();
        RwLockReadGuard { lock: self, not_send: PhantomData }
    }

    /// Enters as a reader if no writer is in or waits.
    #[must_use]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.lock.try_read().then_some(())?;
        Some(RwLockReadGuard { lock: self, not_send: PhantomData })
    }

    /// Enters as the writer, waiting until nobody else is in.
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.lock.write();
        RwLockWriteGuard { lock: self, not_send: PhantomData }
    }

    /// Enters as the writer if nobody is in.
    #[must_use]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.lock.try_write().then_some(())?;
        Some(RwLockWriteGuard { lock: self, not_send: PhantomData })
    }

    /// The data: whoever borrows the lock mutably is alone.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: borrowed mutably, so there is no guard.
        self.data.with_mut(|data| unsafe { &mut *data })
    }
}

/// The lock, held for reading; left when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    not_send: PhantomData<*const ()>,
}

// SAFETY: shared, it gives shared references to the data.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard exists, so we are in as a reader, and no writer is.
        self.lock.data.with(|data| unsafe { &*data })
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.lock.leave_read();
    }
}

/// The lock, held for writing; left when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    not_send: PhantomData<*const ()>,
}

// SAFETY: shared, it gives shared references to the data.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard exists, so we are in as the only one.
        self.lock.data.with(|data| unsafe { &*data })
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists, so we are in as the only one, and it is borrowed mutably.
        self.lock.data.with_mut(|data| unsafe { &mut *data })
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.lock.leave_write();
    }
}

#[cfg(test)]
mod tests;
