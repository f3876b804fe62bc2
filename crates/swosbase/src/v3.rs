//! Version 3: one signature over the metadata, one hash per file. For images of the predecessor system.
//!
//! A file's content is checked as a whole ([`ContentCheck`]), so it can't be used page by page as it comes from a disk:
//! [`Mount`] reads, checks and keeps all of it before any is used. New images are [version 4](crate::v4).
//!
//! Stricter than the predecessor's reader, because a writer that follows the rules can't tell: offsets have to be exactly what
//! its packer wrote, files have to fill the data section without gap or overlap, and an entry that breaks a rule refuses the
//! image instead of vanishing.
//!
//! Source: SWOSBASE v3, as that system wrote it: 64-byte header, 72-byte entries, NUL-ended paths, signature, file bytes.

mod mount;
mod read;
mod write;

pub use mount::{Mount, Pages};
pub use read::{ContentCheck, Entry, Header, Kind, METADATA_MAX, Metadata, Unverified, verify_all};
pub use write::{attributes_at, write};

/// Version number in the header.
pub const VERSION: u32 = 3;

/// Size of the header.
pub const HEADER_SIZE: usize = 64;

/// Size of an entry.
const ENTRY_SIZE: usize = 72;

/// Size of the signature between strings and data.
const SIGNATURE_SIZE: usize = 64;

/// Where programs lie: files below have mode 0755, all others 0644.
const PROGRAM_DIRECTORIES: [&[u8]; 5] = [b"bin/", b"sbin/", b"usr/bin/", b"usr/sbin/", b"usr/local/bin/"];
