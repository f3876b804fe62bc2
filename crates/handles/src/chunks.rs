//! A list that grows without moving what is in it, so that its growth takes no longer when it is long.

use alloc::vec::Vec;

use crate::Error;

/// Items of a chunk. The first one starts small and doubles up to this, which is all that is ever moved.
const CHUNK: usize = 64;
/// Items that a list makes room for at first.
const FEW: usize = 8;

#[derive(Debug)]
pub(crate) struct Chunks<T> {
    /// All but the last one in use are full; those behind it are empty.
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Chunks<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Makes room for so many more. Moves less than a chunk, however long the list is.
    pub(crate) fn try_reserve(&mut self, more: usize) -> Result<(), Error> {
        let total = self.len.checked_add(more).ok_or(Error::Full)?;
        for index in self.len / CHUNK..total.div_ceil(CHUNK) {
            if self.chunks.len() <= index {
                self.chunks.try_reserve(1).map_err(|_| Error::NoMemory)?;
                self.chunks.push(Vec::new());
            }
            let Some(chunk) = self.chunks.get_mut(index) else { return Err(Error::Full) };
            let wanted = (total - index * CHUNK).min(CHUNK);
            let room = if index > 0 { CHUNK } else { wanted.next_power_of_two().clamp(FEW, CHUNK) };
            if chunk.capacity() < wanted {
                chunk.try_reserve_exact(room - chunk.len()).map_err(|_| Error::NoMemory)?;
            }
        }
        Ok(())
    }

    /// Adds an item for which there is room.
    pub(crate) fn push(&mut self, item: T) {
        if let Some(chunk) = self.chunks.get_mut(self.len / CHUNK) {
            chunk.push(item);
            self.len += 1;
        }
    }

    /// Takes the last item, and gives back the memory of chunks that it leaves empty.
    pub(crate) fn pop(&mut self) -> Option<T> {
        loop {
            let item = self.chunks.last_mut()?.pop();
            if item.is_some() {
                self.len -= 1;
                return item;
            }
            self.chunks.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_list(steps in prop::collection::vec((0..4_usize, 1..200_usize), 1..60)) {
            let (mut chunks, mut model) = (Chunks::new(), Vec::new());
            for (what, count) in steps {
                for step in 0..count {
                    if what == 0 {
                        prop_assert_eq!(chunks.pop(), model.pop());
                    } else {
                        chunks.try_reserve(if what == 1 { 1 } else { count - step }).unwrap();
                        let value = model.len() * 7 + what;
                        chunks.push(value);
                        model.push(value);
                    }
                }
                prop_assert_eq!(chunks.len(), model.len());
                prop_assert!(chunks.iter().eq(model.iter()));
                for index in [0, 63, 64, model.len().saturating_sub(1), model.len(), model.len() + 64] {
                    prop_assert_eq!(chunks.get(index), model.get(index));
                    prop_assert_eq!(chunks.get_mut(index), model.get_mut(index));
                }
            }
        }
    }

    #[test]
    fn growth_moves_no_item_beyond_the_first_chunk() {
        let mut chunks = Chunks::new();
        let mut places = Vec::new();
        for number in 0..10 * CHUNK {
            chunks.try_reserve(1).unwrap();
            chunks.push(number);
            if number >= CHUNK {
                places.push((number, core::ptr::from_ref(chunks.get(number).unwrap())));
            }
        }
        assert!(places.iter().all(|&(number, place)| core::ptr::eq(chunks.get(number).unwrap(), place)));
    }
}
