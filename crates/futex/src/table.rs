//! The table of waiters: buckets by hash, in each a chain of the first waiters of their keys, behind each first the others.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use swos_slab::{Slab, Spare};

use crate::NoMemory;

/// Matches every waiter.
pub const ANY: u32 = u32::MAX;

/// No node. A slab never has as many places.
const NONE: u32 = u32::MAX;
/// Buckets of a table that was never full. A power of two.
const BUCKETS: usize = if cfg!(test) { 2 } else { 16 };
/// Room for buckets that stays.
const ROOM: usize = 2 * BUCKETS;

/// Names one waiter until it leaves; after that it names nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct WaitId {
    node: u32,
    stamp: u64,
}

/// A waiter. The first of its key also stands for the key: two threads that wait for each other, and so come and go all the time,
/// make and remove nothing beside their nodes.
#[derive(Debug)]
struct Node<K, W> {
    key: K,
    hash: u64,
    waiter: W,
    bits: u32,
    /// The one that came before and the one that came after it, of the same key.
    previous: u32,
    next: u32,
    /// Of the first: the last of its key.
    last: u32,
    /// Of the first: how many the key has.
    waiters: u32,
    /// Of the first: the first of the next key in the bucket.
    chain: u32,
}

/// Waiters by key. `S` is the hash; where keys come from programs, one with a secret ([`crate::SeededHash`]).
#[derive(Debug)]
pub struct FutexTable<K, W, S> {
    hash: S,
    /// The first of each chain. They become more one by one, each by what one older bucket gives away, so that no step moves all.
    buckets: Vec<u32>,
    /// The least memory of the buckets, while they have more.
    spare: Spare<Vec<u32>>,
    nodes: Slab<Node<K, W>>,
    keys: usize,
    waiters: usize,
}

impl<K: Eq + Hash, W, S: BuildHasher> FutexTable<K, W, S> {
    /// Nobody waits.
    #[must_use]
    pub const fn new(hash: S) -> Self {
        Self { hash, buckets: Vec::new(), spare: Spare::new(), nodes: Slab::new(), keys: 0, waiters: 0 }
    }

    /// Number of waiters.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiters
    }

    /// Whether nobody waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiters == 0
    }

    /// Number of waiters of `key`. Who wakes them one by one, with the lock free in between, takes this for a limit:
    /// the woken may wait again at once, and would be woken for ever. O(1).
    #[must_use]
    pub fn waiting(&self, key: &K) -> usize {
        self.first(key).and_then(|first| self.nodes.get(first)).map_or(0, |first| first.waiters as usize)
    }

    /// Adds a waiter behind those of the same key; it is woken by wakes of which a bit is in `bits`. O(1).
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    #[inline]
    pub fn wait(&mut self, key: K, waiter: W, bits: u32) -> Result<WaitId, NoMemory> {
        if self.buckets.is_empty() {
            self.spare.make_room(&mut self.buckets, BUCKETS, ROOM).map_err(|_| NoMemory)?;
            self.buckets.resize(BUCKETS, NONE);
        }
        let hash = self.hash.hash_one(&key);
        let node =
            Node { key, hash, waiter, bits, previous: NONE, next: NONE, last: NONE, waiters: 0, chain: NONE };
        let node = self.nodes.insert(node).map_err(|_| NoMemory)?;
        self.link(node, hash);
        self.waiters += 1;
        Ok(WaitId { node, stamp: self.nodes.stamp(node).unwrap_or(u64::MAX) })
    }

    /// Takes up to `count` waiters of `key` whose bits meet `bits`, oldest first, one at each turn of the iterator; those
    /// not drawn stay. O(1) each, plus the waiters passed over for their bits.
    pub fn wake(&mut self, key: &K, count: usize, bits: u32) -> Wake<'_, K, W, S> {
        let cursor = self.first(key);
        Wake { table: self, cursor, left: count, bits, passes: usize::MAX, passed: None }
    }

    /// The same for waiters behind `after`, and at most `passes` others are passed over. Without `after`, or if that one waits there no
    /// more, it begins with the oldest. [`Wake::passed`] says where the next part goes on.
    pub fn wake_behind(
        &mut self,
        key: &K,
        after: Option<WaitId>,
        (count, passes): (usize, usize),
        bits: u32,
    ) -> Wake<'_, K, W, S> {
        let after = after.filter(|after| self.nodes.stamp(after.node) == Some(after.stamp));
        let known = after.and_then(|after| self.nodes.get(after.node)).filter(|entry| entry.key == *key);
        let (cursor, passed) = match known {
            Some(entry) => (Some(entry.next), after),
            None => (self.first(key), None),
        };
        Wake { table: self, cursor, left: count, bits, passes, passed }
    }

    /// Wakes the first waiter of `key` that has one of `bits`; returns it, and how many the key has left.
    #[inline]
    pub fn wake_one(&mut self, key: &K, bits: u32) -> Option<(W, usize)> {
        let hash = self.hash.hash_one(key);
        let (mut cursor, mut entry) = self.first_in(self.bucket(hash), key, hash)?;
        let left = entry.waiters as usize - 1;
        while entry.bits & bits == 0 {
            cursor = entry.next;
            entry = self.nodes.get(cursor)?;
        }
        Some((self.take(cursor)?, left))
    }

    /// Moves up to `count` waiters of `from` behind those of `to`, oldest first, whatever their bits, and returns how many.
    /// Their ids stay valid. O(1) each.
    pub fn requeue(&mut self, from: &K, to: &K, count: usize) -> usize
    where
        K: Clone,
    {
        if from == to {
            return 0;
        }
        let hash = self.hash.hash_one(to);
        let mut moved = 0;
        while moved < count {
            let Some(first) = self.first(from) else { break };
            self.unlink(first);
            if let Some(entry) = self.nodes.get_mut(first) {
                (entry.key, entry.hash) = (to.clone(), hash);
            }
            self.link(first, hash);
            moved += 1;
        }
        moved
    }

    /// Takes out one waiter: its time is over, or its thread ends. `None` if it left before. O(1).
    #[inline]
    pub fn remove(&mut self, id: WaitId) -> Option<W> {
        if self.nodes.stamp(id.node) != Some(id.stamp) {
            return None;
        }
        self.take(id.node)
    }

    /// The first waiter of a key.
    #[inline]
    fn first(&self, key: &K) -> Option<u32> {
        self.first_hashed(key, self.hash.hash_one(key))
    }

    #[inline]
    fn first_hashed(&self, key: &K, hash: u64) -> Option<u32> {
        self.first_in(self.bucket(hash), key, hash).map(|(first, _)| first)
    }

    /// The same with its bucket at hand, and its node.
    #[inline]
    fn first_in(&self, bucket: usize, key: &K, hash: u64) -> Option<(u32, &Node<K, W>)> {
        let mut at = *self.buckets.get(bucket)?;
        loop {
            let entry = self.nodes.get(at)?;
            if entry.hash == hash && entry.key == *key {
                return Some((at, entry));
            }
            at = entry.chain;
        }
    }

    /// The bucket of a hash. Those beyond the last power of two have taken their share of the ones before; the others have not yet.
    #[inline]
    fn bucket(&self, hash: u64) -> usize {
        // One less than the next power of two; there are two buckets at least, or none.
        let mask = usize::MAX >> self.buckets.len().wrapping_sub(1).leading_zeros();
        #[expect(clippy::cast_possible_truncation, reason = "its low bits are meant")]
        let bucket = hash as usize & mask;
        if bucket < self.buckets.len() { bucket } else { bucket & (mask >> 1) }
    }

    /// Puts a node that is in no list behind those of its key.
    #[inline]
    fn link(&mut self, node: u32, hash: u64) {
        let bucket = self.bucket(hash);
        let Some(entry) = self.nodes.get(node) else { return };
        if let Some((first, _)) = self.first_in(bucket, &entry.key, hash) {
            return self.link_behind(node, first);
        }
        let Some(chain) = self.buckets.get_mut(bucket) else { return };
        let next = core::mem::replace(chain, node);
        if let Some(entry) = self.nodes.get_mut(node) {
            (entry.previous, entry.next) = (NONE, NONE);
            (entry.last, entry.waiters, entry.chain) = (node, 1, next);
        }
        self.keys += 1;
        if self.keys > self.buckets.len() {
            self.split();
        }
    }

    #[inline(never)]
    fn link_behind(&mut self, node: u32, first: u32) {
        let Some(entry) = self.nodes.get_mut(first) else { return };
        let last = core::mem::replace(&mut entry.last, node);
        entry.waiters += 1;
        if let Some(entry) = self.nodes.get_mut(last) {
            entry.next = node;
        }
        if let Some(entry) = self.nodes.get_mut(node) {
            (entry.previous, entry.next) = (last, NONE);
        }
    }

    /// Makes one more bucket, which gets its share of the one that had it so far. Without memory chains become longer.
    #[cold]
    fn split(&mut self) {
        if self.spare.make_room(&mut self.buckets, 1, ROOM).is_err() {
            return;
        }
        let (new, mask) = (self.buckets.len(), (self.buckets.len() + 1).next_power_of_two() - 1);
        let Some(old) = self.buckets.get_mut(new & (mask >> 1)) else { return };
        let mut at = core::mem::replace(old, NONE);
        self.buckets.push(NONE);
        while let Some(entry) = self.nodes.get(at) {
            let (hash, next) = (entry.hash, entry.chain);
            let bucket = self.bucket(hash);
            let chain = self.buckets.get_mut(bucket).map_or(NONE, |first| core::mem::replace(first, at));
            if let Some(entry) = self.nodes.get_mut(at) {
                entry.chain = chain;
            }
            at = next;
        }
    }

    /// Gives a bucket back that is one too many; what it has goes where it came from.
    #[cold]
    fn merge(&mut self) {
        let Some(mut at) = self.buckets.pop() else { return };
        while let Some(hash) = self.nodes.get(at).map(|entry| entry.hash) {
            let bucket = self.bucket(hash);
            let chain = self.buckets.get_mut(bucket).map_or(NONE, |first| core::mem::replace(first, at));
            let Some(entry) = self.nodes.get_mut(at) else { return };
            at = core::mem::replace(&mut entry.chain, chain);
        }
        let buckets = self.buckets.len();
        self.spare.give_back(&mut self.buckets, buckets, ROOM);
    }

    /// Takes a node out of its list. It stays in the slab.
    #[inline]
    fn unlink(&mut self, node: u32) {
        let Some(entry) = self.nodes.get(node) else { return };
        if entry.previous != NONE {
            return self.unlink_behind(node);
        }
        let (hash, next, chain) = (entry.hash, entry.next, entry.chain);
        let (last, waiters) = (entry.last, entry.waiters);
        let successor = match self.nodes.get_mut(next) {
            Some(second) => {
                second.previous = NONE;
                (second.last, second.waiters, second.chain) = (last, waiters - 1, chain);
                next
            }
            None => {
                self.keys -= 1;
                chain
            }
        };
        let bucket = self.bucket(hash);
        let Some(first) = self.buckets.get_mut(bucket) else { return };
        if *first == node {
            *first = successor;
            return;
        }
        let mut at = *first;
        while let Some(entry) = self.nodes.get_mut(at) {
            if entry.chain == node {
                entry.chain = successor;
                return;
            }
            at = entry.chain;
        }
    }

    /// The same for one that is not the first of its key.
    #[inline(never)]
    fn unlink_behind(&mut self, node: u32) {
        let Some(entry) = self.nodes.get(node) else { return };
        let (previous, next) = (entry.previous, entry.next);
        let first = self.first_hashed(&entry.key, entry.hash);
        if let Some(before) = self.nodes.get_mut(previous) {
            before.next = next;
        }
        if let Some(after) = self.nodes.get_mut(next) {
            after.previous = previous;
        }
        if let Some(first) = first.and_then(|first| self.nodes.get_mut(first)) {
            first.waiters -= 1;
            if first.last == node {
                first.last = previous;
            }
        }
    }

    #[inline]
    fn take(&mut self, node: u32) -> Option<W> {
        self.unlink(node);
        if self.buckets.len() > BUCKETS {
            // Two at a time keep pace with the keys.
            for _ in 0..2 {
                if self.buckets.len() > BUCKETS && 2 * self.keys < self.buckets.len() {
                    self.merge();
                }
            }
        }
        let node = self.nodes.remove(node)?;
        self.waiters -= 1;
        Some(node.waiter)
    }
}

/// Waiters being woken: each turn takes one out of the table.
#[derive(Debug)]
#[must_use = "waiters leave only as the iterator is drawn"]
pub struct Wake<'a, K, W, S> {
    table: &'a mut FutexTable<K, W, S>,
    /// The oldest waiter not looked at yet.
    cursor: Option<u32>,
    left: usize,
    bits: u32,
    /// How many more may be passed over.
    passes: usize,
    /// The last one that was.
    passed: Option<WaitId>,
}

impl<K: Eq + Hash, W, S: BuildHasher> Wake<'_, K, W, S> {
    /// The last waiter that was passed over, if there is one and others wait behind it that were not looked at.
    #[must_use]
    pub fn passed(&self) -> Option<WaitId> {
        self.cursor.and_then(|cursor| self.table.nodes.get(cursor)).and(self.passed)
    }
}

impl<K: Eq + Hash, W, S: BuildHasher> Iterator for Wake<'_, K, W, S> {
    type Item = W;

    fn next(&mut self) -> Option<W> {
        if self.left == 0 {
            return None;
        }
        loop {
            let node = self.cursor?;
            let (bits, next) = self.table.nodes.get(node).map(|n| (n.bits, n.next))?;
            if bits & self.bits != 0 {
                self.cursor = Some(next);
                self.left -= 1;
                return self.table.take(node);
            }
            self.passes = self.passes.checked_sub(1)?;
            self.cursor = Some(next);
            self.passed = self.table.nodes.stamp(node).map(|stamp| WaitId { node, stamp });
        }
    }
}

#[cfg(test)]
mod tests;
