//! Eight bytes of metadata a frame.

use crate::buddy::Order;

/// What the allocator knows about one frame. Any bit pattern is a valid value; zero is "not the head of a block".
///
/// Only the first frame of a block has a state other than zero, so splitting and merging write one entry, and
/// metadata that was zeroed by any means (`DC ZVA`, fresh memory) is ready for use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(transparent)]
pub struct FrameState(u64);

/// Index of a frame's metadata, or [`NONE`].
pub(crate) type Index = u32;

/// No index: the end of a free list.
pub(crate) const NONE: Index = (1 << LINK_BITS) - 1;

const TAG_FREE: u64 = 1;
const TAG_USED: u64 = 2;
const TAG_MASK: u64 = 0b11;
const ORDER_SHIFT: u32 = 2;
const ORDER_MASK: u64 = 0b1111;
const LINK_BITS: u32 = 28;
const LINK_MASK: u64 = (1 << LINK_BITS) - 1;
const NEXT_SHIFT: u32 = 8;
const PREVIOUS_SHIFT: u32 = NEXT_SHIFT + LINK_BITS;
const REFERENCES_SHIFT: u32 = 32;

/// A state, taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Not the first frame of a block, or not managed.
    Inner,
    /// Head of a free block, linked to its neighbours in the free list.
    Free { order: Order, next: Index, previous: Index },
    /// Head of an allocated block.
    Used { order: Order, references: u32 },
}

impl FrameState {
    pub(crate) const INNER: Self = Self(0);

    pub(crate) const fn free(order: Order, next: Index, previous: Index) -> Self {
        Self(
            TAG_FREE
                | (order.get() as u64) << ORDER_SHIFT
                | (next as u64 & LINK_MASK) << NEXT_SHIFT
                | (previous as u64 & LINK_MASK) << PREVIOUS_SHIFT,
        )
    }

    pub(crate) const fn used(order: Order, references: u32) -> Self {
        Self(TAG_USED | (order.get() as u64) << ORDER_SHIFT | (references as u64) << REFERENCES_SHIFT)
    }

    /// Whether it heads a free block of exactly `order`: the test that merging makes.
    pub(crate) const fn is_free_of(self, order: Order) -> bool {
        self.0 & (TAG_MASK | ORDER_MASK << ORDER_SHIFT) == TAG_FREE | (order.get() as u64) << ORDER_SHIFT
    }

    pub(crate) const fn kind(self) -> Kind {
        let order = Order::from_bits((self.0 >> ORDER_SHIFT & ORDER_MASK) as u8);
        match self.0 & TAG_MASK {
            TAG_FREE => Kind::Free {
                order,
                next: (self.0 >> NEXT_SHIFT & LINK_MASK) as Index,
                previous: (self.0 >> PREVIOUS_SHIFT & LINK_MASK) as Index,
            },
            TAG_USED => Kind::Used { order, references: (self.0 >> REFERENCES_SHIFT) as u32 },
            _ => Kind::Inner,
        }
    }
}
