//! The pages of a memory object: a sparse map from page numbers to frames.
//!
//! In go frames under page numbers; out come the frame of a page, and, when the object shrinks or ends, every frame from a
//! page on, in steps of bounded work. The map lives in frames itself: nodes of 512 entries that [`TableMemory`] provides,
//! as the translation tables of `vm` do.
//!
//! **Invariant:** a page has at most one frame. **Invariant:** an insertion that is refused changes no page.
//! **Invariant:** the tree is as high as its highest page needs since it was last empty; a single page 0 needs no node.
//! **Invariant:** when the last page was trimmed, every node was given back. **Invariant:** no step reads more than a
//! constant number of entries.
//!
//! Deliberately absent: the size of the object, who maps it, what is in the pages, reference counts.
//!
//! ```
//! # use std::collections::HashMap;
//! # use swos_units::Frame;
//! # use swos_vm::TableMemory;
//! # #[derive(Default)]
//! # struct Memory(HashMap<(Frame, usize), u64>, u64);
//! # impl TableMemory for Memory {
//! #     fn read(&self, table: Frame, index: usize) -> u64 {
//! #         self.0.get(&(table, index)).copied().unwrap_or(0)
//! #     }
//! #     fn write(&mut self, table: Frame, index: usize, entry: u64) {
//! #         self.0.insert((table, index), entry);
//! #     }
//! #     fn alloc_table(&mut self) -> Option<Frame> {
//! #         self.1 += 1;
//! #         Frame::from_number(self.1)
//! #     }
//! #     fn free_table(&mut self, _table: Frame) {}
//! # }
//! # let mut memory = Memory::default();
//! use swos_memobject::{PageMap, Progress};
//! let frame = Frame::from_number(0x4_2000).unwrap();
//! let mut pages = PageMap::new();
//! pages.insert(&mut memory, 70_000, frame)?;
//! assert_eq!(pages.get(&memory, 70_000), Some(frame));
//! let mut freed = vec![];
//! while pages.trim(&mut memory, 0, 128, |page, frame| freed.push((page, frame))) == Progress::More {}
//! assert_eq!(freed, [(70_000, frame)]);
//! # Ok::<(), swos_memobject::Error>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod pages;

pub use pages::{Error, PAGES_MAX, PageMap, Progress};
#[cfg(doc)]
use swos_vm::TableMemory;
