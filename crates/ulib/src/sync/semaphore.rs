//! A number of permits that threads take and give back.

use core::{mem, time::Duration};

use swos_rt::lock::{Condvar, Mutex, WaitOutcome};

use super::deadline::Deadline;

/// A number of permits that threads take and give back. Taking one that is there, and giving one back that nobody waits for,
/// costs no call.
///
/// ```
/// use swos_ulib::sync::Semaphore;
///
/// static CONNECTIONS: Semaphore = Semaphore::new(1);
/// let permit = CONNECTIONS.acquire();
/// assert!(CONNECTIONS.try_acquire().is_none());
/// drop(permit);
/// assert!(CONNECTIONS.try_acquire().is_some());
/// ```
#[derive(Debug)]
pub struct Semaphore {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
}

impl Semaphore {
    /// One with so many permits.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(permits: usize) -> Self {
        Self { state: Mutex::new(State { free: permits, waiting: 0 }), freed: Condvar::new() }
    }

    /// One with so many permits; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self { state: Mutex::new(State { free: permits, waiting: 0 }), freed: Condvar::new() }
    }

    /// Takes a permit, waiting for one if need be.
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        loop {
            if let Some(permit) = self.acquire_until(Deadline::NEVER) {
                return permit;
            }
        }
    }

    /// Takes a permit if there is one.
    #[must_use]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        let mut state = self.state.lock();
        state.free = state.free.checked_sub(1)?;
        Some(SemaphorePermit { semaphore: self })
    }

    /// Takes a permit, waiting for one at most so long.
    #[must_use]
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        self.acquire_until(Deadline::after(timeout))
    }

    /// Permits that nobody has at this moment.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.state.lock().free
    }

    /// Adds so many permits, for good.
    pub fn add_permits(&self, count: usize) {
        let mut state = self.state.lock();
        state.free = state.free.saturating_add(count);
        let waiting = state.waiting;
        drop(state);
        match count.min(waiting) {
            0 => {}
            1 => self.freed.notify_one(),
            _several => self.freed.notify_all(),
        }
    }

    fn acquire_until(&self, deadline: Deadline) -> Option<SemaphorePermit<'_>> {
        let mut state = self.state.lock();
        let mut outcome = WaitOutcome::Notified;
        // Also after the time ran out: the notification for a permit that is there may have been ours.
        while state.free == 0 {
            if outcome == WaitOutcome::TimedOut {
                return None;
            }
            state.waiting += 1;
            (state, outcome) = self.freed.wait_timeout(state, deadline.left());
            state.waiting -= 1;
        }
        state.free -= 1;
        Some(SemaphorePermit { semaphore: self })
    }
}

/// A permit; given back when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
}

impl SemaphorePermit<'_> {
    /// Keeps the permit for good: the semaphore has one less.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_are_in_than_there_are_permits() {
        static SEMAPHORE: Semaphore = Semaphore::new(2);
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let threads = [(); 4].map(|()| {
            thread::spawn(|| {
                for _ in 0..500 {
                    let _permit = SEMAPHORE.acquire();
                    assert!(INSIDE.fetch_add(1, Relaxed) < 2);
                    INSIDE.fetch_sub(1, Relaxed);
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(SEMAPHORE.available_permits(), 2);
    }

    #[test]
    fn permits_are_forgotten_and_added() {
        let semaphore = Semaphore::new(1);
        semaphore.acquire().forget();
        assert!(semaphore.try_acquire().is_none());
        semaphore.add_permits(2);
        assert!(semaphore.acquire_timeout(Duration::ZERO).is_some());
        assert_eq!(semaphore.available_permits(), 2);
    }
}
