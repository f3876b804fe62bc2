//! Pages, their states, and which of them to give back.

use swos_units::Frame;

use crate::segments::Segments;
use crate::table::{NIL, Table};

/// Whose page: a device, an image, a file system.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectId(pub u32);

/// Which page.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// Whose.
    pub object: ObjectId,
    /// Which of its 4 KiB pages. For a base image the block number, so that a page is cached once whatever names it.
    pub page: u64,
}

/// Why a page could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReadError {
    /// The device reported an error.
    Device,
    /// There was no frame to read into.
    NoMemory,
}

/// Whether bytes may be used as they came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// They are good by themselves.
    Verified,
    /// They have to be checked before they are used.
    Unverified,
}

/// What [`Cache::get`] found.
#[must_use]
#[derive(Debug, Eq, PartialEq)]
pub enum Lookup {
    /// The page, good to use. It is now marked as recently used.
    Hit(Frame),
    /// The page, to be checked first: then [`Cache::verified`] or [`Cache::rejected`]. Two CPUs may check the same page at
    /// once; both come to the same answer, and neither has to wait for the other.
    Unverified(PageRef),
    /// Somebody else reads it. Wait and get it again.
    Filling,
    /// Nobody has it: read it, then [`Cache::filled`] or [`Cache::failed`].
    Miss(FillTicket),
    /// It was read for this caller, and that failed.
    Failed(ReadError),
    /// There is no memory to remember the page.
    OutOfMemory,
}

/// The duty to fill a page.
#[must_use]
#[derive(Debug, Eq, PartialEq)]
pub struct FillTicket {
    slot: u32,
    generation: u32,
    key: Key,
}

impl FillTicket {
    /// Which page.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }
}

/// A page that was found unverified. Stale when the page went away meanwhile; then it does nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageRef {
    slot: u32,
    generation: u32,
    frame: Frame,
}

impl PageRef {
    /// Where its bytes are.
    #[must_use]
    pub const fn frame(&self) -> Frame {
        self.frame
    }
}

/// What [`Cache::shrink`] is told about a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pinned {
    /// Mapped or in use: it stays.
    Yes,
    /// Only the cache has it.
    No,
}

/// Figures about the cache.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Pages with a frame.
    pub pages: u64,
    /// Found ready.
    pub hits: u64,
    /// Had to be read.
    pub misses: u64,
    /// Given back under pressure.
    pub evicted: u64,
    /// Refused by verification.
    pub rejected: u64,
    /// Could not be read.
    pub failed: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Free,
    Filling,
    Unverified,
    Ready,
    Failed(ReadError),
}

/// What is known of one page. 32 bytes, so that an index is a shift and two fit a cache line.
#[derive(Clone, Copy, Debug)]
struct Slot {
    page: u64,
    /// Where its bytes are, while it is unverified or ready.
    frame: Frame,
    object: ObjectId,
    /// Next in the hash chain, or in the list of free slots.
    next: u32,
    generation: u32,
    /// How many times more a failure is to be reported.
    reports: u16,
    state: State,
    used: bool,
}

const _: () = assert!(size_of::<Slot>() == 32);

impl Slot {
    fn free() -> Self {
        Self {
            page: 0,
            frame: Frame::default(),
            object: ObjectId(0),
            next: NIL,
            generation: 0,
            reports: 0,
            state: State::Free,
            used: false,
        }
    }

    const fn key(&self) -> Key {
        Key { object: self.object, page: self.page }
    }

    const fn holds(&self, key: Key) -> bool {
        self.page == key.page && self.object.0 == key.object.0
    }
}

/// The page cache.
#[derive(Debug)]
pub struct Cache {
    table: Table,
    slots: Segments<Slot>,
    free: u32,
    in_use: u32,
    hand: u32,
    counts: Counts,
}

impl Cache {
    /// Empty; allocates nothing. `seed` is random, so that nobody can choose pages that collide.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            table: Table::new(seed),
            slots: Segments::new(),
            free: NIL,
            in_use: 0,
            hand: 0,
            counts: Counts { pages: 0, hits: 0, misses: 0, evicted: 0, rejected: 0, failed: 0 },
        }
    }

    /// Figures.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Looks for a page, and starts a fill if it is absent.
    #[inline]
    pub fn get(&mut self, key: Key) -> Lookup {
        let hash = self.table.hash(key.object.0, key.page);
        let mut at = self.table.head(hash);
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.holds(key) {
                if slot.state == State::Ready {
                    slot.used = true;
                    self.counts.hits += 1;
                    return Lookup::Hit(slot.frame);
                }
                return self.get_unready(at);
            }
            at = slot.next;
        }
        self.miss(key, hash)
    }

    /// The frame of a page that is ready, to be used at once: nothing is started if it is not.
    #[inline]
    pub fn ready(&mut self, key: Key) -> Option<Frame> {
        let mut at = self.table.head(self.table.hash(key.object.0, key.page));
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.holds(key) {
                let ready = slot.state == State::Ready;
                slot.used |= ready;
                self.counts.hits += u64::from(ready);
                return ready.then_some(slot.frame);
            }
            at = slot.next;
        }
        None
    }

    /// Looks for a page and starts nothing: whether read-ahead has to fetch it.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: Key) -> Option<u32> {
        let mut at = self.table.head(self.table.hash(key.object.0, key.page));
        while let Some(slot) = self.slots.get(at) {
            if slot.holds(key) {
                return Some(at);
            }
            at = slot.next;
        }
        None
    }

    #[cold]
    fn get_unready(&mut self, at: u32) -> Lookup {
        let Some(slot) = self.slots.get_mut(at) else { return Lookup::Filling };
        match slot.state {
            State::Unverified => {
                slot.used = true;
                Lookup::Unverified(PageRef { slot: at, generation: slot.generation, frame: slot.frame })
            }
            State::Failed(error) => {
                slot.reports = slot.reports.saturating_sub(1);
                if slot.reports == 0 {
                    self.remove(at);
                }
                Lookup::Failed(error)
            }
            State::Filling | State::Free | State::Ready => Lookup::Filling,
        }
    }

    fn miss(&mut self, key: Key, hash: u32) -> Lookup {
        let Some(chain) = self.table.grow(self.in_use) else { return Lookup::OutOfMemory };
        self.put_back(chain);
        let at = if self.free == NIL {
            match self.slots.push(Slot::free()) {
                Some(at) => at,
                None => return Lookup::OutOfMemory,
            }
        } else {
            self.free
        };
        let head = self.table.head(hash);
        let Some(slot) = self.slots.get_mut(at) else { return Lookup::OutOfMemory };
        if at == self.free {
            self.free = slot.next;
        }
        slot.page = key.page;
        slot.object = key.object;
        slot.next = head;
        slot.state = State::Filling;
        slot.used = false;
        let generation = slot.generation;
        self.table.set_head(hash, at);
        self.in_use += 1;
        self.counts.misses += 1;
        Lookup::Miss(FillTicket { slot: at, generation, key })
    }

    /// Puts the slots of a chain into the buckets where they belong now.
    fn put_back(&mut self, mut at: u32) {
        while let Some(slot) = self.slots.get_mut(at) {
            let hash = self.table.hash(slot.object.0, slot.page);
            let following = core::mem::replace(&mut slot.next, self.table.head(hash));
            self.table.set_head(hash, at);
            at = following;
        }
    }

    /// The page was read into `frame`, which the cache holds from now on. Wake who waits for it.
    pub fn filled(&mut self, ticket: FillTicket, frame: Frame, trust: Trust) {
        if let Some(slot) = self.slots.get_mut(ticket.slot)
            && slot.generation == ticket.generation
        {
            slot.frame = frame;
            slot.state = match trust {
                Trust::Verified => State::Ready,
                Trust::Unverified => State::Unverified,
            };
            self.counts.pages += 1;
        }
    }

    /// The page could not be read. `waiters` is how many wait for it: so many times [`get`](Self::get) answers
    /// [`Lookup::Failed`], and then the page is absent again. With none (read-ahead) it is absent at once. If a waiter dies
    /// before it asks, somebody later gets an error that is out of date, once.
    pub fn failed(&mut self, ticket: FillTicket, error: ReadError, waiters: u32) {
        let Some(slot) = self.slots.get_mut(ticket.slot) else { return };
        if slot.generation != ticket.generation {
            return;
        }
        self.counts.failed += 1;
        if waiters == 0 {
            self.remove(ticket.slot);
        } else {
            slot.reports = u16::try_from(waiters).unwrap_or(u16::MAX);
            slot.state = State::Failed(error);
        }
    }

    /// The bytes of `page` are good: from now on it is a [`Lookup::Hit`].
    pub fn verified(&mut self, page: PageRef) {
        if let Some(slot) = self.slots.get_mut(page.slot)
            && slot.generation == page.generation
            && slot.state == State::Unverified
        {
            slot.state = State::Ready;
        }
    }

    /// The bytes of `page` are bad: it is absent from now on, so the next reader asks the disk again. Returns the
    /// frame, which is the caller's again; `None` if somebody else has rejected it already.
    #[must_use]
    pub fn rejected(&mut self, page: PageRef) -> Option<Frame> {
        let slot = self.slots.get(page.slot)?;
        if slot.generation != page.generation || slot.state != State::Unverified {
            return None;
        }
        let frame = slot.frame;
        self.remove(page.slot);
        self.counts.pages -= 1;
        self.counts.rejected += 1;
        Some(frame)
    }

    /// Gives back up to `wanted` frames through `evict`, looking at no more than `scan` pages. Recently used pages get a
    /// second chance; pinned ones stay. Returns how many it gave back.
    pub fn shrink(
        &mut self,
        wanted: u32,
        scan: u32,
        mut pinned: impl FnMut(Frame) -> Pinned,
        mut evict: impl FnMut(Key, Frame),
    ) -> u32 {
        let mut given = 0;
        for _ in 0..scan {
            if given == wanted || self.in_use == 0 {
                break;
            }
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let Some(slot) = self.slots.get_mut(self.hand) else { break };
            if !matches!(slot.state, State::Ready | State::Unverified) {
                continue;
            }
            let frame = slot.frame;
            if core::mem::take(&mut slot.used) || pinned(frame) == Pinned::Yes {
                continue;
            }
            let key = slot.key();
            self.remove(self.hand);
            self.counts.pages -= 1;
            self.counts.evicted += 1;
            given += 1;
            evict(key, frame);
        }
        given
    }

    /// Takes a slot out of its chain and makes it free. References to it are stale from now on.
    fn remove(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let hash = self.table.hash(slot.object.0, slot.page);
        let following = core::mem::replace(&mut slot.next, self.free);
        slot.state = State::Free;
        slot.generation = slot.generation.wrapping_add(1);
        self.free = at;
        self.in_use -= 1;
        let mut before = self.table.head(hash);
        if before == at {
            self.table.set_head(hash, following);
            return;
        }
        while let Some(slot) = self.slots.get_mut(before) {
            if slot.next == at {
                slot.next = following;
                return;
            }
            before = slot.next;
        }
    }
}

#[cfg(test)]
mod tests;
