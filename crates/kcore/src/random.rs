//! Random numbers: ChaCha20, keyed once from the machine's entropy.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{Kernel, Machine};

/// The kernel's generator. Without entropy it has no key and gives no bytes to programs: never a constant instead.
#[derive(Debug)]
pub(crate) struct Random {
    generator: Option<ChaCha20Rng>,
    /// For what must differ but need not be secret, on a machine without entropy.
    counter: u64,
}

impl Random {
    pub(crate) fn new(entropy: Option<[u8; 32]>) -> Self {
        Self { generator: entropy.map(ChaCha20Rng::from_seed), counter: 0 }
    }

    /// Fills `bytes`; false = there is no entropy and nothing was written.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> bool {
        let Some(generator) = &mut self.generator else { return false };
        generator.fill_bytes(bytes);
        true
    }

    /// A number to place things with. Predictable, but different each time, on a machine without entropy, which the log
    /// warns of at boot.
    pub(crate) fn next_or_time<M: Machine>(&mut self, machine: &M) -> u64 {
        let mut bytes = [0; 8];
        if self.fill(&mut bytes) {
            return u64::from_le_bytes(bytes);
        }
        self.counter += 1;
        self.counter.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ machine.now().as_nanos()
    }
}

impl<M: Machine> Kernel<M> {
    /// Fills `bytes`; false = there is no entropy and nothing was written.
    pub(crate) fn random(&self, bytes: &mut [u8]) -> bool {
        self.random.lock().fill(bytes)
    }

    /// A number to place things with: see [`Random::next_or_time`].
    pub(crate) fn placement(&self) -> u64 {
        self.random.lock().next_or_time(&self.machine)
    }
}
