//! A list that grows in pieces, so that growing never moves what is there.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Items in a piece, as a power of two.
const SEGMENT_LOG2: u32 = 7;
const SEGMENT: usize = 1 << SEGMENT_LOG2;

/// A list indexed by `u32` that grows by pieces of 128 items.
///
/// Items past the length exist and hold what they were made with: an index needs one check, for its piece.
#[derive(Debug)]
pub(crate) struct Segments<T> {
    pieces: Vec<Box<[T; SEGMENT]>>,
    len: u32,
}

impl<T: Copy> Segments<T> {
    pub(crate) const fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        let piece = self.pieces.get((at >> SEGMENT_LOG2) as usize)?;
        Some(&piece[at as usize % SEGMENT])
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        let piece = self.pieces.get_mut((at >> SEGMENT_LOG2) as usize)?;
        Some(&mut piece[at as usize % SEGMENT])
    }

    /// Appends `item`; `None` if there is no memory for it.
    pub(crate) fn push(&mut self, item: T) -> Option<u32> {
        let at = self.len;
        if at == u32::MAX {
            return None;
        }
        if (at as usize).is_multiple_of(SEGMENT) {
            let mut fresh = Vec::new();
            fresh.try_reserve_exact(SEGMENT).ok()?;
            fresh.resize(SEGMENT, item);
            self.pieces.try_reserve(1).ok()?;
            self.pieces.push(fresh.into_boxed_slice().try_into().ok()?);
        }
        *self.get_mut(at)? = item;
        self.len += 1;
        Some(at)
    }
}
