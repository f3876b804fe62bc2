//! The global allocator: slabs over frames, behind one lock.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use swos_heap::{FrameSource, Heap};
use swos_pmm::Order;
use swos_sync::Lock;
use swos_units::{Frame, PhysAddr};

#[cfg(debug_assertions)]
use crate::ledger::{self, Owner};
use crate::{memory, ranks};

struct LinearFrames;

// SAFETY: the frame allocator hands out blocks of RAM aligned to their size, each once until it comes back; the linear
// map, which keeps that alignment, has no RAM at address zero of its half.
unsafe impl FrameSource for LinearFrames {
    fn alloc(&mut self, order: u32) -> Option<NonNull<u8>> {
        let frame = memory::alloc_block(Order::new(u8::try_from(order).ok()?)?)?;
        #[cfg(debug_assertions)]
        block(frame, order).for_each(|frame| ledger::take(frame, Owner::Heap));
        NonNull::new(memory::linear(frame))
    }

    unsafe fn free(&mut self, frames: NonNull<u8>, order: u32) {
        let phys = frames.addr().get() as u64 & (swos_arch::image::LINEAR_LIMIT - 1);
        let first = Frame::containing(PhysAddr::new(phys).unwrap_or_default());
        #[cfg(debug_assertions)]
        block(first, order).for_each(|frame| ledger::give_back(frame, Owner::Heap));
        if let Some(order) = u8::try_from(order).ok().and_then(Order::new) {
            memory::free_block(first, order);
        }
    }
}

#[cfg(debug_assertions)]
fn block(first: Frame, order: u32) -> impl Iterator<Item = Frame> {
    (0..1 << order).filter_map(move |offset| first.checked_add(offset))
}

struct KernelHeap(Lock<Heap<LinearFrames>>);

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(Lock::new(ranks::HEAP, Heap::new(LinearFrames)));

// SAFETY: `Heap` keeps the contract of an allocator under its lock; layouts are passed on unchanged.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller got it from `alloc` with this layout.
            unsafe { self.0.lock().deallocate(block, layout) };
        }
    }
}

/// Frames that the heap holds objects in, and those that it would give back at once.
pub(crate) fn frames() -> (u64, u64) {
    let heap = HEAP.0.lock();
    let (all, kept) = (heap.statistics().frames as u64, heap.kept() as u64);
    (all.saturating_sub(kept), kept)
}

/// Gives kept empty slabs back. Returns how many frames that were.
pub(crate) fn trim() -> usize {
    HEAP.0.lock().trim()
}
