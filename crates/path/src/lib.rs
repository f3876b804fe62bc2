//! Path syntax: components, limits, and nothing about what the names lead to.
//!
//! Bytes go in, a checked [`Path`] comes out, whose [`Components`] a resolver walks. `.` and `..` are
//! components of their own ([`Component::Current`], [`Component::Parent`]): only a resolver knows what `..`
//! means behind a symbolic link, so nothing here removes them textually.
//!
//! **Invariant:** a [`Path`] has 1..=4096 bytes, no NUL, and no component above 255 bytes.
//! **Invariant:** a [`Name`] has 1..=255 bytes, no NUL, no `/`, and is neither `.` nor `..`.
//!
//! Names are *bytes* and equal only when their bytes are. No encoding is asked for, no case folded, no
//! Unicode normalised: two names that a reader can't tell apart must not become one file to the kernel.
//! The packer of base images asks for UTF-8 on top, because people will type those names.
//!
//! ```
//! use swos_path::{Component, Name, Path};
//! let path = Path::new(b"/www//../etc/motd").unwrap();
//! assert!(path.is_absolute());
//! let etc = Component::Name(Name::new(b"etc").unwrap());
//! assert_eq!(path.components().nth(1), Some(Component::Parent));
//! assert_eq!(path.components().nth(2), Some(etc));
//! assert!(Path::new(b"a\0b").is_err());
//! ```
//!
//! Source: POSIX.1-2024 §3.271 (pathname), §4.16 (pathname resolution).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod components;
mod name;
mod swar;

pub use components::{Component, Components, Path};
pub use name::Name;

/// Longest name of one directory entry, in bytes.
pub const NAME_MAX: usize = 255;

/// Longest path, in bytes.
pub const PATH_MAX: usize = 4096;

/// Why bytes are no path or no name. Offsets are in bytes from the start of what was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// There are no bytes.
    Empty,
    /// The component that starts here has more than [`NAME_MAX`] bytes.
    NameTooLong {
        /// Where it starts.
        offset: usize,
    },
    /// A NUL byte.
    Nul {
        /// Where it is.
        offset: usize,
    },
    /// More than [`PATH_MAX`] bytes.
    PathTooLong,
    /// `.` and `..` name no entry of their own.
    Reserved,
    /// A `/` inside a single name.
    Separator {
        /// Where it is.
        offset: usize,
    },
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::NameTooLong { offset } => {
                write!(f, "the component at byte {offset} is longer than {NAME_MAX} bytes")
            }
            Self::Nul { offset } => write!(f, "it has a NUL at byte {offset}"),
            Self::PathTooLong => write!(f, "it is longer than {PATH_MAX} bytes"),
            Self::Reserved => f.write_str("'.' and '..' are no names"),
            Self::Separator { offset } => write!(f, "it has a '/' at byte {offset}"),
        }
    }
}

impl core::error::Error for Error {}
