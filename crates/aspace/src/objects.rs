//! The objects that the areas of one address space show.

use alloc::vec::Vec;

use crate::{
    area::{Area, ObjectId},
    space::Error,
};

/// What a space knows of each object whose pages it maps, as long as it maps any.
///
/// It counts pages, not areas: those are split and merged all the time, but a page is mapped once and unmapped once.
#[derive(Debug)]
pub struct Objects<T> {
    /// By id.
    entries: Vec<Entry<T>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    id: ObjectId,
    pages: u64,
    value: T,
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Objects<T> {
    /// No objects.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// What is known of an object; `None` = no page of it is mapped.
    #[must_use]
    #[inline]
    pub fn get(&self, id: ObjectId) -> Option<&T> {
        self.find(id).ok().and_then(|at| self.entries.get(at)).map(|entry| &entry.value)
    }

    /// Makes sure that one more object can be added.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn reserve(&mut self) -> Result<(), Error> {
        self.entries.try_reserve(1).map_err(|_| Error::NoMemory)
    }

    /// Counts pages that were mapped. If they are the first of the object, `value` is kept, for which [`Self::reserve`] made
    /// room; else it is returned.
    pub fn add(&mut self, id: ObjectId, pages: u64, value: T) -> Option<T> {
        match self.find(id) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.pages = entry.pages.saturating_add(pages);
                }
                Some(value)
            }
            Err(at) => {
                self.entries.insert(at, Entry { id, pages, value });
                None
            }
        }
    }

    /// Counts pages off that were unmapped. With the last page of the object, what was known of it.
    pub fn take(&mut self, id: ObjectId, pages: u64) -> Option<T> {
        let at = self.find(id).ok()?;
        let entry = self.entries.get_mut(at)?;
        entry.pages = entry.pages.saturating_sub(pages);
        (entry.pages == 0).then(|| self.entries.remove(at).value)
    }

    /// The same for a part of an area as it is reported.
    pub fn remove(&mut self, gone: &Area) -> Option<T> {
        self.take(gone.backing.object()?, gone.pages.count())
    }

    /// Takes any object out: teardown in steps.
    pub fn pop(&mut self) -> Option<T> {
        self.entries.pop().map(|entry| entry.value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectId, &T)> {
        self.entries.iter().map(|entry| (entry.id, &entry.value))
    }

    /// A copy for a child that maps the same pages.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn duplicate(&self) -> Result<Self, Error>
    where
        T: Clone,
    {
        let mut entries = Vec::new();
        entries.try_reserve_exact(self.entries.len()).map_err(|_| Error::NoMemory)?;
        entries.extend_from_slice(&self.entries);
        Ok(Self { entries })
    }

    #[inline]
    fn find(&self, id: ObjectId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&id.0, |entry| entry.id.0)
    }
}

#[cfg(test)]
mod tests;
