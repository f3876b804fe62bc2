//! A file system as one would write it down: lists and maps, everything searched, everything at once.

use std::collections::{BTreeMap, BTreeSet};

use swos_tmpfs::Limits;
use swos_vfs::Error;

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Names in the order in which they came.
    Directory(Vec<(u8, usize)>),
    /// Size, and the pages that were written.
    File(u64, BTreeMap<u64, Vec<u8>>),
    Symlink(Vec<u8>),
    Fifo,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) what: What,
    pub(crate) owner: u32,
    pub(crate) mode: u32,
    pub(crate) opens: u32,
}

/// Nodes by number; 0 is the topmost directory.
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<usize, Node>,
    pub(crate) last: usize,
    pub(crate) limits: Limits,
}

type Name = (usize, u8);

impl Model {
    pub(crate) fn new(limits: Limits, mode: u32) -> Self {
        let root = Node { what: What::Directory(Vec::new()), owner: 1, mode, opens: 0 };
        Self { nodes: BTreeMap::from([(0, root)]), last: 0, limits }
    }

    pub(crate) fn names(&self, directory: usize) -> &Vec<(u8, usize)> {
        match &self.nodes[&directory].what {
            What::Directory(names) => names,
            _ => panic!("no directory"),
        }
    }

    fn names_mut(&mut self, directory: usize) -> &mut Vec<(u8, usize)> {
        match &mut self.nodes.get_mut(&directory).unwrap().what {
            What::Directory(names) => names,
            _ => panic!("no directory"),
        }
    }

    fn is_directory(&self, node: usize) -> bool {
        matches!(self.nodes[&node].what, What::Directory(_))
    }

    pub(crate) fn find(&self, (directory, name): Name) -> Option<usize> {
        self.names(directory).iter().find(|&&(known, _)| known == name).map(|&(_, node)| node)
    }

    /// Names that lead to a node.
    pub(crate) fn links(&self, node: usize) -> usize {
        let all = self.nodes.values().filter_map(|node| match &node.what {
            What::Directory(names) => Some(names),
            _ => None,
        });
        all.flatten().filter(|&&(_, target)| target == node).count() + usize::from(node == 0)
    }

    pub(crate) fn permits(&self, who: u32, node: usize, bit: u32) -> bool {
        let node = &self.nodes[&node];
        let class = if node.owner == who { node.mode >> 6 } else { node.mode };
        class & bit != 0
    }

    fn may_change(&self, who: u32, directory: usize) -> Result<(), Error> {
        if !self.nodes.contains_key(&directory) {
            Err(Error::NotFound)
        } else if !self.is_directory(directory) {
            Err(Error::NotDirectory)
        } else if self.links(directory) == 0 {
            Err(Error::NotFound)
        } else if self.permits(who, directory, 2) && self.permits(who, directory, 1) {
            Ok(())
        } else {
            Err(Error::AccessDenied)
        }
    }

    fn may_remove(&self, who: u32, directory: usize, node: usize) -> Result<(), Error> {
        let sticky = self.nodes[&directory].mode & 0o1000 != 0;
        let owned = [directory, node].iter().any(|at| self.nodes[at].owner == who);
        if sticky && !owned { Err(Error::AccessDenied) } else { Ok(()) }
    }

    pub(crate) fn pages(&self, node: usize) -> u64 {
        match &self.nodes[&node].what {
            What::File(_, pages) => pages.len() as u64,
            What::Symlink(_) => 1,
            _ => 0,
        }
    }

    /// Pages and nodes that a principal, or all, hold.
    pub(crate) fn held(&self, who: Option<u32>) -> (u64, u64) {
        let counted = self.nodes.iter().filter(|(_, node)| who.is_none_or(|who| node.owner == who));
        counted.fold((0, 0), |(pages, nodes), (&at, _)| (pages + self.pages(at), nodes + u64::from(at != 0)))
    }

    fn room(&self, who: u32, pages: u64, nodes: u64) -> Result<(), Error> {
        let ((all_pages, all_nodes), (own_pages, own_nodes)) = (self.held(None), self.held(Some(who)));
        let Limits { pages: most, nodes: most_nodes, principal_pages, principal_nodes } = self.limits;
        let fits = all_pages + pages <= most
            && all_nodes + nodes <= most_nodes
            && own_pages + pages <= principal_pages
            && own_nodes + nodes <= principal_nodes;
        if fits { Ok(()) } else { Err(Error::NoSpace) }
    }

    fn sweep(&mut self) {
        let named: BTreeSet<usize> = self.nodes.keys().copied().filter(|&at| self.links(at) > 0).collect();
        self.nodes.retain(|at, node| named.contains(at) || node.opens > 0);
    }

    pub(crate) fn create(&mut self, who: u32, at: Name, what: What, mode: u32) -> Result<usize, Error> {
        self.may_change(who, at.0)?;
        if self.find(at).is_some() {
            return Err(Error::Exists);
        }
        self.room(who, u64::from(matches!(what, What::Symlink(_))), 1)?;
        self.last += 1;
        self.nodes.insert(self.last, Node { what, owner: who, mode, opens: 0 });
        let new = self.last;
        self.names_mut(at.0).push((at.1, new));
        Ok(new)
    }

    pub(crate) fn link(&mut self, who: u32, node: usize, at: Name) -> Result<(), Error> {
        self.may_change(who, at.0)?;
        if !self.nodes.contains_key(&node) {
            return Err(Error::NotFound);
        }
        if self.is_directory(node) {
            return Err(Error::NotPermitted);
        }
        if self.nodes[&node].owner != who {
            return Err(Error::AccessDenied);
        }
        if self.links(node) == 0 {
            return Err(Error::NotFound);
        }
        if self.find(at).is_some() {
            return Err(Error::Exists);
        }
        self.names_mut(at.0).push((at.1, node));
        Ok(())
    }

    pub(crate) fn unlink(&mut self, who: u32, at: Name, directory: bool) -> Result<(), Error> {
        self.may_change(who, at.0)?;
        let node = self.find(at).ok_or(Error::NotFound)?;
        self.may_remove(who, at.0, node)?;
        match (directory, self.is_directory(node)) {
            (true, true) if !self.names(node).is_empty() => return Err(Error::NotEmpty),
            (true, false) => return Err(Error::NotDirectory),
            (false, true) => return Err(Error::IsDirectory),
            _ => {}
        }
        self.names_mut(at.0).retain(|&(name, _)| name != at.1);
        self.sweep();
        Ok(())
    }

    fn lies_in(&self, node: usize, directory: usize) -> bool {
        node == directory
            || self.is_directory(directory)
                && self.names(directory).iter().any(|&(_, child)| self.lies_in(node, child))
    }

    pub(crate) fn rename(&mut self, who: u32, from: Name, to: Name) -> Result<(), Error> {
        self.may_change(who, from.0)?;
        self.may_change(who, to.0)?;
        let node = self.find(from).ok_or(Error::NotFound)?;
        self.may_remove(who, from.0, node)?;
        let directory = self.is_directory(node);
        if directory && from.0 != to.0 {
            if !self.permits(who, node, 2) {
                return Err(Error::AccessDenied);
            }
            if self.lies_in(to.0, node) {
                return Err(Error::Invalid);
            }
        }
        let there = self.find(to);
        if there == Some(node) {
            return Ok(());
        }
        if let Some(victim) = there {
            self.may_remove(who, to.0, victim)?;
            match (directory, self.is_directory(victim)) {
                (false, true) => return Err(Error::IsDirectory),
                (_, true) if !self.names(victim).is_empty() => return Err(Error::NotEmpty),
                (true, false) => return Err(Error::NotDirectory),
                _ => {}
            }
        }
        if there.is_none() && from.0 == to.0 {
            let entry = self.names_mut(from.0).iter_mut().find(|entry| entry.0 == from.1).unwrap();
            entry.0 = to.1;
            return Ok(());
        }
        self.names_mut(from.0).retain(|&(name, _)| name != from.1);
        match self.names_mut(to.0).iter_mut().find(|entry| entry.0 == to.1) {
            Some(entry) => entry.1 = node,
            None => self.names_mut(to.0).push((to.1, node)),
        }
        self.sweep();
        Ok(())
    }

    fn file(&mut self, node: usize) -> Result<(&mut u64, &mut BTreeMap<u64, Vec<u8>>), Error> {
        match &mut self.nodes.get_mut(&node).ok_or(Error::NotFound)?.what {
            What::File(size, pages) => Ok((size, pages)),
            What::Directory(_) => Err(Error::IsDirectory),
            What::Symlink(_) | What::Fifo => Err(Error::Invalid),
        }
    }

    /// Bytes taken, or why none was.
    pub(crate) fn write(&mut self, node: usize, at: Option<u64>, bytes: &[u8]) -> Result<usize, Error> {
        let start = match at {
            Some(at) => {
                self.file(node)?;
                at
            }
            None => *self.file(node)?.0,
        };
        for (count, &byte) in bytes.iter().enumerate() {
            let at = start + count as u64;
            if !self.file(node)?.1.contains_key(&(at / 4096)) {
                let owner = self.nodes[&node].owner;
                match self.room(owner, 1, 0) {
                    Ok(()) => {
                        self.file(node)?.1.insert(at / 4096, vec![0; 4096]);
                    }
                    Err(error) if count == 0 => return Err(error),
                    Err(_) => return Ok(count),
                }
            }
            let (size, pages) = self.file(node)?;
            pages.get_mut(&(at / 4096)).unwrap()[(at % 4096) as usize] = byte;
            *size = (*size).max(at + 1);
        }
        Ok(bytes.len())
    }

    /// A page that is there, so that it can be shared.
    pub(crate) fn share(&mut self, node: usize, index: u64) -> Result<(), Error> {
        let owner = self.nodes[&node].owner;
        let (size, pages) = self.file(node)?;
        if index * 4096 >= *size {
            return Err(Error::Invalid);
        }
        if !pages.contains_key(&index) {
            self.room(owner, 1, 0)?;
            self.file(node)?.1.insert(index, vec![0; 4096]);
        }
        Ok(())
    }

    /// A store into a shared page; behind the end it is none into the file.
    pub(crate) fn poke(&mut self, node: usize, at: u64, byte: u8) {
        let (size, pages) = self.file(node).unwrap();
        if at < *size {
            pages.get_mut(&(at / 4096)).unwrap()[(at % 4096) as usize] = byte;
        }
    }

    pub(crate) fn set_size(&mut self, node: usize, new: u64) -> Result<(), Error> {
        let (size, pages) = self.file(node)?;
        pages.retain(|&page, _| page * 4096 < new);
        if new < *size
            && let Some(page) = pages.get_mut(&(new / 4096))
        {
            page[(new % 4096) as usize..].fill(0);
        }
        *size = new;
        Ok(())
    }

    pub(crate) fn set_owner(&mut self, who: u32, node: usize, owner: u32) -> Result<(), Error> {
        self.set_mode(who, node, None)?;
        if owner != who {
            let (pages, nodes) = self.held(Some(owner));
            let (more, one) = (self.pages(node), u64::from(node != 0));
            if pages + more > self.limits.principal_pages || nodes + one > self.limits.principal_nodes {
                return Err(Error::NoSpace);
            }
        }
        self.nodes.get_mut(&node).unwrap().owner = owner;
        Ok(())
    }

    pub(crate) fn set_mode(&mut self, who: u32, node: usize, mode: Option<u32>) -> Result<(), Error> {
        let node = self.nodes.get_mut(&node).ok_or(Error::NotFound)?;
        if node.owner != who {
            return Err(Error::AccessDenied);
        }
        node.mode = mode.unwrap_or(node.mode);
        Ok(())
    }

    pub(crate) fn close(&mut self, node: usize) {
        self.nodes.get_mut(&node).unwrap().opens -= 1;
        self.sweep();
    }
}
