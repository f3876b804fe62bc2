//! A few frames in front of the allocator, for one CPU.

use swos_units::Frame;

use crate::buddy::{Error, Order, Pmm};

/// A stack of up to `N` single frames that belong to one CPU, so that most allocations take no lock.
///
/// To the allocator its frames are allocated with one reference. Only frames that nobody else holds may be put in:
/// give up shared ones with [`Pmm::release`].
#[derive(Debug)]
pub struct FrameCache<const N: usize = 32> {
    frames: [Frame; N],
    len: usize,
}

impl<const N: usize> FrameCache<N> {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self { frames: [Frame::default(); N], len: 0 }
    }

    /// Takes the frame that was put in last; `None` if a [`Self::refill`] is due.
    #[must_use]
    #[inline]
    pub fn take(&mut self) -> Option<Frame> {
        let frame = self.frames[..self.len].last().copied()?;
        self.len -= 1;
        Some(frame)
    }

    /// Puts a frame in; gives it back as an error if a [`Self::drain`] is due.
    ///
    /// # Errors
    ///
    /// The frame itself, if the cache is full.
    #[inline]
    pub fn put(&mut self, frame: Frame) -> Result<(), Frame> {
        debug_assert!(!self.frames[..self.len].contains(&frame), "frame freed twice");
        match self.frames.get_mut(self.len) {
            Some(slot) => *slot = frame,
            None => return Err(frame),
        }
        self.len += 1;
        Ok(())
    }

    /// Fills up to half, so that the next releases have room too. Returns how many frames it took.
    pub fn refill(&mut self, pmm: &mut Pmm<'_>) -> usize {
        let half = N.div_ceil(2).max(self.len);
        let taken = pmm.alloc_many(&mut self.frames[self.len..half]);
        self.len += taken;
        taken
    }

    /// Gives back the older half and more, until at most half is left. Returns how many frames went.
    ///
    /// # Errors
    ///
    /// That of [`Pmm::free`] for a frame that should not have been put in. That frame is dropped from the cache.
    pub fn drain(&mut self, pmm: &mut Pmm<'_>) -> Result<usize, Error> {
        self.drain_to(N / 2, pmm)
    }

    /// Gives back every frame, for a CPU that stops or memory that is short. Returns how many frames went.
    ///
    /// # Errors
    ///
    /// As [`Self::drain`].
    pub fn drain_all(&mut self, pmm: &mut Pmm<'_>) -> Result<usize, Error> {
        self.drain_to(0, pmm)
    }

    fn drain_to(&mut self, keep: usize, pmm: &mut Pmm<'_>) -> Result<usize, Error> {
        let before = self.len;
        while self.len > keep {
            self.len -= 1;
            pmm.free(self.frames[self.len], Order::ONE)?;
        }
        Ok(before - self.len)
    }

    /// How many frames it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for FrameCache<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
