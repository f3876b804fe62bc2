//! Numbered places that are used again under another stamp, and given back when most are free.
//!
//! Entries go in with [`Slab::insert`], which returns a number, and out with [`Slab::remove`]. The number with
//! [`Slab::stamp`] is a name for as long as the machine runs. The slab grows only in `insert` and `reserve_one`.
//!
//! **Invariant:** number and stamp name one entry for ever. **Invariant:** no other call can fail for memory.
//! **Invariant:** with few entries, and none far behind, the room is the same, whatever was before.
//!
//! ```
//! use swos_slab::Slab;
//! let mut slab = Slab::new();
//! let many: Vec<u32> = (0..1000).map(|value| slab.insert(value)).collect::<Result<_, _>>()?;
//! many.into_iter().for_each(|at| drop(slab.remove(at)));
//! assert_eq!(slab.room(), 32);
//! # Ok::<(), swos_slab::NoMemory>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod room;
mod slab;

pub use room::{List, Spare};
pub use slab::{NoMemory, Slab};
