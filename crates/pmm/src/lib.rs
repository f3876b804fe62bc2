//! Hands out physical frames: a buddy allocator over the memory map of the machine.
//!
//! In come the RAM ranges and the ranges that must not be touched; out go naturally aligned blocks of 1 to
//! 1024 frames, each with a count of references. The allocator never reads or writes the frames themselves:
//! free lists are linked by index through eight bytes of metadata a frame, which the caller supplies.
//!
//! **Invariant:** every managed frame is in exactly one block, free or allocated; two free buddies of one order
//! never exist side by side; a block of order *n* starts at a frame number divisible by 2ⁿ.
//!
//! Deliberately absent: locks (the caller's), zeroing of frames, NUMA nodes, any address constant.
//!
//! ```
//! use swos_pmm::{FrameRange, FrameState, Order, Pmm};
//! use swos_units::Frame;
//! let ram = [FrameRange::new(Frame::from_number(0x40000).unwrap(), 2048).unwrap()];
//! let kernel = [FrameRange::new(Frame::from_number(0x40080).unwrap(), 128).unwrap()];
//! let mut states = vec![FrameState::default(); Pmm::metadata_len(&ram).unwrap()];
//! let mut pmm = Pmm::new(&mut states, &ram, &kernel).unwrap();
//! assert_eq!(pmm.free_frames(), 2048 - 128);
//! let block = pmm.alloc(Order::new(9).unwrap()).unwrap();
//! assert_eq!(block.number() % 512, 0);
//! pmm.free(block, Order::new(9).unwrap()).unwrap();
//! assert_eq!(pmm.free_frames(), 2048 - 128);
//! ```
//!
//! Source: K. C. Knowlton, "A fast storage allocator", CACM 8(10), 1965; D. E. Knuth, TAOCP vol. 1, §2.5.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod buddy;
mod cache;
mod range;
mod spans;
mod state;

pub use buddy::{Error, Order, Pmm, Released};
pub use cache::FrameCache;
pub use range::FrameRange;
pub use spans::{MAX_SPANS, MapError};
pub use state::FrameState;
