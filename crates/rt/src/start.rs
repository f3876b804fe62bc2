//! From the kernel's first stack to the program's function.
//!
//! The stack holds the number of arguments, their addresses and a zero, the addresses of the environment and a zero,
//! then pairs of the auxiliary vector up to [`AUX_END`]; strings end with a zero byte.

use core::{
    ffi::{CStr, c_char},
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed},
};

use swos_abi::{AUX_END, AUX_TIME_PAGE};

use crate::clock;

/// What a program's function may return.
pub trait Outcome {
    /// Status for `exit`.
    fn status(self) -> i32;
}

impl Outcome for () {
    fn status(self) -> i32 {
        0
    }
}

impl Outcome for i32 {
    fn status(self) -> i32 {
        self
    }
}

static ARGUMENT_COUNT: AtomicUsize = AtomicUsize::new(0);
/// First of the argument pointers; null until the start, and for ever on the host.
static ARGUMENTS: AtomicPtr<*const c_char> = AtomicPtr::new(core::ptr::null_mut());

/// Strings that the kernel left on the first stack.
#[derive(Clone, Debug)]
pub struct Strings {
    /// The next pointer; the list ends with a null pointer.
    next: *const *const c_char,
}

// SAFETY: the list and its strings stay where they are, unchanged, for the life of the process.
unsafe impl Send for Strings {}

impl Iterator for Strings {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: `next` points into a list that the kernel ended with a null pointer, not behind it.
        let string = unsafe { self.next.read() };
        if string.is_null() {
            return None;
        }
        // SAFETY: the entry was not the null one, so another follows.
        self.next = unsafe { self.next.add(1) };
        // SAFETY: the kernel ended the string with a zero byte; nobody writes the strings.
        Some(unsafe { CStr::from_ptr(string) }.to_bytes())
    }
}

/// Arguments of the program, its own name first.
#[must_use]
pub fn arguments() -> Strings {
    Strings { next: ARGUMENTS.load(Relaxed) }
}

/// Environment of the program, each `NAME=value`.
#[must_use]
pub fn environment() -> Strings {
    let arguments = ARGUMENTS.load(Relaxed);
    if arguments.is_null() {
        return Strings { next: arguments };
    }
    // SAFETY: the environment follows the arguments and their null pointer.
    Strings { next: unsafe { arguments.add(ARGUMENT_COUNT.load(Relaxed) + 1) } }
}

/// Called by `_start` with the stack pointer that the kernel gave.
///
/// # Safety
///
/// `stack` points to what the kernel lays out as the module describes.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
#[cfg_attr(
    not(target_os = "none"),
    expect(dead_code, reason = "called by `_start`, which only a program has")
)]
unsafe extern "C" fn swos_rt_start(stack: *mut usize) -> ! {
    swos_sys::set_thread_pointer(0);
    // SAFETY: as the caller says: count, pointers, null, pointers, null, pairs.
    unsafe {
        let count = stack.read();
        let arguments = stack.add(1).cast::<*const c_char>();
        ARGUMENT_COUNT.store(count, Relaxed);
        ARGUMENTS.store(arguments, Relaxed);
        let mut entry = arguments.add(count + 1);
        while !entry.read().is_null() {
            entry = entry.add(1);
        }
        let mut pair = entry.add(1).cast::<[u64; 2]>();
        loop {
            match pair.read() {
                [AUX_END, _] => break,
                [AUX_TIME_PAGE, address] => clock::set_page(address),
                _ => {}
            }
            pair = pair.add(1);
        }
    }
    swos_sys::exit(program())
}

#[cfg(target_os = "none")]
fn program() -> i32 {
    unsafe extern "C" {
        safe fn swos_main() -> i32;
    }
    swos_main()
}

#[cfg(not(target_os = "none"))]
fn program() -> i32 {
    0
}

#[cfg(test)]
mod tests;
