//! What a traced process does.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// In [`TraceRecord::flags`]: the thread ended in this call, so there is no result.
pub const TRACE_UNFINISHED: u32 = 1;

/// One call of a traced process, written when it is over.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct TraceRecord {
    /// When it began, in nanoseconds since boot.
    pub time_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// Which thread.
    pub tid: u32,
    /// Number of the call.
    pub number: u32,
    /// x0 to x5.
    pub arguments: [u64; 6],
    /// What it returned.
    pub result: i64,
    /// [`TRACE_UNFINISHED`] or 0.
    pub flags: u32,
    /// Records before this one that found the pipe full and are lost.
    pub dropped: u32,
    /// Length of the path that it was told: among its arguments, or in its `SpawnArgs`.
    pub path_len: u32,
    /// The beginning of that path.
    pub path: [u8; 28],
}

static_assertions::assert_eq_size!(TraceRecord, [u8; 120]);
