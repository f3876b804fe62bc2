use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{alloc::System, collections::BTreeMap};

use super::*;

struct Counted;
static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: `System` gives what it says; page alignment is asked for.
unsafe impl Pages for Counted {
    fn take(length: usize) -> Option<NonNull<u8>> {
        TAKEN.fetch_add(length, Relaxed);
        // SAFETY: the layout is not empty.
        NonNull::new(unsafe { System.alloc_zeroed(Layout::from_size_align(length, PAGE).unwrap()) })
    }
    unsafe fn give_back(start: NonNull<u8>, length: usize) {
        TAKEN.fetch_sub(length, Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(start.as_ptr(), Layout::from_size_align(length, PAGE).unwrap()) };
    }
}

#[test]
fn blocks_are_disjoint_aligned_and_keep_their_bytes() {
    let heap = Heap::<Counted>::new();
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
    assert!(TAKEN.load(Relaxed) <= 16 << 20, "mappings went back, the pool did not grow without end");

    let whole = Layout::from_size_align(MAPPED, 8).unwrap();
    let before = TAKEN.load(Relaxed);
    // SAFETY: the layout is not empty; the block is freed as it was made.
    unsafe {
        let block = heap.alloc_zeroed(whole);
        assert_eq!(TAKEN.load(Relaxed), before + MAPPED);
        heap.dealloc(block, whole);
    }
    assert_eq!(TAKEN.load(Relaxed), before, "a big block goes back at once");
}

#[test]
fn what_can_not_be_had_is_null() {
    struct Nothing;
    // SAFETY: never gives anything.
    unsafe impl Pages for Nothing {
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
