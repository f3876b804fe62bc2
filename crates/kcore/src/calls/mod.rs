//! The table of calls: each goes to the file of its subject.

mod authority;
mod counters;
mod endpoints;
mod files;
mod futex;
mod handles;
mod limits;
mod log;
mod memory;
mod names;
mod objects;
mod open;
mod paths;
mod pipes;
mod poll;
mod process;
mod ready;
mod signals;
mod sockets;
mod system;
mod threads;
mod writes;

pub(crate) use files::{ENTRIES_MAX, push_entry};
pub(crate) use memory::{Over, area_errno};
pub(crate) use paths::{Climbing, Passed, Which};
pub(crate) use process::limits_of;
pub(crate) use signals::refused_errno;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use swos_abi::{CLOSE_ON_EXEC, Call, Errno, Handle, OpenFlags, Rights};
use swos_handles::{Grant, Lease, OnExec};
use swos_signals::Groups;
use swos_sync::CpuToken;

use self::writes::Way;
use crate::{
    Kernel, Machine,
    object::Object,
    thread::Thread,
    wait::{CallResult, Stop},
};

/// Marks a socket or a pipe as being read, until it is dropped.
struct Reading<'a>(&'a AtomicBool);

impl<'a> Reading<'a> {
    fn start(flag: &'a AtomicBool) -> Result<Self, Stop> {
        if flag.swap(true, Ordering::Acquire) { Err(Stop::AGAIN) } else { Ok(Self(flag)) }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<M: Machine> Kernel<M> {
    /// Tries a call that was just made. Those that programs make all the time are found at once, with their arguments still in
    /// registers; decoding the others costs some thirty instructions more.
    #[inline(always)]
    pub(crate) fn first_try(
        &self,
        cpu: &CpuToken,
        thread: &Arc<Thread<M>>,
        number: u64,
        [a, b, c, d, e, f]: [u64; 6],
    ) -> CallResult {
        match number {
            swos_abi::NR_YIELD => self.yield_now(cpu),
            swos_abi::NR_READ => self.read(thread, Handle(a), b, c),
            swos_abi::NR_WRITE => self.write(thread, Handle(a), b, c),
            swos_abi::NR_PREAD => self.pread(thread, Handle(a), b, c, d),
            swos_abi::NR_CLOSE => self.close(thread, Handle(a)),
            swos_abi::NR_ENDPOINT_CALL => self.endpoint_call(Some(cpu), thread, Handle(a), b, c, d),
            swos_abi::NR_ENDPOINT_REPLY_RECEIVE => {
                self.endpoint_reply_receive(Some(cpu), thread, Handle(a), b, c, d, e)
            }
            swos_abi::NR_READY_WAIT => self.ready_wait(thread, Handle(a), b, c, d),
            swos_abi::NR_OPEN => self.open(thread, Handle(a), (b, c), word(d)?, word(e)?),
            swos_abi::NR_STAT => self.stat(thread, Handle(a), b, c, word(d)?, e, f),
            swos_abi::NR_FUTEX_WAIT => self.futex_wait(thread, a, word(b)?, c, word(d)?),
            swos_abi::NR_FUTEX_WAKE => self.futex_wake(thread, a, word(b)?, word(c)?),
            _ => self.decode_and_try(cpu, thread, number, a, b, c, d, e, f),
        }
    }

    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "six are the call's")]
    fn decode_and_try(
        &self,
        cpu: &CpuToken,
        thread: &Arc<Thread<M>>,
        number: u64,
        a: u64,
        b: u64,
        c: u64,
        d: u64,
        e: u64,
        f: u64,
    ) -> CallResult {
        self.perform(cpu, thread, &Call::decode(number, [a, b, c, d, e, f])?)
    }

    /// Performs a call of `thread`, which runs on this CPU with its address space selected.
    ///
    /// Not inlined: its caller tries in a loop, and the compiler would compute before it what any of the calls might need.
    #[inline(never)]
    pub(crate) fn perform(&self, cpu: &CpuToken, thread: &Arc<Thread<M>>, call: &Call) -> CallResult {
        match *call {
            Call::AbiVersion {} => Ok(u64::from(swos_abi::ABI_VERSION)),
            Call::Exit { status } => Err(self.exit(thread, status)),
            Call::Getpid {} => Ok(u64::from(thread.process.pid)),
            Call::Spawn { args, size } => self.spawn(thread, args, size),
            Call::Wait { pid, flags, record, timeout_ns } => {
                self.wait(thread, pid, flags, record, timeout_ns)
            }
            Call::Kill { pid, signal } => self.kill(thread, pid, signal),
            Call::Exec { args, size } => self.exec(thread, args, size),
            Call::Fork {} => self.fork(thread),
            Call::ThreadCreate { entry, stack, argument, tls } => {
                self.thread_create(thread, entry, stack, argument, tls)
            }
            Call::ThreadName { name, length } => self.thread_name(thread, name, length),
            Call::ThreadInfo { pid, tid, record, size } => self.thread_info(thread, pid, tid, record, size),
            Call::ThreadExit { clear } => self.thread_exit(thread, clear),
            Call::Gettid {} => Ok(u64::from(thread.tid)),
            Call::Yield {} => self.yield_now(cpu),
            Call::FutexWait { address, expected, timeout_ns, bitset } => {
                self.futex_wait(thread, address, expected, timeout_ns, bitset)
            }
            Call::FutexWake { address, count, bitset } => self.futex_wake(thread, address, count, bitset),
            Call::ClockGet { clock } => self.clock_get(clock),
            Call::Sleep { duration_ns } => self.sleep(thread, duration_ns),
            Call::ThreadPriority { priority } => Self::thread_priority(thread, priority),
            Call::Mmap { address, length, protection, flags, handle, offset } => {
                self.begin_change(thread)?;
                let result = self.mmap(thread, address, length, protection, flags, handle, offset);
                self.end_change(thread, result)
            }
            Call::Munmap { address, length } => {
                self.begin_change(thread)?;
                let result = self.munmap(thread, address, length);
                self.end_change(thread, result)
            }
            Call::Mprotect { address, length, protection } => {
                self.begin_change(thread)?;
                let result = self.mprotect(thread, address, length, protection);
                self.end_change(thread, result)
            }
            Call::MemoryCreate { size, flags } => self.memory_create(thread, size, flags),
            Call::MemoryResize { object, size } => self.memory_resize(thread, object, size),
            Call::MemoryAdvise { address, length, advice } => {
                self.begin_change(thread)?;
                let result = self.memory_advise(thread, address, length, advice);
                self.end_change(thread, result)
            }
            Call::FutexRequeue { address, expected, wake, target, requeue } => {
                self.futex_requeue(thread, address, expected, (wake, requeue), target)
            }
            Call::FutexWaitUntil { address, expected, deadline_ns, bitset } => {
                self.futex_wait_until(thread, address, expected, deadline_ns, bitset)
            }
            Call::Open { directory, path, path_len, flags, mode } => {
                self.open(thread, directory, (path, path_len), flags, mode)
            }
            Call::Read { handle, buffer, length } => {
                let begin = || self.read(thread, handle, buffer, length);
                self.go_on_at_pipe(thread, buffer, length).unwrap_or_else(begin)
            }
            Call::Write { handle, buffer, length } => self.write(thread, handle, buffer, length),
            Call::Pread { handle, buffer, length, offset } => {
                self.pread(thread, handle, buffer, length, offset)
            }
            Call::Pwrite { handle, buffer, length, offset } => {
                self.pwrite(thread, handle, buffer, length, offset)
            }
            Call::Close { handle } => self.close(thread, handle),
            Call::Seek { handle, offset, whence } => self.seek(thread, handle, offset, whence),
            Call::Fstat { handle, record, size } => self.fstat(thread, handle, record, size),
            Call::Stat { directory, path, path_len, flags, record, size } => {
                self.stat(thread, directory, path, path_len, flags, record, size)
            }
            Call::Readdir { handle, buffer, length } => self.readdir(thread, handle, buffer, length),
            Call::Poll { items, count, timeout_ns } => self.poll(thread, items, count, timeout_ns),
            Call::Sendfile { to, file, offset, length, head, head_len } => {
                self.sendfile(cpu.index(), thread, to, file, (offset, length), (head, head_len))
            }
            Call::HandleDuplicate { handle, rights, flags } => {
                self.handle_duplicate(thread, handle, rights, flags)
            }
            Call::HandleRights { handle } => self.handle_rights(thread, handle),
            Call::HandleRestrict { handle, rights } => self.handle_restrict(thread, handle, rights),
            Call::HandleNonblock { handle, nonblock } => self.handle_nonblock(thread, handle, nonblock),
            Call::Chdir { directory, path, path_len } => self.chdir(thread, directory, path, path_len),
            Call::Readlink { directory, path, path_len, buffer, length } => {
                self.readlink(thread, directory, path, path_len, buffer, length)
            }
            Call::HandleDuplicateTo { handle, target, rights, flags } => {
                self.handle_duplicate_to(thread, handle, target, rights, flags)
            }
            Call::HandleFlags { handle } => Self::handle_flags(thread, handle),
            Call::SetSize { handle, size } => self.set_size(thread, handle, size),
            Call::Sync { handle } => Self::sync(thread, handle),
            Call::SetMode { directory, path, path_len, flags, mode } => {
                self.set_mode(thread, directory, (path, path_len), flags, mode)
            }
            Call::SetOwner { directory, path, path_len, flags, owner } => {
                self.set_owner(thread, directory, (path, path_len), flags, owner)
            }
            Call::SetTimes { directory, path, path_len, flags, times, size } => {
                self.set_times(thread, directory, (path, path_len), flags, (times, size))
            }
            Call::Mkdir { directory, path, path_len, mode } => {
                self.mkdir(thread, directory, (path, path_len), mode)
            }
            Call::Unlink { directory, path, path_len, flags } => {
                self.unlink(thread, directory, (path, path_len), flags)
            }
            Call::Rename { from_directory, from, from_len, to_directory, to, to_len } => {
                self.rename(thread, (from_directory, (from, from_len)), (to_directory, (to, to_len)))
            }
            Call::Link { from_directory, from, from_len, to_directory, to, to_len } => {
                self.link(thread, (from_directory, (from, from_len)), (to_directory, (to, to_len)))
            }
            Call::Symlink { target, target_len, directory, path, path_len } => {
                self.symlink(thread, (target, target_len), directory, (path, path_len))
            }
            Call::Mkfifo { directory, path, path_len, mode } => {
                self.mkfifo(thread, directory, (path, path_len), mode)
            }
            Call::Getcwd { buffer, length } => self.getcwd(thread, buffer, length),
            Call::Readv { handle, pieces, count } => self.vector(thread, handle, (pieces, count), Way::Read),
            Call::Writev { handle, pieces, count } => {
                self.vector(thread, handle, (pieces, count), Way::Write)
            }
            Call::FileSystemInfoOf { directory, path, path_len, record, size } => {
                self.file_system_info(thread, directory, (path, path_len), record, size)
            }
            Call::HandleSetFlags { handle, mask, flags } => {
                Self::handle_set_flags(thread, handle, mask, flags)
            }
            Call::Pipe { ends, size, flags } => self.pipe(thread, ends, size, flags),
            Call::Socket { domain, kind } => self.socket(thread, domain, kind),
            Call::Bind { socket, address, size } => self.bind(thread, socket, address, size),
            Call::Listen { socket, backlog } => self.listen(thread, socket, backlog),
            Call::Accept { socket, address, size, flags } => {
                self.accept(thread, socket, address, size, flags)
            }
            Call::Connect { socket, address, size } => {
                self.connect(cpu.index(), thread, socket, address, size)
            }
            Call::SendTo { socket, buffer, length, address, size, flags } => {
                self.send_to(cpu.index(), thread, socket, buffer, length, (address, size), flags)
            }
            Call::ReceiveFrom { socket, buffer, length, address, size, flags } => {
                self.receive_from(thread, socket, buffer, length, (address, size), flags)
            }
            Call::Shutdown { socket, how } => self.shutdown(cpu.index(), thread, socket, how),
            Call::SocketOptionSet { socket, option, value } => {
                self.socket_option_set(thread, socket, option, value)
            }
            Call::SocketOptionGet { socket, option } => self.socket_option_get(thread, socket, option),
            Call::SocketAddressOf { socket, peer, address, size } => {
                self.socket_address(thread, socket, peer, address, size)
            }
            Call::ReadyCreate { flags } => self.ready_create(thread, flags),
            Call::ReadyControl { set, operation, handle, event } => {
                self.ready_control(thread, set, operation, handle, event)
            }
            Call::ReadyWait { set, events, capacity, timeout_ns } => {
                self.ready_wait(thread, set, events, capacity, timeout_ns)
            }
            Call::EventCreate { initial, flags } => self.event_create(thread, initial, flags),
            Call::EventAdd { event, value } => self.event_add(thread, event, value),
            Call::CounterTake { counter, timeout_ns } => self.counter_take(thread, counter, timeout_ns),
            Call::SocketPair { kind, ends, size } => self.socket_pair(thread, kind, ends, size),
            Call::TimerCreate { flags } => self.timer_create(thread, flags),
            Call::TimerSet { timer, first_ns, period_ns, flags } => {
                self.timer_set(thread, timer, first_ns, period_ns, flags)
            }
            Call::EndpointCreate { config, config_size, ends, size } => {
                self.endpoint_create(thread, config, config_size, ends, size)
            }
            Call::EndpointMint { sender, badge, flags } => self.endpoint_mint(thread, sender, badge, flags),
            Call::EndpointSend { sender, message, timeout_ns } => {
                self.endpoint_send(thread, sender, message, timeout_ns)
            }
            Call::EndpointReceive { receiver, into, timeout_ns } => {
                let begin = || self.endpoint_receive(thread, receiver, into, timeout_ns);
                self.go_on_at_endpoint(thread, timeout_ns).unwrap_or_else(begin)
            }
            Call::EndpointCall { sender, message, into, timeout_ns } => {
                let begin = || self.endpoint_call(None, thread, sender, message, into, timeout_ns);
                self.go_on_at_endpoint(thread, timeout_ns).unwrap_or_else(begin)
            }
            Call::EndpointReply { receiver, token, message } => {
                self.endpoint_reply(thread, receiver, token, message)
            }
            Call::EndpointReplyReceive { receiver, token, message, into, timeout_ns } => {
                let begin =
                    || self.endpoint_reply_receive(None, thread, receiver, token, message, into, timeout_ns);
                self.go_on_at_endpoint(thread, timeout_ns).unwrap_or_else(begin)
            }
            Call::EndpointHangUp { receiver } => self.endpoint_hang_up(thread, receiver),
            Call::LogWrite { level, buffer, length } => self.log_write(thread, level, buffer, length),
            Call::LogRead { cursor, buffer, length } => {
                self.log_export(thread, cursor, buffer, length, swos_abi::LOG_TEXT)
            }
            Call::Random { buffer, length } => self.random_bytes(buffer, length),
            Call::SystemInfo { record, size } => self.system_info(record, size),
            Call::ProcessInfo { pid, record, size } => self.process_info(thread, pid, record, size),
            Call::NetConfigure { config, size } => self.net_configure(cpu.index(), thread, config, size),
            Call::Power { action } => self.power(thread, action),
            Call::SecurityInfo { record, size } => self.security_info(thread, record, size),
            Call::LimitsGet { record, size } => self.limits_get(thread, record, size),
            Call::LimitsSet { record, size } => self.limits_set(thread, record, size),
            Call::Usage { record, size } => self.usage(cpu, thread, record, size),
            Call::CapabilitiesDrop { keep } => Self::capabilities_drop(thread, keep),
            Call::Login { principal, capabilities } => self.login(thread, principal, capabilities),
            Call::Confine { directory, path, path_len } => self.confine(thread, directory, path, path_len),
            Call::HandleLend { handle, rights, flags } => self.handle_lend(thread, handle, rights, flags),
            Call::LogExport { cursor, buffer, length, format } => {
                self.log_export(thread, cursor, buffer, length, format)
            }
            Call::LogRecord { level, text, length, fields, fields_length } => {
                self.log_record(thread, level, (text, length), (fields, fields_length))
            }
            Call::LogFilter { level, source, length } => self.log_filter(thread, level, source, length),
            Call::HandleRevoke { handle } => self.handle_revoke(thread, handle),
            Call::SignalAction { signal, action, old, size } => {
                self.signal_action(thread, signal, action, old, size)
            }
            Call::SignalMask { how, set } => self.signal_mask(thread, how, set),
            Call::SignalReturn { frame } => self.signal_return(thread, frame),
            Call::SignalStack { stack, old, size } => self.signal_stack(thread, stack, old, size),
            Call::SignalPending {} => Self::signal_pending(thread),
            Call::SignalSuspend { mask } => self.signal_suspend(thread, mask),
            Call::SignalWait { set, info, size, timeout_ns } => {
                self.signal_wait(thread, set, info, size, timeout_ns)
            }
            Call::ThreadKill { tid, signal } => self.thread_kill(thread, tid, signal),
            Call::SignalQueue { pid, signal, value } => self.signal_queue(thread, pid, signal, value),
            Call::Setpgid { pid, group } => self.setpgid(thread, pid, group),
            Call::Getpgid { pid } => self.place_of(thread, pid, Groups::group_of),
            Call::Setsid {} => self.setsid(thread),
            Call::Getsid { pid } => self.place_of(thread, pid, Groups::session_of),
        }
    }

    /// The object behind a handle that has the needed rights.
    pub(crate) fn object(thread: &Thread<M>, handle: Handle, needed: Rights) -> Result<Object<M>, Stop> {
        let handles = thread.process.handles.lock();
        let (object, lease) = handles.get_leased(handle, needed).map_err(handle_errno)?;
        Self::counted(thread, object, lease)
    }

    /// An object for a call to use, which goes on to be had by a loan, if it is.
    #[inline]
    pub(crate) fn counted(
        thread: &Thread<M>,
        object: &Object<M>,
        lease: Option<&Lease>,
    ) -> Result<Object<M>, Stop> {
        if let Some(lease) = lease {
            thread.progress.lock().uses(lease)?;
        }
        Ok(object.clone())
    }

    /// The same, and the loan that the handle ends with.
    pub(crate) fn leased_object(
        thread: &Thread<M>,
        handle: Handle,
        needed: Rights,
    ) -> Result<(Object<M>, Option<Lease>), Stop> {
        let handles = thread.process.handles.lock();
        let (object, lease) = handles.get_leased(handle, needed).map_err(handle_errno)?;
        let lease = match lease {
            None => None,
            Some(lease) => {
                thread.progress.lock().uses(lease)?;
                Some(lease.clone())
            }
        };
        Ok((object.clone(), lease))
    }

    /// Opens handles to two new objects and tells their numbers, or drops both objects.
    pub(crate) fn install_two(
        &self,
        thread: &Thread<M>,
        objects: [(Object<M>, Rights); 2],
        on_exec: OnExec,
        tell: impl FnOnce([Handle; 2]) -> Result<(), Stop>,
    ) -> CallResult {
        let [(first, first_rights), (second, second_rights)] = objects;
        let first = match self.install_as(thread, first, first_rights, None, on_exec) {
            Ok(handle) => Handle(handle),
            Err(stop) => {
                self.close_object(second);
                return Err(stop);
            }
        };
        let made = self.install_as(thread, second, second_rights, None, on_exec).and_then(|second| {
            let second = Handle(second);
            // The place was writable just now. If another thread unmapped it since, both go, and this is done again or fails.
            tell([first, second]).inspect_err(|_| {
                self.close_handle(thread, second);
            })
        });
        match made {
            Ok(()) => Ok(0),
            Err(stop) => {
                self.close_handle(thread, first);
                Err(stop)
            }
        }
    }

    /// Closes a handle that was opened just now.
    fn close_handle(&self, thread: &Thread<M>, handle: Handle) {
        let closed = thread.process.handles.lock().close(handle);
        if let Ok(object) = closed {
            self.close_object(object);
        }
    }

    /// Opens a handle to a new object, or drops the object. One that was reached by a loan ends with it; `on_exec` is what
    /// becomes of the handle when its process starts another program in its own place.
    pub(crate) fn install_as(
        &self,
        thread: &Thread<M>,
        object: Object<M>,
        rights: Rights,
        lease: Option<Lease>,
        on_exec: OnExec,
    ) -> CallResult {
        if let Err(errno) = self.room_for_objects() {
            self.close_object(object);
            return Err(errno.into());
        }
        self.install_in_room(thread, object, rights, lease, on_exec)
    }

    /// The same when there is room for objects, as was found already.
    #[inline(always)]
    pub(crate) fn install_in_room(
        &self,
        thread: &Thread<M>,
        object: Object<M>,
        rights: Rights,
        lease: Option<Lease>,
        on_exec: OnExec,
    ) -> CallResult {
        let accepted = {
            let mut handles = thread.process.handles.lock();
            let accepted = handles.accept(Grant::new(object, rights).under(lease));
            if on_exec != OnExec::Keep
                && let Ok(handle) = accepted
            {
                handles.set_on_exec(handle, on_exec).map_err(handle_errno)?;
            }
            accepted
        };
        accepted.map(|handle| handle.0).map_err(|refused| {
            self.close_object(refused.grant.into_object());
            handle_errno(refused.error).into()
        })
    }
}

/// What flags say about a handle when its process starts another program in its own place.
const fn on_exec(flags: OpenFlags) -> OnExec {
    if flags.contains(OpenFlags::CLOSE_ON_EXEC) { OnExec::Close } else { OnExec::Keep }
}

/// The same in the flags of a call that makes something else.
const fn on_exec_of(flags: u32) -> OnExec {
    if flags & CLOSE_ON_EXEC != 0 { OnExec::Close } else { OnExec::Keep }
}

/// The same in the flags of a call that takes no other.
fn only_on_exec(flags: u32) -> Result<OnExec, Stop> {
    if flags & !CLOSE_ON_EXEC == 0 { Ok(on_exec_of(flags)) } else { Err(Errno::INVAL.into()) }
}

/// An argument that is a u32, as `Call::decode` takes it.
fn word(raw: u64) -> Result<u32, Stop> {
    u32::try_from(raw).map_err(|_| Errno::INVAL.into())
}

/// What a program is told about a refused handle.
pub(crate) const fn handle_errno(error: swos_handles::Error) -> Errno {
    match error {
        swos_handles::Error::BadHandle => Errno::BADF,
        swos_handles::Error::MissingRights | swos_handles::Error::Revoked => Errno::ACCES,
        swos_handles::Error::Full => Errno::MFILE,
        swos_handles::Error::NoMemory => Errno::NOMEM,
        swos_handles::Error::SlotTaken => Errno::EXIST,
        swos_handles::Error::TooDeep => Errno::LOOP,
    }
}
