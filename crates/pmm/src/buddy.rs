//! The allocator: blocks of 2ⁿ frames, split on demand and merged when both halves are free.

use swos_units::Frame;

use crate::range::FrameRange;
use crate::spans::{MapError, Spans};
use crate::state::{FrameState, Index, Kind, NONE};

/// Binary logarithm of a block's length in frames, 0 to 10 (4 KiB to 4 MiB).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Order(u8);

impl Order {
    /// One frame.
    pub const ONE: Self = Self(0);
    /// The largest block: 1024 frames.
    pub const MAX: Self = Self(10);

    /// The order `log2`; `None` above [`Self::MAX`].
    #[must_use]
    pub const fn new(log2: u8) -> Option<Self> {
        if log2 <= Self::MAX.0 { Some(Self(log2)) } else { None }
    }

    /// The smallest order with room for `frames` frames; `None` if no block is that large.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm of at most 10")]
    pub const fn for_frames(frames: u64) -> Option<Self> {
        if frames == 0 || frames > Self::MAX.frames() {
            return None;
        }
        Some(Self(frames.next_power_of_two().trailing_zeros() as u8))
    }

    /// The logarithm.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// How many frames a block has.
    #[must_use]
    pub const fn frames(self) -> u64 {
        1 << self.0
    }

    /// An order read back from metadata, which only ever holds valid ones.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(if bits <= Self::MAX.0 { bits } else { Self::MAX.0 })
    }

    const fn above(self) -> Self {
        Self(self.0 + 1)
    }

    const fn below(self) -> Self {
        Self(self.0 - 1)
    }
}

/// A block handed back that the allocator did not hand out like that. Nothing has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The frame is outside the RAM that the allocator was given.
    Foreign(Frame),
    /// The frame does not begin an allocated block: freed already, inside a block, or reserved.
    NotAllocated(Frame),
    /// The block has another order than the one named.
    WrongOrder {
        /// First frame of the block.
        frame: Frame,
        /// The order it was allocated with.
        allocated: Order,
    },
    /// The block still has this many references, so it can only be released.
    Shared {
        /// First frame of the block.
        frame: Frame,
        /// References held.
        references: u32,
    },
    /// The count of references is at its maximum.
    TooManyReferences(Frame),
    /// Part of the range to hand over is managed already.
    Managed(Frame),
}

/// What became of a block of which one reference was given up.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Released {
    /// It was the last one: the block is free.
    Freed,
    /// This many references are left.
    StillShared(u32),
}

const ORDERS: usize = Order::MAX.0 as usize + 1;

/// The frame allocator. All calls are bounded: at most eleven steps for an allocation or a release.
#[derive(Debug)]
pub struct Pmm<'m> {
    states: &'m mut [FrameState],
    spans: Spans,
    heads: [Index; ORDERS],
    /// Bit *n* set: the free list of order *n* has a block.
    nonempty: u32,
    free: u64,
    total: u64,
}

impl<'m> Pmm<'m> {
    /// How many entries of metadata the regions need. They must be sorted and must not overlap.
    ///
    /// # Errors
    ///
    /// Any [`MapError`] but [`MapError::MetadataTooShort`].
    pub fn metadata_len(regions: &[FrameRange]) -> Result<usize, MapError> {
        Ok(Spans::new(regions)?.len())
    }

    /// Manages `regions` without `reservations`. The reservations may overlap, be unsorted, or lie outside RAM; the
    /// metadata itself is usually one of them.
    ///
    /// `metadata` must be zero throughout: the caller can do that with the machine's fastest means, and doing it here
    /// again would cost more than all the rest of construction.
    ///
    /// # Errors
    ///
    /// [`MapError`] if the map can't be managed.
    pub fn new(
        metadata: &'m mut [FrameState],
        regions: &[FrameRange],
        reservations: &[FrameRange],
    ) -> Result<Self, MapError> {
        let spans = Spans::new(regions)?;
        let needed = spans.len();
        let Some(states) = metadata.get_mut(..needed) else {
            return Err(MapError::MetadataTooShort { needed });
        };
        debug_assert!(states.iter().all(|state| *state == FrameState::INNER), "metadata is not zero");
        let mut pmm = Self { states, spans, heads: [NONE; ORDERS], nonempty: 0, free: 0, total: 0 };
        for region in regions {
            pmm.add_unreserved(*region, reservations);
        }
        Ok(pmm)
    }

    /// Adds the gaps that the reservations leave in `region`.
    fn add_unreserved(&mut self, region: FrameRange, reservations: &[FrameRange]) {
        let mut cursor = region.start();
        while cursor < region.end() {
            if let Some(end) =
                reservations.iter().filter(|r| r.start() <= cursor && cursor < r.end()).map(|r| r.end()).max()
            {
                cursor = end;
                continue;
            }
            let end = reservations
                .iter()
                .map(|r| r.start())
                .filter(|start| *start > cursor)
                .min()
                .map_or(region.end(), |start| start.min(region.end()));
            self.add_run(cursor, end);
            cursor = end;
        }
    }

    /// Adds the frames `start..end` as the fewest blocks, merging with free neighbours.
    fn add_run(&mut self, mut start: u64, end: u64) {
        while start < end {
            let fits = (end - start).ilog2();
            let order = start.trailing_zeros().min(fits).min(u32::from(Order::MAX.0));
            #[expect(clippy::cast_possible_truncation, reason = "at most 10")]
            let order = Order(order as u8);
            if let Some(index) = self.spans.index_of(start) {
                self.total += order.frames();
                self.put(start, index, order);
            }
            start += order.frames();
        }
    }

    /// Hands over a range that was reserved so far: boot-time stacks, the loader's memory.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`] if part of it is outside RAM, [`Error::Managed`] if part of it is managed already.
    pub fn reclaim(&mut self, range: FrameRange) -> Result<(), Error> {
        for number in range.start()..range.end() {
            let frame = Frame::from_number(number).unwrap_or_default();
            self.spans.index_of(number).ok_or(Error::Foreign(frame))?;
            if self.is_managed(number) {
                return Err(Error::Managed(frame));
            }
        }
        self.add_run(range.start(), range.end());
        Ok(())
    }

    /// Whether some block, free or not, has the frame.
    fn is_managed(&self, number: u64) -> bool {
        (0..=Order::MAX.0).any(|log2| {
            let head = number & !(Order(log2).frames() - 1);
            let state = self.spans.index_of(head).and_then(|index| self.states.get(index as usize));
            match state.map(|state| state.kind()) {
                Some(Kind::Free { order, .. } | Kind::Used { order, .. }) => order.0 >= log2,
                Some(Kind::Inner) | None => false,
            }
        })
    }

    /// Takes a block of `order` with one reference, aligned to its length; `None` if there is no room.
    #[must_use]
    #[inline]
    pub fn alloc(&mut self, order: Order) -> Option<Frame> {
        let candidates = self.nonempty >> order.0;
        if candidates == 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 10")]
        let mut found = Order(order.0 + candidates.trailing_zeros() as u8);
        let index = self.heads[usize::from(found.0)];
        self.unlink(index, found);
        while found > order {
            found = found.below();
            #[expect(clippy::cast_possible_truncation, reason = "at most 512")]
            let upper = index + found.frames() as Index;
            self.link(upper, found);
        }
        self.states[index as usize] = FrameState::used(order, 1);
        self.free -= order.frames();
        self.spans.frame_at(index)
    }

    /// Takes one frame with one reference.
    #[must_use]
    #[inline]
    pub fn alloc_one(&mut self) -> Option<Frame> {
        self.alloc(Order::ONE)
    }

    /// As [`Self::alloc`], if `reserve` frames are left free.
    #[must_use]
    pub fn alloc_above(&mut self, reserve: u64, order: Order) -> Option<Frame> {
        if self.free >= reserve + order.frames() { self.alloc(order) } else { None }
    }

    /// Takes single frames, each with one reference, for all of `frames` as far as there are any; returns how many. Cheaper
    /// than as many calls of [`Self::alloc_one`], because larger blocks are taken whole.
    pub fn alloc_many(&mut self, frames: &mut [Frame]) -> usize {
        let mut taken = 0;
        while taken < frames.len() {
            let Some(largest) = self.largest_free() else { break };
            #[expect(clippy::cast_possible_truncation, reason = "a logarithm of at most 63")]
            let wanted = (frames.len() - taken).ilog2() as u8;
            let order = Order(wanted.min(largest.0));
            let Some(first) = self.alloc(order) else { break };
            let Some(index) = self.spans.index_of(first.number()) else { break };
            for offset in 0..1 << order.0 {
                self.states[index as usize + offset] = FrameState::used(Order::ONE, 1);
                frames[taken + offset] = first.checked_add(offset as u64).unwrap_or_default();
            }
            taken += 1 << order.0;
        }
        taken
    }

    /// Gives back a block that has one reference.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::TooManyReferences`] and [`Error::Managed`].
    pub fn free(&mut self, frame: Frame, order: Order) -> Result<(), Error> {
        let (index, allocated, references) = self.used(frame)?;
        if allocated != order {
            return Err(Error::WrongOrder { frame, allocated });
        }
        if references != 1 {
            return Err(Error::Shared { frame, references });
        }
        self.put(frame.number(), index, order);
        Ok(())
    }

    /// Adds a reference to a block.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`], [`Error::NotAllocated`], [`Error::TooManyReferences`].
    pub fn share(&mut self, frame: Frame) -> Result<(), Error> {
        let (index, order, references) = self.used(frame)?;
        let references = references.checked_add(1).ok_or(Error::TooManyReferences(frame))?;
        self.states[index as usize] = FrameState::used(order, references);
        Ok(())
    }

    /// Gives up one reference to a block; the last one frees it.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`], [`Error::NotAllocated`].
    #[inline]
    pub fn release(&mut self, frame: Frame) -> Result<Released, Error> {
        let (index, order, references) = self.used(frame)?;
        if references > 1 {
            self.states[index as usize] = FrameState::used(order, references - 1);
            return Ok(Released::StillShared(references - 1));
        }
        self.put(frame.number(), index, order);
        Ok(Released::Freed)
    }

    /// Drops a reference if it is not the last one, and says whether it was dropped. The last one is for
    /// [`Self::release`], or for whoever keeps the frame for its next use.
    ///
    /// # Errors
    ///
    /// As for [`Self::release`].
    #[inline]
    pub fn release_shared(&mut self, frame: Frame) -> Result<bool, Error> {
        let (index, order, references) = self.used(frame)?;
        if references > 1 {
            self.states[index as usize] = FrameState::used(order, references - 1);
        }
        Ok(references > 1)
    }

    /// How many references a block has; `None` if `frame` does not begin an allocated block.
    #[must_use]
    pub fn references(&self, frame: Frame) -> Option<u32> {
        self.used(frame).ok().map(|(_, _, references)| references)
    }

    /// Frames that are in no allocated block. Those in a [`FrameCache`](crate::FrameCache) count as allocated.
    #[must_use]
    pub const fn free_frames(&self) -> u64 {
        self.free
    }

    /// Frames managed: RAM without the reservations.
    #[must_use]
    pub const fn total_frames(&self) -> u64 {
        self.total
    }

    /// The largest order for which [`Self::alloc`] would succeed now.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 10")]
    pub const fn largest_free(&self) -> Option<Order> {
        match self.nonempty.checked_ilog2() {
            Some(order) => Some(Order(order as u8)),
            None => None,
        }
    }

    #[inline]
    fn used(&self, frame: Frame) -> Result<(Index, Order, u32), Error> {
        let index = self.spans.index_of(frame.number()).ok_or(Error::Foreign(frame))?;
        match self.states[index as usize].kind() {
            Kind::Used { order, references } => Ok((index, order, references)),
            Kind::Free { .. } | Kind::Inner => Err(Error::NotAllocated(frame)),
        }
    }

    /// Makes a block free and merges it upwards. `number` and `index` name its first frame.
    #[inline]
    fn put(&mut self, mut number: u64, mut index: Index, mut order: Order) {
        self.free += order.frames();
        let Some(span) = self.spans.span_of(number).copied() else { return };
        while order < Order::MAX {
            let buddy = number ^ order.frames();
            // Spans are far apart, so a buddy in another one is none.
            let Some(buddy_index) = span.index_of(buddy) else { break };
            if !self.states[buddy_index as usize].is_free_of(order) {
                break;
            }
            self.unlink(buddy_index, order);
            self.states[buddy_index as usize] = FrameState::INNER;
            self.states[index as usize] = FrameState::INNER;
            if buddy < number {
                (number, index) = (buddy, buddy_index);
            }
            order = order.above();
        }
        self.link(index, order);
    }

    /// Puts the block at `index` in front of its free list.
    #[inline]
    fn link(&mut self, index: Index, order: Order) {
        let slot = usize::from(order.0);
        let next = self.heads[slot];
        self.states[index as usize] = FrameState::free(order, next, NONE);
        if next != NONE {
            self.relink(next, |_, after| (index, after));
        }
        self.heads[slot] = index;
        self.nonempty |= 1 << order.0;
    }

    /// Takes the block at `index` out of its free list. Its own state is left for the caller to overwrite.
    #[inline]
    fn unlink(&mut self, index: Index, order: Order) {
        let Kind::Free { next, previous, .. } = self.states[index as usize].kind() else { return };
        if next != NONE {
            self.relink(next, |_, after| (previous, after));
        }
        if previous == NONE {
            self.heads[usize::from(order.0)] = next;
            if next == NONE {
                self.nonempty &= !(1 << order.0);
            }
        } else {
            self.relink(previous, |before, _| (before, next));
        }
    }

    /// Rewrites the links (previous, next) of the free block at `index`.
    #[inline]
    fn relink(&mut self, index: Index, change: impl FnOnce(Index, Index) -> (Index, Index)) {
        if let Kind::Free { order, next, previous } = self.states[index as usize].kind() {
            let (previous, next) = change(previous, next);
            self.states[index as usize] = FrameState::free(order, next, previous);
        }
    }
}

#[cfg(test)]
mod tests;
