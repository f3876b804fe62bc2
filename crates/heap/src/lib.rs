//! A heap made of slabs: the core behind a `GlobalAlloc`, without the lock.
//!
//! In come layouts and blocks; out goes memory. Requests up to 2032 bytes come from slabs of one frame, larger ones
//! are blocks of whole frames. Frames come from and go back to a [`FrameSource`].
//!
//! **Invariant:** a block belongs to one caller from `allocate` to `deallocate`, is aligned as asked, and overlaps no
//! other. **Invariant:** when every block has been given back, [`Heap::trim`] gives every frame back; before, at most one
//! empty slab a class is kept. **Invariant:** both calls take constant time, but for the source's own.
//!
//! With debug assertions a freed block keeps a pattern, and a block that was written to after that stops the program when it is
//! handed out again.
//!
//! Deliberately absent: locking, zeroing, other detection of misuse by the `unsafe` callers. The size of a block is not stored:
//! the layout is known at deallocation.
//!
//! ```
//! use core::alloc::Layout;
//! use core::ptr::NonNull;
//! use std::alloc::{alloc, dealloc};
//! use swos_heap::{FrameSource, Heap};
//!
//! struct Host;
//! fn frames(order: u32) -> Layout {
//!     Layout::from_size_align(4096 << order, 4096 << order).unwrap()
//! }
//! // SAFETY: the host's allocator gives blocks of that size and alignment.
//! unsafe impl FrameSource for Host {
//!     fn alloc(&mut self, order: u32) -> Option<NonNull<u8>> {
//!         // SAFETY: the size is not zero.
//!         NonNull::new(unsafe { alloc(frames(order)) })
//!     }
//!     unsafe fn free(&mut self, block: NonNull<u8>, order: u32) {
//!         // SAFETY: the block came from `alloc` with this order.
//!         unsafe { dealloc(block.as_ptr(), frames(order)) }
//!     }
//! }
//!
//! let mut heap = Heap::new(Host);
//! let layout = Layout::new::<[u64; 5]>();
//! let block = heap.allocate(layout).unwrap();
//! assert_eq!(heap.statistics().used_bytes, 48);
//! // SAFETY: the block came from this heap with this layout.
//! unsafe { heap.deallocate(block, layout) };
//! assert_eq!((heap.trim(), heap.statistics().frames), (1, 0));
//! ```
//!
//! Source: J. Bonwick, "The Slab Allocator", USENIX Summer 1994.

#![cfg_attr(not(test), no_std)]
#![expect(unsafe_code, reason = "an allocator writes its lists into the memory that it manages")]

mod class;
mod heap;
mod slab;

pub use heap::{FrameSource, Heap, Statistics};
