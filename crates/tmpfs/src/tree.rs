//! Names: what makes, moves and removes them.

use alloc::vec::Vec;

use swos_path::Name;
use swos_vfs::{Error, Kind, NewNode, NodeId, Principal};

use crate::{
    TmpFs,
    accounts::Held,
    node::{Content, Directory, Entry, File, Node},
    radix::{NoMemory, Radix},
};

/// Who may remove from a directory with this mode bit: the owner of what is removed, or of the directory.
const STICKY: u32 = 0o1000;
/// Steps up from the directory that another one is moved into, to see that it does not lie inside. No path is as deep.
const DEPTH_MAX: usize = swos_path::PATH_MAX / 2;

impl From<NoMemory> for Error {
    fn from(NoMemory: NoMemory) -> Self {
        Self::OutOfMemory
    }
}

pub(crate) fn copy(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Error::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

impl TmpFs {
    pub(crate) fn node(&self, id: NodeId) -> Result<&Node, Error> {
        self.nodes.get(id.0).ok_or(Error::NotFound)
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, Error> {
        self.nodes.get_mut(id.0).ok_or(Error::NotFound)
    }

    pub(crate) fn directory(&self, id: NodeId) -> Result<&Directory, Error> {
        match &self.node(id)?.content {
            Content::Directory(directory) => Ok(directory),
            Content::File(_) | Content::Symlink(_) | Content::Fifo => Err(Error::NotDirectory),
        }
    }

    fn directory_mut(&mut self, id: NodeId) -> Result<&mut Directory, Error> {
        match &mut self.node_mut(id)?.content {
            Content::Directory(directory) => Ok(directory),
            Content::File(_) | Content::Symlink(_) | Content::Fifo => Err(Error::NotDirectory),
        }
    }

    /// Checks that `who` may change the names in a directory that still has one itself.
    fn may_change(&self, who: Principal, directory: NodeId) -> Result<(), Error> {
        self.directory(directory)?;
        let node = self.node(directory)?;
        if node.names == 0 {
            return Err(Error::NotFound);
        }
        if node.permits(who, 2) && node.permits(who, 1) { Ok(()) } else { Err(Error::AccessDenied) }
    }

    /// Checks that `who` may take the name of a node in such a directory away.
    fn may_remove(&self, who: Principal, directory: NodeId, node: NodeId) -> Result<(), Error> {
        let (directory, node) = (self.node(directory)?, self.node(node)?);
        if directory.mode & STICKY == 0 || directory.owner == who || node.owner == who {
            Ok(())
        } else {
            Err(Error::AccessDenied)
        }
    }

    fn find(&self, directory: NodeId, name: Name<'_>) -> Option<u64> {
        self.names.find(&self.entries, directory.0, name.as_bytes())
    }

    /// The entry with a name, and the node it leads to.
    pub(crate) fn entry(&self, directory: NodeId, name: Name<'_>) -> Result<(u64, NodeId), Error> {
        let id = self.find(directory, name).ok_or(Error::NotFound)?;
        let entry = self.entries.get(id).ok_or(Error::NotFound)?;
        Ok((id, entry.node))
    }

    /// Gives a node a name that is free. All or nothing.
    fn enter(&mut self, directory: NodeId, name: Name<'_>, node: NodeId) -> Result<u64, Error> {
        let hash = self.names.hash(directory.0, name.as_bytes());
        self.names.reserve(&mut self.entries)?;
        let sequence = self.directory(directory)?.next;
        let name = copy(name.as_bytes())?;
        let id =
            self.entries.insert(Entry { directory: directory.0, name, node, sequence, hash, next: 0 })?;
        let into = self.directory_mut(directory)?;
        if let Err(NoMemory) = into.entries.insert(sequence, id) {
            self.entries.remove(id);
            return Err(Error::OutOfMemory);
        }
        into.next += 1;
        self.names.link(&mut self.entries, id);
        Ok(id)
    }

    /// Takes a name away. The node's count of names is the caller's.
    fn leave(&mut self, directory: NodeId, id: u64) {
        self.names.unlink(&mut self.entries, id);
        if let Some(entry) = self.entries.remove(id)
            && let Ok(directory) = self.directory_mut(directory)
        {
            directory.entries.remove(entry.sequence);
        }
        self.names.shrink(&mut self.entries);
    }

    fn touch(&mut self, directory: NodeId, now_ns: u64) {
        if let Ok(node) = self.node_mut(directory) {
            (node.modified_ns, node.changed_ns) = (now_ns, now_ns);
        }
    }

    pub(crate) fn create_node(
        &mut self,
        who: Principal,
        directory: NodeId,
        name: Name<'_>,
        new: NewNode<'_>,
        mode: u32,
        now_ns: u64,
    ) -> Result<NodeId, Error> {
        self.may_change(who, directory)?;
        if self.find(directory, name).is_some() {
            return Err(Error::Exists);
        }
        let content = match new {
            NewNode::Directory => Content::Directory(Directory::new(directory)),
            NewNode::File => Content::File(File::new()),
            NewNode::Symlink(target) => Content::Symlink(copy(target)?),
            NewNode::Fifo => Content::Fifo,
        };
        let node = Node {
            mode,
            owner: who,
            names: 1,
            opens: 0,
            modified_ns: now_ns,
            changed_ns: now_ns,
            accessed_ns: now_ns,
            content,
        };
        let held = Held { pages: node.pages(), nodes: 1 };
        self.charge(who, held)?;
        let made = match self.nodes.insert(node) {
            Ok(id) => {
                let id = NodeId(id);
                self.enter(directory, name, id).map(|entry| (id, entry)).inspect_err(|_| {
                    self.nodes.remove(id.0);
                })
            }
            Err(NoMemory) => Err(Error::OutOfMemory),
        };
        let (id, entry) = made.inspect_err(|_| self.accounts.refund(who, held))?;
        if new == NewNode::Directory {
            self.directory_mut(id)?.entry = Some(entry);
            self.directory_mut(directory)?.subdirectories += 1;
        }
        self.touch(directory, now_ns);
        Ok(id)
    }

    pub(crate) fn link_node(
        &mut self,
        who: Principal,
        node: NodeId,
        directory: NodeId,
        name: Name<'_>,
        now_ns: u64,
    ) -> Result<(), Error> {
        self.may_change(who, directory)?;
        let linked = self.node(node)?;
        if linked.kind() == Kind::Directory {
            return Err(Error::NotPermitted);
        }
        // Another's node would count in that one's quota for as long as this name stays.
        if linked.owner != who {
            return Err(Error::AccessDenied);
        }
        // One that only handles hold is not given a name again: it is about to go.
        if linked.names == 0 {
            return Err(Error::NotFound);
        }
        if linked.names >= self.names_max {
            return Err(Error::TooManyNames);
        }
        if self.find(directory, name).is_some() {
            return Err(Error::Exists);
        }
        self.enter(directory, name, node)?;
        let linked = self.node_mut(node)?;
        linked.names += 1;
        linked.changed_ns = now_ns;
        self.touch(directory, now_ns);
        Ok(())
    }

    pub(crate) fn unlink_node(
        &mut self,
        who: Principal,
        directory: NodeId,
        name: Name<'_>,
        kind: Kind,
        now_ns: u64,
    ) -> Result<(), Error> {
        self.may_change(who, directory)?;
        let (entry, node) = self.entry(directory, name)?;
        self.may_remove(who, directory, node)?;
        match (kind, &self.node(node)?.content) {
            (Kind::Directory, Content::Directory(removed)) if removed.entries.len() > 0 => {
                return Err(Error::NotEmpty);
            }
            (Kind::Directory, Content::Directory(_)) => {}
            (Kind::Directory, _) => return Err(Error::NotDirectory),
            (_, Content::Directory(_)) => return Err(Error::IsDirectory),
            (_, _) => {}
        }
        self.leave(directory, entry);
        self.lose_name(directory, node, now_ns);
        self.touch(directory, now_ns);
        Ok(())
    }

    /// A name of `node` in `directory` is gone.
    fn lose_name(&mut self, directory: NodeId, node: NodeId, now_ns: u64) {
        let Ok(lost) = self.node_mut(node) else { return };
        lost.names -= 1;
        lost.changed_ns = now_ns;
        if let Content::Directory(removed) = &mut lost.content {
            removed.entry = None;
            if let Ok(parent) = self.directory_mut(directory) {
                parent.subdirectories -= 1;
            }
        }
        self.bury(node);
    }

    /// Frees a node that nothing leads to, or leaves its pages to [`reclaim`](swos_vfs::FileSystem::reclaim).
    pub(crate) fn bury(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(id.0).filter(|node| node.is_dead()) else { return };
        if let Content::File(file) = &mut node.content
            && file.pages.len() > 0
        {
            if file.cut.is_none() {
                file.next_garbage = self.garbage.replace(id);
            }
            file.cut = Some(0);
            return;
        }
        // One with garbage is still in the list, and goes when its turn comes.
        if matches!(&node.content, Content::File(file) if file.cut.is_some()) {
            return;
        }
        let (owner, held) = (node.owner, Held { pages: node.pages(), nodes: 1 });
        self.nodes.remove(id.0);
        self.accounts.refund(owner, held);
    }

    pub(crate) fn rename_node(
        &mut self,
        who: Principal,
        from: (NodeId, Name<'_>),
        to: (NodeId, Name<'_>),
        now_ns: u64,
    ) -> Result<(), Error> {
        self.may_change(who, from.0)?;
        self.may_change(who, to.0)?;
        let (entry, node) = self.entry(from.0, from.1)?;
        let moves_directory = self.node(node)?.kind() == Kind::Directory;
        self.may_remove(who, from.0, node)?;
        if moves_directory && from.0 != to.0 {
            // Its `..` changes.
            if !self.node(node)?.permits(who, 2) {
                return Err(Error::AccessDenied);
            }
            self.check_outside(node, to.0)?;
        }
        let replaced = match self.entry(to.0, to.1) {
            Ok((_, same)) if same == node => return Ok(()),
            Ok((replaced, victim)) => {
                self.may_remove(who, to.0, victim)?;
                match &self.node(victim)?.content {
                    Content::Directory(_) if !moves_directory => return Err(Error::IsDirectory),
                    Content::Directory(victim) if victim.entries.len() > 0 => return Err(Error::NotEmpty),
                    Content::Directory(_) => {}
                    _ if moves_directory => return Err(Error::NotDirectory),
                    _ => {}
                }
                Some((replaced, victim))
            }
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let entry = match replaced {
            // The name keeps its place in the order; what it leads to changes.
            Some((kept, victim)) => {
                self.leave(from.0, entry);
                if let Some(kept) = self.entries.get_mut(kept) {
                    kept.node = node;
                }
                self.lose_name(to.0, victim, now_ns);
                kept
            }
            // The entry keeps its place; its name changes.
            None if from.0 == to.0 => {
                let name = copy(to.1.as_bytes())?;
                let hash = self.names.hash(to.0.0, &name);
                self.names.unlink(&mut self.entries, entry);
                if let Some(renamed) = self.entries.get_mut(entry) {
                    (renamed.name, renamed.hash) = (name, hash);
                }
                self.names.link(&mut self.entries, entry);
                entry
            }
            None => {
                let new = self.enter(to.0, to.1, node)?;
                self.leave(from.0, entry);
                new
            }
        };
        if moves_directory {
            self.directory_mut(from.0)?.subdirectories -= 1;
            self.directory_mut(to.0)?.subdirectories += 1;
            let moved = self.directory_mut(node)?;
            (moved.parent, moved.entry) = (to.0, Some(entry));
            self.changes += 1;
        }
        self.node_mut(node)?.changed_ns = now_ns;
        self.touch(from.0, now_ns);
        self.touch(to.0, now_ns);
        Ok(())
    }

    /// Checks that the directory `inner` is not `outer` and does not lie inside it.
    fn check_outside(&self, outer: NodeId, mut inner: NodeId) -> Result<(), Error> {
        for _ in 0..DEPTH_MAX {
            if inner == outer {
                return Err(Error::Invalid);
            }
            if inner == self.root {
                return Ok(());
            }
            inner = self.directory(inner)?.parent;
        }
        Err(Error::NameTooLong)
    }

    /// The entries of a directory, for those who look at it.
    pub(crate) fn entries_of(&self, directory: NodeId) -> Result<(&Radix<u64>, u64), Error> {
        let directory = self.directory(directory)?;
        Ok((&directory.entries, directory.next))
    }
}
