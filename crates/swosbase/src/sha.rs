//! SHA-256 over a replaceable compression function.

use core::fmt;

use crate::BLOCK_SIZE;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The SHA-256 compression function: the one thing that differs between a CPU's instructions and plain code.
///
/// A kernel plugs its guarded SIMD section in here; [`Software`] serves where there is none.
pub trait Sha256Blocks {
    /// Applies the compression function to `state` for each of `blocks` in order. `state` holds the eight words H0..H7
    /// as numbers, not bytes.
    ///
    /// Source: FIPS 180-4 §6.2.2.
    fn compress(&self, state: &mut [u32; 8], blocks: &[[u8; 64]]);
}

/// The `sha2` crate's compression function. On the host it finds the CPU's instructions by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Software;

impl Sha256Blocks for Software {
    fn compress(&self, state: &mut [u32; 8], blocks: &[[u8; 64]]) {
        sha2::block_api::compress256(state, blocks);
    }
}

/// Initial hash value. Source: FIPS 180-4 §5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// What a hashed block is. Each role has a 64-byte prefix of its own, so that no block can stand for the other kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// A block of metadata or file data.
    Leaf,
    /// A block of the hash tree.
    Node,
}

impl Role {
    /// The 64 bytes hashed before the block: an ASCII tag, then zeros.
    #[must_use]
    pub const fn prefix(self) -> [u8; 64] {
        let tag: &[u8; 16] = match self {
            Self::Leaf => b"SWOSBASE v4 leaf",
            Self::Node => b"SWOSBASE v4 node",
        };
        let mut prefix = [0; 64];
        let (head, _) = prefix.split_at_mut(16);
        head.copy_from_slice(tag);
        prefix
    }

    /// The state after [`prefix`](Self::prefix). A constant, so the prefix costs nothing when a block is hashed.
    const fn midstate(self) -> [u32; 8] {
        match self {
            Self::Leaf => LEAF,
            Self::Node => NODE,
        }
    }
}

/// State after the prefix of [`Role::Leaf`]; a test computes it anew.
const LEAF: [u32; 8] =
    [0x175a_5869, 0x6fa7_388c, 0x8659_802b, 0xb0f4_8ad4, 0xfdfc_31cd, 0x5518_e21e, 0xd99a_db8b, 0x86fb_ed61];
/// State after the prefix of [`Role::Node`].
const NODE: [u32; 8] =
    [0x0aed_e7a0, 0x690c_5d23, 0xa915_dca8, 0x6292_aedc, 0x2a7d_6d1a, 0x1a5a_e674, 0x7f7c_4c8e, 0x88c7_8f47];

/// Last compression input of a tagged block: the padding for 64 + 4096 bytes.
const BLOCK_PADDING: [u8; 64] = padding_block((64 + BLOCK_SIZE as u64) * 8);

const fn padding_block(bits: u64) -> [u8; 64] {
    let mut block = [0; 64];
    block[0] = 0x80;
    let length = bits.to_be_bytes();
    let mut i = 0;
    while i < 8 {
        block[56 + i] = length[i];
        i += 1;
    }
    block
}

/// `SHA-256(role.prefix() ‖ block)`: 65 compressions, as many as without the prefix.
#[must_use]
pub fn hash_block(sha: &dyn Sha256Blocks, role: Role, block: &[u8; BLOCK_SIZE]) -> Digest {
    let mut state = role.midstate();
    sha.compress(&mut state, block.as_chunks().0);
    sha.compress(&mut state, &[BLOCK_PADDING]);
    to_bytes(state)
}

fn to_bytes(state: [u32; 8]) -> Digest {
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

/// Plain SHA-256 of bytes that come in pieces.
#[derive(Clone)]
pub struct Sha256 {
    state: [u32; 8],
    length: u64,
    partial: [u8; 64],
}

impl Sha256 {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: INITIAL, length: 0, partial: [0; 64] }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, sha: &dyn Sha256Blocks, mut bytes: &[u8]) {
        let held = self.held();
        self.length += bytes.len() as u64;
        if held > 0 {
            let take = bytes.len().min(64 - held);
            self.partial[held..held + take].copy_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if held + take < 64 {
                return;
            }
            sha.compress(&mut self.state, &[self.partial]);
        }
        let (whole, rest) = bytes.as_chunks();
        sha.compress(&mut self.state, whole);
        self.partial[..rest.len()].copy_from_slice(rest);
    }

    /// The digest of all bytes taken.
    #[must_use]
    pub fn finish(mut self, sha: &dyn Sha256Blocks) -> Digest {
        let held = self.held();
        let mut tail = [0; 128];
        tail[..held].copy_from_slice(&self.partial[..held]);
        tail[held] = 0x80;
        let end = if held < 56 { 64 } else { 128 };
        tail[end - 8..end].copy_from_slice(&(self.length * 8).to_be_bytes());
        sha.compress(&mut self.state, tail[..end].as_chunks().0);
        to_bytes(self.state)
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn digest(sha: &dyn Sha256Blocks, bytes: &[u8]) -> Digest {
        let mut hash = Self::new();
        hash.update(sha, bytes);
        hash.finish(sha)
    }

    /// Bytes waiting in `partial`.
    const fn held(&self) -> usize {
        (self.length % 64) as usize
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sha256").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
