//! Wanted blocks in, reads out.

use alloc::vec::Vec;

use swos_units::{Duration, Instant};

use crate::list::{Entries, List, NIL, Place};

/// Most blocks in one read: 128 KiB.
pub const REQUEST_BLOCKS_MAX: u32 = 32;

/// Failures of a block before it is given up.
const FAILURES_MAX: u8 = 2;

/// Sizes of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Reads in flight at a time, at least 1.
    pub depth: u16,
    /// Blocks queued, in flight or not collected yet.
    pub pending: usize,
    /// How long the device may take for a read, in nanoseconds.
    pub timeout_ns: u64,
}

/// How urgent a block is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Priority {
    /// Somebody waits for it.
    Demand,
    /// Somebody will probably want it.
    ReadAhead,
}

/// A read in flight.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RequestId {
    slot: u16,
    generation: u16,
}

impl RequestId {
    /// A number below [`Limits::depth`], unique among reads in flight: for a driver's own table.
    #[must_use]
    pub const fn slot(self) -> u16 {
        self.slot
    }
}

/// A read that the device shall do now. The memory for it: [`Queue::targets`].
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Submit {
    /// Its name for [`Queue::on_complete`].
    pub id: RequestId,
    /// First 4 KiB block.
    pub first_block: u64,
    /// How many, 1..=[`REQUEST_BLOCKS_MAX`].
    pub count: u32,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All bytes are there.
    Done,
    /// The device reported an error.
    Failed,
}

/// A block that is done with.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Completed<T> {
    /// Which.
    pub block: u64,
    /// What was given with it.
    pub target: T,
    /// Whether its bytes are there.
    pub outcome: Outcome,
}

/// Why a block was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// It is queued or in flight. If it was only expected and is now demanded, it has moved up.
    AlreadyWanted,
    /// The queue is full: try again after a completion.
    Full,
    /// The queue is closed: the device is never read again.
    Closed,
}

/// A block that was not taken, with its target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rejected<T> {
    /// What was given.
    pub target: T,
    /// Why.
    pub why: Why,
}

/// What the caller or the device did wrong. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// [`Limits::depth`] is zero or [`Limits::pending`] is not 1..=65536.
    BadLimits,
    /// No such read is in flight: a device that completes twice.
    NotInFlight,
    /// No memory for the tables.
    OutOfMemory,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    generation: u16,
    /// Blocks in ascending order; empty when the slot is free.
    blocks: List,
    count: u32,
    due: Instant,
}

/// The queue of one device.
#[derive(Debug)]
pub struct Queue<T> {
    entries: Entries<T>,
    demand: List,
    read_ahead: List,
    retry: List,
    done: List,
    flights: Vec<Flight>,
    in_flight: u16,
    timeout: Duration,
    device: Device,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Device {
    /// It has completed reads since it was last reset, or never was.
    Answers,
    /// It was reset and has completed nothing since.
    Silent,
    /// It is not asked any more.
    Closed,
}

impl<T> Queue<T> {
    /// Empty. Allocates all that it will ever use.
    ///
    /// # Errors
    ///
    /// [`Error::BadLimits`], [`Error::OutOfMemory`].
    pub fn new(limits: Limits) -> Result<Self, Error> {
        if limits.depth == 0 || limits.pending == 0 || limits.pending > 1 << 16 {
            return Err(Error::BadLimits);
        }
        let mut flights = Vec::new();
        flights.try_reserve_exact(usize::from(limits.depth)).map_err(|_| Error::OutOfMemory)?;
        let idle = Flight { generation: 0, blocks: List::EMPTY, count: 0, due: Instant::FAR_FUTURE };
        flights.resize(usize::from(limits.depth), idle);
        Ok(Self {
            entries: Entries::new(limits.pending).ok_or(Error::OutOfMemory)?,
            demand: List::EMPTY,
            read_ahead: List::EMPTY,
            retry: List::EMPTY,
            done: List::EMPTY,
            flights,
            in_flight: 0,
            timeout: Duration::from_nanos(limits.timeout_ns),
            device: Device::Answers,
        })
    }

    /// Asks for `block`, to be read into what `target` says.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with the target.
    pub fn want(&mut self, block: u64, target: T, priority: Priority) -> Result<(), Rejected<T>> {
        if self.device == Device::Closed {
            return Err(Rejected { target, why: Why::Closed });
        }
        if let Some(at) = self.entries.find(block) {
            let expected = self.entries.get(at).is_some_and(|entry| entry.place == Place::ReadAhead);
            if expected && priority == Priority::Demand {
                self.entries.unlink(&mut self.read_ahead, at);
                self.entries.push_back(&mut self.demand, at, Place::Demand);
            }
            return Err(Rejected { target, why: Why::AlreadyWanted });
        }
        let at = self.entries.insert(block, target).map_err(|target| Rejected { target, why: Why::Full })?;
        match priority {
            Priority::Demand => self.entries.push_back(&mut self.demand, at, Place::Demand),
            Priority::ReadAhead => self.entries.push_back(&mut self.read_ahead, at, Place::ReadAhead),
        }
        Ok(())
    }

    /// The next read to start, if the device takes one more. Call until `None` after every event.
    pub fn poll(&mut self, now: Instant) -> Option<Submit> {
        if usize::from(self.in_flight) == self.flights.len() {
            return None;
        }
        let slot = self.flights.iter().position(|flight| flight.count == 0)?;
        let mut blocks = List::EMPTY;
        let (first_block, count) = if self.retry.head == NIL {
            let head = if self.demand.head == NIL { self.read_ahead.head } else { self.demand.head };
            let block = self.entries.get(head)?.block;
            let (first, count) = self.mergeable(block);
            for offset in 0..u64::from(count) {
                self.take_off(first + offset, &mut blocks);
            }
            (first, count)
        } else {
            let block = self.entries.get(self.retry.head)?.block;
            self.take_off(block, &mut blocks);
            (block, 1)
        };
        let flight = self.flights.get_mut(slot)?;
        flight.blocks = blocks;
        flight.count = count;
        flight.due = now + self.timeout;
        self.in_flight += 1;
        let id = RequestId { slot: u16::try_from(slot).ok()?, generation: flight.generation };
        Some(Submit { id, first_block, count })
    }

    /// The longest run of queued blocks around `block`, forwards first, because files are read forwards.
    fn mergeable(&self, block: u64) -> (u64, u32) {
        let (mut first, mut count) = (block, 1);
        while count < REQUEST_BLOCKS_MAX
            && first.checked_add(u64::from(count)).is_some_and(|next| self.is_queued(next))
        {
            count += 1;
        }
        while count < REQUEST_BLOCKS_MAX && first.checked_sub(1).is_some_and(|next| self.is_queued(next)) {
            first -= 1;
            count += 1;
        }
        (first, count)
    }

    fn is_queued(&self, block: u64) -> bool {
        let entry = self.entries.find(block).and_then(|at| self.entries.get(at));
        entry.is_some_and(|entry| matches!(entry.place, Place::Demand | Place::ReadAhead))
    }

    /// Moves a queued block to `blocks`.
    fn take_off(&mut self, block: u64, blocks: &mut List) {
        let Some(at) = self.entries.find(block) else { return };
        match self.entries.get(at).map(|entry| entry.place) {
            Some(Place::Demand) => self.entries.unlink(&mut self.demand, at),
            Some(Place::ReadAhead) => self.entries.unlink(&mut self.read_ahead, at),
            Some(Place::Retry) => self.entries.unlink(&mut self.retry, at),
            Some(Place::Free | Place::Flight | Place::Done | Place::Failed) | None => return,
        }
        self.entries.push_back(blocks, at, Place::Flight);
    }

    /// The targets of a read in flight, in the order of its blocks; none if it is not in flight.
    pub fn targets(&self, id: RequestId) -> impl Iterator<Item = &T> {
        let mut at = self.flight(id).map_or(NIL, |flight| flight.blocks.head);
        core::iter::from_fn(move || {
            let entry = self.entries.get(at)?;
            at = self.entries.next(at);
            entry.target.as_ref()
        })
    }

    fn flight(&self, id: RequestId) -> Option<&Flight> {
        let flight = self.flights.get(usize::from(id.slot))?;
        (flight.generation == id.generation && flight.count > 0).then_some(flight)
    }

    /// The device is done with a read. Then drain [`completed`](Self::completed), and [`poll`](Self::poll) for more.
    ///
    /// # Errors
    ///
    /// [`Error::NotInFlight`].
    pub fn on_complete(&mut self, id: RequestId, outcome: Outcome) -> Result<(), Error> {
        self.flight(id).ok_or(Error::NotInFlight)?;
        self.device = Device::Answers;
        self.land(usize::from(id.slot), outcome);
        Ok(())
    }

    /// The device was reset: nothing is in flight any more, and every block that was counts as failed once. If it has completed
    /// nothing since it was reset before, all that is wanted has failed: so nobody waits longer than for two time-outs, however
    /// many blocks are queued. Completions of the old reads are [`Error::NotInFlight`] from now on.
    pub fn on_reset(&mut self) {
        for slot in 0..self.flights.len() {
            self.land(slot, Outcome::Failed);
        }
        match self.device {
            Device::Answers => self.device = Device::Silent,
            Device::Silent | Device::Closed => self.fail_queued(),
        }
    }

    /// The device is gone for good: all that is wanted has failed, and what is wanted from now on is [`Why::Closed`].
    pub fn close(&mut self) {
        self.device = Device::Closed;
        self.on_reset();
    }

    fn fail_queued(&mut self) {
        for list in [&mut self.demand, &mut self.read_ahead, &mut self.retry] {
            while list.head != NIL {
                let at = list.head;
                self.entries.unlink(list, at);
                self.entries.push_back(&mut self.done, at, Place::Failed);
            }
        }
    }

    fn land(&mut self, slot: usize, outcome: Outcome) {
        let Some(flight) = self.flights.get_mut(slot).filter(|flight| flight.count > 0) else { return };
        let mut at = flight.blocks.head;
        flight.count = 0;
        flight.blocks = List::EMPTY;
        flight.due = Instant::FAR_FUTURE;
        flight.generation = flight.generation.wrapping_add(1);
        self.in_flight -= 1;
        while let Some(entry) = self.entries.get_mut(at) {
            let current = at;
            let failures = entry.failures;
            entry.failures += u8::from(outcome == Outcome::Failed);
            at = self.entries.next(current);
            match outcome {
                Outcome::Done => self.entries.push_back(&mut self.done, current, Place::Done),
                Outcome::Failed if failures + 1 < FAILURES_MAX => {
                    self.entries.push_back(&mut self.retry, current, Place::Retry);
                }
                Outcome::Failed => self.entries.push_back(&mut self.done, current, Place::Failed),
            }
        }
    }

    /// The next block that is done with. Call until `None` after each completion.
    pub fn completed(&mut self) -> Option<Completed<T>> {
        let at = self.done.head;
        let entry = self.entries.get(at)?;
        let outcome = if entry.place == Place::Failed { Outcome::Failed } else { Outcome::Done };
        let block = entry.block;
        self.entries.unlink(&mut self.done, at);
        let target = self.entries.remove(at)?;
        Some(Completed { block, target, outcome })
    }

    /// The reads in flight.
    pub fn flights(&self) -> impl Iterator<Item = RequestId> {
        (0..)
            .zip(&self.flights)
            .filter(|(_, flight)| flight.count > 0)
            .map(|(slot, flight)| RequestId { slot, generation: flight.generation })
    }

    /// Whether [`completed`](Self::completed) has something.
    #[must_use]
    pub const fn has_completed(&self) -> bool {
        self.done.head != NIL
    }

    /// When the oldest read in flight is overdue; `None` if nothing is in flight. What to do then: reset the device,
    /// [`on_reset`](Self::on_reset).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.flights.iter().filter(|flight| flight.count > 0).map(|flight| flight.due).min()
    }

    /// Reads in flight.
    #[must_use]
    pub const fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Whether `block` is queued or in flight.
    #[must_use]
    pub fn is_wanted(&self, block: u64) -> bool {
        self.entries.find(block).is_some()
    }
}

#[cfg(test)]
mod tests;
