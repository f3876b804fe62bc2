//! The record that a boot loader leaves for the kernel: what the device tree does not know.
//!
//! The loader emits a [`Repr`] into memory and passes the address; the kernel checks the bytes once with [`View::new`]
//! and reads them without any further error. All numbers are little endian; offsets are from the start of the record.
//!
//! | at | size | what |
//! |---|---|---|
//! | 0 | 8 | magic `SWOSBOOT` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | length of the whole record in bytes |
//! | 16 | 4 | CRC-32C of the record with this field zero |
//! | 20 | 4 | boot slot: 0 none, 1 A, 2 B |
//! | 24 | 8 | physical address of the device tree |
//! | 32 | 8 | counter when the loader started |
//! | 40 | 8 | counter when it left |
//! | 48 | 4 | memory ranges |
//! | 52 | 4 | length of the command line in bytes |
//! | 56 | 24 each | memory ranges: base, length, kind; sorted, disjoint, whole pages |
//! | then | | command line, UTF-8 |
//!
//! **Invariant:** `View::new(emit(r)) == r`. A record with any bit changed is refused.
//! **Absent on purpose:** pointers, alignment, and anything that the device tree says.
//!
//! Source: our own; CRC-32C as in RFC 3720 §12.1.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod crc;
mod record;

pub use record::{Error, MemoryKind, MemoryRange, Repr, Slot, VERSION, View, record_len};
