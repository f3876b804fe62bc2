//! What a program stands on: its start and arguments, panics, the heap, locks, threads and the clock.
//!
//! `swos-ulib` gives all of it `std`'s names; a program uses [`main!`] from here and little else.
//!
//! **Invariant:** this crate and `swos-sys` hold all unsafe code of ordinary programs. **Invariant:** nothing is set up that is not
//! asked for: a program that never allocates maps no heap, one that starts no thread has no thread structures.
//!
//! ```ignore
//! #![cfg_attr(target_os = "none", no_std, no_main)]
//! swos_rt::main!(run);
//! fn run() -> i32 { 0 }
//! ```

#![cfg_attr(not(any(test, loom)), no_std)]
#![expect(unsafe_code, reason = "start, heap, locks, threads; argued in SOUNDNESS.md")]

extern crate alloc;

mod atomics;
#[cfg(not(loom))]
pub mod cache;
#[cfg(not(loom))]
pub mod clock;
pub mod end;
#[cfg(not(loom))]
pub mod fork;
#[cfg(not(loom))]
pub mod heap;
#[cfg(not(loom))]
pub mod local;
pub mod lock;
#[cfg(not(loom))]
pub mod mapping;
pub mod once;
pub mod running;
pub mod rwlock;
#[cfg(not(loom))]
pub mod scope;
#[cfg(not(loom))]
pub mod shared;
#[cfg(not(loom))]
pub mod signal_stack;
#[cfg(not(loom))]
pub mod start;
#[cfg(not(loom))]
pub mod thread;

#[cfg(target_os = "none")]
mod panic;

pub use swos_sys as sys;

/// Names the function that a program begins with: `fn() -> R` where `R` is [`start::Outcome`].
///
/// On the host, where programs are only checked, it becomes `main`.
#[macro_export]
macro_rules! main {
    ($run:path) => {
        #[cfg(target_os = "none")]
        #[expect(unsafe_code, reason = "the name under which swos-rt finds the program")]
        #[unsafe(no_mangle)]
        extern "C" fn swos_main() -> i32 {
            $crate::start::Outcome::status($run())
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            let _status = $crate::start::Outcome::status($run());
        }
    };
}
