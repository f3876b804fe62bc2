//! A list that grows in pieces, so that growing never moves what is there.

use alloc::vec::Vec;

/// Items in a piece, as a power of two.
const SEGMENT_LOG2: u32 = 7;
const SEGMENT: usize = 1 << SEGMENT_LOG2;

/// A list indexed by `u32` that grows by pieces of 128 items.
#[derive(Debug)]
pub(crate) struct Segments<T> {
    pieces: Vec<Vec<T>>,
    len: u32,
}

impl<T> Segments<T> {
    pub(crate) const fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.pieces.get((at >> SEGMENT_LOG2) as usize)?.get(at as usize % SEGMENT)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.pieces.get_mut((at >> SEGMENT_LOG2) as usize)?.get_mut(at as usize % SEGMENT)
    }

    /// Appends `item`; `None` if there is no memory for it.
    pub(crate) fn push(&mut self, item: T) -> Option<u32> {
        let at = self.len;
        if at == u32::MAX {
            return None;
        }
        let piece = (at >> SEGMENT_LOG2) as usize;
        if piece == self.pieces.len() {
            let mut fresh = Vec::new();
            fresh.try_reserve_exact(SEGMENT).ok()?;
            self.pieces.try_reserve(1).ok()?;
            self.pieces.push(fresh);
        }
        self.pieces.get_mut(piece)?.push(item);
        self.len += 1;
        Some(at)
    }
}
