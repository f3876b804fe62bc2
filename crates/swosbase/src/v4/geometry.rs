//! Where in the image everything lies: a function of three counts.

use crate::BLOCK_SIZE;

/// Hashes in one hash block.
pub(crate) const FANOUT: u64 = BLOCK_SIZE as u64 / 32;

/// Most levels of hash blocks: 128^5 leaves exceed the largest image.
const LEVELS_MAX: usize = 5;

/// Most blocks in an image: 16 TiB. Block numbers fit 32 bits.
pub(crate) const BLOCKS_MAX: u64 = u32::MAX as u64;

/// Most metadata blocks: 64 MiB, about half a million files.
pub(crate) const META_BLOCKS_MAX: u64 = 16_384;

/// Consecutive blocks of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl Extent {
    /// Position of `block` in the extent, if it lies there.
    #[must_use]
    pub const fn position(self, block: u64) -> Option<u64> {
        match block.checked_sub(self.first) {
            Some(position) if position < self.count => Some(position),
            _ => None,
        }
    }
}

/// The layout of an image: superblock, metadata, hash tree (its root block first), file data.
///
/// The metadata follows the superblock, and the part of the tree that covers it follows with it, so that a mount is one
/// read of consecutive blocks in the usual case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Geometry {
    meta: u64,
    tree: u64,
    data: u64,
    /// First block of each level within the tree, from the one that holds leaf hashes (level 0) up to the root block.
    level_start: [u64; LEVELS_MAX],
    levels: usize,
}

impl Geometry {
    /// Of an image with `meta` metadata blocks and `data` data blocks; `None` if there is no metadata or too much of
    /// either.
    #[must_use]
    pub fn new(meta: u64, data: u64) -> Option<Self> {
        if meta == 0 || meta > META_BLOCKS_MAX || data > BLOCKS_MAX {
            return None;
        }
        let mut sizes = [0; LEVELS_MAX];
        let mut levels = 0;
        let mut nodes = meta + data;
        loop {
            nodes = nodes.div_ceil(FANOUT);
            *sizes.get_mut(levels)? = nodes;
            levels += 1;
            if nodes == 1 {
                break;
            }
        }
        let mut level_start = [0; LEVELS_MAX];
        let mut tree = 0;
        for level in (0..levels).rev() {
            level_start[level] = tree;
            tree += sizes[level];
        }
        let geometry = Self { meta, tree, data, level_start, levels };
        if geometry.total() > BLOCKS_MAX { None } else { Some(geometry) }
    }

    /// All blocks of the image.
    #[must_use]
    pub const fn total(&self) -> u64 {
        1 + self.meta + self.tree + self.data
    }

    /// The metadata.
    #[must_use]
    pub const fn meta(&self) -> Extent {
        Extent { first: 1, count: self.meta }
    }

    /// The hash tree.
    #[must_use]
    pub const fn tree(&self) -> Extent {
        Extent { first: 1 + self.meta, count: self.tree }
    }

    /// The file data.
    #[must_use]
    pub const fn data(&self) -> Extent {
        Extent { first: 1 + self.meta + self.tree, count: self.data }
    }

    /// Levels of hash blocks, 1..=5.
    #[must_use]
    pub const fn levels(&self) -> usize {
        self.levels
    }

    /// Which leaf of the tree `block` is: metadata first, then data. `None` for superblock and hash blocks.
    #[must_use]
    pub fn leaf(&self, block: u64) -> Option<u64> {
        self.meta()
            .position(block)
            .or_else(|| self.data().position(block).map(|position| self.meta + position))
    }

    /// The hash block at `level` that covers `leaf`, as position in the tree extent, and which of its 128 hashes is on the
    /// way to the leaf.
    pub(crate) fn node(&self, leaf: u64, level: usize) -> (u64, usize) {
        let mut child = leaf;
        for _ in 0..level {
            child /= FANOUT;
        }
        let slot = usize::try_from(child % FANOUT).unwrap_or(0);
        (self.level_start[level] + child / FANOUT, slot)
    }

    /// Level and place in it of the hash block at `position` in the tree extent.
    pub(crate) fn place(&self, position: u64) -> (usize, u64) {
        // Levels lie root first, so the first start that is not beyond is the right one, from level 0 down.
        let level = (0..self.levels).find(|&level| self.level_start[level] <= position).unwrap_or(0);
        (level, position - self.level_start[level])
    }

    /// First block of `level` in the tree extent.
    pub(crate) const fn level_start(&self, level: usize) -> u64 {
        self.level_start[level]
    }
}

#[cfg(test)]
mod tests;
