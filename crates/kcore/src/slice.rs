//! How much a slice of long work may do.

/// Less than the longest piece of kernel work that is allowed: the way in, the search for a file and the way out come on top.
const SLICE: u32 = 32_000;

/// What a slice may still cost, in instructions, by rough estimates.
#[derive(Debug)]
pub(crate) struct Credit(u32);

impl Credit {
    /// For a new slice.
    pub(crate) const fn new() -> Self {
        Self(SLICE)
    }

    /// Takes what the next step costs; false = it is for the next slice. A new slice takes any step, so that all goes on.
    pub(crate) const fn take(&mut self, cost: u32) -> bool {
        if cost > self.0 && self.0 < SLICE {
            return false;
        }
        self.0 = self.0.saturating_sub(cost);
        true
    }
}
