//! ELF64 AArch64 executables: header and program headers checked, a load plan made.
//!
//! In come the first bytes of a file and its length, both untrusted; out comes a [`LoadPlan`] that can be carried out
//! without further checks, or an [`Error`] that says what is wrong and where. Static position-independent executables
//! (`ET_DYN`) and fixed ones (`ET_EXEC`) are accepted; sections are ignored.
//!
//! **Invariant:** no segment of a plan is writable and executable, no two share a page, none wraps around, leaves the
//! user's addresses or reads past the end of the file; the entry lies in an executable segment.
//! **Invariant:** parsing never panics and reads nothing outside the slice.
//!
//! Deliberately absent: dynamic linking (`PT_INTERP` is refused), relocation (the program relocates itself), reading of
//! segments.
//!
//! ```
//! assert_eq!(swos_elf::parse(b"#!/bin/sh", 9), Err(swos_elf::Error::Truncated { offset: 0, needed: 64 }));
//! ```
//!
//! Source: System V gABI, "Object Files" and "Program Loading" (2013-06); Arm ELF for AArch64 (2023Q3) §5 to §7.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod error;
mod header;
mod plan;

pub use error::{Error, Violation};
pub use header::{HEADER_BYTES, MAX_HEADERS, PROGRAM_HEADER_BYTES};
pub use plan::{Addressing, LoadPlan, MAX_SEGMENTS, Segment, SegmentAccess, Span, ThreadLocal, parse};
