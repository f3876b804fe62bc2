//! Which thread runs next on a CPU, and for how long: a weighted fair run queue without I/O.
//!
//! Each thread carries an [`Entity`]: its weight and its virtual run time, the time it ran divided by its weight.
//! [`RunQueue::pick`] takes the waiting thread of the smallest virtual run time. The queue holds what the kernel
//! puts in (`T`, a thread's id); the entity stays in the thread and is passed in. Time is an argument; nothing
//! here knows a clock, a CPU or another queue, so stealing takes two calls and never two locks.
//!
//! **Invariant:** between two threads that stay runnable on one CPU, run time divided by weight differs by at most
//! one slice of each. **Invariant:** a thread that slept gains at most [`WAKE_CREDIT`] over those that ran.
//! **Invariant:** virtual run time never falls, so nobody is overtaken for ever.
//!
//! ```
//! use swos_sched::{Enter, Entity, RunQueue, Weight};
//! use swos_units::Duration;
//! let (mut a, mut b) = (Entity::new(Weight::NORMAL), Entity::new(Weight::NORMAL));
//! let mut queue = RunQueue::new(0);
//! queue.enqueue(&mut a, "a", Enter::New);
//! queue.enqueue(&mut b, "b", Enter::New);
//! assert_eq!(queue.pick(), Some("a"));
//! assert_eq!(queue.slice(&a), Some(Duration::from_millis(6))); // Two threads share 12 ms.
//! queue.charge(&mut a, Duration::from_millis(6));
//! queue.enqueue(&mut a, "a", Enter::Preempted);
//! assert_eq!(queue.pick(), Some("b"));
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod entity;
mod heap;
mod place;
mod run_queue;

pub use entity::{Entity, Mark, Weight};
pub use heap::NoMemory;
pub use place::{Load, place};
pub use run_queue::{
    Enter, LATENCY, Place, RunQueue, SLICE_MAX, SLICE_MIN, Stolen, WAKE_CREDIT, WAKE_GRANULARITY,
};
