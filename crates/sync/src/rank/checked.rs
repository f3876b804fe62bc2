//! Ranks checked at each acquisition.

use core::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use super::Rank;

/// Locks that one CPU may hold at once. Deeper nesting than this is itself a defect.
const DEPTH: usize = 16;

/// The ranks that one CPU holds now. A bare-metal kernel keeps one per CPU and installs
/// [`install_held_ranks`]; on a host each thread has its own.
///
/// Only its CPU writes it, so plain loads and stores suffice; they are atomic only to be safe Rust.
#[derive(Debug)]
pub struct HeldRanks([AtomicPtr<Rank>; DEPTH]);

impl HeldRanks {
    /// Nothing held.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicPtr::new(ptr::null_mut()) }; DEPTH])
    }

    /// The held rank of the highest level.
    fn highest(&self) -> Option<&'static Rank> {
        self.0.iter().filter_map(held).max_by_key(|rank| rank.level)
    }

    #[expect(
        clippy::panic,
        reason = "nesting beyond the record is a defect of the kernel, never of its input"
    )]
    fn push(&self, rank: &'static Rank) {
        match self.0.iter().find(|slot| held(slot).is_none()) {
            Some(slot) => slot.store(ptr::from_ref(rank).cast_mut(), Ordering::Relaxed),
            None => panic!("{DEPTH} locks held while taking `{}`", rank.name),
        }
    }

    fn pop(&self, rank: &'static Rank) {
        let same = |slot: &&AtomicPtr<Rank>| held(slot).is_some_and(|other| ptr::eq(other, rank));
        if let Some(slot) = self.0.iter().rfind(same) {
            slot.store(ptr::null_mut(), Ordering::Relaxed);
        }
    }
}

impl Default for HeldRanks {
    fn default() -> Self {
        Self::new()
    }
}

fn held(slot: &AtomicPtr<Rank>) -> Option<&'static Rank> {
    // SAFETY: only `push` stores a pointer other than null, and it was made from a `&'static Rank`.
    unsafe { slot.load(Ordering::Relaxed).as_ref() }
}

/// The rank of one lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockRank(&'static Rank);

impl LockRank {
    pub(crate) const fn new(rank: &'static Rank) -> Self {
        Self(rank)
    }

    /// Checks that this rank may be taken now by waiting for it.
    #[expect(clippy::panic, reason = "a broken lock order is a defect of the kernel, never of its input")]
    pub(crate) fn check(self) {
        let highest = with_held(HeldRanks::highest).flatten();
        if let Some(highest) = highest.filter(|highest| highest.level >= self.0.level) {
            panic!(
                "lock order: `{}` (rank {}) taken while `{}` (rank {}) is held",
                self.0.name, self.0.level, highest.name, highest.level
            );
        }
    }

    pub(crate) fn acquired(self) {
        with_held(|held| held.push(self.0));
    }

    pub(crate) fn released(self) {
        with_held(|held| held.pop(self.0));
    }
}

#[cfg(not(target_os = "none"))]
fn with_held<R>(f: impl FnOnce(&HeldRanks) -> R) -> Option<R> {
    std::thread_local! {
        static HELD: HeldRanks = const { HeldRanks::new() };
    }
    // A guard dropped while its thread is being torn down finds the record gone: nothing left to check.
    HELD.try_with(f).ok()
}

#[cfg(target_os = "none")]
static CURRENT: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

#[cfg(target_os = "none")]
fn with_held<R>(f: impl FnOnce(&HeldRanks) -> R) -> Option<R> {
    let current = CURRENT.load(Ordering::Acquire);
    if current.is_null() {
        return None;
    }
    // SAFETY: `install_held_ranks` alone stores a pointer other than null, made from this function type; code
    // and data pointers have one size and representation on AArch64.
    let current = unsafe { core::mem::transmute::<*mut (), fn() -> Option<&'static HeldRanks>>(current) };
    current().map(f)
}

/// Tells where the running CPU's record is. Until then, and where `current` answers `None`, nothing is checked.
/// On a host, where each thread has its record already, this does nothing.
pub fn install_held_ranks(current: fn() -> Option<&'static HeldRanks>) {
    #[cfg(target_os = "none")]
    CURRENT.store(current as *mut (), Ordering::Release);
    #[cfg(not(target_os = "none"))]
    let _ = current;
}
