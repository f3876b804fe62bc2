//! The table of waiters: a hash table of queues, a queue is a list of nodes.

use core::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use crate::{NoMemory, slab::Slab};

/// Matches every waiter.
pub const ANY: u32 = u32::MAX;

/// Names one waiter until it leaves; after that it names nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct WaitId {
    node: u32,
    generation: u32,
}

/// Queues without waiters that stay in the table. Two threads that wait for each other empty a queue with every turn; making
/// and removing it would cost more than the rest.
const IDLE_MAX: usize = if cfg!(test) { 2 } else { 8 };

/// The waiters of one key, oldest first. Exists as long as it has any, and for a while after.
#[derive(Debug)]
struct Queue<K> {
    key: K,
    hash: u64,
    ends: Option<(u32, u32)>,
    waiters: usize,
    /// It is in the table's list of those that became empty; perhaps it no longer is.
    listed: bool,
}

#[derive(Debug)]
struct Node<W> {
    waiter: W,
    bits: u32,
    queue: u32,
    previous: Option<u32>,
    next: Option<u32>,
}

/// Waiters by key. `S` is the hash; where keys come from programs, one with a secret ([`crate::SeededHash`]).
#[derive(Debug)]
pub struct FutexTable<K, W, S> {
    hash: S,
    /// Places in `queues`.
    keys: HashTable<u32>,
    queues: Slab<Queue<K>>,
    nodes: Slab<Node<W>>,
    waiters: usize,
    /// Those that became empty last, each once, and which place is overwritten next.
    idle: ([Option<u32>; IDLE_MAX], usize),
}

impl<K: Eq + Hash, W, S: BuildHasher> FutexTable<K, W, S> {
    /// Nobody waits.
    #[must_use]
    pub const fn new(hash: S) -> Self {
        Self {
            hash,
            keys: HashTable::new(),
            queues: Slab::new(),
            nodes: Slab::new(),
            waiters: 0,
            idle: ([None; IDLE_MAX], 0),
        }
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
        self.find(key).and_then(|queue| self.queues.get(queue)).map_or(0, |queue| queue.waiters)
    }

    /// Adds a waiter behind those of the same key; it is woken by wakes of which a bit is in `bits`. O(1).
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn wait(&mut self, key: K, waiter: W, bits: u32) -> Result<WaitId, NoMemory> {
        self.nodes.reserve_one()?;
        let queue = self.queue_for(key)?;
        let node = self.nodes.insert(Node { waiter, bits, queue, previous: None, next: None })?;
        self.link(node, queue);
        self.waiters += 1;
        Ok(WaitId { node, generation: self.nodes.generation(node) })
    }

    /// Takes up to `count` waiters of `key` whose bits meet `bits`, oldest first, one at each turn of the iterator; those
    /// not drawn stay. O(1) each, plus the waiters passed over for their bits.
    pub fn wake(&mut self, key: &K, count: usize, bits: u32) -> Wake<'_, K, W, S> {
        let cursor = self.find(key).and_then(|queue| self.queues.get(queue)?.ends).map(|(head, _)| head);
        Wake { table: self, cursor, left: count, bits }
    }

    /// Wakes the first waiter of `key` that has one of `bits`; returns it, and how many the key has left.
    pub fn wake_one(&mut self, key: &K, bits: u32) -> Option<(W, usize)> {
        let queue = self.find(key)?;
        let mut cursor = self.queues.get(queue)?.ends.map(|(head, _)| head);
        while let Some(node) = cursor {
            let entry = self.nodes.get(node)?;
            if entry.bits & bits != 0 {
                let waiter = self.take(node)?;
                return Some((waiter, self.queues.get(queue).map_or(0, |queue| queue.waiters)));
            }
            cursor = entry.next;
        }
        None
    }

    /// Moves up to `count` waiters of `from` behind those of `to`, oldest first, whatever their bits, and returns how many.
    /// Their ids stay valid. O(1) each.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn requeue(&mut self, from: &K, to: K, count: usize) -> Result<usize, NoMemory> {
        if *from == to || count == 0 {
            return Ok(0);
        }
        let Some(source) = self.find(from).filter(|&at| self.queues.get(at).is_some_and(|q| q.waiters > 0))
        else {
            return Ok(0);
        };
        let target = self.queue_for(to)?;
        let mut moved = 0;
        while moved < count {
            let Some((head, _)) = self.queues.get(source).and_then(|queue| queue.ends) else {
                break;
            };
            self.detach(head);
            self.link(head, target);
            moved += 1;
        }
        // Not before: room for it may be made by removing the target, as long as that is empty.
        self.list_if_empty(source);
        Ok(moved)
    }

    /// Takes out one waiter: its time is over, or its thread ends. `None` if it left before. O(1).
    pub fn remove(&mut self, id: WaitId) -> Option<W> {
        if self.nodes.generation(id.node) != id.generation {
            return None;
        }
        self.take(id.node)
    }

    fn find(&self, key: &K) -> Option<u32> {
        self.find_hashed(key, self.hash.hash_one(key))
    }

    fn find_hashed(&self, key: &K, hash: u64) -> Option<u32> {
        let same = |&queue: &u32| self.queues.get(queue).is_some_and(|queue| queue.key == *key);
        self.keys.find(hash, same).copied()
    }

    /// The queue of `key`, made if there is none. A new one is empty: the caller links a node next.
    fn queue_for(&mut self, key: K) -> Result<u32, NoMemory> {
        let hash = self.hash.hash_one(&key);
        if let Some(queue) = self.find_hashed(&key, hash) {
            return Ok(queue);
        }
        let Self { keys, queues, .. } = self;
        keys.try_reserve(1, |&queue| queues.get(queue).map_or(0, |queue| queue.hash))
            .map_err(|_| NoMemory)?;
        let queue = queues.insert(Queue { key, hash, ends: None, waiters: 0, listed: false })?;
        keys.insert_unique(hash, queue, |&queue| queues.get(queue).map_or(0, |queue| queue.hash));
        Ok(queue)
    }

    /// Appends a node to a queue.
    fn link(&mut self, node: u32, queue: u32) {
        let Some(list) = self.queues.get_mut(queue) else {
            return;
        };
        let last = list.ends.map(|(_, tail)| tail);
        list.ends = Some((list.ends.map_or(node, |(head, _)| head), node));
        list.waiters += 1;
        if let Some(before) = last.and_then(|last| self.nodes.get_mut(last)) {
            before.next = Some(node);
        }
        if let Some(entry) = self.nodes.get_mut(node) {
            entry.queue = queue;
            entry.previous = last;
            entry.next = None;
        }
    }

    /// Takes a node out of its queue, and the queue out of the table when it was the last.
    /// Takes a node out of its queue, which may be empty then; returns the queue.
    fn detach(&mut self, node: u32) -> Option<u32> {
        let (queue, previous, next) = self.nodes.get(node).map(|n| (n.queue, n.previous, n.next))?;
        if let Some(before) = previous.and_then(|at| self.nodes.get_mut(at)) {
            before.next = next;
        }
        if let Some(after) = next.and_then(|at| self.nodes.get_mut(at)) {
            after.previous = previous;
        }
        let list = self.queues.get_mut(queue)?;
        list.ends = list.ends.and_then(|(head, tail)| {
            let head = if head == node { next } else { Some(head) };
            let tail = if tail == node { previous } else { Some(tail) };
            head.zip(tail)
        });
        list.waiters -= 1;
        Some(queue)
    }

    fn list_if_empty(&mut self, queue: u32) {
        if let Some(list) = self.queues.get_mut(queue)
            && list.ends.is_none()
            && !list.listed
        {
            list.listed = true;
            self.list_idle(queue);
        }
    }

    /// Keeps an empty queue for the next who waits there, in place of the one that was listed longest ago.
    fn list_idle(&mut self, queue: u32) {
        let (listed, next) = &mut self.idle;
        let place = listed.get_mut(*next);
        *next = (*next + 1) % IDLE_MAX;
        let Some(oldest) = place.and_then(|place| place.replace(queue)) else { return };
        let Some(list) = self.queues.get_mut(oldest) else { return };
        list.listed = false;
        if list.ends.is_none() {
            let hash = list.hash;
            if let Ok(entry) = self.keys.find_entry(hash, |&other| other == oldest) {
                entry.remove();
            }
            self.queues.remove(oldest);
        }
    }

    fn take(&mut self, node: u32) -> Option<W> {
        if let Some(queue) = self.detach(node) {
            self.list_if_empty(queue);
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
            self.cursor = next;
            if bits & self.bits != 0 {
                self.left -= 1;
                return self.table.take(node);
            }
        }
    }
}

#[cfg(test)]
mod tests;
