//! What a process may use, and what it used; its threads.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Limits of a process: answer of `limits_get`, and argument of `limits_set`, where 0 leaves a limit as it is.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProcessLimits {
    /// Size of this record.
    pub size: u32,
    /// Processes: it and all that it starts from when the limit was set, and what they start. Those count that ended
    /// and were not waited for.
    pub processes: u32,
    /// Bytes of address space that can have memory behind them.
    pub memory: u64,
    /// Open handles.
    pub handles: u32,
    /// Threads.
    pub threads: u32,
    /// CPU time in nanoseconds, `u64::MAX` = no limit. Once it has used so much, the process is ended by signal 24.
    pub cpu_ns: u64,
}

static_assertions::assert_eq_size!(ProcessLimits, [u8; 32]);

/// What the calling process uses and used: answer of `usage`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProcessUsage {
    /// Size of the record that the kernel knows.
    pub size: u32,
    /// Processes that count against the limit of processes.
    pub processes: u32,
    /// Open handles.
    pub handles: u32,
    /// Threads.
    pub threads: u32,
    /// Bytes of address space that can have memory behind them.
    pub memory: u64,
    /// Bytes that have memory behind them now.
    pub resident: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Page faults: pages that got memory, or a copy of their own.
    pub faults: u64,
    /// CPU time of the children that were waited for, and of theirs.
    pub children_cpu_ns: u64,
    /// Page faults of the same.
    pub children_faults: u64,
}

static_assertions::assert_eq_size!(ProcessUsage, [u8; 64]);

/// [`ThreadInfo::state`]: on a CPU.
pub const THREAD_RUNNING: u32 = 1;
/// [`ThreadInfo::state`]: waits for its turn on a CPU.
pub const THREAD_READY: u32 = 2;
/// [`ThreadInfo::state`]: waits for something to happen.
pub const THREAD_WAITING: u32 = 3;

/// One thread: answer of `thread_info`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ThreadInfo {
    /// Its id.
    pub tid: u32,
    /// Its process.
    pub pid: u32,
    /// [`THREAD_RUNNING`], [`THREAD_READY`] or [`THREAD_WAITING`].
    pub state: u32,
    /// CPU on which it runs, or ran last.
    pub cpu: u32,
    /// CPU time that it used, in nanoseconds, up to its last turn.
    pub cpu_ns: u64,
    /// Its name, zero-padded; zeros = none.
    pub name: [u8; 16],
}

static_assertions::assert_eq_size!(ThreadInfo, [u8; 40]);
