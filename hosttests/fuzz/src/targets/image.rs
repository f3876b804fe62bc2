//! Base images.

use std::collections::BTreeMap;

use swos_swosbase::{
    Attributes, BLOCK_SIZE, Error, Node, Role, Software, TEST_PUBLIC_KEY, TEST_SEED, Tree, fuzz, hash_block,
    v3, v4,
};

use crate::input::Input;

/// A version 3 image behind its signature: header, metadata, index.
pub(super) fn v3(data: &[u8]) {
    fuzz::v3_metadata(data, data.len() as u64);
    fuzz::v3_metadata(data, u64::MAX);
    // With the signature in place it must be refused unless it is signed, which no mutation manages.
    let accepted = v3::verify_all(&Software, data, &[TEST_PUBLIC_KEY]).is_ok();
    if accepted {
        let signed = v3_seeds();
        assert!(signed.iter().any(|image| image == data), "accepted, and nobody signed it");
    }
    let mut disk = data.to_vec();
    disk.resize(data.len().next_multiple_of(BLOCK_SIZE), 0);
    let length = disk.len() as u64;
    // What fills a block up may have been cut off, or be there already: never more is mounted than was signed.
    let mounted = v3_mount(&disk, v4::Capacity::exactly(length), 0);
    assert!(mounted.is_ok() || !accepted, "good, and not mounted");
    assert_eq!(v3_mount(&disk, v4::Capacity::at_least(length), 0).is_ok(), mounted.is_ok());
    assert!(v3_mount(&disk, v4::Capacity::exactly(length), 1).is_err(), "it has no version");
}

struct Pages(BTreeMap<u64, usize>);

impl v3::Pages for Pages {
    fn store(&mut self, page: u64, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let stored = self.0.entry(page).or_default();
        assert_eq!((*stored, bytes.is_empty()), (offset, false), "in order, and each byte once");
        *stored += bytes.len();
        assert!(*stored <= BLOCK_SIZE);
        Ok(())
    }
}

/// Mounts from a disk with these bytes, and looks whether every page of every file was stored.
fn v3_mount(disk: &[u8], capacity: v4::Capacity, floor: u64) -> Result<(), Error> {
    let mut mount = v3::Mount::new(&[TEST_PUBLIC_KEY], capacity, floor);
    let mut pages = Pages(BTreeMap::new());
    while let needed @ v4::Progress::Need { first_block, .. } = mount.poll() {
        // One that nobody asked for changes nothing.
        mount.on_block(&Software, u64::MAX, &[0; BLOCK_SIZE], &mut pages);
        assert_eq!(mount.poll(), needed);
        mount.on_block(&Software, first_block, block(disk, first_block)?, &mut pages);
    }
    let index = mount.finish()?;
    let contents = (0..index.len()).filter_map(|at| index.entry(at).map(|entry| entry.content));
    let sizes = contents.map(|content| if let v4::Content::File { size, .. } = content { size } else { 0 });
    let stored: usize = pages.0.values().sum();
    assert_eq!(sizes.sum::<u64>(), stored as u64);
    Ok(())
}

/// Mounts from a disk with these bytes, asked for block by block.
fn v4_mount(disk: &[u8], capacity: v4::Capacity, floor: u64) -> Result<v4::Image, Error> {
    let mut mount = v4::Mount::new(&[TEST_PUBLIC_KEY], capacity, floor);
    while let needed @ v4::Progress::Need { first_block, .. } = mount.poll() {
        mount.on_block(&Software, u64::MAX, &[0; BLOCK_SIZE]);
        assert_eq!(mount.poll(), needed);
        mount.on_block(&Software, first_block, block(disk, first_block)?);
    }
    mount.finish()
}

fn block(disk: &[u8], number: u64) -> Result<&v4::Block, Error> {
    let at = usize::try_from(number).unwrap() * BLOCK_SIZE;
    disk.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Error::NotCovered { block: number })
}

/// A version 4 superblock behind its signature.
pub(super) fn v4_superblock(data: &[u8]) {
    let mut block = [0; BLOCK_SIZE];
    let len = data.len().min(BLOCK_SIZE);
    block[..len].copy_from_slice(&data[..len]);
    fuzz::v4_superblock(&block);
}

/// Version 4 metadata behind the hash tree: the first twelve bytes are the numbers of the superblock.
pub(super) fn v4_metadata(data: &[u8]) {
    let mut input = Input::new(data);
    let (entries, blocks) = (input.u32(), input.u64());
    fuzz::v4_metadata(input.rest(), entries, blocks);
}

/// A whole small version 4 image with bytes changed. As it is, it must be refused: I-1. With hashes and
/// signature made good for the change, it is mounted and walked without a panic.
pub(super) fn v4_image(data: &[u8]) {
    let original = v4_original();
    let mut image = original.clone();
    let mut input = Input::new(data);
    let mode = input.u8();
    while !input.is_empty() {
        let (at, change) = (usize::from(input.u16()) % image.len(), input.u8());
        image[at] ^= change;
    }
    if mode & 1 == 1 {
        let keep = image.len() - usize::from(mode) * 64;
        image.truncate(keep);
    }
    let verified = v4::verify_all(&Software, &image, &[TEST_PUBLIC_KEY], 0);
    assert_eq!(verified.is_ok(), image == original, "an image that nobody signed");
    let length = image.len() as u64;
    let mounted = v4_mount(&image, v4::Capacity::exactly(length), 0);
    assert!(mounted.is_ok() || verified.is_err(), "good, and not mounted");
    let longer = v4_mount(&[&image[..], &[0; BLOCK_SIZE]].concat(), v4::Capacity::at_least(length + 4096), 7);
    // A mount reads no data: a block of it may be missing, and the next one be there in its place.
    assert!(longer.is_ok() || mounted.is_err());
    assert!(v4_mount(&image, v4::Capacity::exactly(length), 8).is_err(), "older than what is accepted");
    if image.len() == original.len() {
        seal(&mut image);
        if let Ok(mounted) = v4::verify_all(&Software, &image, &[TEST_PUBLIC_KEY], 0) {
            for at in 0..mounted.index.len() {
                assert!(mounted.index.entry(at).is_some() && mounted.index.kind(at).is_some());
            }
            let floor = mounted.superblock.image_version;
            assert!(v4_mount(&image, v4::Capacity::exactly(length), floor).is_ok());
        }
    }
}

/// Where the blocks of the small image are: a superblock, one block of metadata, one of hashes, then data.
const TREE: usize = 2 * BLOCK_SIZE;

/// Makes hashes and signature fit what the image says now, as whoever has the key could.
fn seal(image: &mut [u8]) {
    let blocks = image.len() / BLOCK_SIZE;
    let leaves: Vec<usize> = core::iter::once(1).chain(3..blocks).collect();
    for (slot, leaf) in leaves.into_iter().enumerate() {
        let block = image[leaf * BLOCK_SIZE..].first_chunk().unwrap();
        let hash = hash_block(&Software, Role::Leaf, block);
        image[TREE + 32 * slot..TREE + 32 * slot + 32].copy_from_slice(&hash);
    }
    let root = hash_block(&Software, Role::Node, image[TREE..].first_chunk().unwrap());
    image[80..112].copy_from_slice(&root);
    let signature = TEST_SEED.sign(&image[..160]);
    image[160..224].copy_from_slice(&signature);
}

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

fn v4_original() -> Vec<u8> {
    let mut tree = tree();
    tree.add(b"l", Attributes::SYMLINK, Node::Symlink(b"a/b".to_vec())).unwrap();
    v4::write(&tree, &v4::Options { image_version: 7 }, &TEST_SEED).unwrap()
}

pub(super) fn v3_seeds() -> Vec<Vec<u8>> {
    vec![v3::write(&tree(), &TEST_SEED).unwrap()]
}

pub(super) fn v4_superblock_seeds() -> Vec<Vec<u8>> {
    vec![v4_original()[..BLOCK_SIZE].to_vec(), v4_original()[..224].to_vec()]
}

pub(super) fn v4_metadata_seeds() -> Vec<Vec<u8>> {
    let image = v4_original();
    let superblock = v4::verify_all(&Software, &image, &[TEST_PUBLIC_KEY], 0).unwrap().superblock;
    let length = usize::try_from(superblock.meta_bytes).unwrap();
    let mut seed = superblock.entries.to_le_bytes().to_vec();
    seed.extend(superblock.geometry.data().count.to_le_bytes());
    seed.extend_from_slice(&image[BLOCK_SIZE..BLOCK_SIZE + length]);
    vec![seed]
}

pub(super) fn v4_image_seeds() -> Vec<Vec<u8>> {
    let changes =
        [24_u16, 40, 80, 120, 160, 4096, 4096 + 80, 4096 + 90, 4096 + 112, 2 * 4096, 3 * 4096, 20_000];
    let one = |at: u16| [&[0][..], &at.to_le_bytes(), &[1]].concat();
    [vec![vec![0], vec![1]], changes.map(one).into()].concat()
}
