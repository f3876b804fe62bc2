//! Processes and threads.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use swos_abi::{
    Capabilities, Errno, ExitRecord, Handle, PID_GROUP, Rights, SpawnArgs, WAIT_ANY, WAIT_CONTINUED,
    WAIT_NO_HANG, WAIT_TIMEOUT, WAIT_UNTRACED,
};
use swos_sched::Enter;
use swos_signals::ThreadSignals;
use swos_units::VirtAddr;
use swos_vfs::{Access, VnodeId};

use crate::{
    Kernel, Machine,
    account::Account,
    family::{Place, Sought, Wanted},
    machine::Start,
    object::Object,
    process::{Limits, NAME_LEN, Process},
    thread::{Phase, Registered, Thread},
    user::{PathBytes, user_range},
    wait::{ANY_BITS, CallResult, Stop, WaitKey},
};

impl<M: Machine> Kernel<M> {
    pub(super) fn exit(&self, thread: &Arc<Thread<M>>, status: i32) -> Stop {
        let record = ExitRecord { code: status, ..ExitRecord::default() };
        self.end_process(&thread.process, record);
        Stop::EXIT
    }

    /// The program's file and the name that the process will have.
    pub(crate) fn program(
        &self,
        thread: &Arc<Thread<M>>,
        args: &SpawnArgs,
    ) -> Result<(VnodeId, [u8; NAME_LEN]), Stop> {
        let mut name = [0; NAME_LEN];
        let mut room = PathBytes::new();
        let path = self.read_path((args.path, args.path_len), &mut room)?;
        let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        for (to, from) in name.iter_mut().zip(last.iter().take(NAME_LEN - 1)) {
            *to = *from;
        }
        let vnode = if args.program == Handle::NONE {
            if !thread.process.has(Capabilities::FS_READ) {
                return Err(Errno::ACCES.into());
            }
            self.resolve_program(thread, path)?
        } else {
            let Object::File(file) = Self::object(thread, args.program, Rights::EXECUTE)? else {
                return Err(Errno::ACCES.into());
            };
            file.open.lock().open.vnode
        };
        self.check_access(thread, vnode, Access::Execute)?;
        Ok((vnode, name))
    }

    /// Counts one more thread and makes room for it in every run queue, so that no wake-up ever needs memory.
    pub(crate) fn reserve_thread(&self) -> Result<(), Errno> {
        self.room_for_objects()?;
        let threads = self.threads_alive.fetch_add(1, Ordering::Relaxed) as usize + 1;
        for cpu in &self.cpus {
            if cpu.queue.lock().reserve(threads).is_err() {
                self.forget_thread();
                return Err(Errno::NOMEM);
            }
        }
        Ok(())
    }

    /// Counts one thread less that [`reserve_thread`](Self::reserve_thread) counted. Run queues give room back when a crowd has
    /// halved.
    #[inline]
    pub(crate) fn forget_thread(&self) {
        let left = self.threads_alive.fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
        if left.is_power_of_two() {
            self.give_back_queues();
        }
    }

    #[cold]
    fn give_back_queues(&self) {
        for cpu in &self.cpus {
            let mut queue = cpu.queue.lock();
            // With the queue locked: whoever has been counted and is not among these makes its room after us.
            let threads = self.threads_alive.load(Ordering::Relaxed) as usize;
            queue.give_back(threads);
        }
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
                return Err(Stop::EXIT);
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
        Err(Stop::EXIT)
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
        let mut place = Place::unpack(thread.progress.done());
        loop {
            let found = {
                let processes = self.processes.lock();
                let begins = place == Place::START;
                match processes.seek(parent, wanted, flags, &mut place) {
                    Sought::Nobody => return Err(Errno::CHILD.into()),
                    Sought::News(news) => news,
                    Sought::NotYet => {
                        if begins {
                            self.register(thread, WaitKey::Child { parent }, ANY_BITS)?;
                        }
                        thread.progress.note(place.pack(), 0, Registered::Stays);
                        return Err(Stop::AGAIN);
                    }
                    Sought::None if flags & WAIT_NO_HANG != 0 => return Ok(0),
                    Sought::None if flags & WAIT_TIMEOUT != 0 && self.time_is_up(thread, timeout_ns) => {
                        return Err(Errno::TIMEDOUT.into());
                    }
                    Sought::None if begins => return Err(self.wait_for(thread, WaitKey::Child { parent })),
                    Sought::None => {
                        thread.progress.note(0, 0, Registered::TakenBack);
                        return Err(Stop::WAIT);
                    }
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
