//! Deadlines in order: thousands armed, cancelled and expired at O(log n) each, without I/O.
//!
//! Goes in: `arm`, `cancel`, `rearm`, and the time as an argument of `expire`. Comes out: the keys that are due, and
//! [`TimerQueue::deadline`], to which the owner sets its one-shot timer.
//!
//! **Invariant:** each armed timer comes out exactly once, by `expire` or by `cancel`, in the order of the deadlines and,
//! for equal ones, of arming. **Invariant:** an id that expired or was cancelled never names another timer.
//!
//! ```
//! use swos_timers::TimerQueue;
//! use swos_units::Instant;
//! let mut timers = TimerQueue::new();
//! let id = timers.arm(Instant::from_nanos(20), "late")?;
//! timers.arm(Instant::from_nanos(10), "early")?;
//! assert_eq!(timers.deadline(), Some(Instant::from_nanos(10)));
//! assert_eq!(timers.expire(Instant::from_nanos(15)), Some("early"));
//! assert_eq!(timers.expire(Instant::from_nanos(15)), None);
//! assert_eq!(timers.cancel(id), Some("late"));
//! assert_eq!(timers.cancel(id), None);
//! # Ok::<(), swos_timers::NoMemory>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod alarm;
mod queue;

pub use alarm::Alarm;
pub use queue::{NoMemory, TimerId, TimerQueue};
