//! The table of calls, from which everything else is made.

use crate::{Errno, Handle};

/// One row of the table, for tracers and the reference page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallEntry {
    /// Number, in x8.
    pub number: u64,
    /// Name.
    pub name: &'static str,
    /// Arguments with their types, x0 first.
    pub arguments: &'static [(&'static str, &'static str)],
    /// What a successful call returns.
    pub returns: &'static str,
    /// Capability or handle right that it needs; `-` = none.
    pub needs: &'static str,
    /// What it does.
    pub text: &'static str,
}

/// How a call is told a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathIn {
    /// This argument is its address; the next is its length.
    Argument(u8),
    /// This argument is the address of a [`SpawnArgs`](crate::SpawnArgs) that names it; the next is the size of that.
    SpawnArgs(u8),
}

impl PathIn {
    /// The number of the argument.
    #[must_use]
    pub const fn argument(self) -> usize {
        match self {
            Self::Argument(at) | Self::SpawnArgs(at) => at as usize,
        }
    }
}

impl CallEntry {
    /// How it is told a path, if it is: the first one.
    #[must_use]
    pub const fn path(&self) -> Option<PathIn> {
        let mut at = 0;
        while (at as usize) + 1 < self.arguments.len() {
            let (first, second) = (self.arguments[at as usize].0, self.arguments[at as usize + 1].0);
            if is_text(first, "path") && is_text(second, "path_len") {
                return Some(PathIn::Argument(at));
            }
            if is_text(first, "args") && is_text(second, "size") {
                return Some(PathIn::SpawnArgs(at));
            }
            at += 1;
        }
        None
    }
}

const fn is_text(text: &str, other: &str) -> bool {
    let (text, other) = (text.as_bytes(), other.as_bytes());
    if text.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < text.len() {
        if text[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// An argument type: how it is read from a register.
trait FromRegister: Sized {
    fn from_register(raw: u64) -> Result<Self, Errno>;
}

impl FromRegister for u64 {
    fn from_register(raw: u64) -> Result<Self, Errno> {
        Ok(raw)
    }
}

impl FromRegister for i64 {
    #[expect(clippy::cast_possible_wrap, reason = "the register holds the two's complement")]
    fn from_register(raw: u64) -> Result<Self, Errno> {
        Ok(raw as Self)
    }
}

impl FromRegister for u32 {
    fn from_register(raw: u64) -> Result<Self, Errno> {
        Self::try_from(raw).map_err(|_| Errno::INVAL)
    }
}

impl FromRegister for i32 {
    fn from_register(raw: u64) -> Result<Self, Errno> {
        // A program may pass it sign-extended or not.
        let low = u32::try_from(raw & 0xFFFF_FFFF).unwrap_or(0).cast_signed();
        let extended = i64::from(low).cast_unsigned();
        if raw == extended || raw >> 32 == 0 { Ok(low) } else { Err(Errno::INVAL) }
    }
}

impl FromRegister for Handle {
    fn from_register(raw: u64) -> Result<Self, Errno> {
        // Whether it names anything is for the table to say.
        Ok(Self(raw))
    }
}

macro_rules! calls {
    ($($number:literal $constant:ident $variant:ident $name:ident($($arg:ident: $type:ty),*) -> $returns:literal, $needs:literal, $text:literal;)*) => {
        $(#[doc = concat!("Number of `", stringify!($name), "`: ", $text)] pub const $constant: u64 = $number;)*

        /// A call as the kernel sees it: decoded, its arguments typed, nothing checked beyond that.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Call {
            $(
                #[doc = $text]
                $variant {
                    $(#[doc = concat!("Argument `", stringify!($arg), "`.")] $arg: $type),*
                },
            )*
        }

        impl Call {
            /// Decodes registers. Total: every input gives a call or an error.
            ///
            /// # Errors
            ///
            /// [`Errno::NOSYS`] for an unknown number, [`Errno::INVAL`] or [`Errno::BADF`] for an argument that
            /// does not fit its type.
            #[inline]
            pub fn decode(number: u64, arguments: [u64; 6]) -> Result<Self, Errno> {
                match number {
                    $($number => {
                        let rest = &mut arguments.into_iter();
                        let _ = &rest; // Calls without arguments leave it unused.
                        $(let $arg = <$type as FromRegister>::from_register(rest.next().unwrap_or(0))?;)*
                        Ok(Self::$variant { $($arg),* })
                    })*
                    _ => Err(Errno::NOSYS),
                }
            }
        }

        /// Every call, by number.
        pub const CALLS: &[CallEntry] = &[$(CallEntry {
            number: $number,
            name: stringify!($name),
            arguments: &[$((stringify!($arg), stringify!($type))),*],
            returns: $returns,
            needs: $needs,
            text: $text,
        }),*];
    };
}

calls! {
    0 NR_ABI_VERSION AbiVersion abi_version() -> "version", "-", "Returns the version of this interface, major number in bits 16 and up.";

    1 NR_EXIT Exit exit(status: i32) -> "never", "-", "Ends the process with all its threads.";
    2 NR_GETPID Getpid getpid() -> "pid", "-", "Returns the id of the process.";
    3 NR_SPAWN Spawn spawn(args: u64, size: u64) -> "pid", "SPAWN; FS_READ if the program is named by path, EXECUTE on its handle if not; TRANSFER on each handle, DUPLICATE too if it is lent", "Starts a program as described by `SpawnArgs`, with exactly the handles listed.";
    4 NR_WAIT Wait wait(pid: u64, flags: u32, record: u64, timeout_ns: u64) -> "pid, 0 with WAIT_NO_HANG if none ended", "-", "Waits for a child (`WAIT_ANY`, its id, or a process group) to end, fills an `ExitRecord` and forgets the child. Flags: also children that stopped or went on; with `WAIT_TIMEOUT` at most `timeout_ns` (TIMEDOUT).";
    5 NR_KILL Kill kill(pid: u64, signal: u32) -> "0", "itself or a descendant", "Sends a signal to a process, or to each of a process group (`PID_GROUP` and its id; 0 = the caller's own). Signal 0 only asks. Who has PROCESS_INSPECT may signal all of its principal and session; others are SRCH.";
    6 NR_FORK Fork fork() -> "pid of the child, 0 in the child", "SPAWN; DUPLICATE on each handle that the child shall have", "Makes a second process that goes on from here, with a copy of the memory and the same numbers for its handles. Only the calling thread exists there.";
    7 NR_EXEC Exec exec(args: u64, size: u64) -> "never", "EXECUTE on the program; FS_READ to name it by path", "Replaces the program by the one in `SpawnArgs`, which lists no handles: all stay open that are not marked CLOSE_ON_EXEC. Id, parent and children stay; other threads end; limits and capabilities sink as for a spawn.";

    8 NR_THREAD_CREATE ThreadCreate thread_create(entry: u64, stack: u64, argument: u64, tls: u64) -> "tid", "-", "Starts a thread at `entry` with `argument` in x0, its stack pointer and its TPIDR_EL0.";
    9 NR_THREAD_EXIT ThreadExit thread_exit(clear: u64) -> "never", "-", "Ends the thread; if `clear` is not 0, stores 0 to that u32 and wakes one futex waiter on it. The last thread ends the process with status 0.";
    10 NR_GETTID Gettid gettid() -> "tid", "-", "Returns the id of the thread.";
    11 NR_YIELD Yield yield_now() -> "0", "-", "Lets other ready threads run first.";
    12 NR_FUTEX_WAIT FutexWait futex_wait(address: u64, expected: u32, timeout_ns: u64, bitset: u32) -> "0", "-", "Waits while the u32 at `address` is `expected`, at most `timeout_ns` (TIMEDOUT). AGAIN if it is another value.";
    13 NR_FUTEX_WAKE FutexWake futex_wake(address: u64, count: u32, bitset: u32) -> "number woken", "-", "Wakes up to `count` waiters, oldest first.";
    14 NR_CLOCK_GET ClockGet clock_get(clock: u32) -> "nanoseconds", "-", "Reads a clock. The time page answers the same without a call.";
    15 NR_SLEEP Sleep sleep(duration_ns: u64) -> "0", "-", "Sleeps at least so long.";
    16 NR_THREAD_PRIORITY ThreadPriority thread_priority(priority: u32) -> "the old one", "-", "Sets the calling thread's priority, 0..=31, not above the one its process started with.";
    17 NR_THREAD_NAME ThreadName thread_name(name: u64, length: u64) -> "0", "-", "Names the calling thread: at most 16 bytes (NAMETOOLONG).";
    18 NR_THREAD_INFO ThreadInfo thread_info(pid: u64, tid: u32, record: u64, size: u64) -> "tid, 0 = no more", "PROCESS_INSPECT, but for oneself", "Fills a `ThreadInfo` for the thread of that process with the lowest id that is at least `tid`.";

    20 NR_MMAP Mmap mmap(address: u64, length: u64, protection: u32, flags: u32, handle: Handle, offset: u64) -> "address", "MAP and READ on the handle", "Maps zeroed memory, a memory object or a file. Protection 0 reserves addresses. Shared and writable needs `WRITE`.";
    21 NR_MUNMAP Munmap munmap(address: u64, length: u64) -> "0", "-", "Unmaps pages.";
    22 NR_MPROTECT Mprotect mprotect(address: u64, length: u64, protection: u32) -> "0", "-", "Changes how pages may be used; never writable and executable at once. Reserved addresses that get an access become zeroed memory.";
    23 NR_MEMORY_CREATE MemoryCreate memory_create(size: u64, flags: u32) -> "handle", "-", "Makes a memory object of `size` zeroed bytes, which processes that get the handle can map. `MEMORY_EXECUTE` lets it be mapped executable. Flag `CLOSE_ON_EXEC`.";
    24 NR_MEMORY_RESIZE MemoryResize memory_resize(object: Handle, size: u64) -> "0", "SETATTR", "Grows or shrinks a memory object. Pages beyond the new end are gone, also where they are mapped.";
    25 NR_MEMORY_ADVISE MemoryAdvise memory_advise(address: u64, length: u64, advice: u32) -> "0", "-", "Tells what pages are needed for. `ADVISE_DISCARD` gives back what they hold: private memory is zero when next touched, or the file's; what is shared stays.";
    26 NR_FUTEX_REQUEUE FutexRequeue futex_requeue(address: u64, expected: u32, wake: u32, target: u64, requeue: u32) -> "number woken and moved", "-", "Wakes up to `wake` waiters on `address`, and lets up to `requeue` more wait on `target` instead. AGAIN if the u32 at `address` is not `expected`.";
    27 NR_FUTEX_WAIT_UNTIL FutexWaitUntil futex_wait_until(address: u64, expected: u32, deadline_ns: u64, bitset: u32) -> "0", "-", "As `futex_wait`, until the monotonic clock shows `deadline_ns`.";

    30 NR_OPEN Open open(directory: Handle, path: u64, path_len: u64, flags: u32, mode: u32) -> "handle", "FS_READ; TMP_WRITE to write or create", "Opens a file or directory by its path, relative to `directory` or `Handle::CWD`.";
    31 NR_READ Read read(handle: Handle, buffer: u64, length: u64) -> "bytes read, 0 = end", "READ", "Reads at the position and advances it.";
    32 NR_WRITE Write write(handle: Handle, buffer: u64, length: u64) -> "bytes written", "WRITE", "Writes at the position and advances it.";
    33 NR_PREAD Pread pread(handle: Handle, buffer: u64, length: u64, offset: u64) -> "bytes read, 0 = end", "READ", "Reads at `offset`.";
    34 NR_PWRITE Pwrite pwrite(handle: Handle, buffer: u64, length: u64, offset: u64) -> "bytes written", "WRITE", "Writes at `offset`.";
    35 NR_CLOSE Close close(handle: Handle) -> "0", "-", "Closes the handle.";
    36 NR_SEEK Seek seek(handle: Handle, offset: i64, whence: u32) -> "new position", "READ or WRITE", "Moves the position.";
    37 NR_FSTAT Fstat fstat(handle: Handle, record: u64, size: u64) -> "size of the record", "GETATTR", "Fills a `Stat`, cut to `size` bytes.";
    38 NR_STAT Stat stat(directory: Handle, path: u64, path_len: u64, flags: u32, record: u64, size: u64) -> "size of the record", "FS_READ", "Fills a `Stat` for a path; flag `NO_FOLLOW` asks about a link itself.";
    39 NR_READDIR Readdir readdir(handle: Handle, buffer: u64, length: u64) -> "bytes filled, 0 = end", "READ", "Fills the buffer with directory entries and advances the position.";
    40 NR_POLL Poll poll(items: u64, count: u64, timeout_ns: u64) -> "items ready", "-", "Waits until one of the handles is ready.";
    41 NR_SENDFILE Sendfile sendfile(to: Handle, file: Handle, offset: u64, length: u64, head: u64, head_len: u64) -> "bytes taken, those of the head included", "WRITE on `to`, READ on the file", "Sends the `head_len` bytes at `head` (so that they share segments with what follows), then bytes of a file, without a copy through the program, to a stream socket. To a pipe or another file without a head: there it writes at the position.";
    42 NR_HANDLE_DUPLICATE HandleDuplicate handle_duplicate(handle: Handle, rights: u32, flags: u32) -> "handle", "DUPLICATE", "Makes a further handle with at most these rights. Flag `CLOSE_ON_EXEC`.";
    43 NR_HANDLE_RIGHTS HandleRights handle_rights(handle: Handle) -> "rights", "-", "Returns the rights that the handle has.";
    44 NR_HANDLE_RESTRICT HandleRestrict handle_restrict(handle: Handle, rights: u32) -> "rights left", "-", "Drops all rights but these.";
    45 NR_HANDLE_NONBLOCK HandleNonblock handle_nonblock(handle: Handle, nonblock: u32) -> "0", "-", "Chooses whether calls on this handle may wait.";
    46 NR_CHDIR Chdir chdir(directory: Handle, path: u64, path_len: u64) -> "0", "FS_READ", "Changes the current directory.";
    47 NR_READLINK Readlink readlink(directory: Handle, path: u64, path_len: u64, buffer: u64, length: u64) -> "bytes filled", "FS_READ", "Reads where a symbolic link leads.";
    48 NR_PIPE Pipe pipe(ends: u64, size: u64, flags: u32) -> "0", "-", "Makes a pipe and stores the handles of its two ends in a `PipeEnds`. With `PIPE_NONBLOCK` neither ever waits. Flag `CLOSE_ON_EXEC`.";
    49 NR_HANDLE_DUPLICATE_TO HandleDuplicateTo handle_duplicate_to(handle: Handle, target: Handle, rights: u32, flags: u32) -> "target", "DUPLICATE", "Makes `target` a handle to the same object with at most these rights, and closes what it named: an open handle, or a number below 1,024 never used (EXIST otherwise). Flag `CLOSE_ON_EXEC`.";

    50 NR_SOCKET Socket socket(domain: u32, kind: u32) -> "handle", "NET", "Makes a socket. `SOCKET_NONBLOCK` and `CLOSE_ON_EXEC` may be or-ed to the kind.";
    51 NR_BIND Bind bind(socket: Handle, address: u64, size: u64) -> "0", "WRITE", "Gives it a local address; port 0 lets the kernel choose.";
    52 NR_LISTEN Listen listen(socket: Handle, backlog: u32) -> "0", "WRITE", "Starts to take connections.";
    53 NR_ACCEPT Accept accept(socket: Handle, address: u64, size: u64, flags: u32) -> "handle", "READ", "Takes the next connection; stores the peer if `address` is not 0. MFILE, NOMEM and FAULT leave it the next. Flags `SOCKET_NONBLOCK`, `CLOSE_ON_EXEC`.";
    54 NR_CONNECT Connect connect(socket: Handle, address: u64, size: u64) -> "0", "WRITE", "Connects. A non-blocking socket answers INPROGRESS.";
    55 NR_SEND_TO SendTo send_to(socket: Handle, buffer: u64, length: u64, address: u64, size: u64, flags: u32) -> "bytes sent", "WRITE", "Sends a datagram, or stream bytes if `address` is 0. An end of a socket pair takes no `address` (ISCONN). With `SEND_MORE` stream bytes may wait for those of the next call.";
    56 NR_RECEIVE_FROM ReceiveFrom receive_from(socket: Handle, buffer: u64, length: u64, address: u64, size: u64, flags: u32) -> "bytes received", "READ", "Receives a datagram or stream bytes; stores the sender if `address` is not 0: zeros for a socket pair, whose ends have no address. `flags` is 0.";
    57 NR_SHUTDOWN Shutdown shutdown(socket: Handle, how: u32) -> "0", "WRITE", "Ends one or both directions.";
    58 NR_SOCKET_OPTION_SET SocketOptionSet socket_option_set(socket: Handle, option: u32, value: u64) -> "0", "SETATTR", "Sets an option.";
    59 NR_SOCKET_OPTION_GET SocketOptionGet socket_option_get(socket: Handle, option: u32) -> "value", "GETATTR", "Reads an option.";
    60 NR_SOCKET_ADDRESS SocketAddressOf socket_address(socket: Handle, peer: u32, address: u64, size: u64) -> "0", "GETATTR", "Stores the local (`peer` 0) or the peer's (1) address.";

    61 NR_EVENT_CREATE EventCreate event_create(initial: u64, flags: u32) -> "handle", "-", "Makes a counter of events. With `EVENT_SEMAPHORE` 1 is taken at a time, else all. Flags `EVENT_NONBLOCK`, `CLOSE_ON_EXEC`.";
    62 NR_EVENT_ADD EventAdd event_add(event: Handle, value: u64) -> "0", "WRITE", "Adds to an event; OVERFLOW beyond `EVENT_MAX`. Never waits.";
    63 NR_COUNTER_TAKE CounterTake counter_take(counter: Handle, timeout_ns: u64) -> "what was taken, at least 1", "READ", "Takes what an event counted, or how often a timer's moment came; waits for it at most `timeout_ns` (TIMEDOUT).";
    64 NR_SOCKET_PAIR SocketPair socket_pair(kind: u32, ends: u64, size: u64) -> "0", "-", "Makes two connected sockets and stores their handles in a `PairEnds`: of bytes (`SOCKET_STREAM`) or of messages (`SOCKET_DATAGRAM`). `SOCKET_NONBLOCK` and `CLOSE_ON_EXEC` may be or-ed to the kind.";

    65 NR_READY_CREATE ReadyCreate ready_create(flags: u32) -> "handle", "-", "Makes a readiness set: many handles watched at once, cost by event and not by handle. Flag `CLOSE_ON_EXEC`.";
    66 NR_READY_CONTROL ReadyControl ready_control(set: Handle, operation: u32, handle: Handle, event: u64) -> "0", "WRITE on the set", "Adds, changes or removes a watched handle.";
    67 NR_READY_WAIT ReadyWait ready_wait(set: Handle, events: u64, capacity: u64, timeout_ns: u64) -> "events", "READ on the set", "Waits for events and fills an array of `ReadyEvent`.";

    68 NR_TIMER_CREATE TimerCreate timer_create(flags: u32) -> "handle", "-", "Makes a timer, which is ready to read from its moment on until that is taken. Flags `TIMER_NONBLOCK`, `CLOSE_ON_EXEC`.";
    69 NR_TIMER_SET TimerSet timer_set(timer: Handle, first_ns: u64, period_ns: u64, flags: u32) -> "0", "WRITE", "Sets a timer to a moment from now, or since boot with `TIMER_ABSOLUTE`, and to each period after it unless that is 0. Both 0 = off. What it had counted is forgotten.";

    75 NR_LOG_WRITE LogWrite log_write(level: u32, buffer: u64, length: u64) -> "bytes taken", "-", "Adds a record to the kernel's log under the process's name.";
    76 NR_LOG_READ LogRead log_read(cursor: u64, buffer: u64, length: u64) -> "bytes filled", "LOG_EXPORT", "Reads whole records as text, oldest first, from the u64 at `cursor` on, which it advances.";
    77 NR_RANDOM Random random(buffer: u64, length: u64) -> "bytes filled", "-", "Fills with random bytes; AGAIN if the machine gave no entropy.";
    78 NR_SYSTEM_INFO SystemInfo system_info(record: u64, size: u64) -> "size of the record", "-", "Fills a `SystemInfo`, cut to `size` bytes.";
    79 NR_PROCESS_INFO ProcessInfo process_info(pid: u64, record: u64, size: u64) -> "pid, 0 = no more", "PROCESS_INSPECT, but for oneself", "Fills a `ProcessInfo` for the process with the lowest id that is at least `pid`.";
    80 NR_NET_CONFIGURE NetConfigure net_configure(config: u64, size: u64) -> "0", "NET_ADMIN", "Sets address, prefix and gateway.";
    81 NR_POWER Power power(action: u32) -> "never", "CONSOLE", "Switches the machine off or starts it again.";
    82 NR_SECURITY_INFO SecurityInfo security_info(record: u64, size: u64) -> "size of the record", "-", "Fills a `SecurityInfo`.";
    83 NR_CAPABILITIES_DROP CapabilitiesDrop capabilities_drop(keep: u64) -> "capabilities left", "-", "Drops all capabilities but these.";
    84 NR_LOGIN Login login(principal: u32, capabilities: u64) -> "session", "LOGIN", "Takes on another principal and a session that no one had before, keeps of its capabilities only these, and gives up LOGIN unless it is among them.";
    85 NR_CONFINE Confine confine(directory: Handle, path: u64, path_len: u64) -> "0", "FS_READ", "Makes a directory within its root the root of the process, for good; a current directory outside moves there.";
    86 NR_HANDLE_LEND HandleLend handle_lend(handle: Handle, rights: u32, flags: u32) -> "handle", "DUPLICATE", "Makes a further handle with at most these rights, which `handle_revoke` of the first one ends, with all that is made from it. Flag `CLOSE_ON_EXEC`.";
    87 NR_HANDLE_REVOKE HandleRevoke handle_revoke(handle: Handle) -> "0", "-", "Ends every loan made from this handle and everything made from those, in all processes; calls that wait on one end too.";

    88 NR_LOG_EXPORT LogExport log_export(cursor: u64, buffer: u64, length: u64, format: u32) -> "bytes filled", "LOG_EXPORT", "As `log_read`, as lines of text (`LOG_TEXT`) or of JSON (`LOG_JSON`).";
    89 NR_LOG_RECORD LogRecord log_record(level: u32, text: u64, length: u64, fields: u64, fields_length: u64) -> "bytes of the text taken", "-", "Adds a record with typed fields to the kernel's log. Source, process and principal are the caller's.";
    90 NR_LOG_FILTER LogFilter log_filter(level: u32, source: u64, length: u64) -> "0", "CONSOLE", "Chooses from which level on records of a source are kept, or of all sources that have no choice of their own (`length` 0); `LOG_OFF` keeps none, `LOG_INHERIT` takes a source's own choice away.";
    100 NR_HANDLE_FLAGS HandleFlags handle_flags(handle: Handle) -> "flags", "-", "Returns how the handle is open, as `OpenFlags`.";
    101 NR_HANDLE_SET_FLAGS HandleSetFlags handle_set_flags(handle: Handle, mask: u32, flags: u32) -> "0", "SETATTR to change APPEND", "Changes the flags in `mask`: APPEND, NONBLOCK, CLOSE_ON_EXEC.";
    102 NR_SET_SIZE SetSize set_size(handle: Handle, size: u64) -> "0", "WRITE", "Cuts a file, or grows it with zeros that take no room. What is cut off is gone where it is mapped, too.";
    103 NR_SYNC Sync sync(handle: Handle) -> "0", "-", "Returns when what was written is as safe as it gets; in memory it is at once. INVAL for what is no file.";
    104 NR_SET_MODE SetMode set_mode(directory: Handle, path: u64, path_len: u64, flags: u32, mode: u32) -> "0", "TMP_WRITE, own the file; SETATTR on the handle without a path", "Changes permission bits. An empty path means what the handle is open on; flag `NO_FOLLOW` a link itself.";
    105 NR_SET_OWNER SetOwner set_owner(directory: Handle, path: u64, path_len: u64, flags: u32, owner: u32) -> "0", "TMP_WRITE, own the file, LOGIN to give it away; SETATTR on the handle without a path", "Gives a file to another principal, with what it counts in quotas.";
    106 NR_SET_TIMES SetTimes set_times(directory: Handle, path: u64, path_len: u64, flags: u32, times: u64, size: u64) -> "0", "TMP_WRITE, own the file; SETATTR on the handle without a path", "Sets the times in a `FileTimes`.";
    107 NR_MKDIR Mkdir mkdir(directory: Handle, path: u64, path_len: u64, mode: u32) -> "0", "TMP_WRITE", "Makes an empty directory.";
    108 NR_UNLINK Unlink unlink(directory: Handle, path: u64, path_len: u64, flags: u32) -> "0", "TMP_WRITE", "Removes a name; with `UNLINK_DIRECTORY` that of an empty directory.";
    109 NR_RENAME Rename rename(from_directory: Handle, from: u64, from_len: u64, to_directory: Handle, to: u64, to_len: u64) -> "0", "TMP_WRITE", "Gives a node another name in one step, in place of what has that name. Within one file system (XDEV).";
    110 NR_LINK Link link(from_directory: Handle, from: u64, from_len: u64, to_directory: Handle, to: u64, to_len: u64) -> "0", "TMP_WRITE, own the file", "Gives a node that is no directory a further name.";
    111 NR_SYMLINK Symlink symlink(target: u64, target_len: u64, directory: Handle, path: u64, path_len: u64) -> "0", "TMP_WRITE", "Makes a symbolic link that leads to `target`, whether that exists or not.";
    112 NR_MKFIFO Mkfifo mkfifo(directory: Handle, path: u64, path_len: u64, mode: u32) -> "0", "TMP_WRITE", "Makes a name at which programs that open it find one pipe.";
    113 NR_GETCWD Getcwd getcwd(buffer: u64, length: u64) -> "bytes filled", "-", "Fills in the path of the current directory; NOENT if it was removed or lies outside of the root.";
    114 NR_READV Readv readv(handle: Handle, pieces: u64, count: u64) -> "bytes read, 0 = end", "READ", "Reads into an array of at most 64 `MemoryPiece`s, one after the other.";
    115 NR_WRITEV Writev writev(handle: Handle, pieces: u64, count: u64) -> "bytes written", "WRITE", "Writes an array of at most 64 `MemoryPiece`s as one.";
    116 NR_FILE_SYSTEM_INFO FileSystemInfoOf file_system_info(directory: Handle, path: u64, path_len: u64, record: u64, size: u64) -> "size of the record", "FS_READ", "Fills a `FileSystemInfo` for what holds the path.";

    130 NR_SIGNAL_ACTION SignalAction signal_action(signal: u32, action: u64, old: u64, size: u64) -> "0", "-", "Sets what a signal does in the process, by a `SignalAction`; stores what it did before. Either address may be 0.";
    131 NR_SIGNAL_MASK SignalMask signal_mask(how: u32, set: u64) -> "the old set", "-", "Changes which signals are blocked for the thread: `SIG_BLOCK`, `SIG_UNBLOCK` or `SIG_SETMASK`. `SIGKILL` and `SIGSTOP` never are.";
    132 NR_SIGNAL_RETURN SignalReturn signal_return(frame: u64) -> "x0 of the frame", "-", "Ends a handler: takes registers and mask from its `SignalFrame`. A frame that can't be read ends the process.";
    133 NR_SIGNAL_STACK SignalStack signal_stack(stack: u64, old: u64, size: u64) -> "0", "-", "Sets the thread's alternate stack, by a `SignalStack`; stores the one before. Either address may be 0. BUSY while the thread runs on it.";
    134 NR_SIGNAL_PENDING SignalPending signal_pending() -> "the set", "-", "Returns which blocked signals wait for the thread or its process.";
    135 NR_SIGNAL_SUSPEND SignalSuspend signal_suspend(mask: u64) -> "never; INTR", "-", "Waits with another mask until a handler has run; then the old mask holds again.";
    136 NR_SIGNAL_WAIT SignalWait signal_wait(set: u64, info: u64, size: u64, timeout_ns: u64) -> "signal", "-", "Waits for one of these signals, which should be blocked, takes it without calling its handler and stores its `SignalInfo`, cut to `size` bytes.";
    137 NR_THREAD_KILL ThreadKill thread_kill(tid: u32, signal: u32) -> "0", "own threads", "Sends a signal to a thread of the process (else SRCH). Signal 0 only asks.";
    138 NR_SIGNAL_QUEUE SignalQueue signal_queue(pid: u64, signal: u32, value: u64) -> "0", "as `kill`", "Sends a signal to one process with a value for its `SignalInfo`. AGAIN if too many wait there.";
    139 NR_SETPGID Setpgid setpgid(pid: u32, group: u32) -> "0", "oneself or a child in the same session", "Moves a process (0 = the caller) to a process group of its session, or to a new one with the process's id (0).";
    140 NR_GETPGID Getpgid getpgid(pid: u32) -> "group", "as `kill`", "Returns the process group of a process (0 = the caller).";
    141 NR_SETSID Setsid setsid() -> "session", "-", "Starts a session, and in it a process group, with the caller's id. PERM if it leads a group.";
    142 NR_GETSID Getsid getsid(pid: u32) -> "session", "as `kill`", "Returns the session of a process (0 = the caller).";

    150 NR_LIMITS_GET LimitsGet limits_get(record: u64, size: u64) -> "size of the record", "-", "Fills a `ProcessLimits` with what the process may use.";
    151 NR_LIMITS_SET LimitsSet limits_set(record: u64, size: u64) -> "0", "-", "Lowers limits to those of a `ProcessLimits`; one that is 0 or higher stays as it is. What is open or mapped beyond stays.";
    152 NR_USAGE Usage usage(record: u64, size: u64) -> "size of the record", "-", "Fills a `ProcessUsage` with what the process uses and used.";
    160 NR_ENDPOINT_CREATE EndpointCreate endpoint_create(config: u64, config_size: u64, ends: u64, size: u64) -> "0", "-", "Makes an endpoint as an `EndpointConfig` says and stores its two ends in an `EndpointEnds`.";
    161 NR_ENDPOINT_MINT EndpointMint endpoint_mint(sender: Handle, badge: u64, flags: u32) -> "handle", "DUPLICATE on a sender without a badge", "Makes a further sender whose messages carry `badge`, which is not 0; it has the rights of the first. Flag `CLOSE_ON_EXEC`.";
    162 NR_ENDPOINT_SEND EndpointSend endpoint_send(sender: Handle, message: u64, timeout_ns: u64) -> "0", "WRITE; TRANSFER on each handle", "Sends the message of a `MessageOut`; waits for room at most `timeout_ns` (TIMEDOUT). All or nothing: PIPE without a receiver, MSGSIZE if it is too long, DEADLK for a receiver that nobody could reach any more.";
    163 NR_ENDPOINT_RECEIVE EndpointReceive endpoint_receive(receiver: Handle, into: u64, timeout_ns: u64) -> "bytes, in bits 32 and up handles", "READ", "Receives the oldest message into what a `MessageIn` names, or waits for one. PIPE when all were taken and no sender is left. RANGE (with its size told), MFILE, NOMEM and FAULT leave it the first.";
    164 NR_ENDPOINT_CALL EndpointCall endpoint_call(sender: Handle, message: u64, into: u64, timeout_ns: u64) -> "bytes, in bits 32 and up handles", "WRITE; TRANSFER on each handle", "Sends the message of a `MessageOut` and waits for its answer, which goes into what a `MessageIn` names. PIPE if nobody will answer. Handles that it sent are gone unless nothing was sent.";
    165 NR_ENDPOINT_REPLY EndpointReply endpoint_reply(receiver: Handle, token: u64, message: u64) -> "0", "READ; TRANSFER on each handle", "Answers a call that was received here, once. INVAL for any other token; PIPE if its caller gave up; MSGSIZE if its caller has less room, and the token stays good.";
    166 NR_ENDPOINT_REPLY_RECEIVE EndpointReplyReceive endpoint_reply_receive(receiver: Handle, token: u64, message: u64, into: u64, timeout_ns: u64) -> "bytes, in bits 32 and up handles", "READ; TRANSFER on each handle", "Answers as `endpoint_reply`, and if that did not fail goes on as `endpoint_receive`. If `into` can't be read, it does neither.";
    167 NR_ENDPOINT_HANG_UP EndpointHangUp endpoint_hang_up(receiver: Handle) -> "0", "READ", "Ends all calls that were received here and not answered: PIPE to their callers, INVAL to who answers with their tokens. Messages that wait stay. For who holds a receiver whose server died.";
}

#[cfg(test)]
mod tests;
