//! The resolver against a second one, written for clarity, over random trees, links, mounts and paths.
//!
//! The model keeps every node under its full path as a list of names and resolves by rewriting lists; it knows nothing of
//! vnodes, cursors or pending remainders.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_path::Path;
use swos_vfs::{
    EntryAt, Error, Halt, Kind, LINKS_MAX, LastLink, MountId, Namespace, NodeId, Remembered, Route, Scope,
    Vfs, VnodeId, WALK_BYTES_MAX,
};

use crate::mem_fs::{MemFs, Node, WHO};

type Names = Vec<Vec<u8>>;

/// What the namespace looks like from outside: every visible node under its full path.
#[derive(Debug, Default)]
struct Model {
    nodes: BTreeMap<Names, (VnodeId, Node)>,
}

impl Model {
    /// Puts what is visible below `vnode` under `path`.
    fn show(
        &mut self,
        file_systems: &BTreeMap<MountId, MemFs>,
        mounts: &BTreeMap<VnodeId, VnodeId>,
        path: &Names,
        vnode: VnodeId,
    ) {
        let mut vnode = vnode;
        while let Some(top) = mounts.get(&vnode) {
            vnode = *top;
        }
        let node = file_systems[&vnode.mount].at(vnode.node).1.clone();
        if let Node::Directory(children) = &node {
            for (name, child) in children {
                let mut below = path.clone();
                below.push(name.clone());
                let child = VnodeId { mount: vnode.mount, node: NodeId(*child as u64) };
                self.show(file_systems, mounts, &below, child);
            }
        }
        self.nodes.insert(path.clone(), (vnode, node));
    }

    /// Resolves by rewriting: `here` is where we are, `todo` the components to come.
    fn resolve(
        &self,
        root: &Names,
        start: &Names,
        path: &[u8],
        last: LastLink,
    ) -> Result<(VnodeId, Kind), Error> {
        let split = |path: &[u8]| -> Vec<Vec<u8>> {
            // A trailing slash means what a `.` means.
            let mut parts: Vec<Vec<u8>> =
                path.split(|&b| b == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect();
            if path.ends_with(b"/") && !parts.is_empty() {
                parts.push(b".".to_vec());
            }
            parts
        };
        let mut here = if path.starts_with(b"/") { root.clone() } else { start.clone() };
        let mut todo = split(path);
        let (mut links, mut bytes) = (0, path.len());
        while !todo.is_empty() {
            let part = todo.remove(0);
            if !matches!(self.nodes[&here].1, Node::Directory(_)) {
                return Err(Error::NotDirectory);
            }
            if part == b"." {
                continue;
            }
            if part == b".." {
                if !here.starts_with(root) {
                    return Err(Error::NotFound);
                }
                if here.len() > root.len() {
                    here.pop();
                }
                continue;
            }
            let mut next = here.clone();
            next.push(part);
            let (_, node) = self.nodes.get(&next).ok_or(Error::NotFound)?;
            match node {
                Node::Link(target) if !todo.is_empty() || last == LastLink::Follow => {
                    links += 1;
                    bytes += target.len();
                    if links > LINKS_MAX {
                        return Err(Error::TooManyLinks);
                    }
                    if bytes > WALK_BYTES_MAX {
                        return Err(Error::NameTooLong);
                    }
                    if target.starts_with(b"/") {
                        here = root.clone();
                    }
                    todo = split(target).into_iter().chain(todo).collect();
                }
                _ => here = next,
            }
        }
        let (vnode, node) = &self.nodes[&here];
        let kind = match node {
            Node::Directory(_) => Kind::Directory,
            Node::File => Kind::File,
            Node::Link(_) => Kind::Symlink,
        };
        Ok((*vnode, kind))
    }
}

/// Resolves a few steps at a time; what is left between two slices is all that the next one knows.
fn in_slices<T>(path: Path<'_>, mut slice: impl FnMut(Route<'_>) -> Result<T, Halt>) -> Result<T, Error> {
    let mut left = match slice(Route::Whole(path)) {
        Ok(found) => return Ok(found),
        Err(Halt::Failed(error)) => return Err(error),
        Err(Halt::Unfinished(left)) => left,
    };
    loop {
        match slice(Route::Rest(&left)) {
            Ok(found) => return Ok(found),
            Err(Halt::Failed(error)) => return Err(error),
            Err(Halt::Unfinished(next)) => {
                assert_ne!(next, left, "each slice gets on");
                left = next;
            }
        }
    }
}

fn any_path() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![6 => "[abc]", 3 => Just("..".to_owned()), 1 => Just(".".to_owned()), 1 => Just(String::new())];
    (any::<bool>(), prop::collection::vec(part, 1..7), any::<bool>()).prop_map(|(absolute, parts, slash)| {
        let mut path = String::new();
        if absolute {
            path.push('/');
        }
        path.push_str(&parts.join("/"));
        if slash || path.is_empty() {
            path.push('/');
        }
        path.into_bytes()
    })
}

#[derive(Clone, Debug)]
enum Made {
    Directory,
    File,
    Link(Vec<u8>),
}

fn any_tree() -> impl Strategy<Value = MemFs> {
    let made = prop_oneof![
        4 => Just(Made::Directory),
        2 => Just(Made::File),
        2 => any_path().prop_map(Made::Link),
    ];
    let steps = prop::collection::vec((any::<prop::sample::Index>(), "[abc]", made), 0..14);
    (steps, any::<bool>()).prop_map(|(steps, settled)| {
        let mut tree = MemFs { settled, ..MemFs::new() };
        for (parent, name, made) in steps {
            let directories: Vec<usize> =
                (0..tree.nodes.len()).filter(|&at| tree.kind(at) == Kind::Directory).collect();
            let node = match made {
                Made::Directory => Node::Directory(BTreeMap::new()),
                Made::File => Node::File,
                Made::Link(target) => Node::Link(target),
            };
            tree.add(*parent.get(&directories), name.as_bytes(), node);
        }
        tree
    })
}

/// A namespace of up to three trees, its model, and every visible directory.
struct World {
    vfs: Vfs,
    namespace: Namespace,
    model: Model,
    directories: Vec<(Names, VnodeId)>,
}

fn world(trees: Vec<MemFs>, places: &[(prop::sample::Index, prop::sample::Index)]) -> World {
    let mut vfs = Vfs::new();
    let mut file_systems = BTreeMap::new();
    let mut mounts = BTreeMap::new();
    let mut ids = Vec::new();
    for tree in trees {
        let id = vfs.attach(Box::new(tree.clone())).unwrap();
        file_systems.insert(id, tree);
        ids.push(id);
    }
    let root = vfs.root_of(ids[0]).unwrap();
    let mut namespace = Namespace::new(root);
    let directories = |id: MountId| -> Vec<VnodeId> {
        let tree: &MemFs = &file_systems[&id];
        (0..tree.nodes.len())
            .filter(|&at| tree.kind(at) == Kind::Directory)
            .map(|at| VnodeId { mount: id, node: NodeId(at as u64) })
            .collect()
    };
    for (&id, (over, top)) in ids[1..].iter().zip(places) {
        // Over a directory of the file system before it, showing any directory of its own.
        let before = ids[ids.iter().position(|&other| other == id).unwrap() - 1];
        let candidates = directories(before);
        let at = *over.get(&candidates);
        let top = *top.get(&directories(id));
        if namespace.mount(&vfs, at, top).is_ok() {
            mounts.insert(at, top);
        }
    }
    let mut model = Model::default();
    model.show(&file_systems, &mounts, &Names::new(), root);
    let directories = model
        .nodes
        .iter()
        .filter(|(_, (_, node))| matches!(node, Node::Directory(_)))
        .map(|(path, (vnode, _))| (path.clone(), *vnode))
        .collect();
    World { vfs, namespace, model, directories }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn agrees_with_the_model(
        trees in prop::collection::vec(any_tree(), 1..4),
        places in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 2),
        root in any::<prop::sample::Index>(),
        start in any::<prop::sample::Index>(),
        paths in prop::collection::vec(any_path(), 1..8),
    ) {
        let world = world(trees, &places);
        let (root_path, root) = root.get(&world.directories);
        let (start_path, start) = start.get(&world.directories);
        let scope = Scope { namespace: &world.namespace, root: *root, start: *start, who: WHO };
        for path in paths {
            for last in [LastLink::Follow, LastLink::Keep] {
                let parsed = Path::new(&path).unwrap();
                let found = world.vfs.resolve(&scope, parsed, last).map(|found| (found.vnode, found.kind));
                let expected = world.model.resolve(root_path, start_path, &path, last);
                prop_assert_eq!(found, expected, "{:?} {:?} from {:?} in {:?}", parsed, last, start_path, root_path);
                for steps in [0, 7, 20] {
                    let sliced = in_slices(parsed, |route| world.vfs.resolve_some(&scope, route, last, steps));
                    let sliced = sliced.map(|found| (found.vnode, found.kind));
                    prop_assert_eq!(sliced, expected, "{:?} {:?} {} steps at a time", parsed, last, steps);
                }
                // What is found by a path that starts inside lies inside.
                if let (Ok((vnode, _)), true) = (found, start_path.starts_with(root_path)) {
                    let inside = world.model.nodes.iter().any(|(path, (at, _))| path.starts_with(root_path) && *at == vnode);
                    prop_assert!(inside, "{:?} left the root", parsed);
                }
            }
        }
    }

    /// Whoever asks, from wherever, once or again, also after something else is mounted.
    #[test]
    fn what_is_remembered_is_what_a_walk_finds(
        trees in prop::collection::vec(any_tree(), 1..4),
        places in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 2),
        asked in prop::collection::vec((any::<[prop::sample::Index; 2]>(), any_path()), 1..12),
    ) {
        let mut world = world(trees, &places);
        let mut remembered = Remembered::new();
        let mounts: Vec<MountId> = world.directories.iter().map(|(_, vnode)| vnode.mount).collect();
        for round in 0..4 {
            for ([root, start], path) in &asked {
                let (root, start) = (root.get(&world.directories).1, start.get(&world.directories).1);
                let scope = Scope { namespace: &world.namespace, root, start, who: WHO };
                for last in [LastLink::Follow, LastLink::Keep] {
                    let walked = world.vfs.resolve(&scope, Path::new(path).unwrap(), last);
                    let found = match remembered.find(&scope, path, last) {
                        Some(found) => Ok(found),
                        None => world.vfs.resolve_and_keep(&mut remembered, &scope, path, last, u32::MAX),
                    };
                    prop_assert_eq!(found, walked.map_err(Halt::Failed), "{:?} {:?} in round {}", path, last, round);
                }
            }
            if round == 1 {
                for &mount in &mounts {
                    let _ = world.namespace.unmount(mount);
                }
            }
        }
    }

    /// The entry of a path is what its directory and last name lead to.
    #[test]
    fn an_entry_is_a_directory_and_a_name(
        tree in any_tree(),
        start in any::<prop::sample::Index>(),
        path in any_path(),
    ) {
        let world = world(vec![tree], &[]);
        let (_, start) = start.get(&world.directories);
        let scope = Scope { namespace: &world.namespace, root: world.namespace.root(), start: *start, who: WHO };
        let parsed = Path::new(&path).unwrap();
        let resolved = world.vfs.resolve(&scope, parsed, LastLink::Keep);
        let at_once = world.vfs.resolve_entry(&scope, parsed, LastLink::Keep);
        let sliced = in_slices(parsed, |route| {
            let found = world.vfs.resolve_entry_some(&scope, route, LastLink::Keep, 1)?;
            let name = found.name.as_bytes().to_vec();
            Ok((found.directory, name, found.existing, found.directory_wanted))
        });
        let name = |entry: EntryAt<'_>| {
            (entry.directory, entry.name.as_bytes().to_vec(), entry.existing, entry.directory_wanted)
        };
        prop_assert_eq!(sliced, at_once.map(name));
        match at_once {
            Ok(entry) => {
                prop_assert_eq!(entry.existing.ok_or(Error::NotFound), resolved);
                let again = Scope { start: entry.directory, ..scope };
                let found = world.vfs.resolve(&again, Path::new(entry.name.as_bytes()).unwrap(), LastLink::Keep);
                prop_assert_eq!(entry.existing.ok_or(Error::NotFound), found);
                prop_assert!(!path.ends_with(b"/") || entry.directory_wanted);
            }
            Err(Error::Invalid) => prop_assert!(resolved.is_ok(), "only of what is there and has no name"),
            Err(error) => prop_assert_eq!(resolved, Err(error)),
        }
    }
}
