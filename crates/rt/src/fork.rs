//! `fork`, so that what this crate keeps for the process works in the child.

use swos_abi::Errno;

use crate::{heap, thread};

/// Makes a second process: 0 there, its id here.
///
/// # Errors
///
/// What the kernel answers: [`Errno::ACCES`], [`Errno::AGAIN`] at a limit, [`Errno::NOMEM`].
pub fn fork() -> Result<u32, Errno> {
    // The locks of this crate are ours at the moment of the copy, so they are free on both sides after it.
    let outcome = thread::with_stacks(|| heap::with_heap(swos_sys::fork));
    if outcome == Ok(0) {
        thread::forget_id();
    }
    outcome
}
