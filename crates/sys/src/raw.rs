//! One stub per call, in the order and with the argument types of [`swos_abi::CALLS`].

use swos_abi::{Errno, Handle, result_from_raw};

use crate::svc::{svc0, svc1, svc2, svc3, svc4, svc5, svc6};

/// An argument type: how it goes into a register.
trait IntoRegister {
    fn into_register(self) -> u64;
}

impl IntoRegister for u64 {
    #[inline(always)]
    fn into_register(self) -> u64 {
        self
    }
}

impl IntoRegister for i64 {
    #[inline(always)]
    fn into_register(self) -> u64 {
        self.cast_unsigned()
    }
}

impl IntoRegister for u32 {
    #[inline(always)]
    fn into_register(self) -> u64 {
        u64::from(self)
    }
}

impl IntoRegister for i32 {
    #[inline(always)]
    fn into_register(self) -> u64 {
        i64::from(self).cast_unsigned()
    }
}

impl IntoRegister for Handle {
    #[inline(always)]
    fn into_register(self) -> u64 {
        self.0
    }
}

macro_rules! stubs {
    ($($number:ident $name:ident($($arg:ident: $type:ident),*);)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: see [`swos_abi::", stringify!($number), "`].")]
            ///
            /// # Errors
            ///
            /// What the kernel answers.
            ///
            /// # Safety
            ///
            /// Each address names memory that the call may read or write as its row of the table says, and nobody
            /// else uses it in a way that this would break.
            #[inline(always)]
            pub unsafe fn $name($($arg: $type),*) -> Result<u64, Errno> {
                // SAFETY: the caller vouches for the addresses.
                result_from_raw(unsafe { stubs!(@svc swos_abi::$number; $($arg)*) })
            }
        )*

        /// Name and argument types of every stub, to be compared with the table.
        pub const STUBS: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($type)),*])),*];
    };
    (@svc $n:expr;) => { svc0($n) };
    (@svc $n:expr; $a:ident) => { svc1($n, $a.into_register()) };
    (@svc $n:expr; $a:ident $b:ident) => { svc2($n, $a.into_register(), $b.into_register()) };
    (@svc $n:expr; $a:ident $b:ident $c:ident) => {
        svc3($n, $a.into_register(), $b.into_register(), $c.into_register())
    };
    (@svc $n:expr; $a:ident $b:ident $c:ident $d:ident) => {
        svc4($n, $a.into_register(), $b.into_register(), $c.into_register(), $d.into_register())
    };
    (@svc $n:expr; $a:ident $b:ident $c:ident $d:ident $e:ident) => {
        svc5(
            $n, $a.into_register(), $b.into_register(), $c.into_register(), $d.into_register(), $e.into_register(),
        )
    };
    (@svc $n:expr; $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident) => {
        svc6(
            $n, $a.into_register(), $b.into_register(), $c.into_register(), $d.into_register(), $e.into_register(),
            $f.into_register(),
        )
    };
}

stubs! {
    NR_ABI_VERSION abi_version();
    NR_EXIT exit(status: i32);
    NR_GETPID getpid();
    NR_SPAWN spawn(args: u64, size: u64);
    NR_WAIT wait(pid: u64, flags: u32, record: u64, timeout_ns: u64);
    NR_KILL kill(pid: u64, signal: u32);
    NR_FORK fork();
    NR_EXEC exec(args: u64, size: u64);
    NR_THREAD_CREATE thread_create(entry: u64, stack: u64, argument: u64, tls: u64);
    NR_THREAD_EXIT thread_exit(clear: u64);
    NR_GETTID gettid();
    NR_YIELD yield_now();
    NR_FUTEX_WAIT futex_wait(address: u64, expected: u32, timeout_ns: u64, bitset: u32);
    NR_FUTEX_WAKE futex_wake(address: u64, count: u32, bitset: u32);
    NR_CLOCK_GET clock_get(clock: u32);
    NR_SLEEP sleep(duration_ns: u64);
    NR_THREAD_PRIORITY thread_priority(priority: u32);
    NR_THREAD_NAME thread_name(name: u64, length: u64);
    NR_THREAD_INFO thread_info(pid: u64, tid: u32, record: u64, size: u64);
    NR_MMAP mmap(address: u64, length: u64, protection: u32, flags: u32, handle: Handle, offset: u64);
    NR_MUNMAP munmap(address: u64, length: u64);
    NR_MPROTECT mprotect(address: u64, length: u64, protection: u32);
    NR_MEMORY_CREATE memory_create(size: u64, flags: u32);
    NR_MEMORY_RESIZE memory_resize(object: Handle, size: u64);
    NR_MEMORY_ADVISE memory_advise(address: u64, length: u64, advice: u32);
    NR_FUTEX_REQUEUE futex_requeue(address: u64, expected: u32, wake: u32, target: u64, requeue: u32);
    NR_FUTEX_WAIT_UNTIL futex_wait_until(address: u64, expected: u32, deadline_ns: u64, bitset: u32);
    NR_OPEN open(directory: Handle, path: u64, path_len: u64, flags: u32, mode: u32);
    NR_READ read(handle: Handle, buffer: u64, length: u64);
    NR_WRITE write(handle: Handle, buffer: u64, length: u64);
    NR_PREAD pread(handle: Handle, buffer: u64, length: u64, offset: u64);
    NR_PWRITE pwrite(handle: Handle, buffer: u64, length: u64, offset: u64);
    NR_CLOSE close(handle: Handle);
    NR_SEEK seek(handle: Handle, offset: i64, whence: u32);
    NR_FSTAT fstat(handle: Handle, record: u64, size: u64);
    NR_STAT stat(directory: Handle, path: u64, path_len: u64, flags: u32, record: u64, size: u64);
    NR_READDIR readdir(handle: Handle, buffer: u64, length: u64);
    NR_POLL poll(items: u64, count: u64, timeout_ns: u64);
    NR_SENDFILE sendfile(to: Handle, file: Handle, offset: u64, length: u64, head: u64, head_len: u64);
    NR_HANDLE_DUPLICATE handle_duplicate(handle: Handle, rights: u32, flags: u32);
    NR_HANDLE_RIGHTS handle_rights(handle: Handle);
    NR_HANDLE_RESTRICT handle_restrict(handle: Handle, rights: u32);
    NR_HANDLE_NONBLOCK handle_nonblock(handle: Handle, nonblock: u32);
    NR_CHDIR chdir(directory: Handle, path: u64, path_len: u64);
    NR_READLINK readlink(directory: Handle, path: u64, path_len: u64, buffer: u64, length: u64);
    NR_PIPE pipe(ends: u64, size: u64, flags: u32);
    NR_HANDLE_DUPLICATE_TO handle_duplicate_to(handle: Handle, target: Handle, rights: u32, flags: u32);
    NR_SOCKET socket(domain: u32, kind: u32);
    NR_BIND bind(socket: Handle, address: u64, size: u64);
    NR_LISTEN listen(socket: Handle, backlog: u32);
    NR_ACCEPT accept(socket: Handle, address: u64, size: u64, flags: u32);
    NR_CONNECT connect(socket: Handle, address: u64, size: u64);
    NR_SEND_TO send_to(socket: Handle, buffer: u64, length: u64, address: u64, size: u64, flags: u32);
    NR_RECEIVE_FROM receive_from(socket: Handle, buffer: u64, length: u64, address: u64, size: u64, flags: u32);
    NR_SHUTDOWN shutdown(socket: Handle, how: u32);
    NR_SOCKET_OPTION_SET socket_option_set(socket: Handle, option: u32, value: u64);
    NR_SOCKET_OPTION_GET socket_option_get(socket: Handle, option: u32);
    NR_SOCKET_ADDRESS socket_address(socket: Handle, peer: u32, address: u64, size: u64);
    NR_EVENT_CREATE event_create(initial: u64, flags: u32);
    NR_EVENT_ADD event_add(event: Handle, value: u64);
    NR_COUNTER_TAKE counter_take(counter: Handle, timeout_ns: u64);
    NR_SOCKET_PAIR socket_pair(kind: u32, ends: u64, size: u64);
    NR_READY_CREATE ready_create(flags: u32);
    NR_READY_CONTROL ready_control(set: Handle, operation: u32, handle: Handle, event: u64);
    NR_READY_WAIT ready_wait(set: Handle, events: u64, capacity: u64, timeout_ns: u64);
    NR_TIMER_CREATE timer_create(flags: u32);
    NR_TIMER_SET timer_set(timer: Handle, first_ns: u64, period_ns: u64, flags: u32);
    NR_LOG_WRITE log_write(level: u32, buffer: u64, length: u64);
    NR_LOG_READ log_read(cursor: u64, buffer: u64, length: u64);
    NR_RANDOM random(buffer: u64, length: u64);
    NR_SYSTEM_INFO system_info(record: u64, size: u64);
    NR_PROCESS_INFO process_info(pid: u64, record: u64, size: u64);
    NR_NET_CONFIGURE net_configure(config: u64, size: u64);
    NR_POWER power(action: u32);
    NR_SECURITY_INFO security_info(record: u64, size: u64);
    NR_CAPABILITIES_DROP capabilities_drop(keep: u64);
    NR_LOGIN login(principal: u32, capabilities: u64);
    NR_CONFINE confine(directory: Handle, path: u64, path_len: u64);
    NR_HANDLE_LEND handle_lend(handle: Handle, rights: u32, flags: u32);
    NR_HANDLE_REVOKE handle_revoke(handle: Handle);
    NR_LOG_EXPORT log_export(cursor: u64, buffer: u64, length: u64, format: u32);
    NR_LOG_RECORD log_record(level: u32, text: u64, length: u64, fields: u64, fields_length: u64);
    NR_LOG_FILTER log_filter(level: u32, source: u64, length: u64);
    NR_HANDLE_FLAGS handle_flags(handle: Handle);
    NR_HANDLE_SET_FLAGS handle_set_flags(handle: Handle, mask: u32, flags: u32);
    NR_SET_SIZE set_size(handle: Handle, size: u64);
    NR_SYNC sync(handle: Handle);
    NR_SET_MODE set_mode(directory: Handle, path: u64, path_len: u64, flags: u32, mode: u32);
    NR_SET_OWNER set_owner(directory: Handle, path: u64, path_len: u64, flags: u32, owner: u32);
    NR_SET_TIMES set_times(directory: Handle, path: u64, path_len: u64, flags: u32, times: u64, size: u64);
    NR_MKDIR mkdir(directory: Handle, path: u64, path_len: u64, mode: u32);
    NR_UNLINK unlink(directory: Handle, path: u64, path_len: u64, flags: u32);
    NR_RENAME rename(from_directory: Handle, from: u64, from_len: u64, to_directory: Handle, to: u64, to_len: u64);
    NR_LINK link(from_directory: Handle, from: u64, from_len: u64, to_directory: Handle, to: u64, to_len: u64);
    NR_SYMLINK symlink(target: u64, target_len: u64, directory: Handle, path: u64, path_len: u64);
    NR_MKFIFO mkfifo(directory: Handle, path: u64, path_len: u64, mode: u32);
    NR_GETCWD getcwd(buffer: u64, length: u64);
    NR_READV readv(handle: Handle, pieces: u64, count: u64);
    NR_WRITEV writev(handle: Handle, pieces: u64, count: u64);
    NR_FILE_SYSTEM_INFO file_system_info(directory: Handle, path: u64, path_len: u64, record: u64, size: u64);
    NR_SIGNAL_ACTION signal_action(signal: u32, action: u64, old: u64, size: u64);
    NR_SIGNAL_MASK signal_mask(how: u32, set: u64);
    NR_SIGNAL_RETURN signal_return(frame: u64);
    NR_SIGNAL_STACK signal_stack(stack: u64, old: u64, size: u64);
    NR_SIGNAL_PENDING signal_pending();
    NR_SIGNAL_SUSPEND signal_suspend(mask: u64);
    NR_SIGNAL_WAIT signal_wait(set: u64, info: u64, size: u64, timeout_ns: u64);
    NR_THREAD_KILL thread_kill(tid: u32, signal: u32);
    NR_SIGNAL_QUEUE signal_queue(pid: u64, signal: u32, value: u64);
    NR_SETPGID setpgid(pid: u32, group: u32);
    NR_GETPGID getpgid(pid: u32);
    NR_SETSID setsid();
    NR_GETSID getsid(pid: u32);
    NR_LIMITS_GET limits_get(record: u64, size: u64);
    NR_LIMITS_SET limits_set(record: u64, size: u64);
    NR_USAGE usage(record: u64, size: u64);
    NR_ENDPOINT_CREATE endpoint_create(config: u64, config_size: u64, ends: u64, size: u64);
    NR_ENDPOINT_MINT endpoint_mint(sender: Handle, badge: u64, flags: u32);
    NR_ENDPOINT_SEND endpoint_send(sender: Handle, message: u64, timeout_ns: u64);
    NR_ENDPOINT_RECEIVE endpoint_receive(receiver: Handle, into: u64, timeout_ns: u64);
    NR_ENDPOINT_CALL endpoint_call(sender: Handle, message: u64, into: u64, timeout_ns: u64);
    NR_ENDPOINT_REPLY endpoint_reply(receiver: Handle, token: u64, message: u64);
    NR_ENDPOINT_REPLY_RECEIVE endpoint_reply_receive(receiver: Handle, token: u64, message: u64, into: u64, timeout_ns: u64);
    NR_ENDPOINT_HANG_UP endpoint_hang_up(receiver: Handle);
}
