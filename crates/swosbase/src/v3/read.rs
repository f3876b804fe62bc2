//! Reads version 3.

use core::cmp::Ordering;

use crate::tree::check_plain;
use crate::v3::{ENTRY_SIZE, HEADER_SIZE, SIGNATURE_SIZE, VERSION};
use crate::{Digest, Error, MAGIC, PublicKey, Sha256, Sha256Blocks, Verified, is_zero};

/// Most bytes of metadata: header, entries, strings and signature.
pub const METADATA_MAX: u64 = 1 << 20;

/// The first 64 bytes, checked for themselves. Says how much metadata to read; still unverified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    entries: u32,
    strings_offset: u64,
    strings_size: u64,
    data_offset: u64,
    data_size: u64,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    ///
    /// [`Error::BadMagic`], [`Error::UnsupportedVersion`], [`Error::BadHeader`].
    pub fn parse(bytes: &[u8; HEADER_SIZE]) -> Result<Self, Error> {
        let u32_at = |at: usize| u32_at(bytes, at);
        let u64_at = |at: usize| u64_at(bytes, at);
        if !bytes.starts_with(&MAGIC) {
            return Err(Error::BadMagic);
        }
        if u32_at(8) != VERSION {
            return Err(Error::UnsupportedVersion { found: u32_at(8) });
        }
        let require =
            |offset: u16, holds: bool| if holds { Ok(()) } else { Err(Error::BadHeader { offset }) };
        let entries = u32_at(20);
        let header = Self {
            entries,
            strings_offset: u64_at(32),
            strings_size: u64_at(40),
            data_offset: u64_at(48),
            data_size: u64_at(56),
        };
        require(12, u32_at(12) == 64)?;
        require(16, u32_at(16) == 72)?;
        require(20, entries >= 1)?;
        require(24, u64_at(24) == 64)?;
        require(32, header.strings_offset == 64 + u64::from(entries) * 72)?;
        require(40, header.strings_size <= METADATA_MAX)?;
        require(48, header.data_offset == header.strings_offset + header.strings_size + 64)?;
        require(48, header.data_offset <= METADATA_MAX)?;
        require(56, header.data_offset.checked_add(header.data_size).is_some())?;
        Ok(header)
    }

    /// Bytes of metadata, from the start of the image up to the file data. At most [`METADATA_MAX`].
    #[must_use]
    pub const fn metadata_len(&self) -> u64 {
        self.data_offset
    }

    /// Bytes of the whole image.
    #[must_use]
    pub const fn image_len(&self) -> u64 {
        self.data_offset + self.data_size
    }
}

/// Metadata as it came from the disk. Nothing of it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<'a> {
    header: Header,
    metadata: &'a [u8],
}

impl<'a> Unverified<'a> {
    /// Takes the first [`Header::metadata_len`] bytes (or more) of a medium that has `image_len`.
    ///
    /// # Errors
    ///
    /// Those of [`Header::parse`], and [`Error::WrongLength`].
    pub fn new(bytes: &'a [u8], image_len: u64) -> Result<Self, Error> {
        let actual = bytes.len() as u64;
        let head = bytes.first_chunk().ok_or(Error::WrongLength { stated: HEADER_SIZE as u64, actual })?;
        let header = Header::parse(head)?;
        if header.image_len() != image_len {
            return Err(Error::WrongLength { stated: header.image_len(), actual: image_len });
        }
        let metadata = usize::try_from(header.metadata_len()).ok().and_then(|length| bytes.get(..length));
        let metadata = metadata.ok_or(Error::WrongLength { stated: header.metadata_len(), actual })?;
        Ok(Self { header, metadata })
    }

    /// Checks the signature and then every entry. The format does not say which key: each of `keys` is tried.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignature`], [`Error::BadEntry`], [`Error::BadHeader`].
    pub fn verify(self, keys: &[PublicKey]) -> Result<Verified<Metadata<'a>>, Error> {
        let (signed, signature) =
            self.metadata.split_last_chunk::<SIGNATURE_SIZE>().ok_or(Error::BadSignature)?;
        if !keys.iter().any(|key| key.accepts(signed, signature)) {
            return Err(Error::BadSignature);
        }
        self.entries().map(Verified::new)
    }

    /// Checks the entries, whoever wrote them.
    pub(crate) fn entries(self) -> Result<Metadata<'a>, Error> {
        let metadata = Metadata { header: self.header, bytes: self.metadata };
        metadata.check()?;
        Ok(metadata)
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file.
    File,
}

/// One entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// Its number.
    pub index: u32,
    /// Path below the root, without a leading `/`.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owning principal.
    pub owner: u32,
    /// Where in the image its bytes start.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes; zeros for a directory.
    pub sha256: Digest,
}

/// The entries of an image, in the order of their paths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metadata<'a> {
    header: Header,
    bytes: &'a [u8],
}

impl<'a> Metadata<'a> {
    fn check(&self) -> Result<(), Error> {
        let mut text = 0_u64;
        let mut data = 0_u64;
        let mut previous: &[u8] = b"";
        for at in 0..self.header.entries {
            let raw = self.raw(at)?;
            let require = |field: u16, holds: bool| {
                if holds { Ok(()) } else { Err(Error::BadEntry { entry: at, field }) }
            };
            let length = u64::from(u32_at(raw, 4));
            require(0, u64::from(u32_at(raw, 0)) == text)?;
            let path = self.strings(text, length + 1).ok_or(Error::BadEntry { entry: at, field: 4 })?;
            let Some((0, path)) = path.split_last() else {
                return Err(Error::BadEntry { entry: at, field: 4 });
            };
            require(4, check_plain(path).is_ok() && core::str::from_utf8(path).is_ok())?;
            require(4, previous < path)?;
            previous = path;
            text += length + 1;
            if let Some(slash) = path.iter().rposition(|&byte| byte == b'/') {
                let parent = self.find_below(at, &path[..slash]);
                require(4, parent.is_some_and(|entry| entry.kind == Kind::Directory))?;
            }
            require(12, u32_at(raw, 12) == 0)?;
            require(32, u32_at(raw, 32) & !0o7777 == 0)?;
            require(16, u64_at(raw, 16) == data)?;
            let size = u64_at(raw, 24);
            match u32_at(raw, 8) {
                1 => {
                    require(24, size == 0)?;
                    require(40, is_zero(&raw[40..]))?;
                }
                2 => {
                    data = data.checked_add(size).ok_or(Error::BadEntry { entry: at, field: 24 })?;
                    require(24, data <= self.header.data_size)?;
                }
                _ => require(8, false)?,
            }
        }
        if text != self.header.strings_size {
            return Err(Error::BadHeader { offset: 40 });
        }
        if data == self.header.data_size { Ok(()) } else { Err(Error::BadHeader { offset: 56 }) }
    }

    /// Number of entries, at least 1.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.header.entries
    }

    /// Whether there is no entry, which never is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.header.entries == 0
    }

    /// The entry with number `at`.
    #[must_use]
    pub fn entry(&self, at: u32) -> Option<Entry<'a>> {
        let raw = self.raw(at).ok()?;
        let path = self.strings(u64::from(u32_at(raw, 0)), u64::from(u32_at(raw, 4)))?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&raw[40..]);
        Some(Entry {
            index: at,
            path,
            kind: if u32_at(raw, 8) == 1 { Kind::Directory } else { Kind::File },
            mode: u32_at(raw, 32),
            owner: u32_at(raw, 36),
            offset: self.header.data_offset.checked_add(u64_at(raw, 16))?,
            size: u64_at(raw, 24),
            sha256,
        })
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        (0..self.header.entries).filter_map(|at| self.entry(at))
    }

    /// The entry with this path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<Entry<'a>> {
        self.find_below(self.header.entries, path)
    }

    /// The entry with this path among the first `limit`, which are in order.
    fn find_below(&self, limit: u32, path: &[u8]) -> Option<Entry<'a>> {
        let (mut low, mut high) = (0, limit);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(middle)?;
            match entry.path.cmp(path) {
                Ordering::Equal => return Some(entry),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn raw(&self, at: u32) -> Result<&'a [u8; ENTRY_SIZE], Error> {
        let bad = Error::BadEntry { entry: at, field: 0 };
        if at >= self.header.entries {
            return Err(bad);
        }
        let start = usize::try_from(at).ok().and_then(|at| at.checked_mul(ENTRY_SIZE)).ok_or(bad)?;
        self.bytes.get(HEADER_SIZE + start..).and_then(|rest| rest.first_chunk()).ok_or(bad)
    }

    fn strings(&self, offset: u64, length: u64) -> Option<&'a [u8]> {
        let end = offset.checked_add(length).filter(|&end| end <= self.header.strings_size)?;
        let base = usize::try_from(self.header.strings_offset).ok()?;
        self.bytes.get(base + usize::try_from(offset).ok()?..base + usize::try_from(end).ok()?)
    }
}

/// Checks the bytes of one file, given in order and in any pieces.
#[derive(Clone, Debug)]
pub struct ContentCheck {
    entry: u32,
    expected: Digest,
    hash: Sha256,
}

impl ContentCheck {
    /// Starts to check the content of `entry`.
    #[must_use]
    pub const fn new(entry: &Entry<'_>) -> Self {
        Self { entry: entry.index, expected: entry.sha256, hash: Sha256::new() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, sha: &dyn Sha256Blocks, bytes: &[u8]) {
        self.hash.update(sha, bytes);
    }

    /// Says whether they were the bytes that were signed.
    ///
    /// # Errors
    ///
    /// [`Error::ContentMismatch`].
    pub fn finish(self, sha: &dyn Sha256Blocks) -> Result<(), Error> {
        if self.hash.finish(sha) == self.expected {
            Ok(())
        } else {
            Err(Error::ContentMismatch { entry: self.entry })
        }
    }
}

/// Verifies a whole image that is in memory: metadata, and the content of every file.
///
/// # Errors
///
/// Any that concerns version 3.
pub fn verify_all<'a>(
    sha: &dyn Sha256Blocks,
    image: &'a [u8],
    keys: &[PublicKey],
) -> Result<Verified<Metadata<'a>>, Error> {
    let metadata = Unverified::new(image, image.len() as u64)?.verify(keys)?;
    for entry in metadata.entries().filter(|entry| entry.kind == Kind::File) {
        let mut check = ContentCheck::new(&entry);
        let range = usize::try_from(entry.offset).ok().zip(usize::try_from(entry.size).ok());
        let content = range.and_then(|(start, size)| image.get(start..)?.get(..size));
        check.update(sha, content.unwrap_or(&[]));
        check.finish(sha)?;
    }
    Ok(metadata)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u64::from_le_bytes(*field))
}
