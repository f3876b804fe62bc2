//! Writable files in memory, as a [`FileSystem`]: names, pages, quotas. It owns no memory but its records: frames come from
//! the caller's [`FrameStore`] and go back there.
//!
//! In go the operations of [`FileSystem`] with who asks and what time it is; out come nodes, frames and errors.
//! What is removed gives its frames back in slices of the caller's choice ([`FileSystem::reclaim`]), so that removing a large
//! file is no long work.
//!
//! **Invariant:** an operation that fails changes nothing, except that a write may be short.
//! **Invariant:** what is charged to principals is what is there: a page with each frame and each link's target, a node with each
//! node. When all names and handles are gone and reclaimed, nothing is charged, and no record is kept.
//! **Invariant:** [`Error::NoSpace`] means that a limit is reached, or that the store has no frame, while nothing waits to be
//! reclaimed.
//! **Invariant:** bytes never written are zero, whatever was there before.
//! **Invariant:** a frame that is in use elsewhere (being sent, being read) is not written: the file gets a copy. A page that was
//! given out to be shared ([`FileSystem::page_to_share`]) is written where it is, until it is sealed; what is stored in
//! it behind the file's end never becomes part of the file.
//! **Invariant:** no operation searches: names by hash, pages by a tree of sixteen branches, one bucket at a time when
//! the table grows.
//!
//! Deliberately absent: locks, waiting, clocks, groups of principals, a principal who may do more than others, devices.
//!
//! Source: POSIX.1-2024 `open()`, `rename()`, `unlink()`, `link()`, `ftruncate()`, §4.5 (file access permissions).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounts;
mod bytes;
mod names;
mod node;
mod radix;
mod slab;
mod tree;

use swos_path::Name;
use swos_units::Frame;
use swos_vfs::{
    Access, Attributes, Child, Cursor, DirectoryEntry, Error, FileSystem, FrameStore, Garbage, Kind, NewNode,
    NodeId, PageSource, Principal, Times, Usage, WriteAt, Written,
};

pub use accounts::Limits;

use crate::{
    accounts::{Accounts, Held},
    names::Names,
    node::{Content, Directory, Entry, Node, Page, State},
    slab::Slab,
};

/// Longest file, in bytes: bounds how much a single page far out can cost in records.
pub const FILE_MAX: u64 = 1 << 44;
/// Names that one file can have.
pub const NAMES_MAX: u32 = 65_000;

/// A file system in memory.
#[derive(Debug)]
pub struct TmpFs {
    nodes: Slab<Node>,
    entries: Slab<Entry>,
    names: Names,
    accounts: Accounts,
    /// The first node with pages that are to go; the others follow it.
    garbage: Option<NodeId>,
    root: NodeId,
    names_max: u32,
    /// How often a directory was moved or renamed.
    changes: u64,
}

impl TmpFs {
    /// An empty one, whose topmost directory has this owner and mode. `seed` is secret: with it, names could be chosen that
    /// all fall into one bucket.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub fn new(
        limits: Limits,
        seed: [u64; 2],
        owner: Principal,
        mode: u32,
        now_ns: u64,
    ) -> Result<Self, Error> {
        let mut nodes = Slab::new();
        let root = Node {
            mode,
            owner,
            names: 1,
            opens: 0,
            modified_ns: now_ns,
            changed_ns: now_ns,
            accessed_ns: now_ns,
            content: Content::Directory(Directory::new(NodeId(0))),
        };
        let root = NodeId(nodes.insert(root)?);
        if let Some(Node { content: Content::Directory(directory), .. }) = nodes.get_mut(root.0) {
            directory.parent = root;
        }
        Ok(Self {
            nodes,
            entries: Slab::new(),
            names: Names::new(seed),
            accounts: Accounts::new(limits),
            garbage: None,
            root,
            names_max: NAMES_MAX,
            changes: 0,
        })
    }

    fn owned(&mut self, who: Principal, node: NodeId) -> Result<&mut Node, Error> {
        let node = self.node_mut(node)?;
        if node.owner == who { Ok(node) } else { Err(Error::AccessDenied) }
    }
}

impl FileSystem for TmpFs {
    fn root(&self) -> NodeId {
        self.root
    }

    fn lookup(&self, who: Principal, directory: NodeId, name: Name<'_>) -> Result<Child, Error> {
        self.directory(directory)?;
        if !self.node(directory)?.permits(who, 1) {
            return Err(Error::AccessDenied);
        }
        let (_, node) = self.entry(directory, name)?;
        Ok(Child { node, kind: self.node(node)?.kind() })
    }

    fn parent(&self, directory: NodeId) -> Result<NodeId, Error> {
        Ok(self.directory(directory)?.parent)
    }

    fn changes(&self) -> u64 {
        self.changes
    }

    fn read_link(&self, link: NodeId) -> Result<&[u8], Error> {
        match &self.node(link)?.content {
            Content::Symlink(target) => Ok(target),
            Content::Directory(_) | Content::File(_) | Content::Fifo => Err(Error::Invalid),
        }
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Error> {
        Ok(self.node(node)?.attributes())
    }

    /// Programs are not started from here: they come from where every byte is verified.
    fn access(&self, who: Principal, node: NodeId, access: Access) -> Result<(), Error> {
        let node = self.node(node)?;
        let allowed = match access {
            Access::Read => node.permits(who, 4),
            Access::Write => node.permits(who, 2),
            Access::Search => node.permits(who, 1),
            Access::Execute => false,
        };
        if allowed { Ok(()) } else { Err(Error::AccessDenied) }
    }

    /// In the order in which the names were made. A cursor is the sequence number of the next entry.
    fn read_directory(&self, directory: NodeId, cursor: Cursor) -> Result<Option<DirectoryEntry<'_>>, Error> {
        let (entries, next) = self.entries_of(directory)?;
        if cursor.0 > next {
            return Err(Error::Invalid);
        }
        let Some((sequence, id)) = entries.first_from(cursor.0) else { return Ok(None) };
        let entry = self.entries.get(id).ok_or(Error::Corrupt)?;
        let name = Name::new(&entry.name).map_err(|_| Error::Corrupt)?;
        let child = Child { node: entry.node, kind: self.node(entry.node)?.kind() };
        Ok(Some(DirectoryEntry { name, child, next: Cursor(sequence + 1) }))
    }

    fn page(&self, file: NodeId, index: u64) -> Result<Option<PageSource>, Error> {
        let file = self.node(file)?.file()?;
        if index >= swos_units::page_count(file.size) {
            return Ok(None);
        }
        Ok(Some(match file.pages.get(index) {
            None => PageSource::Hole,
            Some(Page { frame, state: State::Sealed }) => PageSource::Frame(frame),
            Some(Page { frame, state: State::Open }) => PageSource::Open(frame),
        }))
    }

    fn name(&self, directory: NodeId) -> Result<Option<Name<'_>>, Error> {
        let entry = self.directory(directory)?.entry;
        if directory == self.root {
            return Ok(None);
        }
        let entry = entry.and_then(|id| self.entries.get(id)).ok_or(Error::NotFound)?;
        Name::new(&entry.name).map(Some).map_err(|_| Error::Corrupt)
    }

    fn usage(&self) -> Usage {
        self.accounts.usage()
    }

    fn create(
        &mut self,
        who: Principal,
        directory: NodeId,
        name: Name<'_>,
        node: NewNode<'_>,
        mode: u32,
        now_ns: u64,
    ) -> Result<NodeId, Error> {
        self.create_node(who, directory, name, node, mode, now_ns)
    }

    fn link(
        &mut self,
        who: Principal,
        node: NodeId,
        directory: NodeId,
        name: Name<'_>,
        now_ns: u64,
    ) -> Result<(), Error> {
        self.link_node(who, node, directory, name, now_ns)
    }

    fn unlink(
        &mut self,
        who: Principal,
        directory: NodeId,
        name: Name<'_>,
        kind: Kind,
        now_ns: u64,
    ) -> Result<(), Error> {
        self.unlink_node(who, directory, name, kind, now_ns)
    }

    fn rename(
        &mut self,
        who: Principal,
        from: (NodeId, Name<'_>),
        to: (NodeId, Name<'_>),
        now_ns: u64,
    ) -> Result<(), Error> {
        self.rename_node(who, from, to, now_ns)
    }

    fn write(
        &mut self,
        file: NodeId,
        at: WriteAt,
        bytes: &[u8],
        now_ns: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<Written, Error> {
        self.write_file(file, at, bytes, now_ns, frames)
    }

    fn page_to_share(
        &mut self,
        file: NodeId,
        index: u64,
        modified_ns: Option<u64>,
        frames: &mut dyn FrameStore,
    ) -> Result<Frame, Error> {
        self.open_page(file, index, modified_ns, frames)
    }

    /// It can't fail: a page that is there keeps its place.
    fn seal_page(&mut self, file: NodeId, index: u64, frames: &mut dyn FrameStore) {
        let _sealed = self.close_page(file, index, frames);
    }

    fn set_size(
        &mut self,
        file: NodeId,
        size: u64,
        now_ns: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<(), Error> {
        self.cut_or_grow(file, size, now_ns, frames)
    }

    fn set_mode(&mut self, who: Principal, node: NodeId, mode: u32, now_ns: u64) -> Result<(), Error> {
        let node = self.owned(who, node)?;
        (node.mode, node.changed_ns) = (mode, now_ns);
        Ok(())
    }

    fn set_owner(
        &mut self,
        who: Principal,
        node: NodeId,
        owner: Principal,
        now_ns: u64,
    ) -> Result<(), Error> {
        let pages = self.owned(who, node)?.pages();
        if owner != who {
            self.accounts.transfer(who, owner, Held { pages, nodes: u64::from(node != self.root) })?;
        }
        let node = self.node_mut(node)?;
        (node.owner, node.changed_ns) = (owner, now_ns);
        Ok(())
    }

    fn set_times(&mut self, who: Principal, node: NodeId, times: Times, now_ns: u64) -> Result<(), Error> {
        let node = self.owned(who, node)?;
        node.accessed_ns = times.accessed_ns.unwrap_or(node.accessed_ns);
        node.modified_ns = times.modified_ns.unwrap_or(node.modified_ns);
        node.changed_ns = now_ns;
        Ok(())
    }

    fn retain(&mut self, node: NodeId) {
        if let Ok(node) = self.node_mut(node) {
            node.opens += 1;
        }
    }

    fn release(&mut self, node: NodeId) {
        if let Ok(released) = self.node_mut(node) {
            released.opens -= 1;
            self.bury(node);
        }
    }

    fn reclaim(&mut self, limit: u32, frames: &mut dyn FrameStore) -> Garbage {
        self.reclaim_some(limit, frames)
    }
}
