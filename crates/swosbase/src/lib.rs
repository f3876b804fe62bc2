//! The packed, signed, read-only image: version 4 with a hash tree, our default, and version 3 for compatibility.
//!
//! A core without I/O. [`v4::Mount`] says which blocks it needs, gets their bytes, and ends in a [`v4::Image`]: the signed
//! superblock as [`Verified`], the metadata as an [`v4::Index`] in memory, and a [`v4::BlockVerifier`] that checks every other
//! block when it is read. [`Tree`] and the two `write` functions make images, the same bytes from the same tree.
//!
//! **Invariant:** no byte of an image is interpreted before it was verified, except the fixed fields that are
//! needed to verify it. **Invariant:** every byte of an image is under the signature, directly or by hashes: no image
//! that differs in one bit is accepted. **Invariant:** reading never panics, whatever the bytes.
//!
//! Deliberately absent: the disk, the page cache, decryption, compression, version 2.
//!
//! ```
//! use swos_swosbase::{Attributes, Node, Software, TEST_PUBLIC_KEY, TEST_SEED, Tree, v4};
//! let mut tree = Tree::new(Attributes::DIRECTORY);
//! tree.add(b"motd", Attributes::FILE, Node::File(b"hello".to_vec())).unwrap();
//! let image = v4::write(&tree, &v4::Options { image_version: 7 }, &TEST_SEED).unwrap();
//!
//! let mut mount = v4::Mount::new(&[TEST_PUBLIC_KEY], v4::Capacity::exactly(image.len() as u64), 0);
//! while let v4::Progress::Need { first_block, count } = mount.poll() {
//!     for block in first_block..first_block + u64::from(count) {
//!         let at = usize::try_from(block).unwrap() * 4096;
//!         mount.on_block(&Software, block, image[at..at + 4096].try_into().unwrap());
//!     }
//! }
//! let image = mount.finish().unwrap();
//! assert_eq!(image.index.lookup(0, b"motd"), Some(1));
//! ```
//!
//! Source: FORMAT.md beside this crate (v4); SWOSBASE v3 as the predecessor system wrote it.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
pub mod fuzz;
mod key;
mod sha;
mod tree;
pub mod v3;
pub mod v4;
mod verified;

pub use error::{Error, WriteError};
pub use key::{KeyId, PublicKey, Seed, Signature, TEST_PUBLIC_KEY, TEST_SEED};
pub use sha::{Digest, Role, Sha256, Sha256Blocks, Software, hash_block};
pub use tree::{Attributes, Node, Tree};
pub use verified::Verified;

/// Size of a block, in bytes.
pub const BLOCK_SIZE: usize = 4096;

/// The first eight bytes of every image.
pub const MAGIC: [u8; 8] = *b"SWOSBASE";

/// Version in the first bytes of an image; `None` if it is no image at all. Untrusted: only for choosing a reader.
#[must_use]
pub fn version(head: &[u8]) -> Option<u32> {
    let rest = head.strip_prefix(&MAGIC)?;
    rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Whether all of `bytes` are zero. By words: a byte at a time is noticeable at boot where there are no vector instructions.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| u64::from_ne_bytes(*word) == 0) && rest.iter().all(|&byte| byte == 0)
}
