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

/// A pipe with its two ends. `P` is a page of [`PIPE_BUF`] bytes, whatever holds it.
pub struct Pipe<P = ()> {
    /// Pages, the oldest first. All of them came before `bytes`.
    pages: VecDeque<Part<P>>,
    /// Bytes to be read in them, and in the one that the reader has.
    paged: usize,
    /// Of these, in the one that the reader has.
    lent: usize,
    bytes: VecDeque<u8>,
    capacity: usize,
    reader: Side,
    writer: Side,
    /// The least room that a refused writer needs; `usize::MAX` = nobody was refused since writers were last woken.
    wanted: usize,
}

/// A page of which the bytes from `start` on are to be read.
#[must_use = "a part that the reader took is given back or consumed"]
#[derive(Debug)]
pub struct Part<P> {
    page: P,
    start: usize,
}

impl<P> Part<P> {
    /// The page.
    pub const fn page(&self) -> &P {
        &self.page
    }

    /// Where the bytes to be read start; they go to the end of the page, and there is at least one.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }
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
        Self::with_pages(capacity)
    }
}

impl<P> Pipe<P> {
    /// The same for a pipe into which pages are written, too.
    #[must_use]
    pub const fn with_pages(capacity: usize) -> Self {
        Self {
            pages: VecDeque::new(),
            paged: 0,
            lent: 0,
            bytes: VecDeque::new(),
            capacity: if capacity < PIPE_BUF { PIPE_BUF } else { capacity },
            reader: Side::Open,
            writer: Side::Open,
            wanted: usize::MAX,
        }
    }

    /// Bytes that wait to be read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paged + self.bytes.len()
    }

    /// Whether no byte waits to be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that can be written now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }

    /// Whether a page goes in now: both ends are open, there is room for all of it, and nothing that is no page waits.
    #[must_use]
    pub fn takes_page(&self) -> bool {
        self.bytes.is_empty()
            && self.room() >= PIPE_BUF
            && (self.reader, self.writer) == (Side::Open, Side::Open)
    }

    /// Writes a page, whose bytes are not copied.
    ///
    /// # Errors
    ///
    /// The page, if it does not go in ([`takes_page`](Self::takes_page)) or there is no memory to note it. Its bytes may still be
    /// written by [`write`](Self::write), which says what is wrong.
    pub fn write_page(&mut self, page: P) -> Result<Wake, P> {
        // One more, for what the reader may give back.
        if !self.takes_page() || self.pages.try_reserve(2).is_err() {
            return Err(page);
        }
        let wake = if self.is_empty() { Wake::OtherEnd } else { Wake::Nobody };
        self.pages.push_back(Part { page, start: 0 });
        self.paged += PIPE_BUF;
        if self.bytes.capacity() + self.paged > self.capacity {
            self.bytes = VecDeque::new();
        }
        Ok(wake)
    }

    /// Whether pages wait, which are read before all else.
    #[must_use]
    pub fn has_pages(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Takes the oldest page out, whose bytes still count as waiting. There is one reader at a time.
    pub fn take_page(&mut self) -> Option<Part<P>> {
        let part = self.pages.pop_front()?;
        self.lent = PIPE_BUF - part.start;
        Some(part)
    }

    /// Puts back what [`take_page`](Self::take_page) gave, as if it had not.
    pub fn give_back(&mut self, part: Part<P>) {
        // Nothing is lent any more where the reader's end was closed meanwhile: then its bytes are gone.
        if core::mem::take(&mut self.lent) > 0 {
            self.pages.push_front(part);
        }
    }

    /// Of what [`take_page`](Self::take_page) gave, so many bytes were read; the rest, if any, is read next. Returns the page if
    /// it is done with.
    pub fn consume_page(&mut self, mut part: Part<P>, count: usize) -> (Wake, Option<P>) {
        if self.lent == 0 {
            return (Wake::Nobody, Some(part.page));
        }
        let before = self.room();
        let count = count.min(self.lent);
        self.paged -= count;
        part.start += count;
        let page = if part.start == PIPE_BUF {
            self.lent = 0;
            Some(part.page)
        } else {
            self.give_back(part);
            None
        };
        (self.made_room(before), page)
    }

    /// Bytes allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.bytes.capacity() + self.pages.len() * PIPE_BUF
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
        let wake = if self.is_empty() { Wake::OtherEnd } else { Wake::Nobody };
        self.bytes.extend(bytes.get(..count).unwrap_or(bytes));
        Ok(Taken { count, wake })
    }

    /// Allocates for `more` bytes, and for some beyond, but never for more than the capacity.
    fn reserve(&mut self, more: usize, grow: impl Grow) -> Result<(), Error> {
        let (len, allocated) = (self.bytes.len(), self.bytes.capacity());
        let most = self.capacity.saturating_sub(self.paged);
        let needed = len + more;
        if needed <= allocated {
            return Ok(());
        }
        // In few steps, because each copies what is there.
        let generous = needed.max(allocated.saturating_mul(4)).max(FIRST).min(most);
        let grown = grow(&mut self.bytes, generous - len) || grow(&mut self.bytes, more);
        if grown { Ok(()) } else { Err(Error::NoMemory) }
    }

    /// The bytes that wait behind the pages, of which there are none any more, oldest first, in two pieces of which the second may be empty; both are empty at the end, when all
    /// was read and nobody can write any more.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there are none at the moment.
    ///
    /// Source: POSIX.1-2017 `read()`.
    pub fn peek(&self) -> Result<[&[u8]; 2], Error> {
        debug_assert!(self.pages.is_empty(), "pages are read first");
        if self.bytes.is_empty() && self.writer == Side::Open && self.reader == Side::Open {
            return Err(Error::WouldBlock);
        }
        let (first, second) = self.bytes.as_slices();
        Ok([first, second])
    }

    /// Takes the oldest `count` bytes away that [`peek`](Self::peek) gave, or all if there are fewer.
    pub fn consume(&mut self, count: usize) -> Wake {
        let before = self.room();
        if count < self.bytes.len() {
            self.bytes.drain(..count);
        } else if self.bytes.capacity() > KEPT {
            self.bytes = VecDeque::new();
        } else {
            self.bytes.clear();
        }
        self.made_room(before)
    }

    /// Who can go on, now that there is more room than `before`.
    fn made_room(&mut self, before: usize) -> Wake {
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
                self.pages = VecDeque::new();
                (self.paged, self.lent) = (0, 0);
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
            (End::Reader, Side::Open, _) if !self.is_empty() => POLL_IN,
            // It would not wait: it would be told that nobody reads.
            (End::Writer, _, Side::Closed) => POLL_OUT | POLL_ERR,
            (End::Writer, _, Side::Open) if self.room() >= PIPE_BUF => POLL_OUT,
            (End::Reader | End::Writer, _, _) => 0,
        }
    }
}

impl<P> fmt::Debug for Pipe<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .field("reader", &self.reader)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
