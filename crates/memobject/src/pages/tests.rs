//! Beside a map, with every node counted and some refused.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use swos_units::Frame;
use swos_vm::TableMemory;

use super::{Error, PAGES_MAX, PageMap, Progress};

/// Nodes; so many more can be had.
#[derive(Debug)]
struct Nodes {
    tables: HashMap<Frame, Box<[u64; 512]>>,
    next: u64,
    left: usize,
    reads: core::cell::Cell<usize>,
}

impl Nodes {
    fn new(left: usize) -> Self {
        Self { tables: HashMap::new(), next: 1 << 20, left, reads: core::cell::Cell::new(0) }
    }
}

impl TableMemory for Nodes {
    fn read(&self, table: Frame, index: usize) -> u64 {
        self.reads.set(self.reads.get() + 1);
        self.tables[&table][index]
    }

    fn write(&mut self, table: Frame, index: usize, entry: u64) {
        self.tables.get_mut(&table).unwrap()[index] = entry;
    }

    fn alloc_table(&mut self) -> Option<Frame> {
        self.left = self.left.checked_sub(1)?;
        self.next += 1;
        let frame = Frame::from_number(self.next).unwrap();
        self.tables.insert(frame, Box::new([0; 512]));
        Some(frame)
    }

    fn free_table(&mut self, table: Frame) {
        assert!(self.tables.remove(&table).is_some(), "a node is freed once");
        self.left += 1;
    }
}

fn frame(number: u64) -> Frame {
    Frame::from_number(number).unwrap()
}

#[test]
fn one_page_needs_no_node_and_two_mebibytes_need_one() {
    let mut nodes = Nodes::new(usize::MAX);
    let mut map = PageMap::new();
    map.insert(&mut nodes, 0, frame(7)).unwrap();
    assert_eq!((nodes.tables.len(), map.get(&nodes, 0), map.get(&nodes, 1)), (0, Some(frame(7)), None));
    for page in 1..512 {
        map.insert(&mut nodes, page, frame(page)).unwrap();
    }
    assert_eq!((nodes.tables.len(), map.pages()), (1, 512));
    map.insert(&mut nodes, 512, frame(512)).unwrap();
    assert_eq!(nodes.tables.len(), 3);
    assert_eq!((map.get(&nodes, 0), map.get(&nodes, 511)), (Some(frame(7)), Some(frame(511))));
}

#[test]
fn a_page_keeps_its_first_frame_and_far_pages_are_refused() {
    let mut nodes = Nodes::new(usize::MAX);
    let mut map = PageMap::new();
    map.insert(&mut nodes, PAGES_MAX - 1, frame(1)).unwrap();
    assert_eq!(map.insert(&mut nodes, PAGES_MAX - 1, frame(2)), Err(Error::Present(frame(1))));
    assert_eq!(map.insert(&mut nodes, PAGES_MAX, frame(2)), Err(Error::TooFar));
    assert_eq!(map.get(&nodes, PAGES_MAX), None);
    assert_eq!(map.get(&nodes, u64::MAX), None);
    assert_eq!(nodes.tables.len(), 4);
}

#[test]
fn a_step_reads_little_however_sparse_the_object_is() {
    let mut nodes = Nodes::new(usize::MAX);
    let mut map = PageMap::new();
    for page in [0, 5, 511, 1 << 9, 1 << 18, (1 << 27) + 3, PAGES_MAX - 1] {
        map.insert(&mut nodes, page, frame(page & 0xFFFF)).unwrap();
    }
    loop {
        nodes.reads.set(0);
        let progress = map.trim(&mut nodes, 0, 1, |_, _| {});
        assert!(nodes.reads.get() <= 32, "{}", nodes.reads.get());
        if progress == Progress::Done {
            break;
        }
    }
    assert!(nodes.tables.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Trim(u64, usize),
}

fn page() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, 500..530_u64, 262_100..262_200_u64, (1_u64 << 27) - 2..(1 << 27) + 2, 0..PAGES_MAX]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => page().prop_map(Step::Insert),
        1 => (page(), 1..600_usize).prop_map(|(from, budget)| Step::Trim(from, budget)),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn it_is_a_map_and_gives_everything_back(steps in steps(), left in prop_oneof![Just(usize::MAX), 0..12_usize]) {
        let mut nodes = Nodes::new(left);
        let mut map = PageMap::new();
        let mut model = BTreeMap::new();
        for (number, step) in (1..).zip(steps) {
            match step {
                Step::Insert(page) => match map.insert(&mut nodes, page, frame(number)) {
                    Ok(()) => prop_assert_eq!(model.insert(page, frame(number)), None),
                    Err(Error::Present(present)) => prop_assert_eq!(model.get(&page), Some(&present)),
                    Err(Error::NoMemory) => prop_assert!(nodes.left == 0 && !model.contains_key(&page)),
                    Err(Error::TooFar) => prop_assert!(false, "no such page was tried"),
                },
                Step::Trim(from, budget) => {
                    let mut gone = vec![];
                    let progress = map.trim(&mut nodes, from, budget, |page, frame| gone.push((page, frame)));
                    for (page, frame) in gone {
                        prop_assert!(page >= from);
                        prop_assert_eq!(model.remove(&page), Some(frame));
                    }
                    if progress == Progress::Done {
                        prop_assert!(model.range(from..).next().is_none());
                    }
                }
            }
            prop_assert_eq!(map.pages(), model.len() as u64);
            for page in model.keys().flat_map(|&page| [page.saturating_sub(1), page, page + 1]) {
                prop_assert_eq!(map.get(&nodes, page), model.get(&page).copied());
            }
        }
        while map.trim(&mut nodes, 0, 500, |page, frame| assert_eq!(model.remove(&page), Some(frame))) == Progress::More {}
        prop_assert!(model.is_empty());
        prop_assert!(nodes.tables.is_empty(), "{} nodes are left", nodes.tables.len());
    }
}
