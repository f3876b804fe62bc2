//! Processes: what the kernel keeps of each, and how one ends.
//!
//! The end goes in steps, so that no step is long: all threads leave, the handles are closed and the memory is given
//! back slice by slice, and only then can the parent wait for it. So a parent that waited finds every byte free again.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
};

use swos_abi::{Capabilities, ExitRecord};
use swos_handles::HandleTable;
use swos_signals::{Groups, Job, ProcessSignals, Refused};
use swos_sync::{CpuToken, Lock};
use swos_units::Instant;
use swos_vfs::VnodeId;

use crate::{
    Kernel, Machine,
    object::Object,
    ranks,
    space::Space,
    thread::{Phase, Thread},
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

/// What a process may use at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Bytes of address space that may be backed.
    pub(crate) memory: u64,
    pub(crate) handles: usize,
    pub(crate) threads: usize,
}

/// Of a process: its threads are to leave.
const ENDING: u8 = 1;
/// Of a process: its threads are to halt.
const STOPPED: u8 = 2;

/// A process.
pub struct Process<M: Machine> {
    pub(crate) pid: u32,
    pub(crate) name: [u8; NAME_LEN],
    /// Principal above, session below, so that nobody sees half of a login.
    identity: AtomicU64,
    capabilities: AtomicU64,
    pub(crate) limits: Limits,
    pub(crate) space: Space,
    pub(crate) handles: Lock<HandleTable<Object<M>>>,
    pub(crate) threads: Lock<Threads<M>>,
    pub(crate) signals: Lock<ProcessSignals>,
    /// [`ENDING`] and [`STOPPED`].
    condition: AtomicU8,
    pub(crate) cpu_ns: AtomicU64,
    pub(crate) started: Instant,
    pub(crate) view: Lock<View>,
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
    pub(crate) list: Vec<Arc<Thread<M>>>,
    /// How the process ends, from the first one who said so.
    pub(crate) ending: Option<ExitRecord>,
}

/// What makes a process.
pub(crate) struct NewProcess {
    pub(crate) pid: u32,
    pub(crate) name: [u8; NAME_LEN],
    pub(crate) identity: Identity,
    pub(crate) capabilities: Capabilities,
    pub(crate) limits: Limits,
    pub(crate) space: Space,
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
            limits: new.limits,
            space: new.space,
            handles: Lock::new(ranks::HANDLES, HandleTable::new(new.limits.handles)),
            threads: Lock::new(ranks::THREADS, Threads { list: Vec::new(), ending: None }),
            signals: Lock::new(ranks::PROCESS_SIGNALS, new.signals),
            condition: AtomicU8::new(0),
            cpu_ns: AtomicU64::new(0),
            started: new.started,
            view: Lock::new(ranks::FILE, new.view),
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

/// All processes, and who is whose child.
pub(crate) struct Processes<M: Machine> {
    pub(crate) table: BTreeMap<u32, Entry<M>>,
    /// Who is in which process group and session.
    pub(crate) groups: Groups,
    last_pid: u32,
}

/// One process in the table.
pub(crate) struct Entry<M: Machine> {
    pub(crate) parent: u32,
    pub(crate) children: Vec<u32>,
    /// That it stopped or went on, until its parent has asked.
    pub(crate) change: Option<ExitRecord>,
    pub(crate) life: Life<M>,
}

/// Where a process is in its life.
pub(crate) enum Life<M: Machine> {
    /// It has threads, or is being taken apart.
    Alive(Arc<Process<M>>),
    /// Nothing is left but how it ended; its parent will ask.
    Ended(ExitRecord),
}

impl<M: Machine> Processes<M> {
    pub(crate) const fn new() -> Self {
        Self { table: BTreeMap::new(), groups: Groups::new(), last_pid: 0 }
    }

    /// A number that no process, process group or session has. Numbers are not used again before 2^31 others were.
    /// The child of `parent` that will have it enters a process group: its parent's, or `group` (0 = one of its own).
    pub(crate) fn new_pid(&mut self, parent: u32, group: Option<u32>) -> Result<u32, Refused> {
        loop {
            self.last_pid = if self.last_pid >= u32::MAX / 2 { 1 } else { self.last_pid + 1 };
            if !self.table.contains_key(&self.last_pid) && !self.groups.is_taken(self.last_pid) {
                self.groups.add(self.last_pid, parent, group)?;
                return Ok(self.last_pid);
            }
        }
    }

    pub(crate) fn add(&mut self, process: Arc<Process<M>>, parent: u32) {
        let pid = process.pid;
        self.table
            .insert(pid, Entry { parent, children: Vec::new(), change: None, life: Life::Alive(process) });
        if let Some(entry) = self.table.get_mut(&parent) {
            entry.children.push(pid);
        }
    }

    /// Marks a process as ended, gives its children to init, and returns whom to tell.
    fn end(&mut self, pid: u32, record: ExitRecord) -> Vec<u32> {
        let Some(entry) = self.table.get_mut(&pid) else { return Vec::new() };
        entry.life = Life::Ended(record);
        let parent = entry.parent;
        let orphans = core::mem::take(&mut entry.children);
        let mut tell = alloc::vec![parent];
        for &orphan in &orphans {
            if let Some(child) = self.table.get_mut(&orphan) {
                child.parent = INIT_PID;
            }
        }
        if let Some(init) = self.table.get_mut(&INIT_PID).filter(|_| !orphans.is_empty()) {
            init.children.extend(orphans);
            tell.push(INIT_PID);
        }
        // Nobody can ask for a process without a living parent, and some parents don't want to.
        if self.alive(parent).is_none_or(|parent| parent.signals.lock().forgets_children()) {
            self.forget(pid);
        }
        tell
    }

    /// Takes an ended process out of the table.
    pub(crate) fn forget(&mut self, pid: u32) {
        let Some(entry) = self.table.remove(&pid) else { return };
        self.groups.remove(pid);
        if let Some(parent) = self.table.get_mut(&entry.parent) {
            parent.children.retain(|&child| child != pid);
        }
    }

    /// The living process `pid`.
    pub(crate) fn alive(&self, pid: u32) -> Option<&Arc<Process<M>>> {
        match &self.table.get(&pid)?.life {
            Life::Alive(process) => Some(process),
            Life::Ended(_) => None,
        }
    }

    /// Whether `pid` is `ancestor`'s child, or a child's descendant.
    pub(crate) fn descends(&self, pid: u32, ancestor: u32) -> bool {
        let mut at = pid;
        while let Some(entry) = self.table.get(&at) {
            if entry.parent == ancestor {
                return true;
            }
            at = entry.parent;
        }
        false
    }
}

/// Id of the first process.
pub(crate) const INIT_PID: u32 = 1;

/// A process that is being taken apart: slots and pages still to do.
pub(crate) struct Teardown<M: Machine> {
    pub(crate) process: Arc<Process<M>>,
    pub(crate) record: ExitRecord,
    pub(crate) handles_done: bool,
}

/// Handle slots closed, and pages freed, per slice.
const SLOTS_PER_SLICE: usize = 32;

impl<M: Machine> Kernel<M> {
    /// Starts the end of a process: its threads leave as they come by.
    pub(crate) fn end_process(&self, process: &Arc<Process<M>>, record: ExitRecord) {
        {
            let mut threads = process.threads.lock();
            if threads.ending.is_some() {
                return;
            }
            threads.ending = Some(record);
            process.condition.fetch_or(ENDING, Ordering::SeqCst);
        }
        self.rouse_all(process);
    }

    /// Ends the thread that runs on this CPU; with the last one, its process.
    #[inline(never)]
    pub(crate) fn end_thread(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>) {
        self.unregister(thread);
        thread.state.lock().phase = Phase::Ended;
        self.own.get_mut(cpu).current = None;
        self.threads_alive.fetch_sub(1, Ordering::Relaxed);
        let process = &thread.process;
        let record = {
            let mut threads = process.threads.lock();
            threads.list.retain(|other| !Arc::ptr_eq(other, thread));
            if !threads.list.is_empty() {
                let left = process.signals.lock().pending();
                self.tell_others(&threads, left);
                return;
            }
            process.condition.fetch_or(ENDING, Ordering::SeqCst);
            threads.ending.unwrap_or_default()
        };
        let record =
            ExitRecord { pid: process.pid, cpu_ns: process.cpu_ns.load(Ordering::Relaxed), ..record };
        let teardown = Teardown { process: process.clone(), record, handles_done: false };
        self.push_teardown(teardown);
    }

    fn push_teardown(&self, work: Teardown<M>) {
        let mut queue = self.teardown.lock();
        queue.push_back(work);
        self.teardown_len.store(queue.len(), Ordering::Relaxed);
    }

    fn next_teardown(&self) -> Option<Teardown<M>> {
        let mut queue = self.teardown.lock();
        let work = queue.pop_front();
        self.teardown_len.store(queue.len(), Ordering::Relaxed);
        work
    }

    /// Does one slice of long work, if there is any. True = let interrupts in and come again.
    #[inline]
    pub(crate) fn background(&self, cpu: &mut CpuToken) -> bool {
        // Of what another CPU leaves at this moment, that one or the next to be idle takes care.
        self.boot_step()
            || (!self.works.is_empty() && self.work_step())
            || (self.teardown_len.load(Ordering::Relaxed) != 0 && self.teardown_step(cpu))
    }

    #[inline(never)]
    fn teardown_step(&self, cpu: &mut CpuToken) -> bool {
        let Some(mut work) = self.next_teardown() else { return false };
        self.leave_dead_space(cpu);
        if !work.handles_done {
            let mut closed = Vec::new();
            let progress =
                work.process.handles.lock().teardown(SLOTS_PER_SLICE, |object| closed.push(object));
            for object in closed {
                self.close_object(object);
            }
            work.handles_done = progress == swos_handles::Progress::Done;
        } else if self.free_space(&work.process.space) {
            self.finish(work);
            return true;
        }
        self.push_teardown(work);
        true
    }

    fn finish(&self, work: Teardown<M>) {
        let Teardown { process, record, .. } = work;
        let pid = process.pid;
        if record.cause == swos_abi::EXIT_FAULT {
            self.report_fault(&process, &record);
        }
        drop(process);
        let (parent, tell) = {
            let mut processes = self.processes.lock();
            let parent = processes.table.get(&pid).map(|entry| entry.parent);
            (parent.and_then(|parent| processes.alive(parent).cloned()), processes.end(pid, record))
        };
        for parent in tell {
            self.wake_all(WaitKey::Child { parent });
        }
        self.tell_parent(parent, pid, &record);
        if pid == INIT_PID {
            self.init_ended(&record);
        }
    }
}
