//! Locks, once-cells and per-CPU cells for a kernel that runs with interrupts masked.
//!
//! The kernel never sleeps while it holds a lock and never takes an interrupt in kernel mode, so a lock is a
//! short spin and needs no interrupt bookkeeping. [`Lock`] has no queue and carries a [`Rank`]; builds for
//! tests and debugging check that locks are taken in the order of their ranks. [`OnceCell`] is for what is
//! written once at boot, [`PerCpu`] for what only one CPU touches: who holds that CPU's [`CpuToken`].
//!
//! **Invariant:** a CPU takes locks in strictly rising rank, except by [`Lock::try_lock`], which does not wait,
//! and [`Lock::lock_both`], which orders two locks of one rank by address. So no cycle of waiting CPUs exists.
//! **Invariant:** nothing here sleeps, allocates on access, or reads a clock.
//!
//! ```
//! use swos_sync::{Lock, Rank};
//! const TABLE: &Rank = &Rank::new(10, "table");
//! const LOG: &Rank = &Rank::new(90, "log");
//! static COUNT: Lock<u64> = Lock::new(TABLE, 0);
//! static LINES: Lock<Vec<&str>> = Lock::new(LOG, Vec::new());
//! let mut count = COUNT.lock();
//! *count += 1;
//! LINES.lock().push("counted"); // Rank 90 inside rank 10: allowed. The other way round panics in tests.
//! ```

#![cfg_attr(not(test), no_std)]
#![expect(
    unsafe_code,
    reason = "locks and cells hand out references to shared memory; argued in SOUNDNESS.md"
)]

extern crate alloc;
#[cfg(all(not(target_os = "none"), not(test)))]
extern crate std;

mod atomics;
mod lock;
mod once;
mod per_cpu;
mod rank;

pub use lock::{Lock, LockGuard};
pub use once::OnceCell;
pub use per_cpu::{CpuSet, CpuToken, PerCpu};
pub use rank::{HeldRanks, Rank, install_held_ranks};
