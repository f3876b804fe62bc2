//! Signals: who is told, and how a handler comes to run.
//!
//! A signal takes effect when its thread is dispatched: there the registers are whole in the context, whatever way the thread left
//! EL0. Whoever sends one sets the thread's *attention* and sees to it that it passes by: a waiting thread is made ready, one
//! that runs is made to leave its CPU at the next return. So nothing is added to the path of a call.
//!
//! A call that waits is not undone: its thread looks again first, and only if it still would have to wait, and a handler is to
//! run, does the call end ([`answer`] says how).

use alloc::sync::Arc;
use core::mem::offset_of;

use swos_abi::{
    ActionFlags, CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, Call, EXIT_CONTINUED, EXIT_FAULT,
    EXIT_STOPPED, Errno, ExitRecord, SIGCHLD, SIGCONT, SIGKILL, SIGSEGV, SignalFrame, SignalInfo, SignalSet,
    TIMEOUT_NEVER, WAIT_TIMEOUT, result_to_raw,
};
use swos_aspace::AccessKind;
use swos_sched::Enter;
use swos_signals::{Next, ProcessSignals, Taker, Wanted};
use swos_sync::CpuToken;
use swos_units::VirtAddr;
use zerocopy::IntoBytes as _;

use crate::{
    Kernel, Level, Machine,
    dispatch::Stopped,
    fault::Resolution,
    process::{Ending, Process, Threads},
    thread::{Done, Pending, Phase, Thread},
    wait::{Access, WaitKey},
    work::Work,
};

/// What the signals of a thread want of it before it goes on.
enum Look {
    GoOn,
    /// Its process is stopped.
    Halt,
    /// Its process is ending.
    End,
    /// A handler is to run; whether calls that it interrupts are made again.
    Handle {
        restart: bool,
    },
}

/// Where a signal went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    /// To where it was sent.
    Here,
    /// Nowhere: another program has taken the place of this one.
    Replaced,
}

/// What became of a call that would have to wait while there are signals.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Interrupted {
    /// They don't concern it: it waits.
    No,
    /// It looks at once whether it can go on now.
    LookAgain,
    /// It is over, or made again; the thread left the CPU.
    Left,
}

/// Threads of a process that are looked at at once for what a signal means for each.
const THREADS_AT_ONCE: usize = 512;

/// The threads that are looked at when a signal comes. The others have their turn right after that, in slices: see
/// [`Kernel::concern_others`].
pub(crate) fn first_of<M: Machine>(threads: &Threads<M>) -> impl Iterator<Item = &Arc<Thread<M>>> {
    threads.list.iter().take(THREADS_AT_ONCE)
}

/// How a process ended that a signal ends.
pub(crate) fn ended_by(signal: u32) -> ExitRecord {
    ExitRecord { cause: EXIT_FAULT, code: signal.cast_signed(), ..ExitRecord::default() }
}

impl<M: Machine> Kernel<M> {
    /// Sends a signal to the process `pid`, whichever program it runs at that moment.
    pub(crate) fn signal_process(&self, pid: u32, info: SignalInfo) -> Result<(), Errno> {
        loop {
            let process = self.processes.lock().alive(pid).cloned();
            let Some(process) = process else { return Ok(()) };
            if info.signal == SIGKILL {
                if !process.signals.lock().is_shielded() {
                    self.end_pid(pid, ended_by(SIGKILL));
                }
                return Ok(());
            }
            if self.send_signal(&process, None, info)? == Sent::Here {
                return Ok(());
            }
        }
    }

    /// Sends a signal to a thread of the calling process.
    pub(crate) fn signal_thread(&self, thread: &Arc<Thread<M>>, info: SignalInfo) -> Result<(), Errno> {
        if info.signal == SIGKILL {
            return self.signal_process(thread.process.pid, info);
        }
        self.send_signal(&thread.process, Some(thread), info).map(drop)
    }

    fn send_signal(
        &self,
        process: &Arc<Process<M>>,
        to: Option<&Arc<Thread<M>>>,
        info: SignalInfo,
    ) -> Result<Sent, Errno> {
        let signal = info.signal;
        let cancelled = ProcessSignals::cancels(signal);
        let (told, resumed, sought) = {
            let threads = process.threads.lock();
            if threads.ending == Some(Ending::Silent) {
                return Ok(Sent::Replaced);
            }
            // Locked before it is looked for who takes the signal: a thread that finds none and sets out to wait for it says so
            // under this lock, and so either finds this one or is found.
            let mut signals = process.signals.lock();
            let taker = match to {
                Some(thread) => Some(thread).filter(|thread| !thread.blocked().contains(signal)),
                None => first_of(&threads).find(|thread| !thread.blocked().contains(signal)),
            };
            let resumed = signal == SIGCONT && signals.resume();
            if !cancelled.is_empty() {
                for thread in first_of(&threads) {
                    thread.signals.lock().discard(cancelled);
                }
            }
            let how = match taker {
                None => Taker::Nobody,
                Some(thread) if thread.signals.lock().wants(signal) => Taker::Waits,
                Some(_) => Taker::Open,
            };
            let sent = match to {
                Some(thread) => signals.send(Some(&mut thread.signals.lock()), info, how),
                None => signals.send(None, info, how),
            };
            process.note_job(signals.job());
            // Refused or not, what was stopped goes on.
            let sought = to.is_none() && taker.is_none() && sent.is_ok();
            (sent.map(|look| taker.filter(|_| look).cloned()), resumed, sought)
        };
        let sought = if sought { SignalSet::of(&[signal]) } else { SignalSet::EMPTY };
        self.concern_others(process, sought, cancelled);
        if resumed {
            self.rouse_all(process);
            self.report_change(process, signal);
        }
        if let Some(thread) = told.map_err(|_| Errno::AGAIN)? {
            self.attend(&thread);
        }
        Ok(Sent::Here)
    }

    /// Makes a thread look at its signals before it next goes on at EL0.
    pub(crate) fn attend(&self, thread: &Arc<Thread<M>>) {
        thread.set_attention(true);
        let mut state = thread.state.lock();
        match state.phase {
            Phase::Waiting => {
                state.phase = Phase::Ready;
                self.enqueue(thread, state, Enter::Woken);
            }
            Phase::Running { cpu } => {
                state.woken = true;
                drop(state);
                self.hurry(cpu);
            }
            Phase::Ready | Phase::Ended => {}
        }
    }

    /// Makes the thread that runs on `cpu` pass by the dispatcher.
    fn hurry(&self, cpu: usize) {
        self.shared(cpu).flags.reschedule.store(true, core::sync::atomic::Ordering::SeqCst);
        if cpu != self.machine.cpu_index() {
            self.machine.kick(cpu);
        }
    }

    /// Signals that wait for a process were to be taken by a thread that ends or blocks them now: others are told.
    pub(crate) fn tell_others(&self, process: &Arc<Process<M>>, left: SignalSet) {
        let all = process.threads.lock().list.len();
        self.concern(process, left, SignalSet::EMPTY, all);
    }

    /// What a signal means for the threads that [`first_of`] left out: of those that don't block them one is told of the first ones;
    /// the second ones wait at none of them any more.
    pub(crate) fn concern_others(&self, process: &Arc<Process<M>>, told: SignalSet, discarded: SignalSet) {
        let all = process.threads.lock().list.len();
        if all > THREADS_AT_ONCE {
            self.concern(process, told, discarded, all);
        }
    }

    fn concern(&self, process: &Arc<Process<M>>, told: SignalSet, discarded: SignalSet, left: usize) {
        let work = Work::Concern { process: process.clone(), told, discarded, left };
        if !told.is_empty() || !discarded.is_empty() {
            if left > THREADS_AT_ONCE {
                self.do_later(work);
            } else {
                self.concern_some(process, told, discarded, left);
            }
        }
    }

    /// A slice of that: of the first `left` threads of the process the last ones. Returns which signals nobody was told of yet, and how
    /// many threads are left. From the end, because those that leave the list meanwhile move others only towards its front.
    pub(crate) fn concern_some(
        &self,
        process: &Process<M>,
        mut told: SignalSet,
        discarded: SignalSet,
        left: usize,
    ) -> (SignalSet, usize) {
        let threads = process.threads.lock();
        let end = left.min(threads.list.len());
        let start = end.saturating_sub(THREADS_AT_ONCE);
        for thread in threads.list.get(start..end).unwrap_or_default() {
            if !discarded.is_empty() {
                thread.signals.lock().discard(discarded);
            }
            if !told.without(thread.blocked()).is_empty() {
                told = told.and(thread.blocked());
                self.attend(thread);
            }
        }
        let left = if told.is_empty() && discarded.is_empty() { 0 } else { start };
        (told, left)
    }

    /// Asks what the signals of the thread that runs here want, and carries out what concerns its whole process.
    fn look(&self, thread: &Arc<Thread<M>>) -> Look {
        let (next, restart) = {
            let mut signals = thread.process.signals.lock();
            let mut own = thread.signals.lock();
            let next = signals.next(&mut own);
            if next == Next::GoOn {
                // With the lock held: a signal that comes later sets it again.
                thread.set_attention(false);
            }
            thread.note_blocked(&own);
            thread.process.note_job(signals.job());
            (next, own.delivery().is_some_and(|delivery| delivery.has(ActionFlags::RESTART)))
        };
        match next {
            Next::GoOn => Look::GoOn,
            Next::Halt => Look::Halt,
            Next::Handle => Look::Handle { restart },
            Next::Stop(signal) => {
                self.halt_others(&thread.process);
                self.report_change(&thread.process, signal);
                Look::Halt
            }
            Next::Terminate(info) => {
                self.end_process(&thread.process, ended_by(info.signal));
                Look::End
            }
        }
    }

    /// A process was stopped: its threads halt when they come by, those that run now at once.
    fn halt_others(&self, process: &Process<M>) {
        let selected = process.space.selected();
        for cpu in (0..self.cpus.len()).filter(|cpu| selected >> cpu & 1 == 1) {
            self.hurry(cpu);
        }
    }

    /// Takes the thread off the CPU until its process goes on or ends. An event that comes meanwhile only makes it look.
    #[cold]
    #[inline(never)]
    pub(crate) fn halt(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>, pending: Pending) {
        if self.stop_until(cpu, thread, pending, None) != Stopped::Waits {
            self.come_back(cpu, pending);
        }
    }

    /// Lets the thread pass by the dispatcher once more.
    fn come_back(&self, cpu: &mut CpuToken, pending: Pending) {
        self.put_back(cpu, Enter::Preempted, pending);
    }

    /// A call would have to wait, and its thread has signals to look at.
    #[cold]
    #[inline(never)]
    pub(crate) fn interrupt_call(
        &self,
        cpu: &mut CpuToken,
        thread: &Arc<Thread<M>>,
        call: &Call,
    ) -> Interrupted {
        if thread.progress.lock().brief {
            return Interrupted::No;
        }
        let restart = match self.look(thread) {
            Look::GoOn | Look::End => return Interrupted::No,
            Look::Halt => None,
            Look::Handle { restart } => Some(restart),
        };
        self.unregister(thread);
        if thread.progress.fired() {
            // It was woken just now, and perhaps nobody else was for this: it looks at that first.
            return Interrupted::LookAgain;
        }
        let pending = match restart {
            None => Pending::Call(*call),
            Some(restart) => {
                let done = thread.progress.done();
                self.forget(thread);
                answer(call, restart, done)
                    .map_or(Pending::Again, |told| Pending::Result(result_to_raw(told)))
            }
        };
        self.come_back(cpu, pending);
        Interrupted::Left
    }

    /// The thread that runs here is about to go on at EL0 with `done`, and has signals to look at. `None` = it left the CPU.
    #[cold]
    #[inline(never)]
    pub(crate) fn deliver(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>, done: Done) -> Option<Done> {
        loop {
            match self.look(thread) {
                Look::GoOn => return Some(done),
                Look::Halt => {
                    self.halt(cpu, thread, done.into());
                    return None;
                }
                Look::End => {
                    self.end_thread(cpu, thread);
                    return None;
                }
                Look::Handle { .. } => {}
            }
            match self.enter_handler(thread, done) {
                Ok(()) => {}
                Err(Resolution::Mapped) => continue,
                Err(Resolution::Later) => {
                    self.come_back(cpu, done.into());
                    return None;
                }
                Err(Resolution::Wait) => match self.stop_until(cpu, thread, done.into(), None) {
                    Stopped::Waits => return None,
                    Stopped::Woken | Stopped::NoMemory => {
                        self.unregister(thread);
                        continue;
                    }
                },
                Err(Resolution::Refused(_)) => {
                    self.bad_frame(thread);
                    self.end_thread(cpu, thread);
                    return None;
                }
            }
            // The next one gets its frame on top of this one, in a turn of its own.
            if self.has_more(thread) {
                self.come_back(cpu, Pending::Nothing);
                return None;
            }
            return Some(Done::Nothing);
        }
    }

    /// Whether a thread has further signals to look at; if not, it goes on without.
    fn has_more(&self, thread: &Thread<M>) -> bool {
        let signals = thread.process.signals.lock();
        let more = signals.concerns(&thread.signals.lock());
        thread.set_attention(more);
        more
    }

    /// Writes the frame of a handler and gives the thread the registers with which the handler begins. On an error nothing has
    /// changed but the user's stack.
    fn enter_handler(&self, thread: &Arc<Thread<M>>, done: Done) -> Result<(), Resolution> {
        const SIZE: u64 = size_of::<SignalFrame>() as u64;
        let refused = Resolution::Refused(crate::fault::Refusal::NoPage);
        let context = thread.context();
        let mut frame = SignalFrame::default();
        self.machine.save_context(context, &mut frame);
        match done {
            Done::Result(raw) => frame.x[0] = raw.cast_unsigned(),
            // The `svc` is made again when the handler has returned: x0 is still its first argument.
            Done::Again => frame.pc = frame.pc.wrapping_sub(4),
            Done::Nothing => {}
        }
        let (action, stack) = {
            let own = thread.signals.lock();
            let Some(delivery) = own.delivery() else { return Ok(()) };
            frame.size = u32::try_from(SIZE).unwrap_or(0);
            frame.info = delivery.info;
            frame.mask = delivery.mask;
            (delivery.action, own.stack())
        };
        let wanted =
            if action.flags & ActionFlags::ONSTACK.bits() != 0 { Wanted::Alternate } else { Wanted::Current };
        let at = stack.place(frame.sp, wanted, SIZE).map(VirtAddr::new).filter(|at| at.is_user_range(SIZE));
        let at = at.ok_or(refused)?;
        if let Err(fault) = self.machine.copy_out(at, frame.as_bytes()) {
            return Err(self.resolve(thread, Access { address: fault.address, kind: AccessKind::Write }));
        }
        let at = at.get();
        frame.x[0] = u64::from(frame.info.signal);
        frame.x[1] = at + offset_of!(SignalFrame, info) as u64;
        frame.x[2] = at;
        frame.x[30] = action.restorer;
        frame.sp = at;
        frame.pc = action.handler;
        frame.pstate = 0;
        self.machine.restore_context(context, &frame);
        let mut own = thread.signals.lock();
        own.entered();
        thread.note_blocked(&own);
        Ok(())
    }

    /// A frame can't be written or read: the process ends.
    pub(crate) fn bad_frame(&self, thread: &Arc<Thread<M>>) {
        let process = &thread.process;
        self.log(
            Level::Warning,
            "fault",
            format_args!("{} ({}): no stack for a signal", process.name(), process.pid),
        );
        self.end_process(process, ended_by(SIGSEGV));
    }

    /// Whether the thread that runs here has a handler for its own fault; then it left the CPU.
    pub(crate) fn catches(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>, info: SignalInfo) -> bool {
        let caught = {
            let signals = thread.process.signals.lock();
            thread.signals.lock().fault(&signals, info)
        };
        if caught {
            thread.set_attention(true);
            self.unregister(thread);
            self.come_back(cpu, Pending::Nothing);
        }
        caught
    }

    /// A thread waits for no signal itself any more.
    pub(crate) fn stop_wanting(thread: &Thread<M>) {
        let mut own = thread.signals.lock();
        own.want(SignalSet::EMPTY);
        thread.note_blocked(&own);
    }

    /// A process stopped or went on, by `signal`: its parent is told.
    fn report_change(&self, process: &Arc<Process<M>>, signal: u32) {
        let pid = process.pid;
        let parent = {
            let mut processes = self.processes.lock();
            // What holds now: of two that change it at once, both report the later.
            let cause = if process.is_stopped() { EXIT_STOPPED } else { EXIT_CONTINUED };
            let record = ExitRecord { pid, cause, code: signal.cast_signed(), ..ExitRecord::default() };
            let parent = processes.change(record);
            if let Some(parent) = parent {
                self.tell_parent(parent, pid, &record);
            }
            parent.map(|parent| parent.pid)
        };
        if let Some(parent) = parent {
            self.wake_all(WaitKey::Child { parent });
        }
    }

    /// Sends `SIGCHLD` for what became of a child, with the table of processes locked.
    pub(crate) fn tell_parent(&self, parent: &Arc<Process<M>>, pid: u32, record: &ExitRecord) {
        let code = match record.cause {
            EXIT_FAULT => CLD_KILLED,
            EXIT_STOPPED => CLD_STOPPED,
            EXIT_CONTINUED => CLD_CONTINUED,
            _ => CLD_EXITED,
        };
        if (code == CLD_STOPPED || code == CLD_CONTINUED) && !parent.signals.lock().hears_of_stops() {
            return;
        }
        let info = SignalInfo { signal: SIGCHLD, code, pid, status: record.code, ..SignalInfo::default() };
        // A standard signal is never refused.
        let _ = self.send_signal(parent, None, info);
    }
}

/// What a call answers whose wait a handler interrupts; `None` = it is made again when the handler has returned. `done` is what
/// it did before, in the unit of its result where it has one.
///
/// Source: POSIX.1-2017 `sigaction()`, `SA_RESTART`, and the calls' own pages; calls with a time-out (not those with a deadline) never are made again, or the
/// time would begin anew.
pub(crate) const fn answer(call: &Call, restart: bool, done: u64) -> Option<Result<u64, Errno>> {
    match call {
        Call::Read { .. } | Call::Readv { .. } | Call::Write { .. } | Call::Writev { .. } | Call::SendTo { .. } | Call::Sendfile { .. } if done > 0 => {
            Some(Ok(done))
        }
        Call::Sleep { .. }
        | Call::Poll { .. }
        | Call::ReadyWait { .. }
        | Call::Connect { .. }
        // Their message, or answer, was given away.
        | Call::EndpointCall { .. }
        | Call::EndpointReplyReceive { .. }
        | Call::SignalSuspend { .. }
        | Call::SignalWait { .. } => Some(Err(Errno::INTR)),
        Call::FutexWait { timeout_ns, .. }
        | Call::EndpointSend { timeout_ns, .. }
        | Call::EndpointReceive { timeout_ns, .. }
            if *timeout_ns != TIMEOUT_NEVER =>
        {
            Some(Err(Errno::INTR))
        }
        Call::Wait { flags, .. } if *flags & WAIT_TIMEOUT != 0 => Some(Err(Errno::INTR)),
        _ if restart => None,
        _ => Some(Err(Errno::INTR)),
    }
}
