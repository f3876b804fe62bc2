//! A binary heap that gives up leaves: what waits there is far from its turn.

use alloc::vec::Vec;

/// The kernel has no memory for another entry. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoMemory;

/// One waiting thread.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) vruntime: u64,
    /// Order of arrival: the earlier of two equals goes first, so runs repeat exactly.
    pub(crate) arrival: u64,
    pub(crate) weight: u32,
    pub(crate) item: T,
}

impl<T> Waiting<T> {
    const fn before(&self, other: &Self) -> bool {
        self.vruntime < other.vruntime || (self.vruntime == other.vruntime && self.arrival < other.arrival)
    }
}

/// Min-heap by (virtual run time, arrival).
#[derive(Debug)]
pub(crate) struct Heap<T>(Vec<Waiting<T>>);

#[expect(clippy::indexing_slicing, reason = "indices are below the length by the loop conditions")]
impl<T> Heap<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes room for `total` entries.
    pub(crate) fn reserve(&mut self, total: usize) -> Result<(), NoMemory> {
        self.0.try_reserve(total.saturating_sub(self.0.len())).map_err(|_| NoMemory)
    }

    #[cfg(test)]
    pub(crate) const fn room(&self) -> usize {
        self.0.capacity()
    }

    pub(crate) fn first(&self) -> Option<&Waiting<T>> {
        self.0.first()
    }

    pub(crate) fn push(&mut self, waiting: Waiting<T>) {
        self.0.push(waiting);
        self.rise(self.0.len() - 1);
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting<T>> {
        (!self.0.is_empty()).then(|| self.remove(0))
    }

    /// Removes, of the last `window` leaves that `allowed` lets go, the one that arrived first.
    pub(crate) fn take_leaf(
        &mut self,
        window: usize,
        mut allowed: impl FnMut(&T) -> bool,
    ) -> Option<Waiting<T>> {
        let start = self.0.len().saturating_sub(window);
        let chosen =
            (start..self.0.len()).filter(|&i| allowed(&self.0[i].item)).min_by_key(|&i| self.0[i].arrival)?;
        Some(self.remove(chosen))
    }

    /// Removes the entry at `index`, which must exist.
    fn remove(&mut self, index: usize) -> Waiting<T> {
        let removed = self.0.swap_remove(index);
        // The former last entry now stands here; it may belong further down or, from another branch, further up.
        if index < self.0.len() {
            self.rise(index);
            self.sink(index);
        }
        removed
    }

    fn rise(&mut self, mut index: usize) {
        while index > 0 {
            let parent = (index - 1) / 2;
            if !self.0[index].before(&self.0[parent]) {
                break;
            }
            self.0.swap(index, parent);
            index = parent;
        }
    }

    fn sink(&mut self, mut index: usize) {
        loop {
            let left = 2 * index + 1;
            if left >= self.0.len() {
                break;
            }
            let right = left + 1;
            let child =
                if right < self.0.len() && self.0[right].before(&self.0[left]) { right } else { left };
            if !self.0[child].before(&self.0[index]) {
                break;
            }
            self.0.swap(index, child);
            index = child;
        }
    }
}
