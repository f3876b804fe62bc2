//! Restart policy for one supervised service: a state machine without I/O.
//!
//! Goes in: the ends of its instances and the time. Comes out of [`Restart::poll`]: orders to start it, or to leave it
//! and say so. Waits double from [`Policy::first_wait`] to [`Policy::longest_wait`] while instances end early, and start over after one
//! that ran for [`Policy::stable_after`]. Too many failures in a window and the service is held until somebody resumes it.
//!
//! **Invariant:** at most one instance is alive at any moment. **Invariant:** within any window there are at most
//! [`Policy::failures`] + 1 starts that do not end well, unless somebody resumes. No jitter: one machine's services do not
//! meet a common server all at once, and runs repeat exactly.
//!
//! ```
//! use swos_restart::{Action, Outcome, Policy, Restart};
//! use swos_units::{Duration, Instant};
//! let mut httpd = Restart::new(Policy::SERVICE, Instant::ZERO);
//! assert_eq!(httpd.poll(), Some(Action::Spawn));
//! httpd.on_exit(Instant::from_nanos(5), Outcome::Failure)?;
//! let due = Instant::from_nanos(5) + Policy::SERVICE.first_wait;
//! assert_eq!((httpd.poll(), httpd.deadline()), (None, Some(due)));
//! httpd.on_timeout(due);
//! assert_eq!(httpd.poll(), Some(Action::Spawn));
//! # Ok::<(), swos_restart::Error>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod history;
mod policy;

pub use policy::{Action, Error, FAILURES_MAX, Outcome, Policy, Restart, When};
