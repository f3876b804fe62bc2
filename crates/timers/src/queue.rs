//! The timer queue: a binary heap of slots, each of which knows its place in the heap.

use alloc::vec::Vec;

use swos_slab::{Slab, Spare};
use swos_units::Instant;

/// The kernel has no memory for another timer. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoMemory;

/// Names one armed timer. Stale ids are harmless: they name nothing for ever.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TimerId {
    slot: u32,
    stamp: u64,
}

/// Entries of the heap for which there always is memory, once there was a timer.
const LEAST: usize = 32;

/// An entry of the heap. The order is kept here and not in the slot, so that sifting stays within one array.
#[derive(Clone, Copy, Debug)]
struct Due {
    deadline: Instant,
    /// Order of arming, for equal deadlines.
    arming: u64,
    slot: u32,
}

impl Due {
    fn before(&self, other: &Self) -> bool {
        (self.deadline, self.arming) < (other.deadline, other.arming)
    }
}

/// An armed timer.
#[derive(Debug)]
struct Slot<K> {
    /// Index of its entry in the heap.
    at: usize,
    key: K,
}

/// Armed timers by deadline.
#[derive(Debug)]
pub struct TimerQueue<K> {
    heap: Vec<Due>,
    /// The least memory of the heap, while it has more.
    spare: Spare<Vec<Due>>,
    slots: Slab<Slot<K>>,
    armings: u64,
}

impl<K> Default for TimerQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "heap entries and armed slots name each other, see `check` in the tests"
)]
impl<K> TimerQueue<K> {
    /// No timers.
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: Vec::new(), spare: Spare::new(), slots: Slab::new(), armings: 0 }
    }

    /// Number of armed timers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is armed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// When [`expire`](Self::expire) has something to give; `None` if no timer is armed.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.heap.first().map(|due| due.deadline)
    }

    /// Arms a timer: `key` comes out of [`expire`](Self::expire) from `deadline` on. O(log n).
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn arm(&mut self, deadline: Instant, key: K) -> Result<TimerId, NoMemory> {
        self.spare.make_room(&mut self.heap, 1, LEAST).map_err(|_| NoMemory)?;
        let at = self.heap.len();
        let slot = self.slots.insert(Slot { at, key }).map_err(|_| NoMemory)?;
        let stamp = self.slots.stamp(slot).unwrap_or(u64::MAX);
        self.heap.push(Due { deadline, arming: self.armings, slot });
        self.armings += 1;
        self.rise(at);
        Ok(TimerId { slot, stamp })
    }

    /// Disarms a timer and returns its key; `None` if it expired or was cancelled before. O(log n).
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        let at = self.place_of(id)?;
        self.remove(at)
    }

    /// Moves a timer to another deadline, behind those armed for the same one before. O(log n).
    ///
    /// `false` if it expired or was cancelled before; then nothing changed.
    #[must_use = "a timer that is gone is not armed again"]
    pub fn rearm(&mut self, id: TimerId, deadline: Instant) -> bool {
        let Some(at) = self.place_of(id) else {
            return false;
        };
        self.heap[at].deadline = deadline;
        self.heap[at].arming = self.armings;
        self.armings += 1;
        self.settle(at);
        true
    }

    /// Takes the key of a timer whose deadline is `now` or earlier. Call until `None`. O(log n).
    pub fn expire(&mut self, now: Instant) -> Option<K> {
        (self.deadline()? <= now).then(|| self.remove(0)).flatten()
    }

    fn place_of(&self, id: TimerId) -> Option<usize> {
        if self.slots.stamp(id.slot) != Some(id.stamp) {
            return None;
        }
        self.slots.get(id.slot).map(|slot| slot.at)
    }

    /// Removes the heap entry `at`, which must exist, and frees its slot.
    fn remove(&mut self, at: usize) -> Option<K> {
        let due = self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.settle(at);
        }
        let timers = self.heap.len();
        self.spare.give_back(&mut self.heap, timers, LEAST);
        self.slots.remove(due.slot).map(|slot| slot.key)
    }

    /// Moves the entry at `at` to where it belongs.
    fn settle(&mut self, at: usize) {
        let at = self.rise(at);
        self.sink(at);
    }

    fn rise(&mut self, mut at: usize) -> usize {
        let due = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / 2;
            if !due.before(&self.heap[parent]) {
                break;
            }
            self.put(at, self.heap[parent]);
            at = parent;
        }
        self.put(at, due);
        at
    }

    fn sink(&mut self, mut at: usize) {
        let due = self.heap[at];
        loop {
            let left = 2 * at + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.heap[right].before(&self.heap[left]) {
                right
            } else {
                left
            };
            if !self.heap[child].before(&due) {
                break;
            }
            self.put(at, self.heap[child]);
            at = child;
        }
        self.put(at, due);
    }

    /// Writes a heap entry and tells its slot.
    fn put(&mut self, at: usize, due: Due) {
        self.heap[at] = due;
        if let Some(slot) = self.slots.get_mut(due.slot) {
            slot.at = at;
        }
    }
}

#[cfg(test)]
mod tests;
