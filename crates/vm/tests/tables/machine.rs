//! A machine that holds tables and a TLB, and panics when the architecture would be violated.
//!
//! Every translation that was ever valid is assumed to be in the TLB until its invalidation has completed. So a missing
//! break, a missing invalidation or a frame reused too early shows at once.

use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use swos_units::{Frame, Page};
use swos_vm::{Half, TableMemory, Tlb};

const VALID: u64 = 1;
const TABLE: u64 = 2;
const ADDRESS: u64 = 0x0000_FFFF_FFFF_F000;
/// Bits that may change in a valid leaf without a break: permissions and software bits. DDI 0487 L.a §D8.17.1.
const CHANGEABLE: u64 = 1 << 7 | 0b11 << 53 | 0b1111 << 55;

/// A frame of table memory at a place that never moves, so that another walker can read it too.
#[repr(align(4096))]
#[derive(Debug)]
pub(crate) struct TableFrame(pub(crate) [AtomicU64; 512]);

#[derive(Debug, Default)]
struct State {
    half: Option<Half>,
    tables: HashMap<Frame, (&'static TableFrame, u32, u64)>,
    next: u64,
    limit: usize,
    /// What the TLB may still hold: first page number, number of pages, entry, whether its invalidation has begun.
    stale: Vec<(u64, u64, u64, bool)>,
    /// Tables that the walker may still remember, by the first page they covered.
    stale_tables: HashMap<Frame, (u64, bool)>,
    unpublished_tables: HashSet<Frame>,
    unpublished: bool,
    page_invalidations: usize,
    space_invalidations: usize,
}

/// The memory side.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Rc<RefCell<State>>);

/// The TLB side.
#[derive(Clone, Debug)]
pub(crate) struct RecordingTlb(Rc<RefCell<State>>);

pub(crate) fn machine(half: Half) -> (Memory, RecordingTlb) {
    let state = State { half: Some(half), next: 0x9_0000, limit: usize::MAX, ..State::default() };
    let state = Rc::new(RefCell::new(state));
    (Memory(Rc::clone(&state)), RecordingTlb(state))
}

fn span(level: u32) -> u64 {
    1 << ((3 - level) * 9)
}

impl Memory {
    /// How many tables are in use.
    pub(crate) fn tables(&self) -> usize {
        self.0.borrow().tables.len()
    }

    /// Lets `alloc_table` fail when so many are in use.
    pub(crate) fn limit(&self, limit: usize) {
        self.0.borrow_mut().limit = limit;
    }

    pub(crate) fn raw(&self, table: Frame) -> &'static TableFrame {
        self.0.borrow().tables[&table].0
    }

    /// Panics if a TLB may hold something that is no longer in the tables, or a walker may not see what is.
    pub(crate) fn assert_quiet(&self) {
        let state = self.0.borrow();
        assert!(state.stale.is_empty(), "stale translations: {:x?}", state.stale);
        assert!(!state.unpublished, "table writes were not published");
    }

    /// Panics if the TLB may still reach `frame` through an old translation.
    pub(crate) fn assert_unreachable(&self, frame: Frame) {
        let state = self.0.borrow();
        let holds = |entry: u64, count: u64| {
            let first = (entry & ADDRESS) >> 12;
            first <= frame.number() && frame.number() < first + count
        };
        assert!(
            !state.stale.iter().any(|(_, count, entry, _)| holds(*entry, *count)),
            "{frame:?} is in a TLB"
        );
    }

    /// Invalidations since the last call: of pages, of the space.
    pub(crate) fn invalidations(&self) -> (usize, usize) {
        let mut state = self.0.borrow_mut();
        let counts = (state.page_invalidations, state.space_invalidations);
        (state.page_invalidations, state.space_invalidations) = (0, 0);
        counts
    }

    /// All leaves by a walk of everything: first page number, level, entry. Trusts no summary.
    pub(crate) fn leaves(&self, root: Frame) -> BTreeMap<u64, (u32, u64)> {
        let mut found = BTreeMap::new();
        self.collect(root, 0, 0, &mut found);
        found
    }

    fn collect(&self, table: Frame, level: u32, base: u64, found: &mut BTreeMap<u64, (u32, u64)>) {
        for index in 0..512 {
            let entry = self.read(table, index);
            let first = base + index as u64 * span(level);
            if level < 3 && entry & (VALID | TABLE) == VALID | TABLE {
                let next = Frame::from_number((entry & ADDRESS) >> 12).unwrap();
                self.collect(next, level + 1, first, found);
            } else if entry != 0 {
                found.insert(first, (level, entry));
            }
        }
    }
}

impl TableMemory for Memory {
    fn read(&self, table: Frame, index: usize) -> u64 {
        self.0.borrow().tables[&table].0.0[index].load(Ordering::Relaxed)
    }

    fn write(&mut self, table: Frame, index: usize, entry: u64) {
        let state = &mut *self.0.borrow_mut();
        let (memory, level, base) = state.tables[&table];
        let old = memory.0[index].swap(entry, Ordering::Relaxed);
        let first = base + index as u64 * span(level);
        let is_table = |entry: u64| level < 3 && entry & (VALID | TABLE) == VALID | TABLE;
        if is_table(entry) && !is_table(old) {
            let child = Frame::from_number((entry & ADDRESS) >> 12).unwrap();
            assert_eq!(old & VALID, 0, "a block became a table without a break");
            assert!(
                !state.unpublished_tables.contains(&child),
                "a table was linked before its zeroes were visible"
            );
            let (memory, ..) = state.tables[&child];
            state.tables.insert(child, (memory, level + 1, first));
        } else if is_table(old) && !is_table(entry) {
            let child = Frame::from_number((old & ADDRESS) >> 12).unwrap();
            assert_eq!(entry, 0, "a table was replaced without a break");
            state.stale_tables.insert(child, (first, false));
        } else if is_table(entry) {
            assert_eq!((old ^ entry) & ADDRESS, 0, "a table was exchanged");
        } else {
            if old & VALID != 0 && old != entry {
                state.stale.push((first, span(level), old, false));
            }
            if entry & VALID != 0 {
                for (start, count, stale, _) in &state.stale {
                    let apart = first + span(level) <= *start || start + count <= first;
                    let harmless = *count == span(level) && (stale ^ entry) & !CHANGEABLE == 0;
                    assert!(
                        apart || harmless,
                        "page {first:#x}: {stale:#x} became {entry:#x} without a break"
                    );
                }
            }
        }
        // A table that a walker doesn't see yet does no harm.
        state.unpublished |= entry & VALID != 0 && !is_table(entry);
    }

    fn alloc_table(&mut self) -> Option<Frame> {
        let state = &mut *self.0.borrow_mut();
        if state.tables.len() >= state.limit {
            return None;
        }
        let frame = Frame::from_number(state.next).unwrap();
        state.next += 1;
        let memory = Box::leak(Box::new(TableFrame([const { AtomicU64::new(0) }; 512])));
        state.tables.insert(frame, (memory, 0, 0));
        state.unpublished_tables.insert(frame);
        Some(frame)
    }

    fn free_table(&mut self, table: Frame) {
        let state = &mut *self.0.borrow_mut();
        assert!(!state.stale_tables.contains_key(&table), "a table was freed while a walker may remember it");
        assert!(state.tables.remove(&table).is_some(), "a table was freed twice");
    }
}

impl Tlb for RecordingTlb {
    fn publish(&mut self) {
        let state = &mut *self.0.borrow_mut();
        state.unpublished_tables.clear();
        state.unpublished = false;
    }

    fn invalidate_page(&mut self, page: Page) {
        let state = &mut *self.0.borrow_mut();
        let number = match state.half {
            Some(Half::Kernel) => {
                assert_eq!(page.number() >> 36, 0xFFFF);
                page.number() & ((1 << 36) - 1)
            }
            _ => page.number(),
        };
        state.page_invalidations += 1;
        for (first, count, _, begun) in &mut state.stale {
            *begun |= *first <= number && number < *first + *count;
        }
        for (first, begun) in state.stale_tables.values_mut() {
            *begun |= *first <= number;
        }
    }

    fn invalidate_space(&mut self) {
        let state = &mut *self.0.borrow_mut();
        state.space_invalidations += 1;
        state.stale.iter_mut().for_each(|(.., begun)| *begun = true);
        state.stale_tables.values_mut().for_each(|(_, begun)| *begun = true);
    }

    fn synchronize(&mut self) {
        let state = &mut *self.0.borrow_mut();
        state.stale.retain(|(.., begun)| !begun);
        state.stale_tables.retain(|_, (_, begun)| !*begun);
        state.unpublished_tables.clear();
        state.unpublished = false;
    }
}
