//! The metadata in memory: one buffer, and arithmetic.

use alloc::vec::Vec;
use core::fmt;

use swos_path::{NAME_MAX, Name, PATH_MAX, Path};

use crate::v4::Extent;
use crate::{BLOCK_SIZE, Digest, Error, is_zero};

/// Size of one entry.
pub(crate) const ENTRY: usize = 80;

pub(crate) const KIND_DIRECTORY: u8 = 1;
pub(crate) const KIND_FILE: u8 = 2;
pub(crate) const KIND_SYMLINK: u8 = 3;

pub(crate) const AT_PARENT: usize = 0;
pub(crate) const AT_NAME_OFFSET: usize = 4;
pub(crate) const AT_NAME_LEN: usize = 8;
pub(crate) const AT_KIND: usize = 10;
pub(crate) const AT_MODE: usize = 12;
pub(crate) const AT_OWNER: usize = 16;
pub(crate) const AT_RESERVED: usize = 20;
pub(crate) const AT_MODIFIED: usize = 24;
pub(crate) const AT_SIZE: usize = 32;
pub(crate) const AT_FIRST: usize = 40;
pub(crate) const AT_HASH: usize = 48;

/// One node of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// The directory that it lies in; the root lies in itself.
    pub parent: u32,
    /// Its name; empty for the root.
    pub name: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    /// Owning principal.
    pub owner: u32,
    /// Last change, seconds since 1970; 0 = not recorded.
    pub modified_s: u64,
    /// What it is and holds.
    pub content: Content<'a>,
}

/// What an entry is and holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content<'a> {
    /// A directory with the entries `first..first + count`, sorted by the bytes of their names.
    Directory {
        /// First child.
        first: u32,
        /// Number of children.
        count: u32,
    },
    /// A file.
    File {
        /// Length in bytes.
        size: u64,
        /// Block of the image that it starts at.
        first_block: u64,
        /// SHA-256 of its bytes.
        sha256: Digest,
    },
    /// A symbolic link to this path.
    Symlink {
        /// The path.
        target: &'a [u8],
    },
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Meta<'a> {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Principal that owns it.
    pub owner: u32,
    /// Last modification, seconds since 1970.
    pub modified_s: u64,
    /// Bytes of a file or of a link's target, entries of a directory.
    pub size: u64,
    /// SHA-256 of a file's bytes.
    pub sha256: Option<&'a Digest>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A symbolic link.
    Symlink,
}

/// All metadata of an image: checked once, then found by arithmetic and one hash table.
///
/// Entry 0 is the root directory. Children of a directory are consecutive. Memory: the metadata as it lies in the image, and
/// 8 to 16 bytes of hash table per node.
pub struct Index {
    bytes: Vec<u8>,
    entries: u32,
    /// Where names start in `bytes`.
    names: usize,
    data_first: u64,
    /// Entry numbers by hash of directory and name, linear probing, at most half full. Names are found by hash and not by
    /// binary search, because those of a directory tend to start alike (`chapter-01`, `chapter-02`), which makes every
    /// comparison of a search a long one.
    table: Vec<u32>,
}

/// A free place in the table: the root, which has no name and is never looked up.
const FREE: u32 = 0;

impl Index {
    /// Checks metadata: `bytes` in whole blocks, of which `length` count, with `entries` entries, for files in `data`.
    ///
    /// Work: one pass. Trusts nothing, although only verified bytes come here.
    ///
    /// # Errors
    ///
    /// [`Error::BadEntry`], [`Error::BadHeader`] if the lengths contradict each other, [`Error::OutOfMemory`].
    pub fn parse(bytes: Vec<u8>, length: u64, entries: u32, data: Extent) -> Result<Self, Error> {
        let names = usize::try_from(entries).ok().and_then(|count| count.checked_mul(ENTRY));
        let length = usize::try_from(length).map_err(|_| Error::BadHeader { offset: 48 })?;
        let names = names.filter(|&names| names <= length && length <= bytes.len() && entries > 0);
        let names = names.ok_or(Error::BadHeader { offset: 72 })?;
        if !is_zero(&bytes[length..]) {
            return Err(Error::BadHeader { offset: 48 });
        }
        let slots =
            usize::try_from(entries).ok().and_then(|count| count.checked_mul(2)?.checked_next_power_of_two());
        let slots = slots.ok_or(Error::OutOfMemory)?;
        let mut table = Vec::new();
        table.try_reserve_exact(slots).map_err(|_| Error::OutOfMemory)?;
        table.resize(slots, FREE);
        let mut index = Self { bytes, entries, names, data_first: data.first, table };
        index.check(length, data)?;
        for at in 1..entries {
            let mut slot = index.slot(u32_at(index.raw(at), AT_PARENT), index.name(at));
            while index.table[slot] != FREE {
                slot = (slot + 1) & (slots - 1);
            }
            index.table[slot] = at;
        }
        Ok(index)
    }

    /// Where in the table the search for a name starts.
    fn slot(&self, directory: u32, name: &[u8]) -> usize {
        // The image is signed, so nobody can choose names that collide: speed is all that counts.
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let (words, rest) = name.as_chunks::<8>();
        let tail = rest.iter().fold(name.len() as u64, |tail, &byte| tail << 8 | u64::from(byte));
        let start = (u64::from(directory) << 32 ^ tail).wrapping_mul(MIX);
        let hash = words
            .iter()
            .fold(start, |hash, word| (hash.rotate_left(29) ^ u64::from_le_bytes(*word)).wrapping_mul(MIX));
        narrow(hash >> 32) & (self.table.len() - 1)
    }

    /// Every rule of FORMAT.md for entries, in order of entries. What a correct writer can't have written is refused, so
    /// that one tree has one image.
    fn check(&self, length: usize, data: Extent) -> Result<(), Error> {
        // Running positions: where the next name, child and data block have to be.
        let mut text = 0_usize;
        let mut child = 1_u32;
        let mut block = 0_u64;
        let mut parent = (0_u32, 0_u32);
        for at in 0..self.entries {
            let raw = self.raw(at);
            let fail = |field: usize| Error::BadEntry { entry: at, field: u16::try_from(field).unwrap_or(0) };
            let require = |field: usize, holds: bool| if holds { Ok(()) } else { Err(fail(field)) };

            require(AT_KIND + 1, raw[AT_KIND + 1] == 0)?;
            require(AT_MODE, u32_at(raw, AT_MODE) & !0o777 == 0)?;

            let name_len = usize::from(u16_at(raw, AT_NAME_LEN));
            require(AT_NAME_OFFSET, usize::try_from(u32_at(raw, AT_NAME_OFFSET)) == Ok(text))?;
            require(AT_NAME_LEN, name_len <= NAME_MAX && self.names + text + name_len <= length)?;
            let name = &self.bytes[self.names + text..][..name_len];
            text += name_len;

            if at == 0 {
                require(AT_PARENT, u32_at(raw, AT_PARENT) == 0)?;
                require(AT_NAME_LEN, name.is_empty())?;
                require(AT_KIND, raw[AT_KIND] == KIND_DIRECTORY)?;
            } else {
                // The entry belongs to the directory whose range of children it lies in; those ranges follow each other.
                while at >= parent.1 {
                    let next = if parent.1 == 0 { 0 } else { parent.0 + 1 };
                    require(AT_PARENT, next < at)?;
                    let range = self.children(next);
                    parent = (next, range.map_or(parent.1.max(1), |(first, count)| first + count));
                }
                require(AT_PARENT, u32_at(raw, AT_PARENT) == parent.0)?;
                require(AT_NAME_LEN, Name::new(name).is_ok())?;
                let sibling = at - 1;
                if sibling > 0 && u32_at(self.raw(sibling), AT_PARENT) == parent.0 {
                    require(AT_NAME_OFFSET, self.name(sibling) < name)?;
                }
            }

            require(AT_RESERVED, u32_at(raw, AT_RESERVED) == 0)?;
            let size = u64_at(raw, AT_SIZE);
            let first = u64_at(raw, AT_FIRST);
            let hash_unused = || is_zero(&raw[AT_HASH..]);
            match raw[AT_KIND] {
                KIND_DIRECTORY => {
                    require(AT_HASH, hash_unused())?;
                    // `child` is beyond `at`, or `at` would lie in no directory: no cycle, and every entry is reached.
                    require(AT_FIRST, first == u64::from(child))?;
                    let count = u32::try_from(size).map_err(|_| fail(AT_SIZE))?;
                    child = child.checked_add(count).ok_or(fail(AT_SIZE))?;
                    require(AT_SIZE, child <= self.entries)?;
                }
                KIND_FILE => {
                    require(AT_FIRST, first == block)?;
                    let left = data.count - block;
                    let blocks = size.div_ceil(BLOCK_SIZE as u64);
                    require(AT_SIZE, blocks <= left)?;
                    block += blocks;
                }
                KIND_SYMLINK => {
                    require(AT_HASH, hash_unused())?;
                    require(AT_FIRST, usize::try_from(first) == Ok(text))?;
                    let target_len = usize::try_from(size).map_err(|_| fail(AT_SIZE))?;
                    require(AT_SIZE, target_len <= PATH_MAX && self.names + text + target_len <= length)?;
                    let target = &self.bytes[self.names + text..][..target_len];
                    require(AT_SIZE, Path::new(target).is_ok())?;
                    text += target_len;
                }
                _ => return Err(fail(AT_KIND)),
            }
        }
        // All entries are children: each one's directory was found above.
        if block != data.count {
            return Err(Error::BadHeader { offset: 64 });
        }
        if self.names + text == length { Ok(()) } else { Err(Error::BadHeader { offset: 48 }) }
    }

    /// Number of entries, at least 1.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.entries
    }

    /// Whether there is no entry, which never is: the root is one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The entry with number `at`.
    #[must_use]
    pub fn entry(&self, at: u32) -> Option<Entry<'_>> {
        if at >= self.entries {
            return None;
        }
        let raw = self.raw(at);
        let first = u64_at(raw, AT_FIRST);
        let size = u64_at(raw, AT_SIZE);
        let content = match raw[AT_KIND] {
            KIND_FILE => {
                let mut sha256 = [0; 32];
                sha256.copy_from_slice(&raw[AT_HASH..ENTRY]);
                Content::File { size, first_block: self.data_first + first, sha256 }
            }
            KIND_SYMLINK => Content::Symlink { target: self.text(narrow(first), narrow(size)) },
            _ => Content::Directory {
                first: u32::try_from(first).unwrap_or(0),
                count: u32::try_from(size).unwrap_or(0),
            },
        };
        Some(Entry {
            parent: u32_at(raw, AT_PARENT),
            name: self.name(at),
            mode: u32_at(raw, AT_MODE),
            owner: u32_at(raw, AT_OWNER),
            modified_s: u64_at(raw, AT_MODIFIED),
            content,
        })
    }

    /// What is known of entry `at` but its name and where it is. Copies nothing that is long.
    #[must_use]
    #[inline]
    pub fn meta(&self, at: u32) -> Option<Meta<'_>> {
        let raw = if at < self.entries { self.raw(at) } else { return None };
        let kind = match raw[AT_KIND] {
            KIND_DIRECTORY => Kind::Directory,
            KIND_FILE => Kind::File,
            _ => Kind::Symlink,
        };
        Some(Meta {
            kind,
            mode: u32_at(raw, AT_MODE),
            owner: u32_at(raw, AT_OWNER),
            modified_s: u64_at(raw, AT_MODIFIED),
            size: u64_at(raw, AT_SIZE),
            sha256: raw[AT_HASH..].first_chunk().filter(|_| kind == Kind::File),
        })
    }

    /// What entry `at` is.
    #[must_use]
    pub fn kind(&self, at: u32) -> Option<Kind> {
        let raw = if at < self.entries { self.raw(at) } else { return None };
        match raw[AT_KIND] {
            KIND_DIRECTORY => Some(Kind::Directory),
            KIND_FILE => Some(Kind::File),
            _ => Some(Kind::Symlink),
        }
    }

    /// The children of directory `at`, as first and count; `None` if it is no directory.
    #[must_use]
    pub fn children(&self, at: u32) -> Option<(u32, u32)> {
        let raw = if at < self.entries { self.raw(at) } else { return None };
        if raw[AT_KIND] != KIND_DIRECTORY {
            return None;
        }
        Some((u32::try_from(u64_at(raw, AT_FIRST)).ok()?, u32::try_from(u64_at(raw, AT_SIZE)).ok()?))
    }

    /// The entry named `name` in `directory`.
    #[must_use]
    pub fn lookup(&self, directory: u32, name: &[u8]) -> Option<u32> {
        let mut slot = self.slot(directory, name);
        loop {
            let at = *self.table.get(slot)?;
            if at == FREE {
                return None;
            }
            if u32_at(self.raw(at), AT_PARENT) == directory && self.name(at) == name {
                return Some(at);
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
    }

    /// Size in memory, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes.len() + self.table.len() * size_of::<u32>()
    }

    fn name(&self, at: u32) -> &[u8] {
        let raw = self.raw(at);
        self.text(narrow(u64::from(u32_at(raw, AT_NAME_OFFSET))), usize::from(u16_at(raw, AT_NAME_LEN)))
    }

    fn text(&self, offset: usize, length: usize) -> &[u8] {
        let start = self.names.saturating_add(offset);
        self.bytes.get(start..start.saturating_add(length)).unwrap_or(&[])
    }

    /// The bytes of entry `at`, which is below `entries`.
    fn raw(&self, at: u32) -> &[u8; ENTRY] {
        const NONE: [u8; ENTRY] = [0; ENTRY];
        let start = narrow(u64::from(at)) * ENTRY;
        self.bytes.get(start..).and_then(|rest| rest.first_chunk()).unwrap_or(&NONE)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("entries", &self.entries).finish_non_exhaustive()
    }
}

fn narrow(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn u16_at(raw: &[u8; ENTRY], at: usize) -> u16 {
    u16::from_le_bytes([raw[at], raw[at + 1]])
}

fn u32_at(raw: &[u8; ENTRY], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&raw[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn u64_at(raw: &[u8; ENTRY], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&raw[at..at + 8]);
    u64::from_le_bytes(bytes)
}
