//! The system as a whole: figures, log, network, power.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Figures of the whole system: answer of `system_info`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SystemInfo {
    /// Size of the record that the kernel knows.
    pub size: u32,
    /// CPUs that run.
    pub cpus: u32,
    /// Nanoseconds since boot.
    pub uptime_ns: u64,
    /// Memory that the kernel hands out, in bytes.
    pub memory_total: u64,
    /// Of it free.
    pub memory_free: u64,
    /// Of it file pages, given back when memory is short.
    pub memory_cached: u64,
    /// Of it the kernel's own objects.
    pub memory_kernel: u64,
    /// Processes, ended ones that nobody waited for included.
    pub processes: u32,
    /// Threads.
    pub threads: u32,
    /// Open sockets, those included that only finish their connection.
    pub sockets: u32,
    /// Open files and other objects.
    pub objects: u32,
    /// CPU time spent idle, summed over CPUs, in nanoseconds.
    pub idle_ns: u64,
    /// System calls since boot.
    pub calls: u64,
    /// Frames received.
    pub frames_received: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Blocks read from disk and verified.
    pub blocks_verified: u64,
    /// Blocks that did not verify.
    pub blocks_refused: u64,
}

static_assertions::assert_eq_size!(SystemInfo, [u8; 112]);

/// Log level: for developers.
pub const LOG_DEBUG: u32 = 0;
/// Log level: normal events.
pub const LOG_INFO: u32 = 1;
/// Log level: works, but somebody should look.
pub const LOG_WARNING: u32 = 2;
/// Log level: something failed.
pub const LOG_ERROR: u32 = 3;

/// `log_filter`: no record is kept.
pub const LOG_OFF: u32 = 4;
/// `log_filter`: the source has no choice of its own any more.
pub const LOG_INHERIT: u32 = 5;

/// `log_export`: lines of text.
pub const LOG_TEXT: u32 = 0;
/// `log_export`: lines of JSON.
pub const LOG_JSON: u32 = 1;

/// Where the log stands.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct LogStats {
    /// Bytes of records that the ring holds at most.
    pub capacity: u64,
    /// Records in it.
    pub available: u64,
    /// Records ever written.
    pub written: u64,
    /// Records lost to newer ones.
    pub overwritten: u64,
}

static_assertions::assert_eq_size!(LogStats, [u8; 32]);

/// Static configuration of the network interface: argument of `net_configure`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct NetworkConfig {
    /// Size of this record.
    pub size: u32,
    /// Length of the network prefix in bits.
    pub prefix: u32,
    /// Our IPv4 address.
    pub address: [u8; 4],
    /// Router to everywhere else, zeros = none.
    pub gateway: [u8; 4],
}

static_assertions::assert_eq_size!(NetworkConfig, [u8; 16]);

/// `power`: switch off.
pub const POWER_OFF: u32 = 0;
/// `power`: start again.
pub const POWER_RESET: u32 = 1;
