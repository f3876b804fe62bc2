//! The kernel's log: a ring of text records, read in order by a cursor that survives overwriting.

use alloc::{collections::VecDeque, string::String};
use core::fmt::{self, Write as _};

use arrayvec::ArrayVec;
use swos_abi::{LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARNING, LogStats};
use swos_units::Instant;

/// How much a record matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// For developers.
    Debug,
    /// Normal events.
    Info,
    /// Works, but somebody should look.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// The level that a program named by number.
    pub(crate) const fn from_number(number: u32) -> Option<Self> {
        match number {
            LOG_DEBUG => Some(Self::Debug),
            LOG_INFO => Some(Self::Info),
            LOG_WARNING => Some(Self::Warning),
            LOG_ERROR => Some(Self::Error),
            _ => None,
        }
    }

    /// The number by which programs name it, in one byte.
    #[expect(clippy::cast_possible_truncation, reason = "all are below ten")]
    const fn number(self) -> u8 {
        match self {
            Self::Debug => LOG_DEBUG as u8,
            Self::Info => LOG_INFO as u8,
            Self::Warning => LOG_WARNING as u8,
            Self::Error => LOG_ERROR as u8,
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Debug => 'D',
            Self::Info => 'I',
            Self::Warning => 'W',
            Self::Error => 'E',
        }
    }
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    at: Instant,
    level: Level,
    source: &'a str,
    text: &'a str,
}

/// What stands before the texts of a record in the ring.
#[derive(Clone, Copy, Debug)]
struct Head {
    at: u64,
    level: Level,
    source_len: u8,
    text_len: u16,
}

impl Head {
    const BYTES: usize = 12;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = self.at.to_le_bytes().into_iter();
        let fields = fields.chain([self.level.number(), self.source_len]).chain(self.text_len.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, level, source_len, low, high] = bytes;
        Self {
            at: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            level: match Level::from_number(level as u32) {
                Some(level) => level,
                None => Level::Error,
            },
            source_len,
            text_len: u16::from_le_bytes([low, high]),
        }
    }

    const fn total(self) -> usize {
        Self::BYTES + self.source_len as usize + self.text_len as usize
    }
}

/// The ring. All its memory is taken at once, so that a chatty program can't take more, and none comes or goes later.
#[derive(Debug)]
pub(crate) struct Log {
    ring: VecDeque<u8>,
    capacity: usize,
    written: u64,
    available: u64,
    /// Bytes that made room so far.
    dropped: u64,
    /// Where the last reader stopped: the record, and its place counted from the first byte ever written.
    mark: (u64, u64),
}

/// Longest text of one record; longer ones are cut at a character.
pub(crate) const TEXT_MAX: usize = 512;
/// Longest source.
const SOURCE_MAX: usize = 32;

impl Log {
    /// A log of so many bytes; `None` = no memory.
    pub(crate) fn new(capacity: usize) -> Option<Self> {
        let mut ring = VecDeque::new();
        ring.try_reserve_exact(capacity).ok()?;
        Some(Self { ring, capacity, written: 0, available: 0, dropped: 0, mark: (0, 0) })
    }

    /// Adds a record; the oldest make room.
    pub(crate) fn write(&mut self, at: Instant, level: Level, source: &str, text: &str) {
        let (source, text) = (cut(source, SOURCE_MAX), cut(text, TEXT_MAX));
        let clean = !text.contains(char::is_control);
        let text_len =
            if clean { text.len() } else { text.chars().map(|c| printable(c).len_utf8()).sum::<usize>() };
        let head = Head {
            at: at.as_nanos(),
            level,
            source_len: u8::try_from(source.len()).unwrap_or(0),
            text_len: u16::try_from(text_len).unwrap_or(0),
        };
        while self.ring.len() + head.total() > self.capacity {
            let Some(oldest) = self.head(0) else { return };
            self.ring.drain(..oldest.total());
            self.dropped += oldest.total() as u64;
            self.available -= 1;
        }
        self.ring.extend(&head.to_bytes());
        self.ring.extend(source.as_bytes());
        if clean {
            self.ring.extend(text.as_bytes());
        } else {
            for c in text.chars().map(printable) {
                self.ring.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        self.written += 1;
        self.available += 1;
    }

    /// Writes whole records from number `cursor` on as lines, as many as `room` bytes hold; returns the next cursor.
    pub(crate) fn read(&mut self, cursor: u64, room: usize, out: &mut String) -> u64 {
        let first = self.written - self.available;
        let mut next = cursor.max(first).min(self.written);
        let (mut number, mut at) = (first, 0);
        if self.mark.0 >= first && self.mark.0 <= next {
            (number, at) = (self.mark.0, usize::try_from(self.mark.1 - self.dropped).unwrap_or(0));
        }
        while number < next
            && let Some(head) = self.head(at)
        {
            at += head.total();
            number += 1;
        }
        while let Some(head) = self.head(at) {
            let before = out.len();
            let mut source = ArrayVec::<u8, SOURCE_MAX>::new();
            let mut text = ArrayVec::<u8, TEXT_MAX>::new();
            let middle = at + Head::BYTES + usize::from(head.source_len);
            source.extend(self.ring.range(at + Head::BYTES..middle).copied());
            text.extend(self.ring.range(middle..at + head.total()).copied());
            let record = Record {
                at: Instant::from_nanos(head.at),
                level: head.level,
                source: core::str::from_utf8(&source).unwrap_or("?"),
                text: core::str::from_utf8(&text).unwrap_or("?"),
            };
            if writeln!(out, "{record}").is_err() || out.len() > room {
                out.truncate(before);
                break;
            }
            at += head.total();
            next += 1;
        }
        self.mark = (next, self.dropped + at as u64);
        next
    }

    pub(crate) const fn stats(&self) -> LogStats {
        LogStats {
            capacity: self.capacity as u64,
            available: self.available,
            written: self.written,
            overwritten: self.written - self.available,
        }
    }

    /// The head of the record at this place of the ring.
    fn head(&self, at: usize) -> Option<Head> {
        if at + Head::BYTES > self.ring.len() {
            return None;
        }
        let mut bytes = [0; Head::BYTES];
        bytes.iter_mut().zip(self.ring.range(at..)).for_each(|(to, from)| *to = *from);
        Some(Head::from_bytes(bytes))
    }
}

/// The beginning of a text, as many whole characters as fit.
fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(text.len().min(max))).unwrap_or("")
}

/// Control characters in a text from a program must not steer the operator's terminal.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.at.as_nanos() / 1_000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        write!(f, "[{seconds:5}.{micros:06}] [{}] {}: {}", self.level.letter(), self.source, self.text)
    }
}

/// The line for the console of a record that was just made.
pub(crate) fn console_line(at: Instant, level: Level, source: &str, text: &str) -> String {
    let text: String = cut(text, TEXT_MAX).chars().map(printable).collect();
    let mut line = String::new();
    let record = Record { at, level, source: cut(source, SOURCE_MAX), text: &text };
    // Writing to a string does not fail.
    let _ = writeln!(line, "{record}");
    line
}

#[cfg(test)]
mod tests;
