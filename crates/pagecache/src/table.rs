//! Which slot holds a key: linear hashing with chains through the slots.

use crate::segments::Segments;

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;

/// Buckets that grow one by one. What is in a bucket's chain lies with the slots.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Segments<u32>,
    /// Buckets at the start of the current round of splitting, minus one: a power of two minus one.
    mask: u32,
    /// The next bucket to split.
    split: u32,
    multiplier: u64,
}

impl Table {
    pub(crate) const fn new(seed: u64) -> Self {
        // Odd, so that multiplying by it loses nothing; mixed, so that a poor seed is no poor multiplier.
        let multiplier = (seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD6E8_FEB8_6659_FD93) | 1;
        Self { heads: Segments::new(), mask: 0, split: 0, multiplier }
    }

    /// Hash of a key. The second multiplication is by a secret number, so that nobody can choose pages that collide; the
    /// first breaks up runs of pages, which one multiplication alone leaves as regular steps that may fall together.
    #[inline]
    pub(crate) const fn hash(&self, object: u32, page: u64) -> u32 {
        let spread = (page ^ (object as u64) << 24).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((spread ^ spread >> 32).wrapping_mul(self.multiplier) >> 32) as u32
    }

    /// The bucket for a hash.
    #[inline]
    const fn bucket(&self, hash: u32) -> u32 {
        let bucket = hash & self.mask;
        if bucket < self.split { hash & (self.mask << 1 | 1) } else { bucket }
    }

    /// First slot in the chain for a hash.
    #[inline]
    pub(crate) fn head(&self, hash: u32) -> u32 {
        self.heads.get(self.bucket(hash)).copied().unwrap_or(NIL)
    }

    /// Makes `slot` the first in the chain for a hash.
    pub(crate) fn set_head(&mut self, hash: u32, slot: u32) {
        let bucket = self.bucket(hash);
        if let Some(head) = self.heads.get_mut(bucket) {
            *head = slot;
        }
    }

    /// Makes room for one more slot when `slots` are in use. Returns the chain that has to be put in anew, [`NIL`] if
    /// none; `None` if there is no memory for even one bucket. Without memory the chains only get longer.
    pub(crate) fn grow(&mut self, slots: u32) -> Option<u32> {
        if self.heads.len() == 0 {
            self.heads.push(NIL)?;
            return Some(NIL);
        }
        if slots < self.heads.len() || self.heads.push(NIL).is_none() {
            return Some(NIL);
        }
        let chain = self.heads.get_mut(self.split).map_or(NIL, |head| core::mem::replace(head, NIL));
        self.split += 1;
        if self.split > self.mask {
            self.mask = self.mask << 1 | 1;
            self.split = 0;
        }
        Some(chain)
    }
}
