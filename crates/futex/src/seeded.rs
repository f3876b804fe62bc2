//! A fast hash whose outcome a program can't foresee.

use core::hash::{BuildHasher, Hasher};

/// 2^64 divided by the golden ratio: bits without a pattern.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Makes hashers from a secret drawn at boot, so that a program that chooses its addresses can't make all of them fall
/// into one bucket and slow the others down.
///
/// Folded 64×64→128-bit multiplication: two multiplications a word, far less than SipHash. It resists a
/// program that does not see hash values, and this table shows none.
#[derive(Clone, Copy, Debug)]
pub struct SeededHash([u64; 2]);

impl SeededHash {
    /// A hash of its own for each `secret`.
    #[must_use]
    pub const fn new(secret: [u64; 2]) -> Self {
        // An odd multiplier loses no bits, and one that is never small spreads words that are.
        Self([secret[0], (secret[1] ^ SPREAD) | 1])
    }
}

/// State of one hash.
#[derive(Clone, Copy, Debug)]
pub struct SeededHasher {
    state: u64,
    multiplier: u64,
}

impl BuildHasher for SeededHash {
    type Hasher = SeededHasher;

    #[inline]
    fn build_hasher(&self) -> SeededHasher {
        SeededHasher { state: self.0[0], multiplier: self.0[1] }
    }
}

impl SeededHasher {
    #[inline]
    fn fold(left: u64, right: u64) -> u64 {
        let product = u128::from(left) * u128::from(right);
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let low = product as u64;
        low ^ (product >> 64) as u64
    }
}

impl Hasher for SeededHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_usize(bytes.len());
    }

    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.state = Self::fold(self.state ^ word, self.multiplier);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // Once more with another multiplier: the first leaves its low bits weak when the word is small.
        Self::fold(self.state, SPREAD)
    }
}

#[cfg(test)]
mod tests;
