//! The next time each connection wants to be called: a heap that knows where everybody is.

use alloc::vec::Vec;

use swos_slab::{NoMemory, Spare};
use swos_units::Instant;

use crate::slab::Places;

const ABSENT: u32 = u32::MAX;
/// Room that the heap has from the first socket on.
const LEAST: usize = 32;
/// Children of a node: four make a shallow heap, and most changes are to a later time, which looks at children.
const ARITY: usize = 4;

/// At most one deadline for each slot number.
#[derive(Debug)]
pub(crate) struct Deadlines {
    heap: Vec<(Instant, u32)>,
    spare: Spare<Vec<(Instant, u32)>>,
    /// Position in the heap by slot number.
    position: Places<u32>,
}

impl Deadlines {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), spare: Spare::new(), position: Places::new(ABSENT) }
    }

    /// Makes room for a slot.
    pub(crate) fn reserve(&mut self, index: u32) -> Result<(), NoMemory> {
        self.position.reserve(index)?;
        let more = self.position.len() - self.heap.len();
        self.spare.make_room(&mut self.heap, more, LEAST)
    }

    /// Gives room back. All slots that have deadlines are below `bound`.
    pub(crate) fn fit(&mut self, bound: usize) {
        self.position.fit(bound);
        self.spare.give_back(&mut self.heap, self.position.len(), LEAST);
    }

    /// Sees to it that `index`, for which there is room, is called no later than `at`. An earlier call that is already due
    /// stays: moving it for every segment would cost more than a wake-up for nothing.
    pub(crate) fn no_later(&mut self, index: u32, at: Instant) {
        let Some(&position) = self.position.get(index as usize) else { return };
        let position = position as usize;
        match self.heap.get_mut(position) {
            Some(entry) if entry.0 <= at => {}
            Some(entry) => {
                entry.0 = at;
                self.rise(position);
            }
            None => {
                self.heap.push((at, index));
                self.rise(self.heap.len() - 1);
            }
        }
    }

    /// Forgets a slot.
    pub(crate) fn cancel(&mut self, index: u32) {
        if let Some(position) = self.position.get(index as usize)
            && *position != ABSENT
        {
            self.take(*position as usize);
        }
    }

    /// The earliest deadline.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.0)
    }

    /// Takes a slot whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (at, index) = *self.heap.first()?;
        if at > now {
            return None;
        }
        self.take(0);
        Some(index)
    }

    fn take(&mut self, position: usize) {
        let (_, index) = self.heap.swap_remove(position);
        self.position[index as usize] = ABSENT;
        if position < self.heap.len() {
            let position = self.rise(position);
            self.sink(position);
        }
    }

    fn rise(&mut self, mut at: usize) -> usize {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.heap[parent].0 <= entry.0 {
                break;
            }
            self.put(at, self.heap[parent]);
            at = parent;
        }
        self.put(at, entry);
        at
    }

    fn sink(&mut self, mut at: usize) {
        let entry = self.heap[at];
        loop {
            let first = at * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(child) = (first..last).min_by_key(|child| self.heap[*child].0) else { break };
            if self.heap[child].0 >= entry.0 {
                break;
            }
            self.put(at, self.heap[child]);
            at = child;
        }
        self.put(at, entry);
    }

    fn put(&mut self, at: usize, entry: (Instant, u32)) {
        self.heap[at] = entry;
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer entries than slot numbers")]
        {
            self.position[entry.1 as usize] = at as u32;
        }
    }
}

#[cfg(test)]
mod tests;
