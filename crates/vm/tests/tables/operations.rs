//! What each operation does to entries and TLB, step by step.

use crate::machine::{Memory, RecordingTlb, machine};
use core::sync::atomic::Ordering;
use swos_units::{Frame, Page, PhysAddr, VirtAddr};
use swos_vm::{
    Access, Attributes, Audit, Error, Half, MemoryType, PageRange, PageSize, Progress, Sharing, TableMemory,
    Tables,
};

fn page(number: u64) -> Page {
    Page::from_number(number).unwrap()
}

fn frame(number: u64) -> Frame {
    Frame::from_number(number).unwrap()
}

fn pages(start: u64, count: u64) -> PageRange {
    PageRange::with_len(page(start), count).unwrap()
}

fn user(access: Access) -> Attributes {
    Attributes::user(access, Sharing::Private)
}

fn user_space() -> (Memory, RecordingTlb, Tables) {
    let (mut memory, tlb) = machine(Half::User);
    let tables = Tables::new(Half::User, &mut memory).unwrap();
    (memory, tlb, tables)
}

const KERNEL: u64 = 0xFFFF << 36;

#[test]
fn mapping_needs_no_invalidation() {
    let (mut memory, mut tlb, mut tables) = user_space();
    tables.map_page(&mut memory, &mut tlb, page(16), frame(7), user(Access::ReadWrite)).unwrap();
    assert_eq!((memory.invalidations(), memory.tables()), ((0, 0), 4));
    memory.assert_quiet();
    let mapping = tables.walk(&memory, VirtAddr::new(0x1_0ABC)).unwrap();
    assert_eq!((mapping.frame, mapping.size), (frame(7), PageSize::Page));
    assert_eq!(mapping.attributes, user(Access::ReadWrite));
    assert_eq!(tables.walk(&memory, VirtAddr::new(0x1_1000)), None);
    assert_eq!(tables.walk(&memory, VirtAddr::new(KERNEL << 12 | 0x1_0000)), None);
}

#[test]
fn pages_are_not_mapped_twice_or_elsewhere() {
    let (mut memory, mut tlb, mut tables) = user_space();
    let writable = user(Access::ReadWrite);
    tables.map_page(&mut memory, &mut tlb, page(16), frame(7), writable).unwrap();
    let mut map =
        |number, attributes| tables.map_page(&mut memory, &mut tlb, page(number), frame(8), attributes);
    assert_eq!(map(16, writable), Err(Error::Mapped(page(16))));
    assert_eq!(map(1 << 36, writable), Err(Error::OutOfRange(page(1 << 36))));
    assert_eq!(map(KERNEL, writable), Err(Error::OutOfRange(page(KERNEL))));
    assert_eq!(map(17, Attributes::kernel(Access::ReadOnly, MemoryType::Normal)), Err(Error::WrongHalf));
    assert_eq!(map(u64::MAX >> 12, writable), Err(Error::OutOfRange(page(u64::MAX >> 12))));
}

#[test]
fn a_page_without_access_keeps_its_frame() {
    let (mut memory, mut tlb, mut tables) = user_space();
    tables.map_page(&mut memory, &mut tlb, page(16), frame(0), user(Access::ReadWrite)).unwrap();
    let done = tables.protect_range(&mut memory, &mut tlb, pages(16, 1), Access::None, 8).unwrap();
    assert_eq!((done, memory.invalidations()), (Progress::Done, (1, 0)));
    assert_eq!(tables.walk(&memory, page(16).start()).unwrap().attributes.access(), Access::None);
    assert_eq!(memory.read(tables.root(), 0) & 1, 1);
    let done = tables.protect_range(&mut memory, &mut tlb, pages(16, 1), Access::ReadWrite, 8).unwrap();
    assert_eq!((done, memory.invalidations()), (Progress::Done, (0, 0)));
    memory.assert_quiet();
    let mapping = tables.unmap_page(&mut memory, &mut tlb, page(16)).unwrap().unwrap();
    assert_eq!((mapping.frame, mapping.attributes), (frame(0), user(Access::ReadWrite)));
}

#[test]
fn replacing_breaks_first_unless_only_permissions_change() {
    let (mut memory, mut tlb, mut tables) = user_space();
    let lazy = Attributes::user(Access::ReadWrite, Sharing::CopyOnWrite);
    tables.map_page(&mut memory, &mut tlb, page(16), frame(7), lazy).unwrap();
    let writable = user(Access::ReadWrite);
    let old = tables.replace_page(&mut memory, &mut tlb, page(16), frame(9), writable).unwrap().unwrap();
    assert_eq!((old.frame, old.attributes), (frame(7), lazy));
    memory.assert_unreachable(frame(7));
    memory.assert_quiet();
    assert_eq!(tables.walk(&memory, page(16).start()).unwrap().frame, frame(9));
    let device = writable.with_memory(MemoryType::Device);
    tables.replace_page(&mut memory, &mut tlb, page(16), frame(9), device).unwrap();
    let read_only = user(Access::ReadOnly).with_memory(MemoryType::Device);
    tables.replace_page(&mut memory, &mut tlb, page(16), frame(9), read_only).unwrap();
    memory.assert_quiet();
    assert_eq!(memory.invalidations(), (3, 0));
    assert_eq!(tables.replace_page(&mut memory, &mut tlb, page(99), frame(3), writable), Ok(None));
    assert_eq!(memory.invalidations(), (0, 0));
}

#[test]
fn the_linear_map_takes_the_largest_blocks() {
    let (mut memory, mut tlb) = machine(Half::Kernel);
    let mut tables = Tables::new(Half::Kernel, &mut memory).unwrap();
    let data = Attributes::kernel(Access::ReadWrite, MemoryType::Normal);
    let all = pages(KERNEL | 0x3_FE00, 0x8_0201);
    tables.map_range(&mut memory, &mut tlb, all, frame(0x3_FE00), data).unwrap();
    let leaves = memory.leaves(tables.root());
    let levels: Vec<(u64, u32)> = leaves.iter().map(|(first, (level, _))| (*first, *level)).collect();
    assert_eq!(levels, [(0x3_FE00, 2), (0x4_0000, 1), (0x8_0000, 1), (0xC_0000, 3)]);
    let inside = tables.walk(&memory, page(KERNEL | 0x5_1234).start()).unwrap();
    assert_eq!((inside.frame, inside.size), (frame(0x5_1234), PageSize::Gigabyte1));
    let inner = page(KERNEL | 0x5_1234);
    assert_eq!(tables.unmap_page(&mut memory, &mut tlb, inner), Err(Error::InsideBlock(inner)));
    assert_eq!(tables.map_page(&mut memory, &mut tlb, inner, frame(1), data), Err(Error::Mapped(inner)));
    let replaced = tables.replace_page(&mut memory, &mut tlb, inner, frame(1), data);
    assert_eq!(replaced, Err(Error::InsideBlock(inner)));
    let cut = pages(KERNEL | 0x3_FE00, 0x200 + 0x3_FFFF);
    let error = tables.unmap_range(&mut memory, &mut tlb, cut, cut, 100, |_, _| {}).unwrap_err();
    assert_eq!(error, Error::InsideBlock(page(KERNEL | 0x4_0000)));
    let mut gone = Vec::new();
    let done = tables
        .unmap_range(&mut memory, &mut tlb, all, all, 1000, |page, mapping| gone.push((page, mapping.size)));
    assert_eq!(done, Ok(Progress::Done));
    assert_eq!(gone.iter().map(|(_, size)| size.pages()).sum::<u64>(), 0x8_0001);
    memory.assert_quiet();
}

#[test]
fn a_range_reports_frames_after_invalidation_and_frees_empty_tables() {
    let (mut memory, mut tlb, mut tables) = user_space();
    for number in 500..530 {
        tables.map_page(&mut memory, &mut tlb, page(number), frame(number), user(Access::ReadWrite)).unwrap();
    }
    assert_eq!(memory.tables(), 5);
    let watcher = memory.clone();
    let mut gone = Vec::new();
    let mut unmap = |range, vacant, gone: &mut Vec<u64>| {
        tables.unmap_range(&mut memory, &mut tlb, range, vacant, 1000, |page, mapping| {
            watcher.assert_unreachable(mapping.frame);
            gone.push(page.number());
        })
    };
    let everything = pages(0, 1 << 36);
    assert_eq!(unmap(pages(500, 12), pages(500, 12), &mut gone), Ok(Progress::Done));
    assert_eq!((watcher.tables(), watcher.invalidations()), (5, (12, 0)));
    assert_eq!(unmap(pages(520, 10), everything, &mut gone), Ok(Progress::Done));
    assert_eq!(watcher.tables(), 5);
    assert_eq!(unmap(pages(0, 5000), everything, &mut gone), Ok(Progress::Done));
    assert_eq!(gone.len(), 30);
    assert_eq!(watcher.tables(), 1, "the root alone");
    watcher.assert_quiet();
}

#[test]
fn a_freed_table_is_not_remembered() {
    let (mut memory, mut tlb, mut tables) = user_space();
    for round in 0..3 {
        tables.map_page(&mut memory, &mut tlb, page(16), frame(round), user(Access::ReadWrite)).unwrap();
        assert_eq!(
            (tables.walk(&memory, page(16).start()).unwrap().frame, memory.tables()),
            (frame(round), 4)
        );
        let everything = pages(0, 1 << 36);
        let done = tables.unmap_range(&mut memory, &mut tlb, pages(16, 1), everything, 10, |_, _| {});
        assert_eq!((done, memory.tables()), (Ok(Progress::Done), 1));
    }
}

#[test]
fn many_pages_are_forgotten_at_once() {
    let (mut memory, mut tlb, mut tables) = user_space();
    let all = pages(0x1_0000, 700);
    tables.map_range(&mut memory, &mut tlb, all, frame(0x8_0001), user(Access::ReadWrite)).unwrap();
    memory.invalidations();
    let mut gone = 0;
    let done = tables.unmap_range(&mut memory, &mut tlb, all, all, 100_000, |_, _| gone += 1);
    assert_eq!((done, gone), (Ok(Progress::Done), 700));
    let (by_page, by_space) = memory.invalidations();
    assert!(by_page <= 20 && by_space == 1, "{by_page} and {by_space}");
}

#[test]
fn a_small_budget_means_more_steps_not_other_results() {
    let (mut memory, mut tlb, mut tables) = user_space();
    let all = pages(0x1_0000, 300);
    tables.map_range(&mut memory, &mut tlb, all, frame(0x8_0001), user(Access::ReadWrite)).unwrap();
    let mut left = all;
    let (mut steps, mut gone) = (0, 0);
    while let Progress::More(next) =
        tables.unmap_range(&mut memory, &mut tlb, left, all, 7, |_, _| gone += 1).unwrap()
    {
        assert!(next > left.start());
        left = PageRange::new(next, all.end()).unwrap();
        steps += 1;
    }
    assert_eq!(gone, 300);
    assert!(steps >= 300 / 7);
}

#[test]
fn without_memory_nothing_is_mapped() {
    let (mut memory, mut tlb, mut tables) = user_space();
    for limit in 1..4 {
        memory.limit(limit);
        let refused = tables.map_page(&mut memory, &mut tlb, page(16), frame(7), user(Access::ReadOnly));
        assert_eq!(refused, Err(Error::OutOfTables));
        assert_eq!(tables.walk(&memory, page(16).start()), None);
    }
    memory.limit(4);
    tables.map_page(&mut memory, &mut tlb, page(16), frame(7), user(Access::ReadOnly)).unwrap();
    let mut teardown = tables.into_teardown();
    assert!(teardown.step(&mut memory, 1000, |_, _, _| {}));
    assert_eq!((memory.tables(), teardown.is_done()), (0, true));
    assert!(teardown.step(&mut memory, 1, |_, _, _| panic!("nothing is left")));
}

#[test]
fn an_audit_finds_an_entry_that_somebody_else_wrote() {
    const READ_ONLY: u64 = 1 << 7;
    let (mut memory, mut tlb, mut tables) = user_space();
    for number in [0, 70, 511, 1 << 20] {
        tables
            .map_page(&mut memory, &mut tlb, page(number), frame(number + 1), user(Access::ReadExecute))
            .unwrap();
    }
    assert_eq!(tables.audit(&memory), Audit { leaves: 4, unsound: 0 });
    let (_, entry) = memory.leaves(tables.root())[&70];
    let mut table = tables.root();
    for _ in 0..3 {
        table = Frame::containing(PhysAddr::new(memory.read(table, 0) & 0x0000_FFFF_FFFF_F000).unwrap());
    }
    // Where the table has an entry, and where its summary says that it has none.
    memory.raw(table).0[70].store(entry & !READ_ONLY, Ordering::Relaxed);
    assert_eq!(tables.audit(&memory), Audit { leaves: 4, unsound: 1 });
    memory.raw(table).0[300].store(entry & !READ_ONLY, Ordering::Relaxed);
    assert_eq!(tables.audit(&memory), Audit { leaves: 5, unsound: 2 });
}

#[test]
fn teardown_of_a_small_space_reads_little() {
    let (mut memory, mut tlb, mut tables) = user_space();
    for number in [0x10, 0x11, 0x30, 0x7_FFFF_FFF0, 0x7_FFFF_FFF1] {
        tables.map_page(&mut memory, &mut tlb, page(number), frame(number), user(Access::ReadOnly)).unwrap();
    }
    assert_eq!(memory.tables(), 7);
    let mut teardown = tables.into_teardown();
    let (mut leaves, mut entries) = (0, 0);
    while !teardown.step(&mut memory, 1, |_, _, _| leaves += 1) {
        entries += 1;
    }
    assert_eq!((leaves, memory.tables()), (5, 0));
    assert!(entries < 9 * 64, "{entries} entries read of {}", 7 * 512);
}

#[test]
fn a_copy_shares_frames_and_nobody_writes_them() {
    for budget in [1, 7, 10_000] {
        let (mut memory, mut tlb, mut tables) = user_space();
        let shared = Attributes::user(Access::ReadWrite, Sharing::Shared);
        let cases = [
            (16, user(Access::ReadWrite), Attributes::user(Access::ReadWrite, Sharing::CopyOnWrite)),
            (17, user(Access::ReadOnly), Attributes::user(Access::ReadOnly, Sharing::CopyOnWrite)),
            (80, user(Access::ReadExecute), Attributes::user(Access::ReadExecute, Sharing::CopyOnWrite)),
            (511, user(Access::None), Attributes::user(Access::None, Sharing::CopyOnWrite)),
            (1 << 35, user(Access::ReadWrite), Attributes::user(Access::ReadWrite, Sharing::CopyOnWrite)),
        ];
        for (number, attributes, _) in cases {
            tables.map_page(&mut memory, &mut tlb, page(number), frame(number), attributes).unwrap();
        }
        tables.map_page(&mut memory, &mut tlb, page(1 << 20), frame(7), shared).unwrap();
        let mut child = Tables::new(Half::User, &mut memory).unwrap();
        let mut told = Vec::new();
        let mut rest = pages(0, 1 << 36);
        while let Progress::More(next) = tables
            .share_with(&mut memory, &mut tlb, &mut child, rest, budget, |frame| told.push(frame.number()))
            .unwrap()
        {
            rest = PageRange::new(next, page(1 << 36)).unwrap();
        }
        assert_eq!(told, cases.map(|(number, ..)| number));
        for (number, _, after) in cases {
            for side in [&tables, &child] {
                let mapping = side.walk(&memory, page(number).start()).unwrap();
                assert_eq!((mapping.frame, mapping.attributes), (frame(number), after));
            }
        }
        // What others lend stays here, and the child has to ask for it.
        assert_eq!(tables.walk(&memory, page(1 << 20).start()).unwrap().attributes, shared);
        assert_eq!(child.walk(&memory, page(1 << 20).start()), None);
        // Only now does every TLB forget: that is the caller's to do.
        assert_eq!(memory.invalidations(), (0, 0));
        swos_vm::Tlb::invalidate_space(&mut tlb);
        swos_vm::Tlb::synchronize(&mut tlb);
        memory.assert_quiet();
        // A write of either side replaces its own entry alone.
        child.replace_page(&mut memory, &mut tlb, page(16), frame(99), user(Access::ReadWrite)).unwrap();
        assert_eq!(tables.walk(&memory, page(16).start()).unwrap().frame, frame(16));
    }
}

#[test]
fn a_copy_without_memory_tells_what_it_shared() {
    let (mut memory, mut tlb, mut tables) = user_space();
    let spread = [16, 17, 1 << 20, 1 << 30];
    for number in spread {
        tables.map_page(&mut memory, &mut tlb, page(number), frame(number), user(Access::ReadWrite)).unwrap();
    }
    let own = memory.tables();
    for room in 1..10 {
        let mut child = Tables::new(Half::User, &mut memory).unwrap();
        memory.limit(own + room);
        let mut told = 0;
        let everything = pages(0, 1 << 36);
        let outcome = tables.share_with(&mut memory, &mut tlb, &mut child, everything, 10_000, |_| told += 1);
        assert_eq!(outcome.is_ok(), told == spread.len(), "{room} tables");
        memory.limit(usize::MAX);
        let mut freed = 0;
        assert!(child.into_teardown().step(&mut memory, 100_000, |_, _, _| freed += 1));
        assert_eq!((freed, memory.tables()), (told, own));
    }
}
