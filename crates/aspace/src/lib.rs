//! The areas of one address space: what lies where, what may be done with it, and what a fault means.
//!
//! In come requests to map, unmap and protect runs of pages, and faults; out go places, the areas that went away, and
//! for each fault one [`Decision`] that the kernel carries out. Pages and tables are not here: `vm` has those.
//!
//! **Invariant:** areas never overlap, are sorted, lie in `USER_START..USER_END`, and no two neighbours could be one.
//! **Invariant:** an area's access never exceeds what it is [`Permitted`]. **Invariant:** a refused request changes
//! nothing. **Invariant:** a fault is decided without allocation, in time logarithmic in the number of areas.
//! **Invariant:** [`Objects`] has an object as long as pages of areas are counted to it, however those are split and merged.
//!
//! Deliberately absent: growing stacks (a stack is demand-zero memory of its full size), a break, randomness (the
//! caller's base decides), and any notion of which pages are present.
//!
//! ```
//! use swos_aspace::{
//!     Access, AccessKind, AddressSpace, Backing, Cause, Decision, Limits, Permitted, Placement, Request,
//! };
//! use swos_units::{Page, VirtAddr};
//! let top = Page::containing(VirtAddr::new(0x7fff_1234_5000));
//! let mut space = AddressSpace::new(top, Limits::default());
//! let heap = space
//!     .map(Request {
//!         placement: Placement::Anywhere,
//!         pages: 16,
//!         access: Access::ReadWrite,
//!         permitted: Permitted::READ_WRITE,
//!         backing: Backing::Anonymous,
//!     })
//!     .unwrap();
//! assert_eq!(heap.end(), top);
//! let decision = space.fault(heap.start().start(), AccessKind::Write, Cause::Absent);
//! assert_eq!(decision, Decision::MapZero { access: Access::ReadWrite });
//! ```
//!
//! Source: POSIX.1-2024, `mmap`, `munmap`, `mprotect` for what a caller may expect; the interface differs.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod area;
mod fault;
mod objects;
mod space;

pub use area::{Area, Backing, FileWindow, ObjectId, ObjectWindow, Permitted};
pub use fault::{AccessKind, Cause, Decision, Denied};
pub use objects::Objects;
pub use space::{AddressSpace, Error, Limits, Placement, Request, Search, Stack, USER_END, USER_START};
pub use swos_vm::{Access, PageRange};
