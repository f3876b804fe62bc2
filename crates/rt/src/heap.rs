//! The heap: constant-time segregated fits (`rlsf`) over memory from `mmap`.
//!
//! Allocations of up to 512 bytes come from the calling thread's [`Cache`], which gets and gives them a batch at a time; others
//! from a pool that grows by 256 KiB and keeps what it got; from 128 KiB on each allocation is a mapping of its own and
//! goes back at once.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr::{NonNull, null_mut, slice_from_raw_parts_mut},
};

use rlsf::Tlsf;

use crate::{
    cache::{Cache, Class, Own},
    lock::RawLock,
};

/// Where the heap gets its memory.
///
/// # Safety
///
/// `take` returns memory of `length` bytes, zeroed, aligned to a page, that nobody else uses until it is given back. `cache`
/// returns the calling thread's, which lives as long as it and which no other thread uses.
pub unsafe trait Pages {
    /// The cache of the calling thread.
    fn cache() -> NonNull<Own>;

    /// Gets memory; `length` is a multiple of a page.
    fn take(length: usize) -> Option<NonNull<u8>>;

    /// Gives memory back.
    ///
    /// # Safety
    ///
    /// `start` and `length` are those of one `take`, and nobody uses the memory any more.
    unsafe fn give_back(start: NonNull<u8>, length: usize);
}

/// Memory from the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

// SAFETY: the kernel maps free, zeroed pages for this process alone; `own_cache` is as it has to be.
unsafe impl Pages for Kernel {
    #[inline]
    fn cache() -> NonNull<Own> {
        crate::thread::own_cache()
    }

    fn take(length: usize) -> Option<NonNull<u8>> {
        swos_sys::map_anonymous(length, swos_abi::Protection::READ | swos_abi::Protection::WRITE).ok()
    }

    unsafe fn give_back(start: NonNull<u8>, length: usize) {
        // SAFETY: the caller says that it is unused.
        let _unmapped = unsafe { swos_sys::munmap(start, length) };
    }
}

const PAGE: usize = 4096;
/// The pool grows by so much, or by what one allocation needs. Untouched pages cost nothing.
const CHUNK: usize = 256 << 10;
/// From so many bytes on an allocation gets its own mapping.
const MAPPED: usize = 128 << 10;

/// Blocks that go from the pool to a cache at once, and back.
const BATCH: usize = 8;

/// Blocks from 32 bytes to beyond [`MAPPED`]: 14 powers of two, each in 16 steps (at most 6 % lost to rounding).
type Pool = Tlsf<'static, u16, u16, 14, 16>;

/// A heap over `P`.
pub struct Heap<P> {
    lock: RawLock,
    pool: UnsafeCell<Pool>,
    pages: core::marker::PhantomData<fn() -> P>,
}

// SAFETY: the pool is used only while the lock is held.
unsafe impl<P> Sync for Heap<P> {}

impl<P> core::fmt::Debug for Heap<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Heap")
    }
}

impl<P: Pages> Heap<P> {
    /// An empty heap, which maps nothing until something is allocated.
    #[must_use]
    pub const fn new() -> Self {
        Self { lock: RawLock::new(), pool: UnsafeCell::new(Pool::new()), pages: core::marker::PhantomData }
    }

    fn with_pool<R>(&self, act: impl FnOnce(&mut Pool) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held, and `act` never comes back here.
        let result = act(unsafe { &mut *self.pool.get() });
        self.lock.unlock();
        result
    }

    /// The pool's next allocation of `layout`, grown if needed.
    fn grown(pool: &mut Pool, layout: Layout) -> Option<NonNull<u8>> {
        if let Some(block) = pool.allocate(layout) {
            return Some(block);
        }
        // Room for the block's header, its alignment and the end marker of the chunk.
        let needed = layout.size().checked_add(layout.align())?.checked_add(PAGE)?;
        let length = needed.checked_next_multiple_of(PAGE)?.max(CHUNK);
        let start = P::take(length)?;
        let chunk = NonNull::new(slice_from_raw_parts_mut(start.as_ptr(), length))?;
        // SAFETY: the chunk was just taken, so nobody else has it, and it is never given back.
        unsafe { pool.insert_free_block_ptr(chunk) };
        pool.allocate(layout)
    }

    fn pooled(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.with_pool(|pool| Self::grown(pool, layout))
    }

    /// Calls `act` with the calling thread's cache, unless this is a signal handler that interrupted its use.
    #[inline]
    fn with_cache<R>(act: impl FnOnce(&mut Cache) -> R) -> Option<R> {
        // SAFETY: the calling thread's own, which lives as long as it.
        unsafe { P::cache().as_ref().with(act) }
    }

    /// A block of a class for the calling thread.
    #[inline]
    fn cached(&self, class: Class) -> Option<NonNull<u8>> {
        Self::with_cache(|cache| cache.take(class).or_else(|| self.refill(cache, class)))
            .unwrap_or_else(|| self.pooled(class.layout()?))
    }

    /// Gets a batch of blocks from the pool: one for the caller, the others for its cache.
    #[cold]
    fn refill(&self, cache: &mut Cache, class: Class) -> Option<NonNull<u8>> {
        let layout = class.layout()?;
        self.with_pool(|pool| {
            let block = Self::grown(pool, layout)?;
            // Without growing: nobody asked for these yet.
            for _ in 1..BATCH.min(class.limit()) {
                let Some(more) = (!cache.is_closed()).then(|| pool.allocate(layout)).flatten() else { break };
                // SAFETY: just allocated with the layout of the class.
                if !unsafe { cache.put(class, more) } {
                    // SAFETY: as above.
                    unsafe { pool.deallocate(more, layout.align()) };
                    break;
                }
            }
            Some(block)
        })
    }

    /// Takes a block back that was allocated in this class, by whichever thread.
    ///
    /// # Safety
    ///
    /// Nobody uses it any more.
    #[inline]
    unsafe fn uncached(&self, class: Class, block: NonNull<u8>) {
        let kept = Self::with_cache(|cache| {
            // SAFETY: the caller's promise.
            if !unsafe { cache.put(class, block) } {
                self.spill(cache, class, block);
            }
        });
        if kept.is_none() {
            // SAFETY: the pool made this block with the alignment of all classes.
            self.with_pool(|pool| unsafe { pool.deallocate(block, crate::cache::STEP) });
        }
    }

    /// Gives a free block and a batch of those in the cache to the pool.
    #[cold]
    fn spill(&self, cache: &mut Cache, class: Class, block: NonNull<u8>) {
        let Some(layout) = class.layout() else { return };
        self.with_pool(|pool| {
            let others = (1..BATCH).map_while(|_| cache.take(class));
            for block in [block].into_iter().chain(others) {
                // SAFETY: free blocks that the pool made with this alignment.
                unsafe { pool.deallocate(block, layout.align()) };
            }
        });
    }

    /// The calling thread is at its end: its cache goes to the pool, and keeps nothing from here on.
    pub fn close_cache(&self) {
        let _closed = Self::with_cache(|cache| {
            cache.close();
            let Some(first) = cache.pop() else { return };
            self.with_pool(|pool| {
                for block in [first].into_iter().chain(core::iter::from_fn(|| cache.pop())) {
                    // SAFETY: free blocks that the pool made; all classes have this alignment.
                    unsafe { pool.deallocate(block, crate::cache::STEP) };
                }
            });
        });
    }

    const fn mapped_length(layout: Layout) -> Option<usize> {
        layout.size().checked_next_multiple_of(PAGE)
    }

    /// Whether an allocation has its own mapping: decided by its layout alone, so that `dealloc` knows.
    const fn is_mapped(layout: Layout) -> bool {
        layout.size() >= MAPPED && layout.align() <= PAGE
    }
}

impl<P: Pages> Default for Heap<P> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks are those of the pool or mappings of their own; both are disjoint, aligned and live until `dealloc`.
unsafe impl<P: Pages> GlobalAlloc for Heap<P> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = match Class::of(layout) {
            Some(class) => self.cached(class),
            None if Self::is_mapped(layout) => Self::mapped_length(layout).and_then(P::take),
            None => self.pooled(layout),
        };
        block.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are those of `alloc`.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && !Self::is_mapped(layout) {
            // SAFETY: `block` has `layout.size()` bytes. A mapping is zeroed already.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that `size`, rounded up to the alignment, is a length.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if let (Some(class), Some(other)) = (Class::of(layout), Class::of(new))
            && class == other
        {
            return block;
        }
        // SAFETY: `size` is not 0, as the caller says.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: two blocks, each at least so long; the old one is the caller's to give.
            unsafe {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        moved
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(start) = NonNull::new(block) else { return };
        if let Some(class) = Class::of(layout) {
            // SAFETY: `alloc` decided in the same way, and the caller is done with the block.
            unsafe { self.uncached(class, start) };
        } else if Self::is_mapped(layout) {
            if let Some(length) = Self::mapped_length(layout) {
                // SAFETY: `alloc` took exactly this for this layout.
                unsafe { P::give_back(start, length) };
            }
        } else {
            // SAFETY: the pool made this block with this alignment.
            self.with_pool(|pool| unsafe { pool.deallocate(start, layout.align()) });
        }
    }
}

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: Heap<Kernel> = Heap::new();

/// Calls `act`, which allocates nothing, while no thread is in the heap.
pub(crate) fn with_heap<R>(act: impl FnOnce() -> R) -> R {
    #[cfg(target_os = "none")]
    return HEAP.with_pool(|_| act());
    #[cfg(not(target_os = "none"))]
    act()
}

/// The calling thread is at its end.
pub(crate) fn close_cache() {
    #[cfg(target_os = "none")]
    HEAP.close_cache();
}

#[cfg(test)]
mod tests;
