//! How many threads of a scope run: who leaves the scope waits until it is none.
//!
//! Apart from [`scope`](crate::scope), which has the threads, so that loom can explore it.

use swos_abi::TIMEOUT_NEVER;
use swos_sys::FUTEX_ANY;

use crate::atomics::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    futex_wait, futex_wake,
};

/// Counts what runs.
#[derive(Debug)]
pub struct Running {
    count: AtomicU32,
}

impl Running {
    /// Nothing runs.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a scope makes one, nothing else")]
    pub fn new() -> Self {
        Self { count: AtomicU32::new(0) }
    }

    /// One more will run. Its starter is counted, or is the one who will wait, so the count is not seen at 0 too early.
    pub fn enter(&self) {
        self.count.fetch_add(1, Relaxed);
    }

    /// One has ended: what it did is seen by who waited.
    pub fn leave(&self) {
        if self.count.fetch_sub(1, Release) == 1 {
            let _woken = futex_wake(&self.count, 1, FUTEX_ANY);
        }
    }

    /// Waits until nothing runs.
    pub fn wait(&self) {
        loop {
            match self.count.load(Acquire) {
                0 => return,
                count => {
                    let _changed_or_woken = futex_wait(&self.count, count, TIMEOUT_NEVER, FUTEX_ANY);
                }
            }
        }
    }
}
