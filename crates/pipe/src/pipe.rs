//! The pipe.

use alloc::collections::VecDeque;
use core::fmt;

use swos_abi::{PIPE_BUF, POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT};

/// Bytes that a pipe holds, unless asked otherwise.
pub const CAPACITY: usize = 64 * 1024;

/// The least that is allocated, in bytes: most messages are short.
const FIRST: usize = 512;
/// An allocation of so many bytes stays when the pipe is empty, so that an exchange of small messages allocates nothing.
const KEPT: usize = PIPE_BUF;

/// Allocates room for so many more bytes; false = it can't, and nothing was changed.
trait Grow: Fn(&mut VecDeque<u8>, usize) -> bool {}

impl<F: Fn(&mut VecDeque<u8>, usize) -> bool> Grow for F {}

/// A pipe with its two ends.
pub struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    reader: Side,
    writer: Side,
    /// The least room that a refused writer needs; `usize::MAX` = nobody was refused since writers were last woken.
    wanted: usize,
}

/// Whether anybody holds an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Open,
    Closed,
}

/// An end of a pipe.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum End {
    /// Where bytes come out.
    Reader,
    /// Where they go in.
    Writer,
}

/// Whether a write may be cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece {
    /// All bytes at once or none.
    Whole,
    /// As many as there is room for, at least one.
    Part,
}

/// Who can go on after an operation, among those who were refused or who watch the readiness of the other end.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wake {
    /// Nobody.
    Nobody,
    /// Those at the end at which the operation was not.
    OtherEnd,
}

/// What a write did.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken {
    /// Bytes taken.
    pub count: usize,
    /// Who can go on.
    pub wake: Wake,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// There are no bytes, or there is no room, at the moment.
    WouldBlock,
    /// Nobody can read any more.
    NoReader,
    /// A [`Piece::Whole`] is longer than [`PIPE_BUF`].
    TooLong,
    /// There is no memory for the bytes.
    NoMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WouldBlock => "no bytes or no room at the moment",
            Self::NoReader => "nobody reads",
            Self::TooLong => "too long for one piece",
            Self::NoMemory => "no memory",
        })
    }
}

impl core::error::Error for Error {}

impl Pipe {
    /// A pipe with both ends open that holds at most `capacity` bytes, at least [`PIPE_BUF`]. Allocates nothing yet.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        let capacity = if capacity < PIPE_BUF { PIPE_BUF } else { capacity };
        Self { bytes: VecDeque::new(), capacity, reader: Side::Open, writer: Side::Open, wanted: usize::MAX }
    }

    /// Bytes that wait to be read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no byte waits to be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that can be written now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    /// Bytes allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    /// Writes `bytes`, or the first of them. No bytes are always taken.
    ///
    /// # Errors
    ///
    /// [`Error::NoReader`] once either end is closed; [`Error::TooLong`] for a whole piece of more than [`PIPE_BUF`]
    /// bytes; [`Error::WouldBlock`] if the piece does not fit, or not a byte of a part; [`Error::NoMemory`].
    ///
    /// Source: POSIX.1-2017 `write()`.
    pub fn write(&mut self, bytes: &[u8], piece: Piece) -> Result<Taken, Error> {
        self.write_with(bytes, piece, |held, more| held.try_reserve_exact(more).is_ok())
    }

    /// The same with an allocator of the caller's.
    fn write_with(&mut self, bytes: &[u8], piece: Piece, grow: impl Grow) -> Result<Taken, Error> {
        if bytes.is_empty() {
            return Ok(Taken { count: 0, wake: Wake::Nobody });
        }
        // A direction of a socket pair can be ended by who writes, and goes on to be held.
        if self.reader == Side::Closed || self.writer == Side::Closed {
            return Err(Error::NoReader);
        }
        let room = self.room();
        let (count, wanted) = match piece {
            Piece::Whole if bytes.len() > PIPE_BUF => return Err(Error::TooLong),
            Piece::Whole if bytes.len() > room => (0, bytes.len()),
            Piece::Whole => (bytes.len(), 0),
            // Whoever comes with much is woken when there is room worth coming for.
            Piece::Part => (bytes.len().min(room), bytes.len().min(PIPE_BUF)),
        };
        if count == 0 {
            self.wanted = self.wanted.min(wanted);
            return Err(Error::WouldBlock);
        }
        let count = match (self.reserve(count, grow), piece) {
            (Ok(()), _) => count,
            (Err(error), Piece::Whole) => return Err(error),
            (Err(error), Piece::Part) => match self.bytes.capacity() - self.bytes.len() {
                0 => return Err(error),
                free => free.min(count),
            },
        };
        let wake = if self.bytes.is_empty() { Wake::OtherEnd } else { Wake::Nobody };
        self.bytes.extend(bytes.get(..count).unwrap_or(bytes));
        Ok(Taken { count, wake })
    }

    /// Allocates for `more` bytes, and for some beyond, but never for more than the capacity.
    fn reserve(&mut self, more: usize, grow: impl Grow) -> Result<(), Error> {
        let (len, allocated) = (self.bytes.len(), self.bytes.capacity());
        let needed = len + more;
        if needed <= allocated {
            return Ok(());
        }
        // In few steps, because each copies what is there.
        let generous = needed.max(allocated.saturating_mul(4)).max(FIRST).min(self.capacity);
        let grown = grow(&mut self.bytes, generous - len) || grow(&mut self.bytes, more);
        if grown { Ok(()) } else { Err(Error::NoMemory) }
    }

    /// The bytes that wait, oldest first, in two pieces of which the second may be empty; both are empty at the end, when all
    /// was read and nobody can write any more.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there are none at the moment.
    ///
    /// Source: POSIX.1-2017 `read()`.
    pub fn peek(&self) -> Result<[&[u8]; 2], Error> {
        if self.bytes.is_empty() && self.writer == Side::Open && self.reader == Side::Open {
            return Err(Error::WouldBlock);
        }
        let (first, second) = self.bytes.as_slices();
        Ok([first, second])
    }

    /// Takes the oldest `count` bytes away, or all if there are fewer.
    pub fn consume(&mut self, count: usize) -> Wake {
        let before = self.room();
        if count < self.bytes.len() {
            self.bytes.drain(..count);
        } else if self.bytes.capacity() > KEPT {
            self.bytes = VecDeque::new();
        } else {
            self.bytes.clear();
        }
        let after = self.room();
        // `POLL_OUT` begins to hold, or somebody's piece fits.
        if (before < PIPE_BUF && after >= PIPE_BUF) || after >= self.wanted {
            self.wanted = usize::MAX;
            Wake::OtherEnd
        } else {
            Wake::Nobody
        }
    }

    /// The last holder of an end is gone. All who wait at the other end can go on. Without a reader the bytes go, too.
    pub fn close(&mut self, end: End) {
        match end {
            End::Reader => {
                self.reader = Side::Closed;
                self.bytes = VecDeque::new();
            }
            End::Writer => self.writer = Side::Closed,
        }
    }

    /// Somebody holds an end again that was closed: of a pipe that has a name. What was written before the reader's end was closed
    /// is gone.
    pub const fn open(&mut self, end: End) {
        match end {
            End::Reader => self.reader = Side::Open,
            End::Writer => self.writer = Side::Open,
        }
    }

    /// What holds of an end now, as `POLL_*` bits.
    ///
    /// Source: POSIX.1-2017 `poll()`.
    #[must_use]
    pub fn readiness(&self, end: End) -> u16 {
        match (end, self.writer, self.reader) {
            (End::Reader, Side::Closed, _) => POLL_IN | POLL_HUP,
            (End::Reader, Side::Open, _) if !self.bytes.is_empty() => POLL_IN,
            // It would not wait: it would be told that nobody reads.
            (End::Writer, _, Side::Closed) => POLL_OUT | POLL_ERR,
            (End::Writer, _, Side::Open) if self.room() >= PIPE_BUF => POLL_OUT,
            (End::Reader | End::Writer, _, _) => 0,
        }
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("len", &self.bytes.len())
            .field("capacity", &self.capacity)
            .field("reader", &self.reader)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
