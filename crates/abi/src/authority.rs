//! Handles, their rights, and what a login may do.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names an open object of one process.
///
/// The lower 24 bits are a slot, the 39 above a generation, so that a closed handle stays invalid when its slot is
/// used again; bit 63 is clear. 0, 1 and 2 are the standard streams.
#[derive(
    Clone, Copy, Debug, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, Ord, PartialEq, PartialOrd,
)]
#[repr(transparent)]
pub struct Handle(pub u64);

impl Handle {
    /// Standard input.
    pub const STDIN: Self = Self(0);
    /// Standard output.
    pub const STDOUT: Self = Self(1);
    /// Standard error.
    pub const STDERR: Self = Self(2);
    /// In place of a directory: the process's current directory.
    pub const CWD: Self = Self(u64::MAX - 1);
    /// In place of an optional handle: none.
    pub const NONE: Self = Self(u64::MAX);
}

bitflags! {
    /// What a handle allows. Rights only ever shrink.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Rights: u32 {
        /// Read bytes, entries, messages.
        const READ = 0x01;
        /// Write bytes, send messages.
        const WRITE = 0x02;
        /// Start as a program.
        const EXECUTE = 0x04;
        /// Map into memory.
        const MAP = 0x08;
        /// Make further handles to the object.
        const DUPLICATE = 0x10;
        /// Give to another process.
        const TRANSFER = 0x20;
        /// Read attributes.
        const GETATTR = 0x40;
        /// Change attributes.
        const SETATTR = 0x80;
    }

    /// What a process may ask of the kernel beyond its handles. Inherited, and only ever shrinks.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Capabilities: u64 {
        /// The console and the machine: power, devices, updates.
        const CONSOLE = 0x01;
        /// Start processes.
        const SPAWN = 0x02;
        /// Open files for reading.
        const FS_READ = 0x04;
        /// Create and change files in writable file systems.
        const TMP_WRITE = 0x08;
        /// See other processes.
        const PROCESS_INSPECT = 0x10;
        /// Make sockets.
        const NET = 0x20;
        /// Read the kernel's log.
        const LOG_EXPORT = 0x40;
        /// Configure the network.
        const NET_ADMIN = 0x80;
        /// Take on another identity: the login service alone.
        const LOGIN = 0x100;
    }
}

/// Who a process acts for and what it may do: answer of `security_info`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SecurityInfo {
    /// Principal, 1 = root.
    pub principal: u32,
    /// Session, unique per login.
    pub session: u32,
    /// Bits of [`Capabilities`].
    pub capabilities: u64,
}

static_assertions::assert_eq_size!(SecurityInfo, [u8; 16]);
