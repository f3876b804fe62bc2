//! Numbers that nobody outside can guess.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// The generator of a stack: ChaCha with twelve rounds, seeded once.
///
/// Every value comes out of the key stream, so samples are independent and the next one is not better than
/// guessed (T-6); the generator computes four blocks at a time, which makes a value cost a few instructions.
pub(crate) struct Entropy(ChaCha12Rng);

impl Entropy {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(secret))
    }

    pub(crate) fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        self.0.fill_bytes(&mut key);
        key
    }

    pub(crate) fn long(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn word(&mut self) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "half of the value is enough")]
        {
            self.0.next_u32() as u16
        }
    }

    /// A value below `bound`, all equally likely; `bound` is at most 2¹⁶.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        // Multiplying and taking the upper half favours no value by more than bound / 2^64.
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u32::try_from(wide >> 64).unwrap_or(0)
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entropy(..)")
    }
}
