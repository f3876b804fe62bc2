//! VMSAv8-64 stage 1 translation tables: encode, walk, change, tear down.
//!
//! In come pages, frames and what may be done with them; out go 64-bit entries written through [`TableMemory`] and
//! TLB maintenance asked of [`Tlb`], in the order that the architecture demands. Four levels, 4 KiB granule, 48-bit
//! input; the user half (TTBR0) and the kernel half (TTBR1) are the same code with other permission bits.
//!
//! **Invariant:** no entry is ever writable and executable: [`Access`] can't say it, and [`Attributes`] is the only
//! way to make the bits. **Invariant:** a valid leaf that changes its frame, its size or its memory type goes through
//! break-before-make. **Invariant:** a frame leaves [`Tables`] only after the invalidation of its translation has
//! completed. **Invariant:** every entry under a clear bit of a table's occupancy summary is zero.
//!
//! Deliberately absent: system registers and barriers (the [`Tlb`] performs them), what a page contains, who owns
//! which address range (`aspace`), hardware management of the access flag and of the dirty state.
//!
//! ```
//! use std::collections::HashMap;
//! use swos_units::{Frame, Page, VirtAddr};
//! use swos_vm::{Access, Attributes, Half, Sharing, TableMemory, Tables, Tlb};
//!
//! #[derive(Default)]
//! struct Memory(HashMap<(Frame, usize), u64>, u64);
//! impl TableMemory for Memory {
//!     fn read(&self, table: Frame, index: usize) -> u64 {
//!         self.0.get(&(table, index)).copied().unwrap_or(0)
//!     }
//!     fn write(&mut self, table: Frame, index: usize, entry: u64) {
//!         self.0.insert((table, index), entry);
//!     }
//!     fn alloc_table(&mut self) -> Option<Frame> {
//!         self.1 += 1;
//!         Frame::from_number(self.1)
//!     }
//!     fn free_table(&mut self, _table: Frame) {}
//! }
//! struct NoTlb;
//! impl Tlb for NoTlb {
//!     fn publish(&mut self) {}
//!     fn invalidate_page(&mut self, _page: Page) {}
//!     fn invalidate_space(&mut self) {}
//!     fn synchronize(&mut self) {}
//! }
//!
//! let mut memory = Memory::default();
//! let mut tables = Tables::new(Half::User, &mut memory).unwrap();
//! let page = Page::containing(VirtAddr::new(0x1_0000));
//! let frame = Frame::from_number(0x4_2000).unwrap();
//! let text = Attributes::user(Access::ReadExecute, Sharing::Shared);
//! tables.map_page(&mut memory, &mut NoTlb, page, frame, text).unwrap();
//! let mapping = tables.walk(&memory, page.start()).unwrap();
//! assert_eq!((mapping.frame, mapping.attributes), (frame, text));
//! ```
//!
//! Source: Arm DDI 0487 L.a §D8.2 (translation process), §D8.3 (descriptor formats), §D8.4 (permissions),
//! §D8.17 (break-before-make).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod asid;
mod descriptor;
mod memory;
mod pages;
mod share;
mod tables;
mod teardown;
mod walk;

pub use asid::{Asid, AsidPool, AsidWidth, Assigned, Tag};
pub use descriptor::{Access, Attributes, Half, MAIR_EL1, MemoryType, Sharing};
pub use memory::{TableMemory, Tlb};
pub use pages::PageRange;
pub use tables::{Audit, Error, Progress, Tables};
pub use teardown::Teardown;
pub use walk::{Mapping, PageSize};
