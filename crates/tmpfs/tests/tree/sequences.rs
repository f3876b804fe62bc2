//! Random operations of three principals, each answer and everything that can be seen compared.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_path::Name;
use swos_tmpfs::{Limits, TmpFs};
use swos_units::{Frame, PAGE_SIZE};
use swos_vfs::{
    Cursor, Error, FileSystem, FrameStore, Garbage, Kind, NewNode, NodeId, PageSource, Principal, WriteAt,
};

use crate::{
    model::{Model, What},
    store::Store,
};

const LIMITS: Limits = Limits { pages: 40, nodes: 24, principal_pages: 25, principal_nodes: 15 };

/// What is done. Numbers are reduced to what there is.
#[derive(Clone, Debug)]
enum Step {
    Create { who: u32, directory: usize, name: u8, kind: u8, mode: u32 },
    Link { who: u32, node: usize, directory: usize, name: u8 },
    Unlink { who: u32, directory: usize, name: u8, kind: bool },
    Rename { who: u32, from: (usize, u8), to: (usize, u8) },
    Write { node: usize, at: Option<u64>, length: usize, byte: u8 },
    SetSize { node: usize, size: u64 },
    SetMode { who: u32, node: usize, mode: u32 },
    SetOwner { who: u32, node: usize, owner: u32 },
    Open { node: usize },
    Close { at: usize },
    Share { node: usize },
    Unshare,
    Map { node: usize, index: u64 },
    Poke { at: usize, offset: usize, byte: u8 },
    Unmap { at: usize },
    Seal { node: usize },
    Reclaim { limit: u32 },
    Stale { at: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop_oneof![4 => Just(1_u32), 2 => Just(2), 1 => Just(3)];
    let name = || 0..6_u8;
    let mode = || proptest::sample::select(&[0o777_u32, 0o1777, 0o755, 0o700, 0o555, 0o722][..]);
    let pick = || 0..64_usize;
    let size = || prop_oneof![0..6_u64, 0..40_000_u64, 4095..4098_u64, 8191..8194_u64, Just(1 << 30)];
    prop_oneof![
        6 => (who(), pick(), name(), 0..8_u8, mode())
            .prop_map(|(who, directory, name, kind, mode)| Step::Create { who, directory, name, kind, mode }),
        2 => (who(), pick(), pick(), name())
            .prop_map(|(who, node, directory, name)| Step::Link { who, node, directory, name }),
        4 => (who(), pick(), name(), proptest::bool::ANY)
            .prop_map(|(who, directory, name, kind)| Step::Unlink { who, directory, name, kind }),
        5 => (who(), (pick(), name()), (pick(), name()))
            .prop_map(|(who, from, to)| Step::Rename { who, from, to }),
        8 => (pick(), proptest::option::of(size()), 0..9_000_usize, 1..=255_u8)
            .prop_map(|(node, at, length, byte)| Step::Write { node, at, length, byte }),
        3 => (pick(), size()).prop_map(|(node, size)| Step::SetSize { node, size }),
        1 => (who(), pick(), mode()).prop_map(|(who, node, mode)| Step::SetMode { who, node, mode }),
        1 => (who(), pick(), who()).prop_map(|(who, node, owner)| Step::SetOwner { who, node, owner }),
        3 => pick().prop_map(|node| Step::Open { node }),
        2 => pick().prop_map(|at| Step::Close { at }),
        1 => pick().prop_map(|node| Step::Share { node }),
        1 => Just(Step::Unshare),
        4 => (pick(), 0..3_u64).prop_map(|(node, index)| Step::Map { node, index }),
        4 => (pick(), prop_oneof![0..4096_usize, 0..8_usize], 1..=255_u8)
            .prop_map(|(at, offset, byte)| Step::Poke { at, offset, byte }),
        2 => pick().prop_map(|at| Step::Unmap { at }),
        2 => pick().prop_map(|node| Step::Seal { node }),
        3 => (0..6_u32).prop_map(|limit| Step::Reclaim { limit }),
        1 => pick().prop_map(|at| Step::Stale { at }),
    ]
}

fn name_of(name: &u8) -> Name<'_> {
    Name::new(core::slice::from_ref(&b"abcdef"[usize::from(*name)])).unwrap()
}

/// Both, and how the nodes of one are called in the other.
struct Pair {
    fs: TmpFs,
    model: Model,
    store: Store,
    ids: BTreeMap<usize, NodeId>,
    open: Vec<usize>,
    shared: Vec<(Frame, [u8; PAGE_SIZE])>,
    /// Pages that programs map: of which node, which one.
    mapped: Vec<(usize, u64, Frame)>,
    now: u64,
}

impl Pair {
    fn new() -> Self {
        let fs = TmpFs::new(LIMITS, [3, 4], Principal(1), 0o777, 0).unwrap();
        let ids = BTreeMap::from([(0, fs.root())]);
        let (model, store) = (Model::new(LIMITS, 0o777), Store::new(1000));
        Self { fs, model, store, ids, open: Vec::new(), shared: Vec::new(), mapped: Vec::new(), now: 0 }
    }

    /// One of the nodes that there are.
    fn pick(&self, at: usize) -> usize {
        *self.model.nodes.keys().nth(at % self.model.nodes.len()).unwrap()
    }

    /// Does something, and again as often as garbage stands in the way.
    fn insist<T>(
        &mut self,
        mut deed: impl FnMut(&mut TmpFs, &mut Store) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut tries = 0;
        loop {
            match deed(&mut self.fs, &mut self.store) {
                Err(Error::Again) => {
                    // It is not said when nothing waits: else this would not end.
                    assert!(tries < 1000);
                    tries += 1;
                    let _ = self.fs.reclaim(1, &mut self.store);
                }
                other => return other,
            }
        }
    }

    fn perform(&mut self, step: Step) {
        self.now += 1;
        let now = self.now;
        match step {
            Step::Create { who, directory, name, kind, mode } => {
                let directory = self.pick(directory);
                let id = self.ids[&directory];
                let (new, what) = match kind {
                    0..3 => (NewNode::Directory, What::Directory(Vec::new())),
                    3..6 => (NewNode::File, What::File(0, BTreeMap::new())),
                    6 => (NewNode::Symlink(b"x/y"), What::Symlink(b"x/y".to_vec())),
                    _ => (NewNode::Fifo, What::Fifo),
                };
                let made = self.insist(|fs, _| fs.create(Principal(who), id, name_of(&name), new, mode, now));
                let expected = self.model.create(who, (directory, name), what, mode);
                assert_eq!(made.map(drop), expected.map(drop));
                if let (Ok(id), Ok(at)) = (made, expected) {
                    self.ids.insert(at, id);
                }
            }
            Step::Link { who, node, directory, name } => {
                let (node, directory) = (self.pick(node), self.pick(directory));
                let (id, into) = (self.ids[&node], self.ids[&directory]);
                let linked = self.fs.link(Principal(who), id, into, name_of(&name), now);
                assert_eq!(linked, self.model.link(who, node, (directory, name)));
            }
            Step::Unlink { who, directory, name, kind } => {
                let directory = self.pick(directory);
                let wanted = if kind { Kind::Directory } else { Kind::File };
                let gone = self.fs.unlink(Principal(who), self.ids[&directory], name_of(&name), wanted, now);
                assert_eq!(gone, self.model.unlink(who, (directory, name), kind));
            }
            Step::Rename { who, from, to } => {
                let (from, to) = ((self.pick(from.0), from.1), (self.pick(to.0), to.1));
                let (old, new) = ((self.ids[&from.0], name_of(&from.1)), (self.ids[&to.0], name_of(&to.1)));
                let renamed = self.fs.rename(Principal(who), old, new, now);
                assert_eq!(renamed, self.model.rename(who, from, to));
            }
            Step::Write { node, at, length, byte } => {
                let node = self.pick(node);
                let id = self.ids[&node];
                let bytes: Vec<u8> = (0..length).map(|n| byte.wrapping_add((n / 100) as u8) | 1).collect();
                let place = at.map_or(WriteAt::End, WriteAt::Offset);
                let written = self.insist(|fs, store| fs.write(id, place, &bytes, now, store));
                // A short write may be short only because of garbage; then the rest is asked for again.
                let mut count = written.map(|written| written.count);
                while let Ok(taken) = count
                    && taken < length
                {
                    let at = written.unwrap().end + (taken - written.unwrap().count) as u64;
                    match self
                        .insist(|fs, store| fs.write(id, WriteAt::Offset(at), &bytes[taken..], now, store))
                    {
                        Ok(more) if more.count > 0 => count = Ok(taken + more.count),
                        _ => break,
                    }
                }
                assert_eq!(count, self.model.write(node, at, &bytes));
            }
            Step::SetSize { node, size } => {
                let node = self.pick(node);
                let id = self.ids[&node];
                let set = self.insist(|fs, store| fs.set_size(id, size, now, store));
                assert_eq!(set, self.model.set_size(node, size));
                if set.is_ok() {
                    // Beyond the end nothing stays mapped.
                    while let Some(at) = self
                        .mapped
                        .iter()
                        .position(|&(of, index, _)| of == node && index >= size.div_ceil(4096))
                    {
                        self.unmap(at);
                    }
                }
            }
            Step::SetMode { who, node, mode } => {
                let node = self.pick(node);
                let set = self.fs.set_mode(Principal(who), self.ids[&node], mode, now);
                assert_eq!(set, self.model.set_mode(who, node, Some(mode)));
            }
            Step::SetOwner { who, node, owner } => {
                let node = self.pick(node);
                let id = self.ids[&node];
                // What waits to be reclaimed is the owner's still.
                while self.fs.reclaim(9, &mut self.store) == Garbage::Left {}
                let set = self.fs.set_owner(Principal(who), id, Principal(owner), now);
                assert_eq!(set, self.model.set_owner(who, node, owner));
            }
            Step::Open { node } => {
                let node = self.pick(node);
                self.fs.retain(self.ids[&node]);
                self.model.nodes.get_mut(&node).unwrap().opens += 1;
                self.open.push(node);
            }
            Step::Close { at } => {
                if !self.open.is_empty() {
                    let node = self.open.swap_remove(at % self.open.len());
                    self.fs.release(self.ids[&node]);
                    self.model.close(node);
                }
            }
            Step::Share { node } => {
                let node = self.pick(node);
                if let Ok(Some(PageSource::Frame(frame))) = self.fs.page(self.ids[&node], 0) {
                    self.store.share(frame);
                    self.shared.push((frame, *self.store.bytes(frame)));
                }
            }
            Step::Unshare => {
                if let Some((frame, bytes)) = self.shared.pop() {
                    assert_eq!(self.store.bytes(frame), &bytes, "bytes in use elsewhere changed");
                    self.store.release(frame);
                }
            }
            Step::Map { node, index } => {
                let node = self.pick(node);
                let id = self.ids[&node];
                let shared = self.insist(|fs, store| fs.page_to_share(id, index, Some(now), store));
                assert_eq!(shared.map(drop), self.model.share(node, index));
                if let Ok(frame) = shared {
                    assert_eq!(self.fs.attributes(id).unwrap().modified_ns, now);
                    self.store.open(frame);
                    self.fs.retain(id);
                    self.model.nodes.get_mut(&node).unwrap().opens += 1;
                    self.mapped.push((node, index, frame));
                }
            }
            Step::Poke { at, offset, byte } => {
                if let Some(&(node, index, frame)) = self.mapped.get(at % self.mapped.len().max(1)) {
                    self.store.poke(frame, offset, byte);
                    self.model.poke(node, index * 4096 + offset as u64, byte);
                }
            }
            Step::Unmap { at } => {
                if !self.mapped.is_empty() {
                    self.unmap(at % self.mapped.len());
                }
            }
            Step::Seal { node } => {
                let id = self.ids[&self.pick(node)];
                for index in 0..3 {
                    if let Ok(Some(PageSource::Open(frame))) = self.fs.page(id, index)
                        && self.store.seals(frame)
                    {
                        self.fs.seal_page(id, index, &mut self.store);
                    }
                }
            }
            Step::Reclaim { limit } => {
                let _ = self.fs.reclaim(limit, &mut self.store);
            }
            Step::Stale { at } => {
                let dead: Vec<_> = self.ids.keys().filter(|at| !self.model.nodes.contains_key(at)).collect();
                if let Some(at) = dead.get(at % dead.len().max(1)) {
                    // Its file may still be on its way out; its name is not.
                    assert!(self.fs.name(self.ids[*at]).is_err());
                }
            }
        }
    }

    fn unmap(&mut self, at: usize) {
        let (node, _, frame) = self.mapped.swap_remove(at);
        self.store.release(frame);
        self.fs.release(self.ids[&node]);
        self.model.close(node);
    }

    /// Everything that can be seen.
    fn compare(&self) {
        for (&at, node) in &self.model.nodes {
            let id = self.ids[&at];
            let seen = self.fs.attributes(id).unwrap();
            assert_eq!((seen.owner.0, seen.mode), (node.owner, node.mode));
            let names = self.model.links(at) as u32;
            match &node.what {
                What::Directory(entries) => {
                    let below = entries
                        .iter()
                        .filter(|(_, child)| matches!(self.model.nodes[child].what, What::Directory(_)));
                    let links = if names == 0 { 0 } else { names + 1 + below.count() as u32 };
                    assert_eq!((seen.kind, seen.links), (Kind::Directory, links));
                    let (mut cursor, mut listed) = (Cursor::default(), Vec::new());
                    while let Some(entry) = self.fs.read_directory(id, cursor).unwrap() {
                        listed.push((entry.name.as_bytes()[0] - b'a', entry.child.node));
                        cursor = entry.next;
                    }
                    let expected: Vec<_> = entries.iter().map(|(name, at)| (*name, self.ids[at])).collect();
                    assert_eq!(listed, expected);
                    for (name, child) in entries {
                        let found = self.fs.lookup(Principal(node.owner), id, name_of(name));
                        if node.mode & 0o100 != 0 {
                            assert_eq!(found.unwrap().node, self.ids[child]);
                        }
                        if let What::Directory(_) = self.model.nodes[child].what {
                            assert_eq!(self.fs.parent(self.ids[child]), Ok(id));
                            assert_eq!(self.fs.name(self.ids[child]), Ok(Some(name_of(name))));
                        }
                    }
                }
                What::File(size, pages) => {
                    assert_eq!((seen.kind, seen.size, seen.links), (Kind::File, *size, names));
                    for index in 0..size.div_ceil(4096).min(20) {
                        let mapped = self.mapped.iter().find(|&&(of, page, _)| (of, page) == (at, index));
                        let page = self.fs.page(id, index).unwrap().unwrap();
                        if let Some((_, _, frame)) = mapped {
                            assert_eq!(page, PageSource::Open(*frame), "all share one frame");
                        }
                        let bytes = match page {
                            PageSource::Frame(frame) => self.store.bytes(frame).to_vec(),
                            PageSource::Open(frame) => {
                                let mut bytes = self.store.bytes(frame).to_vec();
                                let end = usize::try_from(size - index * 4096).unwrap().min(4096);
                                bytes[end..].fill(0);
                                bytes
                            }
                            PageSource::Hole => vec![0; 4096],
                            PageSource::Cached(_) => panic!("nothing is cached here"),
                        };
                        assert!(
                            pages
                                .get(&index)
                                .map_or(bytes.iter().all(|&byte| byte == 0), |page| *page == bytes)
                        );
                    }
                    assert_eq!(self.fs.page(id, size.div_ceil(4096)), Ok(None));
                }
                What::Symlink(target) => assert_eq!(self.fs.read_link(id).unwrap(), target),
                What::Fifo => assert_eq!((seen.kind, seen.links), (Kind::Fifo, names)),
            }
        }
    }

    /// Nothing is charged but what is there.
    fn settle(&mut self) {
        while self.fs.reclaim(7, &mut self.store) == Garbage::Left {}
        let usage = self.fs.usage();
        assert_eq!((usage.pages_used, usage.nodes_used), self.model.held(None));
        let links = self.model.nodes.values().filter(|node| matches!(node.what, What::Symlink(_))).count();
        let elsewhere = self.shared.len();
        let mine = usize::try_from(usage.pages_used).unwrap() - links;
        assert!((mine..=mine + elsewhere).contains(&self.store.in_use()));
        assert!(self.ids.iter().all(|(at, &id)| {
            self.model.nodes.contains_key(at) || self.fs.attributes(id) == Err(Error::NotFound)
        }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn answers_and_keeps_what_a_naive_one_does(steps in proptest::collection::vec(step(), 1..120)) {
        let mut pair = Pair::new();
        for (count, step) in steps.into_iter().enumerate() {
            pair.perform(step);
            pair.compare();
            if count % 16 == 15 {
                pair.settle();
            }
        }
        pair.settle();
        // All names, all handles, all users gone: so is everything else.
        for node in core::mem::take(&mut pair.open) {
            pair.fs.release(pair.ids[&node]);
        }
        while !pair.mapped.is_empty() {
            pair.unmap(0);
        }
        for (frame, bytes) in core::mem::take(&mut pair.shared) {
            assert_eq!(pair.store.bytes(frame), &bytes);
            pair.store.release(frame);
        }
        remove_below(&mut pair.fs, pair.ids[&0]);
        while pair.fs.reclaim(7, &mut pair.store) == Garbage::Left {}
        let usage = pair.fs.usage();
        prop_assert_eq!((usage.pages_used, usage.nodes_used, pair.store.in_use()), (0, 0, 0));
    }
}

fn remove_below(fs: &mut TmpFs, directory: NodeId) {
    let owner = fs.attributes(directory).unwrap().owner;
    fs.set_mode(owner, directory, 0o700, 0).unwrap();
    while let Some(entry) = fs.read_directory(directory, Cursor::default()).unwrap() {
        let (name, child) = (entry.name.as_bytes().to_vec(), entry.child);
        if child.kind == Kind::Directory {
            remove_below(fs, child.node);
        }
        fs.unlink(owner, directory, Name::new(&name).unwrap(), child.kind, 0).unwrap();
    }
}
