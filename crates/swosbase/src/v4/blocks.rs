//! Checks blocks against the hash tree, as they are read.

use alloc::vec::Vec;
use core::fmt;

use crate::sha::{Role, hash_block};
use crate::v4::geometry::FANOUT;
use crate::v4::{Block, Geometry, Superblock};
use crate::{Digest, Error, Sha256Blocks, Verified};

/// What a block must hash to. Checking is the expensive part, and needs no lock on the [`BlockVerifier`].
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expected {
    block: u64,
    role: Role,
    digest: Digest,
}

impl Expected {
    /// Hashes `bytes` and compares.
    ///
    /// # Errors
    ///
    /// [`Error::HashMismatch`].
    pub fn check(&self, sha: &dyn Sha256Blocks, bytes: &Block) -> Result<(), Error> {
        // No secret is compared, so the comparison may end early.
        if hash_block(sha, self.role, bytes) == self.digest {
            Ok(())
        } else {
            Err(Error::HashMismatch { block: self.block })
        }
    }
}

/// The part of an image's hash tree that has been needed so far. Every hash in it was verified when it came in.
///
/// Grows by one hash block (4 KiB) for each 512 KiB of image that is used; [`shrink`](Self::shrink) gives back.
pub struct BlockVerifier {
    geometry: Geometry,
    root: Digest,
    /// By position in the tree extent: its 128 hashes, or nothing.
    nodes: Vec<Vec<Digest>>,
    loaded: usize,
    /// Where the next shrink starts.
    hand: usize,
}

impl BlockVerifier {
    /// Knows the root hash only.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub fn new(superblock: &Verified<Superblock>) -> Result<Self, Error> {
        Self::over(superblock)
    }

    pub(crate) fn over(superblock: &Superblock) -> Result<Self, Error> {
        let geometry = superblock.geometry;
        let count = usize::try_from(geometry.tree().count).map_err(|_| Error::OutOfMemory)?;
        let mut nodes = Vec::new();
        nodes.try_reserve_exact(count).map_err(|_| Error::OutOfMemory)?;
        nodes.resize_with(count, Vec::new);
        Ok(Self { geometry, root: superblock.root_hash, nodes, loaded: 0, hand: 0 })
    }

    /// The hash block that must be read, and given to [`accept`](Self::accept), before `block` can be checked; `None` when
    /// nothing is missing. `block` may be a hash block itself.
    ///
    /// # Errors
    ///
    /// [`Error::NotCovered`] for block 0 and for blocks outside of the image.
    pub fn missing(&self, block: u64) -> Result<Option<u64>, Error> {
        match self.expected(block) {
            Ok(_) => Ok(None),
            Err(Error::HashNotLoaded { block }) => Ok(Some(block)),
            Err(other) => Err(other),
        }
    }

    /// What `block` must hash to: metadata, data, or a hash block.
    ///
    /// # Errors
    ///
    /// [`Error::NotCovered`]; [`Error::HashNotLoaded`] with the first hash block that is missing on the way down.
    pub fn expected(&self, block: u64) -> Result<Expected, Error> {
        let tree = self.geometry.tree();
        let (role, digest) = if let Some(leaf) = self.geometry.leaf(block) {
            (Role::Leaf, self.hash_at(leaf, 0)?)
        } else {
            let position = tree.position(block).ok_or(Error::NotCovered { block })?;
            let (level, place) = self.geometry.place(position);
            let parent = level + 1;
            if parent == self.geometry.levels() {
                (Role::Node, self.root)
            } else {
                // Any leaf below this hash block leads to it.
                let leaf = (0..parent).fold(place, |index, _| index * FANOUT);
                (Role::Node, self.hash_at(leaf, parent)?)
            }
        };
        Ok(Expected { block, role, digest })
    }

    /// The hash in the block of `level` on the way to `leaf`.
    fn hash_at(&self, leaf: u64, level: usize) -> Result<Digest, Error> {
        let (position, slot) = self.geometry.node(leaf, level);
        if let Some(digest) = self.node(position).get(slot) {
            return Ok(*digest);
        }
        // Not there: name the topmost missing one, because only that can be checked now.
        let missing = (level..self.geometry.levels())
            .rev()
            .map(|level| self.geometry.node(leaf, level).0)
            .find(|&position| self.node(position).is_empty());
        Err(Error::HashNotLoaded { block: self.geometry.tree().first + missing.unwrap_or(position) })
    }

    fn node(&self, position: u64) -> &[Digest] {
        usize::try_from(position).ok().and_then(|at| self.nodes.get(at)).map_or(&[], Vec::as_slice)
    }

    /// Checks a hash block and keeps it. One that is here already stays, and is not looked at again.
    ///
    /// # Errors
    ///
    /// [`Error::HashMismatch`], [`Error::HashNotLoaded`] if one above it is missing, [`Error::NotCovered`] if it is no
    /// hash block, [`Error::OutOfMemory`].
    pub fn accept(&mut self, sha: &dyn Sha256Blocks, block: u64, bytes: &Block) -> Result<(), Error> {
        let position = self.geometry.tree().position(block).ok_or(Error::NotCovered { block })?;
        if !self.node(position).is_empty() {
            return Ok(());
        }
        self.expected(block)?.check(sha, bytes)?;
        let hashes = bytes.as_chunks::<32>().0;
        let mut node = Vec::new();
        node.try_reserve_exact(hashes.len()).map_err(|_| Error::OutOfMemory)?;
        node.extend_from_slice(hashes);
        if let Some(slot) = usize::try_from(position).ok().and_then(|at| self.nodes.get_mut(at)) {
            *slot = node;
            self.loaded += 1;
        }
        Ok(())
    }

    /// Checks a block of metadata or data.
    ///
    /// # Errors
    ///
    /// [`Error::HashMismatch`], [`Error::HashNotLoaded`], [`Error::NotCovered`].
    pub fn verify(&self, sha: &dyn Sha256Blocks, block: u64, bytes: &Block) -> Result<(), Error> {
        if self.geometry.leaf(block).is_none() {
            return Err(Error::NotCovered { block });
        }
        self.expected(block)?.check(sha, bytes)
    }

    /// Hash blocks held, 4 KiB each.
    #[must_use]
    pub const fn loaded(&self) -> usize {
        self.loaded
    }

    /// Drops up to `count` hash blocks of the lowest level, in turn, and returns how many. They can be read again.
    pub fn shrink(&mut self, count: usize) -> usize {
        // Upper levels are one part in 128 and on the way to everything: they stay.
        let first = usize::try_from(self.geometry.level_start(0)).unwrap_or(usize::MAX);
        let span = self.nodes.len().saturating_sub(first);
        let mut dropped = 0;
        for _ in 0..span {
            if dropped == count {
                break;
            }
            self.hand = (self.hand + 1) % span;
            let node = &mut self.nodes[first + self.hand];
            if !node.is_empty() {
                *node = Vec::new();
                dropped += 1;
            }
        }
        self.loaded -= dropped;
        dropped
    }

    /// Where everything lies.
    #[must_use]
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }
}

impl fmt::Debug for BlockVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockVerifier").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}
