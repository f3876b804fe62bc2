//! `exec`: another program in the place of this one.
//!
//! The new address space is built completely before anything changes; until then the call can fail. Then a new [`Process`] takes the
//! place of the old one in the table, under the same id: the charge, the parent and the children stay where they are, since they
//! belong to the entry. Identity, limits, sums and handles move over. What is left of the old process is a space and threads
//! that leave; it is taken apart like any other, and nobody hears of it.
//!
//! The old process is marked as ending, and the new one entered, in one section under the lock of the table. So a kill finds the old
//! one and comes first, and then there is no exec; or it finds that the old one was replaced, looks again, and finds the new one.
//! A thread of the old process that is in a call at this moment on another CPU finishes that call with an empty table of handles.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use swos_abi::{Capabilities, Errno, SpawnArgs};
use swos_handles::HandleTable;
use swos_signals::{ProcessSignals, ThreadSignals};
use swos_units::page_count;

use crate::{
    Kernel, Machine,
    family::Life,
    load::Loading,
    machine::Start,
    object::Object,
    process::{Ending, Limits, NAME_LEN, NewProcess, Process, Teardown},
    space::Space,
    spawn::Body,
    thread::Thread,
    wait::{CallResult, Stop, Why},
    work::Work,
};

/// Handle slots looked at per slice, for those that are to be closed.
const SLOTS_PER_SLICE: usize = 64;

/// A process that has its program but no thread: handles are still to be closed.
pub(crate) struct Launch<M: Machine> {
    process: Arc<Process<M>>,
    start: Start,
    signals: ThreadSignals,
    /// The slot to go on from.
    slot: usize,
}

impl<M: Machine> Kernel<M> {
    /// Does the next piece of an `exec`, the last of which replaces the calling process's program.
    pub(crate) fn exec(&self, thread: &Arc<Thread<M>>, args: u64, size: u64) -> CallResult {
        let begin = || {
            let args: SpawnArgs = self.read_record(args, size)?;
            let zero = args.flags | args.group | args.reserved_limit | args.handle_count;
            if zero != 0 || u64::from(args.size) != size {
                return Err(Errno::INVAL.into());
            }
            Ok(args)
        };
        let view = *thread.process.view.lock();
        let (body, start) =
            self.embody(thread, begin, |order| self.begin_body(thread, order, view, || Ok(None)))?;
        let Body { args, name, limits, loading: Loading { space, .. }, .. } = *body;
        let room = self.reserve_thread();
        let has_room = room.is_ok();
        let successor = Self::successor_of(&thread.process, name, args.capabilities, space, limits);
        let outcome = match room {
            Ok(()) => self.replace(thread, &successor, args.process_limit),
            Err(errno) => Err(errno.into()),
        };
        let signals = match outcome {
            Ok(signals) => signals,
            Err(stop) => {
                if has_room {
                    self.forget_thread();
                }
                let teardown = Teardown::new(successor, Ending::Silent);
                let Why::Errno(errno) = stop.why() else {
                    self.push_teardown(teardown);
                    return Err(stop);
                };
                return Err(Self::refuse(thread, teardown, errno));
            }
        };
        // Before the first call of the new program.
        if let Some(record) = thread.progress.take_traced() {
            self.tell_call(thread, record, Some(0));
        }
        self.do_later(Work::Launch(Box::new(Launch { process: successor, start, signals, slot: 0 })));
        self.rouse_all(&thread.process);
        Err(Stop::EXIT)
    }

    /// The process that goes on, without the handles of the old one.
    fn successor_of(
        process: &Process<M>,
        name: [u8; NAME_LEN],
        capabilities: u64,
        space: Arc<Space>,
        limits: Limits,
    ) -> Arc<Process<M>> {
        let mut successor = Process::new(NewProcess {
            pid: process.pid,
            name,
            identity: process.identity(),
            capabilities: process.capabilities() & Capabilities::from_bits_retain(capabilities),
            limits,
            usage: process.usage.clone(),
            space,
            started: process.started,
            view: *process.view.lock(),
            signals: ProcessSignals::new(),
        });
        successor.memory = process.memory.clone();
        Arc::new(successor)
    }

    /// Puts `new` in the place of the thread's process, unless that is ending. Returns the signals of its first thread.
    fn replace(
        &self,
        thread: &Thread<M>,
        new: &Arc<Process<M>>,
        process_limit: u32,
    ) -> Result<ThreadSignals, Stop> {
        let old = &thread.process;
        let mut processes = self.processes.lock();
        let entry = processes.table.get_mut(&old.pid).ok_or(Errno::SRCH)?;
        let mut threads = old.threads.lock();
        if threads.ending.is_some() {
            return Err(Stop::EXIT);
        }
        entry.charge.limit(process_limit)?;
        Self::trace_as(old, new);
        old.begin_end(&mut threads, Ending::Silent);
        entry.life = Life::Alive(new.clone());
        let Limits { handles: quota, memory, .. } = *new.limits.lock();
        new.memory.lower(page_count(memory));
        let mut handles = core::mem::replace(&mut *old.handles.lock(), HandleTable::new(0));
        handles.lower_quota(quota);
        *new.handles.lock() = handles;
        // With the threads of the old one locked: who sends one sees there that it was replaced.
        let signals = core::mem::take(&mut *old.signals.lock()).exec();
        new.note_job(signals.job());
        *new.signals.lock() = signals;
        Ok(core::mem::take(&mut *thread.signals.lock()).exec())
    }

    /// Closes some of the handles that the program does not get; when all are closed, lets it run.
    pub(crate) fn launch(&self, mut launch: Box<Launch<M>>) -> Option<Box<Launch<M>>> {
        let mut closed: Vec<Object<M>> = Vec::new();
        let next =
            launch.process.handles.lock().drain_close_on_exec(launch.slot, SLOTS_PER_SLICE, |object| {
                closed.push(object);
            });
        for object in closed {
            self.close_object(object);
        }
        if let Some(slot) = next {
            launch.slot = slot;
            return Some(launch);
        }
        let Launch { process, start, signals, .. } = *launch;
        let ending = process.threads.lock().ending;
        match ending {
            // Killed before it had a thread that could leave.
            Some(ending) => {
                self.forget_thread();
                self.push_teardown(Teardown::new(process, ending));
            }
            None => {
                self.start_thread(&process, start, signals);
            }
        }
        None
    }
}
