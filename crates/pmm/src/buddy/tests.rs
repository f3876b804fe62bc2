use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn frame(number: u64) -> Frame {
    Frame::from_number(number).unwrap()
}

fn range(start: u64, count: u64) -> FrameRange {
    FrameRange::new(frame(start), count).unwrap()
}

fn order(log2: u8) -> Order {
    Order::new(log2).unwrap()
}

fn metadata(regions: &[FrameRange]) -> Vec<FrameState> {
    vec![FrameState::default(); Pmm::metadata_len(regions).unwrap()]
}

/// Walks the whole metadata and checks what the crate promises about it. Returns the free blocks.
fn check(pmm: &Pmm<'_>) -> BTreeSet<(u64, u8)> {
    let mut blocks = BTreeSet::new();
    for log2 in 0..=Order::MAX.get() {
        let mut previous = NONE;
        let mut index = pmm.heads[usize::from(log2)];
        assert_eq!(pmm.nonempty >> log2 & 1 == 1, index != NONE, "bitmap of order {log2}");
        while index != NONE {
            let Kind::Free { order, next, previous: back } = pmm.states[index as usize].kind() else {
                panic!("{:?} in free list {log2}", pmm.states[index as usize].kind());
            };
            assert_eq!((order.get(), back), (log2, previous));
            let number = pmm.spans.frame_at(index).unwrap().number();
            assert_eq!(number % order.frames(), 0, "block is not aligned");
            assert!(blocks.insert((number, log2)));
            previous = index;
            index = next;
        }
    }
    for (number, log2) in &blocks {
        let buddy = (number ^ (1 << log2), *log2);
        assert!(*log2 == Order::MAX.get() || !blocks.contains(&buddy), "free buddies side by side");
    }
    assert_eq!(blocks.iter().map(|(_, log2)| 1 << log2).sum::<u64>(), pmm.free_frames());
    let heads = pmm.states.iter().filter(|state| matches!(state.kind(), Kind::Free { .. })).count();
    assert_eq!(heads, blocks.len(), "a free block in no list");
    for (number, log2) in &blocks {
        let head = pmm.spans.index_of(*number).unwrap() as usize;
        let inner = &pmm.states[head + 1..head + (1 << log2)];
        assert!(
            inner.iter().all(|state| *state == FrameState::INNER),
            "a state inside the block at {number:#x}"
        );
    }
    blocks
}

#[test]
fn first_allocation_splits_and_last_release_merges() {
    let ram = [range(0x40000, 1024)];
    let mut states = metadata(&ram);
    let mut pmm = Pmm::new(&mut states, &ram, &[]).unwrap();
    assert_eq!(check(&pmm), BTreeSet::from([(0x40000, 10)]));
    let first = pmm.alloc_one().unwrap();
    assert_eq!(first, frame(0x40000));
    assert_eq!(check(&pmm).len(), 10);
    assert_eq!(pmm.largest_free(), Some(order(9)));
    pmm.free(first, Order::ONE).unwrap();
    assert_eq!(check(&pmm), BTreeSet::from([(0x40000, 10)]));
}

#[test]
fn frame_number_decides_alignment_even_if_ram_starts_odd() {
    let ram = [range(0x40003, 600)];
    let mut states = metadata(&ram);
    let mut pmm = Pmm::new(&mut states, &ram, &[]).unwrap();
    check(&pmm);
    assert_eq!(pmm.alloc(order(8)).unwrap().number() % 256, 0);
    assert_eq!(pmm.total_frames(), 600);
}

#[test]
fn wrong_releases_are_errors_and_change_nothing() {
    let ram = [range(0x40000, 64)];
    let mut states = metadata(&ram);
    let mut pmm = Pmm::new(&mut states, &ram, &[range(0x40000, 8)]).unwrap();
    let block = pmm.alloc(order(2)).unwrap();
    let before = pmm.states.to_vec();
    let inner = block.checked_add(1).unwrap();
    assert_eq!(pmm.free(frame(0x3ffff), Order::ONE), Err(Error::Foreign(frame(0x3ffff))));
    assert_eq!(pmm.free(frame(0x40040), Order::ONE), Err(Error::Foreign(frame(0x40040))));
    assert_eq!(pmm.free(frame(0x40000), Order::ONE), Err(Error::NotAllocated(frame(0x40000))));
    assert_eq!(pmm.free(inner, Order::ONE), Err(Error::NotAllocated(inner)));
    assert_eq!(pmm.free(block, order(1)), Err(Error::WrongOrder { frame: block, allocated: order(2) }));
    assert_eq!(pmm.release(inner), Err(Error::NotAllocated(inner)));
    assert_eq!(pmm.share(inner), Err(Error::NotAllocated(inner)));
    assert_eq!(pmm.states, before);
    pmm.free(block, order(2)).unwrap();
    assert_eq!(pmm.free(block, order(2)), Err(Error::NotAllocated(block)));
    assert_eq!(pmm.release(block), Err(Error::NotAllocated(block)));
    check(&pmm);
}

#[test]
fn references_keep_a_block() {
    let ram = [range(16, 16)];
    let mut states = metadata(&ram);
    let mut pmm = Pmm::new(&mut states, &ram, &[]).unwrap();
    let block = pmm.alloc_one().unwrap();
    pmm.share(block).unwrap();
    pmm.share(block).unwrap();
    assert_eq!(pmm.free(block, Order::ONE), Err(Error::Shared { frame: block, references: 3 }));
    assert_eq!(pmm.release(block), Ok(Released::StillShared(2)));
    assert_eq!(pmm.release(block), Ok(Released::StillShared(1)));
    assert_eq!(pmm.references(block), Some(1));
    assert_eq!(pmm.release(block), Ok(Released::Freed));
    assert_eq!((pmm.references(block), pmm.free_frames()), (None, 16));
    pmm.states[0] = FrameState::used(Order::ONE, u32::MAX);
    assert_eq!(pmm.share(frame(16)), Err(Error::TooManyReferences(frame(16))));
}

#[test]
fn reservations_are_never_handed_out_until_reclaimed() {
    let ram = [range(0x100, 256)];
    let reserved = range(0x120, 33);
    let mut states = metadata(&ram);
    let mut pmm = Pmm::new(&mut states, &ram, &[reserved]).unwrap();
    let mut taken = Vec::new();
    while let Some(frame) = pmm.alloc_one() {
        assert!(!reserved.contains(frame));
        taken.push(frame);
    }
    assert_eq!(taken.len(), 256 - 33);
    assert_eq!(pmm.reclaim(range(0x11f, 2)), Err(Error::Managed(frame(0x11f))));
    assert_eq!(pmm.reclaim(range(0x1ff, 2)), Err(Error::Managed(frame(0x1ff))));
    assert_eq!(pmm.reclaim(range(0x200, 1)), Err(Error::Foreign(frame(0x200))));
    pmm.reclaim(reserved).unwrap();
    assert_eq!((pmm.free_frames(), pmm.total_frames()), (33, 256));
    assert_eq!(pmm.reclaim(reserved), Err(Error::Managed(frame(0x120))));
    for frame in taken {
        pmm.free(frame, Order::ONE).unwrap();
    }
    assert_eq!(check(&pmm), BTreeSet::from([(0x100, 8)]));
}

#[test]
fn construction_touches_few_entries() {
    let ram = [range(0x40000, 65536)];
    let mut states = metadata(&ram);
    let pmm = Pmm::new(&mut states, &ram, &[range(0x40080, 160), range(0x48000, 20)]).unwrap();
    assert!(check(&pmm).len() < 64 + 30);
    assert_eq!(pmm.free_frames(), 65536 - 180);
}

#[test]
fn maps_that_cannot_be_managed() {
    assert_eq!(Pmm::metadata_len(&[]), Err(MapError::Empty));
    assert_eq!(Pmm::metadata_len(&[range(8, 8), range(15, 2)]), Err(MapError::Unsorted { index: 1 }));
    let far: Vec<FrameRange> = (0..9).map(|n| range(n << 20, 1)).collect();
    assert_eq!(Pmm::metadata_len(&far), Err(MapError::TooManySpans));
    assert_eq!(Pmm::metadata_len(&far[..8]), Ok(8));
    let hole = |frames: u64| Pmm::metadata_len(&[range(8, 8), range(16 + frames, 8)]);
    assert_eq!((hole(1 << 14), hole((1 << 14) + 1)), (Ok((1 << 14) + 16), Ok(16)));
    assert_eq!(Pmm::metadata_len(&[range(0, 1 << 28)]), Err(MapError::TooLarge));
    assert_eq!(Pmm::metadata_len(&[range(0, (1 << 28) - 1)]), Ok((1 << 28) - 1));
    let mut short = [FrameState::default(); 7];
    let error = Pmm::new(&mut short, &[range(0, 8)], &[]).unwrap_err();
    assert_eq!(error, MapError::MetadataTooShort { needed: 8 });
}

/// A map with holes small and large, and reservations anywhere.
fn map() -> impl Strategy<Value = (Vec<FrameRange>, Vec<FrameRange>)> {
    let pieces = prop::collection::vec((prop_oneof![0..40_u64, 20_000..30_000_u64], 1..1500_u64), 1..5);
    let regions = (0..5000_u64, pieces).prop_map(|(start, pieces)| {
        let mut at = start;
        let mut regions = Vec::new();
        for (gap, count) in pieces {
            at += gap;
            regions.push(range(at, count));
            at += count;
        }
        regions
    });
    let reservations = prop::collection::vec((0..40_000_u64, 1..300_u64), 0..6);
    (
        regions,
        reservations.prop_map(|list| list.into_iter().map(|(start, count)| range(start, count)).collect()),
    )
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Alloc(u8),
    AllocAbove(u64, u8),
    AllocMany(usize),
    Free(usize),
    Share(usize),
    Release(usize),
    Bogus(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => prop_oneof![3 => 0..=2_u8, 1 => 3..=10_u8].prop_map(Op::Alloc),
        2 => (0..2_000_u64, 0..=6_u8).prop_map(|(reserve, log2)| Op::AllocAbove(reserve, log2)),
        1 => (0..40_usize).prop_map(Op::AllocMany),
        3 => any::<usize>().prop_map(Op::Free),
        1 => any::<usize>().prop_map(Op::Share),
        2 => any::<usize>().prop_map(Op::Release),
        1 => (0..45_000_u64).prop_map(Op::Bogus),
    ]
}

fn wanted(pmm: &mut Pmm<'_>, op: Op) -> Option<Frame> {
    match op {
        Op::Alloc(log2) => pmm.alloc(order(log2)),
        Op::AllocAbove(reserve, log2) => pmm.alloc_above(reserve, order(log2)),
        _ => None,
    }
}

/// Does what the allocator should do, frame by frame.
struct Model {
    free: BTreeSet<u64>,
    used: BTreeMap<u64, (u8, u32)>,
}

impl Model {
    fn new(regions: &[FrameRange], reservations: &[FrameRange]) -> Self {
        let mut free: BTreeSet<u64> = regions.iter().flat_map(|r| r.start()..r.end()).collect();
        for reserved in reservations {
            for number in reserved.start()..reserved.end() {
                free.remove(&number);
            }
        }
        Self { free, used: BTreeMap::new() }
    }

    fn has_room(&self, log2: u8) -> bool {
        let length = 1 << log2;
        let aligned = self.free.iter().filter(|number| *number % length == 0);
        aligned.into_iter().any(|start| self.free.range(*start..start + length).count() as u64 == length)
    }

    fn pick(&self, choice: usize) -> Option<u64> {
        self.used.keys().nth(choice % self.used.len().max(1)).copied()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// An allocation succeeds exactly when an aligned free run exists; nothing overlaps; nothing leaks.
    #[test]
    fn agrees_with_a_set_of_frames((regions, reservations) in map(), ops in prop::collection::vec(op(), 0..120)) {
        let mut states = metadata(&regions);
        let mut pmm = Pmm::new(&mut states, &regions, &reservations).unwrap();
        let mut model = Model::new(&regions, &reservations);
        let initial = check(&pmm);
        prop_assert_eq!(pmm.total_frames(), model.free.len() as u64);
        for op in ops {
            match op {
                Op::Alloc(log2) | Op::AllocAbove(_, log2) => match wanted(&mut pmm, op) {
                    Some(block) => {
                        if let Op::AllocAbove(reserve, _) = op {
                            prop_assert!(pmm.free_frames() >= reserve);
                        }
                        prop_assert_eq!(block.number() % (1 << log2), 0);
                        for number in block.number()..block.number() + (1 << log2) {
                            prop_assert!(model.free.remove(&number), "frame {number:#x} was not free");
                        }
                        model.used.insert(block.number(), (log2, 1));
                    }
                    None => {
                        let (free, length) = (model.free.len() as u64, 1 << log2);
                        let kept = matches!(op, Op::AllocAbove(reserve, _) if free < reserve + length);
                        prop_assert!(kept || !model.has_room(log2), "order {log2} was refused");
                    }
                },
                Op::AllocMany(count) => {
                    let mut frames = vec![Frame::default(); count];
                    let taken = pmm.alloc_many(&mut frames);
                    prop_assert_eq!(taken, count.min(model.free.len()));
                    for frame in &frames[..taken] {
                        prop_assert!(model.free.remove(&frame.number()), "{frame:?} was not free");
                        model.used.insert(frame.number(), (0, 1));
                    }
                }
                Op::Free(choice) | Op::Release(choice) | Op::Share(choice) => {
                    let Some(number) = model.pick(choice) else { continue };
                    let (log2, references) = model.used[&number];
                    let gone = match op {
                        Op::Share(_) => {
                            pmm.share(frame(number)).unwrap();
                            model.used.insert(number, (log2, references + 1));
                            false
                        }
                        Op::Free(_) => pmm.free(frame(number), order(log2)).is_ok(),
                        _ => pmm.release(frame(number)).unwrap() == Released::Freed,
                    };
                    if let Op::Release(_) = op {
                        model.used.insert(number, (log2, references - 1));
                    }
                    prop_assert_eq!(gone, references == 1 && !matches!(op, Op::Share(_)));
                    if gone {
                        model.used.remove(&number);
                        model.free.extend(number..number + (1 << log2));
                    }
                }
                Op::Bogus(number) if !model.used.contains_key(&number) => {
                    prop_assert!(pmm.free(frame(number), Order::ONE).is_err());
                    prop_assert!(pmm.release(frame(number)).is_err());
                }
                Op::Bogus(_) => {}
            }
            prop_assert_eq!(pmm.free_frames(), model.free.len() as u64);
        }
        check(&pmm);
        for (number, (log2, references)) in model.used {
            prop_assert_eq!(pmm.references(frame(number)), Some(references));
            for _ in 1..references {
                prop_assert!(matches!(pmm.release(frame(number)), Ok(Released::StillShared(_))));
            }
            pmm.free(frame(number), order(log2)).unwrap();
        }
        prop_assert_eq!(check(&pmm), initial);
    }
}
