//! A binary heap that gives up leaves: what waits there is far from its turn.

use alloc::vec::Vec;
use core::mem;

use swos_slab::Spare;

/// Threads for which there always is room, once there was one.
const LEAST: usize = 32;

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

/// Min-heap by (virtual run time, arrival). The least stands apart: where few threads wait, it is all there is, and nothing
/// rises or sinks.
#[derive(Debug)]
pub(crate) struct Heap<T> {
    first: Option<Waiting<T>>,
    /// All others, as a heap; empty if there is no first.
    rest: Vec<Waiting<T>>,
    /// The least memory of these, while there is more.
    spare: Spare<Vec<Waiting<T>>>,
}

#[expect(clippy::indexing_slicing, reason = "indices are below the length by the loop conditions")]
impl<T> Heap<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: Vec::new(), spare: Spare::new() }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.rest.len() + self.first.is_some() as usize
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Makes room for `total` entries.
    pub(crate) fn reserve(&mut self, total: usize) -> Result<(), NoMemory> {
        // One more than those behind the first, for the moment in which a thread comes that goes before it.
        let more = total.saturating_sub(self.rest.len());
        self.spare.make_room(&mut self.rest, more, LEAST).map_err(|_| NoMemory)
    }

    /// Gives room back that `total` entries are far from needing.
    pub(crate) fn give_back(&mut self, total: usize) {
        self.spare.give_back(&mut self.rest, total, LEAST);
    }

    #[cfg(test)]
    pub(crate) const fn room(&self) -> usize {
        self.rest.capacity()
    }

    #[inline]
    pub(crate) const fn first(&self) -> Option<&Waiting<T>> {
        self.first.as_ref()
    }

    #[inline]
    pub(crate) fn push(&mut self, waiting: Waiting<T>) {
        match &mut self.first {
            Some(first) if waiting.before(first) => {
                let behind = mem::replace(first, waiting);
                self.push_behind(behind);
            }
            Some(_) => self.push_behind(waiting),
            none => *none = Some(waiting),
        }
    }

    #[inline(never)]
    fn push_behind(&mut self, waiting: Waiting<T>) {
        self.rest.push(waiting);
        self.rise(self.rest.len() - 1);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Waiting<T>> {
        let first = self.first.take();
        if !self.rest.is_empty() {
            self.first = Some(self.remove(0));
        }
        first
    }

    /// Removes, of the last `window` leaves that `allowed` lets go, the one that arrived first.
    pub(crate) fn take_leaf(
        &mut self,
        window: usize,
        mut allowed: impl FnMut(&T) -> bool,
    ) -> Option<Waiting<T>> {
        let start = self.rest.len().saturating_sub(window);
        let chosen = (start..self.rest.len())
            .filter(|&i| allowed(&self.rest[i].item))
            .min_by_key(|&i| self.rest[i].arrival);
        if self.rest.len() < window
            && let Some(first) = &self.first
            && allowed(&first.item)
            && chosen.is_none_or(|i| first.arrival < self.rest[i].arrival)
        {
            return self.pop();
        }
        chosen.map(|i| self.remove(i))
    }

    /// Removes the entry at `index` of those behind the first, which must exist.
    #[inline(never)]
    fn remove(&mut self, index: usize) -> Waiting<T> {
        let removed = self.rest.swap_remove(index);
        // The former last entry now stands here; it may belong further down or, from another branch, further up.
        if index < self.rest.len() {
            self.rise(index);
            self.sink(index);
        }
        removed
    }

    fn rise(&mut self, mut index: usize) {
        while index > 0 {
            let parent = (index - 1) / 2;
            if !self.rest[index].before(&self.rest[parent]) {
                break;
            }
            self.rest.swap(index, parent);
            index = parent;
        }
    }

    fn sink(&mut self, mut index: usize) {
        loop {
            let left = 2 * index + 1;
            if left >= self.rest.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.rest.len() && self.rest[right].before(&self.rest[left]) {
                right
            } else {
                left
            };
            if !self.rest[child].before(&self.rest[index]) {
                break;
            }
            self.rest.swap(index, child);
            index = child;
        }
    }
}
