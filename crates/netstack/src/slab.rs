//! Sockets by number, and queues of such numbers.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use swos_slab::{NoMemory, Spare};

/// Slots are allocated this many at a time and never move, so that growth copies nothing.
const CHUNK: usize = 32;
/// Chunks given back at once: a bound for the work.
const CHUNKS_AT_ONCE: usize = 8;
/// Ends a queue.
const END: u32 = u32::MAX;
/// Says that a number is in no queue.
const OUT: u32 = u32::MAX - 1;

/// The generation that no id has: its slot is not used again.
const SPENT: u32 = u32::MAX;

/// Names one socket for as long as it is open. A number that is used again gets another generation,
/// so an old id never reaches a new socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SocketId {
    index: u32,
    generation: u32,
}

impl SocketId {
    /// A small number, unique among sockets that exist at the same time.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The id as one number.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The id that [`Self::to_bits`] gave.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "takes the number apart")]
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values by number, with generations. The lowest free number is used first, and chunks at the end that are free are given back.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Slot<T>>>,
    /// For each chunk a bit for each slot that is free and not spent.
    free: Vec<u32>,
    /// No chunk before this one has a free slot.
    first: usize,
    /// The generation of new slots: those that were given back had none as high as this.
    floor: u32,
    limit: u32,
    live: u32,
    /// There may be more chunks to give back.
    wanes: bool,
}

impl<T> Slab<T> {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = u32::try_from(limit).unwrap_or(OUT).min(OUT);
        Self { chunks: Vec::new(), free: Vec::new(), first: 0, floor: 0, limit, live: 0, wanes: false }
    }

    /// Puts a value in; `None` if the slab is full, or there is no memory for it.
    pub(crate) fn insert(&mut self, value: T) -> Option<SocketId> {
        let index = self.reserve()?;
        let free = self.free.get_mut(self.first)?;
        *free &= *free - 1;
        let slot = self.slot_mut(index)?;
        slot.value = Some(value);
        let generation = slot.generation;
        self.live += 1;
        Some(SocketId { index, generation })
    }

    /// The number that the next value gets; `None` if the slab is full, or there is no memory for it.
    pub(crate) fn reserve(&mut self) -> Option<u32> {
        if self.live >= self.limit {
            return None;
        }
        if self.lowest().is_none() {
            self.grow()?;
        }
        self.lowest()
    }

    fn lowest(&mut self) -> Option<u32> {
        let skipped = self.free.get(self.first..)?.iter().take_while(|&&free| free == 0).count();
        self.first += skipped;
        let bit = self.free.get(self.first)?.trailing_zeros();
        u32::try_from(self.first * CHUNK).ok().map(|start| start + bit)
    }

    fn grow(&mut self) -> Option<()> {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(CHUNK).ok()?;
            self.chunks.try_reserve(1).ok()?;
            self.free.try_reserve(1).ok()?;
            self.chunks.push(chunk);
            self.free.push(0);
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut()?;
        u32::try_from(before + chunk.len()).ok().filter(|index| *index < OUT)?;
        let free = self.free.last_mut()?;
        *free |= 1 << chunk.len();
        self.first = self.first.min(before / CHUNK);
        chunk.push(Slot { generation: self.floor, value: None });
        Some(())
    }

    /// Takes a value out. Its number is used again, unless its generations ran out.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.slot_mut(index)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.saturating_add(1);
        if slot.generation != SPENT {
            let at = index as usize;
            self.free[at / CHUNK] |= 1 << (at % CHUNK);
            self.first = self.first.min(at / CHUNK);
        }
        self.live -= 1;
        self.give_back();
        Some(value)
    }

    /// Gives free chunks at the end back, a few at a time, while half of the one before is free too: so a socket to and fro moves
    /// nothing. A chunk of which too many generations were used stays, or no new slot would have any left.
    pub(crate) fn give_back(&mut self) {
        self.wanes = false;
        for _ in 0..CHUNKS_AT_ONCE {
            let (Some(chunk), [.., before, last]) = (self.chunks.last(), self.free.as_slice()) else {
                return;
            };
            let highest = chunk.iter().map(|slot| slot.generation).max().unwrap_or(0);
            let is_free = last.count_ones() as usize == chunk.len();
            if !is_free || (before.count_ones() as usize) < CHUNK / 2 || highest > SPENT / 2 {
                return;
            }
            self.floor = self.floor.max(highest);
            self.chunks.pop();
            self.free.pop();
        }
        self.wanes = true;
    }

    /// Whether [`Self::give_back`] has more to do.
    pub(crate) const fn wanes(&self) -> bool {
        self.wanes
    }

    /// Makes the id of a value invalid; the value stays, reached by number.
    pub(crate) fn orphan(&mut self, index: u32) {
        if let Some(slot) = self.slot_mut(index) {
            slot.generation = slot.generation.saturating_add(1);
        }
    }

    pub(crate) fn id_of(&self, index: u32) -> Option<SocketId> {
        let slot = self.slot(index)?;
        slot.value.as_ref().map(|_| SocketId { index, generation: slot.generation })
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.slot(index)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slot_mut(index)?.value.as_mut()
    }

    /// The number that `id` names, if it is still valid.
    pub(crate) fn check(&self, id: SocketId) -> Option<u32> {
        let slot = self.slot(id.index)?;
        let valid = slot.generation == id.generation && slot.generation != SPENT && slot.value.is_some();
        valid.then_some(id.index)
    }

    /// Values inside.
    pub(crate) const fn len(&self) -> usize {
        self.live as usize
    }

    /// Numbers that exist are below this.
    pub(crate) fn bound(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        u32::try_from(full + self.chunks.last().map_or(0, Vec::len)).unwrap_or(OUT)
    }

    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        let index = index as usize;
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }
}

/// Something for each slot number, or what stands for nothing.
#[derive(Debug)]
pub(crate) struct Places<T> {
    list: Vec<T>,
    spare: Spare<Vec<T>>,
    nothing: T,
}

impl<T: Copy> Places<T> {
    pub(crate) const fn new(nothing: T) -> Self {
        Self { list: Vec::new(), spare: Spare::new(), nothing }
    }

    /// Makes a place for a number, and for the others of its chunk.
    #[inline]
    pub(crate) fn reserve(&mut self, index: u32) -> Result<(), NoMemory> {
        if (index as usize) < self.list.len() { Ok(()) } else { self.grow(index) }
    }

    #[cold]
    fn grow(&mut self, index: u32) -> Result<(), NoMemory> {
        let length = (index as usize + 1).next_multiple_of(CHUNK);
        let more = length - self.list.len();
        self.spare.make_room(&mut self.list, more, CHUNK)?;
        self.list.resize(length, self.nothing);
        Ok(())
    }

    /// Gives places back if most are not below `bound`, where nothing is.
    pub(crate) fn fit(&mut self, bound: usize) {
        let length = bound.next_multiple_of(CHUNK).max(CHUNK);
        if length <= self.list.len() / 4 {
            self.list.truncate(length);
            self.spare.give_back(&mut self.list, length, CHUNK);
        }
    }
}

impl<T> Deref for Places<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.list
    }
}

impl<T> DerefMut for Places<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.list
    }
}

/// First-in-first-out queue of slot numbers, each at most once. It grows with the slab.
#[derive(Debug)]
pub(crate) struct SlotQueue {
    next: Places<u32>,
    head: u32,
    tail: u32,
}

impl SlotQueue {
    pub(crate) const fn new() -> Self {
        Self { next: Places::new(OUT), head: END, tail: END }
    }

    /// Makes room for a number.
    #[inline]
    pub(crate) fn reserve(&mut self, index: u32) -> Result<(), NoMemory> {
        self.next.reserve(index)
    }

    /// Gives room back, if the queue is empty.
    pub(crate) fn fit(&mut self, bound: usize) {
        if self.is_empty() {
            self.next.fit(bound);
        }
    }

    /// Numbers for which there is room are below this.
    pub(crate) fn places(&self) -> usize {
        self.next.len()
    }

    /// Appends a number for which there is room; nothing changes if it is in the queue.
    pub(crate) fn push(&mut self, index: u32) {
        let Some(place) = self.next.get_mut(index as usize) else { return };
        if *place != OUT {
            return;
        }
        *place = END;
        match self.next.get_mut(self.tail as usize) {
            Some(tail) => *tail = index,
            None => self.head = index,
        }
        self.tail = index;
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        let index = self.head;
        let next = self.next.get_mut(index as usize)?;
        self.head = core::mem::replace(next, OUT);
        if self.head == END {
            self.tail = END;
        }
        Some(index)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.head == END
    }
}

#[cfg(test)]
mod tests;
