//! The vocabulary: which node, what kind, where its bytes are.

use swos_abi::{Node, Stat};
use swos_pagecache::Key;
use swos_path::Name;
use swos_units::Frame;

/// An attached file system. Never means another one, even after it was detached.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MountId {
    pub(crate) index: u16,
    pub(crate) generation: u16,
}

impl MountId {
    /// Its number, as `stat` shows it in `device`.
    #[must_use]
    pub const fn get(self) -> u32 {
        (self.generation as u32) << 16 | self.index as u32
    }
}

/// A node within one file system. What the number means is the file system's business.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u64);

/// A node anywhere: the identity that open files and current directories keep.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VnodeId {
    /// In which attached file system.
    pub mount: MountId,
    /// Which node there.
    pub node: NodeId,
}

/// Who asks, for owner and mode. 1 is root, which has no privilege here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Principal(pub u32);

/// What a node is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Holds names.
    Directory,
    /// Holds bytes.
    File,
    /// Holds a path.
    Symlink,
    /// A name at which two programs find one pipe.
    Fifo,
    /// A device that takes and gives bytes.
    Character,
}

impl Kind {
    /// Its bits in a mode.
    #[must_use]
    pub const fn mode_type(self) -> u32 {
        match self {
            Self::Directory => Node::DIRECTORY.0,
            Self::File => Node::REGULAR.0,
            Self::Symlink => Node::SYMLINK.0,
            Self::Fifo => Node::FIFO.0,
            Self::Character => Node::CHARACTER.0,
        }
    }
}

/// What somebody wants to do with a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Read bytes or names.
    Read,
    /// Change bytes or names.
    Write,
    /// Start it as a program.
    Execute,
    /// Look names up in it.
    Search,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Child {
    /// The node.
    pub node: NodeId,
    /// What it is. Given with the lookup because every step of a walk needs it.
    pub kind: Kind,
}

/// Attributes of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attributes {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 0..=0o7777.
    pub mode: u32,
    /// Owning principal.
    pub owner: Principal,
    /// Bytes of a file or of a link's target, entries of a directory.
    pub size: u64,
    /// Names that lead to it.
    pub links: u32,
    /// Bytes that are stored: less than `size` where nothing was written.
    pub allocated: u64,
    /// Last change of the bytes, nanoseconds since 1970; 0 = unknown. So are the next two.
    pub modified_ns: u64,
    /// Last change of anything, names and modes included.
    pub changed_ns: u64,
    /// When it was last said to be read. Reading does not say so: a read would be a write.
    pub accessed_ns: u64,
    /// SHA-256 of a file's bytes, where it is at hand.
    pub content_hash: Option<[u8; 32]>,
}

impl Attributes {
    /// The record that `stat` returns for the node `at`.
    #[must_use]
    pub fn to_stat(&self, at: VnodeId) -> Stat {
        Stat {
            mode: self.kind.mode_type() | self.mode,
            owner: self.owner.0,
            size: self.size,
            inode: at.node.0,
            device: u64::from(at.mount.get()),
            links: self.links,
            hash_known: u32::from(self.content_hash.is_some()),
            modified_ns: self.modified_ns,
            content_hash: self.content_hash.unwrap_or_default(),
            allocated: self.allocated,
            changed_ns: self.changed_ns,
            accessed_ns: self.accessed_ns,
        }
    }
}

/// A position in a directory: 0 is the start, every other value came from [`DirectoryEntry::next`].
///
/// **Contract:** entries that exist from the first to the last read of a directory appear exactly once, whatever is
/// created or removed meanwhile; a position stays valid when the entry that it was got from is removed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cursor(pub u64);

/// One name in a directory. `.` and `..` are never listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DirectoryEntry<'a> {
    /// The name.
    pub name: Name<'a>,
    /// What it leads to.
    pub child: Child,
    /// Where to go on.
    pub next: Cursor,
}

/// Where one 4 KiB page of a file comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PageSource {
    /// From the page cache, under this key. Bytes of the last page past the file's end are zero.
    Cached(Key),
    /// From this frame, which the file system owns. Its bytes stay as long as it is in use elsewhere.
    Frame(Frame),
    /// From this frame as well, but whoever maps it writes it at any time: its bytes are to be copied.
    Open(Frame),
    /// Nothing was ever written there: zeros.
    Hole,
}

/// All bytes of a file that never changes, in consecutive pages of the page cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// Its first page, if it has any.
    pub first: Key,
    /// Bytes.
    pub size: u64,
}

/// Where a write starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteAt {
    /// So many bytes behind the start.
    Offset(u64),
    /// At the end, whatever it is then.
    End,
}

/// What a write did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Bytes taken, less than asked for when space ran out.
    pub count: usize,
    /// Where they end in the file.
    pub end: u64,
}

/// New times of a node; `None` leaves one as it is. Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// Last read.
    pub accessed_ns: Option<u64>,
    /// Last change of the bytes.
    pub modified_ns: Option<u64>,
}

/// Room in a file system.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Pages that it may hold.
    pub pages: u64,
    /// Pages that it holds.
    pub pages_used: u64,
    /// Nodes that it may hold.
    pub nodes: u64,
    /// Nodes that it holds.
    pub nodes_used: u64,
}

/// Whether anything removed still holds memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Garbage {
    /// Nothing does.
    None,
    /// Some does: ask again.
    Left,
}
