//! Room of lists that grow with a crowd and go back to what they were.

use alloc::{collections::VecDeque, vec::Vec};
use core::mem;

use crate::NoMemory;

/// What is a list here: entries one behind the other in one piece of memory.
pub trait List: Default {
    /// Entries.
    fn entries(&self) -> usize;
    /// Entries for which there is memory.
    fn room(&self) -> usize;
    /// Asks for memory for so many more entries.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    fn make_room(&mut self, more: usize) -> Result<(), NoMemory>;
    /// Asks for no more memory than an empty list needs for so many entries.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    fn make_exact_room(&mut self, entries: usize) -> Result<(), NoMemory>;
    /// Moves all entries of another list behind its own. There is room.
    fn take_all(&mut self, other: &mut Self);
}

macro_rules! list {
    ($list:ident) => {
        impl<T> List for $list<T> {
            #[inline]
            fn entries(&self) -> usize {
                self.len()
            }

            #[inline]
            fn room(&self) -> usize {
                self.capacity()
            }

            #[inline]
            fn make_room(&mut self, more: usize) -> Result<(), NoMemory> {
                self.try_reserve(more).map_err(|_| NoMemory)
            }

            fn make_exact_room(&mut self, entries: usize) -> Result<(), NoMemory> {
                self.try_reserve_exact(entries).map_err(|_| NoMemory)
            }

            fn take_all(&mut self, other: &mut Self) {
                self.append(other);
            }
        }
    };
}

list!(Vec);
list!(VecDeque);

/// The least memory of a list, kept while the list needs more. So when the crowd has gone the list is where it was: what stays for
/// long does not come to lie between what comes and goes, where it would hold pages that are free but for it.
#[derive(Debug)]
pub struct Spare<L>(Option<L>);

impl<L> Spare<L> {
    /// Nothing is kept yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }
}

impl<L> Default for Spare<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: List> Spare<L> {
    /// Makes room in `list` for so many more entries, and for `least` in all.
    ///
    /// # Errors
    ///
    /// [`NoMemory`]; nothing changed.
    #[inline]
    pub fn make_room(&mut self, list: &mut L, more: usize, least: usize) -> Result<(), NoMemory> {
        if list.room().saturating_sub(list.entries()) >= more && list.room() > 0 {
            return Ok(());
        }
        self.grow(list, more, least)
    }

    #[cold]
    fn grow(&mut self, list: &mut L, more: usize, least: usize) -> Result<(), NoMemory> {
        if list.room() == 0 {
            list.make_exact_room(least)?;
        }
        let wanted = list.entries().saturating_add(more);
        if wanted <= list.room() {
            return Ok(());
        }
        if list.room() > least {
            return list.make_room(more);
        }
        let mut larger = L::default();
        larger.make_exact_room(wanted.checked_next_power_of_two().unwrap_or(wanted))?;
        larger.take_all(list);
        self.0 = Some(mem::replace(list, larger));
        Ok(())
    }

    /// Gives room of a list back of which `needed` entries would fill no more than a quarter: it keeps room for twice as many, and
    /// for `least`. More than these are not in it. Nothing happens if there is no memory for the smaller list.
    #[inline]
    pub fn give_back(&mut self, list: &mut L, needed: usize, least: usize) {
        if list.room() > least && needed <= list.room() / 4 {
            self.shrink(list, needed, least);
        }
    }

    #[cold]
    fn shrink(&mut self, list: &mut L, needed: usize, least: usize) {
        let wanted = (2 * needed).next_power_of_two().max(least);
        let mut smaller = if wanted == least { self.0.take() } else { None }.unwrap_or_default();
        if wanted < list.room() && (smaller.room() >= wanted || smaller.make_exact_room(wanted).is_ok()) {
            smaller.take_all(list);
            *list = smaller;
        }
    }
}

#[cfg(test)]
mod tests;
