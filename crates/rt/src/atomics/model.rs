//! The kernel's futex calls in small, as `futex_wait`, `futex_wake` and `thread_exit` of `swos-kcore` perform them.
//!
//! That a thread which was chosen to wake is not put to sleep after it is the kernel's own proof, in `swos-sync`.

extern crate std;

use std::vec::Vec;

use loom::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, Thread},
};
use swos_abi::{Errno, TIMEOUT_NEVER};

#[derive(Debug)]
struct Waiter {
    id: u64,
    /// The address of the word.
    key: usize,
    /// What it listens for: a wake-up names one of these bits.
    bits: u32,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Table {
    /// In the order of their coming.
    waiters: Vec<Waiter>,
    next: u64,
}

impl Table {
    /// Takes a waiter back. Whether nobody had woken it.
    fn remove(&mut self, id: u64) -> bool {
        let found = self.waiters.iter().position(|waiter| waiter.id == id);
        found.map(|at| self.waiters.remove(at)).is_some()
    }

    fn holds(&self, id: u64) -> bool {
        self.waiters.iter().any(|waiter| waiter.id == id)
    }
}

loom::lazy_static! {
    static ref TABLE: Mutex<Table> = Mutex::new(Table::default());
}

/// With the table's lock, which loom never poisons.
fn with_table<R>(f: impl FnOnce(&mut Table) -> R) -> R {
    match TABLE.lock() {
        Ok(mut table) => f(&mut table),
        Err(poisoned) => f(&mut poisoned.into_inner()),
    }
}

fn key(word: &AtomicU32) -> usize {
    core::ptr::from_ref(word).addr()
}

/// First in the queue, then the look. Any time-out may run out at once, and any wake-up come before it.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout_ns: u64, bits: u32) -> Result<(), Errno> {
    let id = with_table(|table| {
        table.next += 1;
        let waiter = Waiter { id: table.next, key: key(word), bits, thread: thread::current() };
        table.waiters.push(waiter);
        table.next
    });
    // The kernel's load acquires; the lock alone must do.
    if word.load(Ordering::Relaxed) != expected {
        with_table(|table| table.remove(id));
        return Err(Errno::AGAIN);
    }
    if timeout_ns != TIMEOUT_NEVER {
        return if with_table(|table| table.remove(id)) { Err(Errno::TIMEDOUT) } else { Ok(()) };
    }
    while with_table(|table| table.holds(id)) {
        thread::park();
    }
    Ok(())
}

pub(crate) fn futex_wake(word: &AtomicU32, count: u32, bits: u32) -> Result<u32, Errno> {
    let mut woken = 0;
    while woken < count {
        let first = with_table(|table| {
            let named = |waiter: &Waiter| waiter.key == key(word) && waiter.bits & bits != 0;
            let at = table.waiters.iter().position(named)?;
            Some(table.waiters.remove(at))
        });
        let Some(waiter) = first else { break };
        waiter.thread.unpark();
        woken += 1;
    }
    Ok(woken)
}
