//! Nodes, and the entries that name them.

use alloc::vec::Vec;

use swos_units::{Frame, PAGE_SIZE};
use swos_vfs::{Attributes, Kind, NodeId, Principal};

use crate::radix::Radix;

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Of which directory.
    pub(crate) directory: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) node: NodeId,
    /// Its place in the order of the directory.
    pub(crate) sequence: u64,
    pub(crate) hash: u64,
    /// The next one in its bucket.
    pub(crate) next: u64,
}

/// A file, a directory, or what else has names.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) mode: u32,
    pub(crate) owner: Principal,
    /// Names that lead to it; 1 for the topmost directory.
    pub(crate) names: u32,
    /// Handles to it.
    pub(crate) opens: u32,
    pub(crate) modified_ns: u64,
    pub(crate) changed_ns: u64,
    pub(crate) accessed_ns: u64,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Directory(Directory),
    File(File),
    Symlink(Vec<u8>),
    Fifo,
}

#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) parent: NodeId,
    /// Its own entry in its parent; `None` for the topmost and for one that was removed.
    pub(crate) entry: Option<u64>,
    /// Ids of entries by their sequence numbers.
    pub(crate) entries: Radix<u64>,
    /// The next sequence number. Never used again, so that a cursor stays good.
    pub(crate) next: u64,
    pub(crate) subdirectories: u32,
}

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) size: u64,
    pub(crate) pages: Radix<Page>,
    /// A page of it was open once: then its last one may be.
    pub(crate) was_open: bool,
    /// Pages from this index on are garbage.
    pub(crate) cut: Option<u64>,
    /// The next node with garbage.
    pub(crate) next_garbage: Option<NodeId>,
}

/// A page of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) frame: Frame,
    pub(crate) state: State,
}

/// What holds of a page's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// They stay while the frame is in use elsewhere, and behind the file's end they are zero.
    Sealed,
    /// Programs that map it write them, also behind the file's end.
    Open,
}

impl Page {
    pub(crate) const fn sealed(frame: Frame) -> Self {
        Self { frame, state: State::Sealed }
    }
}

impl Directory {
    pub(crate) const fn new(parent: NodeId) -> Self {
        Self { parent, entry: None, entries: Radix::new(), next: 1, subdirectories: 0 }
    }
}

impl File {
    pub(crate) const fn new() -> Self {
        Self { size: 0, pages: Radix::new(), was_open: false, cut: None, next_garbage: None }
    }
}

impl Node {
    pub(crate) const fn kind(&self) -> Kind {
        match self.content {
            Content::Directory(_) => Kind::Directory,
            Content::File(_) => Kind::File,
            Content::Symlink(_) => Kind::Symlink,
            Content::Fifo => Kind::Fifo,
        }
    }

    /// Pages that it counts for in quotas.
    pub(crate) const fn pages(&self) -> u64 {
        match &self.content {
            Content::File(file) => file.pages.len(),
            // Its target is as long as it likes, up to a page.
            Content::Symlink(_) => 1,
            Content::Directory(_) | Content::Fifo => 0,
        }
    }

    /// Whether `who` has the permission with this bit: 4 read, 2 write, 1 execute or search.
    pub(crate) const fn permits(&self, who: Principal, bit: u32) -> bool {
        let class = if who.0 == self.owner.0 { self.mode >> 6 } else { self.mode };
        class & bit != 0
    }

    /// Whether nothing leads to it any more.
    pub(crate) const fn is_dead(&self) -> bool {
        self.names == 0 && self.opens == 0
    }

    pub(crate) fn attributes(&self) -> Attributes {
        let (size, links) = match &self.content {
            // Its own `.` and each `..` below count, as POSIX has it.
            Content::Directory(directory) if self.names > 0 => {
                (directory.entries.len(), self.names + 1 + directory.subdirectories)
            }
            Content::Directory(_) => (0, 0),
            Content::File(file) => (file.size, self.names),
            Content::Symlink(target) => (target.len() as u64, self.names),
            Content::Fifo => (0, self.names),
        };
        Attributes {
            kind: self.kind(),
            mode: self.mode,
            owner: self.owner,
            size,
            links,
            allocated: self.pages() * PAGE_SIZE as u64,
            modified_ns: self.modified_ns,
            changed_ns: self.changed_ns,
            accessed_ns: self.accessed_ns,
            content_hash: None,
        }
    }
}
