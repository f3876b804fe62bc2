//! Signals: handlers, masks, sending, waiting.
//!
//! A handler interrupts the program between any two instructions. It may set atomics and make calls; if it takes a lock, allocates or
//! prints, it may wait for ever for what the interrupted code holds. Often [`wait`] or a mask is what one wants instead.
//!
//! A call that a handler interrupts answers [`Errno::INTR`], unless the handler was set with [`ActionFlags::RESTART`] and the
//! call has no time-out; `docs/src/reference/conventions.md` has the table. What this library does in loops (whole reads and
//! writes, sleeps, joins, locks) goes on by itself.

pub use swos_abi::{
    ActionFlags, SIGABRT, SIGALRM, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGIO, SIGKILL,
    SIGPIPE, SIGPROF, SIGPWR, SIGQUIT, SIGRTMAX, SIGRTMIN, SIGSEGV, SIGSTOP, SIGSYS, SIGTERM, SIGTRAP,
    SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ, SignalFrame,
    SignalInfo, SignalSet,
};
use swos_abi::{Errno, PID_GROUP, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, TIMEOUT_NEVER};
pub use swos_rt::signal_stack::AltStack;
pub use swos_sys::SignalHandler;

use crate::{process::id, time::Duration};

/// Lets `handler` run when `signal` comes.
///
/// # Errors
///
/// [`Errno::INVAL`] if there is no such signal, or nothing can be done about it; [`Errno::NOMEM`].
pub fn handle(signal: u32, handler: SignalHandler, flags: ActionFlags) -> Result<(), Errno> {
    swos_sys::signal_handle(signal, handler, SignalSet::EMPTY, flags)
}

/// The same, with the signals of `mask` blocked while it runs.
///
/// # Errors
///
/// As [`handle`].
pub fn handle_masking(
    signal: u32,
    handler: SignalHandler,
    mask: SignalSet,
    flags: ActionFlags,
) -> Result<(), Errno> {
    swos_sys::signal_handle(signal, handler, mask, flags)
}

/// Lets `signal` do nothing. With `SIGCHLD` children that end leave nothing to wait for.
///
/// # Errors
///
/// As [`handle`].
pub fn ignore(signal: u32) -> Result<(), Errno> {
    swos_sys::signal_ignore(signal)
}

/// Lets `signal` do what it does by default.
///
/// # Errors
///
/// As [`handle`].
pub fn restore(signal: u32) -> Result<(), Errno> {
    swos_sys::signal_default(signal, ActionFlags::empty())
}

/// Blocked signals of this thread, until it is dropped: then the mask is what it was before.
#[derive(Debug)]
#[must_use = "the signals are blocked until this is dropped"]
pub struct Blocked {
    before: SignalSet,
}

/// Blocks signals for the calling thread, and for threads that it starts meanwhile.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn block(signals: SignalSet) -> Result<Blocked, Errno> {
    swos_sys::signal_mask(SIG_BLOCK, signals).map(|before| Blocked { before })
}

impl Blocked {
    /// The mask from before.
    #[must_use]
    pub const fn before(&self) -> SignalSet {
        self.before
    }

    /// Waits with the mask from before until a handler has run: what was sent since [`block`] is not missed.
    pub fn suspend(&self) {
        let _always_interrupted = swos_sys::signal_suspend(self.before);
    }

    /// Keeps the signals blocked for good.
    pub const fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _never_fails = swos_sys::signal_mask(SIG_SETMASK, self.before);
    }
}

/// Unblocks signals for the calling thread.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn unblock(signals: SignalSet) -> Result<(), Errno> {
    swos_sys::signal_mask(SIG_UNBLOCK, signals).map(drop)
}

/// What the calling thread blocks.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn mask() -> Result<SignalSet, Errno> {
    swos_sys::signal_mask(SIG_BLOCK, SignalSet::EMPTY)
}

/// Blocked signals that wait for the calling thread or its process.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn pending() -> Result<SignalSet, Errno> {
    swos_sys::signal_pending()
}

/// Takes one of `signals`, which should be blocked, without calling its handler. Other handlers may run meanwhile.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn wait(signals: SignalSet) -> Result<SignalInfo, Errno> {
    loop {
        match swos_sys::signal_wait(signals, TIMEOUT_NEVER) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// The same, at most so long.
///
/// # Errors
///
/// [`Errno::TIMEDOUT`]; [`Errno::INTR`] if the handler of another signal ran.
pub fn wait_timeout(signals: SignalSet, timeout: Duration) -> Result<SignalInfo, Errno> {
    swos_sys::signal_wait(signals, u64::try_from(timeout.as_nanos()).unwrap_or(TIMEOUT_NEVER - 1))
}

/// Sends `signal` to process `pid`; 0 only asks whether it is there.
///
/// # Errors
///
/// [`Errno::SRCH`] if there is none, or it is out of reach; [`Errno::INVAL`].
pub fn kill(pid: u32, signal: u32) -> Result<(), Errno> {
    // The number 0 would mean the own group.
    if pid == 0 { Err(Errno::SRCH) } else { swos_sys::kill(u64::from(pid), signal) }
}

/// Sends `signal` to each member of a process group (0 = the own one).
///
/// # Errors
///
/// [`Errno::SRCH`] if there is none in reach; [`Errno::INVAL`].
pub fn kill_group(group: u32, signal: u32) -> Result<(), Errno> {
    swos_sys::kill(PID_GROUP | u64::from(group), signal)
}

/// Sends `signal` to process `pid` with a value. From [`SIGRTMIN`] on, each arrives.
///
/// # Errors
///
/// As [`kill`]; [`Errno::AGAIN`] if too many wait there.
pub fn queue(pid: u32, signal: u32, value: u64) -> Result<(), Errno> {
    swos_sys::signal_queue(u64::from(pid), signal, value)
}

/// Sends `signal` to a thread of this process, by the number that [`crate::thread::current_id`] gave it.
///
/// # Errors
///
/// [`Errno::SRCH`], [`Errno::INVAL`].
pub fn kill_thread(tid: u32, signal: u32) -> Result<(), Errno> {
    swos_sys::thread_kill(tid, signal)
}

/// Sends `signal` to the calling thread: if it is not blocked, its handler has run when this returns.
///
/// # Errors
///
/// [`Errno::INVAL`].
pub fn raise(signal: u32) -> Result<(), Errno> {
    swos_sys::thread_kill(crate::thread::current_id(), signal)
}

/// Ends the process by [`SIGABRT`], whatever was set for it.
pub fn abort() -> ! {
    let _caught_or_ignored = raise(SIGABRT);
    let _unchanged = restore(SIGABRT);
    let _never_blocked = unblock(SignalSet::of(&[SIGABRT]));
    loop {
        let _the_end = kill(id(), SIGABRT);
    }
}
