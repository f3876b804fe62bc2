//! Threads: what the kernel keeps of each.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use swos_abi::Call;
use swos_futex::WaitId;
use swos_sched::{Entity, Weight};
use swos_sync::Lock;
use swos_timers::TimerId;
use swos_units::Instant;

use crate::{Machine, process::Process, ranks};

/// A thread of a process: its registers, and what the kernel needs to run it.
pub struct Thread<M: Machine> {
    /// Unique in the system, never used again.
    pub(crate) tid: u32,
    /// The process that it runs in.
    pub(crate) process: Arc<Process<M>>,
    context: M::Context,
    pub(crate) state: Lock<State>,
    /// How far its current call is. Touched by its own CPU only.
    pub(crate) progress: Lock<Progress>,
}

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
    /// Restarts a call.
    Call(Call),
}

/// What a restarted call knows of its earlier tries.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// What its thread is registered for.
    pub(crate) waits: Vec<WaitId>,
    /// When its time-out comes.
    pub(crate) deadline: Option<Instant>,
    /// Bytes or items done.
    pub(crate) done: u64,
    /// Everything that it last registered for has happened.
    pub(crate) fired: bool,
}

impl Progress {
    /// Forgets all for the next call, but keeps the memory of the list.
    pub(crate) fn reset(&mut self) {
        debug_assert!(self.waits.is_empty(), "registrations are taken back before the call is over");
        self.deadline = None;
        self.done = 0;
        self.fired = false;
    }
}

impl<M: Machine> Thread<M> {
    pub(crate) fn new(tid: u32, process: Arc<Process<M>>, context: M::Context, cpu: usize) -> Arc<Self> {
        Arc::new(Self {
            tid,
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
                    since: Instant::ZERO,
                },
            ),
            progress: Lock::new(ranks::THREAD_PRIVATE, Progress::default()),
        })
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
