//! The host's allocator as one that fails, once and where the test says.
//!
//! The kernel asks for memory of its heap in two ways: with `try_reserve`, which tells it that there is none, and for small objects without
//! asking, for which it keeps a reserve. Both reach the same function here; only what led to it tells them apart. So the count is of all
//! allocations, and the one that it leads to fails if `try_reserve` is among its callers.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;
use std::alloc::System;
use std::backtrace::Backtrace;

/// The allocation that was to fail came; none fails any more.
const CAME: u64 = u64::MAX;

thread_local! {
    /// What is left of the count; 0 = nothing fails, [`CAME`] = it came to its end.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    /// The kernel runs: what the machine itself allocates between does not count.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

/// Makes [`Supply::Heap`](crate::Supply::Heap) run out in a test that names it as its `#[global_allocator]`.
#[derive(Debug)]
pub struct ScarceHeap;

/// Lets an allocation of this thread of the host fail, counted from 1. Returns what is left of the last count, 1 if it came.
pub(crate) fn fail_after(count: u64) -> u64 {
    match LEFT.replace(count) {
        CAME => 1,
        1 => 2,
        left => left,
    }
}

/// Runs the kernel, whose allocations count.
pub(crate) fn counted<T>(kernel: impl FnOnce() -> T) -> T {
    COUNTS.set(true);
    let result = kernel();
    COUNTS.set(false);
    result
}

/// Whether this allocation fails.
fn fails() -> bool {
    // A thread that ends has neither any more.
    if !COUNTS.try_with(Cell::get).unwrap_or(false) {
        return false;
    }
    match LEFT.get() {
        0 | CAME => false,
        1 => {
            LEFT.set(CAME);
            !std::thread::panicking() && Backtrace::force_capture().to_string().contains("try_reserve")
        }
        left => {
            LEFT.set(left - 1);
            false
        }
    }
}

// SAFETY: `System` keeps the contract; all it gets and gives is passed on unchanged. A null pointer says that there is no memory, and
// nothing was allocated or freed then. Nothing unwinds: `fails` only reads and counts, and does so for one allocation at a time, since
// those that it makes itself find that it came.
#[expect(unsafe_code, reason = "an allocator is unsafe to implement; this one hands all on")]
unsafe impl GlobalAlloc for ScarceHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails() {
            return null_mut();
        }
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, and all blocks come from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails() {
            return null_mut();
        }
        // SAFETY: the caller keeps the contract, and all blocks come from `System`.
        unsafe { System.realloc(block, layout, size) }
    }
}
