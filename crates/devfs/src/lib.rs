//! The names of the character devices, as a [`FileSystem`] that never changes: which there are, and what a byte read from or
//! written to the simple ones is.
//!
//! In goes a name; out comes a node, and for a node its [`Device`]. Opening one is the kernel's business.
//!
//! **Invariant:** every device has one name, one node and one number, and a node is found under its name only.
//!
//! Deliberately absent: state. Two mounts of it are equal.
//!
//! ```
//! use swos_devfs::{DevFs, Device, Effect};
//! use swos_vfs::{FileSystem, Principal};
//! let devices = DevFs;
//! let zero = devices.lookup(Principal(1), devices.root(), swos_path::Name::new(b"zero").unwrap())?;
//! assert_eq!(devices.device(zero.node).ok().and_then(Device::from_number), Some(Device::Zero));
//! assert_eq!(Device::Full.on_write(), Effect::NoSpace);
//! # Ok::<(), swos_vfs::Error>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use swos_path::Name;
use swos_vfs::{
    Access, Attributes, Child, Cursor, DirectoryEntry, Error, FileSystem, Kind, NodeId, PageSource, Principal,
};

/// A character device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Device {
    /// Takes everything, gives nothing.
    Null,
    /// Takes everything, gives zeros.
    Zero,
    /// Takes nothing, as if it were full; gives zeros.
    Full,
    /// Gives random bytes, takes everything.
    Random,
    /// The machine's console.
    Console,
    /// The terminal of whoever asks: the console, so far.
    Tty,
}

/// What a device does with a read or a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// There is nothing to read.
    End,
    /// Zeros fill the buffer.
    Zeros,
    /// Random bytes fill the buffer.
    Random,
    /// What is written is taken and forgotten.
    Taken,
    /// There is no room for what is written.
    NoSpace,
    /// The console does it.
    Console,
}

/// Name, device and mode, in the order in which they are listed.
const DEVICES: [(&[u8], Device, u32); 7] = [
    (b"null", Device::Null, 0o666),
    (b"zero", Device::Zero, 0o666),
    (b"full", Device::Full, 0o666),
    (b"random", Device::Random, 0o666),
    (b"urandom", Device::Random, 0o666),
    (b"console", Device::Console, 0o600),
    (b"tty", Device::Tty, 0o666),
];
/// Who owns them.
const OWNER: Principal = Principal(1);
/// The directory; devices have the numbers above it.
const ROOT: NodeId = NodeId(0);

impl Device {
    /// The device with a number that [`FileSystem::device`] gave.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        DEVICES.get(usize::try_from(number).ok()?).map(|&(_, device, _)| device)
    }

    /// What reading it does.
    #[must_use]
    pub const fn on_read(self) -> Effect {
        match self {
            Self::Null => Effect::End,
            Self::Zero | Self::Full => Effect::Zeros,
            Self::Random => Effect::Random,
            Self::Console | Self::Tty => Effect::Console,
        }
    }

    /// What writing to it does.
    #[must_use]
    pub const fn on_write(self) -> Effect {
        match self {
            Self::Null | Self::Zero | Self::Random => Effect::Taken,
            Self::Full => Effect::NoSpace,
            Self::Console | Self::Tty => Effect::Console,
        }
    }
}

/// The directory of devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct DevFs;

fn entry(node: NodeId) -> Result<(u32, u32), Error> {
    let number = node.0.checked_sub(1).ok_or(Error::NotSupported)?;
    let at = usize::try_from(number).map_err(|_| Error::NotFound)?;
    let (_, _, mode) = DEVICES.get(at).ok_or(Error::NotFound)?;
    Ok((u32::try_from(number).map_err(|_| Error::NotFound)?, *mode))
}

fn child(at: usize) -> Child {
    Child { node: NodeId(at as u64 + 1), kind: Kind::Character }
}

impl FileSystem for DevFs {
    fn root(&self) -> NodeId {
        ROOT
    }

    fn lookup(&self, _: Principal, directory: NodeId, name: Name<'_>) -> Result<Child, Error> {
        if directory != ROOT {
            return Err(Error::NotDirectory);
        }
        let at = DEVICES.iter().position(|&(known, ..)| known == name.as_bytes()).ok_or(Error::NotFound)?;
        Ok(child(at))
    }

    fn parent(&self, directory: NodeId) -> Result<NodeId, Error> {
        if directory == ROOT { Ok(ROOT) } else { Err(Error::NotDirectory) }
    }

    fn read_link(&self, _: NodeId) -> Result<&[u8], Error> {
        Err(Error::Invalid)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Error> {
        let (kind, mode, size, links) = match entry(node) {
            Err(Error::NotSupported) => (Kind::Directory, 0o755, DEVICES.len() as u64, 2),
            other => (Kind::Character, other?.1, 0, 1),
        };
        Ok(Attributes {
            kind,
            mode,
            owner: OWNER,
            size,
            links,
            allocated: 0,
            modified_ns: 0,
            changed_ns: 0,
            accessed_ns: 0,
            content_hash: None,
        })
    }

    fn access(&self, who: Principal, node: NodeId, access: Access) -> Result<(), Error> {
        let attributes = self.attributes(node)?;
        let class = if who == OWNER { attributes.mode >> 6 } else { attributes.mode };
        let allowed = match access {
            Access::Read => class & 4 != 0,
            Access::Write if node == ROOT => return Err(Error::ReadOnly),
            Access::Write => class & 2 != 0,
            Access::Search => node == ROOT,
            Access::Execute => false,
        };
        if allowed { Ok(()) } else { Err(Error::AccessDenied) }
    }

    /// A cursor is the number of entries passed.
    fn read_directory(&self, directory: NodeId, cursor: Cursor) -> Result<Option<DirectoryEntry<'_>>, Error> {
        if directory != ROOT {
            return Err(Error::NotDirectory);
        }
        let at = usize::try_from(cursor.0).map_err(|_| Error::Invalid)?;
        match DEVICES.get(at) {
            Some(&(name, ..)) => {
                let name = Name::new(name).map_err(|_| Error::Corrupt)?;
                Ok(Some(DirectoryEntry { name, child: child(at), next: Cursor(cursor.0 + 1) }))
            }
            None if at == DEVICES.len() => Ok(None),
            None => Err(Error::Invalid),
        }
    }

    fn page(&self, file: NodeId, _: u64) -> Result<Option<PageSource>, Error> {
        if file == ROOT { Err(Error::IsDirectory) } else { Err(Error::Invalid) }
    }

    fn name(&self, directory: NodeId) -> Result<Option<Name<'_>>, Error> {
        if directory == ROOT { Ok(None) } else { Err(Error::NotDirectory) }
    }

    fn device(&self, node: NodeId) -> Result<u32, Error> {
        entry(node).map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_found_and_is_what_it_is_called() {
        let mut cursor = Cursor::default();
        let mut names = Vec::new();
        while let Some(entry) = DevFs.read_directory(ROOT, cursor).unwrap() {
            assert_eq!(DevFs.lookup(OWNER, ROOT, entry.name), Ok(entry.child));
            let device = Device::from_number(DevFs.device(entry.child.node).unwrap()).unwrap();
            assert_eq!(DevFs.attributes(entry.child.node).unwrap().kind, Kind::Character);
            names.push((entry.name.as_bytes().to_vec(), device));
            cursor = entry.next;
        }
        assert_eq!(names.len(), DEVICES.len());
        assert!(DEVICES.iter().zip(&names).all(|(known, listed)| known.0 == listed.0 && known.1 == listed.1));
        assert_eq!(DevFs.read_directory(ROOT, Cursor(8)), Err(Error::Invalid));
        assert_eq!(DevFs.read_directory(NodeId(1), Cursor(0)), Err(Error::NotDirectory));
    }

    #[test]
    fn nothing_else_is_there() {
        assert_eq!(DevFs.lookup(OWNER, ROOT, Name::new(b"mem").unwrap()), Err(Error::NotFound));
        assert_eq!(DevFs.lookup(OWNER, NodeId(1), Name::new(b"null").unwrap()), Err(Error::NotDirectory));
        assert_eq!(DevFs.device(ROOT), Err(Error::NotSupported));
        assert_eq!(DevFs.device(NodeId(8)), Err(Error::NotFound));
        assert_eq!(DevFs.attributes(NodeId(99)).unwrap_err(), Error::NotFound);
        assert_eq!((DevFs.parent(ROOT), DevFs.name(ROOT)), (Ok(ROOT), Ok(None)));
        assert_eq!(Device::from_number(7), None);
        assert_eq!(DevFs.page(NodeId(1), 0), Err(Error::Invalid));
    }

    #[test]
    fn the_console_is_its_owners_and_the_others_are_everybodys() {
        let node = |name: &[u8]| DevFs.lookup(OWNER, ROOT, Name::new(name).unwrap()).unwrap().node;
        let other = Principal(1000);
        for access in [Access::Read, Access::Write] {
            assert_eq!(DevFs.access(OWNER, node(b"console"), access), Ok(()));
            assert_eq!(DevFs.access(other, node(b"console"), access), Err(Error::AccessDenied));
            assert_eq!(DevFs.access(other, node(b"null"), access), Ok(()));
        }
        assert_eq!(DevFs.access(OWNER, node(b"zero"), Access::Execute), Err(Error::AccessDenied));
        assert_eq!(DevFs.access(other, ROOT, Access::Search), Ok(()));
        assert_eq!(DevFs.access(OWNER, ROOT, Access::Write), Err(Error::ReadOnly));
    }

    #[test]
    fn bytes_of_the_simple_ones() {
        use Effect::{End, NoSpace, Random, Taken, Zeros};
        let effects = |device: Device| (device.on_read(), device.on_write());
        assert_eq!(effects(Device::Null), (End, Taken));
        assert_eq!(effects(Device::Zero), (Zeros, Taken));
        assert_eq!(effects(Device::Full), (Zeros, NoSpace));
        assert_eq!(effects(Device::Random), (Random, Taken));
        assert_eq!(effects(Device::Tty), (Effect::Console, Effect::Console));
    }
}
