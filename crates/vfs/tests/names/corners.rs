//! Cases that random trees meet too rarely.

use std::collections::BTreeMap;

use swos_path::{Name, Path};
use swos_units::Frame;
use swos_vfs::{
    Ascent, Climbed, Error, FrameStore, Garbage, Halt, Kind, LINKS_MAX, LastLink, Namespace, NewNode, NodeId,
    RESTARTS_MAX, Remembered, Route, Scope, Times, Usage, Vfs, VnodeId, WALK_BYTES_MAX, WriteAt,
};

use crate::mem_fs::{MemFs, Node, WHO};

fn directory() -> Node {
    Node::Directory(BTreeMap::new())
}

fn link(target: &[u8]) -> Node {
    Node::Link(target.to_vec())
}

/// One tree, alone.
fn alone(tree: MemFs) -> (Vfs, Namespace) {
    let mut vfs = Vfs::new();
    let mount = vfs.attach(Box::new(tree)).unwrap();
    let namespace = Namespace::new(vfs.root_of(mount).unwrap());
    (vfs, namespace)
}

fn scope(namespace: &Namespace) -> Scope<'_> {
    Scope { namespace, root: namespace.root(), start: namespace.root(), who: WHO }
}

#[test]
fn only_names_that_never_change_are_remembered() {
    for settled in [false, true] {
        let mut tree = MemFs { settled, loses: true, ..MemFs::new() };
        let long = [b'n'; 47];
        for name in [b"name".as_slice(), &long, &[b'n'; 46]] {
            tree.add(0, name, Node::File).unwrap();
        }
        let (mut vfs, namespace) = alone(tree);
        let mut remembered = Remembered::new();
        let mut ask = |vfs: &Vfs, path: &[u8]| {
            remembered.find(&scope(&namespace), path, LastLink::Keep).is_some()
                || vfs.resolve_and_keep(&mut remembered, &scope(&namespace), path, LastLink::Keep, 9).is_ok()
        };
        let paths = [
            b"/name".to_vec(),
            [b"/".as_slice(), &long].concat(),
            [b'/'; 1].iter().chain(&[b'n'; 46]).copied().collect(),
        ];
        for path in &paths {
            assert!(ask(&vfs, path));
        }
        // What a file system promises it may not do: here it shows what was remembered.
        let at = namespace.root();
        for path in &paths {
            let name = Name::new(&path[1..]).unwrap();
            vfs.file_system_mut(at.mount).unwrap().unlink(WHO, at.node, name, Kind::File, 0).unwrap();
        }
        assert_eq!(paths.each_ref().map(|path| ask(&vfs, path)), [settled, false, settled]);
        assert!(!ask(&vfs, b"") && !ask(&vfs, b"a\0b"));
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let mut tree = MemFs::new();
    tree.add(0, b"0", Node::File).unwrap();
    for i in 1..=LINKS_MAX + 1 {
        tree.add(0, i.to_string().as_bytes(), link((i - 1).to_string().as_bytes())).unwrap();
    }
    let (vfs, namespace) = alone(tree);
    let resolve = |path: &[u8]| vfs.resolve(&scope(&namespace), Path::new(path).unwrap(), LastLink::Follow);
    assert_eq!(resolve(LINKS_MAX.to_string().as_bytes()).unwrap().kind, Kind::File);
    assert_eq!(resolve((LINKS_MAX + 1).to_string().as_bytes()), Err(Error::TooManyLinks));
}

#[test]
fn links_can_not_multiply_the_work() {
    let mut tree = MemFs::new();
    let long = b"./".repeat(2000);
    tree.add(0, b"d", link(&long)).unwrap();
    let (vfs, namespace) = alone(tree);
    let resolve = |path: &[u8]| vfs.resolve(&scope(&namespace), Path::new(path).unwrap(), LastLink::Follow);
    assert!(resolve(b"d/d").is_ok());
    assert!(3 * long.len() > WALK_BYTES_MAX);
    assert_eq!(resolve(b"d/d/d"), Err(Error::NameTooLong));
}

/// Forty remainders wait at the same time.
#[test]
fn nested_links_keep_what_is_still_to_go() {
    let mut tree = MemFs::new();
    let mut at = 0;
    for _ in 0..LINKS_MAX {
        at = tree.add(at, b"x", directory()).unwrap();
    }
    let deepest = at;
    // l1 = x, l2 = l1/x, l3 = l2/x, ...
    tree.add(0, b"l1", link(b"x")).unwrap();
    for i in 2..=LINKS_MAX {
        tree.add(0, format!("l{i}").as_bytes(), link(format!("l{}/x", i - 1).as_bytes())).unwrap();
    }
    let (vfs, namespace) = alone(tree);
    let path = format!("l{LINKS_MAX}");
    let found = vfs.resolve(&scope(&namespace), Path::new(path.as_bytes()).unwrap(), LastLink::Follow);
    assert_eq!(found.unwrap().vnode.node, NodeId(deepest as u64));
}

#[test]
fn a_dangling_link_shows_where_its_target_would_be_made() {
    let mut tree = MemFs::new();
    let d = tree.add(0, b"d", directory()).unwrap();
    tree.add(0, b"l", link(b"d/new")).unwrap();
    let (vfs, namespace) = alone(tree);
    let path = Path::new(b"l").unwrap();
    let entry = vfs.resolve_entry(&scope(&namespace), path, LastLink::Follow).unwrap();
    assert_eq!(
        (entry.directory.node, entry.name.as_bytes(), entry.existing),
        (NodeId(d as u64), &b"new"[..], None)
    );
    let entry = vfs.resolve_entry(&scope(&namespace), path, LastLink::Keep).unwrap();
    assert_eq!(
        (entry.name.as_bytes(), entry.existing.map(|found| found.kind)),
        (&b"l"[..], Some(Kind::Symlink))
    );
    assert_eq!(vfs.resolve(&scope(&namespace), path, LastLink::Follow), Err(Error::NotFound));
}

/// The classic way out of a changed root: a directory of which one is in possession is moved out of it.
#[test]
fn a_start_outside_of_the_root_leads_down_only() {
    let mut tree = MemFs::new();
    let jail = tree.add(0, b"jail", directory()).unwrap();
    let outside = tree.add(0, b"outside", directory()).unwrap();
    let below = tree.add(outside, b"below", directory()).unwrap();
    tree.add(below, b"file", Node::File).unwrap();
    let (vfs, namespace) = alone(tree);
    let at = |node: usize| VnodeId { mount: namespace.root().mount, node: NodeId(node as u64) };
    let scope = Scope { namespace: &namespace, root: at(jail), start: at(below), who: WHO };
    let resolve = |path: &[u8]| vfs.resolve(&scope, Path::new(path).unwrap(), LastLink::Follow);
    assert!(resolve(b"file").is_ok());
    for path in [&b".."[..], b"../below", b"../..", b"./../../jail"] {
        assert_eq!(resolve(path), Err(Error::NotFound), "{}", path.escape_ascii());
    }
    assert_eq!(resolve(b"/../../..").unwrap().vnode, at(jail));
    assert_eq!(resolve(b"/outside"), Err(Error::NotFound));
}

/// What was inside when a slice ended may be outside when the next one begins.
#[test]
fn a_directory_that_is_moved_out_between_two_slices_leads_nowhere() {
    let mut tree = MemFs::new();
    let jail = tree.add(0, b"jail", directory()).unwrap();
    let a = tree.add(jail, b"a", directory()).unwrap();
    tree.add(a, b"b", directory()).unwrap();
    tree.add(0, b"secret", Node::File).unwrap();
    let mut moved = tree.clone();
    let Node::Directory(children) = &mut moved.nodes[jail].1 else { unreachable!() };
    children.clear();
    let Node::Directory(children) = &mut moved.nodes[0].1 else { unreachable!() };
    children.insert(b"a".to_vec(), a);
    moved.nodes[a].0 = 0;
    moved.changes += 1;
    let ((before, namespace), (after, _)) = (alone(tree), alone(moved));
    let at = |node: usize| VnodeId { mount: namespace.root().mount, node: NodeId(node as u64) };
    let scope = Scope { namespace: &namespace, root: at(jail), start: at(jail), who: WHO };
    let path = Route::Whole(Path::new(b"/a/b/../../secret").unwrap());
    for steps in 1..40 {
        let left = match before.resolve_some(&scope, path, LastLink::Follow, steps) {
            Err(Halt::Unfinished(left)) => left,
            other => {
                assert_eq!(other, Err(Halt::Failed(Error::NotFound)));
                assert!(steps > 10);
                return;
            }
        };
        let mut found = after.resolve_some(&scope, Route::Rest(&left), LastLink::Follow, 20);
        while let Err(Halt::Unfinished(left)) = found {
            found = after.resolve_some(&scope, Route::Rest(&left), LastLink::Follow, 20);
        }
        assert_eq!(found, Err(Halt::Failed(Error::NotFound)), "{steps} steps before the move");
    }
}

#[test]
fn mounts_cover_and_uncover() {
    let mut vfs = Vfs::new();
    let mut lower = MemFs::new();
    let tmp = lower.add(0, b"tmp", directory()).unwrap();
    lower.add(tmp, b"hidden", Node::File).unwrap();
    let lower = vfs.attach(Box::new(lower)).unwrap();
    let mut upper = MemFs::new();
    let shown = upper.add(0, b"shown", directory()).unwrap();
    let upper = vfs.attach(Box::new(upper)).unwrap();
    let top = vfs.root_of(upper).unwrap();
    let at = VnodeId { mount: lower, node: NodeId(tmp as u64) };
    let mut namespace = Namespace::new(vfs.root_of(lower).unwrap());

    let file = VnodeId { mount: lower, node: NodeId(tmp as u64 + 1) };
    assert_eq!(namespace.mount(&vfs, file, top), Err(Error::NotDirectory));
    assert_eq!(namespace.mount(&vfs, at, vfs.root_of(lower).unwrap()), Err(Error::Busy));
    namespace.mount(&vfs, at, top).unwrap();
    assert_eq!(namespace.mount(&vfs, VnodeId { mount: lower, node: NodeId(0) }, top), Err(Error::Busy));

    let resolve = |namespace: &Namespace, path: &[u8]| {
        vfs.resolve(&scope(namespace), Path::new(path).unwrap(), LastLink::Follow).map(|found| found.vnode)
    };
    let shown = VnodeId { mount: upper, node: NodeId(shown as u64) };
    assert_eq!(resolve(&namespace, b"/tmp/shown"), Ok(shown));
    assert_eq!(resolve(&namespace, b"/tmp/hidden"), Err(Error::NotFound));
    assert_eq!(resolve(&namespace, b"/tmp/shown/../.."), Ok(namespace.root()));
    assert_eq!(namespace.unmount(lower), Err(Error::Busy));
    namespace.unmount(upper).unwrap();
    assert_eq!(namespace.unmount(upper), Err(Error::NotFound));
    assert_eq!(resolve(&namespace, b"/tmp/hidden"), Ok(file));
}

#[test]
fn a_covered_root_is_seen_through() {
    let mut vfs = Vfs::new();
    let lower = vfs.attach(Box::new(MemFs::new())).unwrap();
    let upper = vfs.attach(Box::new(MemFs::new())).unwrap();
    let mut namespace = Namespace::new(vfs.root_of(lower).unwrap());
    namespace.mount(&vfs, vfs.root_of(lower).unwrap(), vfs.root_of(upper).unwrap()).unwrap();
    assert_eq!(namespace.root(), vfs.root_of(upper).unwrap());
    let found = vfs.resolve(&scope(&namespace), Path::new(b"/..").unwrap(), LastLink::Follow);
    assert_eq!(found.unwrap().vnode, namespace.root());
}

#[test]
fn an_id_of_a_detached_file_system_stays_dead() {
    let mut vfs = Vfs::new();
    let first = vfs.attach(Box::new(MemFs::new())).unwrap();
    let old = vfs.root_of(first).unwrap();
    vfs.detach(first).unwrap();
    let second = vfs.attach(Box::new(MemFs::new())).unwrap();
    assert_ne!(first, second);
    assert_eq!(vfs.attributes(old), Err(Error::Unmounted));
    assert_eq!(vfs.detach(first).map(drop), Err(Error::Unmounted));
    assert!(vfs.attributes(vfs.root_of(second).unwrap()).is_ok());
}

/// No memory.
struct NoFrames;

impl FrameStore for NoFrames {
    fn take(&mut self) -> Option<Frame> {
        None
    }

    fn unshare(&mut self, _: Frame) -> Option<Frame> {
        None
    }

    fn write(&mut self, _: Frame, _: usize, _: &[u8]) {}

    fn zero(&mut self, _: Frame, _: usize) {}

    fn release(&mut self, _: Frame) {}
}

#[test]
fn a_directory_knows_its_path_through_mounts_and_links_up_to_the_root() {
    let mut lower = MemFs::new();
    let tmp = lower.add(0, b"tmp", directory()).unwrap();
    let jail = lower.add(0, b"jail", directory()).unwrap();
    let mut upper = MemFs::new();
    let deep = upper.add(0, b"a", directory()).unwrap();
    let deep = upper.add(deep, b"bc", directory()).unwrap();
    let mut vfs = Vfs::new();
    let (lower, upper) = (vfs.attach(Box::new(lower)).unwrap(), vfs.attach(Box::new(upper)).unwrap());
    let mut namespace = Namespace::new(vfs.root_of(lower).unwrap());
    let node = |mount, at| VnodeId { mount, node: NodeId(at as u64) };
    namespace.mount(&vfs, node(lower, tmp), vfs.root_of(upper).unwrap()).unwrap();
    let path = |root, at| {
        let mut buffer = [0; swos_path::PATH_MAX];
        let scope = Scope { namespace: &namespace, root, start: root, who: WHO };
        let start = vfs.path_of(&scope, at, &mut buffer)?;
        Ok(String::from_utf8(buffer[start..].to_vec()).unwrap())
    };
    let top = namespace.root();
    assert_eq!(path(top, top), Ok("/".into()));
    assert_eq!(path(top, node(lower, jail)), Ok("/jail".into()));
    assert_eq!(path(top, node(upper, 0)), Ok("/tmp".into()));
    assert_eq!(path(top, node(upper, deep)), Ok("/tmp/a/bc".into()));
    assert_eq!(path(node(upper, 0), node(upper, deep)), Ok("/a/bc".into()));
    assert_eq!(path(node(lower, jail), node(upper, deep)), Err(Error::NotFound));
}

#[test]
fn a_path_that_no_call_would_take_is_refused_and_so_is_the_way_up_from_there() {
    let mut tree = MemFs::new();
    let mut at = 0;
    let mut depths = Vec::new();
    for _ in 0..WALK_BYTES_MAX + 2 {
        at = tree.add(at, b"d", directory()).unwrap();
        depths.push(at);
    }
    let (vfs, namespace) = alone(tree);
    let node = |depth: usize| VnodeId { mount: namespace.root().mount, node: NodeId(depths[depth] as u64) };
    let mut buffer = [0; swos_path::PATH_MAX];
    let length = |at, buffer: &mut _| vfs.path_of(&scope(&namespace), at, buffer).map(|start| 4096 - start);
    assert_eq!(length(node(2047), &mut buffer), Ok(4096));
    assert_eq!(length(node(2048), &mut buffer), Err(Error::NameTooLong));
    let up = |at| {
        let scope = Scope { start: at, ..scope(&namespace) };
        vfs.resolve(&scope, Path::new(b"..").unwrap(), LastLink::Follow).map(|found| found.vnode)
    };
    assert_eq!(up(node(3000)), Ok(node(2999)));
    // Deeper than any path could name: not known to lie below the root, so there is no way up.
    assert_eq!(up(node(WALK_BYTES_MAX)), Err(Error::NotFound));
}

#[test]
fn a_file_system_that_says_nothing_else_is_read_only() {
    let mut vfs = Vfs::new();
    let mount = vfs.attach(Box::new(MemFs::new())).unwrap();
    let file_system = vfs.file_system_mut(mount).unwrap();
    let name = Name::new(b"n").unwrap();
    let root = NodeId(0);
    assert_eq!(file_system.create(WHO, root, name, NewNode::File, 0, 0), Err(Error::ReadOnly));
    assert_eq!(file_system.link(WHO, root, root, name, 0), Err(Error::ReadOnly));
    assert_eq!(file_system.unlink(WHO, root, name, Kind::File, 0), Err(Error::ReadOnly));
    assert_eq!(file_system.rename(WHO, (root, name), (root, name), 0), Err(Error::ReadOnly));
    assert_eq!(file_system.write(root, WriteAt::End, b"x", 0, &mut NoFrames), Err(Error::ReadOnly));
    assert_eq!(file_system.page_to_share(root, 0, None, &mut NoFrames), Err(Error::ReadOnly));
    file_system.seal_page(root, 0, &mut NoFrames);
    assert_eq!(file_system.set_size(root, 0, 0, &mut NoFrames), Err(Error::ReadOnly));
    assert_eq!(file_system.set_mode(WHO, root, 0, 0), Err(Error::ReadOnly));
    assert_eq!(file_system.set_owner(WHO, root, WHO, 0), Err(Error::ReadOnly));
    assert_eq!(file_system.set_times(WHO, root, Times::default(), 0), Err(Error::ReadOnly));
    assert_eq!(file_system.reclaim(1, &mut NoFrames), Garbage::None);
    assert_eq!(file_system.usage(), Usage::default());
    assert_eq!(file_system.device(root), Err(Error::NotSupported));
    assert_eq!(file_system.read(root, 0, &mut []), Err(Error::NotSupported));
}

#[test]
fn every_error_has_its_own_number() {
    let path = |bytes: &[u8]| Error::from(Path::new(bytes).unwrap_err());
    assert_eq!(path(b""), Error::NotFound);
    assert_eq!(path(b"a\0"), Error::Invalid);
    assert_eq!(path(&[b'n'; 256]), Error::NameTooLong);
    assert_eq!(path(&[b'/'; 4097]), Error::NameTooLong);
    assert_eq!(swos_abi::Errno::from(Error::TooManyLinks), swos_abi::Errno::LOOP);
}

/// The way up from deep down, a few levels at a time: the same answer, and none from before a move.
#[test]
fn a_way_up_in_parts_is_one_way() {
    const DEPTH: usize = 500;
    let mut tree = MemFs::new();
    let jail = tree.add(0, b"jail", directory()).unwrap();
    let mut chain = vec![jail];
    for _ in 0..DEPTH {
        chain.push(tree.add(*chain.last().unwrap(), b"d", directory()).unwrap());
    }
    // What a move half way up makes of it: no longer below the jail.
    let mut moved = tree.clone();
    let (cut, above) = (chain[DEPTH / 2], chain[DEPTH / 2 - 1]);
    let Node::Directory(children) = &mut moved.nodes[above].1 else { unreachable!() };
    children.clear();
    let Node::Directory(children) = &mut moved.nodes[0].1 else { unreachable!() };
    children.insert(b"moved".to_vec(), cut);
    moved.nodes[cut].0 = 0;
    moved.changes += 1;
    let ((before, namespace), (after, _)) = (alone(tree), alone(moved));
    let at = |node: usize| VnodeId { mount: namespace.root().mount, node: NodeId(node as u64) };
    let (root, deepest) = (at(jail), at(*chain.last().unwrap()));
    let climb = |ascent: &mut Ascent, vfs: &Vfs| loop {
        match vfs.ascend(&namespace, ascent, root, &mut 7) {
            Climbed::NotYet => {}
            end => return end,
        }
    };
    let mut ascent = before.ascent(&namespace, deepest);
    assert_eq!(climb(&mut ascent, &before), Climbed::There);
    // Known, as long as nothing moves.
    assert_eq!(before.ascend(&namespace, &mut ascent, root, &mut 0), Climbed::There);
    assert_eq!(climb(&mut ascent, &after), Climbed::Elsewhere);
    for parts in [1, DEPTH / 2 / 7 + 1, DEPTH / 7] {
        let mut ascent = before.ascent(&namespace, deepest);
        for _ in 0..parts {
            assert_eq!(before.ascend(&namespace, &mut ascent, root, &mut 7), Climbed::NotYet);
        }
        assert_eq!(climb(&mut ascent, &after), Climbed::Elsewhere, "{parts} parts before the move");
    }
    // The same with the path: its bytes are those of one moment.
    let (mut buffer, mut whole) = ([0; swos_path::PATH_MAX], [0; swos_path::PATH_MAX]);
    let scope = Scope { namespace: &namespace, root, start: root, who: WHO };
    let top = Scope { root: at(0), ..scope };
    let mut trail = before.trail(&namespace, deepest);
    for _ in 0..60 {
        assert_eq!(before.follow_trail(&scope, &mut trail, &mut buffer, 7), Ok(false));
    }
    assert_eq!(after.follow_trail(&scope, &mut trail, &mut buffer, 1000), Err(Error::NotFound));
    let mut trail = before.trail(&namespace, deepest);
    assert_eq!(before.follow_trail(&top, &mut trail, &mut buffer, 400), Ok(false));
    while !after.follow_trail(&top, &mut trail, &mut buffer, 7).unwrap() {}
    let start = after.path_of(&top, deepest, &mut whole).unwrap();
    assert_eq!(&buffer[trail.start()..], &whole[start..]);
    assert!(whole[start..].starts_with(b"/moved/d/"));
}

/// Who moves directories all the time keeps another from arriving, but not for ever, and does not let it out.
#[test]
fn a_way_up_begins_anew_only_so_often() {
    let mut tree = MemFs::new();
    let mut at = 0;
    for _ in 0..20 {
        at = tree.add(at, b"d", directory()).unwrap();
    }
    let trees: Vec<_> = (0..3).map(|changes| alone(MemFs { changes, ..tree.clone() })).collect();
    let namespace = &trees[0].1;
    let from = VnodeId { mount: namespace.root().mount, node: NodeId(at as u64) };
    let mut ascent = trees[0].0.ascent(namespace, from);
    let mut trail = trees[0].0.trail(namespace, from);
    let mut buffer = [0; swos_path::PATH_MAX];
    let mut tries = 0;
    while trees[(tries + 1) % 3].0.ascend(namespace, &mut ascent, namespace.root(), &mut 7) == Climbed::NotYet
    {
        tries += 1;
    }
    assert_eq!(tries, usize::from(RESTARTS_MAX));
    let mut tries = 0;
    while trees[(tries + 1) % 3].0.follow_trail(&scope(namespace), &mut trail, &mut buffer, 7) == Ok(false) {
        tries += 1;
    }
    assert_eq!(tries, usize::from(RESTARTS_MAX));
}
