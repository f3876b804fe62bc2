//! Everything that crosses the border between a program (EL0) and the kernel (EL1).
//!
//! A call is `svc #0` with its number in x8 and up to six arguments in x0..x5; the result comes back in x0,
//! a negative one is `-errno` ([`Errno`]). All other registers keep their values. The one table in
//! [`calls`] makes the numbers, the names, the kernel's decoder ([`Call`]), the program's stubs and
//! the reference page.
//!
//! **Invariant:** a number is never reused and a record never changes its meaning: records carry their size, so that a
//! newer kernel serves an older program and the other way round. **Invariant:** nothing that the other side
//! writes is a Rust `enum` or `bool`; every record is free of padding.
//!
//! ```
//! use swos_abi::{Call, Errno, Handle, NR_CLOSE};
//! assert_eq!(Call::decode(NR_CLOSE, [3, 0, 0, 0, 0, 0]), Ok(Call::Close { handle: Handle(3) }));
//! assert_eq!(Call::decode(9_999, [0; 6]), Err(Errno::NOSYS));
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod authority;
pub mod calls;
mod errno;
mod files;
mod limits;
mod memory;
mod messages;
mod process;
mod signals;
mod sockets;
mod system;
mod trace;

pub use authority::{Capabilities, Handle, Rights, SecurityInfo};
pub use calls::*;
pub use calls::{CALLS, Call, CallEntry, PathIn};
pub use errno::{Errno, result_from_raw, result_to_raw};
pub use files::{
    CLOSE_ON_EXEC, DIRENT_HEADER, DirentHeader, FileSystemInfo, FileTimes, HANDLE_FLAGS, MODE_TYPE_MASK,
    MemoryPiece, Node, OpenFlags, PATH_MAX, PIECES_MAX, PIPE_BUF, PIPE_NONBLOCK, POLL_ERR, POLL_HUP, POLL_IN,
    POLL_INVALID, POLL_OUT, PipeEnds, PollItem, READY_ADD, READY_EDGE, READY_MODIFY, READY_REMOVE,
    ReadyEvent, SEEK_CUR, SEEK_END, SEEK_SET, Stat, TIME_NOW, TIME_OMIT, UNLINK_DIRECTORY,
};
pub use limits::{ProcessLimits, ProcessUsage, THREAD_READY, THREAD_RUNNING, THREAD_WAITING, ThreadInfo};
pub use memory::{ADVISE_DISCARD, MEMORY_EXECUTE, MapFlags, Protection};
pub use messages::{
    ENDPOINT_BYTES_MAX, ENDPOINT_CALLS_MAX, ENDPOINT_MESSAGES_MAX, ENDPOINT_NONBLOCK, EVENT_MAX,
    EVENT_NONBLOCK, EVENT_SEMAPHORE, EndpointConfig, EndpointEnds, MESSAGE_BYTES_MAX, MESSAGE_HANDLES_MAX,
    MessageHandle, MessageIn, MessageOut, PAIR_MESSAGE_MAX, PairEnds, TIMER_ABSOLUTE, TIMER_NONBLOCK,
    TIMER_PERIOD_MIN_NS,
};
pub use process::{
    AUX_END, AUX_ENTRY, AUX_PAGE_SIZE, AUX_RANDOM, AUX_TIME_PAGE, CLOCK_MONOTONIC, CLOCK_REALTIME,
    EXIT_FAULT, ExitRecord, ProcessInfo, SPAWN_LEND, SPAWN_ROOT, SPAWN_TRACE, SpawnArgs, SpawnHandle,
    THREAD_NAME_LEN, THREAD_PRIORITY_NORMAL, TIMEOUT_NEVER, TimePage, WAIT_ANY, WAIT_NO_HANG,
};
pub use signals::*;
pub use sockets::{
    ADDRESS_ANY, DOMAIN_IPV4, OPTION_KEEP_ALIVE, OPTION_NO_DELAY, OPTION_RECEIVE_BUFFER,
    OPTION_REUSE_ADDRESS, OPTION_SEND_BUFFER, OPTION_SOCKET_ERROR, SEND_MORE, SHUTDOWN_BOTH, SHUTDOWN_READ,
    SHUTDOWN_WRITE, SOCKET_DATAGRAM, SOCKET_NONBLOCK, SOCKET_STREAM, SocketAddress,
};
pub use system::{
    LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_INHERIT, LOG_JSON, LOG_OFF, LOG_TEXT, LOG_WARNING, LogStats,
    NetworkConfig, POWER_OFF, POWER_RESET, SystemInfo,
};

pub use trace::{TRACE_UNFINISHED, TraceRecord};

/// Version of this interface: major in the upper 16 bits, minor in the lower. Call 0 returns the kernel's.
///
/// The major number changes when an existing call changes its meaning, which is not planned.
pub const ABI_VERSION: u32 = 1 << 16;
