//! Block 0: what is signed.

use crate::v4::{Block, Geometry, VERSION};
use crate::{BLOCK_SIZE, Digest, Error, KeyId, MAGIC, PublicKey, Sha256Blocks, Signature, Verified};

/// Bytes from the start that the signature is over.
pub(crate) const SIGNED: usize = 160;
const SIGNATURE_END: usize = SIGNED + 64;

pub(crate) const AT_VERSION: usize = 8;
pub(crate) const AT_HEADER_SIZE: usize = 12;
pub(crate) const AT_BLOCK_LOG2: usize = 16;
pub(crate) const AT_LEVELS: usize = 20;
pub(crate) const AT_TOTAL: usize = 24;
pub(crate) const AT_IMAGE_VERSION: usize = 32;
pub(crate) const AT_META_BLOCKS: usize = 40;
pub(crate) const AT_META_BYTES: usize = 48;
pub(crate) const AT_TREE_BLOCKS: usize = 56;
pub(crate) const AT_DATA_BLOCKS: usize = 64;
pub(crate) const AT_ENTRIES: usize = 72;
pub(crate) const AT_ROOT_HASH: usize = 80;
pub(crate) const AT_KEY_ID: usize = 112;
const AT_RESERVED: usize = 120;

/// What a verified image says about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Superblock {
    /// Where everything lies.
    pub geometry: Geometry,
    /// Grows with each release: a system refuses an image older than one that it has run.
    pub image_version: u64,
    /// Length of the metadata, in bytes.
    pub meta_bytes: u64,
    /// Entries in the metadata.
    pub entries: u32,
    /// Hash of the tree's root block.
    pub root_hash: Digest,
    /// Which key signed it.
    pub key_id: KeyId,
}

/// Block 0 as it came from the disk. Nothing of it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<'a> {
    block: &'a Block,
}

impl<'a> Unverified<'a> {
    /// Takes a block.
    ///
    /// # Errors
    ///
    /// [`Error::BadMagic`], [`Error::UnsupportedVersion`].
    pub fn new(block: &'a Block) -> Result<Self, Error> {
        if !block.starts_with(&MAGIC) {
            return Err(Error::BadMagic);
        }
        let unverified = Self { block };
        match unverified.u32(AT_VERSION) {
            VERSION => Ok(unverified),
            found => Err(Error::UnsupportedVersion { found }),
        }
    }

    /// Checks signature, reserved bytes, and then the fields.
    ///
    /// # Errors
    ///
    /// [`Error::NotZero`], [`Error::UnknownKey`], [`Error::BadSignature`], [`Error::BadHeader`].
    pub fn verify(self, sha: &dyn Sha256Blocks, keys: &[PublicKey]) -> Result<Verified<Superblock>, Error> {
        // Cheap checks first. The bytes behind the signature are not under it, so they have to be zero.
        self.check_zero(AT_RESERVED, SIGNED)?;
        self.check_zero(SIGNATURE_END, BLOCK_SIZE)?;
        let id = KeyId(self.array(AT_KEY_ID));
        let key = keys.iter().find(|key| key.id(sha) == id).ok_or(Error::UnknownKey { id })?;
        let signature: Signature = self.array(SIGNED);
        if !key.accepts(&self.block[..SIGNED], &signature) {
            return Err(Error::BadSignature);
        }
        self.fields(id).map(Verified::new)
    }

    /// Reads the fields, whoever wrote them. A good signature does not make a field sensible.
    pub(crate) fn fields(self, key_id: KeyId) -> Result<Superblock, Error> {
        let expect = |offset: usize, holds: bool| {
            if holds { Ok(()) } else { Err(Error::BadHeader { offset: u16::try_from(offset).unwrap_or(0) }) }
        };
        expect(AT_HEADER_SIZE, usize::try_from(self.u32(AT_HEADER_SIZE)) == Ok(BLOCK_SIZE))?;
        expect(AT_BLOCK_LOG2, self.u32(AT_BLOCK_LOG2) == BLOCK_SIZE.ilog2())?;
        let geometry = Geometry::new(self.u64(AT_META_BLOCKS), self.u64(AT_DATA_BLOCKS))
            .ok_or(Error::BadHeader { offset: 40 })?;
        expect(AT_LEVELS, usize::try_from(self.u32(AT_LEVELS)) == Ok(geometry.levels()))?;
        expect(AT_TOTAL, self.u64(AT_TOTAL) == geometry.total())?;
        expect(AT_TREE_BLOCKS, self.u64(AT_TREE_BLOCKS) == geometry.tree().count)?;
        let meta_bytes = self.u64(AT_META_BYTES);
        expect(AT_META_BYTES, meta_bytes.div_ceil(BLOCK_SIZE as u64) == geometry.meta().count)?;
        expect(76, self.u32(76) == 0)?;
        Ok(Superblock {
            geometry,
            image_version: self.u64(AT_IMAGE_VERSION),
            meta_bytes,
            entries: self.u32(AT_ENTRIES),
            root_hash: self.array(AT_ROOT_HASH),
            key_id,
        })
    }

    fn check_zero(self, from: usize, to: usize) -> Result<(), Error> {
        let groups = self.block[from..to].as_chunks::<8>().0;
        match groups.iter().position(|group| u64::from_ne_bytes(*group) != 0) {
            None => Ok(()),
            Some(group) => Err(Error::NotZero { offset: u16::try_from(from + group * 8).unwrap_or(0) }),
        }
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.block[at..at + N]);
        bytes
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}
