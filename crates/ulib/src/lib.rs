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

pub mod env;
pub mod fs;
pub mod handle;
pub mod io;
pub mod log;
pub mod net;
pub mod pipe;
mod print;
pub mod process;
pub mod ready;
pub mod sync;
pub mod system;
pub mod thread;
pub mod time;

pub use print::write_to;
pub use swos_abi as abi;
pub use swos_rt::main;
pub use swos_sys as sys;
