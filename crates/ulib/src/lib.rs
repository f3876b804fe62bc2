//! The library of programs: files, sockets, processes, threads, locks, time, under the names of Rust's `std` where the
//! meaning agrees.
//!
//! What differs is authority: a new process gets exactly the handles and capabilities that [`process::Command`] names, and
//! nothing by default.
//!
//! **Invariant:** no unsafe code here; it is in `swos-rt` and `swos-sys`. **Invariant:** a handle has one owner, which closes it.
//!
//! ```ignore
//! use swos_ulib::{fs, println};
//! let text = fs::read("/etc/swos/services")?;
//! println!("{} bytes", text.len());
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

// loom explores `sync`; the rest makes calls.

#[cfg(not(loom))]
pub mod env;
#[cfg(not(loom))]
pub mod event;
#[cfg(not(loom))]
pub mod fs;
#[cfg(not(loom))]
pub mod handle;
#[cfg(not(loom))]
pub mod io;
#[cfg(not(loom))]
pub mod ipc;
#[cfg(not(loom))]
pub mod log;
#[cfg(not(loom))]
pub mod memory;
#[cfg(not(loom))]
pub mod names;
#[cfg(not(loom))]
pub mod net;
#[cfg(not(loom))]
pub mod pair;
#[cfg(not(loom))]
pub mod pipe;
#[cfg(not(loom))]
mod print;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub mod ready;
#[cfg(not(loom))]
pub mod ring;
#[cfg(not(loom))]
pub mod signal;
pub mod sync;
#[cfg(not(loom))]
pub mod system;
#[cfg(not(loom))]
pub mod testing;
#[cfg(not(loom))]
pub mod thread;
#[cfg(not(loom))]
pub mod time;
#[cfg(not(loom))]
pub mod timer;
#[cfg(not(loom))]
pub mod trace;

#[cfg(not(loom))]
pub use print::write_to;
pub use swos_abi as abi;
pub use swos_rt::main;
pub use swos_sys as sys;
