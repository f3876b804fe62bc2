//! The end of a thread: which side gives its stack back, and when it may be used again.
//!
//! Apart from [`thread`](crate::thread), which has the stacks, so that loom can explore it.

use swos_abi::TIMEOUT_NEVER;
use swos_sys::FUTEX_ANY;

use crate::atomics::{
    AtomicU32,
    Ordering::{AcqRel, Acquire},
    futex_wait,
};

/// Nobody joined or let go of the thread yet.
const JOINABLE: u32 = 0;
/// Its handle was dropped: it returns its own stack.
const DETACHED: u32 = 1;
/// Its function has returned.
const FINISHED: u32 = 2;

/// Who has to give the stack back.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Giver {
    /// The side that asks.
    Us,
    /// The other side.
    Them,
}

/// What a thread and the holder of its handle know of each other's end.
#[derive(Debug)]
pub struct End {
    /// 1 until the kernel has taken the thread off its stack.
    running: AtomicU32,
    /// `JOINABLE`, `DETACHED` or `FINISHED`.
    state: AtomicU32,
}

impl End {
    /// Of a thread that is about to start.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "there is no thread without a start")]
    pub fn new() -> Self {
        Self { running: AtomicU32::new(1), state: AtomicU32::new(JOINABLE) }
    }

    /// The thread's last word before it leaves its stack. If the stack is ours to give, whoever takes it asks
    /// [`has_left`](Self::has_left) first.
    pub fn finish(&self) -> Giver {
        if self.state.swap(FINISHED, AcqRel) == DETACHED { Giver::Us } else { Giver::Them }
    }

    /// The handle is dropped.
    pub fn detach(&self) -> Giver {
        if self.state.swap(DETACHED, AcqRel) == FINISHED { Giver::Us } else { Giver::Them }
    }

    /// Waits until the thread has left its stack, which is the caller's to give then: a handle that waits is never dropped.
    pub fn join(&self) {
        while self.running.load(Acquire) != 0 {
            let _changed_or_woken = futex_wait(&self.running, 1, TIMEOUT_NEVER, FUTEX_ANY);
        }
    }

    /// Whether its function has returned: a join does not wait long any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state.load(Acquire) == FINISHED
    }

    /// Whether the kernel has taken the thread off its stack.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.running.load(Acquire) == 0
    }

    /// The word that the kernel sets to 0, and whose waiter it wakes, when the thread has left its stack.
    #[cfg(not(loom))]
    pub(crate) const fn running(&self) -> *const AtomicU32 {
        &raw const self.running
    }

    /// What the kernel does when the thread has left its stack.
    #[cfg(loom)]
    pub fn leave(&self) {
        self.running.store(0, crate::atomics::Ordering::Release);
        let _woken = crate::atomics::futex_wake(&self.running, 1, FUTEX_ANY);
    }
}
