//! Why an image is refused, or can't be written.

use core::fmt;

use crate::KeyId;

/// Why an image, or a block of it, is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The signed entry with this number breaks a rule of the format.
    BadEntry {
        /// Which entry, from 0.
        entry: u32,
        /// Offset of the offending field within the entry.
        field: u16,
    },
    /// A header field contradicts the format or another field.
    BadHeader {
        /// Offset of the field in the image.
        offset: u16,
    },
    /// It does not start as an image.
    BadMagic,
    /// The signature does not belong to these bytes and this key.
    BadSignature,
    /// The content of a file (v3) is not what was signed.
    ContentMismatch {
        /// Which entry, from 0.
        entry: u32,
    },
    /// A block is not what was signed.
    HashMismatch {
        /// Which block of the image.
        block: u64,
    },
    /// The hash block that this one is checked with has not been read yet.
    HashNotLoaded {
        /// Which block of the image must come first.
        block: u64,
    },
    /// There is no such block, or it is checked in another way.
    NotCovered {
        /// Which block.
        block: u64,
    },
    /// Bytes that must be zero are not.
    NotZero {
        /// Offset in the image of the 8-byte group with the first of them.
        offset: u16,
    },
    /// No memory for the metadata or a hash block.
    OutOfMemory,
    /// The image is older than what this system has already run.
    RolledBack {
        /// Its version.
        found: u64,
        /// The oldest that is accepted.
        floor: u64,
    },
    /// It was signed with a key that is not trusted here.
    UnknownKey {
        /// The key it names.
        id: KeyId,
    },
    /// Another version of the format.
    UnsupportedVersion {
        /// The version it states.
        found: u32,
    },
    /// The image says that it has another length.
    WrongLength {
        /// Bytes that it says it has.
        stated: u64,
        /// Bytes that are there.
        actual: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadEntry { entry, field } => {
                write!(f, "entry {entry} breaks the format in its field at {field}")
            }
            Self::BadHeader { offset } => write!(f, "the header field at {offset} breaks the format"),
            Self::BadMagic => f.write_str("not a SWOSBASE image"),
            Self::BadSignature => f.write_str("the signature does not match"),
            Self::ContentMismatch { entry } => {
                write!(f, "the content of entry {entry} is not what was signed")
            }
            Self::HashMismatch { block } => write!(f, "block {block} is not what was signed"),
            Self::HashNotLoaded { block } => write!(f, "hash block {block} has not been read"),
            Self::NotCovered { block } => write!(f, "block {block} is not one that a hash covers"),
            Self::NotZero { offset } => write!(f, "bytes from {offset} on must be zero"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::RolledBack { found, floor } => {
                write!(f, "image version {found} is older than the accepted {floor}")
            }
            Self::UnknownKey { id } => {
                write!(f, "signed with the unknown key {:016x}", u64::from_be_bytes(id.0))
            }
            Self::UnsupportedVersion { found } => write!(f, "format version {found} is not supported"),
            Self::WrongLength { stated, actual } => {
                write!(f, "the image has {stated} bytes, but {actual} are there")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Why an image can't be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteError {
    /// The name is there already.
    Exists,
    /// The path is absolute, empty, too long, or has `.`, `..`, `//` or NUL in it.
    InvalidPath,
    /// A permission bit outside 0o777.
    InvalidMode,
    /// The path is not UTF-8.
    NotUtf8,
    /// The directory that it should lie in is not there, or is no directory.
    NoParent,
    /// The symbolic link leads to nothing that is a path.
    InvalidTarget,
    /// v3 holds at least one entry.
    Empty,
    /// v3 has no symbolic links.
    SymlinkInV3,
    /// v3 has owner 1, no times, and 0755 or 0644 by place: this node has other attributes.
    AttributesInV3,
    /// v3 images hold no names that start with a dot.
    HiddenInV3,
    /// Too many entries, or too many bytes.
    TooLarge,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "the name is there already",
            Self::InvalidPath => "not a relative path in its plain form",
            Self::InvalidMode => "mode bits outside 0777",
            Self::NotUtf8 => "the name is not UTF-8",
            Self::NoParent => "its directory is not there",
            Self::InvalidTarget => "the link's target is no path",
            Self::Empty => "a version 3 image needs at least one entry",
            Self::SymlinkInV3 => "version 3 has no symbolic links",
            Self::AttributesInV3 => "version 3 can't hold this owner, mode or time",
            Self::HiddenInV3 => "version 3 holds no names that start with a dot",
            Self::TooLarge => "too many entries or bytes",
        })
    }
}

impl core::error::Error for WriteError {}
