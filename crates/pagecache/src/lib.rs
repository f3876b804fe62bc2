//! File pages in memory: found by hash, filled once, verified by the first who uses them, shared by all.
//!
//! In go keys and the results of disk reads; out come frames, and what the caller has to do next ([`Lookup`]). The cache
//! owns no frame and copies no byte: it remembers which frame holds which page, and gives it back on eviction.
//!
//! ```text
//!   absent ──get──▶ filling ──filled──▶ unverified ──verified──▶ ready ──shrink──▶ absent
//!                      │                    │
//!                      └─failed─▶ failed    └─rejected─▶ absent (the next reader asks the disk again)
//! ```
//!
//! **Invariant:** [`Lookup::Hit`] is only given for a page whose bytes were declared good.
//! **Invariant:** at most one fill of a page is under way. **Invariant:** a hit allocates nothing; no operation does work
//! that grows with the number of pages (the table splits one bucket at a time, [`Cache::shrink`] takes a bound).
//!
//! Deliberately absent: waiters (the caller wakes them), write-back, the disk, hashing, locks.
//!
//! ```
//! use swos_pagecache::{Cache, Key, Lookup, ObjectId, Trust};
//! use swos_units::Frame;
//! let mut cache = Cache::new(1);
//! let key = Key { object: ObjectId(1), page: 7 };
//! let Lookup::Miss(ticket) = cache.get(key) else { panic!() };
//! assert!(matches!(cache.get(key), Lookup::Filling));
//! cache.filled(ticket, Frame::from_number(42).unwrap(), Trust::Unverified);
//! let Lookup::Unverified(page) = cache.get(key) else { panic!() };
//! cache.verified(page);
//! assert_eq!(cache.get(key), Lookup::Hit(page.frame()));
//! ```
//!
//! Source: CLOCK: F. Corbató, "A paging experiment with the Multics system" (1968). Growth by splitting one bucket at a time:
//! W. Litwin, "Linear hashing" (1980).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod cache;
mod segments;
mod table;

pub use cache::{Cache, Counts, FillTicket, Key, Lookup, ObjectId, PageRef, Pinned, ReadError, Trust};
