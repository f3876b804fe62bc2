//! The kernel's log: a ring of text records, read in order by a cursor that survives overwriting.

use alloc::{collections::VecDeque, string::String};
use core::fmt::{self, Write as _};

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
#[derive(Clone, Debug)]
struct Record {
    at: Instant,
    level: Level,
    source: String,
    text: String,
}

/// The ring. Its size is bounded in bytes of text, so that a chatty program can't take the memory.
#[derive(Debug)]
pub(crate) struct Log {
    records: VecDeque<Record>,
    bytes: usize,
    capacity: usize,
    written: u64,
}

/// Longest text of one record; longer ones are cut at a character.
pub(crate) const TEXT_MAX: usize = 512;

impl Log {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { records: VecDeque::new(), bytes: 0, capacity, written: 0 }
    }

    /// Adds a record; the oldest make room.
    pub(crate) fn write(&mut self, at: Instant, level: Level, source: &str, text: &str) {
        let end = text.floor_char_boundary(text.len().min(TEXT_MAX));
        let text: String = text.get(..end).unwrap_or("").chars().map(printable).collect();
        self.bytes += text.len() + source.len();
        self.records.push_back(Record { at, level, source: String::from(source), text });
        self.written += 1;
        while self.bytes > self.capacity {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.text.len() + oldest.source.len();
        }
    }

    /// Writes whole records from number `cursor` on as lines, as many as `room` bytes hold; returns the next cursor.
    pub(crate) fn read(&self, cursor: u64, room: usize, out: &mut String) -> u64 {
        let first = self.written - self.records.len() as u64;
        let start = cursor.max(first).min(self.written);
        let skip = usize::try_from(start - first).unwrap_or(usize::MAX);
        let mut next = start;
        for record in self.records.iter().skip(skip) {
            let before = out.len();
            if writeln!(out, "{record}").is_err() || out.len() > room {
                out.truncate(before);
                break;
            }
            next += 1;
        }
        next
    }

    pub(crate) fn stats(&self) -> LogStats {
        let available = self.records.len() as u64;
        LogStats {
            capacity: self.capacity as u64,
            available,
            written: self.written,
            overwritten: self.written - available,
        }
    }
}

/// Control characters in a text from a program must not steer the operator's terminal.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.at.as_nanos() / 1_000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        write!(f, "[{seconds:5}.{micros:06}] [{}] {}: {}", self.level.letter(), self.source, self.text)
    }
}

/// The line for the console of a record that was just made.
pub(crate) fn console_line(at: Instant, level: Level, source: &str, text: &str) -> String {
    let mut log = Log::new(usize::MAX);
    let mut line = String::new();
    log.write(at, level, source, text);
    log.read(0, usize::MAX, &mut line);
    line
}

#[cfg(test)]
mod tests;
