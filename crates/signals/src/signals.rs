//! What a process and its threads know of signals, and what happens next.

use alloc::vec::Vec;

use swos_abi::{
    ActionFlags, SIG_DEFAULT, SIG_IGNORE, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGILL, SIGKILL, SIGRTMAX,
    SIGSEGV, SIGSTOP, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH, SignalAction, SignalInfo,
    SignalSet,
};

use crate::{
    pending::{Full, Pending},
    stack::AltStack,
};

/// Signals that stop by default.
pub const STOPPING: SignalSet = SignalSet::of(&[SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
/// Signals that do nothing by default.
const IGNORED: SignalSet = SignalSet::of(&[SIGCHLD, SIGCONT, SIGURG, SIGWINCH]);
/// Signals that nothing can be done about.
const ABSOLUTE: SignalSet = SignalSet::of(&[SIGKILL, SIGSTOP]);
/// Signals of an instruction that failed: delivered before others, so that their frame shows that instruction.
const SYNCHRONOUS: SignalSet = SignalSet::of(&[SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV]);

/// Why an operation is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// No such signal, or nothing can be done about it.
    BadSignal,
    /// Memory is short.
    NoMemory,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Job {
    /// It does.
    #[default]
    Running,
    /// None of its threads does.
    Stopped,
}

/// Who is there to take a signal that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taker {
    /// A thread that waits for it, or one whose process must not lose it.
    Waits,
    /// A thread that does not block it.
    Open,
    /// Nobody: all block it.
    Nobody,
}

/// A handler to be called: what was decided when its signal was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// The signal.
    pub info: SignalInfo,
    /// The action as it was then.
    pub action: SignalAction,
    /// The mask that holds again when the handler returns.
    pub mask: SignalSet,
}

impl Delivery {
    /// Whether the action has `flag`.
    #[must_use]
    pub const fn has(&self, flag: ActionFlags) -> bool {
        self.action.flags & flag.bits() != 0
    }
}

/// What a thread does before it goes on in its program.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Nothing.
    GoOn,
    /// It waits: its process is stopped.
    Halt,
    /// It stops its process, by this signal.
    Stop(u32),
    /// It ends its process, by this signal.
    Terminate(SignalInfo),
    /// It calls a handler: [`ThreadSignals::delivery`], until [`ThreadSignals::entered`].
    Handle,
}

/// The signals of one process.
#[derive(Debug, Default)]
pub struct ProcessSignals {
    pending: Pending,
    /// Explicitly ignored.
    ignored: SignalSet,
    handled: SignalSet,
    /// One for each of `handled`, in their order: few programs handle more than a few.
    handlers: Vec<SignalAction>,
    /// Flags of the action for `SIGCHLD`, which hold also without a handler.
    child_flags: u64,
    job: Job,
    /// Defaults that would end or stop it do nothing.
    shielded: bool,
}

impl ProcessSignals {
    /// Those of a new process: every signal does what it does by default.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pending: Pending::new(),
            ignored: SignalSet::EMPTY,
            handled: SignalSet::EMPTY,
            handlers: Vec::new(),
            child_flags: 0,
            job: Job::Running,
            shielded: false,
        }
    }

    /// Those of a process that only a handler of its own can end or stop: the first one.
    #[must_use]
    pub fn shielded() -> Self {
        Self { shielded: true, ..Self::new() }
    }

    /// Whether nothing that is sent ends or stops it by default, not even `SIGKILL`.
    #[must_use]
    pub const fn is_shielded(&self) -> bool {
        self.shielded
    }

    /// Those of a copy of the process: the same actions, nothing pending.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn fork(&self) -> Result<Self, Error> {
        let mut handlers = Vec::new();
        handlers.try_reserve_exact(self.handlers.len()).map_err(|_| Error::NoMemory)?;
        handlers.extend_from_slice(&self.handlers);
        Ok(Self {
            pending: Pending::new(),
            ignored: self.ignored,
            handled: self.handled,
            handlers,
            child_flags: self.child_flags,
            job: Job::Running,
            shielded: false,
        })
    }

    /// Another program replaces this one: its handlers are gone, what it ignores and what is pending stays.
    #[must_use]
    pub fn exec(self) -> Self {
        Self { handled: SignalSet::EMPTY, handlers: Vec::new(), child_flags: 0, ..self }
    }

    /// What `signal` does.
    #[must_use]
    pub fn action(&self, signal: u32) -> SignalAction {
        if self.handled.contains(signal) {
            return self.handlers.get(self.rank(signal)).copied().unwrap_or_default();
        }
        let handler = if self.ignored.contains(signal) { SIG_IGNORE } else { SIG_DEFAULT };
        let flags = if signal == SIGCHLD { self.child_flags } else { 0 };
        SignalAction { handler, flags, ..SignalAction::default() }
    }

    /// How many handlers come before that of `signal`.
    const fn rank(&self, signal: u32) -> usize {
        (self.handled.0 & ((1 << (signal - 1)) - 1)).count_ones() as usize
    }

    /// Sets what `signal` does. Signals that wait and are now ignored are forgotten; those of threads by
    /// [`ThreadSignals::discard`] when this returns true.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignal`] for a number that is no signal's, `SIGKILL` and `SIGSTOP`; [`Error::NoMemory`].
    pub fn set_action(&mut self, signal: u32, action: SignalAction) -> Result<bool, Error> {
        let this = SignalSet::of(&[signal]);
        if this.is_empty() || !this.and(ABSOLUTE).is_empty() {
            return Err(Error::BadSignal);
        }
        let rank = self.rank(signal);
        match action.handler {
            SIG_DEFAULT | SIG_IGNORE => {
                if self.handled.contains(signal) {
                    self.handlers.remove(rank);
                    self.handled = self.handled.without(this);
                }
                self.ignored = self.ignored.without(this);
                if action.handler == SIG_IGNORE {
                    self.ignored = self.ignored.union(this);
                }
            }
            _ if self.handled.contains(signal) => {
                if let Some(known) = self.handlers.get_mut(rank) {
                    *known = action;
                }
            }
            _ => {
                self.handlers.try_reserve(1).map_err(|_| Error::NoMemory)?;
                self.handlers.insert(rank, action);
                self.handled = self.handled.union(this);
                self.ignored = self.ignored.without(this);
            }
        }
        if signal == SIGCHLD {
            self.child_flags = action.flags;
        }
        let ignored = self.ignores(signal);
        if ignored {
            self.pending.discard(this);
        }
        Ok(ignored)
    }

    /// Whether `signal` does nothing here.
    #[must_use]
    pub const fn ignores(&self, signal: u32) -> bool {
        if self.handled.contains(signal) {
            false
        } else {
            self.ignored.contains(signal) || IGNORED.contains(signal) || self.shielded
        }
    }

    /// Whether `signal` has a handler.
    #[must_use]
    pub const fn handles(&self, signal: u32) -> bool {
        self.handled.contains(signal)
    }

    /// Whether children that end leave nothing to wait for.
    #[must_use]
    pub const fn forgets_children(&self) -> bool {
        self.ignored.contains(SIGCHLD) || self.child_flags & ActionFlags::NOCLDWAIT.bits() != 0
    }

    /// Whether it is told of children that stop and go on.
    #[must_use]
    pub const fn hears_of_stops(&self) -> bool {
        self.child_flags & ActionFlags::NOCLDSTOP.bits() == 0
    }

    /// Those pending for any thread.
    #[must_use]
    pub const fn pending(&self) -> SignalSet {
        self.pending.set()
    }

    /// Whether it runs.
    #[must_use]
    pub const fn job(&self) -> Job {
        self.job
    }

    /// What a signal that is sent cancels among those that wait, here and at every thread: going on cancels stopping, and the
    /// other way round.
    #[must_use]
    pub const fn cancels(signal: u32) -> SignalSet {
        if signal == SIGCONT {
            STOPPING
        } else if STOPPING.contains(signal) {
            SignalSet::of(&[SIGCONT])
        } else {
            SignalSet::EMPTY
        }
    }

    /// A signal was sent, to the process or to `thread`; `taker` is who could take it. True = it is pending now, and the taker
    /// is to look. `SIGKILL` is not sent here: it has nothing to wait for.
    ///
    /// # Errors
    ///
    /// [`Full`] if a real-time signal can't be queued; nothing is changed.
    pub fn send(
        &mut self,
        thread: Option<&mut ThreadSignals>,
        info: SignalInfo,
        taker: Taker,
    ) -> Result<bool, Full> {
        self.pending.discard(Self::cancels(info.signal));
        if taker == Taker::Open && self.ignores(info.signal) {
            return Ok(false);
        }
        match thread {
            Some(thread) => thread.pending.add(info)?,
            None => self.pending.add(info)?,
        }
        Ok(taker != Taker::Nobody)
    }

    /// Goes on after a stop. Whether it was stopped.
    pub fn resume(&mut self) -> bool {
        core::mem::replace(&mut self.job, Job::Running) == Job::Stopped
    }

    /// What a thread of this process does before it goes on in its program.
    pub fn next(&mut self, thread: &mut ThreadSignals) -> Next {
        if self.job == Job::Stopped {
            return Next::Halt;
        }
        if thread.claimed.is_some() {
            return Next::Handle;
        }
        while let Some(signal) = self.deliverable(thread) {
            let own = thread.pending.set().contains(signal);
            let info = if own { thread.pending.take(signal) } else { self.pending.take(signal) };
            if self.ignores(signal) {
                continue;
            }
            if !self.handled.contains(signal) {
                if STOPPING.contains(signal) {
                    self.job = Job::Stopped;
                    return Next::Stop(signal);
                }
                return Next::Terminate(info);
            }
            let action = self.action(signal);
            if action.flags & ActionFlags::RESETHAND.bits() != 0 {
                // To the default needs no memory, and the signal is one that can be handled.
                let _ = self.set_action(signal, SignalAction::default());
            }
            let mask = thread.suspended.take().unwrap_or(thread.mask);
            thread.wanted = SignalSet::EMPTY;
            thread.claimed = Some(Delivery { info, action, mask });
            return Next::Handle;
        }
        Next::GoOn
    }

    /// The signal that a thread takes next.
    fn deliverable(&self, thread: &ThreadSignals) -> Option<u32> {
        let open = thread.pending.set().union(self.pending.set()).without(thread.mask);
        open.and(SYNCHRONOUS).first().or_else(|| open.first())
    }

    /// Whether a thread has something to do before it goes on.
    #[must_use]
    pub fn concerns(&self, thread: &ThreadSignals) -> bool {
        self.job == Job::Stopped || thread.claimed.is_some() || self.deliverable(thread).is_some()
    }

    /// The next of `set` that waits for a thread or its process, without taking it.
    #[must_use]
    pub fn peek(&self, thread: &ThreadSignals, set: SignalSet) -> Option<SignalInfo> {
        let signal = thread.pending.set().union(self.pending.set()).and(set).first()?;
        let own = thread.pending.set().contains(signal);
        Some(if own { thread.pending.peek(signal) } else { self.pending.peek(signal) })
    }

    /// Takes the signal that [`peek`](Self::peek) showed; false = somebody else has.
    pub fn take(&mut self, thread: &mut ThreadSignals, shown: SignalInfo) -> bool {
        if self.peek(thread, SignalSet::of(&[shown.signal])) != Some(shown) {
            return false;
        }
        let own = thread.pending.set().contains(shown.signal);
        let _ = if own { thread.pending.take(shown.signal) } else { self.pending.take(shown.signal) };
        true
    }
}

/// The signals of one thread.
#[derive(Debug, Default)]
pub struct ThreadSignals {
    pending: Pending,
    mask: SignalSet,
    /// While it waits with another mask: the one that holds again.
    suspended: Option<SignalSet>,
    /// Blocked signals that it waits for, and takes without a handler.
    wanted: SignalSet,
    stack: AltStack,
    claimed: Option<Delivery>,
}

impl ThreadSignals {
    /// Those of a new thread that begins with a mask: its creator's.
    #[must_use]
    pub fn new(mask: SignalSet) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Those of the one thread of a copy of the process: the same mask and stack, nothing pending.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { mask: self.suspended.unwrap_or(self.mask), stack: self.stack, ..Self::default() }
    }

    /// Another program replaces this one: mask and pending signals stay, the alternate stack is gone.
    #[must_use]
    pub fn exec(self) -> Self {
        let mask = self.suspended.unwrap_or(self.mask);
        Self { pending: self.pending, mask, ..Self::default() }
    }

    /// The mask.
    #[must_use]
    pub const fn mask(&self) -> SignalSet {
        self.mask
    }

    /// Sets the mask; nothing blocks `SIGKILL` and `SIGSTOP`.
    pub const fn set_mask(&mut self, mask: SignalSet) {
        self.mask = mask.without(ABSOLUTE);
    }

    /// What it does not react to now.
    #[must_use]
    pub const fn blocked(&self) -> SignalSet {
        self.mask.without(self.wanted)
    }

    /// Whether it waits for `signal` itself.
    #[must_use]
    pub const fn wants(&self, signal: u32) -> bool {
        self.wanted.contains(signal)
    }

    /// Waits with another mask until a handler is called. Repeated by a restart, it changes nothing.
    pub const fn suspend(&mut self, mask: SignalSet) {
        if self.suspended.is_none() {
            self.suspended = Some(self.mask);
            self.set_mask(mask);
        }
    }

    /// The wait with another mask is over without a handler.
    pub const fn unsuspend(&mut self) {
        if let Some(mask) = self.suspended.take() {
            self.mask = mask;
        }
    }

    /// Waits for these, or for none any more.
    pub const fn want(&mut self, signals: SignalSet) {
        self.wanted = signals.without(ABSOLUTE);
    }

    /// Those sent to this thread.
    #[must_use]
    pub const fn pending(&self) -> SignalSet {
        self.pending.set()
    }

    /// Forgets those of `signals` that wait.
    pub fn discard(&mut self, signals: SignalSet) {
        self.pending.discard(signals);
    }

    /// The alternate stack.
    #[must_use]
    pub const fn stack(&self) -> AltStack {
        self.stack
    }

    /// Sets the alternate stack.
    pub const fn set_stack(&mut self, stack: AltStack) {
        self.stack = stack;
    }

    /// The handler to be called.
    #[must_use]
    pub const fn delivery(&self) -> Option<&Delivery> {
        self.claimed.as_ref()
    }

    /// The handler is being called: its mask holds from here on.
    pub fn entered(&mut self) {
        let Some(delivery) = self.claimed.take() else { return };
        let mut mask = self.mask.union(delivery.action.mask);
        if !delivery.has(ActionFlags::NODEFER) {
            mask = mask.union(SignalSet::of(&[delivery.info.signal]));
        }
        self.set_mask(mask);
    }

    /// A signal of an instruction of this thread itself. False = it is blocked or has no handler: the process ends.
    #[must_use]
    pub fn fault(&mut self, process: &ProcessSignals, info: SignalInfo) -> bool {
        if !process.handles(info.signal) || self.mask.contains(info.signal) {
            return false;
        }
        // One of the same kind that somebody sent must not hide where this one happened.
        self.pending.discard(SignalSet::of(&[info.signal]));
        self.pending.add(info).is_ok()
    }
}

const _: () = assert!(SIGRTMAX == 64, "sets have 64 bits");

#[cfg(test)]
mod tests;
