//! Who waits for which word of memory: the table behind the futex calls, without I/O.
//!
//! A key `K` names the word (space and address, or shared frame and offset), a waiter `W` is the kernel's mark of the
//! waiting thread. The kernel compares the word and calls [`FutexTable::wait`] under the table's lock, and wakes under the same lock, so
//! no wake-up falls between. The table reads no memory and knows no time: a time-out is [`FutexTable::remove`].
//!
//! **Invariant:** each waiter leaves exactly once: woken or removed. **Invariant:** the waiters of one key leave in the order
//! in which they came, among those whose bits match. **Invariant:** a [`WaitId`] that left names no other waiter.
//!
//! ```
//! use swos_futex::{FutexTable, SeededHash, ANY};
//! let mut table = FutexTable::new(SeededHash::new([1, 2]));
//! let slow = table.wait(0x1000, "slow", ANY)?;
//! table.wait(0x1000, "a", ANY)?;
//! table.wait(0x1000, "b", ANY)?;
//! assert_eq!(table.remove(slow), Some("slow")); // Timed out.
//! assert!(table.wake(&0x1000, 1, ANY).eq(["a"]));
//! assert!(table.wake(&0x1000, 9, ANY).eq(["b"]));
//! # Ok::<(), swos_futex::NoMemory>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod seeded;
mod table;

pub use seeded::{SeededHash, SeededHasher};
pub use table::{ANY, FutexTable, WaitId, Wake};

/// The kernel has no memory for another waiter. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoMemory;
