//! Trees to write images from: one fixed, and any.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_swosbase::{Attributes, Node, Tree};

/// Paths and what is there: the model that images are compared with.
pub(crate) type Model = BTreeMap<Vec<u8>, (Attributes, Node)>;

/// A few files, one empty, one of several blocks; a directory in a directory; a link.
pub(crate) fn small() -> Tree {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    let file = |size: usize| Node::File((0..size).map(|i| u8::try_from(i % 253).unwrap()).collect());
    tree.add(b"bin", Attributes::DIRECTORY, Node::Directory).unwrap();
    tree.add(b"bin/init", Attributes::PROGRAM, file(5000)).unwrap();
    tree.add(b"etc", Attributes::DIRECTORY, Node::Directory).unwrap();
    tree.add(b"etc/motd", Attributes::FILE, file(10)).unwrap();
    tree.add(b"etc/empty", Attributes::FILE, file(0)).unwrap();
    tree
}

/// A name that is unlike its neighbours only late, or short, or not ASCII.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-c]{1,3}".prop_map(String::into_bytes),
        "chapter-0[0-9]".prop_map(String::into_bytes),
        "[a-zäß.-]{1,12}"
            .prop_filter("reserved", |name| name != "." && name != "..")
            .prop_map(String::into_bytes),
        Just(vec![b'n'; 255]),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        3 => Just(Node::Directory),
        4 => (0_usize..9000, any::<u8>()).prop_map(|(size, byte)| Node::File(vec![byte; size])),
        1 => "[a-z./]{1,20}".prop_map(|target| Node::Symlink(target.into_bytes())),
    ]
}

/// Any tree of up to 24 nodes.
pub(crate) fn any_model() -> impl Strategy<Value = Model> {
    let attributes = (0_u32..0o1000, any::<u32>(), any::<u32>())
        .prop_map(|(mode, owner, modified)| Attributes { mode, owner, modified_s: u64::from(modified) });
    let step = (any::<prop::sample::Index>(), name(), attributes, node());
    prop::collection::vec(step, 0..24).prop_map(|steps| {
        let mut model = Model::new();
        for (parent, name, attributes, node) in steps {
            let mut directories: Vec<Vec<u8>> = vec![Vec::new()];
            directories.extend(
                model.iter().filter(|(_, (_, node))| *node == Node::Directory).map(|(path, _)| path.clone()),
            );
            let mut path = parent.get(&directories).clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            model.entry(path).or_insert((attributes, node));
        }
        model
    })
}

/// The tree of a model.
pub(crate) fn tree_of(model: &Model) -> Tree {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    for (path, (attributes, node)) in model {
        tree.add(path, *attributes, node.clone()).unwrap();
    }
    tree
}
