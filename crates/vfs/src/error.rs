//! Why an operation on names fails.

use core::fmt;

use swos_abi::Errno;

/// Why an operation failed. Each variant is one errno ([`Error::errno`]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Owner and mode forbid it.
    AccessDenied,
    /// Something removed still holds the space that this needs: reclaim, and ask again. No program sees it.
    Again,
    /// In use: a mount point, or a file system that is already mounted in this namespace.
    Busy,
    /// The file system found its own records inconsistent.
    Corrupt,
    /// The two names lie in different mounts.
    CrossMount,
    /// The name is taken.
    Exists,
    /// The path or seek position is malformed: NUL, no last name, negative position.
    Invalid,
    /// It is a directory.
    IsDirectory,
    /// A path, a component, or path and link targets together are too long.
    NameTooLong,
    /// No quota or memory left for it in this file system.
    NoSpace,
    /// The directory has entries.
    NotEmpty,
    /// No such name, or it lies outside the root.
    NotFound,
    /// A component that is not the last one, or one before a `/`, is no directory.
    NotDirectory,
    /// It is never allowed on such a node, whoever asks.
    NotPermitted,
    /// The node or file system does not do this.
    NotSupported,
    /// The kernel has no memory for it.
    OutOfMemory,
    /// The file system can't be changed.
    ReadOnly,
    /// The file would grow beyond its limit.
    TooLarge,
    /// More than [`LINKS_MAX`](crate::LINKS_MAX) symbolic links.
    TooManyLinks,
    /// The node has as many names as it can have.
    TooManyNames,
    /// The mount is gone.
    Unmounted,
}

impl Error {
    /// The number that a program sees.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::AccessDenied => Errno::ACCES,
            Self::Again => Errno::AGAIN,
            Self::Busy => Errno::BUSY,
            Self::Corrupt => Errno::IO,
            Self::CrossMount => Errno::XDEV,
            Self::Exists => Errno::EXIST,
            Self::Invalid => Errno::INVAL,
            Self::IsDirectory => Errno::ISDIR,
            Self::NameTooLong => Errno::NAMETOOLONG,
            Self::NoSpace => Errno::NOSPC,
            Self::NotEmpty => Errno::NOTEMPTY,
            Self::NotFound => Errno::NOENT,
            Self::NotDirectory => Errno::NOTDIR,
            Self::NotPermitted => Errno::PERM,
            Self::NotSupported => Errno::OPNOTSUPP,
            Self::OutOfMemory => Errno::NOMEM,
            Self::ReadOnly => Errno::ROFS,
            Self::TooLarge => Errno::FBIG,
            Self::TooManyLinks => Errno::LOOP,
            Self::TooManyNames => Errno::MLINK,
            Self::Unmounted => Errno::NODEV,
        }
    }
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        error.errno()
    }
}

impl From<swos_path::Error> for Error {
    /// An empty path names nothing (POSIX.1-2024 §4.16), so it is [`Error::NotFound`].
    fn from(error: swos_path::Error) -> Self {
        match error {
            swos_path::Error::Empty => Self::NotFound,
            swos_path::Error::NameTooLong { .. } | swos_path::Error::PathTooLong => Self::NameTooLong,
            swos_path::Error::Nul { .. }
            | swos_path::Error::Reserved
            | swos_path::Error::Separator { .. } => Self::Invalid,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errno().text())
    }
}

impl core::error::Error for Error {}
