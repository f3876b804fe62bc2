//! Locks. There is no poisoning: a panic ends the process.

pub use alloc::sync::{Arc, Weak};

pub use swos_rt::lock::{Condvar, Mutex, MutexGuard, WaitOutcome};
