//! Storage with stable indices; freed places are used again, so a steady number of entries allocates nothing.

use alloc::vec::Vec;

use crate::NoMemory;

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Full(T),
    /// The next free place, if any.
    Free(Option<u32>),
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Option<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: None }
    }

    /// Makes sure that the next [`insert`](Self::insert) succeeds.
    pub(crate) fn reserve_one(&mut self) -> Result<(), NoMemory> {
        if self.free.is_some() {
            return Ok(());
        }
        // The last number is no place's: it stands for none.
        if self.places.len() >= u32::MAX as usize {
            return Err(NoMemory);
        }
        self.places.try_reserve(1).map_err(|_| NoMemory)
    }

    pub(crate) fn insert(&mut self, value: T) -> Result<u32, NoMemory> {
        self.reserve_one()?;
        let Some(index) = self.free else {
            let index = u32::try_from(self.places.len()).map_err(|_| NoMemory)?;
            self.places.push(Place { generation: 0, state: State::Full(value) });
            return Ok(index);
        };
        if let Some(place) = self.places.get_mut(index as usize)
            && let State::Free(next) = core::mem::replace(&mut place.state, State::Full(value))
        {
            self.free = next;
        }
        Ok(index)
    }

    #[cfg(test)]
    pub(crate) const fn places(&self) -> (usize, usize) {
        (self.places.len(), self.places.capacity())
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        match &self.places.get(index as usize)?.state {
            State::Full(value) => Some(value),
            State::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match &mut self.places.get_mut(index as usize)?.state {
            State::Full(value) => Some(value),
            State::Free(_) => None,
        }
    }

    /// Which use of the place this is; together with the index it names the entry for ever.
    pub(crate) fn generation(&self, index: u32) -> u32 {
        self.places.get(index as usize).map_or(0, |place| place.generation)
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let place = self.places.get_mut(index as usize)?;
        if matches!(place.state, State::Free(_)) {
            return None;
        }
        let state = core::mem::replace(&mut place.state, State::Free(self.free));
        match place.generation.checked_add(1) {
            Some(next) => {
                place.generation = next;
                self.free = Some(index);
            }
            // All generations are used: retired, or an old name would name a new entry.
            None => place.state = State::Free(None),
        }
        match state {
            State::Full(value) => Some(value),
            State::Free(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
