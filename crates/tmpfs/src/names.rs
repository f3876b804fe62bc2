//! Which entry has a name in a directory: one hash table for the whole file system, which grows and shrinks by one
//! bucket at a time, so that no operation pays for all (linear hashing: W. Litwin, VLDB 1980).

use alloc::vec::Vec;
use core::hash::BuildHasher as _;

use swos_futex::SeededHash;

use crate::{node::Entry, radix::NoMemory, slab::Slab};

/// No entry.
const NONE: u64 = u64::MAX;

/// First entries of the buckets; entries link on.
#[derive(Debug)]
pub(crate) struct Names {
    hash: SeededHash,
    buckets: Vec<u64>,
    len: usize,
}

impl Names {
    pub(crate) const fn new(seed: [u64; 2]) -> Self {
        Self { hash: SeededHash::new(seed), buckets: Vec::new(), len: 0 }
    }

    /// The hash of a name in a directory.
    pub(crate) fn hash(&self, directory: u64, name: &[u8]) -> u64 {
        self.hash.hash_one((directory, name))
    }

    fn bucket(&self, hash: u64) -> usize {
        let count = self.buckets.len();
        let mask = count.next_power_of_two().wrapping_sub(1);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
        let at = hash as usize & mask;
        if at < count { at } else { at & (mask >> 1) }
    }

    pub(crate) fn find(&self, entries: &Slab<Entry>, directory: u64, name: &[u8]) -> Option<u64> {
        let hash = self.hash(directory, name);
        let mut at = *self.buckets.get(self.bucket(hash))?;
        while let Some(entry) = entries.get(at) {
            if entry.hash == hash && entry.directory == directory && entry.name == name {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    /// Makes sure that the next [`link`](Self::link) can be done.
    pub(crate) fn reserve(&mut self, entries: &mut Slab<Entry>) -> Result<(), NoMemory> {
        if self.len < self.buckets.len() {
            return Ok(());
        }
        if self.buckets.try_reserve(1).is_err() {
            // A longer chain will do.
            return if self.buckets.is_empty() { Err(NoMemory) } else { Ok(()) };
        }
        let new = self.buckets.len();
        self.buckets.push(NONE);
        if let Some(split) = split_of(new) {
            let mut at = core::mem::replace(&mut self.buckets[split], NONE);
            while let Some(entry) = entries.get_mut(at) {
                let next = entry.next;
                let bucket = self.bucket(entry.hash);
                entry.next = core::mem::replace(&mut self.buckets[bucket], at);
                at = next;
            }
        }
        Ok(())
    }

    /// Enters an entry, whose hash is set. There is a bucket: [`reserve`](Self::reserve) made one.
    pub(crate) fn link(&mut self, entries: &mut Slab<Entry>, id: u64) {
        let Some(entry) = entries.get_mut(id) else { return };
        let bucket = self.bucket(entry.hash);
        if let Some(first) = self.buckets.get_mut(bucket) {
            entry.next = core::mem::replace(first, id);
            self.len += 1;
        }
    }

    /// Takes an entry out.
    pub(crate) fn unlink(&mut self, entries: &mut Slab<Entry>, id: u64) {
        let Some((hash, next)) = entries.get(id).map(|entry| (entry.hash, entry.next)) else { return };
        let bucket = self.bucket(hash);
        let Some(first) = self.buckets.get_mut(bucket) else { return };
        if *first == id {
            *first = next;
        } else {
            let mut at = *first;
            while let Some(entry) = entries.get_mut(at) {
                if entry.next == id {
                    entry.next = next;
                    break;
                }
                at = entry.next;
            }
        }
        self.len -= 1;
    }

    /// Gives a bucket back that is one too many.
    pub(crate) fn shrink(&mut self, entries: &mut Slab<Entry>) {
        if self.len >= self.buckets.len() {
            return;
        }
        let Some(mut at) = self.buckets.pop() else { return };
        let Some(into) = split_of(self.buckets.len()) else {
            self.buckets = Vec::new();
            return;
        };
        while let Some(entry) = entries.get_mut(at) {
            let next = entry.next;
            entry.next = core::mem::replace(&mut self.buckets[into], at);
            at = next;
        }
        if self.buckets.capacity() > 4 * self.buckets.len() {
            self.buckets.shrink_to(2 * self.buckets.len());
        }
    }
}

/// The bucket that a new one, with this index, takes entries from.
const fn split_of(index: usize) -> Option<usize> {
    match index.checked_ilog2() {
        Some(log) => Some(index - (1 << log)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use swos_vfs::NodeId;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map_of_names(steps in proptest::collection::vec((any::<bool>(), 0..6_u64, 0..40_u8), 1..400)) {
            let (mut names, mut entries, mut model) = (Names::new([1, 2]), Slab::new(), BTreeMap::new());
            for (add, directory, name) in steps {
                let key = (directory, vec![name]);
                let found = names.find(&entries, directory, &[name]);
                prop_assert_eq!(found, model.get(&key).copied());
                match found {
                    None if add => {
                        let hash = names.hash(directory, &[name]);
                        let entry = Entry { directory, name: vec![name], node: NodeId(0), sequence: 0, hash, next: 0 };
                        names.reserve(&mut entries).unwrap();
                        let id = entries.insert(entry).unwrap();
                        names.link(&mut entries, id);
                        model.insert(key, id);
                    }
                    Some(id) if !add => {
                        names.unlink(&mut entries, id);
                        entries.remove(id);
                        names.shrink(&mut entries);
                        model.remove(&key);
                    }
                    _ => {}
                }
                prop_assert_eq!(names.buckets.len(), model.len());
                for ((directory, name), &id) in &model {
                    prop_assert_eq!(names.find(&entries, *directory, name), Some(id));
                }
            }
        }
    }
}
