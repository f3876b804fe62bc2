//! Traps in, threads out: scheduling on each CPU.

use alloc::sync::Arc;
use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use swos_abi::{Call, Errno, result_to_raw};
use swos_sched::Enter;
use swos_sync::{CpuToken, Lock};
use swos_timers::TimerQueue;
use swos_units::{Duration, Instant};

use crate::{
    Kernel, Machine,
    counter::Due,
    fault::{Refusal, Resolution},
    ranks,
    signals::Interrupted,
    thread::{Done, Pending, Phase, State, Thread},
    wait::{CallResult, Stop, Until, Why},
};

/// Time-outs handled in one interrupt. A timer counts for more, the more sets hear of it.
const TIME_OUTS_PER_SLICE: usize = 32;
/// Sets that hear of a timer at the price of a time-out.
const SETS_PER_TIME_OUT: usize = 2;
/// Pages that a call without progress gets before interrupts have their turn. With the next page it does again what it did.
const FAULTS_PER_TRY: u32 = 2;

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
    /// The thread that runs next, if that is known: it is in no run queue any more.
    pub(crate) next: Option<Next<M>>,
    /// Who is woken by the running thread's call, which is about to wait: it gets this CPU then. It still waits, and is woken as any other
    /// if nothing comes of that.
    pub(crate) handed: Cell<Option<Arc<Thread<M>>>>,
    /// When a thread left, until the next one has come; `None` = it is not known.
    pub(crate) left_at: Option<Instant>,
}

/// A thread to run, and for how long; `None` = nobody else waits.
pub(crate) type Next<M> = (Arc<Thread<M>>, Option<Duration>);

/// One CPU as the others see it, on cache lines of its own.
#[repr(align(128))]
pub(crate) struct Shared<M: Machine> {
    pub(crate) queue: Lock<swos_sched::RunQueue<Arc<Thread<M>>>>,
    pub(crate) timers: Lock<TimerQueue<Due<M>>>,
    pub(crate) flags: crate::Flags,
}

impl<M: Machine> Shared<M> {
    pub(crate) fn new(cpu: usize) -> Self {
        let id = u32::try_from(cpu).unwrap_or(u32::MAX);
        Self {
            queue: Lock::new(ranks::RUN_QUEUE, swos_sched::RunQueue::new(id)),
            timers: Lock::new(ranks::TIMERS, TimerQueue::new()),
            flags: crate::Flags {
                // Until it first calls `dispatch`.
                idle: AtomicBool::new(true),
                charged_at: AtomicU64::new(u64::MAX),
                slice_end: AtomicU64::new(u64::MAX),
                armed: AtomicU64::new(u64::MAX),
                ..crate::Flags::default()
            },
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// The answer of a call that needs nothing but the thread that makes it; `None` = not such a call. A trap entry may
    /// ask this first and save its registers only then.
    #[inline]
    pub fn quick_call(&self, cpu: &CpuToken, number: u64) -> Option<i64> {
        if number != swos_abi::NR_GETPID {
            return None;
        }
        let thread = self.own.get(cpu).current.as_ref()?;
        // 0 where a tracer wants to hear of it.
        (thread.quick_pid != 0).then(|| i64::from(thread.quick_pid))
    }

    /// A system call of the thread that runs on this CPU. `again` tells the number and the arguments once more, of a call that does not end
    /// at once: those that do need not keep them.
    #[inline]
    pub fn syscall(
        &self,
        cpu: &mut CpuToken,
        number: u64,
        arguments: [u64; 6],
        again: impl FnOnce() -> (u64, [u64; 6]),
    ) -> Trap {
        let Some(thread) = &self.own.get(cpu).current else { return Trap::Reschedule };
        let flags = &self.shared(cpu.index()).flags;
        // Only this CPU counts here.
        flags.calls.store(flags.calls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        flags.woken.store(0, Ordering::Relaxed);
        let result = if thread.process.is_watched() {
            let [a, b, c, d, e, f] = arguments;
            self.watched_try(cpu, thread, number, a, b, c, d, e, f)
        } else {
            self.first_try(cpu, thread, number, arguments)
        };
        let raw = match result {
            Ok(value) => result_to_raw(Ok(value)),
            Err(Stop::GIVE_WAY) if !thread.progress.is_used() => {
                self.put_back(cpu, Enter::Yielded, Pending::Result(0));
                return Trap::Reschedule;
            }
            Err(stop) => match stop.raw() {
                Some(raw) => raw,
                None => {
                    let (number, arguments) = again();
                    return self.stopped(cpu, stop, number, arguments);
                }
            },
        };
        if thread.progress.is_used() {
            self.complete_raw(thread, raw);
        }
        // The end of the slice needs no look: the timer interrupts once the call is over.
        if flags.reschedule.load(Ordering::Relaxed) { self.give_way(cpu, raw) } else { Trap::Return(raw) }
    }

    /// A call did not end at once.
    #[inline(never)]
    fn stopped(&self, cpu: &mut CpuToken, stop: Stop, number: u64, arguments: [u64; 6]) -> Trap {
        if stop == Stop::GIVE_WAY {
            if let Some(thread) = self.own.get(cpu).current.clone()
                && thread.progress.is_used()
            {
                self.complete_raw(&thread, 0);
            }
            self.put_back(cpu, Enter::Yielded, Pending::Result(0));
            return Trap::Reschedule;
        }
        let decoded = Call::decode(number, arguments);
        if stop == Stop::WAIT
            && let Ok(call) = &decoded
            && self.leave_to_wait(cpu, call)
        {
            return Trap::Reschedule;
        }
        if let Some(handed) = self.own.get(cpu).handed.take() {
            self.make_ready(&handed);
        }
        let Some(thread) = self.own.get(cpu).current.clone() else { return Trap::Reschedule };
        let call = match &decoded {
            Ok(call) => call,
            // That may come before the call was looked at, and it may be none.
            Err(_) if stop == Stop::EXIT => {
                self.end_thread(cpu, &thread);
                return Trap::Reschedule;
            }
            Err(errno) => {
                let raw = self.complete(&thread, Err(*errno));
                return self.give_way(cpu, raw);
            }
        };
        match self.attempt(cpu, &thread, call, Err(stop)) {
            Some(raw) => self.give_way(cpu, raw),
            None => Trap::Reschedule,
        }
    }

    /// Takes the running thread off the CPU to wait, if that is all there is to it: nothing to look at, no end of the wait, no loan,
    /// and it was not woken meanwhile. False = nothing was done.
    #[inline]
    fn leave_to_wait(&self, cpu: &mut CpuToken, call: &Call) -> bool {
        let index = cpu.index();
        let shared = self.shared(index);
        let own = self.own.get_mut(cpu);
        let Some(thread) = own.current.take() else { return false };
        if !thread.has_attention() && thread.progress.waits_plainly() {
            let mut state = thread.state.lock();
            if !state.woken && !thread.process.is_ending() {
                state.phase = Phase::Waiting;
                state.pending = Pending::Call(*call);
                let now = self.charge(shared, &mut state, &thread);
                drop(state);
                shared.flags.set_none_running();
                own.left_at = Some(now);
                if let Some(handed) = own.handed.take() {
                    self.pass_to(index, own, handed);
                }
                return true;
            }
        }
        own.current = Some(thread);
        false
    }

    /// A call has ended: lets another thread run if it must.
    #[inline(never)]
    fn give_way(&self, cpu: &mut CpuToken, raw: i64) -> Trap {
        if !self.must_reschedule(cpu) {
            return Trap::Return(raw);
        }
        self.put_back(cpu, Enter::Preempted, Pending::Result(raw));
        Trap::Reschedule
    }

    /// Goes on with a call, of which `result` has come so far, until it ends or waits. `None` = the thread left the CPU.
    #[inline(never)]
    fn attempt(
        &self,
        cpu: &mut CpuToken,
        thread: &Arc<Thread<M>>,
        call: &Call,
        mut result: CallResult,
    ) -> Option<i64> {
        let mut faults = 0;
        loop {
            let stop = match result {
                Ok(value) => return Some(self.complete(thread, Ok(value))),
                Err(stop) => stop,
            };
            let waits = match stop.why() {
                Why::Errno(errno) => return Some(self.complete(thread, Err(errno))),
                Why::Exit => {
                    self.end_thread(cpu, thread);
                    return None;
                }
                Why::Again => {
                    self.go_on_later(cpu, call);
                    return None;
                }
                Why::GiveWay => {
                    self.put_back(cpu, Enter::Yielded, Pending::Result(0));
                    return None;
                }
                Why::Fault(access) => match self.resolve(thread, access) {
                    // Its next part would begin without a pause: with a fault on each page the call would never have one.
                    Resolution::Mapped if faults == FAULTS_PER_TRY || thread.progress.done() > 0 => {
                        self.go_on_later(cpu, call);
                        return None;
                    }
                    Resolution::Mapped => {
                        faults += 1;
                        false
                    }
                    Resolution::Later => {
                        self.go_on_later(cpu, call);
                        return None;
                    }
                    Resolution::Wait => true,
                    Resolution::Refused(_) if matches!(call, Call::SignalReturn { .. }) => {
                        self.bad_frame(thread);
                        false
                    }
                    // It looks at more of the cache then.
                    Resolution::Refused(Refusal::NoMemory) if !self.is_cache_barren() => {
                        self.go_on_later(cpu, call);
                        return None;
                    }
                    Resolution::Refused(refusal) => {
                        let errno = match refusal {
                            Refusal::Denied(_) | Refusal::NoPage => Errno::FAULT,
                            Refusal::NoMemory => Errno::NOMEM,
                        };
                        return Some(self.complete(thread, Err(errno)));
                    }
                },
                Why::Wait if thread.has_attention() => match self.interrupt_call(cpu, thread, call) {
                    Interrupted::Left => return None,
                    Interrupted::LookAgain => false,
                    Interrupted::No => true,
                },
                Why::Wait => true,
            };
            let until = match waits.then(|| self.register_leases(thread)) {
                Some(Ok(until)) => until,
                Some(Err(_)) => return Some(self.complete(thread, Err(Errno::NOMEM))),
                None => None,
            };
            if let Some(Until(deadline)) = until {
                match self.stop_until(cpu, thread, Pending::Call(*call), deadline) {
                    Stopped::Waits => return None,
                    Stopped::Woken => {}
                    Stopped::NoMemory => {
                        Self::stop_wanting(thread);
                        return Some(self.complete(thread, Err(Errno::NOMEM)));
                    }
                }
            }
            self.unregister(thread);
            result = self.try_again(cpu, thread, call);
        }
    }

    /// The call goes on after interrupts had their turn.
    fn go_on_later(&self, cpu: &mut CpuToken, call: &Call) {
        self.put_back(cpu, Enter::Preempted, Pending::Call(*call));
        self.shared(cpu.index()).flags.breathe.store(true, Ordering::Relaxed);
    }

    /// The call is over: forget what it kept between its tries.
    fn complete(&self, thread: &Arc<Thread<M>>, result: Result<u64, Errno>) -> i64 {
        let raw = result_to_raw(result);
        self.complete_raw(thread, raw);
        raw
    }

    fn complete_raw(&self, thread: &Arc<Thread<M>>, raw: i64) {
        if !self.forget_plain(thread) {
            self.complete_rare(thread, raw);
        }
    }

    #[inline(never)]
    fn complete_rare(&self, thread: &Arc<Thread<M>>, raw: i64) {
        if let Some(record) = thread.progress.take_traced() {
            self.tell_call(thread, record, Some(raw));
        }
        self.forget(thread);
    }

    /// What the thread waited for is over. True = nothing else was noted of it, and all is forgotten.
    fn forget_plain(&self, thread: &Thread<M>) -> bool {
        let mut progress = thread.progress.lock();
        self.take_back(&mut progress);
        let plain = progress.forget_plain();
        drop(progress);
        if plain {
            thread.progress.set_unused();
        }
        plain
    }

    /// Performs a call that was tried before.
    fn try_again(&self, cpu: &CpuToken, thread: &Arc<Thread<M>>, call: &Call) -> CallResult {
        if thread.process.is_ending() { Err(Stop::EXIT) } else { self.perform(cpu, thread, call) }
    }

    /// What the thread waited for is over, with all that was noted of it.
    #[inline(never)]
    pub(crate) fn forget(&self, thread: &Arc<Thread<M>>) {
        self.unregister(thread);
        self.leave_waiting(thread);
        if let Some(unborn) = thread.progress.reset() {
            self.give_up(&thread.process, unborn);
        }
    }

    /// Takes the thread off the CPU to wait. A wake-up that came since it last stopped lets it go on instead: perhaps for
    /// nothing, but none is lost.
    pub(crate) fn stop(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>, pending: Pending) -> Stopped {
        let deadline = thread.progress.deadline();
        self.stop_until(cpu, thread, pending, deadline)
    }

    /// The same with an end of the wait, instead of the one that the call has set.
    pub(crate) fn stop_until(
        &self,
        cpu: &mut CpuToken,
        thread: &Arc<Thread<M>>,
        pending: Pending,
        deadline: Option<Instant>,
    ) -> Stopped {
        let mut state = thread.state.lock();
        if state.woken || thread.process.is_ending() {
            state.woken = false;
            return Stopped::Woken;
        }
        if let Some(at) = deadline {
            let armed = self.shared(cpu.index()).timers.lock().arm(at, Due::Thread(thread.clone()));
            let Ok(id) = armed else { return Stopped::NoMemory };
            state.timer = Some((cpu.index(), id));
            self.set_timer_by(cpu.index(), at.as_nanos());
        }
        state.phase = Phase::Waiting;
        state.pending = pending;
        let shared = self.shared(cpu.index());
        let now = self.charge(shared, &mut state, thread);
        drop(state);
        let own = self.own.get_mut(cpu);
        own.current = None;
        own.left_at = Some(now);
        shared.flags.set_none_running();
        Stopped::Waits
    }

    /// Puts the running thread back into the run queue, with what it does first when it next gets a CPU.
    pub(crate) fn put_back(&self, cpu: &mut CpuToken, why: Enter, pending: Pending) {
        let shared = self.shared(cpu.index());
        let own = self.own.get_mut(cpu);
        let Some(thread) = own.current.take() else { return };
        let mut state = thread.state.lock();
        let now = self.machine.now();
        let ran = Self::ran(&mut state, &thread, now);
        state.phase = Phase::Ready;
        state.pending = pending;
        let mut queue = shared.queue.lock();
        queue.charge(&mut state.entity, ran);
        let place = queue.place(&mut state.entity, why);
        // Who makes it ready from here on finds that it is; nobody takes it out before it is in.
        drop(state);
        let next = match why {
            Enter::Yielded => queue.exchange(place, thread),
            Enter::New | Enter::Woken | Enter::Preempted => {
                queue.insert(place, thread);
                None
            }
        };
        shared.flags.queued.store(queue.len(), Ordering::Relaxed);
        drop(queue);
        shared.flags.set_none_running();
        own.left_at = Some(now);
        if next.is_some() {
            own.next = next;
        }
    }

    /// Accounts for the time since the thread got the CPU; returns the time now.
    #[inline]
    pub(crate) fn charge(&self, shared: &Shared<M>, state: &mut State, thread: &Thread<M>) -> Instant {
        let now = self.machine.now();
        let ran = Self::ran(state, thread, now);
        shared.queue.lock().charge(&mut state.entity, ran);
        now
    }

    /// How long the thread has run since it was last charged.
    fn ran(state: &mut State, thread: &Thread<M>, now: Instant) -> Duration {
        let ran = now.since(state.since);
        state.since = now;
        state.cpu_ns += ran.as_nanos();
        thread.process.usage.add_cpu(ran.as_nanos());
        ran
    }

    /// An interrupt on this CPU.
    pub fn interrupt(&self, cpu: &mut CpuToken, event: Event) -> Trap {
        self.shared(cpu.index()).flags.woken.store(0, Ordering::Relaxed);
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
        let leaves = self.must_reschedule(cpu);
        if thread.process.cpu_left() == Some(0) {
            self.end_for_time(&thread.process);
            self.end_thread(cpu, &thread);
            return Trap::Reschedule;
        }
        if leaves {
            self.put_back(cpu, Enter::Preempted, Pending::Nothing);
            return Trap::Reschedule;
        }
        Trap::Resume
    }

    fn on_timer(&self, cpu: &CpuToken) {
        let now = self.machine.now();
        self.shared(cpu.index()).flags.armed.store(u64::MAX, Ordering::Relaxed);
        // What is due beyond that fires again at once: `set_timer` finds it.
        let mut left = TIME_OUTS_PER_SLICE;
        while left > 0 {
            let Some(due) = self.shared(cpu.index()).timers.lock().expire(now) else { break };
            let cost = match due {
                Due::Thread(thread) => {
                    self.make_ready(&thread);
                    1
                }
                Due::Timer(timer) => {
                    let sets = timer.watchers.lock().len();
                    self.timer_came(&timer, now);
                    1 + sets / SETS_PER_TIME_OUT
                }
            };
            left = left.saturating_sub(cost);
        }
        self.net_timer(cpu.index(), now);
        self.on_disk_timer(cpu.index(), now);
        self.set_timer(cpu, now);
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
        let passes = !self.works.is_empty() || self.has_dying_memory();
        if passes || thread.has_attention() || thread.process.is_stopped() {
            return true;
        }
        let mut state = thread.state.lock();
        let now = self.machine.now();
        let ran = Self::ran(&mut state, thread, now);
        let (preempted, slice) = {
            let mut queue = self.shared(cpu.index()).queue.lock();
            queue.charge(&mut state.entity, ran);
            let preempted = queue.preempts(&state.entity) || (over && !queue.is_empty());
            (preempted, queue.slice(&state.entity))
        };
        flags.set_running(state.entity.mark(), now);
        drop(state);
        if !preempted {
            self.start_slice(flags, now, self.within_limit(thread, slice));
        }
        preempted
    }

    /// Runs what this CPU has to do until there is a thread to run, or nothing.
    pub fn dispatch(&self, cpu: &mut CpuToken) -> Dispatch<M> {
        let index = cpu.index();
        let shared = self.shared(index);
        let flags = &shared.flags;
        if flags.idle.load(Ordering::Relaxed) {
            self.not_idle(cpu);
        }
        flags.woken.store(0, Ordering::Relaxed);
        let breathe = flags.breathe.load(Ordering::Relaxed);
        if breathe || self.background(cpu) {
            flags.breathe.store(false, Ordering::Relaxed);
            self.own.get_mut(cpu).left_at = None;
            return Dispatch::Again;
        }
        let own = self.own.get_mut(cpu);
        // Who came since that was chosen is looked at once it runs.
        let Some((thread, slice)) = own.next.take().or_else(|| self.next_thread(index, shared)) else {
            return self.go_idle(cpu);
        };
        own.current = Some(thread.clone());
        // The time between two threads is the second one's.
        let since = own.left_at.take().unwrap_or_else(|| self.machine.now());
        let mut state = thread.state.lock();
        state.phase = Phase::Running { cpu: index };
        state.cpu = index;
        state.since = since;
        flags.set_running(state.entity.mark(), since);
        let pending = core::mem::replace(&mut state.pending, Pending::Nothing);
        drop(state);
        if thread.process.cpu_left() == Some(0) {
            self.end_for_time(&thread.process);
        }
        if thread.process.is_ending() {
            self.end_thread(cpu, &thread);
            // It may have left work behind, which comes before the next thread: that one might never pass here again.
            return Dispatch::Again;
        }
        self.select_space(index, own, &thread.process);
        self.unregister_unless_it_stays(&thread);
        if thread.process.is_stopped() {
            self.halt(cpu, &thread, pending);
            return Dispatch::Again;
        }
        let mut done = match &pending {
            Pending::Nothing => {
                // It may have waited for a page, which is not what its next call waits for.
                if thread.progress.is_used() {
                    self.forget(&thread);
                }
                Done::Nothing
            }
            Pending::Result(raw) => Done::Result(*raw),
            Pending::Again => Done::Again,
            // All that such a call waits for is a wake-up, and its waker took the registration away.
            Pending::Call(Call::FutexWait { .. } | Call::FutexWaitUntil { .. })
                if thread.progress.fired() =>
            {
                Done::Result(self.complete(&thread, Ok(0)))
            }
            Pending::Call(call) => match self.try_again(cpu, &thread, call) {
                Ok(value) => Done::Result(self.complete(&thread, Ok(value))),
                result => match self.attempt(cpu, &thread, call, result) {
                    Some(raw) => Done::Result(raw),
                    None => return Dispatch::Again,
                },
            },
        };
        if thread.has_attention() {
            match self.deliver(cpu, &thread, done) {
                Some(left) => done = left,
                None => return Dispatch::Again,
            }
        }
        if !flags.reschedule.load(Ordering::Relaxed) {
            self.start_slice(flags, since, self.within_limit(&thread, slice));
        } else if self.must_reschedule(cpu) {
            // Its call made another ready that goes first.
            self.put_back(cpu, Enter::Preempted, done.into());
            return Dispatch::Again;
        }
        let result = if let Done::Result(raw) = done { Some(raw) } else { None };
        Dispatch::Run { thread, result }
    }

    /// The thread to run on this CPU, and how long it may.
    fn next_thread(&self, cpu: usize, shared: &Shared<M>) -> Option<Next<M>> {
        shared.flags.reschedule.store(false, Ordering::SeqCst);
        let picked = {
            let mut queue = shared.queue.lock();
            let picked = queue.pick_with_slice();
            shared.flags.queued.store(queue.len(), Ordering::Relaxed);
            picked
        };
        picked.or_else(|| self.steal(cpu))
    }

    /// Takes a thread from the CPU that has most waiting.
    #[inline(never)]
    fn steal(&self, cpu: usize) -> Option<Next<M>> {
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
            self.shared(victim).flags.queued.store(queue.len(), Ordering::Relaxed);
            stolen
        };
        let thread = stolen.item().clone();
        // Through our own queue, which places it among ours; the locks of the two queues are never held together.
        let mut state = thread.state.lock();
        let mut queue = self.shared(cpu).queue.lock();
        queue.enqueue_stolen(&mut state.entity, stolen);
        queue.pick_with_slice()
    }

    #[inline(never)]
    fn go_idle(&self, cpu: &mut CpuToken) -> Dispatch<M> {
        let flags = &self.shared(cpu.index()).flags;
        flags.idle.store(true, Ordering::SeqCst);
        if flags.reschedule.load(Ordering::SeqCst)
            || !self.teardown.lock().is_empty()
            || !self.works.is_empty()
            || self.dead_endpoints.any()
            || self.has_dying_memory()
        {
            return Dispatch::Again;
        }
        self.leave_dead_space(cpu);
        self.own.get_mut(cpu).left_at = None;
        let now = self.machine.now();
        flags.idle_since.store(now.as_nanos(), Ordering::Relaxed);
        self.set_timer(cpu, now);
        Dispatch::Idle
    }

    #[inline(never)]
    fn not_idle(&self, cpu: &mut CpuToken) {
        let flags = &self.shared(cpu.index()).flags;
        flags.online.store(true, Ordering::Relaxed);
        flags.idle.store(false, Ordering::SeqCst);
        let since = flags.idle_since.swap(0, Ordering::Relaxed);
        if since != 0 {
            flags.idle_ns.fetch_add(self.machine.now().as_nanos().saturating_sub(since), Ordering::Relaxed);
        }
    }

    /// Lets the other ready threads of this CPU run first.
    pub(crate) fn yield_now(&self, cpu: &CpuToken) -> CallResult {
        let alone = self.shared(cpu.index()).flags.queued.load(Ordering::Relaxed) == 0;
        if alone { Ok(0) } else { Err(Stop::GIVE_WAY) }
    }
}
