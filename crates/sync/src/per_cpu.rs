//! Cells of which each CPU has its own, reached without a lock by whoever holds that CPU's token.

use alloc::{boxed::Box, sync::Arc};
use core::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicBool, Ordering},
};

/// The CPUs of one machine, real or simulated. Hands out each CPU's token once.
#[derive(Clone)]
pub struct CpuSet(Arc<[AtomicBool]>);

/// Proof of running on one CPU: there is one per CPU, it can't be copied, and it can't leave its thread.
///
/// A kernel claims it when the CPU starts and passes `&mut` of it down from the trap entry, which ends before
/// the next begins. So a `&mut CpuToken` means that nothing else runs on that CPU.
///
/// ```compile_fail,E0277
/// let token = swos_sync::CpuSet::new(1).claim(0).unwrap();
/// std::thread::spawn(move || token.index()); // A token can't leave its CPU.
/// ```
///
/// ```compile_fail,E0502
/// use swos_sync::{CpuSet, PerCpu};
/// let cpus = CpuSet::new(1);
/// let cells = PerCpu::new(&cpus, |_| 0);
/// let mut token = cpus.claim(0).unwrap();
/// let changing = cells.get_mut(&mut token);
/// let reading = cells.get(&token); // One CPU does not read what it is changing.
/// *changing = *reading;
/// ```
pub struct CpuToken {
    set: CpuSet,
    index: usize,
    /// Neither `Send` nor `Sync`: two threads with one token would be two CPUs in one cell.
    here: PhantomData<*mut ()>,
}

/// One `T` per CPU of a [`CpuSet`], each on its own cache line.
pub struct PerCpu<T> {
    set: CpuSet,
    cells: Box<[Line<T>]>,
}

/// Keeps neighbours out of each other's cache line (64 bytes, twice for the adjacent-line prefetch).
#[repr(align(128))]
struct Line<T>(UnsafeCell<T>);

// SAFETY: a cell is reached through its CPU's token only, which one thread at a time holds; so sharing the whole
// sends each `T` to its thread and shares none.
unsafe impl<T: Send> Sync for PerCpu<T> {}

impl CpuSet {
    /// The set of `count` CPUs, none claimed.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicBool::new(false)).collect())
    }

    /// Number of CPUs.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The token of CPU `index`; `None` if there is no such CPU or its token is out.
    #[must_use]
    pub fn claim(&self, index: usize) -> Option<CpuToken> {
        // Acquire pairs with the release in the token's drop: the new holder sees what the last one wrote.
        let taken = self.0.get(index)?.swap(true, Ordering::Acquire);
        (!taken).then(|| CpuToken { set: self.clone(), index, here: PhantomData })
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl CpuToken {
    /// Which CPU, from 0.
    #[inline]
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }
}

impl Drop for CpuToken {
    fn drop(&mut self) {
        if let Some(claimed) = self.set.0.get(self.index) {
            claimed.store(false, Ordering::Release);
        }
    }
}

impl<T> PerCpu<T> {
    /// A cell for each CPU of `set`, filled by `init`.
    #[must_use]
    pub fn new(set: &CpuSet, init: impl FnMut(usize) -> T) -> Self {
        let cells = (0..set.count()).map(init).map(|value| Line(UnsafeCell::new(value))).collect();
        Self { set: set.clone(), cells }
    }

    /// This CPU's value, to read.
    ///
    /// # Panics
    ///
    /// If `token` belongs to another [`CpuSet`].
    #[inline]
    #[must_use]
    pub fn get<'a>(&'a self, token: &'a CpuToken) -> &'a T {
        // SAFETY: `cell` checked that the token is of this set; it is the only one for this cell and can't be on
        // another thread; a `&mut T` from it would still borrow it exclusively.
        unsafe { &*self.cell(token).get() }
    }

    /// This CPU's value, to change.
    ///
    /// # Panics
    ///
    /// If `token` belongs to another [`CpuSet`].
    #[inline]
    #[must_use]
    pub fn get_mut<'a>(&'a self, token: &'a mut CpuToken) -> &'a mut T {
        // SAFETY: as in `get`, and the token is borrowed exclusively for as long as the value is.
        unsafe { &mut *self.cell(token).get() }
    }

    /// All values: the exclusive reference shows that no CPU uses its own.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.cells.iter_mut().map(|line| line.0.get_mut())
    }

    #[inline]
    fn cell(&self, token: &CpuToken) -> &UnsafeCell<T> {
        assert!(self.set.is(&token.set), "token of another set of CPUs");
        debug_assert!(token.index < self.cells.len(), "as many cells as CPUs");
        // SAFETY: there are as many cells as the set has CPUs (`new`), and no token beyond those (`claim`).
        unsafe { &self.cells.get_unchecked(token.index).0 }
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CpuSet").field(&self.count()).finish()
    }
}

impl fmt::Debug for CpuToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CpuToken").field(&self.index).finish()
    }
}

impl<T> fmt::Debug for PerCpu<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerCpu").field("cpus", &self.cells.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
