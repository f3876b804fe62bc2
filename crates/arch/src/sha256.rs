//! The SHA-256 compression function over whole blocks: with the CPU's instructions where it has them.
//!
//! Source: FIPS 180-4 §6.2.2.

/// A function that folds blocks into a state.
pub type Compress = fn(&mut [u32; 8], &[[u8; 64]]);

/// Folds blocks in software.
pub fn compress_portable(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    sha2::block_api::compress256(state, blocks);
}

#[cfg(test)]
mod tests;
