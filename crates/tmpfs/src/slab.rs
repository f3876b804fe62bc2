//! Numbered places that grow without moving what is in them, and that shrink.

use alloc::vec::Vec;

use crate::radix::NoMemory;

const CHUNK: usize = 64;
/// Bits of an id that are its place; the others count uses, so that an id never names another thing.
const PLACE_BITS: u32 = 24;

/// Places, 64 to a piece of memory.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// No chunk before this one has room.
    room: usize,
    /// Uses so far.
    serial: u64,
    len: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    /// No places, or all.
    places: Vec<Option<(u64, T)>>,
    used: u64,
}

const fn place(id: u64) -> usize {
    (id & ((1 << PLACE_BITS) - 1)) as usize
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), room: 0, serial: 0, len: 0 }
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        let at = place(id);
        match self.chunks.get(at / CHUNK)?.places.get(at % CHUNK)? {
            Some((known, value)) if *known == id => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let at = place(id);
        match self.chunks.get_mut(at / CHUNK)?.places.get_mut(at % CHUNK)? {
            Some((known, value)) if *known == id => Some(value),
            _ => None,
        }
    }

    /// Keeps a value under an id never given before.
    pub(crate) fn insert(&mut self, value: T) -> Result<u64, NoMemory> {
        while self.chunks.get(self.room).is_some_and(|chunk| chunk.used == u64::MAX) {
            self.room += 1;
        }
        if self.room == self.chunks.len() {
            if self.room * CHUNK >= 1 << PLACE_BITS {
                return Err(NoMemory);
            }
            self.chunks.try_reserve(1).map_err(|_| NoMemory)?;
            self.chunks.push(Chunk { places: Vec::new(), used: 0 });
        }
        let chunk = self.chunks.get_mut(self.room).ok_or(NoMemory)?;
        if chunk.places.is_empty() {
            chunk.places.try_reserve_exact(CHUNK).map_err(|_| NoMemory)?;
            chunk.places.extend((0..CHUNK).map(|_| None));
        }
        let free = chunk.used.trailing_ones() as usize;
        let entry = chunk.places.get_mut(free).ok_or(NoMemory)?;
        self.serial += 1;
        let id = self.serial << PLACE_BITS | (self.room * CHUNK + free) as u64;
        *entry = Some((id, value));
        chunk.used |= 1 << free;
        self.len += 1;
        Ok(id)
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        self.get(id)?;
        let at = place(id);
        let chunk = self.chunks.get_mut(at / CHUNK)?;
        let (_, value) = chunk.places.get_mut(at % CHUNK)?.take()?;
        chunk.used &= !(1 << (at % CHUNK));
        if chunk.used == 0 {
            chunk.places = Vec::new();
        }
        while self.chunks.last().is_some_and(|chunk| chunk.used == 0) {
            self.chunks.pop();
        }
        if self.chunks.is_empty() {
            self.chunks = Vec::new();
        }
        self.room = self.room.min(at / CHUNK).min(self.chunks.len());
        self.len -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests;
