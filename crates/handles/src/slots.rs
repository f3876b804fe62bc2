//! Slots: storage that gives each use of a place its own number.

use swos_abi::Handle;

use crate::{Error, chunks::Chunks};

/// Bits of a handle that are its slot. Tests use them up, so there they are fewer.
const SLOT_BITS: u32 = if cfg!(test) { 19 } else { 24 };
/// Slots that handles can name.
pub const SLOTS_MAX: usize = 1 << SLOT_BITS;
/// Uses of one slot before it is retired: at a million a second, six days for each of 16 million slots.
pub const GENERATIONS: u64 = 1 << if cfg!(test) { 12 } else { 63 - SLOT_BITS };

/// Slots that can be opened by number: an upper bound on what a caller's choice of numbers costs.
const CHOSEN_MAX: usize = 1024;
/// Slots of the standard streams. They are opened by number only, so that no other file becomes an output by chance.
const STREAMS: usize = 3;

#[derive(Debug)]
enum Slot<T> {
    /// `number` is the whole handle, so that a lookup compares once.
    Open {
        number: u64,
        value: T,
    },
    Free {
        generation: u64,
        previous: Option<u32>,
        next: Option<u32>,
    },
    /// A standard stream that was not opened yet.
    Reserved,
    /// Its numbers are used up.
    Retired,
}

#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Chunks<Slot<T>>,
    /// First and last free slot. The one free for longest is used first, so that all wear evenly and a number
    /// returns as late as possible.
    free: Option<(u32, u32)>,
    /// How many are free.
    vacant: usize,
}

#[expect(clippy::cast_possible_truncation, reason = "masked to the slot's bits")]
const fn slot_of(handle: Handle) -> usize {
    (handle.0 & (SLOTS_MAX as u64 - 1)) as usize
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Chunks::new(), free: None, vacant: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, handle: Handle) -> Option<&T> {
        match self.slots.get(slot_of(handle)) {
            Some(Slot::Open { number, value }) if *number == handle.0 => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        match self.slots.get_mut(slot_of(handle)) {
            Some(Slot::Open { number, value }) if *number == handle.0 => Some(value),
            _ => None,
        }
    }

    /// Slots that were ever made.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// What is open in a slot.
    pub(crate) fn at(&self, slot: usize) -> Option<(Handle, &T)> {
        match self.slots.get(slot)? {
            Slot::Open { number, value } => Some((Handle(*number), value)),
            Slot::Free { .. } | Slot::Reserved | Slot::Retired => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Open { number, value } => Some((Handle(*number), value)),
            Slot::Free { .. } | Slot::Reserved | Slot::Retired => None,
        })
    }

    /// Fills the slot that has been free longest, or a new one; returns its number, or the value.
    #[inline]
    pub(crate) fn open_vacant(&mut self, value: T) -> Result<Handle, (T, Error)> {
        if self.free.is_none()
            && let Err(error) = self.grow(self.slots.len().max(STREAMS))
        {
            return Err((value, error));
        }
        let Some((oldest, newest)) = self.free else { return Err((value, Error::Full)) };
        let Some(entry) = self.slots.get_mut(oldest as usize) else { return Err((value, Error::Full)) };
        let Slot::Free { generation, next, .. } = *entry else { return Err((value, Error::Full)) };
        let number = generation << SLOT_BITS | u64::from(oldest);
        *entry = Slot::Open { number, value };
        self.vacant -= 1;
        self.free = next.map(|next| (next, newest));
        if let Some(Slot::Free { previous, .. }) = next.and_then(|at| self.slots.get_mut(at as usize)) {
            *previous = None;
        }
        Ok(Handle(number))
    }

    /// Makes sure that the next `count` numbers are there.
    pub(crate) fn reserve_vacant(&mut self, count: usize) -> Result<(), Error> {
        match count.checked_sub(self.vacant) {
            None | Some(0) => Ok(()),
            // All slots below are made, so that the streams' are not taken for one of these.
            Some(more) => self.grow((self.slots.len().max(STREAMS) + more).saturating_sub(1)),
        }
    }

    /// Checks that `target` is the first number of its slot and still unused, and makes the slot.
    pub(crate) fn vacant_at(&mut self, target: Handle) -> Result<(), Error> {
        let slot = usize::try_from(target.0).unwrap_or(usize::MAX);
        if slot >= CHOSEN_MAX {
            return Err(Error::Full);
        }
        self.grow(slot)?;
        match self.slots.get(slot) {
            Some(Slot::Free { generation: 0, .. } | Slot::Reserved) => Ok(()),
            Some(Slot::Free { .. } | Slot::Open { .. } | Slot::Retired) => Err(Error::SlotTaken),
            None => Err(Error::Full),
        }
    }

    /// Fills the slot of a number that [`vacant_at`](Self::vacant_at) found.
    pub(crate) fn open(&mut self, handle: Handle, value: T) {
        let slot = slot_of(handle);
        self.unlink(slot);
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = Slot::Open { number: handle.0, value };
        }
    }

    /// Empties the slot of an open handle; the number never returns.
    pub(crate) fn close(&mut self, handle: Handle) -> Option<T> {
        self.get(handle)?;
        let slot = slot_of(handle);
        let generation = (handle.0 >> SLOT_BITS) + 1;
        let closed = core::mem::replace(self.slots.get_mut(slot)?, Slot::Retired);
        if generation < GENERATIONS && slot >= STREAMS {
            self.link(slot, generation);
        }
        match closed {
            Slot::Open { value, .. } => Some(value),
            Slot::Free { .. } | Slot::Reserved | Slot::Retired => None,
        }
    }

    /// Makes room for `more` slots.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), Error> {
        self.slots.try_reserve(more).map_err(|_| Error::NoMemory)
    }

    /// Appends the next slot of a copy of `original`: open with `value` under the original's number, else empty. A number that
    /// was open in the original names nothing in the copy, ever. Room was reserved.
    pub(crate) fn append(&mut self, original: &Self, value: Option<T>) {
        let slot = self.slots.len();
        let copied = match (original.slots.get(slot), value) {
            (Some(&Slot::Open { number, .. }), Some(value)) => Slot::Open { number, value },
            (Some(Slot::Reserved), _) => Slot::Reserved,
            _ => Slot::Retired,
        };
        let free = match original.slots.get(slot) {
            Some(Slot::Open { number, .. }) if matches!(copied, Slot::Retired) && slot >= STREAMS => {
                Some((number >> SLOT_BITS) + 1).filter(|next| *next < GENERATIONS)
            }
            Some(Slot::Free { generation, .. }) => Some(*generation),
            _ => None,
        };
        self.slots.push(copied);
        if let Some(generation) = free {
            self.link(slot, generation);
        }
    }

    /// Removes the highest slot: `None` if there is none, `Some(None)` if it was not open. The free list is lost; only for
    /// the end of the table.
    pub(crate) fn pop(&mut self) -> Option<Option<T>> {
        self.free = None;
        self.vacant = 0;
        Some(match self.slots.pop()? {
            Slot::Open { value, .. } => Some(value),
            Slot::Free { .. } | Slot::Reserved | Slot::Retired => None,
        })
    }

    /// Makes slots up to and including `slot`.
    fn grow(&mut self, slot: usize) -> Result<(), Error> {
        if slot >= SLOTS_MAX {
            return Err(Error::Full);
        }
        let more = (slot + 1).saturating_sub(self.slots.len());
        self.slots.try_reserve(more)?;
        for _ in 0..more {
            let new = self.slots.len();
            self.slots.push(Slot::Reserved);
            if new >= STREAMS {
                self.link(new, 0);
            }
        }
        Ok(())
    }

    /// Appends a slot to the free list.
    fn link(&mut self, slot: usize, generation: u64) {
        let Ok(at) = u32::try_from(slot) else {
            return;
        };
        let previous = self.free.map(|(_, newest)| newest);
        if let Some(Slot::Free { next, .. }) = previous.and_then(|newest| self.slots.get_mut(newest as usize))
        {
            *next = Some(at);
        }
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = Slot::Free { generation, previous, next: None };
            self.vacant += 1;
        }
        self.free = Some((self.free.map_or(at, |(oldest, _)| oldest), at));
    }

    /// Takes a slot out of the free list, if it is there.
    fn unlink(&mut self, slot: usize) {
        let Some(&Slot::Free { previous: before, next: after, .. }) = self.slots.get(slot) else {
            return;
        };
        self.vacant -= 1;
        if let Some(Slot::Free { next, .. }) = before.and_then(|at| self.slots.get_mut(at as usize)) {
            *next = after;
        }
        if let Some(Slot::Free { previous, .. }) = after.and_then(|at| self.slots.get_mut(at as usize)) {
            *previous = before;
        }
        self.free = self.free.and_then(|(oldest, newest)| {
            let oldest = if before.is_none() { after } else { Some(oldest) };
            let newest = if after.is_none() { before } else { Some(newest) };
            oldest.zip(newest)
        });
    }
}

#[cfg(test)]
mod tests;
