use core::ptr;
use std::alloc::{alloc, dealloc};
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Frames of the host, counted, at most `limit` of them.
#[derive(Debug)]
struct HostFrames {
    out: BTreeMap<usize, u32>,
    limit: usize,
    calls: usize,
}

fn frames(order: u32) -> Layout {
    Layout::from_size_align(PAGE_SIZE << order, PAGE_SIZE << order).unwrap()
}

impl HostFrames {
    fn new(limit: usize) -> Self {
        Self { out: BTreeMap::new(), limit, calls: 0 }
    }

    fn count(&self) -> usize {
        self.out.values().map(|order| 1 << order).sum()
    }
}

// SAFETY: the host's allocator gives blocks of that size and alignment until they are freed.
unsafe impl FrameSource for HostFrames {
    fn alloc(&mut self, order: u32) -> Option<NonNull<u8>> {
        self.calls += 1;
        if order > 10 || self.count() + (1 << order) > self.limit {
            return None;
        }
        // SAFETY: the size is not zero.
        let block = NonNull::new(unsafe { alloc(frames(order)) })?;
        // SAFETY: the block is that long. Old content must not matter.
        unsafe { ptr::write_bytes(block.as_ptr(), 0xA5, PAGE_SIZE << order) };
        self.out.insert(block.addr().get(), order);
        Some(block)
    }

    unsafe fn free(&mut self, block: NonNull<u8>, order: u32) {
        assert_eq!(self.out.remove(&block.addr().get()), Some(order), "not ours, or another order");
        // SAFETY: the block came from `alloc` with this order.
        unsafe { dealloc(block.as_ptr(), frames(order)) }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block in use, filled with its mark.
#[derive(Debug)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn new(heap: &mut Heap<HostFrames>, layout: Layout, mark: u8) -> Option<Self> {
        let start = heap.allocate(layout)?;
        assert_eq!(start.addr().get() % layout.align(), 0, "{layout:?}");
        // SAFETY: the heap gave us that many bytes.
        unsafe { ptr::write_bytes(start.as_ptr(), mark, layout.size()) };
        Some(Self { start, layout, mark })
    }

    /// Checks that nobody wrote into the block, and gives it back.
    fn free(self, heap: &mut Heap<HostFrames>) {
        for offset in 0..self.layout.size() {
            // SAFETY: the block is ours and was filled.
            let byte = unsafe { self.start.add(offset).read() };
            assert_eq!(byte, self.mark, "byte {offset} of {:?} was overwritten", self.layout);
        }
        // SAFETY: the block came from this heap with this layout.
        unsafe { heap.deallocate(self.start, self.layout) }
    }
}

#[test]
fn a_slab_serves_until_it_is_full() {
    let mut heap = Heap::new(HostFrames::new(100));
    let blocks: Vec<Block> =
        (0..7).map(|mark| Block::new(&mut heap, layout(512, 512), mark).unwrap()).collect();
    assert_eq!((heap.source().calls, heap.statistics().used_bytes), (1, 7 * 512));
    let eighth = Block::new(&mut heap, layout(500, 8), 9).unwrap();
    assert_eq!((heap.source().calls, heap.statistics().frames), (2, 2));
    blocks.into_iter().for_each(|block| block.free(&mut heap));
    eighth.free(&mut heap);
    assert_eq!((heap.statistics(), heap.source().count()), (Statistics { used_bytes: 0, frames: 1 }, 1));
    assert_eq!((heap.trim(), heap.trim(), heap.source().count()), (1, 0, 0));
}

#[test]
fn a_full_slab_serves_again_after_one_object_came_back() {
    let mut heap = Heap::new(HostFrames::new(2));
    let mut blocks: Vec<Block> =
        (0..14).map(|mark| Block::new(&mut heap, layout(512, 8), mark).unwrap()).collect();
    for index in [0, 7, 13, 3] {
        blocks.swap_remove(index % blocks.len()).free(&mut heap);
    }
    while blocks.len() < 14 {
        blocks.push(Block::new(&mut heap, layout(512, 8), 99).unwrap());
    }
    assert_eq!(heap.source().calls, 2);
    assert!(heap.allocate(layout(512, 8)).is_none());
    blocks.into_iter().for_each(|block| block.free(&mut heap));
    assert_eq!((heap.trim(), heap.source().count()), (1, 0));
}

#[test]
fn slabs_leave_the_list_from_the_middle_and_the_end() {
    let mut heap = Heap::new(HostFrames::new(3));
    let mut slabs: Vec<Vec<Block>> = (0..3)
        .map(|mark| (0..7).map(|_| Block::new(&mut heap, layout(512, 8), mark).unwrap()).collect())
        .collect();
    for slab in &mut slabs {
        slab.pop().unwrap().free(&mut heap);
    }
    // The list is third, second, first.
    let third = slabs.pop().unwrap();
    slabs.pop().unwrap().into_iter().for_each(|block| block.free(&mut heap));
    slabs.pop().unwrap().into_iter().for_each(|block| block.free(&mut heap));
    assert_eq!(heap.statistics().frames, 2);
    let block = Block::new(&mut heap, layout(512, 8), 9).unwrap();
    let frame = |block: &Block| block.start.addr().get() / PAGE_SIZE;
    assert_eq!(frame(&block), frame(&third[0]));
    third.into_iter().chain([block]).for_each(|block| block.free(&mut heap));
    assert_eq!((heap.trim(), heap.source().count()), (1, 0));
}

#[test]
fn one_empty_slab_a_class_is_kept() {
    let mut heap = Heap::new(HostFrames::new(100));
    for _ in 0..1000 {
        Block::new(&mut heap, layout(2000, 16), 3).unwrap().free(&mut heap);
        Block::new(&mut heap, layout(40, 8), 4).unwrap().free(&mut heap);
    }
    assert_eq!((heap.source().calls, heap.statistics().frames), (2, 2));
    let blocks: Vec<Block> =
        (0..20).map(|mark| Block::new(&mut heap, layout(2000, 16), mark).unwrap()).collect();
    assert_eq!(heap.statistics().frames, 11);
    blocks.into_iter().for_each(|block| block.free(&mut heap));
    assert_eq!((heap.statistics().frames, heap.trim()), (2, 2));
}

#[test]
fn the_last_freed_object_is_reused_first() {
    let mut heap = Heap::new(HostFrames::new(1));
    let first = Block::new(&mut heap, layout(100, 8), 1).unwrap();
    let second = Block::new(&mut heap, layout(100, 8), 2).unwrap();
    let (one, two) = (first.start, second.start);
    first.free(&mut heap);
    second.free(&mut heap);
    let third = Block::new(&mut heap, layout(100, 8), 3).unwrap();
    let fourth = Block::new(&mut heap, layout(100, 8), 4).unwrap();
    assert_eq!((third.start, fourth.start), (two, one));
    third.free(&mut heap);
    fourth.free(&mut heap);
    assert_eq!(heap.trim(), 1);
}

#[test]
fn large_blocks_come_and_go_directly() {
    let mut heap = Heap::new(HostFrames::new(64));
    let block = Block::new(&mut heap, layout(3 * PAGE_SIZE, 64), 7).unwrap();
    assert_eq!(heap.statistics(), Statistics { used_bytes: 4 * PAGE_SIZE, frames: 4 });
    assert!(Block::new(&mut heap, layout(61 * PAGE_SIZE, 1), 7).is_none());
    assert!(heap.allocate(layout(1 << 40, 8)).is_none());
    assert!(heap.allocate(layout(isize::MAX as usize - 8, 8)).is_none());
    block.free(&mut heap);
    assert_eq!((heap.statistics(), heap.source().count()), (Statistics::default(), 0));
}

#[test]
fn refusal_changes_nothing() {
    let mut heap = Heap::new(HostFrames::new(1));
    let blocks: Vec<Block> =
        (0..2).map(|mark| Block::new(&mut heap, layout(2032, 16), mark).unwrap()).collect();
    let before = heap.statistics();
    assert!(heap.allocate(layout(2032, 16)).is_none());
    assert!(heap.allocate(layout(16, 16)).is_none());
    assert_eq!(heap.statistics(), before);
    blocks.into_iter().for_each(|block| block.free(&mut heap));
    assert_eq!(heap.trim(), 1);
}

#[test]
fn zero_bytes_are_a_block_too() {
    let mut heap = Heap::new(HostFrames::new(1));
    let first = Block::new(&mut heap, layout(0, 1), 0).unwrap();
    let second = Block::new(&mut heap, layout(0, 1), 0).unwrap();
    assert_ne!(first.start, second.start);
    first.free(&mut heap);
    second.free(&mut heap);
    assert_eq!(heap.trim(), 1);
}

#[test]
fn sizes_that_fit_in_place() {
    let fits = |from, to| Heap::<HostFrames>::fits(layout(from, 8), to);
    assert!(fits(17, 32) && fits(32, 17) && fits(2033, 4096) && fits(5000, 8192));
    assert!(
        !fits(17, 33) && !fits(17, 16) && !fits(2032, 2033) && !fits(4096, 4097) && !fits(5000, usize::MAX)
    );
}

#[derive(Clone, Debug)]
enum Op {
    Alloc(usize, u32),
    Free(usize),
    Resize(usize, usize),
    Trim,
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![6 => 0..300_usize, 3 => 300..2100_usize, 1 => 2100..40_000_usize];
    let align = prop_oneof![6 => 0..5_u32, 1 => 5..14_u32];
    prop_oneof![
        6 => (size.clone(), align).prop_map(|(size, align)| Op::Alloc(size, align)),
        4 => any::<usize>().prop_map(Op::Free),
        1 => (any::<usize>(), size).prop_map(|(choice, size)| Op::Resize(choice, size)),
        1 => Just(Op::Trim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No two blocks overlap, none is written to, all are aligned, and every frame comes back.
    #[test]
    fn agrees_with_a_list_of_blocks(ops in prop::collection::vec(op(), 1..300), limit in prop_oneof![1..40_usize, Just(10_000)]) {
        let mut heap = Heap::new(HostFrames::new(limit));
        let mut blocks: Vec<Block> = Vec::new();
        let mut spans: BTreeMap<usize, usize> = BTreeMap::new();
        for (mark, op) in ops.iter().enumerate() {
            match op {
                Op::Alloc(size, align) => {
                    let layout = layout(*size, 1 << align);
                    let mark = u8::try_from(mark % 251).unwrap();
                    if let Some(block) = Block::new(&mut heap, layout, mark) {
                        let start = block.start.addr().get();
                        let end = start + layout.size().max(1);
                        let below = spans.range(..end).next_back();
                        prop_assert!(below.is_none_or(|(_, other)| *other <= start), "blocks overlap");
                        spans.insert(start, end);
                        blocks.push(block);
                    }
                }
                Op::Free(choice) if !blocks.is_empty() => {
                    let block = blocks.swap_remove(choice % blocks.len());
                    spans.remove(&block.start.addr().get());
                    block.free(&mut heap);
                }
                Op::Resize(choice, size) if !blocks.is_empty() => {
                    let index = choice % blocks.len();
                    let block = &mut blocks[index];
                    if Heap::<HostFrames>::fits(block.layout, *size) {
                        block.layout = layout(*size, block.layout.align());
                        // SAFETY: the heap says that so many bytes fit.
                        unsafe { ptr::write_bytes(block.start.as_ptr(), block.mark, *size) };
                        let start = block.start.addr().get();
                        spans.insert(start, start + (*size).max(1));
                    }
                }
                Op::Free(_) | Op::Resize(..) => {}
                Op::Trim => {
                    let kept = heap.kept();
                    prop_assert_eq!((heap.trim(), heap.kept()), (kept, 0));
                }
            }
            let out = heap.source().count();
            prop_assert_eq!(heap.statistics().frames, out);
            let used: usize = blocks.iter().map(|block| block.layout.size()).sum();
            prop_assert!(heap.statistics().used_bytes >= used);
            prop_assert!(heap.statistics().used_bytes <= out * PAGE_SIZE);
        }
        blocks.into_iter().for_each(|block| block.free(&mut heap));
        let kept = heap.source().count();
        prop_assert!(kept <= COUNT);
        prop_assert_eq!((heap.kept(), heap.trim()), (kept, kept));
        prop_assert_eq!((heap.statistics(), heap.source().count()), (Statistics::default(), 0));
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_block_that_was_written_to_after_it_was_given_back_is_noticed() {
    for offset in [2, 17, 63] {
        let mut heap = Heap::new(HostFrames::new(1));
        let block = heap.allocate(layout(64, 8)).unwrap();
        // SAFETY: given back as it was handed out; the frame stays the heap's, so the byte is there to be written.
        unsafe {
            heap.deallocate(block, layout(64, 8));
            block.as_ptr().add(offset).write(1);
        }
        let again = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| heap.allocate(layout(64, 8))));
        assert!(again.is_err(), "{offset}");
    }
}
