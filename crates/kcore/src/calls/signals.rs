//! Signals, process groups, sessions: the calls.

use alloc::sync::Arc;

use arrayvec::ArrayVec;
use swos_abi::{
    ActionFlags, Capabilities, Errno, PID_GROUP, SI_QUEUE, SI_USER, SIG_BLOCK, SIG_DEFAULT, SIG_IGNORE,
    SIG_SETMASK, SIG_UNBLOCK, SIGRTMAX, STACK_ACTIVE, STACK_DISABLE, STACK_MIN, SignalAction, SignalFrame,
    SignalInfo, SignalSet, SignalStack,
};
use swos_signals::{AltStack, Error, Groups, Refused};
use zerocopy::IntoBytes as _;

use crate::{
    Kernel, Machine,
    family::Processes,
    signals::first_of,
    thread::{Registered, Thread},
    user::user_range,
    wait::{CallResult, Stop},
};

/// Members of a process group that one try of a call signals.
const GROUP_SLICE: usize = 16;
/// Generations that one try of a call goes up to see whether a process descends from its own.
const GENERATIONS_AT_ONCE: u32 = 150;

impl<M: Machine> Kernel<M> {
    pub(super) fn signal_action(
        &self,
        thread: &Arc<Thread<M>>,
        signal: u32,
        action: u64,
        old: u64,
        size: u64,
    ) -> CallResult {
        let process = &thread.process;
        if !(1..=SIGRTMAX).contains(&signal) {
            return Err(Errno::INVAL.into());
        }
        let new = if action == 0 { None } else { Some(self.read_action(action, size)?) };
        loop {
            let before = process.signals.lock().action(signal);
            if old != 0 {
                self.write_record(old, size, &before)?;
            }
            let Some(new) = new else { return Ok(0) };
            let threads = process.threads.lock();
            let mut signals = process.signals.lock();
            // What was told as the old one is what is replaced.
            if signals.action(signal) != before {
                continue;
            }
            let discards = signals.set_action(signal, new).map_err(|error| match error {
                Error::BadSignal => Errno::INVAL,
                Error::NoMemory => Errno::NOMEM,
            })?;
            let discarded = if discards { SignalSet::of(&[signal]) } else { SignalSet::EMPTY };
            if discards {
                for thread in first_of(&threads) {
                    thread.signals.lock().discard(discarded);
                }
            }
            drop(signals);
            drop(threads);
            self.concern_others(process, SignalSet::EMPTY, discarded);
            return Ok(0);
        }
    }

    fn read_action(&self, from: u64, size: u64) -> Result<SignalAction, Stop> {
        let action: SignalAction = self.read_record(from, size)?;
        if action.flags & !ActionFlags::all().bits() != 0 {
            return Err(Errno::INVAL.into());
        }
        if action.handler != SIG_DEFAULT && action.handler != SIG_IGNORE {
            user_range(action.handler, 4)?;
            user_range(action.restorer, 4)?;
            if !action.handler.is_multiple_of(4) || !action.restorer.is_multiple_of(4) {
                return Err(Errno::INVAL.into());
            }
        }
        Ok(action)
    }

    pub(super) fn signal_mask(&self, thread: &Arc<Thread<M>>, how: u32, set: u64) -> CallResult {
        let set = SignalSet(set);
        let process = &thread.process;
        let (old, taken_over) = {
            let signals = process.signals.lock();
            let mut own = thread.signals.lock();
            let old = own.mask();
            own.set_mask(match how {
                SIG_BLOCK => old.union(set),
                SIG_UNBLOCK => old.without(set),
                SIG_SETMASK => set,
                _ => return Err(Errno::INVAL.into()),
            });
            thread.note_blocked(&own);
            (old, signals.pending().and(own.mask().without(old)))
        };
        if !taken_over.is_empty() {
            self.tell_others(process, taken_over);
        }
        self.recheck(thread);
        Ok(old.0)
    }

    /// The mask of the calling thread changed: what waited may be due now.
    fn recheck(&self, thread: &Arc<Thread<M>>) {
        let due = {
            let signals = thread.process.signals.lock();
            signals.concerns(&thread.signals.lock())
        };
        if due {
            self.attend(thread);
        }
    }

    /// The first try comes from the trap, where part of the registers is not in the context yet. It passes by the dispatcher,
    /// where they all are.
    pub(super) fn signal_return(&self, thread: &Arc<Thread<M>>, from: u64) -> CallResult {
        if core::mem::replace(&mut thread.progress.lock().done, 1) == 0 {
            return Err(Stop::AGAIN);
        }
        let mut frame = SignalFrame::default();
        let whole = match self.copy_in(from, frame.as_mut_bytes()) {
            Ok(()) => frame.size as usize == size_of::<SignalFrame>(),
            Err(stop) if stop.is_errno() => false,
            Err(stop) => return Err(stop),
        };
        if !whole {
            self.bad_frame(thread);
            return Err(Stop::EXIT);
        }
        self.machine.restore_context(thread.context(), &frame);
        {
            let mut own = thread.signals.lock();
            own.set_mask(frame.mask);
            thread.note_blocked(&own);
        }
        self.recheck(thread);
        // What the registers have in x0, so that the result of this call changes nothing.
        Ok(frame.x[0])
    }

    pub(super) fn signal_stack(
        &self,
        thread: &Arc<Thread<M>>,
        stack: u64,
        old: u64,
        size: u64,
    ) -> CallResult {
        // As `signal_return`: only there is the stack pointer known.
        if core::mem::replace(&mut thread.progress.lock().done, 1) == 0 {
            return Err(Stop::AGAIN);
        }
        let mut frame = SignalFrame::default();
        self.machine.save_context(thread.context(), &mut frame);
        let before = thread.signals.lock().stack();
        let active = before.is_active(frame.sp);
        let new = if stack == 0 { None } else { Some(self.read_record::<SignalStack>(stack, size)?) };
        let new = match new {
            None => None,
            Some(_) if active => return Err(Errno::BUSY.into()),
            Some(new) if new.flags == STACK_DISABLE => Some(AltStack::default()),
            Some(new) if new.flags != 0 || new.reserved != 0 => return Err(Errno::INVAL.into()),
            Some(new) if new.size < STACK_MIN => return Err(Errno::NOMEM.into()),
            Some(new) => {
                user_range(new.base, new.size)?;
                Some(AltStack { base: new.base, size: new.size })
            }
        };
        if old != 0 {
            let flags = match (before.size, active) {
                (0, _) => STACK_DISABLE,
                (_, true) => STACK_ACTIVE,
                (_, false) => 0,
            };
            let record = SignalStack { base: before.base, size: before.size, flags, reserved: 0 };
            self.write_record(old, size, &record)?;
        }
        if let Some(new) = new {
            thread.signals.lock().set_stack(new);
        }
        Ok(0)
    }

    pub(super) fn signal_pending(thread: &Thread<M>) -> CallResult {
        let shared = thread.process.signals.lock().pending();
        let own = thread.signals.lock();
        // Only blocked ones wait; and since two are never blocked, this is no error's number.
        Ok(shared.union(own.pending()).and(own.mask()).0)
    }

    pub(super) fn signal_suspend(&self, thread: &Arc<Thread<M>>, mask: u64) -> CallResult {
        {
            let mut own = thread.signals.lock();
            own.suspend(SignalSet(mask));
            thread.note_blocked(&own);
        }
        self.recheck(thread);
        Err(Stop::WAIT)
    }

    pub(super) fn signal_wait(
        &self,
        thread: &Arc<Thread<M>>,
        set: u64,
        info: u64,
        size: u64,
        timeout_ns: u64,
    ) -> CallResult {
        let set = SignalSet(set);
        Self::stop_wanting(thread);
        loop {
            let shown = {
                let signals = thread.process.signals.lock();
                let mut own = thread.signals.lock();
                let shown = signals.peek(&own, set);
                if shown.is_none() && !self.time_is_up(thread, timeout_ns) {
                    own.want(set);
                    thread.note_blocked(&own);
                    return Err(Stop::WAIT);
                }
                shown
            };
            let Some(shown) = shown else { return Err(Errno::TIMEDOUT.into()) };
            if info != 0 {
                self.write_record(info, size, &shown)?;
            }
            let mut signals = thread.process.signals.lock();
            let taken = signals.take(&mut thread.signals.lock(), shown);
            if taken {
                return Ok(u64::from(shown.signal));
            }
        }
    }

    pub(super) fn kill(&self, thread: &Arc<Thread<M>>, pid: u64, signal: u32) -> CallResult {
        let info = user_info(thread, signal, SI_USER, 0)?;
        if pid & PID_GROUP != 0 || pid == 0 {
            return self.kill_group(thread, pid & !PID_GROUP, info);
        }
        self.signal_one(thread, pid, info)
    }

    pub(super) fn signal_queue(
        &self,
        thread: &Arc<Thread<M>>,
        pid: u64,
        signal: u32,
        value: u64,
    ) -> CallResult {
        let info = user_info(thread, signal, SI_QUEUE, value)?;
        self.signal_one(thread, pid, info)
    }

    fn signal_one(&self, thread: &Arc<Thread<M>>, pid: u64, info: SignalInfo) -> CallResult {
        let pid = self.reach(thread, pid)?;
        if info.signal != 0 {
            self.signal_process(pid, info)?;
        }
        Ok(0)
    }

    /// The number of a process that a thread may signal and ask about, found in slices.
    fn reach(&self, thread: &Thread<M>, pid: u64) -> Result<u32, Stop> {
        let (_, kept) = thread.progress.done_and_found();
        let mut at = u32::try_from(kept).unwrap_or(0);
        match reachable(&self.processes.lock(), thread, pid, &mut at, &mut { GENERATIONS_AT_ONCE }) {
            Some(reached) => Ok(reached?),
            None => {
                thread.progress.note(0, u64::from(at), Registered::TakenBack);
                Err(Stop::AGAIN)
            }
        }
    }

    /// Signals the members of a group in slices, in the order of their numbers; oneself comes last, because it may be the end.
    fn kill_group(&self, thread: &Arc<Thread<M>>, group: u64, info: SignalInfo) -> CallResult {
        /// In the progress: somebody was there. Below it, the number to go on from.
        const FOUND: u64 = 1 << 32;
        let own = thread.process.pid;
        let (mut progress, kept) = thread.progress.done_and_found();
        let from = u32::try_from(progress & !FOUND).unwrap_or(0);
        // How far up from the next one it was found whose descendant that is.
        let (mut at, mut steps) = (u32::try_from(kept).unwrap_or(0), GENERATIONS_AT_ONCE);
        let mut targets = ArrayVec::<u32, GROUP_SLICE>::new();
        let mut next = None;
        let member = {
            let processes = self.processes.lock();
            let group = match u32::try_from(group).map_err(|_| Errno::SRCH)? {
                0 => processes.groups.group_of(own).ok_or(Errno::SRCH)?,
                other => other,
            };
            for (count, pid) in processes.groups.members(group, from).enumerate() {
                if count == GROUP_SLICE {
                    next = Some(pid);
                    break;
                }
                if pid != from {
                    at = 0;
                }
                match reachable(&processes, thread, u64::from(pid), &mut at, &mut steps) {
                    None => {
                        next = Some(pid);
                        break;
                    }
                    Some(Ok(_)) => {
                        progress |= FOUND;
                        if pid != own {
                            targets.push(pid);
                        }
                    }
                    Some(Err(_)) => {}
                }
                at = 0;
            }
            processes.groups.group_of(own) == Some(group)
        };
        for &target in targets.iter().filter(|_| info.signal != 0) {
            // A full queue there is no reason to spare the others.
            let _ = self.signal_process(target, info);
        }
        if let Some(next) = next {
            thread.progress.note(progress & FOUND | u64::from(next), u64::from(at), Registered::TakenBack);
            return Err(Stop::AGAIN);
        }
        if member && info.signal != 0 {
            let _ = self.signal_process(own, info);
        }
        if progress & FOUND != 0 { Ok(0) } else { Err(Errno::SRCH.into()) }
    }

    pub(super) fn thread_kill(&self, thread: &Arc<Thread<M>>, tid: u32, signal: u32) -> CallResult {
        let info = user_info(thread, signal, SI_USER, 0)?;
        let process = &thread.process;
        let target = process.threads.lock().get(tid).cloned().ok_or(Errno::SRCH)?;
        if signal != 0 {
            self.signal_thread(&target, info)?;
        }
        Ok(0)
    }

    pub(super) fn setpgid(&self, thread: &Thread<M>, pid: u32, group: u32) -> CallResult {
        let own = thread.process.pid;
        let pid = if pid == 0 { own } else { pid };
        let mut processes = self.processes.lock();
        let child = processes.table.get(&pid).is_some_and(|entry| entry.parent == own);
        if (pid != own && !child) || processes.alive(pid).is_none() {
            return Err(Errno::SRCH.into());
        }
        if processes.groups.session_of(pid) != processes.groups.session_of(own) {
            return Err(Errno::PERM.into());
        }
        processes.groups.enter(pid, group).map_err(refused_errno)?;
        Ok(0)
    }

    pub(super) fn setsid(&self, thread: &Thread<M>) -> CallResult {
        let own = thread.process.pid;
        self.processes.lock().groups.start_session(own).map_err(refused_errno)?;
        Ok(u64::from(own))
    }

    /// What `of` says of a process (0 = the caller).
    pub(super) fn place_of(
        &self,
        thread: &Thread<M>,
        pid: u32,
        of: fn(&Groups, u32) -> Option<u32>,
    ) -> CallResult {
        let pid = if pid == 0 { thread.process.pid } else { self.reach(thread, u64::from(pid))? };
        of(&self.processes.lock().groups, pid).map(u64::from).ok_or(Stop::errno(Errno::SRCH))
    }
}

/// The number of a process that a thread may signal and ask about: its own, a descendant, or, if it may see other processes, one of
/// the same principal and session. "Is not" and "is not yours" is the same answer. `None` = it takes more than `steps`, and is to be
/// gone on with `at`, which is 0 first.
#[inline(never)]
fn reachable<M: Machine>(
    processes: &Processes<M>,
    thread: &Thread<M>,
    pid: u64,
    at: &mut u32,
    steps: &mut u32,
) -> Option<Result<u32, Errno>> {
    let own = &thread.process;
    let Ok(pid) = u32::try_from(pid) else { return Some(Err(Errno::SRCH)) };
    let same = || {
        own.has(Capabilities::PROCESS_INSPECT)
            && processes.alive(pid).is_some_and(|process| process.identity() == own.identity())
    };
    if *at == 0 {
        *at = pid;
    }
    let reached = pid == own.pid || same() || processes.descends(at, own.pid, steps)?;
    Some(if reached { Ok(pid) } else { Err(Errno::SRCH) })
}

/// What the receiver of a signal from a program is told.
fn user_info<M: Machine>(
    thread: &Thread<M>,
    signal: u32,
    code: i32,
    value: u64,
) -> Result<SignalInfo, Errno> {
    if signal > SIGRTMAX {
        return Err(Errno::INVAL);
    }
    let (pid, principal) = (thread.process.pid, thread.process.identity().principal);
    Ok(SignalInfo { signal, code, pid, principal, value, ..SignalInfo::default() })
}

pub(crate) const fn refused_errno(refused: Refused) -> Errno {
    match refused {
        Refused::NoProcess => Errno::SRCH,
        Refused::NotAllowed => Errno::PERM,
        Refused::NoMemory => Errno::NOMEM,
    }
}
