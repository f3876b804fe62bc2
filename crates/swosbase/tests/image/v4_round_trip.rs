//! What is written is what is read.

use crate::trees::{self, Model};
use proptest::prelude::*;
use swos_swosbase::v4::{self, BlockVerifier, Content, Options, Unverified};
use swos_swosbase::{Attributes, BLOCK_SIZE, Error, Node, Software, TEST_PUBLIC_KEY, TEST_SEED, Tree};

fn write(tree: &Tree) -> Vec<u8> {
    v4::write(tree, &Options { image_version: 1 }, &TEST_SEED).unwrap()
}

/// Everything in the image, by walking its directories.
fn read_back(image: &[u8]) -> Model {
    let mounted = v4::verify_all(&Software, image, &[TEST_PUBLIC_KEY], 0).unwrap();
    let index = &mounted.index;
    let mut model = Model::new();
    let mut open = vec![(Vec::new(), 0)];
    while let Some((path, directory)) = open.pop() {
        let (first, count) = index.children(directory).unwrap();
        for at in first..first + count {
            let entry = index.entry(at).unwrap();
            assert_eq!(entry.parent, directory);
            assert_eq!(index.lookup(directory, entry.name), Some(at));
            let mut full: Vec<u8> = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(entry.name);
            let node = match entry.content {
                Content::Directory { .. } => {
                    open.push((full.clone(), at));
                    Node::Directory
                }
                Content::File { size, first_block, .. } => {
                    let start = usize::try_from(first_block).unwrap() * BLOCK_SIZE;
                    Node::File(image[start..start + usize::try_from(size).unwrap()].to_vec())
                }
                Content::Symlink { target } => Node::Symlink(target.to_vec()),
            };
            let attributes =
                Attributes { mode: entry.mode, owner: entry.owner, modified_s: entry.modified_s };
            model.insert(full, (attributes, node));
        }
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tree(model in trees::any_model()) {
        let image = write(&trees::tree_of(&model));
        prop_assert_eq!(&read_back(&image), &model);
    }

    #[test]
    fn the_order_of_adding_does_not_matter(model in trees::any_model()) {
        let mut reversed = Tree::new(Attributes::DIRECTORY);
        // Directories first, then everything else backwards.
        for (path, (attributes, node)) in model.iter().filter(|(_, (_, node))| *node == Node::Directory) {
            reversed.add(path, *attributes, node.clone()).unwrap();
        }
        for (path, (attributes, node)) in model.iter().rev().filter(|(_, (_, node))| *node != Node::Directory) {
            reversed.add(path, *attributes, node.clone()).unwrap();
        }
        prop_assert_eq!(write(&reversed), write(&trees::tree_of(&model)));
    }

    #[test]
    fn a_name_that_is_not_there_is_not_found(model in trees::any_model(), name in "[a-d]{1,4}") {
        let image = write(&trees::tree_of(&model));
        let mounted = v4::verify_all(&Software, &image, &[TEST_PUBLIC_KEY], 0).unwrap();
        let found = mounted.index.lookup(0, name.as_bytes());
        prop_assert_eq!(found.is_some(), model.contains_key(name.as_bytes()));
    }
}

#[test]
fn an_empty_tree_is_an_image_of_three_blocks() {
    let image = write(&Tree::new(Attributes::DIRECTORY));
    assert_eq!(image.len(), 3 * BLOCK_SIZE);
    assert_eq!(read_back(&image), Model::new());
}

/// Three levels of hashes, and hash blocks that come only when they are needed.
#[test]
fn a_large_image_loads_the_hashes_that_it_uses() {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    let content: Vec<u8> = (0..70_usize << 20).map(|i| u8::try_from((i >> 12) % 251).unwrap()).collect();
    tree.add(b"model.bin", Attributes::FILE, Node::File(content)).unwrap();
    let image = write(&tree);
    let block = |number: u64| image[usize::try_from(number).unwrap() * BLOCK_SIZE..].first_chunk().unwrap();
    let superblock = Unverified::new(block(0)).unwrap().verify(&Software, &[TEST_PUBLIC_KEY]).unwrap();
    assert_eq!(superblock.geometry.levels(), 3);
    let mut blocks = BlockVerifier::new(&superblock).unwrap();
    let data = superblock.geometry.data();
    let tree = superblock.geometry.tree();

    // A hash block can't come before its parent, and nothing before the hashes.
    let last_hash = tree.first + tree.count - 1;
    let early = blocks.accept(&Software, last_hash, block(last_hash));
    assert_eq!(early, Err(Error::HashNotLoaded { block: tree.first }));
    assert_eq!(
        blocks.verify(&Software, data.first, block(data.first)),
        Err(Error::HashNotLoaded { block: tree.first })
    );

    let mut read = Vec::new();
    for number in [data.first, data.first + 1, data.first + 130, data.first + data.count - 1] {
        while let Some(missing) = blocks.missing(number).unwrap() {
            blocks.accept(&Software, missing, block(missing)).unwrap();
            read.push(missing);
        }
        blocks.verify(&Software, number, block(number)).unwrap();
    }
    assert_eq!(read.len(), blocks.loaded());
    assert_eq!(blocks.loaded(), 1 + 2 + 3, "the root, two above, three below");

    // Under pressure the lowest level goes, and can come back.
    assert_eq!(blocks.shrink(100), 3);
    assert_eq!(blocks.shrink(100), 0);
    assert_eq!(blocks.loaded(), 3);
    let missing = blocks.missing(data.first).unwrap().unwrap();
    blocks.accept(&Software, missing, block(missing)).unwrap();
    blocks.verify(&Software, data.first, block(data.first)).unwrap();
}
