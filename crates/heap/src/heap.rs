//! The heap: a list of slabs with room for each size class.

use core::alloc::Layout;
use core::ptr::NonNull;

use swos_units::PAGE_SIZE;

use crate::class::{COUNT, Class, Place, place};
use crate::slab::Header;

/// Where the heap gets its frames.
///
/// # Safety
///
/// A pointer from [`Self::alloc`] must be valid for reads and writes of `PAGE_SIZE << order` bytes, aligned to that many
/// bytes, not at address zero, and overlap nothing else that is in use, until it is passed to [`Self::free`].
pub unsafe trait FrameSource {
    /// Provides 2^`order` contiguous frames with any content; `None` if there are none.
    fn alloc(&mut self, order: u32) -> Option<NonNull<u8>>;

    /// Takes them back.
    ///
    /// # Safety
    ///
    /// `frames` must come from [`Self::alloc`] with the same `order`, and nobody may use them any more.
    unsafe fn free(&mut self, frames: NonNull<u8>, order: u32);
}

/// How much the heap holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Bytes in blocks handed out, rounded up to their class or to frames.
    pub used_bytes: usize,
    /// Frames taken from the source and not given back.
    pub frames: usize,
}

/// The slabs of one size class.
#[derive(Debug)]
struct Slabs {
    /// Those with at least one free and one used object.
    partial: Option<NonNull<Header>>,
    /// One without any used object, kept so that a program that allocates and frees in turn does not wear out the source.
    empty: Option<NonNull<Header>>,
}

/// A heap over frames from `S`.
#[derive(Debug)]
pub struct Heap<S> {
    slabs: [Slabs; COUNT],
    statistics: Statistics,
    source: S,
}

// SAFETY: the heap is the only owner of the slabs that its pointers lead to, and it is moved as a whole with its source.
unsafe impl<S: Send> Send for Heap<S> {}

impl<S: FrameSource> Heap<S> {
    /// An empty heap.
    #[must_use]
    pub const fn new(source: S) -> Self {
        Self {
            slabs: [const { Slabs { partial: None, empty: None } }; COUNT],
            statistics: Statistics { used_bytes: 0, frames: 0 },
            source,
        }
    }

    /// Hands out a block for `layout`; a size of zero is served like one of 1. `None` if the source has no frames.
    #[inline]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match place(layout) {
            Place::Slab(class) => self.allocate_object(class),
            Place::Frames(order) => self.allocate_frames(order),
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// `block` must come from [`Self::allocate`] of this heap with the same `layout` (or one that [`Self::fits`]), with
    /// the provenance it had then, and nobody may use it any more.
    #[inline]
    pub unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        match place(layout) {
            // SAFETY: the same layout gave the same class when the block was handed out.
            Place::Slab(class) => unsafe { self.deallocate_object(block, class) },
            Place::Frames(order) => {
                self.statistics.used_bytes -= PAGE_SIZE << order;
                self.statistics.frames -= 1 << order;
                // SAFETY: the same layout gave the same order, and the caller is done with the block.
                unsafe { self.source.free(block, order) };
            }
        }
    }

    /// Whether a block for `layout` has room for `new_size` bytes and would be found again with that size: then growing and
    /// shrinking need no move.
    #[must_use]
    pub const fn fits(layout: Layout, new_size: usize) -> bool {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return false };
        match (place(layout), place(new)) {
            (Place::Slab(old), Place::Slab(new)) => old.index() == new.index(),
            (Place::Frames(old), Place::Frames(new)) => old == new,
            (Place::Slab(_), Place::Frames(_)) | (Place::Frames(_), Place::Slab(_)) => false,
        }
    }

    /// Gives the kept empty slabs back to the source. Returns how many frames that were.
    pub fn trim(&mut self) -> usize {
        let mut freed = 0;
        for class in 0..COUNT {
            if let Some(slab) = self.slabs[class].empty.take() {
                self.statistics.frames -= 1;
                freed += 1;
                // SAFETY: no object of the slab is in use and no list has it any more.
                unsafe { self.source.free(slab.cast(), 0) };
            }
        }
        freed
    }

    /// How many frames [`trim`](Self::trim) would give back.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.slabs.iter().filter(|slabs| slabs.empty.is_some()).count()
    }

    /// How much the heap holds now.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// The source of frames. Only shared: who could exchange it would let frames go back to a source that never had them.
    #[must_use]
    pub const fn source(&self) -> &S {
        &self.source
    }

    #[inline]
    fn allocate_object(&mut self, class: Class) -> Option<NonNull<u8>> {
        let slab = match self.slabs[class.index()].partial {
            Some(slab) => slab,
            None => self.fresh_slab(class)?,
        };
        self.statistics.used_bytes += class.size();
        // SAFETY: slabs in the list are ours, of this class, and not full.
        let object = unsafe { Header::take(slab, class) };
        // SAFETY: as above; `take` has returned, so nothing else refers to the header.
        if unsafe { slab.as_ref() }.is_full() {
            self.unlink(slab, class);
        }
        Some(object)
    }

    /// An empty slab, in the list: the kept one or a new one.
    #[cold]
    fn fresh_slab(&mut self, class: Class) -> Option<NonNull<Header>> {
        let slab = match self.slabs[class.index()].empty.take() {
            Some(slab) => slab,
            None => {
                let frame = self.source.alloc(0)?;
                self.statistics.frames += 1;
                // SAFETY: the source gave us the frame, aligned.
                unsafe { Header::make(frame, class) }
            }
        };
        self.link(slab, class);
        Some(slab)
    }

    /// # Safety
    ///
    /// `object` must come from `allocate_object` with the same class and not be in use any more.
    #[inline]
    unsafe fn deallocate_object(&mut self, object: NonNull<u8>, class: Class) {
        let slab = Header::of(object);
        self.statistics.used_bytes -= class.size();
        // SAFETY: the object lies in a slab of ours, whose header is initialised; nobody else uses it.
        let was_full = unsafe { slab.as_ref() }.is_full();
        // SAFETY: the object is one of this slab and free from now on, says the caller.
        unsafe { Header::put(slab, object, class) };
        // SAFETY: as above; `put` has returned.
        let used = unsafe { slab.as_ref() }.used;
        match (was_full, used) {
            // A slab has at least two objects, so one that was full is not empty now.
            (true, _) => self.link(slab, class),
            (false, 0) => {
                self.unlink(slab, class);
                self.retire(slab, class);
            }
            (false, _) => {}
        }
    }

    /// Keeps an empty slab that is in no list, or gives it back if one is kept.
    fn retire(&mut self, slab: NonNull<Header>, class: Class) {
        let kept = &mut self.slabs[class.index()].empty;
        if kept.is_none() {
            *kept = Some(slab);
            return;
        }
        self.statistics.frames -= 1;
        // SAFETY: no object of the slab is in use and no list has it.
        unsafe { self.source.free(slab.cast(), 0) };
    }

    #[cold]
    fn allocate_frames(&mut self, order: u32) -> Option<NonNull<u8>> {
        let bytes = PAGE_SIZE.checked_shl(order)?;
        let frames = self.source.alloc(order)?;
        self.statistics.used_bytes += bytes;
        self.statistics.frames += 1 << order;
        Some(frames)
    }

    /// Puts a slab in front of its class's list.
    fn link(&mut self, slab: NonNull<Header>, class: Class) {
        let head = &mut self.slabs[class.index()].partial;
        if let Some(next) = *head {
            // SAFETY: slabs in the list are ours and initialised; no reference to one outlives a statement.
            unsafe { (*next.as_ptr()).previous = Some(slab) };
        }
        // SAFETY: the slab is ours and initialised.
        let header = unsafe { &mut *slab.as_ptr() };
        header.next = *head;
        header.previous = None;
        *head = Some(slab);
    }

    /// Takes a slab out of its class's list.
    fn unlink(&mut self, slab: NonNull<Header>, class: Class) {
        // SAFETY: slabs in the list are ours and initialised.
        let (next, previous) = unsafe { (slab.as_ref().next, slab.as_ref().previous) };
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { (*next.as_ptr()).previous = previous };
        }
        match previous {
            // SAFETY: as above.
            Some(previous) => unsafe { (*previous.as_ptr()).next = next },
            None => self.slabs[class.index()].partial = next,
        }
    }
}

#[cfg(test)]
mod tests;
