//! Size classes: which slab a request belongs to.

use core::alloc::Layout;

use swos_units::PAGE_SIZE;

/// Bytes at the start of a slab that its header takes.
pub(crate) const HEADER_BYTES: usize = 32;

/// Object sizes. From 512 on they are chosen so that little of a frame is left over, not as powers of two.
pub(crate) const SIZES: [u16; COUNT] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 672, 1008, 1344, 2032];
pub(crate) const COUNT: usize = 14;

const LARGEST: usize = 2032;
const _: () = assert!(2 * LARGEST + HEADER_BYTES <= PAGE_SIZE, "a slab has at least two objects");
const GRAIN: usize = 16;

/// Index of a size class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Class(u8);

/// Where a request is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Slab(Class),
    /// A block of 2ⁿ frames.
    Frames(u32),
}

/// The class of each size in units of [`GRAIN`], so that no search is needed.
const BY_SIZE: [u8; LARGEST / GRAIN + 1] = {
    let mut table = [0; LARGEST / GRAIN + 1];
    let mut grains = 0;
    let mut class = 0;
    while grains < table.len() {
        while (SIZES[class as usize] as usize) < grains * GRAIN {
            class += 1;
        }
        table[grains] = class;
        grains += 1;
    }
    table
};

impl Class {
    /// Size of an object, in bytes.
    pub(crate) const fn size(self) -> usize {
        SIZES[self.0 as usize] as usize
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Offset of the first object. The objects end with the frame, so each is aligned as far as its size is.
    pub(crate) const fn first(self) -> usize {
        PAGE_SIZE - self.capacity() * self.size()
    }

    /// How many objects a slab has.
    pub(crate) const fn capacity(self) -> usize {
        (PAGE_SIZE - HEADER_BYTES) / self.size()
    }
}

/// Where a request with `layout` is served. The same layout always gives the same place.
#[inline]
pub(crate) const fn place(layout: Layout) -> Place {
    let size = layout.size();
    if layout.align() <= GRAIN && size <= LARGEST {
        return Place::Slab(Class(BY_SIZE[size.div_ceil(GRAIN)]));
    }
    place_aligned(size, layout.align())
}

#[cold]
const fn place_aligned(size: usize, align: usize) -> Place {
    let mut class = 0;
    while class < COUNT {
        let fits = SIZES[class] as usize;
        if fits >= size && fits.is_multiple_of(align) {
            #[expect(clippy::cast_possible_truncation, reason = "below 14")]
            return Place::Slab(Class(class as u8));
        }
        class += 1;
    }
    let bytes = if size > align { size } else { align };
    Place::Frames(bytes.div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros())
}

#[cfg(test)]
mod tests;
