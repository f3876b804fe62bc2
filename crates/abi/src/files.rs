//! Files, directories, polling.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Handle;

/// Longest path in bytes.
pub const PATH_MAX: usize = 4096;

bitflags! {
    /// How `open` opens.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct OpenFlags: u32 {
        /// For reading.
        const READ = 0x1;
        /// For writing.
        const WRITE = 0x2;
        /// Create it if it does not exist.
        const CREATE = 0x40;
        /// With `CREATE`: fail if it exists.
        const EXCLUSIVE = 0x80;
        /// Cut it to no bytes.
        const TRUNCATE = 0x200;
        /// Every write goes to the end.
        const APPEND = 0x400;
        /// Never wait on this handle; `AGAIN` instead.
        const NONBLOCK = 0x800;
        /// Fail unless it is a directory.
        const DIRECTORY = 0x1_0000;
        /// Do not follow a symbolic link in the last component.
        const NO_FOLLOW = 0x2_0000;
        /// The handle may be started as a program.
        const EXECUTE = 0x4_0000;
        /// The handle is closed when the process starts another program in its own place.
        const CLOSE_ON_EXEC = 0x8_0000;
    }
}

/// What `handle_set_flags` can change. The first two belong to the open object, so to every handle that shares it; the last
/// to the one handle.
pub const HANDLE_FLAGS: OpenFlags =
    OpenFlags::APPEND.union(OpenFlags::NONBLOCK).union(OpenFlags::CLOSE_ON_EXEC);

/// Seek from the start.
pub const SEEK_SET: u32 = 0;
/// Seek from the current position.
pub const SEEK_CUR: u32 = 1;
/// Seek from the end.
pub const SEEK_END: u32 = 2;

/// Mask of the kind in a mode.
pub const MODE_TYPE_MASK: u32 = 0xF000;

/// Kind of a node: the upper four bits of its 16-bit mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Node(pub u32);

impl Node {
    /// First-in-first-out pipe.
    pub const FIFO: Self = Self(0x1000);
    /// Character device.
    pub const CHARACTER: Self = Self(0x2000);
    /// Directory.
    pub const DIRECTORY: Self = Self(0x4000);
    /// Regular file.
    pub const REGULAR: Self = Self(0x8000);
    /// Symbolic link.
    pub const SYMLINK: Self = Self(0xA000);
    /// Socket.
    pub const SOCKET: Self = Self(0xC000);

    /// Kind part of `mode`.
    #[must_use]
    pub const fn of_mode(mode: u32) -> Self {
        Self(mode & MODE_TYPE_MASK)
    }
}

/// Attributes of a file: answer of `stat` and `fstat`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Stat {
    /// Kind and permission bits.
    pub mode: u32,
    /// Owning principal.
    pub owner: u32,
    /// Length in bytes.
    pub size: u64,
    /// Identifies the file within its file system.
    pub inode: u64,
    /// Identifies the file system.
    pub device: u64,
    /// Names that lead to it.
    pub links: u32,
    /// 1 when `content_hash` is that of the file's bytes, which never change then.
    pub hash_known: u32,
    /// Last change of the bytes, nanoseconds since 1970; 0 = unknown.
    pub modified_ns: u64,
    /// SHA-256 of the bytes, where the file system has it at hand.
    pub content_hash: [u8; 32],
    /// Bytes that are stored: less than `size` where nothing was written.
    pub allocated: u64,
    /// Last change of anything, names and modes included, nanoseconds since 1970; 0 = unknown.
    pub changed_ns: u64,
    /// When it was last said to be read (`set_times`; reading does not say so), nanoseconds since 1970; 0 = unknown.
    pub accessed_ns: u64,
}

static_assertions::assert_eq_size!(Stat, [u8; 104]);

/// In `unlink`: the name is that of an empty directory.
pub const UNLINK_DIRECTORY: u32 = 1;

/// In [`FileTimes`]: the time of the call.
pub const TIME_NOW: u64 = u64::MAX - 1;
/// In [`FileTimes`]: as it was.
pub const TIME_OMIT: u64 = u64::MAX;

/// New times of a file, nanoseconds since 1970, [`TIME_NOW`] or [`TIME_OMIT`]: argument of `set_times`.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct FileTimes {
    /// Last read.
    pub accessed_ns: u64,
    /// Last change of the bytes.
    pub modified_ns: u64,
}

static_assertions::assert_eq_size!(FileTimes, [u8; 16]);

/// Room in a file system: answer of `file_system_info`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct FileSystemInfo {
    /// Identifies the file system, as in [`Stat::device`].
    pub device: u64,
    /// Bytes in a page.
    pub page_size: u64,
    /// Pages that it may hold; 0 where nothing can be written.
    pub pages: u64,
    /// Pages that it holds.
    pub pages_used: u64,
    /// Nodes that it may hold.
    pub nodes: u64,
    /// Nodes that it holds.
    pub nodes_used: u64,
}

static_assertions::assert_eq_size!(FileSystemInfo, [u8; 48]);

/// Pieces of memory that `readv` and `writev` take at most.
pub const PIECES_MAX: u64 = 64;

/// A piece of a program's memory, for `readv` and `writev`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct MemoryPiece {
    /// Where it starts.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

static_assertions::assert_eq_size!(MemoryPiece, [u8; 16]);

/// Length of [`DirentHeader`], which each entry starts with.
pub const DIRENT_HEADER: usize = 24;

/// Start of one entry in the answer of `readdir`; `name_len` bytes of name follow, then zeros up to `record_len`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct DirentHeader {
    /// Identifies the file within its file system.
    pub inode: u64,
    /// Where to `seek` the directory to go on after this entry.
    pub next: u64,
    /// Whole length, a multiple of 8.
    pub record_len: u16,
    /// Length of the name in bytes.
    pub name_len: u16,
    /// Kind, as in a mode.
    pub mode_type: u32,
}

static_assertions::assert_eq_size!(DirentHeader, [u8; DIRENT_HEADER]);

/// Writes to a pipe of at most so many bytes are atomic: they never mix with others, and are never cut.
pub const PIPE_BUF: usize = 4096;
/// `pipe`: never wait on either end.
pub const PIPE_NONBLOCK: u32 = crate::SOCKET_NONBLOCK;

/// In the flags of a call that makes handles (of a socket or a pair: or-ed to its kind; of an endpoint: in its record): they are
/// closed when the process becomes another program, as a file's with [`OpenFlags::CLOSE_ON_EXEC`].
pub const CLOSE_ON_EXEC: u32 = OpenFlags::CLOSE_ON_EXEC.bits();

/// The two ends of a pipe: answer of `pipe`.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct PipeEnds {
    /// Where bytes come out.
    pub reader: Handle,
    /// Where they go in.
    pub writer: Handle,
}

static_assertions::assert_eq_size!(PipeEnds, [u8; 16]);

impl PipeEnds {
    /// No pipe.
    pub const NONE: Self = Self { reader: Handle::NONE, writer: Handle::NONE };
}

/// There is something to read, or a connection to accept, or the end was reached.
pub const POLL_IN: u16 = 0x1;
/// A write would not wait.
pub const POLL_OUT: u16 = 0x4;
/// The object failed. Always reported.
pub const POLL_ERR: u16 = 0x8;
/// The other end is gone. Always reported.
pub const POLL_HUP: u16 = 0x10;
/// Not an open handle. Always reported.
pub const POLL_INVALID: u16 = 0x20;

/// One handle to `poll`.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct PollItem {
    /// Which; `Handle::NONE` is skipped.
    pub handle: Handle,
    /// `POLL_*` bits wanted.
    pub events: u16,
    /// `POLL_*` bits that hold: written by the kernel.
    pub ready: u16,
    /// Zero.
    pub reserved: u32,
}

static_assertions::assert_eq_size!(PollItem, [u8; 16]);

/// `ready_control`: start to watch.
pub const READY_ADD: u32 = 1;
/// `ready_control`: change events or token.
pub const READY_MODIFY: u32 = 2;
/// `ready_control`: stop to watch.
pub const READY_REMOVE: u32 = 3;
/// In [`ReadyEvent::events`]: report changes (edge), not states (level).
pub const READY_EDGE: u32 = 0x8000_0000;

/// What a readiness set watches for, and what it reports.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ReadyEvent {
    /// The program's own mark, returned as it was given.
    pub token: u64,
    /// `POLL_*` bits, and [`READY_EDGE`] when watching.
    pub events: u32,
    /// Zero.
    pub reserved: u32,
}

static_assertions::assert_eq_size!(ReadyEvent, [u8; 16]);
