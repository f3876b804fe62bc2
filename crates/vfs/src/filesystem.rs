//! What a file system offers.

use swos_path::Name;

use crate::{Access, Attributes, Child, Cursor, DirectoryEntry, Error, Kind, NodeId, PageSource, Principal};

/// What [`FileSystem::create`] makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewNode<'a> {
    /// An empty directory.
    Directory,
    /// An empty file.
    File,
    /// A link to this path.
    Symlink(&'a [u8]),
}

/// One file system. Every method answers at once; none waits for a device.
///
/// The methods that change something answer [`Error::ReadOnly`] unless they are overridden.
/// A [`NodeId`] comes from this file system and may be stale after an unlink; then [`Error::NotFound`] is the answer.
pub trait FileSystem: Send {
    /// The topmost directory.
    fn root(&self) -> NodeId;

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

    /// Reads bytes of a file that are made on demand and have no pages.
    ///
    /// # Errors
    ///
    /// [`Error::NotSupported`] if its bytes are in pages.
    fn read(&self, file: NodeId, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let _ = (file, offset, buffer);
        Err(Error::NotSupported)
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

    /// Removes a name; `kind` says whether a directory (which must be empty) or anything else is meant. A file that is
    /// still open keeps its bytes until [`release`](Self::release).
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::NotFound`], [`Error::NotEmpty`], [`Error::IsDirectory`], [`Error::NotDirectory`],
    /// [`Error::AccessDenied`].
    fn unlink(&mut self, who: Principal, directory: NodeId, name: Name<'_>, kind: Kind) -> Result<(), Error> {
        let _ = (who, directory, name, kind);
        Err(Error::ReadOnly)
    }

    /// Gives a node another name, in one step. A node that has the new name is replaced if its kind fits.
    ///
    /// # Errors
    ///
    /// Those of [`unlink`](Self::unlink), and [`Error::Invalid`] for a directory moved into itself.
    fn rename(
        &mut self,
        who: Principal,
        from: (NodeId, Name<'_>),
        to: (NodeId, Name<'_>),
    ) -> Result<(), Error> {
        let _ = (who, from, to);
        Err(Error::ReadOnly)
    }

    /// Cuts or grows a file.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::IsDirectory`], [`Error::NoSpace`], [`Error::TooLarge`].
    fn set_size(&mut self, file: NodeId, size: u64, now_ns: u64) -> Result<(), Error> {
        let _ = (file, size, now_ns);
        Err(Error::ReadOnly)
    }

    /// Changes permission bits.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::AccessDenied`] unless `who` owns it.
    fn set_mode(&mut self, who: Principal, node: NodeId, mode: u32) -> Result<(), Error> {
        let _ = (who, node, mode);
        Err(Error::ReadOnly)
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
