//! Readiness over many sources: who is ready is known by event and not by asking all.
//!
//! A source is anything whose readiness changes. Its owner reports a change with [`ReadinessSet::on_ready`]; the reader calls
//! [`ReadinessSet::collect`], which looks only at the sources that reported. What a source is ready for is the
//! owner's to say: `collect` asks it, so a report that was overtaken costs a look and no false event.
//!
//! **Invariant:** a level-triggered source that is ready is reported by each `collect` until it no longer is.
//! **Invariant:** an edge-triggered source is reported once for any number of reports since the last time.
//! **Invariant:** sources that are ready for ever do not keep others from being reported: they go to the end of the line.
//! **Invariant:** every operation is O(1) but `collect`, which is linear in what it looks at, and that has a bound; only [`ReadinessSet::add`] allocates.
//!
//! Deliberately absent: waiting, time, locks, and what a source is.
//!
//! ```
//! use swos_readiness::{Event, Mode, ReadinessSet, Watch};
//! let mut set = ReadinessSet::new();
//! let id = set.add("socket", Watch { interest: 1, mode: Mode::Level, token: 7 }).unwrap();
//! assert!(set.on_ready(id, 1));
//! let mut events = Vec::new();
//! set.collect(16, 64, |_id, _source| 1, |event| events.push(event));
//! assert_eq!(events, [Event { token: 7, bits: 1 }]);
//! ```
//!
//! Source: J. Lemon, "Kqueue: A Generic and Scalable Event Notification Facility" (2001).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod set;

pub use set::{ALWAYS, Event, Mode, NoMemory, ReadinessSet, SourceId, Unknown, Watch};
