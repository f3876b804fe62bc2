//! From a device to a verified image: which blocks are needed, and what becomes of them.

use alloc::vec::Vec;

use crate::v4::{Block, BlockVerifier, Index, Superblock, Unverified};
use crate::{BLOCK_SIZE, Error, PublicKey, Sha256Blocks, Verified};

/// Most blocks that [`Mount::poll`] asks for at once.
pub const READ_BLOCKS_MAX: u32 = 32;

/// How long the medium is, so that a shortened or lengthened image is found before anything is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacity {
    bytes: u64,
    exact: bool,
}

impl Capacity {
    /// The image fills the medium: a disk or a file of its own. An image is whole 4 KiB blocks and therefore whole sectors,
    /// so nobody has to pad it.
    #[must_use]
    pub const fn exactly(bytes: u64) -> Self {
        Self { bytes, exact: true }
    }

    /// The image starts a medium that may be longer, such as an update slot. Bytes behind it are never read.
    #[must_use]
    pub const fn at_least(bytes: u64) -> Self {
        Self { bytes, exact: false }
    }

    /// Whole blocks of the medium.
    pub(crate) const fn blocks(self) -> u64 {
        self.bytes / BLOCK_SIZE as u64
    }

    /// Whether an image of `stated` bytes, filled up to a whole block, is there as it should be.
    pub(crate) fn check(self, stated: u64) -> Result<(), Error> {
        let there = stated
            .checked_next_multiple_of(BLOCK_SIZE as u64)
            .is_some_and(|length| length == self.bytes || (!self.exact && length < self.bytes));
        if there { Ok(()) } else { Err(Error::WrongLength { stated, actual: self.bytes }) }
    }
}

/// What a mount waits for.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// These blocks of the medium, given to [`Mount::on_block`] in ascending order. Some may turn out not to be needed.
    Need {
        /// The first.
        first_block: u64,
        /// How many, at most [`READ_BLOCKS_MAX`].
        count: u32,
    },
    /// Nothing: [`Mount::finish`] gives the image.
    Ready,
    /// Nothing: the image is refused.
    Failed(Error),
}

/// A mounted image. Its parts go to different owners: names to a file system, block checks to the page cache.
#[derive(Debug)]
pub struct Image {
    /// What the image says about itself.
    pub superblock: Verified<Superblock>,
    /// Its metadata.
    pub index: Index,
    /// What checks its other blocks.
    pub blocks: BlockVerifier,
}

/// A mount under way.
#[derive(Debug)]
pub struct Mount {
    keys: Vec<PublicKey>,
    capacity: Capacity,
    floor: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waits for block 0.
    Superblock,
    /// Waits for metadata, then for the hash blocks that it is checked with.
    Metadata(Loading),
    Ready(Image),
    Failed(Error),
}

#[derive(Debug)]
struct Loading {
    superblock: Verified<Superblock>,
    blocks: BlockVerifier,
    /// Metadata read so far, in whole blocks. Not looked into before all of it is verified.
    unverified: Vec<u8>,
    /// Metadata blocks verified so far.
    verified: u64,
}

impl Mount {
    /// Starts to mount from a medium of this capacity: signed with one of `keys`, and of image version `floor` or
    /// newer.
    #[must_use]
    pub fn new(keys: &[PublicKey], capacity: Capacity, floor: u64) -> Self {
        Self { keys: keys.to_vec(), capacity, floor, state: State::Superblock }
    }

    /// What is needed now.
    pub fn poll(&self) -> Progress {
        match &self.state {
            State::Superblock => {
                let blocks = self.capacity.blocks();
                if blocks == 0 {
                    return Progress::Failed(Error::WrongLength {
                        stated: BLOCK_SIZE as u64,
                        actual: self.capacity.bytes,
                    });
                }
                // Read on at once: what follows is what will be asked for.
                Progress::Need { first_block: 0, count: limit(blocks) }
            }
            State::Metadata(loading) => {
                let meta = loading.superblock.geometry.meta();
                let read = (loading.unverified.len() / BLOCK_SIZE) as u64;
                if read < meta.count {
                    let count = limit(meta.count - read + loading.superblock.geometry.levels() as u64);
                    return Progress::Need { first_block: meta.first + read, count };
                }
                match loading.blocks.missing(meta.first + loading.verified) {
                    Ok(Some(block)) => Progress::Need { first_block: block, count: 1 },
                    Ok(None) => Progress::Failed(Error::NotCovered { block: loading.verified }),
                    Err(error) => Progress::Failed(error),
                }
            }
            State::Ready(_) => Progress::Ready,
            State::Failed(error) => Progress::Failed(*error),
        }
    }

    /// Takes the bytes of a block. One that is not needed now is ignored.
    pub fn on_block(&mut self, sha: &dyn Sha256Blocks, block: u64, bytes: &Block) {
        let state = core::mem::replace(&mut self.state, State::Superblock);
        self.state = match state {
            State::Superblock if block == 0 => self.on_superblock(sha, bytes).unwrap_or_else(State::Failed),
            State::Metadata(loading) => loading.on_block(sha, block, bytes).unwrap_or_else(State::Failed),
            unchanged @ (State::Superblock | State::Ready(_) | State::Failed(_)) => unchanged,
        };
    }

    fn on_superblock(&self, sha: &dyn Sha256Blocks, bytes: &Block) -> Result<State, Error> {
        let superblock = Unverified::new(bytes)?.verify(sha, &self.keys)?;
        if superblock.image_version < self.floor {
            return Err(Error::RolledBack { found: superblock.image_version, floor: self.floor });
        }
        self.capacity.check(superblock.geometry.total() * BLOCK_SIZE as u64)?;
        let blocks = BlockVerifier::new(&superblock)?;
        let length = superblock.geometry.meta().count * BLOCK_SIZE as u64;
        let mut unverified = Vec::new();
        unverified
            .try_reserve_exact(usize::try_from(length).map_err(|_| Error::OutOfMemory)?)
            .map_err(|_| Error::OutOfMemory)?;
        Ok(State::Metadata(Loading { superblock, blocks, unverified, verified: 0 }))
    }

    /// The image, after [`Progress::Ready`].
    ///
    /// # Errors
    ///
    /// Why it is refused; [`Error::HashNotLoaded`] if blocks are still needed.
    pub fn finish(self) -> Result<Image, Error> {
        match self.state {
            State::Ready(image) => Ok(image),
            State::Failed(error) => Err(error),
            State::Superblock | State::Metadata(_) => Err(Error::HashNotLoaded { block: 0 }),
        }
    }
}

impl Loading {
    fn on_block(mut self, sha: &dyn Sha256Blocks, block: u64, bytes: &Block) -> Result<State, Error> {
        let geometry = self.superblock.geometry;
        let meta = geometry.meta();
        let read = (self.unverified.len() / BLOCK_SIZE) as u64;
        if read < meta.count {
            if block == meta.first + read {
                self.unverified.extend_from_slice(bytes);
            }
            return Ok(State::Metadata(self));
        }
        if self.blocks.missing(meta.first + self.verified)? != Some(block) {
            return Ok(State::Metadata(self));
        }
        self.blocks.accept(sha, block, bytes)?;
        while self.verified < meta.count {
            let wanted = meta.first + self.verified;
            let expected = match self.blocks.expected(wanted) {
                Ok(expected) => expected,
                Err(Error::HashNotLoaded { .. }) => return Ok(State::Metadata(self)),
                Err(other) => return Err(other),
            };
            let at = usize::try_from(self.verified).map_err(|_| Error::OutOfMemory)?;
            let bytes = self.unverified.as_chunks().0.get(at).ok_or(Error::NotCovered { block: wanted })?;
            expected.check(sha, bytes)?;
            self.verified += 1;
        }
        let Self { superblock, blocks, unverified, .. } = self;
        let index = Index::parse(unverified, superblock.meta_bytes, superblock.entries, geometry.data())?;
        Ok(State::Ready(Image { superblock, index, blocks }))
    }
}

pub(crate) fn limit(blocks: u64) -> u32 {
    u32::try_from(blocks).unwrap_or(READ_BLOCKS_MAX).min(READ_BLOCKS_MAX)
}
