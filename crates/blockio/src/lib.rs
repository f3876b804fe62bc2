//! The queue in front of a block device: which blocks are wanted becomes few large reads.
//!
//! In go wanted blocks, each with a target of the caller's choice (a frame and whom to tell), and completions; out come reads
//! of consecutive blocks ([`Submit`]), at most as many at a time as the device takes, and the targets back with their
//! result. [`ReadAhead`] decides for one open file what to fetch before it is asked for.
//!
//! **Invariant:** a block is queued or in flight at most once, and every accepted target comes back exactly once.
//! **Invariant:** what is wanted for somebody ([`Priority::Demand`]) goes out in the order in which it was wanted, and
//! before anything that is merely expected. **Invariant:** all memory is allocated in [`Queue::new`].
//! **Invariant:** an error hits only the blocks that can't be read: a failed read of several blocks is repeated block
//! by block, and each gets one second try.
//!
//! Deliberately absent: writes, the device, frames, waiting, the clock (the time is an argument).
//!
//! ```
//! use swos_blockio::{Limits, Outcome, Priority, Queue};
//! use swos_units::Instant;
//! let mut queue = Queue::new(Limits { depth: 4, pending: 64, timeout_ns: 1_000_000_000 }).unwrap();
//! queue.want(8, "a", Priority::Demand).unwrap();
//! queue.want(7, "b", Priority::ReadAhead).unwrap();
//! let submit = queue.poll(Instant::ZERO).unwrap();
//! assert_eq!((submit.first_block, submit.count), (7, 2));
//! assert!(queue.targets(submit.id).eq([&"b", &"a"]));
//! queue.on_complete(submit.id, Outcome::Done).unwrap();
//! assert_eq!(queue.completed().unwrap().block, 7);
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod list;
mod queue;
mod read_ahead;

pub use queue::{
    Completed, Error, Limits, Outcome, Priority, Queue, REQUEST_BLOCKS_MAX, Rejected, RequestId, Submit, Why,
};
pub use read_ahead::{Range, ReadAhead};
