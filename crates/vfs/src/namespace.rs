//! Attached file systems, and who sees which of them where.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::{Attributes, Cursor, DirectoryEntry, Error, FileSystem, Kind, MountId, NodeId, VnodeId};

/// Every attached file system. One per kernel.
#[derive(Default)]
pub struct Vfs {
    mounts: Vec<Slot>,
    /// Changes of those that were detached, and of detaching.
    gone: u64,
}

struct Slot {
    generation: u16,
    file_system: Option<Box<dyn FileSystem>>,
}

impl Vfs {
    /// With nothing attached.
    #[must_use]
    pub const fn new() -> Self {
        Self { mounts: Vec::new(), gone: 0 }
    }

    /// Attaches a file system. Nobody sees it before a [`Namespace`] has it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub fn attach(&mut self, file_system: Box<dyn FileSystem>) -> Result<MountId, Error> {
        let index = match self
            .mounts
            .iter()
            .position(|slot| slot.file_system.is_none() && slot.generation < u16::MAX)
        {
            Some(index) => index,
            None => {
                self.mounts.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
                self.mounts.push(Slot { generation: 0, file_system: None });
                self.mounts.len() - 1
            }
        };
        let slot = &mut self.mounts[index];
        slot.generation += 1;
        slot.file_system = Some(file_system);
        let index = u16::try_from(index).map_err(|_| Error::OutOfMemory)?;
        Ok(MountId { index, generation: slot.generation })
    }

    /// Detaches a file system. The caller knows that no namespace and no open file uses it; if one does, its calls
    /// answer [`Error::Unmounted`] from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Unmounted`] if it is not attached.
    pub fn detach(&mut self, mount: MountId) -> Result<Box<dyn FileSystem>, Error> {
        let slot = self.mounts.get_mut(usize::from(mount.index)).ok_or(Error::Unmounted)?;
        if slot.generation != mount.generation {
            return Err(Error::Unmounted);
        }
        let detached = slot.file_system.take().ok_or(Error::Unmounted)?;
        self.gone += detached.changes() + 1;
        Ok(detached)
    }

    /// How often a way up in this namespace may have become another one: by a directory that was moved or renamed, or by a mount.
    /// Only grows.
    pub(crate) fn changes(&self, namespace: &Namespace) -> u64 {
        let attached = self.mounts.iter().filter_map(|slot| slot.file_system.as_deref());
        attached.fold(self.gone + namespace.version, |sum, file_system| sum + file_system.changes())
    }

    /// The file system behind `mount`.
    ///
    /// # Errors
    ///
    /// [`Error::Unmounted`] if it is not attached.
    pub fn file_system(&self, mount: MountId) -> Result<&dyn FileSystem, Error> {
        match self.mounts.get(usize::from(mount.index)) {
            Some(slot) if slot.generation == mount.generation => {
                slot.file_system.as_deref().ok_or(Error::Unmounted)
            }
            _ => Err(Error::Unmounted),
        }
    }

    /// The file system behind `mount`, to change it.
    ///
    /// # Errors
    ///
    /// [`Error::Unmounted`] if it is not attached.
    pub fn file_system_mut(&mut self, mount: MountId) -> Result<&mut (dyn FileSystem + 'static), Error> {
        match self.mounts.get_mut(usize::from(mount.index)) {
            Some(slot) if slot.generation == mount.generation => {
                slot.file_system.as_deref_mut().ok_or(Error::Unmounted)
            }
            _ => Err(Error::Unmounted),
        }
    }

    /// The topmost directory of `mount`.
    ///
    /// # Errors
    ///
    /// [`Error::Unmounted`].
    pub fn root_of(&self, mount: MountId) -> Result<VnodeId, Error> {
        Ok(VnodeId { mount, node: self.file_system(mount)?.root() })
    }

    /// Attributes of a node.
    ///
    /// # Errors
    ///
    /// [`Error::Unmounted`], [`Error::NotFound`].
    pub fn attributes(&self, vnode: VnodeId) -> Result<Attributes, Error> {
        self.file_system(vnode.mount)?.attributes(vnode.node)
    }

    /// The entry of a directory at `cursor`; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Unmounted`] and those of [`FileSystem::read_directory`].
    pub fn read_directory(
        &self,
        directory: VnodeId,
        cursor: Cursor,
    ) -> Result<Option<DirectoryEntry<'_>>, Error> {
        self.file_system(directory.mount)?.read_directory(directory.node, cursor)
    }
}

impl fmt::Debug for Vfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attached = self.mounts.iter().filter(|slot| slot.file_system.is_some()).count();
        f.debug_struct("Vfs").field("attached", &attached).finish()
    }
}

/// What a group of processes sees: a root, and what is mounted over which directory.
#[derive(Debug)]
pub struct Namespace {
    root: VnodeId,
    /// Sorted by `covered`.
    mounts: Vec<Mounted>,
    /// How often `mounts` changed.
    version: u64,
}

#[derive(Clone, Copy, Debug)]
struct Mounted {
    covered: VnodeId,
    top: VnodeId,
}

impl Namespace {
    /// Sees what lies below `root`.
    #[must_use]
    pub const fn new(root: VnodeId) -> Self {
        Self { root, mounts: Vec::new(), version: 0 }
    }

    /// Its topmost directory, as it is to be seen.
    #[must_use]
    pub fn root(&self) -> VnodeId {
        self.topmost(self.root)
    }

    /// Whether `directory` is where this namespace ends, under all mounts.
    pub(crate) fn is_bottom(&self, directory: VnodeId) -> bool {
        directory == self.root
    }

    /// Shows the directory `top` in place of the directory `at`. All or nothing.
    ///
    /// A file system can be in a namespace once: `..` at its top must have one meaning.
    ///
    /// # Errors
    ///
    /// [`Error::NotDirectory`] if one of them is none, [`Error::Busy`] if `at` is covered already or `top`'s file system is
    /// in this namespace already, [`Error::OutOfMemory`], [`Error::Unmounted`], [`Error::NotFound`].
    pub fn mount(&mut self, vfs: &Vfs, at: VnodeId, top: VnodeId) -> Result<(), Error> {
        for directory in [at, top] {
            if vfs.attributes(directory)?.kind != Kind::Directory {
                return Err(Error::NotDirectory);
            }
        }
        let in_use =
            self.root.mount == top.mount || self.mounts.iter().any(|mounted| mounted.top.mount == top.mount);
        if in_use {
            return Err(Error::Busy);
        }
        let Err(index) = self.mounts.binary_search_by_key(&at, |mounted| mounted.covered) else {
            return Err(Error::Busy);
        };
        self.mounts.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        self.mounts.insert(index, Mounted { covered: at, top });
        self.version += 1;
        Ok(())
    }

    /// Uncovers the directory that `mount` hides. What is mounted inside it must be gone.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if something is mounted inside, [`Error::NotFound`] if it is not mounted here.
    pub fn unmount(&mut self, mount: MountId) -> Result<(), Error> {
        if self.mounts.iter().any(|mounted| mounted.covered.mount == mount) {
            return Err(Error::Busy);
        }
        let index =
            self.mounts.iter().position(|mounted| mounted.top.mount == mount).ok_or(Error::NotFound)?;
        self.mounts.remove(index);
        self.version += 1;
        Ok(())
    }

    /// Differs whenever something else is mounted.
    #[inline]
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// The topmost directory of `mount` that is seen here.
    pub(crate) fn end_of(&self, mount: MountId) -> Option<NodeId> {
        if self.root.mount == mount {
            return Some(self.root.node);
        }
        self.mounts.iter().find(|mounted| mounted.top.mount == mount).map(|mounted| mounted.top.node)
    }

    /// What is to be seen in place of `directory`. Mounts can lie on each other.
    pub(crate) fn topmost(&self, mut directory: VnodeId) -> VnodeId {
        while let Ok(index) = self.mounts.binary_search_by_key(&directory, |mounted| mounted.covered) {
            directory = self.mounts[index].top;
        }
        directory
    }

    /// The directory that `top` covers, if something is mounted by it.
    pub(crate) fn beneath(&self, top: VnodeId) -> Option<VnodeId> {
        self.mounts.iter().find(|mounted| mounted.top == top).map(|mounted| mounted.covered)
    }
}
