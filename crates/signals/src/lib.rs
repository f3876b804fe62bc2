//! Signals of processes and threads, and process groups: what is pending, which thread takes it, what happens then.
//!
//! In go signals that are sent, changes of actions and masks, and the question of a thread that is about to go on in its program;
//! out comes [`Next`]: go on, halt, stop or end the process, or call a handler. The caller owns a [`ProcessSignals`] for each process
//! and a [`ThreadSignals`] for each thread, and says who could take a signal ([`Taker`]), because it knows the threads.
//!
//! **Invariant:** a signal that was sent and is not ignored is taken by exactly one thread, once; a standard signal that is pending
//! already is the same one. **Invariant:** a thread never takes a signal that it blocks; `SIGSTOP` is never blocked, and `SIGKILL` is
//! not sent at all: the caller ends the process at once. **Invariant:** a handler that was decided upon is called
//! ([`ThreadSignals::delivery`]) even if the action changes before its frame could be written. **Invariant:** going on
//! cancels stops that wait, and the other way round. **Invariant:** want of memory loses what is known of a standard
//! signal, never the signal; a real-time signal is refused instead.
//!
//! Deliberately absent: registers, user memory, waiting, locks, who may send.
//!
//! ```
//! use swos_abi::{SIGTERM, SIGUSR1, SignalAction, SignalInfo, SignalSet};
//! use swos_signals::{Next, ProcessSignals, Taker, ThreadSignals};
//! let (mut process, mut thread) = (ProcessSignals::new(), ThreadSignals::new(SignalSet::EMPTY));
//! process.set_action(SIGUSR1, SignalAction { handler: 0x1000, ..SignalAction::default() })?;
//! let info = SignalInfo { signal: SIGUSR1, ..SignalInfo::default() };
//! assert_eq!(process.send(None, info, Taker::Open), Ok(true));
//! assert_eq!(process.next(&mut thread), Next::Handle);
//! assert_eq!(thread.delivery().map(|delivery| delivery.action.handler), Some(0x1000));
//! thread.entered(); // The frame is written; the signal is blocked until the handler returns.
//! assert_eq!(thread.mask(), SignalSet::of(&[SIGUSR1]));
//! # Ok::<(), swos_signals::Error>(())
//! ```
//!
//! Source: POSIX.1-2017 §2.4 "Signal Concepts", `sigaction()`, `sigsuspend()`, `sigwait()`, `setpgid()`, `setsid()`.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod groups;
mod pending;
mod signals;
mod stack;

pub use groups::{Groups, Refused};
pub use pending::{Full, QUEUE_MAX};
pub use signals::{Delivery, Error, Job, Next, ProcessSignals, STOPPING, Taker, ThreadSignals};
pub use stack::{AltStack, Wanted};
