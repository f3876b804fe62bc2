//! Locks, and what threads tell each other by. There is no poisoning: a panic ends the process.

pub use alloc::sync::{Arc, Weak};

pub use swos_rt::{
    lock::{Condvar, Mutex, MutexGuard, WaitOutcome},
    once::{Once, OnceLock},
    rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard},
};

mod barrier;
mod deadline;
mod lazy;
pub mod mpsc;
mod semaphore;

pub use barrier::{Barrier, BarrierWaitResult};
pub use lazy::LazyLock;
pub use semaphore::{Semaphore, SemaphorePermit};
