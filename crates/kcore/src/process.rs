//! Processes: what the kernel keeps of each, and how one ends.
//!
//! The end goes in steps, so that no step is long: all threads leave, the handles are closed and the memory is given
//! back slice by slice, and only then can the parent wait for it. So a parent that waited finds every byte free again.

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
};

use swos_abi::{Capabilities, Errno, ExitRecord};
use swos_handles::HandleTable;
use swos_signals::{Job, ProcessSignals};
use swos_sync::{CpuToken, Lock};
use swos_units::{Instant, page_count};
use swos_vfs::VnodeId;

use crate::{
    Kernel, Machine,
    family::{INIT_PID, Moved},
    memory::MemoryAccount,
    object::Object,
    ranks,
    space::Space,
    thread::{Phase, Thread},
    trace::Sink,
    usage::Usage,
    wait::WaitKey,
};

/// Handles that a process may have open unless its parent chose otherwise.
pub(crate) const HANDLES_MAX: usize = 65_536;
/// Threads that a process may have unless its parent chose otherwise.
pub(crate) const THREADS_MAX: usize = 16_384;
/// Bytes of the name that `process_info` shows.
pub(crate) const NAME_LEN: usize = 32;

/// The session of the first process.
pub(crate) const FIRST_SESSION: u32 = 1;

/// Who a process acts for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) principal: u32,
    pub(crate) session: u32,
}

impl Identity {
    fn pack(self) -> u64 {
        u64::from(self.principal) << 32 | u64::from(self.session)
    }

    #[expect(clippy::cast_possible_truncation, reason = "two halves")]
    const fn unpack(packed: u64) -> Self {
        Self { principal: (packed >> 32) as u32, session: packed as u32 }
    }
}

/// What a process may use at most. How many processes it may be with all that it starts is its account's to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Bytes of address space that may be backed.
    pub(crate) memory: u64,
    pub(crate) handles: usize,
    pub(crate) threads: usize,
    /// CPU time, in nanoseconds; `u64::MAX` = none.
    pub(crate) cpu_ns: u64,
}

/// Of a process: its threads are to leave.
const ENDING: u8 = 1;
/// Its calls are told.
const TRACED: u8 = 0x80;
/// Of a process: its threads are to halt.
const STOPPED: u8 = 2;

/// A process.
pub struct Process<M: Machine> {
    pub(crate) pid: u32,
    pub(crate) name: [u8; NAME_LEN],
    /// Principal above, session below, so that nobody sees half of a login.
    identity: AtomicU64,
    capabilities: AtomicU64,
    pub(crate) limits: Lock<Limits>,
    /// [`Limits::cpu_ns`], for those who look at every interrupt.
    cpu_limit: AtomicU64,
    pub(crate) space: Arc<Space>,
    /// Memory objects that it made.
    pub(crate) memory: Arc<MemoryAccount>,
    pub(crate) handles: Lock<HandleTable<Object<M>>>,
    pub(crate) threads: Lock<Threads<M>>,
    pub(crate) signals: Lock<ProcessSignals>,
    /// [`ENDING`], [`TRACED`] and [`STOPPED`].
    condition: AtomicU8,
    /// What it used up to now; the same before and after an `exec`.
    pub(crate) usage: Arc<Usage>,
    pub(crate) started: Instant,
    pub(crate) view: Lock<View>,
    /// Where its calls are told, if it is traced.
    sink: Lock<Option<Arc<Sink<M>>>>,
}

/// Where the names of a process start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct View {
    /// Topmost directory that it can name.
    pub(crate) root: VnodeId,
    /// The current directory: the root, or below it.
    pub(crate) directory: VnodeId,
}

/// The threads of a process.
pub(crate) struct Threads<M: Machine> {
    /// By their ids, ascending.
    pub(crate) list: Vec<Arc<Thread<M>>>,
    /// How the process ends, from the first one who said so.
    pub(crate) ending: Option<Ending>,
}

/// What becomes of a process whose threads leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// It ended, and somebody may ask how.
    Ended(ExitRecord),
    /// Nobody will ask: another goes on under its id, or it never was in the table.
    Silent,
}

impl<M: Machine> Threads<M> {
    /// Makes room for one more.
    pub(crate) fn reserve(&mut self) -> Result<(), Errno> {
        self.list.try_reserve(1).map_err(|_| Errno::NOMEM)
    }

    /// The thread with this id.
    pub(crate) fn get(&self, tid: u32) -> Option<&Arc<Thread<M>>> {
        self.list.get(self.list.binary_search_by_key(&tid, |thread| thread.tid).ok()?)
    }

    /// Takes a thread out.
    fn remove(&mut self, tid: u32) {
        if let Ok(index) = self.list.binary_search_by_key(&tid, |thread| thread.tid) {
            self.list.remove(index);
        }
    }
}

/// What makes a process.
pub(crate) struct NewProcess {
    pub(crate) pid: u32,
    pub(crate) name: [u8; NAME_LEN],
    pub(crate) identity: Identity,
    pub(crate) capabilities: Capabilities,
    pub(crate) limits: Limits,
    pub(crate) usage: Arc<Usage>,
    pub(crate) space: Arc<Space>,
    pub(crate) started: Instant,
    pub(crate) view: View,
    pub(crate) signals: ProcessSignals,
}

impl<M: Machine> Process<M> {
    pub(crate) fn new(new: NewProcess) -> Self {
        Self {
            pid: new.pid,
            name: new.name,
            identity: AtomicU64::new(new.identity.pack()),
            capabilities: AtomicU64::new(new.capabilities.bits()),
            limits: Lock::new(ranks::LIMITS, new.limits),
            cpu_limit: AtomicU64::new(new.limits.cpu_ns),
            space: new.space,
            memory: MemoryAccount::new(new.limits.memory),
            handles: Lock::new(ranks::HANDLES, HandleTable::new(new.limits.handles)),
            threads: Lock::new(ranks::THREADS, Threads { list: Vec::new(), ending: None }),
            signals: Lock::new(ranks::PROCESS_SIGNALS, new.signals),
            condition: AtomicU8::new(0),
            usage: new.usage,
            started: new.started,
            view: Lock::new(ranks::FILE, new.view),
            sink: Lock::new(ranks::SINK, None),
        }
    }

    /// Who it acts for now.
    pub(crate) fn identity(&self) -> Identity {
        Identity::unpack(self.identity.load(Ordering::Relaxed))
    }

    /// Makes it act for somebody else. What it made before stays the other's.
    pub(crate) fn set_identity(&self, identity: Identity) {
        self.identity.store(identity.pack(), Ordering::Relaxed);
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities::from_bits_retain(self.capabilities.load(Ordering::Relaxed))
    }

    pub(crate) fn has(&self, needed: Capabilities) -> bool {
        self.capabilities().contains(needed)
    }

    /// Drops all capabilities but `keep`; returns what is left.
    pub(crate) fn drop_capabilities(&self, keep: Capabilities) -> Capabilities {
        let before = self.capabilities.fetch_and(keep.bits(), Ordering::Relaxed);
        Capabilities::from_bits_retain(before) & keep
    }

    /// Marks it as ending; its list of threads is locked.
    pub(crate) fn begin_end(&self, threads: &mut Threads<M>, ending: Ending) {
        threads.ending = Some(ending);
        self.condition.fetch_or(ENDING, Ordering::SeqCst);
    }

    /// Whether something is to be done before or after a call: it is ending, or traced.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.condition.load(Ordering::Relaxed) & (ENDING | TRACED) != 0
    }

    /// Tells its calls to `sink` from now on.
    pub(crate) fn set_sink(&self, sink: Arc<Sink<M>>) {
        *self.sink.lock() = Some(sink);
        self.condition.fetch_or(TRACED, Ordering::Relaxed);
    }

    /// Where its calls are told.
    pub(crate) fn sink(&self) -> Option<Arc<Sink<M>>> {
        self.sink.lock().clone()
    }

    /// The same, which is told no more.
    pub(crate) fn take_sink(&self) -> Option<Arc<Sink<M>>> {
        if self.condition.load(Ordering::Relaxed) & TRACED == 0 { None } else { self.sink.lock().take() }
    }

    /// Whether its threads are to leave.
    #[inline]
    pub(crate) fn is_ending(&self) -> bool {
        self.condition.load(Ordering::Relaxed) & ENDING != 0
    }

    /// Whether its threads are to halt.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.condition.load(Ordering::Relaxed) & STOPPED != 0
    }

    /// Lets others see whether it is stopped. Called with its signals locked, which say so.
    pub(crate) fn note_job(&self, job: Job) {
        match job {
            Job::Stopped => self.condition.fetch_or(STOPPED, Ordering::SeqCst),
            Job::Running => self.condition.fetch_and(!STOPPED, Ordering::SeqCst),
        };
    }

    /// CPU time that is left to it.
    pub(crate) fn cpu_left(&self) -> Option<u64> {
        match self.cpu_limit.load(Ordering::Relaxed) {
            u64::MAX => None,
            limit => Some(limit.saturating_sub(self.usage.cpu_ns())),
        }
    }

    /// Lowers limits; what is above the old ones changes nothing.
    pub(crate) fn lower(&self, to: Limits) {
        let lowered = {
            let mut limits = self.limits.lock();
            *limits = Limits {
                memory: limits.memory.min(to.memory),
                handles: limits.handles.min(to.handles),
                threads: limits.threads.min(to.threads),
                cpu_ns: limits.cpu_ns.min(to.cpu_ns),
            };
            *limits
        };
        self.cpu_limit.fetch_min(lowered.cpu_ns, Ordering::Relaxed);
        self.handles.lock().lower_quota(lowered.handles);
        self.memory.lower(page_count(lowered.memory));
        self.space.inner.lock().areas.lower_limit(page_count(lowered.memory));
    }

    /// Its name as text.
    pub(crate) fn name(&self) -> &str {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_LEN);
        self.name.get(..end).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("?")
    }
}

impl<M: Machine> fmt::Debug for Process<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid).field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A process that is being taken apart: slots and pages still to do.
pub(crate) struct Teardown<M: Machine> {
    pub(crate) process: Arc<Process<M>>,
    pub(crate) ending: Ending,
    pub(crate) handles_done: bool,
    /// What a handle named that is gone, and is a slice of its own.
    slow: Option<Object<M>>,
}

/// Handle slots closed, pages freed, and orphans given to init, per slice.
const SLOTS_PER_SLICE: usize = 32;

impl<M: Machine> Teardown<M> {
    pub(crate) const fn new(process: Arc<Process<M>>, ending: Ending) -> Self {
        Self { process, ending, handles_done: false, slow: None }
    }
}

impl<M: Machine> Kernel<M> {
    /// Starts the end of a process: its threads leave as they come by. One that is ending already remains as it is.
    pub(crate) fn end_process(&self, process: &Arc<Process<M>>, record: ExitRecord) -> Ending {
        let ending = Ending::Ended(record);
        {
            let mut threads = process.threads.lock();
            if let Some(earlier) = threads.ending {
                return earlier;
            }
            process.begin_end(&mut threads, ending);
        }
        self.rouse_all(process);
        ending
    }

    /// Ends the process `pid`, whichever program it runs at that moment.
    pub(crate) fn end_pid(&self, pid: u32, record: ExitRecord) {
        loop {
            let process = self.processes.lock().alive(pid).cloned();
            let Some(process) = process else { return };
            // Silent: it was replaced after we looked, and what replaced it is in the table.
            if self.end_process(&process, record) != Ending::Silent {
                return;
            }
        }
    }

    /// Ends the thread that runs on this CPU; with the last one, its process.
    #[inline(never)]
    pub(crate) fn end_thread(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>) {
        self.unregister(thread);
        if let Some(record) = thread.progress.take_traced() {
            self.tell_call(thread, record, None);
        }
        self.leave_waiting(thread);
        let now = {
            let mut state = thread.state.lock();
            state.phase = Phase::Ended;
            self.charge(self.shared(cpu.index()), &mut state, thread)
        };
        let own = self.own.get_mut(cpu);
        own.current = None;
        own.left_at = Some(now);
        self.shared(cpu.index()).flags.set_none_running();
        self.forget_thread();
        if let Some(unborn) = thread.progress.take_unborn() {
            self.give_up(&thread.process, unborn);
        }
        let process = &thread.process;
        let ending = {
            let mut threads = process.threads.lock();
            threads.remove(thread.tid);
            if !threads.list.is_empty() {
                drop(threads);
                let left = process.signals.lock().pending();
                return self.tell_others(process, left);
            }
            process.condition.fetch_or(ENDING, Ordering::SeqCst);
            *threads.ending.get_or_insert(Ending::Ended(ExitRecord::default()))
        };
        self.push_teardown(Teardown::new(process.clone(), ending));
    }

    pub(crate) fn push_teardown(&self, work: Teardown<M>) {
        let mut queue = self.teardown.lock();
        queue.push_always(work);
        self.teardown_len.store(queue.len(), Ordering::Relaxed);
        self.add_chore();
    }

    fn next_teardown(&self) -> Option<Teardown<M>> {
        let mut queue = self.teardown.lock();
        let work = queue.pop();
        self.teardown_len.store(queue.len(), Ordering::Relaxed);
        work
    }

    /// Does one slice of long work, if there is any. True = let interrupts in and come again.
    #[inline]
    pub(crate) fn background(&self, cpu: &mut CpuToken) -> bool {
        self.chores.load(Ordering::Relaxed) && self.do_chore(cpu)
    }

    #[inline(never)]
    fn do_chore(&self, cpu: &mut CpuToken) -> bool {
        // Of what another CPU leaves at this moment, that one or the next to be idle takes care.
        let done = self.boot_step()
            || (!self.works.is_empty() && self.work_step())
            || self.bury()
            || (self.has_dying_memory() && self.free_dead_memory())
            || (self.teardown_len.load(Ordering::Relaxed) != 0 && self.teardown_step(cpu))
            || self.sweep();
        // Acquire pairs with the release in `add_chore`: what was left before that is seen by the second look.
        if !done && self.chores.swap(false, Ordering::AcqRel) && self.has_chores() {
            self.add_chore();
        }
        done
    }

    /// Whether anything is left for the background, or still to come when the disk has answered.
    pub(crate) fn has_chores(&self) -> bool {
        !self.is_booted()
            || !self.works.is_empty()
            || self.dead_endpoints.any()
            || self.has_dying_memory()
            || self.teardown_len.load(Ordering::Relaxed) != 0
            || self.has_litter()
    }

    /// Whether nothing is left for the background of which no CPU would know. For checks while no CPU is in the kernel.
    pub fn knows_its_chores(&self) -> bool {
        self.chores.load(Ordering::Relaxed) || !self.has_chores()
    }

    /// Something was left for the background.
    pub(crate) fn add_chore(&self) {
        self.chores.store(true, Ordering::Release);
    }

    #[inline(never)]
    fn teardown_step(&self, cpu: &mut CpuToken) -> bool {
        let Some(mut work) = self.next_teardown() else { return false };
        self.leave_dead_space(cpu);
        if self.take_apart(&mut work) && !self.has_dying_memory() {
            self.finish(work);
        } else {
            self.push_teardown(work);
        }
        true
    }

    /// Does one slice of taking a process apart; true = neither handle nor frame is left.
    pub(crate) fn take_apart(&self, work: &mut Teardown<M>) -> bool {
        if work.handles_done {
            return self.free_space(&work.process.space);
        }
        if let Some(object) = work.slow.take() {
            self.close_object(object);
            return false;
        }
        for _ in 0..SLOTS_PER_SLICE {
            let mut closed = None;
            let progress = work.process.handles.lock().teardown(1, |object| closed = Some(object));
            if progress == swos_handles::Progress::Done {
                work.handles_done = true;
                self.end_trace(&work.process);
                break;
            }
            match closed {
                Some(object) if object.ends_slowly() => {
                    work.slow = Some(object);
                    break;
                }
                Some(object) => self.close_object(object),
                None => {}
            }
        }
        false
    }

    fn finish(&self, work: Teardown<M>) {
        let process = &work.process;
        let faults = process.space.inner.lock().faults;
        let Ending::Ended(record) = work.ending else { return process.usage.add_faults(faults) };
        let pid = process.pid;
        let moved = self.processes.lock().orphan(pid, SLOTS_PER_SLICE);
        if let Moved::Some { ended } = moved {
            if ended {
                self.wake_all(WaitKey::Child { parent: INIT_PID });
            }
            return self.push_teardown(work);
        }
        process.usage.add_faults(faults);
        let record = ExitRecord { pid, cpu_ns: process.usage.cpu_ns(), ..record };
        if record.cause == swos_abi::EXIT_FAULT {
            self.report_fault(process, &record);
        }
        let usage = process.usage.clone();
        drop(work);
        self.frames_are_back();
        let parent = {
            let mut processes = self.processes.lock();
            let parent = processes.end(pid, record, usage);
            if let Some(parent) = parent.and_then(|parent| processes.alive(parent)) {
                // With the table locked: whoever finds the child has had the signal, and who gets the signal finds the child.
                self.tell_parent(parent, pid, &record);
            }
            parent
        };
        if let Some(parent) = parent {
            self.wake_all(WaitKey::Child { parent });
        }
        if pid == INIT_PID {
            self.init_ended(&record);
        }
    }
}
