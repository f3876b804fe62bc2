//! The handles of one process: which objects it may use, and how.
//!
//! A [`HandleTable`] maps the numbers that a program holds ([`Handle`](swos_abi::Handle)) to objects and [`Rights`](swos_abi::Rights). Between two tables a
//! handle travels as a [`Grant`]. A grant that was *lent* ([`HandleTable::lend`]) can be taken back: [`HandleTable::revoke`]
//! ends it and everything made from it, in whatever tables, at the cost of one store.
//!
//! **Invariant:** no operation yields a right that its source lacked. **Invariant:** a closed handle never names
//! another object: each use of a slot has its generation in the number, and a slot whose generations are used up is retired.
//! **Invariant:** nothing that descends from a revoked loan is usable. Absent on purpose: a way to widen rights, and
//! a way to name another process's table.
//!
//! ```
//! use swos_abi::{Handle, Rights};
//! use swos_handles::{Error, HandleTable};
//! let (mut parent, mut child) = (HandleTable::new(64), HandleTable::new(64));
//! let file = parent.insert("file", Rights::READ | Rights::WRITE | Rights::DUPLICATE)?;
//! let loan = parent.lend(file, Rights::READ)?;
//! let theirs = child.accept_at(Handle::STDIN, loan).map_err(|refused| refused.error)?;
//! assert_eq!(child.get_with(theirs, Rights::READ), Ok(&"file"));
//! assert_eq!(child.get_with(theirs, Rights::WRITE), Err(Error::MissingRights));
//! parent.revoke(file)?;
//! assert_eq!(child.get_with(theirs, Rights::READ), Err(Error::Revoked));
//! # Ok::<(), Error>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod chunks;
mod lease;
mod slots;
mod table;

pub use lease::{DEPTH_MAX, Lease, LeaseId};
pub use slots::{GENERATIONS, SLOTS_MAX};
pub use table::{Error, Grant, HandleTable, OnExec, Progress, Refused};
