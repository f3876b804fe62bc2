//! The machine-independent kernel: processes, memory, handles, files, sockets, time, over a [`Machine`].

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod machine;

pub use machine::Machine;
