use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{alloc::System, collections::BTreeMap};

use super::*;

/// The calling thread's cache.
fn own_cache() -> NonNull<Own> {
    thread_local!(static CACHE: Own = const { Own::new() });
    CACHE.with(|cache| NonNull::from(cache))
}

/// Memory of the host, counted for each `TEST` apart.
struct Counted<const TEST: usize>;
static TAKEN: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];

// SAFETY: `System` gives what it says; page alignment is asked for.
unsafe impl<const TEST: usize> Pages for Counted<TEST> {
    fn cache() -> NonNull<Own> {
        own_cache()
    }
    fn take(length: usize) -> Option<NonNull<u8>> {
        TAKEN[TEST].fetch_add(length, Relaxed);
        // SAFETY: the layout is not empty.
        NonNull::new(unsafe { System.alloc_zeroed(Layout::from_size_align(length, PAGE).unwrap()) })
    }
    unsafe fn give_back(start: NonNull<u8>, length: usize) {
        TAKEN[TEST].fetch_sub(length, Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(start.as_ptr(), Layout::from_size_align(length, PAGE).unwrap()) };
    }
}

#[test]
fn blocks_are_disjoint_aligned_and_keep_their_bytes() {
    let heap = Heap::<Counted<0>>::new();
    let mut live: BTreeMap<usize, (*mut u8, Layout, u8)> = BTreeMap::new();
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for round in (0..=u8::MAX).cycle().take(20_000) {
        if live.len() < 300 && random(2) == 0 {
            let size = match random(20) {
                0 => random(400 << 10) + 1,
                1..4 => random(20_000) + 1,
                _ => random(300) + 1,
            };
            let layout = Layout::from_size_align(size, 1 << random(9)).unwrap();
            // SAFETY: the layout is not empty.
            let block = unsafe { heap.alloc(layout) };
            assert!(!block.is_null() && block.addr() % layout.align() == 0);
            // SAFETY: the block has `size` bytes.
            unsafe { block.write_bytes(round, size) };
            let before = live.range(..block.addr()).next_back().map(|(at, (_, other, _))| at + other.size());
            assert!(before.is_none_or(|end| end <= block.addr()), "overlap");
            assert!(
                live.range(block.addr()..).next().is_none_or(|(at, _)| block.addr() + size <= *at),
                "overlap"
            );
            live.insert(block.addr(), (block, layout, round));
        } else if let Some(at) = live.keys().nth(random(live.len().max(1))).copied() {
            let (block, layout, byte) = live.remove(&at).unwrap();
            // SAFETY: the block lives and has this layout.
            unsafe {
                assert!((0..layout.size()).all(|i| block.add(i).read() == byte), "changed behind its back");
                heap.dealloc(block, layout);
            }
        }
    }
    for (block, layout, _) in live.into_values() {
        // SAFETY: the block lives and has this layout.
        unsafe { heap.dealloc(block, layout) };
    }
    assert!(TAKEN[0].load(Relaxed) <= 16 << 20, "mappings went back, the pool did not grow without end");

    let whole = Layout::from_size_align(MAPPED, 8).unwrap();
    let before = TAKEN[0].load(Relaxed);
    // SAFETY: the layout is not empty; the block is freed as it was made.
    unsafe {
        let block = heap.alloc_zeroed(whole);
        assert_eq!(TAKEN[0].load(Relaxed), before + MAPPED);
        heap.dealloc(block, whole);
    }
    assert_eq!(TAKEN[0].load(Relaxed), before, "a big block goes back at once");
}

/// A block that is on its way to another thread.
struct Sent(*mut u8, Layout, u8);
// SAFETY: it has one owner at a time.
unsafe impl Send for Sent {}

#[test]
fn blocks_freed_by_other_threads_are_found_again() {
    static HEAP: Heap<Counted<1>> = Heap::new();
    let mut early = 0;
    let layouts: Vec<Layout> = (1..=16).map(|step| Layout::from_size_align(step * 40, 8).unwrap()).collect();
    for round in 0..20_u8 {
        std::thread::scope(|scope| {
            // Each makes what the next one frees.
            let (mut senders, receivers): (Vec<_>, Vec<_>) =
                (0..4).map(|_| std::sync::mpsc::channel::<Sent>()).unzip();
            senders.rotate_left(1);
            for (sender, receiver) in senders.into_iter().zip(receivers) {
                let layouts = &layouts;
                scope.spawn(move || {
                    for turn in 0..50 {
                        for &layout in layouts {
                            // SAFETY: the layout is not empty, and the block has so many bytes.
                            let block = unsafe { HEAP.alloc(layout) };
                            assert!(!block.is_null());
                            // SAFETY: as above.
                            unsafe { block.write_bytes(round ^ turn, layout.size()) };
                            sender.send(Sent(block, layout, round ^ turn)).unwrap();
                        }
                        while let Ok(Sent(block, layout, byte)) = receiver.try_recv() {
                            // SAFETY: the block lives until it is freed here.
                            unsafe {
                                assert!((0..layout.size()).all(|at| block.add(at).read() == byte));
                                HEAP.dealloc(block, layout);
                            }
                        }
                    }
                    drop(sender);
                    while let Ok(Sent(block, layout, _)) = receiver.recv() {
                        // SAFETY: as above.
                        unsafe { HEAP.dealloc(block, layout) };
                    }
                    HEAP.close_cache();
                });
            }
        });
        if round == 4 {
            early = TAKEN[1].load(Relaxed);
        }
    }
    // All is in the pool: it does not grow with the rounds, for nobody took anything along.
    let used = TAKEN[1].load(Relaxed);
    assert!(used <= early + (1 << 20), "{used} after {early}");
}

#[test]
fn a_thread_that_ends_takes_nothing_along() {
    static HEAP: Heap<Counted<2>> = Heap::new();
    for round in 0..1000 {
        let life = move || {
            let layout = Layout::from_size_align([512, 100, 16][round % 3], 8).unwrap();
            // SAFETY: the layout is not empty, and each block is freed once.
            unsafe {
                let blocks = [(); 3].map(|()| HEAP.alloc(layout));
                blocks.iter().skip(round % 2).for_each(|&block| HEAP.dealloc(block, layout));
                HEAP.close_cache();
                // What is freed after that, or made, is the pool's.
                if round % 2 == 1 {
                    HEAP.dealloc(blocks[0], layout);
                    HEAP.dealloc(HEAP.alloc(layout), layout);
                }
            }
        };
        std::thread::spawn(life).join().unwrap();
    }
    assert_eq!(TAKEN[2].load(Relaxed), CHUNK);
}

#[test]
fn what_can_not_be_had_is_null() {
    struct Nothing;
    // SAFETY: never gives anything.
    unsafe impl Pages for Nothing {
        fn cache() -> NonNull<Own> {
            own_cache()
        }
        fn take(_: usize) -> Option<NonNull<u8>> {
            None
        }
        unsafe fn give_back(_: NonNull<u8>, _: usize) {}
    }
    let heap = Heap::<Nothing>::new();
    for size in [1, PAGE, MAPPED, isize::MAX as usize - PAGE] {
        // SAFETY: the layout is not empty.
        assert!(unsafe { heap.alloc(Layout::from_size_align(size, 1).unwrap()) }.is_null());
    }
}

#[test]
fn a_handler_that_interrupts_the_cache_gets_blocks_of_the_pool() {
    let heap = Heap::<Counted<3>>::new();
    let layout = Layout::from_size_align(100, 8).unwrap();
    let [mut own, mut handlers] = [null_mut::<u8>(); 2];
    let used = Heap::<Counted<3>>::with_cache(|cache| {
        // Here the handler comes.
        // SAFETY: the layout is not empty, and one of the blocks is freed.
        unsafe {
            handlers = heap.alloc(layout);
            heap.dealloc(heap.alloc(layout), layout);
        }
        own = cache.take(Class::of(layout).unwrap()).map_or(null_mut(), NonNull::as_ptr);
    });
    assert!(used.is_some() && own.is_null() && !handlers.is_null(), "what was freed went to the pool");
    // SAFETY: the block lives.
    unsafe { heap.dealloc(handlers, layout) };
    assert!(
        Heap::<Counted<3>>::with_cache(|cache| cache.take(Class::of(layout).unwrap())).flatten().is_some()
    );
}

#[test]
fn a_block_that_grows_within_its_class_stays() {
    let heap = Heap::<Counted<4>>::new();
    let layout = |size| Layout::from_size_align(size, 8).unwrap();
    // SAFETY: no layout is empty; the block is used with the layout it has.
    unsafe {
        let block = heap.alloc(layout(97));
        block.write_bytes(7, 97);
        assert_eq!(heap.realloc(block, layout(97), 112), block);
        let moved = heap.realloc(block, layout(112), 300_000);
        assert!((0..97).all(|at| moved.add(at).read() == 7));
        let back = heap.realloc(moved, layout(300_000), 90);
        assert!((0..90).all(|at| back.add(at).read() == 7));
        heap.dealloc(back, layout(90));
    }
}
