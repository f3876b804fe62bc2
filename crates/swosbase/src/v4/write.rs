//! Writes an image: the same tree and options give the same bytes.

use alloc::vec;
use alloc::vec::Vec;

use crate::sha::{Role, Sha256, hash_block};
use crate::tree::Item;
use crate::v4::index::{self, ENTRY, KIND_DIRECTORY, KIND_FILE, KIND_SYMLINK};
use crate::v4::superblock as field;
use crate::v4::{Geometry, VERSION};
use crate::{BLOCK_SIZE, Digest, MAGIC, Node, Seed, Sha256Blocks, Software, Tree, WriteError};

/// What an image states beside its tree.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Grows with each release. See [`Superblock::image_version`](crate::v4::Superblock::image_version).
    pub image_version: u64,
}

/// Writes `tree` as a version 4 image signed with `seed`.
///
/// # Errors
///
/// [`WriteError::TooLarge`].
pub fn write(tree: &Tree, options: &Options, seed: &Seed) -> Result<Vec<u8>, WriteError> {
    let sha = &Software;
    let Layout { metadata: meta, order } = layout(tree, |node| match node {
        Node::File(bytes) => (bytes.len() as u64, Sha256::digest(sha, bytes)),
        Node::Directory | Node::Symlink(_) => (0, [0; 32]),
    })?;
    let entries = u32::try_from(order.len()).map_err(|_| WriteError::TooLarge)?;
    let file_blocks = tree.items().iter().map(|item| match &item.node {
        Node::File(bytes) => bytes.len().div_ceil(BLOCK_SIZE) as u64,
        Node::Directory | Node::Symlink(_) => 0,
    });
    let meta_blocks = meta.len().div_ceil(BLOCK_SIZE) as u64;
    let geometry = Geometry::new(meta_blocks, file_blocks.sum()).ok_or(WriteError::TooLarge)?;

    let length = usize::try_from(geometry.total()).map_err(|_| WriteError::TooLarge)? * BLOCK_SIZE;
    let mut image = vec![0; length];
    let place = |block: u64| usize::try_from(block).unwrap_or(0) * BLOCK_SIZE;
    image[BLOCK_SIZE..BLOCK_SIZE + meta.len()].copy_from_slice(&meta);
    let mut at = place(geometry.data().first);
    for item in order.iter().filter_map(|&item| tree.items().get(item)) {
        if let Node::File(bytes) = &item.node {
            image[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len().next_multiple_of(BLOCK_SIZE);
        }
    }

    // Level by level upwards: hash what lies below, store it into the blocks of this level.
    let leaves = (0..geometry.total()).filter(|&block| geometry.leaf(block).is_some());
    let mut hashes: Vec<_> = leaves.map(|block| hash_at(sha, Role::Leaf, &image, place(block))).collect();
    for level in 0..geometry.levels() {
        let start = place(geometry.tree().first + geometry.level_start(level));
        let blocks = hashes.len().div_ceil(BLOCK_SIZE / 32);
        for (slot, hash) in image[start..].as_chunks_mut().0.iter_mut().zip(&hashes) {
            *slot = *hash;
        }
        hashes =
            (0..blocks).map(|block| hash_at(sha, Role::Node, &image, start + block * BLOCK_SIZE)).collect();
    }

    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(field::AT_VERSION, &VERSION.to_le_bytes());
    put(field::AT_HEADER_SIZE, &4096_u32.to_le_bytes());
    put(field::AT_BLOCK_LOG2, &BLOCK_SIZE.ilog2().to_le_bytes());
    put(field::AT_LEVELS, &u32::try_from(geometry.levels()).unwrap_or(0).to_le_bytes());
    put(field::AT_TOTAL, &geometry.total().to_le_bytes());
    put(field::AT_IMAGE_VERSION, &options.image_version.to_le_bytes());
    put(field::AT_META_BLOCKS, &geometry.meta().count.to_le_bytes());
    put(field::AT_META_BYTES, &(meta.len() as u64).to_le_bytes());
    put(field::AT_TREE_BLOCKS, &geometry.tree().count.to_le_bytes());
    put(field::AT_DATA_BLOCKS, &geometry.data().count.to_le_bytes());
    put(field::AT_ENTRIES, &entries.to_le_bytes());
    put(field::AT_ROOT_HASH, hashes.first().ok_or(WriteError::TooLarge)?);
    put(field::AT_KEY_ID, &seed.public_key().id(sha).0);
    let signature = seed.sign(&image[..field::SIGNED]);
    image[field::SIGNED..field::SIGNED + signature.len()].copy_from_slice(&signature);
    Ok(image)
}

fn hash_at(sha: &dyn Sha256Blocks, role: Role, image: &[u8], at: usize) -> Digest {
    image[at..].first_chunk().map_or([0; 32], |block| hash_block(sha, role, block))
}

/// What describes a tree.
pub(crate) struct Layout {
    /// Entries, then names and link targets.
    pub(crate) metadata: Vec<u8>,
    /// The tree's items in the order of the entries: breadth first, siblings by name.
    pub(crate) order: Vec<usize>,
}

fn in_order(tree: &Tree) -> Vec<usize> {
    let mut order = Vec::from([0]);
    let mut next = 0;
    while let Some(item) = order.get(next).and_then(|&item| tree.items().get(item)) {
        order.extend(item.children.values());
        next += 1;
    }
    order
}

/// Lays `tree` out. `file` says of each of its files, in the order of the entries, how long it is and what its hash is.
pub(crate) fn layout(
    tree: &Tree,
    mut file: impl FnMut(&Node) -> (u64, Digest),
) -> Result<Layout, WriteError> {
    let order = in_order(tree);
    let items: Vec<&Item> = order.iter().filter_map(|&item| tree.items().get(item)).collect();
    let count = u32::try_from(items.len()).map_err(|_| WriteError::TooLarge)?;
    // Names and parents, in the same order: each item names its children.
    let mut names: Vec<(&[u8], u32)> = Vec::from([(&[][..], 0)]);
    for (parent, item) in (0..count).zip(&items) {
        names.extend(item.children.keys().map(|name| (name.as_slice(), parent)));
    }
    let mut table = Vec::with_capacity(items.len() * ENTRY);
    let mut text: Vec<u8> = Vec::new();
    let mut child = 1_u64;
    let mut block = 0_u64;
    for (item, (name, parent)) in items.iter().zip(names) {
        let mut entry = [0; ENTRY];
        let mut put = |at: usize, bytes: &[u8]| entry[at..at + bytes.len()].copy_from_slice(bytes);
        put(index::AT_PARENT, &parent.to_le_bytes());
        put(
            index::AT_NAME_OFFSET,
            &u32::try_from(text.len()).map_err(|_| WriteError::TooLarge)?.to_le_bytes(),
        );
        put(index::AT_NAME_LEN, &u16::try_from(name.len()).map_err(|_| WriteError::TooLarge)?.to_le_bytes());
        put(index::AT_MODE, &item.attributes.mode.to_le_bytes());
        put(index::AT_OWNER, &item.attributes.owner.to_le_bytes());
        put(index::AT_MODIFIED, &item.attributes.modified_s.to_le_bytes());
        text.extend_from_slice(name);
        let (kind, size, first) = match &item.node {
            Node::Directory => {
                let first = child;
                child += item.children.len() as u64;
                (KIND_DIRECTORY, item.children.len() as u64, first)
            }
            Node::File(_) => {
                let (size, sha256) = file(&item.node);
                put(index::AT_HASH, &sha256);
                let first = block;
                block += size.div_ceil(BLOCK_SIZE as u64);
                (KIND_FILE, size, first)
            }
            Node::Symlink(target) => {
                let first = text.len() as u64;
                text.extend_from_slice(target);
                (KIND_SYMLINK, target.len() as u64, first)
            }
        };
        put(index::AT_KIND, &[kind]);
        put(index::AT_SIZE, &size.to_le_bytes());
        put(index::AT_FIRST, &first.to_le_bytes());
        table.extend_from_slice(&entry);
    }
    table.extend_from_slice(&text);
    Ok(Layout { metadata: table, order })
}
