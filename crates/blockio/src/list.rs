//! Entries in a fixed table, in lists and a hash table through their indices.

use alloc::vec::Vec;

/// No entry.
pub(crate) const NIL: u32 = u32::MAX;

/// A doubly linked list of entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) head: u32,
    pub(crate) tail: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self { head: NIL, tail: NIL };
}

/// A wanted block.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) block: u64,
    /// `None` while the entry is free.
    pub(crate) target: Option<T>,
    pub(crate) place: Place,
    pub(crate) failures: u8,
    next: u32,
    previous: u32,
    chain: u32,
}

/// Which list an entry is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Free.
    Free,
    /// Wanted by somebody.
    Demand,
    /// Expected to be wanted.
    ReadAhead,
    /// Failed once; goes out alone.
    Retry,
    /// In flight.
    Flight,
    /// Done or failed for good, not collected yet.
    Done,
    /// As `Done`, with an error.
    Failed,
}

/// All entries, with a hash table by block.
#[derive(Debug)]
pub(crate) struct Entries<T> {
    entries: Vec<Entry<T>>,
    buckets: Vec<u32>,
    free: u32,
}

impl<T> Entries<T> {
    /// For `capacity` entries; `None` without memory.
    pub(crate) fn new(capacity: usize) -> Option<Self> {
        let limit = u32::try_from(capacity).ok().filter(|&limit| limit < NIL)?;
        let mut entries = Vec::new();
        entries.try_reserve_exact(capacity).ok()?;
        for at in 0..limit {
            let next = if at + 1 < limit { at + 1 } else { NIL };
            entries.push(Entry {
                block: 0,
                target: None,
                place: Place::Free,
                failures: 0,
                next,
                previous: NIL,
                chain: NIL,
            });
        }
        let mut buckets = Vec::new();
        let count = capacity.next_power_of_two();
        buckets.try_reserve_exact(count).ok()?;
        buckets.resize(count, NIL);
        Some(Self { entries, buckets, free: if limit == 0 { NIL } else { 0 } })
    }

    pub(crate) fn get(&self, at: u32) -> Option<&Entry<T>> {
        self.entries.get(at as usize)
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut Entry<T>> {
        self.entries.get_mut(at as usize)
    }

    /// The entry after `at` in its list.
    pub(crate) fn next(&self, at: u32) -> u32 {
        self.get(at).map_or(NIL, |entry| entry.next)
    }

    fn bucket(&self, block: u64) -> usize {
        // Neighbours in neighbouring buckets: merging looks at them one after the other.
        usize::try_from(block & (self.buckets.len() as u64 - 1)).unwrap_or(0)
    }

    /// The entry of `block`.
    pub(crate) fn find(&self, block: u64) -> Option<u32> {
        let mut at = self.buckets[self.bucket(block)];
        while let Some(entry) = self.get(at) {
            if entry.block == block {
                return Some(at);
            }
            at = entry.chain;
        }
        None
    }

    /// Takes a free entry for `block`, in no list yet; gives `target` back if there is none.
    pub(crate) fn insert(&mut self, block: u64, target: T) -> Result<u32, T> {
        let at = self.free;
        let bucket = self.bucket(block);
        let Some(entry) = self.entries.get_mut(at as usize) else { return Err(target) };
        self.free = entry.next;
        entry.block = block;
        entry.target = Some(target);
        entry.failures = 0;
        entry.chain = core::mem::replace(&mut self.buckets[bucket], at);
        Ok(at)
    }

    /// Frees an entry that is in no list, and returns its target.
    pub(crate) fn remove(&mut self, at: u32) -> Option<T> {
        let entry = self.entries.get_mut(at as usize)?;
        let target = entry.target.take();
        let (block, chain) = (entry.block, entry.chain);
        entry.place = Place::Free;
        entry.next = self.free;
        self.free = at;
        let bucket = self.bucket(block);
        if self.buckets[bucket] == at {
            self.buckets[bucket] = chain;
            return target;
        }
        let mut before = self.buckets[bucket];
        while let Some(entry) = self.get_mut(before) {
            if entry.chain == at {
                entry.chain = chain;
                break;
            }
            before = entry.chain;
        }
        target
    }

    /// Appends `at` to `list`, which is that of `place`.
    pub(crate) fn push_back(&mut self, list: &mut List, at: u32, place: Place) {
        let tail = list.tail;
        let Some(entry) = self.get_mut(at) else { return };
        entry.place = place;
        entry.next = NIL;
        entry.previous = tail;
        list.tail = at;
        match self.get_mut(tail) {
            Some(last) => last.next = at,
            None => list.head = at,
        }
    }

    /// Takes `at` out of `list`, which it is in.
    pub(crate) fn unlink(&mut self, list: &mut List, at: u32) {
        let Some(entry) = self.get(at) else { return };
        let (next, previous) = (entry.next, entry.previous);
        match self.get_mut(previous) {
            Some(before) => before.next = next,
            None => list.head = next,
        }
        match self.get_mut(next) {
            Some(after) => after.previous = previous,
            None => list.tail = previous,
        }
    }
}
