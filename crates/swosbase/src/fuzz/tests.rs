use proptest::prelude::*;

use super::*;
use crate::v4::{self, Options, Superblock};
use crate::{Attributes, Node, Software, TEST_PUBLIC_KEY, TEST_SEED, Tree, v3};

fn tree() -> Tree {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    for (path, node) in [
        (&b"a"[..], Node::Directory),
        (b"a/b", Node::Directory),
        (b"a/b/c", Node::File(vec![1; 5000])),
        (b"a/d", Node::File(vec![2; 10])),
        (b"e", Node::Directory),
        (b"e/f", Node::File(Vec::new())),
    ] {
        let attributes = v3::attributes_at(path, &node);
        tree.add(path, attributes, node).unwrap();
    }
    tree
}

/// Metadata of a good version 4 image, and its superblock.
fn good_v4() -> (Vec<u8>, Superblock, Vec<u8>) {
    let mut tree = tree();
    tree.add(b"l", Attributes::SYMLINK, Node::Symlink(b"a/b".to_vec())).unwrap();
    let image = v4::write(&tree, &Options::default(), &TEST_SEED).unwrap();
    let superblock = v4::verify_all(&Software, &image, &[TEST_PUBLIC_KEY], 0).unwrap().superblock;
    let length = usize::try_from(superblock.meta_bytes).unwrap();
    (image[BLOCK_SIZE..BLOCK_SIZE + length].to_vec(), *superblock, image)
}

/// A byte at a place gets a value, small ones more often: they are the ones that nearly fit.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0_u8..12, any::<u8>()]), 1..5)
}

#[test]
fn every_byte_of_metadata_at_every_small_value() {
    let (good, superblock, _) = good_v4();
    let data = superblock.geometry.data().count;
    v4_metadata(&good, superblock.entries, data);
    for at in 0..good.len() {
        for value in (0..20).chain([0x7f, 0x80, 0xff]) {
            let mut bytes = good.clone();
            bytes[at] = value;
            v4_metadata(&bytes, superblock.entries, data);
        }
    }
}

proptest! {
    #[test]
    fn changed_metadata(changes in changes(), entries in 6_u32..10, data in 0_u64..5) {
        let (mut bytes, superblock, _) = good_v4();
        for (at, value) in changes {
            *at.get_mut(&mut bytes) = value;
        }
        v4_metadata(&bytes, superblock.entries, superblock.geometry.data().count);
        v4_metadata(&bytes, entries, data);
    }

    #[test]
    fn any_metadata(bytes in prop::collection::vec(any::<u8>(), 0..600), entries in 0_u32..9, data in any::<u64>()) {
        v4_metadata(&bytes, entries, data);
        v3_metadata(&bytes, data);
    }

    #[test]
    fn changed_superblocks(changes in changes()) {
        let (_, _, image) = good_v4();
        let mut block = *image.first_chunk::<BLOCK_SIZE>().unwrap();
        for (at, value) in changes {
            *at.get_mut(&mut block[8..128]) = value;
        }
        v4_superblock(&block);
    }

    #[test]
    fn changed_v3(changes in changes()) {
        let mut image = v3::write(&tree(), &TEST_SEED).unwrap();
        for (at, value) in changes {
            *at.get_mut(&mut image) = value;
        }
        v3_metadata(&image, image.len() as u64);
    }
}

/// Each rule of the metadata, broken alone: refused, and by that rule.
#[test]
fn each_broken_rule_is_named() {
    let (good, superblock, _) = good_v4();
    let parse = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let length = bytes.len() as u64;
        bytes.resize(bytes.len().next_multiple_of(BLOCK_SIZE), 0);
        Index::parse(bytes, length, superblock.entries, superblock.geometry.data()).map(drop)
    };
    assert_eq!(parse(&|_| ()), Ok(()));
    // Order: / a e l a/b a/d e/f a/b/c
    for (entry, field, value, reported) in [
        (0, 0, 1, 0),      // the root's parent
        (0, 8, 1, 8),      // a name for the root
        (0, 10, 2, 10),    // the root as a file
        (0, 32, 9, 32),    // more children than entries
        (1, 0, 1, 0),      // its own parent
        (4, 0, 0, 0),      // another parent
        (5, 4, 0, 4),      // a name that overlaps
        (5, 8, 0, 8),      // no name
        (1, 10, 4, 10),    // an unknown kind
        (1, 11, 1, 11),    // reserved
        (2, 13, 0x02, 12), // set-group-id
        (2, 20, 9, 20),    // reserved
        (1, 40, 5, 40),    // other children
        (3, 32, 0, 32),    // a link to nothing
        (3, 40, 9, 40),    // a target elsewhere
        (5, 40, 1, 40),    // data elsewhere
        (7, 33, 0xFF, 32), // more data than there is
        (1, 48, 1, 48),    // a hash for a directory
        (3, 79, 1, 48),    // a hash for a link
    ] {
        let result = parse(&|bytes| bytes[entry * 80 + field] = value);
        let expected = crate::Error::BadEntry { entry: u32::try_from(entry).unwrap(), field: reported };
        assert_eq!(result, Err(expected), "entry {entry} field {field}");
    }
    for (name, why) in [(b'z', "out of order"), (b'e', "the same as its sibling's")] {
        let result = parse(&|bytes| bytes[8 * 80] = name);
        assert_eq!(result, Err(crate::Error::BadEntry { entry: 2, field: 4 }), "{why}");
    }
    let mut more = superblock.geometry.data();
    more.count += 1;
    let blocks = good.len().next_multiple_of(BLOCK_SIZE);
    let mut bytes = good.clone();
    bytes.resize(blocks, 0);
    let unused = Index::parse(bytes, good.len() as u64, superblock.entries, more).map(drop);
    assert_eq!(unused, Err(crate::Error::BadHeader { offset: 64 }), "a data block that no file has");
    let tail = parse(&|bytes| bytes.push(b'x'));
    assert_eq!(tail, Err(crate::Error::BadHeader { offset: 48 }), "a byte that no name accounts for");
}
