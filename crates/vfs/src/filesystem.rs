//! What a file system offers.

use swos_abi::Stat;
use swos_path::Name;
use swos_units::Frame;

use crate::{
    Access, Attributes, Child, Cursor, DirectoryEntry, Error, Extent, Garbage, Kind, NodeId, PageSource,
    Principal, Times, Usage, VnodeId, WriteAt, Written,
};

/// What [`FileSystem::create`] makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewNode<'a> {
    /// An empty directory.
    Directory,
    /// An empty file.
    File,
    /// A link to this path.
    Symlink(&'a [u8]),
    /// A name for a pipe.
    Fifo,
}

/// Where a file system that keeps bytes in frames has them from. A frame may be in use elsewhere too (mapped, being sent);
/// then its bytes are not to change, unless it was given out by [`FileSystem::page_to_share`].
pub trait FrameStore {
    /// A frame of zeros; `None` = no memory to spare.
    fn take(&mut self) -> Option<Frame>;

    /// A frame with the same bytes that may be written: `frame` itself if it is in use nowhere else, or a copy, for which
    /// `frame` was released. `None` = no memory, and `frame` is as it was.
    fn unshare(&mut self, frame: Frame) -> Option<Frame>;

    /// Writes into a frame that may be written, from `offset` on. It fits. A shared page's is written where it is.
    fn write(&mut self, frame: Frame, offset: usize, bytes: &[u8]);

    /// Fills such a frame with zeros from `offset` to its end.
    fn zero(&mut self, frame: Frame, offset: usize);

    /// Gives a frame back.
    fn release(&mut self, frame: Frame);
}

/// One file system. Every method answers at once; none waits for a device.
///
/// The methods that change something answer [`Error::ReadOnly`] unless they are overridden.
/// A [`NodeId`] comes from this file system and may be stale after an unlink; then [`Error::NotFound`] is the answer.
pub trait FileSystem: Send {
    /// The topmost directory.
    fn root(&self) -> NodeId;

    /// Whether [`lookup`](Self::lookup) and [`read_link`](Self::read_link) answer everybody the same, for ever. Then what paths lead to
    /// may be remembered ([`crate::Remembered`]).
    fn names_never_change(&self) -> bool {
        false
    }

    /// What `name` leads to in `directory`, if `who` may search there. Never called with `.` or `..`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotDirectory`], [`Error::AccessDenied`].
    fn lookup(&self, who: Principal, directory: NodeId, name: Name<'_>) -> Result<Child, Error>;

    /// The directory that holds `directory`; the root holds itself.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotDirectory`].
    fn parent(&self, directory: NodeId) -> Result<NodeId, Error>;

    /// Goes up from `directory`, at least one level and at most `left`, to the first of `ends` or the topmost directory,
    /// which leads to itself. Takes the levels off `left`.
    ///
    /// # Errors
    ///
    /// Those of [`parent`](Self::parent).
    fn climb(&self, directory: NodeId, ends: [Option<NodeId>; 2], left: &mut u32) -> Result<NodeId, Error> {
        let mut at = directory;
        loop {
            let above = self.parent(at)?;
            *left = left.saturating_sub(1);
            if *left == 0 || above == at || ends.contains(&Some(above)) {
                return Ok(above);
            }
            at = above;
        }
    }

    /// How often a directory has got another parent or another name here. As long as this is the same, so is every way up.
    fn changes(&self) -> u64 {
        0
    }

    /// The path in a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Invalid`] if it is no link.
    fn read_link(&self, link: NodeId) -> Result<&[u8], Error>;

    /// Its attributes.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    fn attributes(&self, node: NodeId) -> Result<Attributes, Error>;

    /// The record that `stat` returns for the node `at`, into one that is all zero.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    fn stat(&self, at: VnodeId, record: &mut Stat) -> Result<(), Error> {
        *record = self.attributes(at.node)?.to_stat(at);
        Ok(())
    }

    /// Whether `who` may use `node` in this way.
    ///
    /// # Errors
    ///
    /// [`Error::AccessDenied`], [`Error::ReadOnly`], [`Error::NotFound`].
    fn access(&self, who: Principal, node: NodeId, access: Access) -> Result<(), Error>;

    /// The entry at `cursor`; `None` at the end. See [`Cursor`] for what stays stable.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotDirectory`], [`Error::Invalid`] for a cursor it never gave.
    fn read_directory(&self, directory: NodeId, cursor: Cursor) -> Result<Option<DirectoryEntry<'_>>, Error>;

    /// Where page `index` of a file comes from; `None` past its end.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::IsDirectory`], [`Error::NotSupported`] if its bytes are made by
    /// [`read`](Self::read).
    fn page(&self, file: NodeId, index: u64) -> Result<Option<PageSource>, Error>;

    /// Where all bytes of a file are, if that is one place for ever: then nobody need ask for its pages, or its size, again.
    fn extent(&self, file: NodeId) -> Option<Extent> {
        let _ = file;
        None
    }

    /// Reads bytes of a file that are made on demand and have no pages.
    ///
    /// # Errors
    ///
    /// [`Error::NotSupported`] if its bytes are in pages.
    fn read(&self, file: NodeId, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let _ = (file, offset, buffer);
        Err(Error::NotSupported)
    }

    /// The name of a directory in its parent; `None` for the topmost.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], also for one that was removed, [`Error::NotDirectory`], [`Error::NotSupported`].
    fn name(&self, directory: NodeId) -> Result<Option<Name<'_>>, Error> {
        let _ = directory;
        Err(Error::NotSupported)
    }

    /// Which device a node of [`Kind::Character`] is, in numbers that whoever attached the file system knows.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotSupported`] if it is none.
    fn device(&self, node: NodeId) -> Result<u32, Error> {
        let _ = node;
        Err(Error::NotSupported)
    }

    /// How much room there is; all zero where nothing can be changed.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    /// Makes a node under a new name.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::Exists`], [`Error::AccessDenied`], [`Error::NoSpace`], [`Error::NotDirectory`].
    fn create(
        &mut self,
        who: Principal,
        directory: NodeId,
        name: Name<'_>,
        node: NewNode<'_>,
        mode: u32,
        now_ns: u64,
    ) -> Result<NodeId, Error> {
        let _ = (who, directory, name, node, mode, now_ns);
        Err(Error::ReadOnly)
    }

    /// Gives a node that is no directory a further name.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), [`Error::NotPermitted`] for a directory, [`Error::AccessDenied`] unless `who` owns
    /// the node, [`Error::TooManyNames`].
    fn link(
        &mut self,
        who: Principal,
        node: NodeId,
        directory: NodeId,
        name: Name<'_>,
        now_ns: u64,
    ) -> Result<(), Error> {
        let _ = (who, node, directory, name, now_ns);
        Err(Error::ReadOnly)
    }

    /// Removes a name; `kind` says whether a directory (which must be empty) or anything else is meant. A file that is
    /// still open keeps its bytes until [`release`](Self::release).
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::NotFound`], [`Error::NotEmpty`], [`Error::IsDirectory`], [`Error::NotDirectory`],
    /// [`Error::AccessDenied`].
    fn unlink(
        &mut self,
        who: Principal,
        directory: NodeId,
        name: Name<'_>,
        kind: Kind,
        now_ns: u64,
    ) -> Result<(), Error> {
        let _ = (who, directory, name, kind, now_ns);
        Err(Error::ReadOnly)
    }

    /// Gives a node another name, in one step. A node that has the new name is replaced if its kind fits; if it is the same
    /// node, nothing happens.
    ///
    /// # Errors
    ///
    /// Those of [`unlink`](Self::unlink), and [`Error::Invalid`] for a directory moved into itself.
    fn rename(
        &mut self,
        who: Principal,
        from: (NodeId, Name<'_>),
        to: (NodeId, Name<'_>),
        now_ns: u64,
    ) -> Result<(), Error> {
        let _ = (who, from, to, now_ns);
        Err(Error::ReadOnly)
    }

    /// Writes bytes of a file. Who may is decided at opening.
    ///
    /// # Errors
    ///
    /// If not a byte was taken: [`Error::ReadOnly`], [`Error::IsDirectory`], [`Error::Invalid`] if it has no bytes,
    /// [`Error::NoSpace`], [`Error::OutOfMemory`], [`Error::TooLarge`], [`Error::Again`].
    fn write(
        &mut self,
        file: NodeId,
        at: WriteAt,
        bytes: &[u8],
        now_ns: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<Written, Error> {
        let _ = (file, at, bytes, now_ns, frames);
        Err(Error::ReadOnly)
    }

    /// The frame of page `index`, to be mapped by programs that see each other's stores and the writes of the file, and these
    /// theirs; made if nothing was written there yet. It stays the file system's, and the page is
    /// [`Open`](PageSource::Open) from now on. `modified_ns` = they may write, as of this time.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write), and [`Error::Invalid`] past the end.
    fn page_to_share(
        &mut self,
        file: NodeId,
        index: u64,
        modified_ns: Option<u64>,
        frames: &mut dyn FrameStore,
    ) -> Result<Frame, Error> {
        let _ = (file, index, modified_ns, frames);
        Err(Error::ReadOnly)
    }

    /// The frame of an [`Open`](PageSource::Open) page is in use nowhere else any more: from now on its bytes stay as those of
    /// other pages do.
    fn seal_page(&mut self, file: NodeId, index: u64, frames: &mut dyn FrameStore) {
        let _ = (file, index, frames);
    }

    /// Cuts or grows a file. What was cut off is garbage: see [`reclaim`](Self::reclaim).
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::IsDirectory`], [`Error::Invalid`], [`Error::OutOfMemory`], [`Error::TooLarge`],
    /// [`Error::Again`].
    fn set_size(
        &mut self,
        file: NodeId,
        size: u64,
        now_ns: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<(), Error> {
        let _ = (file, size, now_ns, frames);
        Err(Error::ReadOnly)
    }

    /// Changes permission bits.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::AccessDenied`] unless `who` owns it.
    fn set_mode(&mut self, who: Principal, node: NodeId, mode: u32, now_ns: u64) -> Result<(), Error> {
        let _ = (who, node, mode, now_ns);
        Err(Error::ReadOnly)
    }

    /// Gives a node away, with what it counts in quotas.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::AccessDenied`] unless `who` owns it, [`Error::NoSpace`] if the new owner has none.
    fn set_owner(
        &mut self,
        who: Principal,
        node: NodeId,
        owner: Principal,
        now_ns: u64,
    ) -> Result<(), Error> {
        let _ = (who, node, owner, now_ns);
        Err(Error::ReadOnly)
    }

    /// Changes times.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::AccessDenied`] unless `who` owns it.
    fn set_times(&mut self, who: Principal, node: NodeId, times: Times, now_ns: u64) -> Result<(), Error> {
        let _ = (who, node, times, now_ns);
        Err(Error::ReadOnly)
    }

    /// Gives back up to `limit` frames and nodes of what was removed.
    fn reclaim(&mut self, limit: u32, frames: &mut dyn FrameStore) -> Garbage {
        let _ = (limit, frames);
        Garbage::None
    }

    /// A handle to `node` was opened: it stays valid until as many [`release`](Self::release).
    fn retain(&mut self, node: NodeId) {
        let _ = node;
    }

    /// A handle to `node` was closed.
    fn release(&mut self, node: NodeId) {
        let _ = node;
    }
}
