//! Processes, threads, time.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Handle;

/// One handle that `spawn` gives to the child.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SpawnHandle {
    /// The parent's handle; it needs the right `TRANSFER`.
    pub source: Handle,
    /// Slot in the child: the child's handle has this very number. Below 1024, each only once.
    pub target: u32,
    /// Bits of [`crate::Rights`] to pass on at most.
    pub rights: u32,
    /// [`SPAWN_LEND`], [`SPAWN_TRACE`], or 0.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

static_assertions::assert_eq_size!(SpawnHandle, [u8; 24]);

/// In [`SpawnHandle::flags`]: the child gets a loan, which `handle_revoke` of the source ends. Needs `DUPLICATE` as well.
pub const SPAWN_LEND: u32 = 1;
/// In [`SpawnHandle::flags`]: the source, a pipe's writing end, is not given to the child: the kernel writes a [`TraceRecord`](crate::TraceRecord) into
/// it for each call that the child makes. `target` is 0.
pub const SPAWN_TRACE: u32 = 2;
/// In [`SpawnArgs::flags`]: [`SpawnArgs::root`] is the child's root.
pub const SPAWN_ROOT: u32 = 0x100;

/// Argument record of `spawn`. All pointers are addresses in the caller.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SpawnArgs {
    /// Size of this record.
    pub size: u32,
    /// [`SPAWN_ROOT`] and [`crate::SPAWN_GROUP`], or 0.
    pub flags: u32,
    /// Open handle of the program with the right `EXECUTE`, or [`Handle::NONE`] to name it by path.
    pub program: Handle,
    /// Path of the program, not terminated.
    pub path: u64,
    /// Its length in bytes.
    pub path_len: u64,
    /// Arguments, each ended by a zero byte.
    pub args: u64,
    /// Their length in bytes, zeros included.
    pub args_len: u64,
    /// Environment (`NAME=value`), each ended by a zero byte.
    pub env: u64,
    /// Its length in bytes, zeros included.
    pub env_len: u64,
    /// The [`SpawnHandle`] records.
    pub handles: u64,
    /// Their number.
    pub handle_count: u32,
    /// Process group, with [`crate::SPAWN_GROUP`]; else zero.
    pub group: u32,
    /// Capabilities to pass on at most.
    pub capabilities: u64,
    /// Limit of memory in bytes, 0 = the caller's.
    pub memory_limit: u64,
    /// Limit of open handles, 0 = the caller's.
    pub handle_limit: u32,
    /// Limit of threads, 0 = the caller's.
    pub thread_limit: u32,
    /// With [`SPAWN_ROOT`]: a directory within the caller's root.
    pub root: Handle,
    /// Limit of CPU time in nanoseconds, 0 = the caller's. A process that passes it is ended by signal 24.
    pub cpu_limit_ns: u64,
    /// How many processes it may be, together with all that it starts and that they start; 0 = no limit but the caller's.
    pub process_limit: u32,
    /// Zero.
    pub reserved_limit: u32,
}

static_assertions::assert_eq_size!(SpawnArgs, [u8; 128]);

impl SpawnArgs {
    /// No program yet, no handles, no capabilities; the caller's limits.
    pub const EMPTY: Self = Self {
        size: 128,
        flags: 0,
        program: Handle::NONE,
        path: 0,
        path_len: 0,
        args: 0,
        args_len: 0,
        env: 0,
        env_len: 0,
        handles: 0,
        handle_count: 0,
        group: 0,
        capabilities: 0,
        memory_limit: 0,
        handle_limit: 0,
        thread_limit: 0,
        root: Handle::NONE,
        cpu_limit_ns: 0,
        process_limit: 0,
        reserved_limit: 0,
    };
}

/// `wait`: any child.
pub const WAIT_ANY: u64 = 0;
/// `wait`: return 0 at once if no child ended.
pub const WAIT_NO_HANG: u32 = 1;
/// In [`ExitRecord::cause`]: ended by a fault, `code` has the signal number customary for it.
pub const EXIT_FAULT: u32 = 1;

/// How a child ended: answer of `wait`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ExitRecord {
    /// Which child.
    pub pid: u32,
    /// 0 = it called `exit`, [`EXIT_FAULT`] = it was ended; [`crate::EXIT_STOPPED`], [`crate::EXIT_CONTINUED`].
    pub cause: u32,
    /// Exit status, or the number of the signal.
    pub code: i32,
    /// Zero.
    pub reserved: u32,
    /// Address that the fault was about.
    pub fault_address: u64,
    /// CPU time that it used, in nanoseconds.
    pub cpu_ns: u64,
}

static_assertions::assert_eq_size!(ExitRecord, [u8; 32]);

/// One process: answer of `process_info`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProcessInfo {
    /// Its id.
    pub pid: u32,
    /// Its parent's id, 0 for the first.
    pub parent: u32,
    /// Principal that it acts for.
    pub principal: u32,
    /// 1 = alive, 2 = ended and not waited for, 3 = stopped.
    pub state: u32,
    /// Threads.
    pub threads: u32,
    /// Open handles.
    pub handles: u32,
    /// CPU time used, in nanoseconds.
    pub cpu_ns: u64,
    /// When it started, in nanoseconds since boot.
    pub started_ns: u64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Last component of the program's path, zero-padded.
    pub name: [u8; 32],
}

static_assertions::assert_eq_size!(ProcessInfo, [u8; 80]);

/// Bytes of a thread's name.
pub const THREAD_NAME_LEN: usize = 16;

/// Priority of a thread that did not ask for another: 0 (lowest) ..= 31.
pub const THREAD_PRIORITY_NORMAL: u32 = 16;

/// A time-out that never comes.
pub const TIMEOUT_NEVER: u64 = u64::MAX;

/// Nanoseconds since boot.
pub const CLOCK_MONOTONIC: u32 = 0;
/// Nanoseconds since 1970-01-01 UTC.
pub const CLOCK_REALTIME: u32 = 1;

/// End of the auxiliary vector.
pub const AUX_END: u64 = 0;
/// Auxiliary vector: size of a page in bytes.
pub const AUX_PAGE_SIZE: u64 = 6;
/// Auxiliary vector: address of the program's first instruction.
pub const AUX_ENTRY: u64 = 9;
/// Auxiliary vector: address of 16 random bytes.
pub const AUX_RANDOM: u64 = 25;
/// Auxiliary vector: address of the [`TimePage`].
pub const AUX_TIME_PAGE: u64 = 33;

/// Read-only page from which a program computes the time without a call.
///
/// Nanoseconds since boot = `(CNTVCT_EL0 - counter_at_boot) * 10^9 / frequency_hz`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct TimePage {
    /// Size of this record.
    pub size: u32,
    /// Zero.
    pub flags: u32,
    /// `CNTVCT_EL0` at boot.
    pub counter_at_boot: u64,
    /// Ticks of `CNTVCT_EL0` a second.
    pub frequency_hz: u64,
    /// Nanoseconds since 1970 at boot; 0 = no clock.
    pub realtime_at_boot_ns: u64,
}

static_assertions::assert_eq_size!(TimePage, [u8; 32]);
