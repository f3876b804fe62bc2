//! Threads: what the kernel keeps of each.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use swos_abi::{Call, Errno, SignalSet, THREAD_NAME_LEN, TraceRecord};
use swos_futex::WaitId;
use swos_handles::Lease;
use swos_sched::{Entity, Weight};
use swos_signals::ThreadSignals;
use swos_sync::{Lock, LockGuard};
use swos_timers::TimerId;
use swos_units::Instant;

use crate::{
    Machine,
    calls::{Climbing, Passed, Which},
    endpoint::Ipc,
    pipe::PipeEnd,
    process::Process,
    ranks,
    unborn::Unborn,
};

/// A thread of a process: its registers, and what the kernel needs to run it.
///
/// In this order in memory: what each switch touches comes first, close enough for instructions that load and store two words, and the
/// registers last.
#[repr(C)]
pub struct Thread<M: Machine> {
    /// The process that it runs in.
    pub(crate) process: Arc<Process<M>>,
    /// Unique in the system, never used again.
    pub(crate) tid: u32,
    /// Its process's id, for who needs nothing else; 0 if a tracer wants to hear of that.
    pub(crate) quick_pid: u32,
    pub(crate) state: Lock<State>,
    /// It looks at its signals before it next goes on at EL0. Whoever sets it sees to it that the thread passes by.
    attention: AtomicBool,
    /// How far its current call is. Touched by its own CPU only.
    pub(crate) progress: Kept<M>,
    /// What it blocks, for those who look for a thread that takes a signal.
    blocked: AtomicU64,
    /// What it is called, padded with zeros.
    pub(crate) name: Lock<ThreadName>,
    pub(crate) signals: Lock<ThreadSignals>,
    context: M::Context,
}

/// A thread's name.
pub(crate) type ThreadName = [u8; THREAD_NAME_LEN];

/// What the scheduler knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// A wake-up came while it was not waiting.
    pub(crate) woken: bool,
    pub(crate) entity: Entity,
    /// CPU on which it ran last.
    pub(crate) cpu: usize,
    /// What to do when it next gets a CPU, before it returns to EL0.
    pub(crate) pending: Pending,
    /// Ends its wait.
    pub(crate) timer: Option<(usize, TimerId)>,
    /// CPU time that it has used, in nanoseconds, up to `since`.
    pub(crate) cpu_ns: u64,
    /// When it got its CPU, or was last charged for it.
    pub(crate) since: Instant,
}

/// Where a thread is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// In a run queue.
    Ready,
    /// On a CPU.
    Running { cpu: usize },
    /// Registered for an event, or with a timer.
    Waiting,
    /// It will not run again.
    Ended,
}

/// What a thread does first when it gets a CPU.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pending {
    /// Goes on at EL0 with its registers as they are.
    Nothing,
    /// Goes on at EL0 with a result in x0.
    Result(i64),
    /// Makes its call again, after a handler: x0 is untouched, the instruction is the one before.
    Again,
    /// Restarts a call.
    Call(Call),
}

/// The same for a thread that has no call to restart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Done {
    /// As [`Pending::Nothing`].
    Nothing,
    /// As [`Pending::Result`].
    Result(i64),
    /// As [`Pending::Again`].
    Again,
}

impl From<Done> for Pending {
    fn from(done: Done) -> Self {
        match done {
            Done::Nothing => Self::Nothing,
            Done::Result(raw) => Self::Result(raw),
            Done::Again => Self::Again,
        }
    }
}

/// What a restarted call knows of its earlier tries.
#[derive(Debug)]
pub(crate) struct Progress<M: Machine> {
    /// What its thread is registered for.
    pub(crate) waits: Vec<WaitId>,
    /// When its time-out comes.
    pub(crate) deadline: Option<Instant>,
    /// Bytes or items done.
    pub(crate) done: u64,
    /// Of the items done, how many were what was looked for.
    pub(crate) found: u64,
    /// Bytes done in earlier pieces of memory, of a call that takes many.
    pub(crate) earlier: u64,
    /// The last of the waiters that it passes over.
    pub(crate) behind: Option<WaitId>,
    /// Everything that it last registered for has happened.
    pub(crate) fired: bool,
    /// Where it is in a call on an endpoint.
    pub(crate) ipc: Option<Ipc<M>>,
    /// The end of a pipe at which it waits in a read.
    pub(crate) reading: Option<Arc<PipeEnd<M>>>,
    /// What it is making.
    pub(crate) unborn: Option<Unborn<M>>,
    /// It waits for the disk or the end of a copy, which come soon: signals don't interrupt that.
    pub(crate) brief: bool,
    /// The loans by which this try has its objects: their end is the end of its wait.
    pub(crate) leases: Vec<Lease>,
    /// What will be told of the call, if its process is traced.
    pub(crate) traced: Option<TraceRecord>,
    /// How far the resolution of its paths is, if that takes slices.
    passed: [Option<Passed>; 2],
    /// How far it is with ways up in the tree, if those take slices.
    climbing: Option<Box<Climbing>>,
    /// What the next slice finds of what its thread registered for.
    registered: Registered,
}

/// Whether the next slice of a call goes on with what its thread is registered for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Registered {
    /// It registers anew.
    #[default]
    TakenBack,
    /// It goes on.
    Stays,
}

impl<M: Machine> Progress<M> {
    /// Whether the next slice goes on with the registrations.
    #[inline]
    pub(crate) fn stays_registered(&self) -> bool {
        self.registered == Registered::Stays
    }

    /// Forgets all for the next call, if there is nothing in it but when and how far; false = there is, and nothing was done. The
    /// registrations are taken back before.
    #[inline]
    pub(crate) fn forget_plain(&mut self) -> bool {
        debug_assert!(self.waits.is_empty(), "registrations are taken back before the call is over");
        let plain = self.ipc.is_none()
            && self.reading.is_none()
            && self.unborn.is_none()
            && self.traced.is_none()
            && self.leases.is_empty()
            && matches!(self.passed, [None, None]);
        if plain {
            self.deadline = None;
            (self.done, self.found, self.earlier, self.behind) = (0, 0, 0, None);
            (self.fired, self.brief, self.registered) = (false, false, Registered::TakenBack);
        }
        plain
    }

    /// The call goes on to use what it has by `lease`.
    #[cold]
    pub(crate) fn uses(&mut self, lease: &Lease) -> Result<(), Errno> {
        if self.leases.last().is_none_or(|last| last.id() != lease.id()) {
            self.leases.try_reserve(1).map_err(|_| Errno::NOMEM)?;
            self.leases.push(lease.clone());
        }
        Ok(())
    }
}

/// The progress of a thread's call, most of which end at once and leave none.
#[derive(Debug)]
pub(crate) struct Kept<M: Machine> {
    progress: Lock<Progress<M>>,
    /// The call may have left something. Written and read by the thread's own CPU only.
    used: AtomicBool,
    /// The call is counted in [`Inner::changing`](crate::space::Inner::changing).
    pub(crate) changing: AtomicBool,
    /// Not counted: the call has the space for itself.
    pub(crate) alone: AtomicBool,
}

impl<M: Machine> Kept<M> {
    fn new() -> Self {
        let progress = Progress {
            waits: Vec::new(),
            deadline: None,
            done: 0,
            found: 0,
            earlier: 0,
            behind: None,
            fired: false,
            brief: false,
            ipc: None,
            reading: None,
            unborn: None,
            leases: Vec::new(),
            traced: None,
            passed: [None, None],
            climbing: None,
            registered: Registered::TakenBack,
        };
        Self {
            progress: Lock::new(ranks::THREAD_PRIVATE, progress),
            used: AtomicBool::new(false),
            changing: AtomicBool::new(false),
            alone: AtomicBool::new(false),
        }
    }

    /// The progress, to note something in it.
    pub(crate) fn lock(&self) -> LockGuard<'_, Progress<M>> {
        self.used.store(true, Ordering::Relaxed);
        self.progress.lock()
    }

    /// There is nothing in it any more.
    #[inline]
    pub(crate) fn set_unused(&self) {
        self.used.store(false, Ordering::Relaxed);
    }

    /// Whether there may be anything in it.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes or items that earlier tries have done.
    #[inline]
    pub(crate) fn done(&self) -> u64 {
        if self.is_used() { self.progress.lock().done } else { 0 }
    }

    /// Bytes that earlier tries have done in earlier pieces of memory.
    pub(crate) fn earlier(&self) -> u64 {
        if self.is_used() { self.progress.lock().earlier } else { 0 }
    }

    /// Items that earlier tries have done, and how many of them were what was looked for.
    pub(crate) fn done_and_found(&self) -> (u64, u64) {
        if !self.is_used() {
            return (0, 0);
        }
        let progress = self.progress.lock();
        (progress.done, progress.found)
    }

    /// Keeps how far a slice came.
    pub(crate) fn note(&self, done: u64, found: u64, registered: Registered) {
        let mut progress = self.lock();
        (progress.done, progress.found, progress.registered) = (done, found, registered);
    }

    /// How far earlier tries are with one of the call's paths.
    #[inline]
    pub(crate) fn passed(&self, which: Which) -> Option<Passed> {
        if self.is_used() { self.progress.lock().passed[which as usize].clone() } else { None }
    }

    /// Keeps how far this try is with one of the call's paths.
    pub(crate) fn pass(&self, which: Which, passed: Passed) {
        self.lock().passed[which as usize] = Some(passed);
    }

    /// How far earlier tries are with ways up in the tree.
    pub(crate) fn climbing(&self) -> Option<Climbing> {
        if self.is_used() { self.progress.lock().climbing.as_deref().cloned() } else { None }
    }

    /// Keeps how far this try is with one of them.
    pub(crate) fn climb(&self, note: impl FnOnce(&mut Climbing)) {
        note(self.lock().climbing.get_or_insert_default());
    }

    /// Whether all that an earlier try waited for has happened.
    #[inline]
    pub(crate) fn fired(&self) -> bool {
        self.is_used() && self.progress.lock().fired
    }

    /// What is to be told of the call, once.
    pub(crate) fn take_traced(&self) -> Option<TraceRecord> {
        if self.is_used() { self.progress.lock().traced.take() } else { None }
    }

    /// The loan by which the call has the first of its objects that it has by one.
    pub(crate) fn lease(&self) -> Option<Lease> {
        if self.is_used() { self.progress.lock().leases.first().cloned() } else { None }
    }

    /// Whether the thread may wait without a time-out, and without loans whose end would be that of its wait.
    #[inline]
    pub(crate) fn waits_plainly(&self) -> bool {
        if !self.is_used() {
            return true;
        }
        let progress = self.progress.lock();
        progress.deadline.is_none() && progress.leases.is_empty()
    }

    /// When the call's time-out comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_used() { self.progress.lock().deadline } else { None }
    }

    /// Takes out where it is in a call on an endpoint.
    #[inline]
    pub(crate) fn take_ipc(&self) -> Option<Ipc<M>> {
        if self.is_used() { self.progress.lock().ipc.take() } else { None }
    }

    /// Takes out at which end of a pipe it waited in a read.
    #[inline]
    pub(crate) fn take_reading(&self) -> Option<Arc<PipeEnd<M>>> {
        if self.is_used() { self.progress.lock().reading.take() } else { None }
    }

    /// Takes out what it was making.
    pub(crate) fn take_unborn(&self) -> Option<Unborn<M>> {
        if self.is_used() { self.progress.lock().unborn.take() } else { None }
    }

    /// Forgets all for the next call, but keeps the memory of the list. Returns what is to be left properly. Where the thread waits has
    /// forgotten it before.
    pub(crate) fn reset(&self) -> Option<Unborn<M>> {
        let mut progress = self.progress.lock();
        debug_assert!(progress.waits.is_empty(), "registrations are taken back before the call is over");
        progress.deadline = None;
        progress.done = 0;
        progress.found = 0;
        progress.earlier = 0;
        progress.behind = None;
        progress.fired = false;
        progress.brief = false;
        progress.leases.clear();
        progress.passed = [None, None];
        progress.climbing = None;
        progress.registered = Registered::TakenBack;
        self.used.store(false, Ordering::Relaxed);
        debug_assert!(progress.ipc.is_none() && progress.reading.is_none(), "left before the call is over");
        progress.unborn.take()
    }
}

impl<M: Machine> Thread<M> {
    pub(crate) fn new(
        tid: u32,
        process: Arc<Process<M>>,
        context: M::Context,
        cpu: usize,
        signals: ThreadSignals,
    ) -> Arc<Self> {
        let quick_pid = if process.is_watched() { 0 } else { process.pid };
        Arc::new(Self {
            tid,
            quick_pid,
            process,
            context,
            state: Lock::new(
                ranks::THREAD,
                State {
                    phase: Phase::Waiting,
                    woken: false,
                    entity: Entity::new(Weight::NORMAL),
                    cpu,
                    pending: Pending::Nothing,
                    timer: None,
                    cpu_ns: 0,
                    since: Instant::ZERO,
                },
            ),
            progress: Kept::new(),
            name: Lock::new(ranks::THREAD_PRIVATE, [0; THREAD_NAME_LEN]),
            attention: AtomicBool::new(false),
            blocked: AtomicU64::new(signals.blocked().0),
            signals: Lock::new(ranks::THREAD_SIGNALS, signals),
        })
    }

    /// Whether it has signals to look at.
    #[inline]
    pub(crate) fn has_attention(&self) -> bool {
        self.attention.load(Ordering::Relaxed)
    }

    pub(crate) fn set_attention(&self, attention: bool) {
        self.attention.store(attention, Ordering::SeqCst);
    }

    /// What it blocks now.
    pub(crate) fn blocked(&self) -> SignalSet {
        SignalSet(self.blocked.load(Ordering::Relaxed))
    }

    /// Lets others see what it blocks. Called with its signals locked, after they changed.
    pub(crate) fn note_blocked(&self, signals: &ThreadSignals) {
        self.blocked.store(signals.blocked().0, Ordering::Relaxed);
    }

    /// Its registers. The CPU that dispatched it may use them, until it passes the thread back to the kernel.
    #[must_use]
    pub const fn context(&self) -> &M::Context {
        &self.context
    }

    /// Its id.
    #[must_use]
    pub const fn tid(&self) -> u32 {
        self.tid
    }

    /// Id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid
    }
}

impl<M: Machine> fmt::Debug for Thread<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("tid", &self.tid)
            .field("pid", &self.process.pid)
            .finish_non_exhaustive()
    }
}
