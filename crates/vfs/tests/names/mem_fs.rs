//! A tree in memory as a file system.

use std::collections::BTreeMap;

use swos_path::Name;
use swos_vfs::{
    Access, Attributes, Child, Cursor, DirectoryEntry, Error, FileSystem, Kind, NodeId, PageSource, Principal,
};

pub(crate) const WHO: Principal = Principal(1);

/// A node of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Directory(BTreeMap<Vec<u8>, usize>),
    File,
    Link(Vec<u8>),
}

/// A tree in memory.
#[derive(Clone, Debug)]
pub(crate) struct MemFs {
    pub(crate) nodes: Vec<(usize, Node)>,
    /// It says that its names never change.
    pub(crate) settled: bool,
    /// Names can be removed, whatever it says.
    pub(crate) loses: bool,
    pub(crate) changes: u64,
}

impl MemFs {
    pub(crate) fn new() -> Self {
        let nodes = vec![(0, Node::Directory(BTreeMap::new()))];
        Self { nodes, settled: false, loses: false, changes: 0 }
    }

    pub(crate) fn add(&mut self, parent: usize, name: &[u8], node: Node) -> Option<usize> {
        let at = self.nodes.len();
        let Node::Directory(children) = &mut self.nodes[parent].1 else { return None };
        if children.contains_key(name) {
            return None;
        }
        children.insert(name.to_vec(), at);
        self.nodes.push((parent, node));
        Some(at)
    }

    pub(crate) fn at(&self, node: NodeId) -> &(usize, Node) {
        &self.nodes[usize::try_from(node.0).unwrap()]
    }

    pub(crate) fn kind(&self, at: usize) -> Kind {
        match self.nodes[at].1 {
            Node::Directory(_) => Kind::Directory,
            Node::File => Kind::File,
            Node::Link(_) => Kind::Symlink,
        }
    }
}

impl FileSystem for MemFs {
    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn names_never_change(&self) -> bool {
        self.settled
    }

    fn unlink(&mut self, _: Principal, at: NodeId, name: Name<'_>, _: Kind, _: u64) -> Result<(), Error> {
        match &mut self.nodes[usize::try_from(at.0).unwrap()].1 {
            _ if !self.loses => Err(Error::ReadOnly),
            Node::Directory(children) => children.remove(name.as_bytes()).map(drop).ok_or(Error::NotFound),
            Node::File | Node::Link(_) => Err(Error::NotDirectory),
        }
    }

    fn lookup(&self, _: Principal, directory: NodeId, name: Name<'_>) -> Result<Child, Error> {
        let Node::Directory(children) = &self.at(directory).1 else { return Err(Error::NotDirectory) };
        let at = *children.get(name.as_bytes()).ok_or(Error::NotFound)?;
        Ok(Child { node: NodeId(at as u64), kind: self.kind(at) })
    }

    fn name(&self, directory: NodeId) -> Result<Option<Name<'_>>, Error> {
        let parent = self.at(directory).0;
        let Node::Directory(siblings) = &self.nodes[parent].1 else { unreachable!() };
        let me = usize::try_from(directory.0).unwrap();
        let name = siblings.iter().find(|&(_, &at)| at == me).map(|(name, _)| name);
        Ok(name.map(|name| Name::new(name).unwrap()))
    }

    fn parent(&self, directory: NodeId) -> Result<NodeId, Error> {
        Ok(NodeId(self.at(directory).0 as u64))
    }

    fn changes(&self) -> u64 {
        self.changes
    }

    fn read_link(&self, link: NodeId) -> Result<&[u8], Error> {
        match &self.at(link).1 {
            Node::Link(target) => Ok(target),
            _ => Err(Error::Invalid),
        }
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Error> {
        let kind = self.kind(usize::try_from(node.0).unwrap());
        Ok(Attributes {
            kind,
            mode: 0,
            owner: WHO,
            size: 0,
            links: 1,
            allocated: 0,
            modified_ns: 0,
            changed_ns: 0,
            accessed_ns: 0,
            content_hash: None,
        })
    }

    fn access(&self, _: Principal, _: NodeId, _: Access) -> Result<(), Error> {
        Ok(())
    }

    fn read_directory(&self, _: NodeId, _: Cursor) -> Result<Option<DirectoryEntry<'_>>, Error> {
        Err(Error::NotSupported)
    }

    fn page(&self, _: NodeId, _: u64) -> Result<Option<PageSource>, Error> {
        Err(Error::NotSupported)
    }
}
