//! Mounts, name resolution, vnodes and open files: everything about names, nothing about bytes on a device.
//!
//! In go a [`Scope`] (where a process may look) and a checked path; out comes a [`VnodeId`] or an [`Error`] that maps to
//! one errno. File systems hang in through the [`FileSystem`] trait. Names never block: a file system that lives
//! on a device has its metadata in memory. File *data* is described ([`PageSource`]) and fetched elsewhere.
//!
//! **Invariant:** no path, symbolic link or `..` leads out of the root of its [`Scope`]. `..` at the root stays there.
//! **Invariant:** what lies outside is [`Error::NotFound`], the same as what does not exist.
//! **Invariant:** one resolution does bounded work: at most [`LINKS_MAX`] links, at most [`WALK_BYTES_MAX`] bytes of path
//! and link targets together.
//!
//! **Invariant:** the same holds for a resolution that is done a few steps at a time ([`Vfs::resolve_some`]), whatever is
//! moved or removed in between. A way up that is so deep that it takes several parts begins anew when a directory was moved.
//!
//! Deliberately absent: locks (the caller holds one), hard links to directories, time, waiting.
//!
//! Source: POSIX.1-2024 §4.16 (pathname resolution).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod ascent;
mod error;
mod filesystem;
mod namespace;
mod node;
mod open_file;
mod remembered;
mod resolve;

pub use ascent::{Ascent, Climbed, RESTARTS_MAX, Trail};
pub use error::Error;
pub use filesystem::{FileSystem, FrameStore, NewNode};
pub use namespace::{Namespace, Vfs};
pub use node::{
    Access, Attributes, Child, Cursor, DirectoryEntry, Extent, Garbage, Kind, MountId, NodeId, PageSource,
    Principal, Times, Usage, VnodeId, WriteAt, Written,
};
pub use open_file::{OpenFile, Whence};
pub use remembered::Remembered;
pub use resolve::{EntryAt, Halt, LINKS_MAX, LastLink, Resolved, Route, Scope, Unfinished, WALK_BYTES_MAX};
