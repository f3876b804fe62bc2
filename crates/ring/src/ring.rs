//! The two ends.

use core::fmt;

use crate::atomics::{AtomicU32, Ordering, fence};

/// Words before the records.
pub const HEADER_WORDS: usize = 32;
/// Longest record in bytes; a small ring takes less.
pub const RECORD_MAX: usize = 1 << 20;

const CONSUMED: usize = 0;
const CONSUMER_SLEEPS: usize = 1;
const PRODUCED: usize = 16;
const PRODUCER_SLEEPS: usize = 17;

/// Whether the other end waits for its doorbell.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wake {
    /// It does: ring.
    Other,
    /// It does not.
    Nobody,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The region has no word beyond the header.
    Region,
    /// There is no room at the moment.
    Full,
    /// The record would not fit into the empty ring.
    TooLong,
    /// The buffer is shorter than the record, which stays; so many bytes it has.
    Short(usize),
    /// The other end wrote what can't be. Nothing more comes of this ring.
    Broken,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region => f.write_str("no ring fits this region"),
            Self::Full => f.write_str("no room at the moment"),
            Self::TooLong => f.write_str("too long for this ring"),
            Self::Short(bytes) => write!(f, "the record has {bytes} bytes"),
            Self::Broken => f.write_str("the other end broke the ring"),
        }
    }
}

impl core::error::Error for Error {}

/// What both ends have.
#[derive(Debug)]
struct Words<'a> {
    words: &'a [AtomicU32],
    /// Words for records, a power of two.
    capacity: u32,
    broken: bool,
}

impl<'a> Words<'a> {
    fn new(region: &'a [AtomicU32]) -> Result<Self, Error> {
        let words = region.len().saturating_sub(HEADER_WORDS).min(1 << 30);
        let power = words.checked_ilog2().ok_or(Error::Region)?;
        Ok(Self { words: region, capacity: 1 << power, broken: false })
    }

    fn load(&self, word: usize, order: Ordering) -> u32 {
        self.words.get(word).map_or(0, |word| word.load(order))
    }

    fn store(&self, word: usize, value: u32, order: Ordering) {
        if let Some(word) = self.words.get(word) {
            word.store(value, order);
        }
    }

    /// Where in the region the record word number `at` lies.
    const fn place(&self, at: u32) -> usize {
        HEADER_WORDS + (at & (self.capacity - 1)) as usize
    }

    const fn longest(&self) -> usize {
        let bytes = (self.capacity as usize - 1) * 4;
        if bytes < RECORD_MAX { bytes } else { RECORD_MAX }
    }

    const fn unbroken(&self) -> Result<(), Error> {
        if self.broken { Err(Error::Broken) } else { Ok(()) }
    }

    /// After a change of an index: whether the other end said that it sleeps.
    fn wake(&self, sleeps: usize) -> Wake {
        // Pairs with the fence of `sleep`: either it sees the change, or we see that it sleeps.
        fence(Ordering::SeqCst);
        if self.load(sleeps, Ordering::Relaxed) == 0 {
            return Wake::Nobody;
        }
        self.store(sleeps, 0, Ordering::Relaxed);
        Wake::Other
    }

    /// Says that this end is about to sleep; it looks once more after that.
    fn sleep(&self, sleeps: usize) {
        self.store(sleeps, 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}

/// Words that a record of so many bytes takes.
#[expect(clippy::cast_possible_truncation, reason = "at most RECORD_MAX bytes")]
const fn words_of(bytes: usize) -> u32 {
    1 + bytes.div_ceil(4) as u32
}

/// The end where records go in.
#[derive(Debug)]
pub struct Producer<'a> {
    ring: Words<'a>,
    produced: u32,
    /// What is known of the other end; it may be further.
    consumed: u32,
}

impl<'a> Producer<'a> {
    /// The producer's end of a region of zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Region`].
    pub fn new(region: &'a [AtomicU32]) -> Result<Self, Error> {
        Ok(Self { ring: Words::new(region)?, produced: 0, consumed: 0 })
    }

    /// Appends a record.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::TooLong`], [`Error::Broken`].
    pub fn push(&mut self, record: &[u8]) -> Result<Wake, Error> {
        if record.len() > self.ring.longest() {
            return Err(Error::TooLong);
        }
        let words = words_of(record.len());
        if !self.has_room(words)? {
            return Err(Error::Full);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most RECORD_MAX bytes")]
        let length = record.len() as u32;
        self.ring.store(self.ring.place(self.produced), length, Ordering::Relaxed);
        let mut at = self.produced.wrapping_add(1);
        for chunk in record.chunks(4) {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.ring.store(self.ring.place(at), u32::from_le_bytes(word), Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        self.produced = at;
        self.ring.store(PRODUCED, at, Ordering::Release);
        Ok(self.ring.wake(CONSUMER_SLEEPS))
    }

    /// Whether to wait for the doorbell before the next try to push a record of so many bytes. After `true` the consumer rings.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`].
    pub fn may_sleep(&mut self, record: usize) -> Result<bool, Error> {
        self.ring.sleep(PRODUCER_SLEEPS);
        let room = self.has_room(words_of(record.min(RECORD_MAX)))?;
        if room {
            self.ring.store(PRODUCER_SLEEPS, 0, Ordering::Relaxed);
        }
        Ok(!room)
    }

    fn has_room(&mut self, words: u32) -> Result<bool, Error> {
        self.ring.unbroken()?;
        if words <= self.ring.capacity - self.produced.wrapping_sub(self.consumed) {
            return Ok(true);
        }
        // Acquire: what the consumer read there it has read before we write.
        let consumed = self.ring.load(CONSUMED, Ordering::Acquire);
        let (known, all) = (consumed.wrapping_sub(self.consumed), self.produced.wrapping_sub(self.consumed));
        if known > all {
            self.ring.broken = true;
            return Err(Error::Broken);
        }
        self.consumed = consumed;
        Ok(words <= self.ring.capacity - (all - known))
    }
}

/// The end where records come out.
#[derive(Debug)]
pub struct Consumer<'a> {
    ring: Words<'a>,
    consumed: u32,
    /// What is known of the other end; it may be further.
    produced: u32,
}

impl<'a> Consumer<'a> {
    /// The consumer's end of a region of zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Region`].
    pub fn new(region: &'a [AtomicU32]) -> Result<Self, Error> {
        Ok(Self { ring: Words::new(region)?, consumed: 0, produced: 0 })
    }

    /// Takes the oldest record into `buffer`; its length, and whether the producer waits for room. `None` = there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Short`], [`Error::Broken`].
    pub fn pop(&mut self, buffer: &mut [u8]) -> Result<Option<(usize, Wake)>, Error> {
        let there = self.available()?;
        if there == 0 {
            return Ok(None);
        }
        // Read once: what is checked is what is used.
        let length = self.ring.load(self.ring.place(self.consumed), Ordering::Relaxed) as usize;
        if length > self.ring.longest() || words_of(length) > there {
            self.ring.broken = true;
            return Err(Error::Broken);
        }
        let Some(record) = buffer.get_mut(..length) else { return Err(Error::Short(length)) };
        let mut at = self.consumed.wrapping_add(1);
        for chunk in record.chunks_mut(4) {
            let word = self.ring.load(self.ring.place(at), Ordering::Relaxed).to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(word) {
                *to = from;
            }
            at = at.wrapping_add(1);
        }
        self.consumed = at;
        self.ring.store(CONSUMED, at, Ordering::Release);
        Ok(Some((length, self.ring.wake(PRODUCER_SLEEPS))))
    }

    /// Whether to wait for the doorbell before the next try to pop. After `true` the producer rings.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`].
    pub fn may_sleep(&mut self) -> Result<bool, Error> {
        self.ring.sleep(CONSUMER_SLEEPS);
        let empty = self.available()? == 0;
        if !empty {
            self.ring.store(CONSUMER_SLEEPS, 0, Ordering::Relaxed);
        }
        Ok(empty)
    }

    /// Words that were produced and not consumed.
    fn available(&mut self) -> Result<u32, Error> {
        self.ring.unbroken()?;
        let known = self.produced.wrapping_sub(self.consumed);
        if known > 0 {
            return Ok(known);
        }
        // Acquire: the records up to there are written.
        let produced = self.ring.load(PRODUCED, Ordering::Acquire);
        let there = produced.wrapping_sub(self.consumed);
        if there > self.ring.capacity {
            self.ring.broken = true;
            return Err(Error::Broken);
        }
        self.produced = produced;
        Ok(there)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
