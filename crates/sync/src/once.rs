//! A cell that is written once.

use core::fmt;

use crate::atomics::{AtomicU32, Ordering, SharedCell, spin};

const EMPTY: u32 = 0;
const BUSY: u32 = 1;
const READY: u32 = 2;

/// A cell written once and read for ever after: what boot found out, a table made at first use.
pub struct OnceCell<T> {
    state: AtomicU32,
    value: SharedCell<Option<T>>,
}

// SAFETY: several threads may read the value (`Sync`), and one may write what another drops (`Send`).
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}
// SAFETY: owning the cell is owning the value.
unsafe impl<T: Send> Send for OnceCell<T> {}

impl<T> OnceCell<T> {
    /// An empty cell.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), value: SharedCell::new(None) }
    }

    /// An empty cell; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), value: SharedCell::new(None) }
    }

    /// The value, once it was written.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        // Acquire pairs with the release in `Writing::drop`: who sees READY sees the value.
        if self.state.load(Ordering::Acquire) != READY {
            return None;
        }
        // SAFETY: READY is final, and the value is not written after it.
        self.value.with(|value| unsafe { &*value }).as_ref()
    }

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// Gives `value` back if the cell was written before. If it is being written now, waits for the outcome.
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.start() {
            Some(writing) => {
                writing.finish(value);
                Ok(())
            }
            None => Err(value),
        }
    }

    /// The value; the first caller makes it with `init`, and those who come meanwhile wait.
    ///
    /// Only one `init` ever completes. If it panics, the cell stays empty. It must not use this cell.
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(writing) = self.start() {
            writing.finish(init());
        }
        // `start` answers `None` only once the cell is READY, and `finish` makes it so.
        loop {
            if let Some(value) = self.get() {
                return value;
            }
            spin();
        }
    }

    /// Becomes the writer, or waits until the cell is written and answers `None`.
    fn start(&self) -> Option<Writing<'_, T>> {
        loop {
            // Acquire on failure too: the caller goes on to read the value.
            match self.state.compare_exchange(EMPTY, BUSY, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(Writing { cell: self, outcome: EMPTY }),
                Err(READY) => return None,
                Err(_) => spin(),
            }
        }
    }
}

/// The one writer of a cell. Dropped without a value it leaves the cell empty.
struct Writing<'a, T> {
    cell: &'a OnceCell<T>,
    outcome: u32,
}

impl<T> Writing<'_, T> {
    fn finish(mut self, value: T) {
        // SAFETY: the state is BUSY and this is its one writer; readers look only when it is READY.
        self.cell.value.with_mut(|cell| unsafe { *cell = Some(value) });
        self.outcome = READY;
    }
}

impl<T> Drop for Writing<'_, T> {
    fn drop(&mut self) {
        self.cell.state.store(self.outcome, Ordering::Release);
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests;
