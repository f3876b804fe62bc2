//! Processes and threads.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::Ordering;

use swos_abi::{
    Capabilities, Errno, ExitRecord, Handle, PID_GROUP, Rights, SPAWN_GROUP, SPAWN_LEND, SPAWN_ROOT,
    SPAWN_TRACE, SpawnArgs, SpawnHandle, WAIT_ANY, WAIT_CONTINUED, WAIT_NO_HANG, WAIT_TIMEOUT, WAIT_UNTRACED,
};
use swos_handles::Grant;
use swos_pipe::End;
use swos_sched::Enter;
use swos_signals::{ProcessSignals, ThreadSignals};
use swos_units::VirtAddr;
use swos_vfs::{Access, VnodeId};

use super::{handle_errno, signals::refused_errno};
use crate::{
    Kernel, Machine,
    account::{Account, Charge},
    family::{Sought, Wanted},
    load::{STRINGS_MAX, Strings},
    machine::Start,
    object::Object,
    process::{Limits, NAME_LEN, NewProcess, Process, View},
    thread::{Phase, Thread},
    trace::Sink,
    usage::Usage,
    user::user_range,
    wait::{CallResult, Stop, WaitKey},
};

/// Handles that one spawn can pass on.
const SPAWN_HANDLES_MAX: usize = 1024;

/// A handle for a child, and its number there.
type Passed<M> = (u32, Grant<Object<M>>);
/// All of them, and where the child's calls are told.
type Passing<M> = (Vec<Passed<M>>, Option<Arc<Sink<M>>>);

/// What a new process starts with, besides its program.
pub(crate) struct Birth<M: Machine> {
    pub(crate) parent: u32,
    pub(crate) charge: Charge,
    pub(crate) name: [u8; NAME_LEN],
    pub(crate) identity: crate::process::Identity,
    pub(crate) capabilities: Capabilities,
    pub(crate) limits: Limits,
    pub(crate) view: View,
    /// Process group that it enters, 0 = one of its own; without one, its parent's.
    pub(crate) group: Option<u32>,
    pub(crate) signals: ProcessSignals,
    /// What it gets, and under which number.
    pub(crate) handles: Vec<Passed<M>>,
    /// Where its calls are told.
    pub(crate) sink: Option<Arc<Sink<M>>>,
}

impl<M: Machine> Kernel<M> {
    pub(super) fn exit(&self, thread: &Arc<Thread<M>>, status: i32) -> Stop {
        let record = ExitRecord { code: status, ..ExitRecord::default() };
        self.end_process(&thread.process, record);
        Stop::Exit
    }

    pub(super) fn spawn(&self, thread: &Arc<Thread<M>>, args: u64, size: u64) -> CallResult {
        let process = &thread.process;
        if !process.has(Capabilities::SPAWN) {
            return Err(Errno::ACCES.into());
        }
        let args: SpawnArgs = self.read_record(args, size)?;
        let group = (args.flags & SPAWN_GROUP != 0).then_some(args.group);
        let reserved = args.flags & !(SPAWN_GROUP | SPAWN_ROOT) | args.reserved_limit;
        if reserved != 0 || (group.is_none() && args.group != 0) || u64::from(args.size) != size {
            return Err(Errno::INVAL.into());
        }
        let view = self.child_view(thread, &args)?;
        let (vnode, name) = self.program(thread, &args)?;
        let plan = self.load_plan(Some(thread), vnode)?;
        let strings = Strings {
            args: self.read_strings(args.args, args.args_len)?,
            env: self.read_strings(args.env, args.env_len)?,
        };
        let specs: Vec<SpawnHandle> =
            self.read_array(args.handles, u64::from(args.handle_count), SPAWN_HANDLES_MAX as u64)?;
        // Nothing was changed up to here, and nothing below can wait or fault.
        let limits = limits_of(&args, *process.limits.lock());
        let charge = self.account_of(process.pid)?.limited(args.process_limit)?.charge()?;
        let loaded = self.load(&plan, vnode, &strings, limits.memory)?;
        let (handles, sink) = match self.pass_handles(process, &specs) {
            Ok(handles) => handles,
            Err(errno) => {
                while !self.free_space(&loaded.space) {}
                return Err(errno.into());
            }
        };
        let birth = Birth {
            parent: process.pid,
            charge,
            name,
            identity: process.identity(),
            capabilities: process.capabilities() & Capabilities::from_bits_retain(args.capabilities),
            limits,
            view,
            group,
            signals: ProcessSignals::new(),
            handles,
            sink,
        };
        Ok(u64::from(self.give_birth(birth, loaded)?))
    }

    /// The program's file and the name that the process will have.
    pub(crate) fn program(
        &self,
        thread: &Arc<Thread<M>>,
        args: &SpawnArgs,
    ) -> Result<(VnodeId, [u8; NAME_LEN]), Stop> {
        let mut name = [0; NAME_LEN];
        let vnode = self.with_path(args.path, args.path_len, |path| {
            let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
            for (to, from) in name.iter_mut().zip(last.iter().take(NAME_LEN - 1)) {
                *to = *from;
            }
            if args.program == Handle::NONE {
                if !thread.process.has(Capabilities::FS_READ) {
                    return Err(Errno::ACCES.into());
                }
                return self.resolve_program(thread, path);
            }
            let Object::File(file) = Self::object(thread, args.program, Rights::EXECUTE)? else {
                return Err(Errno::ACCES.into());
            };
            let vnode = file.open.lock().open.vnode;
            Ok(vnode)
        })?;
        self.check_access(thread, vnode, Access::Execute)?;
        Ok((vnode, name))
    }

    pub(crate) fn read_strings(&self, from: u64, len: u64) -> Result<Vec<u8>, Stop> {
        let bytes = self.read_bytes(from, len, STRINGS_MAX)?;
        if bytes.last().is_some_and(|&byte| byte != 0) {
            return Err(Errno::INVAL.into());
        }
        Ok(bytes)
    }

    /// The objects that a child gets. All or none.
    fn pass_handles(&self, process: &Process<M>, specs: &[SpawnHandle]) -> Result<Passing<M>, Errno> {
        let mut sink = None;
        let mut table = process.handles.lock();
        let mut passed: Vec<Passed<M>> = Vec::new();
        passed.try_reserve_exact(specs.len()).map_err(|_| Errno::NOMEM)?;
        // A bit for each number that is taken.
        let mut taken = [0_u64; SPAWN_HANDLES_MAX / 64];
        for spec in specs {
            let rights = Rights::from_bits_retain(spec.rights);
            let grant = table.share(spec.source, rights).map_err(handle_errno)?;
            let grant = match spec.flags {
                SPAWN_LEND => table.lend(spec.source, rights).map_err(handle_errno)?,
                _ => grant,
            };
            if spec.flags == SPAWN_TRACE {
                // Nothing would end it with the loan.
                if table.get_leased(spec.source, Rights::WRITE).map_err(handle_errno)?.1.is_some() {
                    return Err(Errno::PERM);
                }
                let writer = matches!(grant.object(), Object::Pipe(end) if end.end == End::Writer);
                if !writer || sink.is_some() || spec.target != 0 || spec.reserved != 0 {
                    return Err(Errno::INVAL);
                }
                sink = Some(grant);
                continue;
            }
            if spec.flags & !SPAWN_LEND != 0 || spec.reserved != 0 {
                return Err(Errno::INVAL);
            }
            let word = taken.get_mut(spec.target as usize / 64).ok_or(Errno::INVAL)?;
            let bit = 1 << (spec.target % 64);
            if *word & bit != 0 {
                return Err(Errno::INVAL);
            }
            *word |= bit;
            passed.push((spec.target, grant));
        }
        // Only now do they count as open, so that a refusal above leaves nothing to close; and with the table still locked,
        // or another thread might close the last handle of one before.
        let sink = sink.and_then(|grant| match grant.map(Object::opened).into_object() {
            Object::Pipe(pipe) => Some(Arc::new(Sink::new(pipe))),
            _ => None,
        });
        Ok((passed.into_iter().map(|(target, grant)| (target, grant.map(Object::opened))).collect(), sink))
    }

    /// Makes a process of a loaded program and lets it run. Takes back everything if it can't.
    pub(crate) fn give_birth(&self, birth: Birth<M>, loaded: crate::load::Loaded) -> Result<u32, Errno> {
        let room = self.reserve_thread();
        let started = self.machine.now();
        let placed = self.processes.lock().new_pid(birth.parent, birth.group);
        let pid = placed.unwrap_or(0);
        let process = Arc::new(Process::new(NewProcess {
            pid,
            name: birth.name,
            identity: birth.identity,
            capabilities: birth.capabilities,
            limits: birth.limits,
            usage: Arc::new(Usage::default()),
            space: loaded.space,
            started,
            view: birth.view,
            signals: birth.signals,
        }));
        if let Some(sink) = birth.sink {
            process.set_sink(sink);
        }
        let has_room = room.is_ok();
        let mut refused = room.err().or(placed.err().map(refused_errno));
        for (target, grant) in birth.handles {
            let accepted = match refused {
                None => process.handles.lock().accept_at(Handle(u64::from(target)), grant).map(|_| ()),
                Some(_) => Err(swos_handles::Refused { grant, error: swos_handles::Error::Full }),
            };
            if let Err(not_taken) = accepted {
                refused.get_or_insert(handle_errno(not_taken.error));
                self.close_object(not_taken.grant.into_object());
            }
        }
        if let Some(errno) = refused {
            self.processes.lock().groups.remove(pid);
            if has_room {
                self.threads_alive.fetch_sub(1, Ordering::Relaxed);
            }
            while process.handles.lock().teardown(64, |object| self.close_object(object))
                == swos_handles::Progress::More
            {}
            self.end_trace(&process);
            while !self.free_space(&process.space) {}
            return Err(errno);
        }
        self.processes.lock().add(process.clone(), birth.parent, birth.charge);
        self.start_thread(&process, loaded.start, ThreadSignals::default());
        Ok(pid)
    }

    /// Counts one more thread and makes room for it in every run queue, so that no wake-up ever needs memory.
    pub(crate) fn reserve_thread(&self) -> Result<(), Errno> {
        self.room_for_objects()?;
        let threads = self.threads_alive.fetch_add(1, Ordering::Relaxed) as usize + 1;
        for cpu in &self.cpus {
            if cpu.queue.lock().reserve(threads).is_err() {
                self.threads_alive.fetch_sub(1, Ordering::Relaxed);
                return Err(Errno::NOMEM);
            }
        }
        Ok(())
    }

    pub(crate) fn start_thread(
        &self,
        process: &Arc<Process<M>>,
        start: Start,
        signals: ThreadSignals,
    ) -> u32 {
        let thread = self.add_thread(process, self.machine.new_context(start), signals);
        if !process.signals.lock().pending().is_empty() {
            // What came while nobody was there to take it.
            thread.set_attention(true);
        }
        let mut state = thread.state.lock();
        state.phase = Phase::Ready;
        self.enqueue(&thread, state, Enter::New);
        thread.tid
    }

    /// Makes a thread that waits. It is counted already.
    pub(crate) fn add_thread(
        &self,
        process: &Arc<Process<M>>,
        context: M::Context,
        signals: ThreadSignals,
    ) -> Arc<Thread<M>> {
        let cpu = self.machine.cpu_index();
        let mut threads = process.threads.lock();
        // With the list locked, so that it remains in order.
        let tid = self.last_tid.fetch_add(1, Ordering::Relaxed) + 1;
        let thread = Thread::new(tid, process.clone(), context, cpu, signals);
        threads.list.push(thread.clone());
        thread
    }

    /// The account that a process is charged to.
    pub(crate) fn account_of(&self, pid: u32) -> Result<Arc<Account>, Errno> {
        let processes = self.processes.lock();
        processes.table.get(&pid).map(|entry| entry.charge.account().clone()).ok_or(Errno::SRCH)
    }

    pub(super) fn thread_create(
        &self,
        thread: &Arc<Thread<M>>,
        entry: u64,
        stack: u64,
        argument: u64,
        tls: u64,
    ) -> CallResult {
        let process = &thread.process;
        user_range(entry, 4)?;
        user_range(stack, 0)?;
        if !entry.is_multiple_of(4) || !stack.is_multiple_of(16) {
            return Err(Errno::INVAL.into());
        }
        {
            let mut threads = process.threads.lock();
            if threads.list.len() >= process.limits.lock().threads {
                return Err(Errno::AGAIN.into());
            }
            if threads.ending.is_some() {
                return Err(Stop::Exit);
            }
            threads.reserve()?;
        }
        self.reserve_thread()?;
        let start = Start { entry: VirtAddr::new(entry), stack: VirtAddr::new(stack), argument, tls };
        let signals = ThreadSignals::new(thread.signals.lock().mask());
        Ok(u64::from(self.start_thread(process, start, signals)))
    }

    pub(super) fn thread_exit(&self, thread: &Arc<Thread<M>>, clear: u64) -> CallResult {
        if clear != 0 {
            user_range(clear, 4)?;
            if !clear.is_multiple_of(4) {
                return Err(Errno::INVAL.into());
            }
            self.machine.store_u32(VirtAddr::new(clear), 0).map_err(crate::wait::write_fault)?;
            self.wake(self.futex_key(thread, clear), 1);
        }
        Err(Stop::Exit)
    }

    pub(super) fn wait(
        &self,
        thread: &Arc<Thread<M>>,
        pid: u64,
        flags: u32,
        record: u64,
        timeout_ns: u64,
    ) -> CallResult {
        if flags & !(WAIT_NO_HANG | WAIT_UNTRACED | WAIT_CONTINUED | WAIT_TIMEOUT) != 0 {
            return Err(Errno::INVAL.into());
        }
        let parent = thread.process.pid;
        let low = u32::try_from(pid & !PID_GROUP).map_err(|_| Errno::CHILD)?;
        let wanted = match pid {
            WAIT_ANY => Wanted::Any,
            _ if pid & PID_GROUP != 0 => Wanted::Group(low),
            _ => Wanted::Child(low),
        };
        loop {
            let found = {
                let processes = self.processes.lock();
                match processes.seek(parent, wanted, flags) {
                    Sought::Nobody => return Err(Errno::CHILD.into()),
                    Sought::News(news) => news,
                    Sought::None if flags & WAIT_NO_HANG != 0 => return Ok(0),
                    Sought::None if flags & WAIT_TIMEOUT != 0 && self.time_is_up(thread, timeout_ns) => {
                        return Err(Errno::TIMEDOUT.into());
                    }
                    Sought::None => return Err(self.wait_for(thread, WaitKey::Child { parent })),
                }
            };
            if record != 0 {
                self.write_record(record, size_of::<ExitRecord>() as u64, &found)?;
            }
            // Another thread of the parent may have been faster; then look again.
            let taken = self.processes.lock().take_news(parent, &found);
            match taken {
                Some(Some(usage)) => thread.process.usage.add_child(&usage),
                Some(None) => {}
                None => continue,
            }
            return Ok(u64::from(found.pid));
        }
    }
}

/// The limits that a record asks for below `own`.
pub(crate) fn limits_of(args: &SpawnArgs, own: Limits) -> Limits {
    Limits {
        memory: lowered(args.memory_limit, own.memory),
        handles: lowered(args.handle_limit as usize, own.handles),
        threads: lowered(args.thread_limit as usize, own.threads),
        cpu_ns: lowered(args.cpu_limit_ns, own.cpu_ns),
    }
}

/// A limit from a spawn: 0 = the parent's, and never above it.
fn lowered<T: Ord + Default>(wanted: T, own: T) -> T {
    if wanted == T::default() { own } else { wanted.min(own) }
}
