//! Free blocks of a thread: most allocations are small and short, and need neither lock nor search.
//!
//! A cache belongs to one thread and holds blocks of the heap's pool that are free as far as the program knows. Which thread
//! a block was made for does not matter: it goes to the cache of the thread that frees it, and what is too much there
//! goes back to the pool, where any thread finds it.
//!
//! **Invariant:** all blocks of a class have the size and alignment of the class in the pool, whichever thread asked.
//! **Invariant:** a class holds at most [`limit`](Class::limit) blocks, a whole cache less than 40 KiB. **Invariant:** a cache that is
//! [closed](Cache::close) stays empty.

use core::{
    alloc::Layout,
    cell::UnsafeCell,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicBool, Ordering::Relaxed, compiler_fence},
};

/// Sizes differ by so much; blocks are so aligned.
pub(crate) const STEP: usize = 16;
/// Larger blocks are the pool's.
const LARGEST: usize = 512;
const CLASSES: usize = LARGEST / STEP;
/// Bytes that a class keeps at most; at least [`FEWEST`] blocks.
const CLASS_BYTES: usize = 1024;
const FEWEST: usize = 2;

/// A thread's cache, which the thread's signal handlers find busy when they interrupt its use.
#[derive(Debug)]
pub struct Own {
    busy: AtomicBool,
    cache: UnsafeCell<Cache>,
}

impl Default for Own {
    fn default() -> Self {
        Self::new()
    }
}

impl Own {
    /// Without blocks.
    #[must_use]
    pub const fn new() -> Self {
        Self { busy: AtomicBool::new(false), cache: UnsafeCell::new(Cache::new()) }
    }

    /// Calls `act` with the cache; `None` = the caller is a signal handler that interrupted another `act`.
    ///
    /// # Safety
    ///
    /// One thread uses it, the handlers that interrupt it included.
    #[inline]
    pub unsafe fn with<R>(&self, act: impl FnOnce(&mut Cache) -> R) -> Option<R> {
        if self.busy.load(Relaxed) {
            return None;
        }
        self.busy.store(true, Relaxed);
        // Whoever interrupts runs on the same CPU's view of memory: the compiler alone could change the order.
        compiler_fence(core::sync::atomic::Ordering::SeqCst);
        // SAFETY: no other thread is here, as the caller says, and a handler of this one sees `busy`.
        let result = act(unsafe { &mut *self.cache.get() });
        compiler_fence(core::sync::atomic::Ordering::SeqCst);
        self.busy.store(false, Relaxed);
        Some(result)
    }
}

/// Small blocks by size.
#[derive(Debug)]
pub struct Cache {
    lists: [List; CLASSES],
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: *mut Free,
    count: usize,
}

/// A free block: its first bytes name the next one.
#[derive(Debug)]
struct Free {
    next: *mut Self,
}

/// A size that caches hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Class(usize);

impl Class {
    /// The class of an allocation, decided by its layout alone, so that it is found again when the block is freed. `None` = it
    /// is too large or too far aligned.
    #[inline]
    #[must_use]
    pub const fn of(layout: Layout) -> Option<Self> {
        let (size, align) = (layout.size(), layout.align());
        if size == 0 || size > LARGEST || align > STEP { None } else { Some(Self((size - 1) / STEP)) }
    }

    /// Layout of its blocks in the pool.
    #[must_use]
    pub const fn layout(self) -> Option<Layout> {
        match Layout::from_size_align((self.0 + 1) * STEP, STEP) {
            Ok(layout) => Some(layout),
            Err(_) => None,
        }
    }

    /// Blocks that a cache holds of it at most.
    #[must_use]
    pub const fn limit(self) -> usize {
        let count = CLASS_BYTES / ((self.0 + 1) * STEP);
        if count > FEWEST { count } else { FEWEST }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}

impl Cache {
    /// No blocks.
    #[must_use]
    pub const fn new() -> Self {
        Self { lists: [List { first: null_mut(), count: 0 }; CLASSES], closed: false }
    }

    /// Takes a block of this class.
    #[inline]
    pub fn take(&mut self, class: Class) -> Option<NonNull<u8>> {
        let list = self.lists.get_mut(class.0)?;
        let block = NonNull::new(list.first)?;
        // SAFETY: blocks in the list are free and large enough, and `put` wrote where the next one is.
        list.first = unsafe { (*block.as_ptr()).next };
        list.count -= 1;
        Some(block.cast())
    }

    /// Keeps a free block. False = there is no room: it stays the caller's.
    ///
    /// # Safety
    ///
    /// `block` has the layout of the class, and nobody uses it any more.
    #[inline]
    #[must_use]
    pub unsafe fn put(&mut self, class: Class, block: NonNull<u8>) -> bool {
        let Some(list) = self.lists.get_mut(class.0) else { return false };
        if list.count >= class.limit() || self.closed {
            return false;
        }
        let block = block.as_ptr().cast::<Free>();
        // SAFETY: the block is free, large enough for a pointer and aligned for one.
        unsafe { (*block).next = list.first };
        list.first = block;
        list.count += 1;
        true
    }

    /// Whether it keeps nothing any more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// From now on it keeps nothing: its thread is at its end, and takes out what is there.
    pub const fn close(&mut self) {
        self.closed = true;
    }

    /// Takes any block out.
    pub fn pop(&mut self) -> Option<NonNull<u8>> {
        (0..CLASSES).find_map(|class| self.take(Class(class)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_has_one_class_and_fits_its_blocks() {
        for size in 0..2 * LARGEST {
            for align in [1, 2, 8, 16, 32] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let Some(class) = Class::of(layout) else {
                    assert!(size == 0 || size > LARGEST || align > STEP);
                    continue;
                };
                let blocks = class.layout().unwrap();
                assert!(blocks.size() >= size && blocks.size() < size + STEP && blocks.align() >= align);
                assert!(
                    class.limit() >= FEWEST
                        && class.limit() * blocks.size() <= CLASS_BYTES.max(FEWEST * LARGEST)
                );
            }
        }
    }

    #[test]
    fn who_interrupts_its_use_does_without() {
        let own = Own::new();
        // SAFETY: one thread.
        let nested = unsafe { own.with(|_| own.with(|_| ()).is_some()) };
        assert_eq!(nested, Some(false));
        // SAFETY: as above.
        assert!(unsafe { own.with(|_| ()) }.is_some());
    }

    #[test]
    fn a_cache_is_small() {
        let all = (0..CLASSES)
            .map(Class)
            .map(|class| class.limit() * class.layout().unwrap().size())
            .sum::<usize>();
        assert!(all < 40 << 10, "{all}");
    }

    #[test]
    fn a_full_class_and_a_closed_cache_refuse() {
        let mut cache = Cache::new();
        let class = Class::of(Layout::new::<[u64; 64]>()).unwrap();
        let mut blocks = [[0_u128; 32]; FEWEST + 1];
        let mut refused = 0;
        for block in &mut blocks {
            // SAFETY: blocks of 512 bytes that nobody uses otherwise.
            refused += usize::from(!unsafe { cache.put(class, NonNull::from(block).cast()) });
        }
        assert_eq!(refused, 1);
        assert!(cache.take(class).is_some());
        cache.close();
        let mut left = 0;
        while let Some(block) = cache.pop() {
            // SAFETY: as above.
            assert!(!unsafe { cache.put(class, block) });
            left += 1;
        }
        assert_eq!(left, FEWEST - 1);
    }
}
