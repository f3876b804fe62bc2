//! Random operations against a map of pages, and the resulting memory read by the walker of `aarch64-paging`.

#![expect(unsafe_code, reason = "the oracle's trait has an unsafe method")]

use core::ptr::NonNull;
use std::collections::BTreeMap;

use crate::machine::{Memory, RecordingTlb, machine};
use aarch64_paging::descriptor::{El1Attributes, PhysicalAddress};
use aarch64_paging::paging::{
    El1And0, MemoryRegion, PageTable, RootTable, Translation, TranslationRegime, VaRange,
};
use proptest::prelude::*;
use swos_units::{Frame, Page};
use swos_vm::{Access, Attributes, Error, Half, MemoryType, PageRange, PageSize, Progress, Sharing, Tables};

/// Lets the oracle read our tables.
struct Window {
    memory: Memory,
    root: Frame,
}

impl Window {
    fn table(&self, frame: Frame) -> NonNull<PageTable<<El1And0 as TranslationRegime>::Attributes>> {
        NonNull::from(self.memory.raw(frame)).cast()
    }
}

impl Translation<El1Attributes> for Window {
    fn allocate_table(&mut self) -> (NonNull<PageTable<El1Attributes>>, PhysicalAddress) {
        (self.table(self.root), PhysicalAddress(usize::try_from(self.root.start().get()).unwrap()))
    }

    unsafe fn deallocate_table(&mut self, _table: NonNull<PageTable<El1Attributes>>) {}

    fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<PageTable<El1Attributes>> {
        self.table(Frame::from_number(pa.0 as u64 >> 12).unwrap())
    }
}

/// What the oracle says about a page: frame and flags of a valid leaf.
fn ask(oracle: &RootTable<El1And0, Window>, page: Page) -> Option<(u64, El1Attributes)> {
    let start = usize::try_from(page.start().get()).unwrap();
    let mut answer = None;
    oracle
        .walk_range(&MemoryRegion::new(start, start + 1), &mut |_, descriptor, level| {
            if descriptor.is_valid() {
                assert_eq!(descriptor.is_table_or_page(), level == 3);
                let inside = (page.number() & ((1 << ((3 - level) * 9)) - 1)) << 12;
                answer = Some(((descriptor.output_address().0 as u64 + inside) >> 12, descriptor.flags()));
            }
            Ok(())
        })
        .unwrap();
    answer
}

/// The flags that a mapping must have, by the oracle's names.
fn expected_flags(attributes: Attributes) -> El1Attributes {
    let mut flags = El1Attributes::ACCESSED | El1Attributes::INNER_SHAREABLE | El1Attributes::SWFLAG_2;
    let own_no_execute = match attributes.half() {
        Half::User => {
            flags |= El1Attributes::USER | El1Attributes::NON_GLOBAL | El1Attributes::PXN;
            El1Attributes::UXN
        }
        Half::Kernel => {
            flags |= El1Attributes::UXN;
            El1Attributes::PXN
        }
    };
    if attributes.access() != Access::ReadExecute {
        flags |= own_no_execute;
    }
    if attributes.access() != Access::ReadWrite {
        flags |= El1Attributes::READ_ONLY;
    }
    flags |= match attributes.sharing() {
        Sharing::Private => El1Attributes::empty(),
        Sharing::CopyOnWrite => El1Attributes::SWFLAG_0,
        Sharing::Shared => El1Attributes::SWFLAG_1,
    };
    flags |= match attributes.memory() {
        MemoryType::Normal => El1Attributes::ATTRIBUTE_INDEX_0,
        MemoryType::Device => El1Attributes::ATTRIBUTE_INDEX_1,
        MemoryType::NonCacheable => El1Attributes::ATTRIBUTE_INDEX_2,
    };
    flags | El1Attributes::VALID
}

#[derive(Clone, Debug)]
enum Op {
    Map(u64, u64, Attributes),
    MapRange(u64, u64, u64, Attributes),
    Replace(u64, u64, Attributes),
    Unmap(u64),
    UnmapRange(u64, u64, usize),
    Protect(u64, u64, Access, usize),
    Limit(usize),
}

/// The last page that a range can end with: the one after it must have a number in the kernel half too.
const LAST: u64 = (1 << 36) - 2;

/// Page numbers in a few clusters, near borders of tables.
fn number() -> impl Strategy<Value = u64> {
    let base = prop_oneof![
        Just(16),
        Just(505),
        Just(0x600),
        Just(0x3_FFF0),
        Just(0x7_FFFF_FF00),
        Just((1 << 36) - 600)
    ];
    (base, 0..600_u64).prop_map(|(base, offset)| (base + offset).min(LAST))
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 1..40_u64, 2 => 200..600_u64, 1 => 600..1600_u64]
}

/// Lengths of ranges that need not be mapped: also most of the address space.
fn reach() -> impl Strategy<Value = u64> {
    prop_oneof![3 => length(), 1 => 1..1_u64 << 36]
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::None, Access::ReadOnly, Access::ReadWrite, Access::ReadExecute])
}

fn attributes(half: Half) -> BoxedStrategy<Attributes> {
    let memory = prop::sample::select(vec![MemoryType::Normal, MemoryType::Device, MemoryType::NonCacheable]);
    let sharing = prop::sample::select(vec![Sharing::Private, Sharing::CopyOnWrite, Sharing::Shared]);
    match half {
        Half::User => {
            (access(), sharing).prop_map(|(access, sharing)| Attributes::user(access, sharing)).boxed()
        }
        Half::Kernel => {
            (access(), memory).prop_map(|(access, memory)| Attributes::kernel(access, memory)).boxed()
        }
    }
}

fn op(half: Half) -> impl Strategy<Value = Op> {
    let budget = prop_oneof![1..20_usize, 100..5000_usize];
    prop_oneof![
        6 => (number(), 0..1000_u64, attributes(half)).prop_map(|(p, f, a)| Op::Map(p, f, a)),
        2 => (number(), length(), 0..0x10_0000_u64, attributes(half)).prop_map(|(p, n, f, a)| Op::MapRange(p, n, f, a)),
        1 => (0..4_u64, 1..3_u64, 0..4_u64, prop_oneof![Just(9), Just(18)], attributes(half))
            .prop_map(|(p, n, f, shift, a)| Op::MapRange(p << shift, n << shift, f << shift, a)),
        3 => (number(), 0..1000_u64, attributes(half)).prop_map(|(p, f, a)| Op::Replace(p, f, a)),
        2 => number().prop_map(Op::Unmap),
        2 => (number(), reach(), budget.clone()).prop_map(|(p, n, b)| Op::UnmapRange(p, n, b)),
        2 => (number(), reach(), access(), budget).prop_map(|(p, n, a, b)| Op::Protect(p, n, a, b)),
        1 => (3..40_usize).prop_map(Op::Limit),
    ]
}

type Leaf = (u64, Attributes, PageSize);

/// The machine, our tables and what they should say, leaf by leaf.
struct Run {
    half: Half,
    memory: Memory,
    tlb: RecordingTlb,
    tables: Tables,
    /// First page number of each leaf.
    model: BTreeMap<u64, Leaf>,
}

impl Run {
    fn new(half: Half) -> Self {
        let (mut memory, tlb) = machine(half);
        let tables = Tables::new(half, &mut memory).unwrap();
        Self { half, memory, tlb, tables, model: BTreeMap::new() }
    }

    fn page(&self, number: u64) -> Page {
        let upper = if self.half == Half::Kernel { 0xFFFF << 36 } else { 0 };
        Page::from_number(number | upper).unwrap()
    }

    /// The leaf that has a page.
    fn leaf(&self, number: u64) -> Option<(u64, Leaf)> {
        let (first, leaf) = self.model.range(..=number).next_back()?;
        (number < first + leaf.2.pages()).then_some((*first, *leaf))
    }

    fn range(&self, start: u64, count: u64) -> PageRange {
        let count = count.min(LAST + 1 - start);
        PageRange::with_len(self.page(start), count).unwrap()
    }

    /// The free stretch around a range.
    fn vacant(&self, start: u64, end: u64) -> PageRange {
        let below = self.model.range(..start).next_back().map_or(0, |(first, leaf)| first + leaf.2.pages());
        let above = self.model.range(end..).next().map_or(1 << 36, |(first, _)| *first);
        PageRange::new(self.page(below.min(start)), self.page(above - 1)).unwrap()
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Limit(limit) => self.memory.limit(limit),
            Op::Map(number, frame, attributes) => {
                let frame = Frame::from_number(frame).unwrap();
                let page = self.page(number);
                match self.tables.map_page(&mut self.memory, &mut self.tlb, page, frame, attributes) {
                    Ok(()) => {
                        assert!(self.leaf(number).is_none());
                        self.model.insert(number, (frame.number(), attributes, PageSize::Page));
                    }
                    Err(Error::Mapped(_)) => assert!(self.leaf(number).is_some()),
                    Err(error) => assert_eq!(error, Error::OutOfTables),
                }
            }
            Op::MapRange(start, count, frame, attributes) => self.map_range(start, count, frame, attributes),
            Op::Replace(number, frame, attributes) => {
                let frame = Frame::from_number(frame).unwrap();
                let page = self.page(number);
                let before = self.leaf(number);
                match self.tables.replace_page(&mut self.memory, &mut self.tlb, page, frame, attributes) {
                    Ok(old) => {
                        let old = old.map(|old| (old.frame.number(), old.attributes, old.size));
                        assert_eq!(old, before.map(|(_, leaf)| leaf));
                        self.model.insert(number, (frame.number(), attributes, PageSize::Page));
                    }
                    Err(Error::InsideBlock(_)) => assert_ne!(before.unwrap().1.2, PageSize::Page),
                    Err(error) => assert_eq!((error, before), (Error::OutOfTables, None)),
                }
            }
            Op::Unmap(number) => {
                let page = self.page(number);
                let before = self.leaf(number);
                match self.tables.unmap_page(&mut self.memory, &mut self.tlb, page) {
                    Ok(old) => {
                        let old = old.map(|old| (old.frame.number(), old.attributes, old.size));
                        assert_eq!(old, before.map(|(_, leaf)| leaf));
                        self.model.remove(&number);
                    }
                    Err(error) => {
                        assert_eq!(error, Error::InsideBlock(page));
                        assert_ne!(before.unwrap().1.2, PageSize::Page);
                    }
                }
            }
            Op::UnmapRange(start, count, budget) => self.unmap_range(start, count, budget),
            Op::Protect(start, count, access, budget) => self.protect(start, count, access, budget),
        }
        self.memory.assert_quiet();
    }

    fn map_range(&mut self, start: u64, count: u64, frame: u64, attributes: Attributes) {
        let pages = self.range(start, count);
        let first = Frame::from_number(frame).unwrap();
        let result = self.tables.map_range(&mut self.memory, &mut self.tlb, pages, first, attributes);
        let (mut number, mut target) = (start, frame);
        let end = start + pages.count();
        while number < end {
            let size = [PageSize::Gigabyte1, PageSize::Megabytes2, PageSize::Page]
                .into_iter()
                .find(|size| {
                    number % size.pages() == 0 && target % size.pages() == 0 && number + size.pages() <= end
                })
                .unwrap();
            let there = self.tables.walk(&self.memory, self.page(number).start());
            match there {
                Some(found)
                    if found.frame.number() == target
                        && found.size == size
                        && self.leaf(number).is_none() =>
                {
                    self.model.insert(number, (target, attributes, size));
                }
                _ => break,
            }
            number += size.pages();
            target += size.pages();
        }
        match result {
            Ok(()) => assert_eq!(number, end),
            Err(Error::Mapped(page)) => assert_eq!(page, self.page(number)),
            Err(error) => assert_eq!(error, Error::OutOfTables),
        }
    }

    /// The leaves of a range in order, and the first that reaches out of it.
    fn inside(&self, start: u64, end: u64) -> (Vec<u64>, Option<u64>) {
        let from = self.leaf(start).map_or(start, |(first, _)| first);
        let mut whole = Vec::new();
        for (first, leaf) in self.model.range(from..end) {
            if *first < start || first + leaf.2.pages() > end {
                return (whole, Some((*first).max(start)));
            }
            whole.push(*first);
        }
        (whole, None)
    }

    fn unmap_range(&mut self, start: u64, count: u64, budget: usize) {
        let all = self.range(start, count);
        let end = start + all.count();
        let vacant = self.vacant(start, end);
        let (expected, cut) = self.inside(start, end);
        let mut gone = Vec::new();
        let mut pages = all;
        let watcher = self.memory.clone();
        let result = loop {
            let step = self.tables.unmap_range(
                &mut self.memory,
                &mut self.tlb,
                pages,
                vacant,
                budget,
                |page, old| {
                    watcher.assert_unreachable(old.frame);
                    gone.push((
                        page.number() & ((1 << 36) - 1),
                        (old.frame.number(), old.attributes.sharing(), old.size),
                    ));
                },
            );
            match step {
                Ok(Progress::More(next)) => {
                    assert!(next > pages.start());
                    pages = PageRange::new(next, all.end()).unwrap();
                }
                other => break other,
            }
        };
        let model: Vec<_> =
            expected.iter().map(|first| (*first, self.model.remove(first).unwrap())).collect();
        let model: Vec<_> =
            model.iter().map(|(first, leaf)| (*first, (leaf.0, leaf.1.sharing(), leaf.2))).collect();
        assert_eq!(gone, model);
        match cut {
            Some(number) => assert_eq!(result, Err(Error::InsideBlock(self.page(number)))),
            None => assert_eq!(result, Ok(Progress::Done)),
        }
    }

    fn protect(&mut self, start: u64, count: u64, access: Access, budget: usize) {
        let all = self.range(start, count);
        let (expected, cut) = self.inside(start, start + all.count());
        let mut pages = all;
        let result = loop {
            match self.tables.protect_range(&mut self.memory, &mut self.tlb, pages, access, budget) {
                Ok(Progress::More(next)) => pages = PageRange::new(next, all.end()).unwrap(),
                other => break other,
            }
        };
        for first in expected {
            let leaf = self.model.get_mut(&first).unwrap();
            leaf.1 = leaf.1.with_access(access);
        }
        assert_eq!(result.is_err(), cut.is_some());
    }

    /// Compares everything: our walk, our visit, a walk without summaries, and the oracle.
    fn compare(&self) {
        let leaves = self.memory.leaves(self.tables.root());
        assert_eq!(leaves.keys().collect::<Vec<_>>(), self.model.keys().collect::<Vec<_>>());
        let mut visited = Vec::new();
        let everything = self.range(0, (1 << 36) - 1);
        let done = self.tables.visit(&self.memory, everything, usize::MAX, |page, mapping| {
            visited.push((
                page.number() & ((1 << 36) - 1),
                (mapping.frame.number(), mapping.attributes, mapping.size),
            ));
        });
        assert_eq!(done, Ok(Progress::Done));
        let visible: Vec<_> =
            self.model.range(..(1 << 36) - 1).map(|(first, leaf)| (*first, *leaf)).collect();
        assert_eq!(visited, visible);

        let range = if self.half == Half::User { VaRange::Lower } else { VaRange::Upper };
        let window = Window { memory: self.memory.clone(), root: self.tables.root() };
        let oracle = RootTable::with_va_range(window, 0, El1And0, range);
        let borders = self.model.iter().flat_map(|(first, leaf)| {
            let last = first + leaf.2.pages() - 1;
            [first.saturating_sub(1), *first, first.midpoint(last), last, last + 1]
        });
        for number in borders.filter(|number| *number < (1 << 36) - 1) {
            let page = self.page(number);
            let expected = self.leaf(number).map(|(first, leaf)| (leaf.0 + (number - first), leaf.1));
            let ours = self.tables.walk(&self.memory, page.start());
            assert_eq!(ours.map(|found| (found.frame.number(), found.attributes)), expected);
            let reachable = expected.filter(|(_, attributes)| attributes.access() != Access::None);
            let theirs = ask(&oracle, page);
            assert_eq!(theirs.map(|(frame, _)| frame), reachable.map(|(frame, _)| frame), "page {number:#x}");
            if let (Some((_, flags)), Some((_, attributes))) = (theirs, reachable) {
                assert_eq!(
                    flags - El1Attributes::TABLE_OR_PAGE,
                    expected_flags(attributes),
                    "page {number:#x}"
                );
            }
        }
        // Its destructor would free our tables.
        core::mem::forget(oracle);
    }

    /// Takes everything apart in steps of `budget`; nothing may be left.
    fn finish(mut self, budget: usize) {
        let mut teardown = self.tables.into_teardown();
        let mut gone = Vec::new();
        let mut steps = 0;
        while !teardown.step(&mut self.memory, budget, |frame, attributes, size| {
            gone.push((frame.number(), attributes, size));
        }) {
            steps += 1;
            assert!(steps < 1_000_000);
        }
        assert_eq!(gone, self.model.into_values().collect::<Vec<_>>());
        assert_eq!(self.memory.tables(), 0);
    }
}

/// A few cases by default, more with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig::with_cases(cases)
}

fn run(half: Half, ops: &[Op], budget: usize) {
    let mut run = Run::new(half);
    for op in ops {
        run.apply(op);
    }
    run.compare();
    run.finish(budget);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn user_tables_agree_with_model_and_oracle(
        ops in prop::collection::vec(op(Half::User), 1..60),
        budget in prop_oneof![1..10_usize, Just(1000)],
    ) {
        run(Half::User, &ops, budget);
    }

    #[test]
    fn kernel_tables_agree_with_model_and_oracle(
        ops in prop::collection::vec(op(Half::Kernel), 1..60),
        budget in prop_oneof![1..10_usize, Just(1000)],
    ) {
        run(Half::Kernel, &ops, budget);
    }
}
