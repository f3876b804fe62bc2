//! Addresses, frames, pages and time as types.
//!
//! Nothing here does anything: the crate is the vocabulary in which the others speak, so that a
//! physical address can't be passed where a virtual one is meant, or milliseconds where
//! nanoseconds are.
//!
//! **Invariant:** a [`Frame`] or [`Page`] is always 4 KiB-aligned; a [`PhysAddr`] fits 52 bits.
//!
//! ```
//! use swos_units::{Duration, Frame, Instant, PAGE_SIZE, PhysAddr};
//! let frame = Frame::containing(PhysAddr::new(0x4000_1234).unwrap());
//! assert_eq!(frame.start().get(), 0x4000_1000);
//! assert_eq!(Instant::from_nanos(5) + Duration::from_micros(2), Instant::from_nanos(2_005));
//! assert_eq!(PAGE_SIZE, 4096);
//! ```
//!
//! Source: Arm DDI 0487 L.a §D8.2 (4 KiB granule, 48-bit input, 52-bit output addresses).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod memory;
mod time;

pub use memory::{Frame, PAGE_SHIFT, PAGE_SIZE, Page, PhysAddr, VirtAddr, page_count};
pub use time::{Duration, Instant};
