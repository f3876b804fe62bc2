//! The tree as a file system.

use swos_path::Name;
use swos_vfs::{
    Access, Attributes, Child, Cursor, DirectoryEntry, Error, FileSystem, Kind, NodeId, PageSource, Principal,
};

use crate::Entry;

/// The tree. It holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct SysFs;

fn entry(node: NodeId) -> Result<Entry, Error> {
    Entry::from_node(node).ok_or(Error::NotFound)
}

fn directory(node: NodeId) -> Result<Entry, Error> {
    let entry = entry(node)?;
    if entry.kind() == Kind::Directory { Ok(entry) } else { Err(Error::NotDirectory) }
}

fn child(entry: Entry) -> Child {
    Child { node: entry.node(), kind: entry.kind() }
}

impl FileSystem for SysFs {
    fn root(&self) -> NodeId {
        Entry::Root.node()
    }

    fn lookup(&self, _who: Principal, at: NodeId, name: Name<'_>) -> Result<Child, Error> {
        directory(at)?.child(name.as_bytes()).map(child).ok_or(Error::NotFound)
    }

    fn parent(&self, at: NodeId) -> Result<NodeId, Error> {
        Ok(directory(at)?.parent().node())
    }

    fn read_link(&self, link: NodeId) -> Result<&[u8], Error> {
        entry(link)?;
        Err(Error::Invalid)
    }

    /// The size of a text is known when it is made: until then it is 0.
    fn attributes(&self, node: NodeId) -> Result<Attributes, Error> {
        let kind = entry(node)?.kind();
        Ok(Attributes {
            kind,
            mode: if kind == Kind::Directory { 0o555 } else { 0o444 },
            owner: Principal(1),
            size: 0,
            links: 1,
            allocated: 0,
            modified_ns: 0,
            changed_ns: 0,
            accessed_ns: 0,
            content_hash: None,
        })
    }

    /// Reading is whose the owner says.
    fn access(&self, _who: Principal, node: NodeId, access: Access) -> Result<(), Error> {
        entry(node)?;
        match access {
            Access::Read | Access::Search => Ok(()),
            Access::Write => Err(Error::ReadOnly),
            Access::Execute => Err(Error::AccessDenied),
        }
    }

    /// A cursor is the number of entries passed. Processes are their owner's to list.
    fn read_directory(&self, at: NodeId, cursor: Cursor) -> Result<Option<DirectoryEntry<'_>>, Error> {
        let directory = directory(at)?;
        let place = usize::try_from(cursor.0).map_err(|_| Error::Invalid)?;
        let Some((entry, name)) = directory.child_at(place) else { return Ok(None) };
        let name = Name::new(name.as_bytes()).map_err(|_| Error::Corrupt)?;
        Ok(Some(DirectoryEntry { name, child: child(entry), next: Cursor(cursor.0 + 1) }))
    }

    fn page(&self, file: NodeId, _index: u64) -> Result<Option<PageSource>, Error> {
        match entry(file)?.kind() {
            Kind::Directory => Err(Error::IsDirectory),
            _ => Err(Error::NotSupported),
        }
    }
}
