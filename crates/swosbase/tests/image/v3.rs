//! Version 3, against the layout that the predecessor's packer writes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_swosbase::v3::{self, Header, Kind, Unverified};
use swos_swosbase::v4::{Capacity, Content, Index, Progress};
use swos_swosbase::{
    Attributes, BLOCK_SIZE, Error, Node, Seed, Sha256, Software, TEST_PUBLIC_KEY, TEST_SEED, Tree, WriteError,
};

use crate::trees;

const KEYS: &[swos_swosbase::PublicKey] = &[TEST_PUBLIC_KEY];

fn image() -> Vec<u8> {
    v3::write(&trees::small(), &TEST_SEED).unwrap()
}

fn verify(image: &[u8]) -> Result<(), Error> {
    v3::verify_all(&Software, image, KEYS).map(drop)
}

/// Every field of a small image, written out by hand.
#[test]
fn the_bytes_are_those_of_the_format() {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    tree.add(b"a.txt", Attributes::FILE, Node::File(b"hi".to_vec())).unwrap();
    tree.add(b"bin", Attributes::DIRECTORY, Node::Directory).unwrap();
    tree.add(b"bin/x", Attributes::PROGRAM, Node::File(b"run".to_vec())).unwrap();
    let image = v3::write(&tree, &TEST_SEED).unwrap();

    let mut expected = b"SWOSBASE".to_vec();
    let u32s = |fields: &[u32]| fields.iter().flat_map(|field| field.to_le_bytes()).collect::<Vec<_>>();
    let strings = b"a.txt\0bin\0bin/x\0";
    expected.extend(u32s(&[3, 64, 72, 3]));
    expected.extend(u32s(&[64, 0, 64 + 3 * 72, 0, 16, 0, 64 + 3 * 72 + 16 + 64, 0, 5, 0]));
    expected.extend(u32s(&[0, 5, 2, 0, 0, 0, 2, 0, 0o644, 1]));
    expected.extend(Sha256::digest(&Software, b"hi"));
    expected.extend(u32s(&[6, 3, 1, 0, 2, 0, 0, 0, 0o755, 1]));
    expected.extend([0; 32]);
    expected.extend(u32s(&[10, 5, 2, 0, 2, 0, 3, 0, 0o755, 1]));
    expected.extend(Sha256::digest(&Software, b"run"));
    expected.extend(strings);
    let signature = TEST_SEED.sign(&expected);
    expected.extend(signature);
    expected.extend(b"hirun");
    assert_eq!(image, expected);
}

#[test]
fn every_flipped_bit_is_refused() {
    let mut image = image();
    verify(&image).unwrap();
    for bit in 0..image.len() * 8 {
        image[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&image).is_err(), "bit {bit}");
        image[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_truncation_and_appended_bytes() {
    let image = image();
    for length in 0..image.len() {
        assert!(verify(&image[..length]).is_err(), "{length} bytes");
    }
    for extra in [1, 64, 512, 4096] {
        let mut longer = image.clone();
        longer.resize(image.len() + extra, 0);
        assert!(matches!(verify(&longer), Err(Error::WrongLength { .. })));
    }
}

#[test]
fn another_key_and_a_borrowed_signature() {
    let image = image();
    let other = Seed([9; 32]);
    assert_eq!(v3::verify_all(&Software, &image, &[other.public_key()]).map(drop), Err(Error::BadSignature));
    assert_eq!(v3::verify_all(&Software, &image, &[]).map(drop), Err(Error::BadSignature));
    assert!(v3::verify_all(&Software, &image, &[other.public_key(), TEST_PUBLIC_KEY]).is_ok());

    let mut tree = trees::small();
    tree.add(b"extra", Attributes::FILE, Node::File(Vec::new())).unwrap();
    let newer = v3::write(&tree, &TEST_SEED).unwrap();
    let signature_of = |image: &[u8]| {
        let header = Header::parse(image.first_chunk().unwrap()).unwrap();
        usize::try_from(header.metadata_len()).unwrap() - 64
    };
    let mut mixed = image.clone();
    let (to, from) = (signature_of(&image), signature_of(&newer));
    mixed[to..to + 64].copy_from_slice(&newer[from..from + 64]);
    assert_eq!(verify(&mixed), Err(Error::BadSignature));
}

/// Signed, and wrong all the same: each is refused by the rule that it breaks.
#[test]
fn signed_nonsense_is_refused() {
    let good = image();
    let header = Header::parse(good.first_chunk().unwrap()).unwrap();
    let signed = usize::try_from(header.metadata_len()).unwrap() - 64;
    let refused = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        let signature = TEST_SEED.sign(&bad[..signed]);
        bad[signed..signed + 64].copy_from_slice(&signature);
        verify(&bad).unwrap_err()
    };
    let strings = 64 + 5 * 72;
    let entry = |number: usize| 64 + number * 72;
    let bad = |entry, field| Error::BadEntry { entry, field };
    // bin, bin/init, etc, etc/empty, etc/motd
    assert_eq!(refused(12, &[65]), Error::BadHeader { offset: 12 });
    assert_eq!(refused(24, &[65]), Error::BadHeader { offset: 24 });
    assert_eq!(refused(32, &[0]), Error::BadHeader { offset: 32 });
    assert_eq!(refused(entry(1), &[3]), bad(1, 0));
    assert_eq!(refused(entry(1) + 4, &[200]), bad(1, 4));
    assert_eq!(refused(entry(1) + 8, &[3]), bad(1, 8));
    assert_eq!(refused(entry(0) + 8, &[2]), bad(1, 4), "its directory is a file");
    assert_eq!(refused(entry(1) + 12, &[1]), bad(1, 12));
    assert_eq!(refused(entry(4) + 16, &[1]), bad(4, 16));
    assert_eq!(refused(entry(4) + 24, &[255]), bad(4, 24));
    assert_eq!(refused(entry(0) + 33, &[0xFF]), bad(0, 32));
    assert_eq!(refused(entry(0) + 40, &[1]), bad(0, 40));
    assert_eq!(refused(entry(4) + 40, &[1]), Error::ContentMismatch { entry: 4 });
    assert_eq!(refused(strings, b"../"), bad(0, 4));
    assert_eq!(refused(strings, b"\xff"), bad(0, 4));
    assert_eq!(refused(strings, b"bix"), bad(1, 4), "its directory is not there");
    assert_eq!(refused(strings + 21, b"z"), bad(4, 4), "out of order");
    assert_eq!(refused(strings + 4, b"bin\0"), bad(1, 4), "NUL inside");
}

#[test]
fn what_the_format_can_not_hold_is_an_error() {
    let attempt = |path: &[u8], attributes, node: Node| {
        let mut tree = Tree::new(Attributes::DIRECTORY);
        tree.add(b"usr", Attributes::DIRECTORY, Node::Directory).unwrap();
        tree.add(b"usr/bin", Attributes::DIRECTORY, Node::Directory).unwrap();
        tree.add(path, attributes, node).unwrap();
        v3::write(&tree, &TEST_SEED).map(drop)
    };
    let file = || Node::File(Vec::new());
    assert_eq!(v3::write(&Tree::new(Attributes::DIRECTORY), &TEST_SEED), Err(WriteError::Empty));
    assert_eq!(
        attempt(b"l", Attributes::SYMLINK, Node::Symlink(b"x".to_vec())),
        Err(WriteError::SymlinkInV3)
    );
    assert_eq!(attempt(b".hidden", Attributes::FILE, file()), Err(WriteError::HiddenInV3));
    assert_eq!(attempt(b"usr/bin/x", Attributes::FILE, file()), Err(WriteError::AttributesInV3));
    assert_eq!(attempt(b"usr/x", Attributes::PROGRAM, file()), Err(WriteError::AttributesInV3));
    assert_eq!(
        attempt(b"f", Attributes { owner: 2, ..Attributes::FILE }, file()),
        Err(WriteError::AttributesInV3)
    );
    assert_eq!(
        attempt(b"f", Attributes { modified_s: 2, ..Attributes::FILE }, file()),
        Err(WriteError::AttributesInV3)
    );
    assert_eq!(attempt(b"usr/bin/x", Attributes::PROGRAM, file()), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tree(model in trees::any_model()) {
        let holds = |path: &[u8], node: &Node| {
            !matches!(node, Node::Symlink(_)) && !path.split(|&b| b == b'/').any(|name| name.starts_with(b"."))
        };
        let mut tree = Tree::new(Attributes::DIRECTORY);
        let mut added = Vec::new();
        for (path, (_, node)) in model.iter().filter(|(path, (_, node))| holds(path, node)) {
            if tree.add(path, v3::attributes_at(path, node), node.clone()).is_ok() {
                added.push((path, node));
            }
        }
        prop_assume!(!added.is_empty());
        let image = v3::write(&tree, &TEST_SEED).unwrap();
        let metadata = Unverified::new(&image, image.len() as u64).unwrap().verify(KEYS).unwrap();
        verify(&image).unwrap();
        prop_assert_eq!(metadata.entries().count(), added.len());
        for (path, node) in added {
            let entry = metadata.find(path).unwrap();
            let start = usize::try_from(entry.offset).unwrap();
            let content = &image[start..start + usize::try_from(entry.size).unwrap()];
            match node {
                Node::File(bytes) => prop_assert!(entry.kind == Kind::File && content == bytes),
                _ => prop_assert!(entry.kind == Kind::Directory && content.is_empty()),
            }
            prop_assert_eq!(entry.mode, v3::attributes_at(path, node).mode);
        }
        prop_assert_eq!(image, v3::write(&tree, &TEST_SEED).unwrap());
    }
}

/// Pages in a map, of which the medium's owner would keep frames.
#[derive(Default)]
struct Kept(BTreeMap<u64, [u8; BLOCK_SIZE]>);

impl v3::Pages for Kept {
    fn store(&mut self, page: u64, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let page = self.0.entry(page).or_insert([0; BLOCK_SIZE]);
        page[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// Mounts from a medium with these bytes, in whole blocks.
fn mount(medium: &[u8]) -> Result<(Index, Kept), Error> {
    mount_from(medium, Capacity::exactly(medium.len() as u64), 0)
}

fn mount_from(medium: &[u8], capacity: Capacity, floor: u64) -> Result<(Index, Kept), Error> {
    let mut mount = v3::Mount::new(KEYS, capacity, floor);
    let mut kept = Kept::default();
    while let Progress::Need { first_block, count } = mount.poll() {
        for block in first_block..first_block + u64::from(count) {
            let at = usize::try_from(block).unwrap() * BLOCK_SIZE;
            mount.on_block(&Software, block, medium[at..at + BLOCK_SIZE].try_into().unwrap(), &mut kept);
        }
    }
    mount.finish().map(|index| (index, kept))
}

fn medium(mut image: Vec<u8>) -> Vec<u8> {
    image.resize(image.len().next_multiple_of(BLOCK_SIZE), 0);
    image
}

/// Mode, owner and the content of a file, by path.
type Found = BTreeMap<Vec<u8>, (u32, u32, Option<Vec<u8>>)>;

/// What is mounted.
fn read(index: &Index, kept: &Kept) -> Found {
    let mut found = BTreeMap::new();
    let mut paths = BTreeMap::from([(0, Vec::new())]);
    for at in 0..index.len() {
        let entry = index.entry(at).unwrap();
        let path = match &paths[&entry.parent] {
            parent if parent.is_empty() => entry.name.to_vec(),
            parent => [parent, &b"/"[..], entry.name].concat(),
        };
        let content = match entry.content {
            Content::File { size, first_block, sha256 } => {
                let pages = first_block..first_block + size.div_ceil(BLOCK_SIZE as u64);
                let mut bytes: Vec<u8> = pages.flat_map(|page| kept.0[&page]).collect();
                assert!(bytes[usize::try_from(size).unwrap()..].iter().all(|&byte| byte == 0));
                bytes.truncate(usize::try_from(size).unwrap());
                assert_eq!(Sha256::digest(&Software, &bytes), sha256);
                Some(bytes)
            }
            Content::Directory { .. } => None,
            Content::Symlink { .. } => unreachable!("version 3 has none"),
        };
        paths.insert(at, path.clone());
        found.insert(path, (entry.mode, entry.owner, content));
    }
    found
}

proptest! {
    #[test]
    fn what_is_mounted_is_what_was_packed(model in trees::any_model()) {
        let mut tree = Tree::new(Attributes::DIRECTORY);
        let mut expected = BTreeMap::from([(Vec::new(), (0o755, 1, None))]);
        for (path, (_, node)) in model {
            let attributes = v3::attributes_at(&path, &node);
            let content = match &node {
                Node::Directory => None,
                Node::File(bytes) => Some(bytes.clone()),
                Node::Symlink(_) => continue,
            };
            let hidden = path.split(|&byte| byte == b'/').any(|name| name.starts_with(b"."));
            if !hidden && tree.add(&path, attributes, node).is_ok() {
                expected.insert(path, (attributes.mode, attributes.owner, content));
            }
        }
        if expected.len() > 1 {
            let (index, kept) = mount(&medium(v3::write(&tree, &TEST_SEED).unwrap())).unwrap();
            prop_assert_eq!(read(&index, &kept), expected);
        }
    }
}

#[test]
fn no_medium_with_a_changed_byte_is_mounted() {
    let mut medium = medium(image());
    assert!(mount(&medium).is_ok());
    // One of each byte: a signature for each bit would take long.
    for at in 0..medium.len() {
        medium[at] ^= 1 << (at % 8);
        assert!(mount(&medium).is_err(), "byte {at}");
        medium[at] ^= 1 << (at % 8);
    }
}

#[test]
fn no_medium_of_another_length_is_mounted() {
    let medium = medium(image());
    assert!(mount(&[]).is_err());
    for blocks in 1..medium.len() / BLOCK_SIZE {
        assert!(matches!(mount(&medium[..blocks * BLOCK_SIZE]), Err(Error::WrongLength { .. })), "{blocks}");
    }
    let longer = [&medium[..], &[0; BLOCK_SIZE]].concat();
    assert!(matches!(mount(&longer), Err(Error::WrongLength { .. })));
    assert!(mount_from(&longer, Capacity::at_least(longer.len() as u64), 0).is_ok());
}

/// It has no version, so it can be older than anything.
#[test]
fn it_is_not_mounted_where_a_version_is_wanted() {
    let medium = medium(image());
    let refused = mount_from(&medium, Capacity::exactly(medium.len() as u64), 1).map(drop);
    assert_eq!(refused, Err(Error::RolledBack { found: 0, floor: 1 }));
}

#[test]
fn without_room_nothing_is_mounted() {
    struct Full;
    impl v3::Pages for Full {
        fn store(&mut self, _: u64, _: usize, _: &[u8]) -> Result<(), Error> {
            Err(Error::OutOfMemory)
        }
    }
    let medium = medium(image());
    let mut mount = v3::Mount::new(KEYS, Capacity::exactly(medium.len() as u64), 0);
    for (block, bytes) in (0..).zip(medium.as_chunks().0) {
        mount.on_block(&Software, block, bytes, &mut Full);
    }
    assert_eq!(mount.poll(), Progress::Failed(Error::OutOfMemory));
}
