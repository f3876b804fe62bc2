//! A verified base image as a file system.
//!
//! Takes the metadata of a mounted image ([`swos_swosbase::v4::Image`]) and answers the questions of `vfs` from memory. File
//! data is named by block of the image ([`PageSource::Cached`]), so a page is in the cache once, whatever leads to it,
//! and the block number is also what verifies it. Of an image that was read and verified as a whole
//! ([`swos_swosbase::v3::Mount`]) the data lies in frames ([`PageSource::Frame`]).
//!
//! **Invariant:** nothing here can change: every writing method answers [`Error::ReadOnly`].
//! **Invariant:** every block that is named lies in the image's data.
//!
//! Source: `FORMAT.md` of `swos-swosbase`.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use swos_abi::Stat;
use swos_pagecache::{Key, ObjectId};
use swos_path::Name;
use swos_swosbase::v4::{Content, Entry, Index, Meta};
use swos_units::{Frame, PAGE_SIZE, page_count};
use swos_vfs::{
    Access, Attributes, Child, Cursor, DirectoryEntry, Error, Extent, FileSystem, Kind, NodeId, PageSource,
    Principal, VnodeId,
};

/// A base image.
#[derive(Debug)]
pub struct BaseFs {
    index: Index,
    data: Data,
}

/// Where the pages of files are.
#[derive(Debug)]
enum Data {
    /// In the page cache, under this object and the number of their block.
    Cached(ObjectId),
    /// In these frames, which are never given back; block numbers count them.
    Resident(Vec<Frame>),
}

impl BaseFs {
    /// The file system of the image with this metadata. `object` names the image in the page cache.
    #[must_use]
    pub const fn new(index: Index, object: ObjectId) -> Self {
        Self { index, data: Data::Cached(object) }
    }

    /// The file system of an image whose verified data is in memory for ever: block 0 of `index` is in the first of `frames`,
    /// and so on.
    #[must_use]
    pub const fn resident(index: Index, frames: Vec<Frame>) -> Self {
        Self { index, data: Data::Resident(frames) }
    }

    /// The metadata.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// SHA-256 of a file's bytes, as it was signed; `None` if it is no file.
    #[must_use]
    pub fn content_hash(&self, node: NodeId) -> Option<[u8; 32]> {
        match self.entry(node).ok()?.1.content {
            Content::File { sha256, .. } => Some(sha256),
            Content::Directory { .. } | Content::Symlink { .. } => None,
        }
    }

    fn entry(&self, node: NodeId) -> Result<(u32, Entry<'_>), Error> {
        let at = u32::try_from(node.0).map_err(|_| Error::NotFound)?;
        Ok((at, self.index.entry(at).ok_or(Error::NotFound)?))
    }

    fn meta(&self, node: NodeId) -> Result<Meta<'_>, Error> {
        u32::try_from(node.0).ok().and_then(|at| self.index.meta(at)).ok_or(Error::NotFound)
    }

    fn child(&self, at: u32) -> Result<Child, Error> {
        let kind = self.index.kind(at).ok_or(Error::Corrupt)?;
        Ok(Child { node: NodeId(u64::from(at)), kind: kind_of(kind) })
    }
}

const fn kind_of(kind: swos_swosbase::v4::Kind) -> Kind {
    match kind {
        swos_swosbase::v4::Kind::Directory => Kind::Directory,
        swos_swosbase::v4::Kind::File => Kind::File,
        swos_swosbase::v4::Kind::Symlink => Kind::Symlink,
    }
}

impl FileSystem for BaseFs {
    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn names_never_change(&self) -> bool {
        true
    }

    /// Everybody may search: the image is public, and what must not be seen is not mounted.
    fn lookup(&self, _who: Principal, directory: NodeId, name: Name<'_>) -> Result<Child, Error> {
        let at = u32::try_from(directory.0).map_err(|_| Error::NotFound)?;
        match self.index.lookup(at, name.as_bytes()) {
            Some(found) => self.child(found),
            None if self.index.children(at).is_some() => Err(Error::NotFound),
            None => Err(Error::NotDirectory),
        }
    }

    fn parent(&self, directory: NodeId) -> Result<NodeId, Error> {
        let (_, entry) = self.entry(directory)?;
        match entry.content {
            Content::Directory { .. } => Ok(NodeId(u64::from(entry.parent))),
            Content::File { .. } | Content::Symlink { .. } => Err(Error::NotDirectory),
        }
    }

    fn name(&self, directory: NodeId) -> Result<Option<Name<'_>>, Error> {
        let (at, entry) = self.entry(directory)?;
        match entry.content {
            Content::Directory { .. } if at == 0 => Ok(None),
            Content::Directory { .. } => Name::new(entry.name).map(Some).map_err(|_| Error::Corrupt),
            Content::File { .. } | Content::Symlink { .. } => Err(Error::NotDirectory),
        }
    }

    fn read_link(&self, link: NodeId) -> Result<&[u8], Error> {
        match self.entry(link)?.1.content {
            Content::Symlink { target } => Ok(target),
            Content::Directory { .. } | Content::File { .. } => Err(Error::Invalid),
        }
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Error> {
        let meta = self.meta(node)?;
        let (kind, size) = (kind_of(meta.kind), meta.size);
        let modified_ns = meta.modified_s.saturating_mul(1_000_000_000);
        Ok(Attributes {
            kind,
            mode: meta.mode,
            owner: Principal(meta.owner),
            size,
            links: 1,
            allocated: if kind == Kind::File { size.next_multiple_of(PAGE_SIZE as u64) } else { 0 },
            modified_ns,
            changed_ns: modified_ns,
            accessed_ns: 0,
            content_hash: meta.sha256.copied(),
        })
    }

    /// As the attributes say, without making them.
    fn stat(&self, at: VnodeId, record: &mut Stat) -> Result<(), Error> {
        let meta = self.meta(at.node)?;
        record.mode = kind_of(meta.kind).mode_type() | meta.mode;
        record.owner = meta.owner;
        record.size = meta.size;
        record.inode = at.node.0;
        record.device = u64::from(at.mount.get());
        record.links = 1;
        if let Some(sha256) = meta.sha256 {
            record.hash_known = 1;
            record.content_hash = *sha256;
            record.allocated = meta.size.next_multiple_of(PAGE_SIZE as u64);
        }
        record.modified_ns = meta.modified_s.saturating_mul(1_000_000_000);
        record.changed_ns = record.modified_ns;
        Ok(())
    }

    /// Reading is everybody's; a program has an execute bit.
    fn access(&self, _who: Principal, node: NodeId, access: Access) -> Result<(), Error> {
        let meta = self.meta(node)?;
        match access {
            Access::Read | Access::Search => Ok(()),
            Access::Write => Err(Error::ReadOnly),
            Access::Execute if meta.sha256.is_some() && meta.mode & 0o111 != 0 => Ok(()),
            Access::Execute => Err(Error::AccessDenied),
        }
    }

    /// A cursor is the number of entries passed.
    fn read_directory(&self, directory: NodeId, cursor: Cursor) -> Result<Option<DirectoryEntry<'_>>, Error> {
        let (_, entry) = self.entry(directory)?;
        let Content::Directory { first, count } = entry.content else { return Err(Error::NotDirectory) };
        let Some(passed) = u32::try_from(cursor.0).ok().filter(|&passed| passed <= count) else {
            return Err(Error::Invalid);
        };
        if passed == count {
            return Ok(None);
        }
        let at = first + passed;
        let name = self.index.entry(at).ok_or(Error::Corrupt)?.name;
        let name = Name::new(name).map_err(|_| Error::Corrupt)?;
        Ok(Some(DirectoryEntry { name, child: self.child(at)?, next: Cursor(u64::from(passed) + 1) }))
    }

    fn extent(&self, file: NodeId) -> Option<Extent> {
        match (&self.data, self.entry(file).ok()?.1.content) {
            (Data::Cached(object), Content::File { size, first_block, .. }) => {
                Some(Extent { first: Key { object: *object, page: first_block }, size })
            }
            _ => None,
        }
    }

    fn page(&self, file: NodeId, index: u64) -> Result<Option<PageSource>, Error> {
        match self.entry(file)?.1.content {
            Content::File { size, first_block, .. } if index < page_count(size) => {
                const { assert!(PAGE_SIZE == swos_swosbase::BLOCK_SIZE, "a page is a block") };
                let block = first_block + index;
                match &self.data {
                    Data::Cached(object) => {
                        Ok(Some(PageSource::Cached(Key { object: *object, page: block })))
                    }
                    Data::Resident(frames) => {
                        let frame = usize::try_from(block).ok().and_then(|at| frames.get(at));
                        frame.map(|&frame| Some(PageSource::Frame(frame))).ok_or(Error::Corrupt)
                    }
                }
            }
            Content::File { .. } => Ok(None),
            Content::Directory { .. } => Err(Error::IsDirectory),
            Content::Symlink { .. } => Err(Error::Invalid),
        }
    }
}
