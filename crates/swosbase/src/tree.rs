//! What an image is written from: a tree in memory, with nothing taken from a host.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use swos_path::{Component, NAME_MAX, Path};

use crate::WriteError;

/// Attributes of a node, always given, never guessed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attributes {
    /// Permission bits, 0..=0o777. There is no set-user-id: programs get authority by handles.
    pub mode: u32,
    /// Owning principal; 1 is root.
    pub owner: u32,
    /// Last change, seconds since 1970; 0 for reproducible images.
    pub modified_s: u64,
}

impl Attributes {
    /// Root's directory that everybody may search.
    pub const DIRECTORY: Self = Self { mode: 0o755, owner: 1, modified_s: 0 };
    /// Root's program.
    pub const PROGRAM: Self = Self { mode: 0o755, owner: 1, modified_s: 0 };
    /// Root's file that everybody may read.
    pub const FILE: Self = Self { mode: 0o644, owner: 1, modified_s: 0 };
    /// A symbolic link: its mode means nothing.
    pub const SYMLINK: Self = Self { mode: 0o777, owner: 1, modified_s: 0 };
}

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Node {
    /// A directory, empty at first.
    Directory,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this path.
    Symlink(Vec<u8>),
}

/// The content of an image to be.
#[derive(Clone, Debug)]
pub struct Tree {
    items: Vec<Item>,
}

/// One node. Items refer to each other by their place in the list, so no depth of nesting needs recursion.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) attributes: Attributes,
    pub(crate) node: Node,
    pub(crate) children: BTreeMap<Vec<u8>, usize>,
}

impl Tree {
    /// With an empty root directory.
    #[must_use]
    pub fn new(root: Attributes) -> Self {
        Self {
            items: Vec::from([Item { attributes: root, node: Node::Directory, children: BTreeMap::new() }]),
        }
    }

    /// Adds a node at `path`: relative, without `.`, `..`, or a `/` too many. Its directory must be there already.
    ///
    /// # Errors
    ///
    /// [`WriteError::InvalidPath`], [`WriteError::NotUtf8`], [`WriteError::InvalidMode`], [`WriteError::InvalidTarget`],
    /// [`WriteError::NoParent`], [`WriteError::Exists`]. The tree is unchanged then.
    pub fn add(&mut self, path: &[u8], attributes: Attributes, node: Node) -> Result<(), WriteError> {
        check_plain(path)?;
        if core::str::from_utf8(path).is_err() {
            return Err(WriteError::NotUtf8);
        }
        if attributes.mode & !0o777 != 0 {
            return Err(WriteError::InvalidMode);
        }
        if let Node::Symlink(target) = &node
            && (Path::new(target).is_err() || core::str::from_utf8(target).is_err())
        {
            return Err(WriteError::InvalidTarget);
        }
        let (parent, name) = match path.iter().rposition(|&byte| byte == b'/') {
            None => (0, path),
            Some(slash) => (self.find(&path[..slash]).ok_or(WriteError::NoParent)?, &path[slash + 1..]),
        };
        if self.items[parent].node != Node::Directory {
            return Err(WriteError::NoParent);
        }
        if self.items[parent].children.contains_key(name) {
            return Err(WriteError::Exists);
        }
        let index = self.items.len();
        self.items[parent].children.insert(name.to_vec(), index);
        self.items.push(Item { attributes, node, children: BTreeMap::new() });
        Ok(())
    }

    /// What is at `path`, if anything.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<(&Attributes, &Node)> {
        let item = &self.items[self.find(path)?];
        Some((&item.attributes, &item.node))
    }

    /// The items; the first is the root.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        let mut at = 0;
        for name in path.split(|&byte| byte == b'/') {
            at = *self.items[at].children.get(name)?;
        }
        Some(at)
    }
}

/// Refuses what is no relative path in its one plain form.
pub(crate) fn check_plain(path: &[u8]) -> Result<(), WriteError> {
    let parsed = Path::new(path).map_err(|_| WriteError::InvalidPath)?;
    if parsed.is_absolute() {
        return Err(WriteError::InvalidPath);
    }
    let mut length = 0;
    for component in parsed.components() {
        match component {
            Component::Name(name) if name.as_bytes().len() <= NAME_MAX => length += name.as_bytes().len() + 1,
            _ => return Err(WriteError::InvalidPath),
        }
    }
    // A repeated or trailing slash is a byte that no component accounts for.
    if length == path.len() + 1 { Ok(()) } else { Err(WriteError::InvalidPath) }
}
