//! Fuzz targets: any bytes, past the signature, must be refused or read without a panic.
//!
//! Plain functions, so that the same inputs run on stable Rust as tests and under a fuzzer with `--cfg fuzzing`.

use alloc::vec::Vec;

use crate::v3::Unverified;
use crate::v4::{Block, Content, Extent, Index};
use crate::{BLOCK_SIZE, KeyId};

/// Metadata of version 4 as a mount would read it from verified blocks: `bytes` filled up to whole blocks, with these
/// numbers from the superblock.
///
/// # Panics
///
/// If a promise of the format is broken: what a fuzzer looks for.
pub fn v4_metadata(bytes: &[u8], entries: u32, data_blocks: u64) {
    let mut blocks: Vec<u8> = bytes.to_vec();
    blocks.resize(bytes.len().next_multiple_of(BLOCK_SIZE), 0);
    let data = Extent { first: 3, count: data_blocks };
    let Ok(index) = Index::parse(blocks, bytes.len() as u64, entries, data) else { return };
    // Whatever was accepted keeps the promises of the format.
    for at in 0..index.len() {
        let entry = index.entry(at);
        assert!(entry.is_some(), "entry {at} was accepted and is not there");
        let Some(entry) = entry else { continue };
        match entry.content {
            Content::Directory { first, count } => {
                assert!(first > at && first + count <= index.len());
                for child in first..first + count {
                    let name = index.entry(child).map_or(&[][..], |entry| entry.name);
                    assert_eq!(index.lookup(at, name), Some(child));
                }
            }
            Content::File { size, first_block, .. } => {
                assert!(first_block - 3 + size.div_ceil(BLOCK_SIZE as u64) <= data_blocks);
            }
            Content::Symlink { target } => assert!(!target.is_empty()),
        }
        assert!(at == 0 || entry.parent < at);
    }
}

/// A superblock whose signature is taken for good.
///
/// # Panics
///
/// If a promise of the format is broken: what a fuzzer looks for.
pub fn v4_superblock(block: &Block) {
    let Ok(unverified) = crate::v4::Unverified::new(block) else { return };
    if let Ok(superblock) = unverified.fields(KeyId([0; 8])) {
        let geometry = superblock.geometry;
        let last = geometry.total() - 1;
        assert!(geometry.leaf(last).is_some() || geometry.tree().position(last).is_some());
        assert!(superblock.meta_bytes <= geometry.meta().count * BLOCK_SIZE as u64);
    }
}

/// A version 3 image whose signature is taken for good.
///
/// # Panics
///
/// If a promise of the format is broken: what a fuzzer looks for.
pub fn v3_metadata(bytes: &[u8], image_len: u64) {
    let Ok(unverified) = Unverified::new(bytes, image_len) else { return };
    let Ok(metadata) = unverified.entries() else { return };
    for entry in metadata.entries() {
        assert!(entry.offset.checked_add(entry.size).is_some_and(|end| end <= image_len));
        assert_eq!(metadata.find(entry.path), Some(entry));
    }
}

#[cfg(test)]
mod tests;
