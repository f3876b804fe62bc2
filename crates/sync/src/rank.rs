//! Lock ranks, and the record of which ranks a CPU holds.

/// Place of a lock in the order in which locks are taken: higher levels inside lower ones.
///
/// Declare ranks as constants in one place, so that the order can be read as a list:
/// `pub const PMM: &Rank = &Rank::new(40, "pmm");`
#[derive(Debug)]
pub struct Rank {
    level: u16,
    name: &'static str,
}

impl Rank {
    /// A rank of `level`, shown as `name` when the order is broken.
    #[must_use]
    pub const fn new(level: u16, name: &'static str) -> Self {
        Self { level, name }
    }

    /// Its level; locks are taken in rising order.
    #[must_use]
    pub const fn level(&self) -> u16 {
        self.level
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

// Checked on every host (tests, simulation) and in debug kernels; a release kernel carries neither code nor data.
// loom runs all its threads on one OS thread, where a thread-local record would mix them.
#[cfg(all(not(loom), any(debug_assertions, not(target_os = "none"))))]
mod checked;
#[cfg(all(not(loom), any(debug_assertions, not(target_os = "none"))))]
pub(crate) use checked::LockRank;
#[cfg(all(not(loom), any(debug_assertions, not(target_os = "none"))))]
pub use checked::{HeldRanks, install_held_ranks};

#[cfg(not(all(not(loom), any(debug_assertions, not(target_os = "none")))))]
mod unchecked;
#[cfg(not(all(not(loom), any(debug_assertions, not(target_os = "none")))))]
pub(crate) use unchecked::LockRank;
#[cfg(not(all(not(loom), any(debug_assertions, not(target_os = "none")))))]
pub use unchecked::{HeldRanks, install_held_ranks};

#[cfg(test)]
mod tests;
