//! The ring: fixed memory, whole records, the newest that fit.

use alloc::{boxed::Box, vec::Vec};

use crate::record::{HEADER, RECORD_MAX, Record, lengths};

/// There is no memory for the ring, or it would not hold one record of the longest kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoMemory;

/// Where a ring stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Bytes of records that it holds at most.
    pub capacity: u64,
    /// Records in it.
    pub available: u64,
    /// Records ever written: the number of the next.
    pub written: u64,
    /// Records lost to newer ones.
    pub overwritten: u64,
}

/// The newest records. A record's number is how many were written before it.
#[derive(Debug)]
pub struct Ring {
    bytes: Box<[u8]>,
    /// Where the oldest begins.
    start: usize,
    used: usize,
    available: u64,
    written: u64,
    /// Where the last reader stopped: the number of a record, and where it begins. Who goes on there need not look for it.
    mark: (u64, usize),
}

impl Ring {
    /// An empty ring of `capacity` bytes.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(capacity: usize) -> Result<Self, NoMemory> {
        let mut bytes = Vec::new();
        if capacity < RECORD_MAX || bytes.try_reserve_exact(capacity).is_err() {
            return Err(NoMemory);
        }
        bytes.resize(capacity, 0);
        Ok(Self {
            bytes: bytes.into_boxed_slice(),
            start: 0,
            used: 0,
            available: 0,
            written: 0,
            mark: (0, 0),
        })
    }

    /// Adds a record; the oldest make room.
    pub fn push(&mut self, record: &Record<'_>) {
        let record = record.cut();
        let header = record.header();
        let parts = [&header, record.source.as_bytes(), record.text.as_bytes(), record.fields.as_bytes()];
        let len: usize = parts.iter().map(|part| part.len()).sum();
        while self.bytes.len() - self.used < len && self.available > 0 {
            let oldest = self.len_at(self.start);
            self.start = self.place(self.start + oldest);
            self.used -= oldest;
            self.available -= 1;
        }
        for part in parts {
            self.append(part);
        }
        self.available += 1;
        self.written += 1;
    }

    /// Shows records from number `cursor` on, the oldest there is if that is gone, as long as `each` returns true. Returns the
    /// number of the first that was not taken. Who goes on where the last reader stopped need not look for it.
    pub fn read(&mut self, cursor: u64, mut each: impl FnMut(u64, &Record<'_>) -> bool) -> u64 {
        let oldest = self.written - self.available;
        let cursor = cursor.clamp(oldest, self.written);
        let marked = self.mark.0 >= oldest && self.mark.0 <= cursor;
        let (mut number, mut at) = if marked { self.mark } else { (oldest, self.start) };
        while number < cursor {
            at = self.place(at + self.len_at(at));
            number += 1;
        }
        let mut scratch = [0; RECORD_MAX];
        while number < self.written {
            let bytes = scratch.get_mut(..self.len_at(at)).unwrap_or_default();
            self.copy(at, bytes);
            if let Some(record) = Record::stored(bytes)
                && !each(number, &record)
            {
                break;
            }
            at = self.place(at + bytes.len());
            number += 1;
        }
        self.mark = (number, at);
        number
    }

    /// Where it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            capacity: self.bytes.len() as u64,
            available: self.available,
            written: self.written,
            overwritten: self.written - self.available,
        }
    }

    /// Length of the record that begins at `at`.
    fn len_at(&self, at: usize) -> usize {
        let mut header = [0; 5];
        for (offset, byte) in header.iter_mut().enumerate() {
            *byte = self.bytes.get(self.place(at + offset)).copied().unwrap_or(0);
        }
        let (text, fields, source) = lengths(header);
        HEADER + text + fields + source
    }

    fn append(&mut self, part: &[u8]) {
        let at = self.place(self.start + self.used);
        let first = part.len().min(self.bytes.len() - at);
        let (head, tail) = part.split_at(first);
        for (from, part) in [(at, head), (0, tail)] {
            if let Some(room) = self.bytes.get_mut(from..from + part.len()) {
                room.copy_from_slice(part);
            }
        }
        self.used += part.len();
    }

    fn copy(&self, at: usize, into: &mut [u8]) {
        let first = into.len().min(self.bytes.len() - at);
        let (head, tail) = into.split_at_mut(first);
        for (from, part) in [(at, head), (0, tail)] {
            if let Some(bytes) = self.bytes.get(from..from + part.len()) {
                part.copy_from_slice(bytes);
            }
        }
    }

    fn place(&self, at: usize) -> usize {
        if at >= self.bytes.len() { at - self.bytes.len() } else { at }
    }
}
