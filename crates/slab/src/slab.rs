//! The places, and the list of those that are free.

use alloc::vec::Vec;

use crate::Spare;

/// There is no memory for another entry. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoMemory;

/// Places for which there always is memory, once there was an entry.
const LEAST: usize = 32;
/// So many places are not worth the work of giving some back: what comes and goes there costs nothing more.
const FEW: usize = LEAST / 2;
/// Words of the bit map that are looked at for places to give back, with one removal: a bound for the work.
const STEP: usize = 16;
/// Places of one word of the bit map.
const BITS: usize = 64;
/// Words of it for which there always is memory.
const WORDS: usize = 4;

#[derive(Debug)]
struct Place<T> {
    /// Of the entry that is here, or was.
    stamp: u64,
    entry: Option<T>,
}

/// Entries by number.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    /// Their least memory, while there are more.
    spare: Spare<Vec<Place<T>>>,
    /// A bit for each place, set if it is free. The lowest is taken first, so that the last ones become free.
    free: Vec<u64>,
    spare_free: Spare<Vec<u64>>,
    /// No word before this one has a free place.
    first: usize,
    full: usize,
    /// Entries that ever were.
    stamps: u64,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    /// No places.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: Vec::new(),
            spare: Spare::new(),
            free: Vec::new(),
            spare_free: Spare::new(),
            first: 0,
            full: 0,
            stamps: 0,
        }
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.full
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.full == 0
    }

    /// Number of places for which there is memory.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.places.capacity()
    }

    /// Makes sure that the next [`insert`](Self::insert) succeeds.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    #[inline]
    pub fn reserve_one(&mut self) -> Result<(), NoMemory> {
        if self.full == self.places.len() { self.reserve_place() } else { Ok(()) }
    }

    fn reserve_place(&mut self) -> Result<(), NoMemory> {
        let count = self.places.len();
        if count >= u32::MAX as usize {
            return Err(NoMemory);
        }
        if count / BITS >= self.free.len() {
            self.spare_free.make_room(&mut self.free, 1, WORDS)?;
        }
        self.spare.make_room(&mut self.places, 1, LEAST)
    }

    /// Puts an entry in, at the lowest free place; returns its number.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    #[inline]
    pub fn insert(&mut self, value: T) -> Result<u32, NoMemory> {
        if self.full == self.places.len() {
            return self.insert_behind(value);
        }
        let (at, bit) = self.lowest().ok_or(NoMemory)?;
        let place = self.places.get_mut(at).ok_or(NoMemory)?;
        *place = Place { stamp: self.stamps, entry: Some(value) };
        if let Some(word) = self.free.get_mut(self.first) {
            *word &= !bit;
        }
        self.stamps += 1;
        self.full += 1;
        u32::try_from(at).map_err(|_| NoMemory)
    }

    /// The lowest free place, if there is one, and its bit.
    #[inline]
    fn lowest(&mut self) -> Option<(usize, u64)> {
        loop {
            let word = *self.free.get(self.first)?;
            if word != 0 {
                let bit = word.trailing_zeros();
                return Some((self.first * BITS + bit as usize, 1 << bit));
            }
            self.first += 1;
        }
    }

    #[cold]
    fn insert_behind(&mut self, value: T) -> Result<u32, NoMemory> {
        self.reserve_place()?;
        let at = u32::try_from(self.places.len()).map_err(|_| NoMemory)?;
        if self.places.len().is_multiple_of(BITS) {
            self.free.push(0);
        }
        self.places.push(Place { stamp: self.stamps, entry: Some(value) });
        self.stamps += 1;
        self.full += 1;
        Ok(at)
    }

    /// The entry of this number.
    #[must_use]
    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        self.places.get(at as usize)?.entry.as_ref()
    }

    /// The entry of this number, to change it.
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.places.get_mut(at as usize)?.entry.as_mut()
    }

    /// The stamp of the entry of this number: no other ever has it. `None` without an entry.
    #[must_use]
    #[inline]
    pub fn stamp(&self, at: u32) -> Option<u64> {
        let place = self.places.get(at as usize)?;
        place.entry.is_some().then_some(place.stamp)
    }

    /// The entries with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.places).filter_map(|(at, place)| Some((at, place.entry.as_ref()?)))
    }

    /// Takes an entry out.
    #[inline]
    pub fn remove(&mut self, at: u32) -> Option<T> {
        let index = at as usize;
        let value = self.places.get_mut(index)?.entry.take()?;
        let word = index / BITS;
        if let Some(free) = self.free.get_mut(word) {
            *free |= 1 << (index % BITS);
        }
        self.first = self.first.min(word);
        self.full -= 1;
        if self.places.len() > FEW && self.places.last().is_some_and(|last| last.entry.is_none()) {
            self.shrink();
        }
        Some(value)
    }

    /// Gives free places at the end back, and memory when there is far more than needed.
    #[inline(never)]
    fn shrink(&mut self) {
        let mut count = self.places.len();
        for _ in 0..STEP {
            let Some(word) = count.checked_sub(1).and_then(|last| self.free.get(last / BITS)) else { break };
            let used = (count - 1) % BITS + 1;
            let run = (word << (BITS - used)).leading_ones() as usize;
            count -= run;
            if run < used || count <= FEW {
                break;
            }
        }
        let count = count.max(FEW);
        self.places.truncate(count);
        self.free.truncate(count.div_ceil(BITS));
        if let Some(last) = self.free.last_mut()
            && !count.is_multiple_of(BITS)
        {
            *last &= (1 << (count % BITS)) - 1;
        }
        self.spare.give_back(&mut self.places, count, LEAST);
        let words = self.free.len();
        self.spare_free.give_back(&mut self.free, words, WORDS);
    }
}

#[cfg(test)]
mod tests;
