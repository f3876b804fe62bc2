//! Numbers that nobody outside can guess.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// The generator of a stack: ChaCha with twelve rounds, seeded once.
///
/// Every value comes out of the key stream, so samples are independent and the next one is not better than
/// guessed (T-6); the generator computes four blocks at a time, which makes a value cost a few instructions.
pub(crate) struct Entropy {
    generator: ChaCha12Rng,
    /// A count and two secrets: see [`Self::atomic_ident`].
    idents: [u64; 3],
}

impl Entropy {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        let mut generator = ChaCha12Rng::from_seed(secret);
        let idents = [generator.next_u64(), generator.next_u64(), generator.next_u64()];
        Self { generator, idents }
    }

    pub(crate) fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        self.generator.fill_bytes(&mut key);
        key
    }

    pub(crate) fn long(&mut self) -> u64 {
        self.generator.next_u64()
    }

    pub(crate) fn word(&mut self) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "half of the value is enough")]
        {
            self.generator.next_u32() as u16
        }
    }

    /// The identification of a packet that is never fragmented.
    ///
    /// It means nothing (RFC 6864 §4.1), so it need not withstand one who can watch many of them, and the generator would
    /// cost as much as the rest of the header. It is a count under two multiplications by secrets: neither what comes next
    /// nor how much we send to others can be seen from a few.
    pub(crate) const fn atomic_ident(&mut self) -> u16 {
        let [count, first, second] = self.idents;
        self.idents[0] = count.wrapping_add(1);
        #[expect(clippy::cast_possible_truncation, reason = "a part of the value is enough")]
        {
            folded(folded(count, first), second) as u16
        }
    }

    /// A value below `bound`, all equally likely; `bound` is at most 2¹⁶.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        // Multiplying and taking the upper half favours no value by more than bound / 2^64.
        let wide = u128::from(self.generator.next_u64()) * u128::from(bound);
        u32::try_from(wide >> 64).unwrap_or(0)
    }
}

/// Multiplies by a secret and folds the product.
const fn folded(value: u64, secret: u64) -> u64 {
    let product = (value ^ secret) as u128 * (secret | 1) as u128;
    #[expect(clippy::cast_possible_truncation, reason = "takes the product apart")]
    {
        product as u64 ^ (product >> 64) as u64
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entropy(..)")
    }
}
