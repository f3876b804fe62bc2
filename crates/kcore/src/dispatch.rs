//! Traps in, threads out: scheduling on each CPU.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use swos_abi::{Call, Errno, result_to_raw};
use swos_sched::{Enter, Load, place};
use swos_sync::{CpuToken, Lock, LockGuard};
use swos_timers::TimerQueue;
use swos_units::{Duration, Instant};

use crate::{
    Kernel, Machine,
    fault::Resolution,
    ranks,
    thread::{Pending, Phase, State, Thread},
    wait::Stop,
};

/// What the trap entry does after a call or a fault.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trap {
    /// Return to the thread with this value in x0.
    Return(i64),
    /// Return to the thread with its registers as they are.
    Resume,
    /// The thread left the CPU; call [`Kernel::dispatch`].
    Reschedule,
}

/// What a CPU does next.
#[must_use]
pub enum Dispatch<M: Machine> {
    /// Run this thread, with this value in x0 if there is one.
    Run {
        /// Its registers are the caller's until the next trap from it.
        thread: Arc<Thread<M>>,
        /// What its call returned while it was away.
        result: Option<i64>,
    },
    /// Let interrupts in, then call again: long work goes on in slices.
    Again,
    /// Nothing to do: wait for an interrupt.
    Idle,
}

impl<M: Machine> core::fmt::Debug for Dispatch<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Run { thread, result } => {
                f.debug_struct("Run").field("thread", thread).field("result", result).finish()
            }
            Self::Again => f.write_str("Again"),
            Self::Idle => f.write_str("Idle"),
        }
    }
}

/// What a device or another CPU signalled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The calling CPU's deadline has come.
    Timer,
    /// Another CPU has work for this one.
    Kick,
    /// The disk completed requests.
    Block,
    /// Frames came in or went out.
    Net,
    /// The console has input.
    Console,
}

/// What became of a thread that was to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stopped {
    /// It left the CPU.
    Waits,
    /// It was woken meanwhile, and goes on.
    Woken,
    /// Its time-out could not be set: it must not wait for ever instead.
    NoMemory,
}

/// One CPU's own state, reached with its token only.
pub(crate) struct Own<M: Machine> {
    /// The thread that runs.
    pub(crate) current: Option<Arc<Thread<M>>>,
    /// The process whose address space is selected: the current thread's, or the last one's while idle.
    pub(crate) space: Option<Arc<crate::process::Process<M>>>,
}

/// One CPU as the others see it.
pub(crate) struct Shared<M: Machine> {
    pub(crate) queue: Lock<swos_sched::RunQueue<Arc<Thread<M>>>>,
    pub(crate) timers: Lock<TimerQueue<Arc<Thread<M>>>>,
    pub(crate) flags: crate::Flags,
}

impl<M: Machine> Shared<M> {
    pub(crate) fn new(cpu: usize) -> Self {
        let id = u32::try_from(cpu).unwrap_or(u32::MAX);
        Self {
            queue: Lock::new(ranks::RUN_QUEUE, swos_sched::RunQueue::new(id)),
            timers: Lock::new(ranks::TIMERS, TimerQueue::new()),
            flags: crate::Flags::default(),
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// The answer of a call that needs nothing but the thread that makes it; `None` = not such a call. A trap entry may
    /// ask this first and save its registers only then.
    #[inline]
    pub fn quick_call(&self, cpu: &CpuToken, number: u64) -> Option<i64> {
        let thread = self.own.get(cpu).current.as_ref()?;
        (number == swos_abi::NR_GETPID).then(|| i64::from(thread.process.pid))
    }

    /// A system call of the thread that runs on this CPU.
    #[inline]
    pub fn syscall(&self, cpu: &mut CpuToken, number: u64, arguments: [u64; 6]) -> Trap {
        let Some(thread) = self.own.get(cpu).current.clone() else { return Trap::Reschedule };
        self.call(cpu, &thread, number, arguments)
    }

    #[inline(never)]
    fn call(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>, number: u64, arguments: [u64; 6]) -> Trap {
        self.shared(cpu.index()).flags.calls.fetch_add(1, Ordering::Relaxed);
        let call = match Call::decode(number, arguments) {
            Ok(call) => call,
            Err(errno) => return Trap::Return(result_to_raw(Err(errno))),
        };
        if call == (Call::Yield {}) {
            return self.yield_now(cpu, thread);
        }
        match self.attempt(cpu, thread, call) {
            Some(raw) if self.must_reschedule(cpu) => {
                thread.state.lock().pending = Pending::Result(raw);
                self.put_back(cpu, Enter::Preempted);
                Trap::Reschedule
            }
            Some(raw) => Trap::Return(raw),
            None => Trap::Reschedule,
        }
    }

    /// Performs a call until it ends or waits. `None` = the thread left the CPU.
    fn attempt(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>, call: Call) -> Option<i64> {
        loop {
            thread.state.lock().woken = false;
            let result =
                if thread.process.is_ending() { Err(Stop::Exit) } else { self.perform(cpu, thread, call) };
            let waits = match result {
                Ok(value) => return Some(self.complete(thread, Ok(value))),
                Err(Stop::Errno(errno)) => return Some(self.complete(thread, Err(errno))),
                Err(Stop::Exit) => {
                    self.end_thread(cpu, thread);
                    return None;
                }
                Err(Stop::Again) => {
                    thread.state.lock().pending = Pending::Call(call);
                    self.put_back(cpu, Enter::Preempted);
                    self.shared(cpu.index()).flags.breathe.store(true, Ordering::Relaxed);
                    return None;
                }
                Err(Stop::Fault(access)) => match self.resolve(thread, access) {
                    Resolution::Mapped => false,
                    Resolution::Wait => true,
                    Resolution::Refused(_) => return Some(self.complete(thread, Err(Errno::FAULT))),
                },
                Err(Stop::Wait) => true,
            };
            if waits {
                match self.stop(cpu, thread, Pending::Call(call)) {
                    Stopped::Waits => return None,
                    Stopped::Woken => {}
                    Stopped::NoMemory => return Some(self.complete(thread, Err(Errno::NOMEM))),
                }
            }
            self.unregister(thread);
        }
    }

    /// The call is over: forget what it kept between its tries.
    fn complete(&self, thread: &Thread<M>, result: Result<u64, Errno>) -> i64 {
        self.unregister(thread);
        thread.progress.lock().reset();
        result_to_raw(result)
    }

    /// Takes the thread off the CPU to wait.
    pub(crate) fn stop(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>, pending: Pending) -> Stopped {
        let deadline = thread.progress.lock().deadline;
        let mut state = thread.state.lock();
        if state.woken || thread.process.is_ending() {
            state.woken = false;
            return Stopped::Woken;
        }
        if let Some(at) = deadline {
            let armed = self.shared(cpu.index()).timers.lock().arm(at, thread.clone());
            let Ok(id) = armed else { return Stopped::NoMemory };
            state.timer = Some((cpu.index(), id));
        }
        state.phase = Phase::Waiting;
        state.pending = pending;
        self.charge(cpu, &mut state, thread);
        drop(state);
        self.own.get_mut(cpu).current = None;
        Stopped::Waits
    }

    /// Puts the running thread back into the run queue.
    pub(crate) fn put_back(&self, cpu: &mut CpuToken, why: Enter) {
        let Some(thread) = self.own.get_mut(cpu).current.take() else { return };
        let mut state = thread.state.lock();
        self.charge(cpu, &mut state, &thread);
        state.phase = Phase::Ready;
        let shared = self.shared(cpu.index());
        let mut queue = shared.queue.lock();
        queue.enqueue(&mut state.entity, thread.clone(), why);
        shared.flags.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Accounts for the time since the thread got the CPU.
    fn charge(&self, cpu: &CpuToken, state: &mut State, thread: &Thread<M>) {
        let now = self.machine.now();
        let ran = now.since(state.since);
        state.since = now;
        self.shared(cpu.index()).queue.lock().charge(&mut state.entity, ran);
        thread.process.cpu_ns.fetch_add(ran.as_nanos(), Ordering::Relaxed);
    }

    /// Enters a ready thread into the run queue of the CPU that suits it, and tells that CPU. Releases the thread first:
    /// the interrupt may take long to send, and the other CPU wants the thread.
    pub(crate) fn enqueue(&self, thread: &Arc<Thread<M>>, mut state: LockGuard<'_, State>, why: Enter) {
        if let Some((cpu, timer)) = state.timer.take() {
            // The timer queue is below the thread's state; one that fired is no longer there.
            self.shared(cpu).timers.lock().cancel(timer);
        }
        let target = place(state.cpu, self.cpus.len(), |cpu| self.load_of(cpu)).unwrap_or(0);
        state.cpu = target;
        let shared = self.shared(target);
        {
            let mut queue = shared.queue.lock();
            queue.enqueue(&mut state.entity, thread.clone(), why);
            shared.flags.queued.fetch_add(1, Ordering::Relaxed);
        }
        // A CPU says that it is idle before it looks at this flag, so either it sees the flag or the kick reaches it.
        shared.flags.reschedule.store(true, Ordering::SeqCst);
        drop(state);
        if target != self.machine.cpu_index() || shared.flags.idle.load(Ordering::SeqCst) {
            self.machine.kick(target);
        }
    }

    fn load_of(&self, cpu: usize) -> Load {
        let flags = &self.shared(cpu).flags;
        if !flags.online.load(Ordering::Relaxed) {
            Load::Closed
        } else if flags.idle.load(Ordering::Relaxed) && !flags.reschedule.load(Ordering::Relaxed) {
            Load::Idle
        } else {
            // Those that wait, and the one that runs.
            Load::Busy(flags.queued.load(Ordering::Relaxed) + 1)
        }
    }

    /// An interrupt on this CPU.
    pub fn interrupt(&self, cpu: &mut CpuToken, event: Event) -> Trap {
        match event {
            Event::Timer => self.on_timer(cpu),
            Event::Kick => self.on_kick(cpu),
            Event::Block => self.on_block(),
            Event::Net => self.on_net(cpu.index()),
            Event::Console => self.on_console(),
        }
        let Some(thread) = self.own.get(cpu).current.clone() else { return Trap::Reschedule };
        if thread.process.is_ending() {
            self.end_thread(cpu, &thread);
            return Trap::Reschedule;
        }
        if self.must_reschedule(cpu) {
            self.put_back(cpu, Enter::Preempted);
            return Trap::Reschedule;
        }
        self.set_timer(cpu);
        Trap::Resume
    }

    fn on_timer(&self, cpu: &CpuToken) {
        let now = self.machine.now();
        self.shared(cpu.index()).flags.armed.store(u64::MAX, Ordering::Relaxed);
        loop {
            let Some(thread) = self.shared(cpu.index()).timers.lock().expire(now) else { break };
            self.make_ready(&thread);
        }
        self.net_timer(cpu.index(), now);
    }

    /// Whether the running thread must make room: its slice ended, or a thread is due that runs before it.
    fn must_reschedule(&self, cpu: &CpuToken) -> bool {
        let flags = &self.shared(cpu.index()).flags;
        let arrived = flags.reschedule.swap(false, Ordering::Relaxed);
        let over = self.slice_over(cpu);
        if !arrived && !over {
            return false;
        }
        let Some(thread) = &self.own.get(cpu).current else { return true };
        let mut state = thread.state.lock();
        self.charge(cpu, &mut state, thread);
        let preempted = {
            let queue = self.shared(cpu.index()).queue.lock();
            queue.preempts(&state.entity) || (over && !queue.is_empty())
        };
        drop(state);
        if !preempted {
            self.start_slice(cpu, thread);
        }
        preempted
    }

    /// Runs what this CPU has to do until there is a thread to run, or nothing.
    pub fn dispatch(&self, cpu: &mut CpuToken) -> Dispatch<M> {
        self.not_idle(cpu);
        let breathe = self.shared(cpu.index()).flags.breathe.swap(false, Ordering::Relaxed);
        if breathe || self.background(cpu) {
            return Dispatch::Again;
        }
        let Some(thread) = self.next_thread(cpu) else {
            return self.go_idle(cpu);
        };
        let pending = {
            let mut state = thread.state.lock();
            state.phase = Phase::Running { cpu: cpu.index() };
            state.cpu = cpu.index();
            state.since = self.machine.now();
            core::mem::replace(&mut state.pending, Pending::Nothing)
        };
        self.own.get_mut(cpu).current = Some(thread.clone());
        if thread.process.is_ending() {
            self.end_thread(cpu, &thread);
            // It may have left work behind, which comes before the next thread: that one might never pass here again.
            return Dispatch::Again;
        }
        self.select_space(cpu, &thread.process);
        self.unregister(&thread);
        let result = match pending {
            Pending::Nothing => None,
            Pending::Result(raw) => Some(raw),
            Pending::Call(call) => match self.attempt(cpu, &thread, call) {
                Some(raw) => Some(raw),
                None => return Dispatch::Again,
            },
        };
        self.start_slice(cpu, &thread);
        Dispatch::Run { thread, result }
    }

    fn next_thread(&self, cpu: &CpuToken) -> Option<Arc<Thread<M>>> {
        let shared = self.shared(cpu.index());
        shared.flags.reschedule.store(false, Ordering::SeqCst);
        let picked = {
            let mut queue = shared.queue.lock();
            let picked = queue.pick();
            shared.flags.queued.fetch_sub(usize::from(picked.is_some()), Ordering::Relaxed);
            picked
        };
        picked.or_else(|| self.steal(cpu.index()))
    }

    /// Takes a thread from the CPU that has most waiting.
    fn steal(&self, cpu: usize) -> Option<Arc<Thread<M>>> {
        let mut best = None;
        for other in (0..self.cpus.len()).filter(|&other| other != cpu) {
            let waiting = self.shared(other).flags.queued.load(Ordering::Relaxed);
            if waiting > best.map_or(0, |(_, most)| most) {
                best = Some((other, waiting));
            }
        }
        let (victim, _) = best?;
        let stolen = {
            let mut queue = self.shared(victim).queue.lock();
            let stolen = queue.steal(|_| true)?;
            self.shared(victim).flags.queued.fetch_sub(1, Ordering::Relaxed);
            stolen
        };
        let thread = stolen.item().clone();
        // Through our own queue, which places it among ours; the locks of the two queues are never held together.
        let mut state = thread.state.lock();
        let mut queue = self.shared(cpu).queue.lock();
        queue.enqueue_stolen(&mut state.entity, stolen);
        queue.pick()
    }

    fn go_idle(&self, cpu: &mut CpuToken) -> Dispatch<M> {
        let flags = &self.shared(cpu.index()).flags;
        flags.idle.store(true, Ordering::SeqCst);
        if flags.reschedule.load(Ordering::SeqCst) || !self.teardown.lock().is_empty() {
            return Dispatch::Again;
        }
        self.leave_dead_space(cpu);
        flags.idle_since.store(self.machine.now().as_nanos(), Ordering::Relaxed);
        self.set_timer(cpu);
        Dispatch::Idle
    }

    fn not_idle(&self, cpu: &mut CpuToken) {
        let flags = &self.shared(cpu.index()).flags;
        flags.online.store(true, Ordering::Relaxed);
        flags.idle.store(false, Ordering::SeqCst);
        let since = flags.idle_since.swap(0, Ordering::Relaxed);
        if since != 0 {
            flags.idle_ns.fetch_add(self.machine.now().as_nanos().saturating_sub(since), Ordering::Relaxed);
        }
    }

    fn start_slice(&self, cpu: &CpuToken, thread: &Thread<M>) {
        let slice = {
            let state = thread.state.lock();
            self.shared(cpu.index()).queue.lock().slice(&state.entity)
        };
        let end = slice.map_or(Instant::FAR_FUTURE, |slice: Duration| self.machine.now() + slice);
        self.shared(cpu.index()).flags.slice_end.store(end.as_nanos(), Ordering::Relaxed);
        self.set_timer(cpu);
    }

    fn slice_over(&self, cpu: &CpuToken) -> bool {
        let end = self.shared(cpu.index()).flags.slice_end.load(Ordering::Relaxed);
        end != u64::MAX && end <= self.machine.now().as_nanos()
    }

    /// Sets this CPU's timer to the first of: end of the slice, a thread's time-out, the network's deadline.
    pub(crate) fn set_timer(&self, cpu: &CpuToken) {
        let shared = self.shared(cpu.index());
        let idle = shared.flags.idle.load(Ordering::Relaxed);
        let slice = if idle { u64::MAX } else { shared.flags.slice_end.load(Ordering::Relaxed) };
        let timeout = shared.timers.lock().deadline().map_or(u64::MAX, Instant::as_nanos);
        let at = slice.min(timeout).min(self.net_deadline(cpu.index()));
        shared.flags.armed.store(at, Ordering::Relaxed);
        self.machine.set_deadline((at != u64::MAX).then(|| Instant::from_nanos(at)));
    }

    /// Sets the timer of `cpu`, which is the calling one, to `at` if that comes first.
    pub(crate) fn set_timer_by(&self, cpu: usize, at: u64) {
        let armed = &self.shared(cpu).flags.armed;
        if at < armed.load(Ordering::Relaxed) {
            armed.store(at, Ordering::Relaxed);
            self.machine.set_deadline(Some(Instant::from_nanos(at)));
        }
    }

    /// Lets the other ready threads of this CPU run first.
    fn yield_now(&self, cpu: &mut CpuToken, thread: &Thread<M>) -> Trap {
        if self.shared(cpu.index()).queue.lock().is_empty() {
            return Trap::Return(0);
        }
        thread.state.lock().pending = Pending::Result(0);
        self.put_back(cpu, Enter::Yielded);
        Trap::Reschedule
    }
}
