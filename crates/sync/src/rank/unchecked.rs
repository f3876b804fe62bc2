//! Ranks compiled out: release kernels and loom models.

use super::Rank;

/// Record of the ranks a CPU holds: empty in this build.
#[derive(Debug, Default)]
pub struct HeldRanks(());

impl HeldRanks {
    /// Nothing held.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LockRank(());

impl LockRank {
    pub(crate) const fn new(_rank: &'static Rank) -> Self {
        Self(())
    }

    #[inline]
    pub(crate) const fn check(self) {}

    #[inline]
    pub(crate) const fn acquired(self) {}

    #[inline]
    pub(crate) const fn released(self) {}
}

/// Tells where the running CPU's record is: ignored in this build, which checks nothing.
pub const fn install_held_ranks(_current: fn() -> Option<&'static HeldRanks>) {}
