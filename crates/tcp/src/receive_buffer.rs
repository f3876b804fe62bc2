//! Received octets waiting for their reader, stored where they belong even when they come early.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::isn::low_word;

/// Octets in one piece of storage. Large enough for a full Ethernet segment, small enough that a lone
/// octet far ahead costs little.
const CHUNK: usize = 2048;
/// Chunks that nobody wrote in order or will read, given back in one step.
const SHED_AT_ONCE: usize = 16;

/// Storage in pieces that come when octets do and go when they were read.
///
/// Positions count from the first unread octet. Octets before `ready` are in order; writes beyond
/// that leave a gap, whose bookkeeping is the assembler's.
///
/// **Invariant:** a chunk is never longer than [`CHUNK`]; one that nothing was written to has no
/// storage; an empty buffer has none at all, once it has [`shed`](Self::shed) what came out of order for nothing.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    /// The first chunk stands apart: most connections never need a second.
    first: Vec<u8>,
    rest: VecDeque<Vec<u8>>,
    ready: usize,
    /// Where the first unread octet is in the first chunk.
    head: u32,
    /// Octets that all chunks have room for.
    room: u32,
}

/// There is no memory for the octets; they are as good as lost on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct OutOfMemory;

impl ReceiveBuffer {
    /// Octets in order that wait for the reader.
    pub(crate) const fn ready(&self) -> usize {
        self.ready
    }

    /// Stores `data` at `offset` octets after the last one in order.
    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), OutOfMemory> {
        let mut at = self.head as usize + self.ready + offset;
        let last = at + data.len();
        while (1 + self.rest.len()) * CHUNK < last {
            // A place without storage: a lone octet far ahead must not cost all that lies before it.
            self.rest.try_reserve(1).map_err(|_| OutOfMemory)?;
            self.rest.push_back(Vec::new());
        }
        let mut rest = data;
        while !rest.is_empty() {
            let (index, start) = (at / CHUNK, at % CHUNK);
            let (now, later) = rest.split_at(rest.len().min(CHUNK - start));
            let chunk = match index.checked_sub(1) {
                None => &mut self.first,
                Some(index) => self.rest.get_mut(index).ok_or(OutOfMemory)?,
            };
            let before = room_of(chunk);
            reserve(chunk, start + now.len())?;
            self.room += room_of(chunk) - before;
            put(chunk, start, now);
            at += now.len();
            rest = later;
        }
        Ok(())
    }

    /// `octets` more are in order now: they were written before.
    pub(crate) const fn commit(&mut self, octets: usize) {
        self.ready += octets;
    }

    /// The first contiguous piece of what is in order; empty only if nothing is.
    pub(crate) fn peek(&self) -> &[u8] {
        let head = self.head as usize;
        self.first.get(head..(head + self.ready).min(CHUNK)).unwrap_or(&[])
    }

    /// Copies octets in order to `into` from `offset` on, and returns how many.
    pub(crate) fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        let total = into.len().min(self.ready.saturating_sub(offset));
        let mut at = self.head as usize + offset;
        let mut done = 0;
        while done < total {
            let (index, start) = (at / CHUNK, at % CHUNK);
            let n = (total - done).min(CHUNK - start);
            let from = self.chunk(index).and_then(|chunk| chunk.get(start..start + n));
            let to = into.get_mut(done..done + n);
            let (Some(from), Some(to)) = (from, to) else { break };
            to.copy_from_slice(from);
            at += n;
            done += n;
        }
        done
    }

    /// Takes the first `octets` away (at most what is in order) and returns how many it were.
    pub(crate) fn consume(&mut self, octets: usize) -> usize {
        let octets = octets.min(self.ready);
        self.ready -= octets;
        let mut head = self.head as usize + octets;
        while head >= CHUNK {
            head -= CHUNK;
            self.room -= room_of(&self.first);
            self.first = self.rest.pop_front().unwrap_or_default();
        }
        self.head = low_word(head as u64);
        octets
    }

    /// Nothing lies out of order: with nothing unread either, all storage can go, though not of any size at once.
    pub(crate) fn settle(&mut self) {
        if self.ready == 0 {
            self.shed(SHED_AT_ONCE);
        }
    }

    /// Drops what is in order and what came early, but frees only `chunks` of it; whether storage is left.
    pub(crate) fn shed(&mut self, chunks: usize) -> bool {
        (self.head, self.ready) = (0, 0);
        for _ in 0..chunks {
            let Some(chunk) = self.rest.pop_back() else {
                *self = Self::default();
                return false;
            };
            self.room -= room_of(&chunk);
        }
        true
    }

    /// Octets of storage held. Constant time.
    pub(crate) fn storage(&self) -> usize {
        self.room as usize + self.rest.capacity() * size_of::<Vec<u8>>()
    }

    fn chunk(&self, index: usize) -> Option<&Vec<u8>> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.rest.get(index),
        }
    }
}

/// Octets that a chunk has room for.
fn room_of(chunk: &Vec<u8>) -> u32 {
    low_word(chunk.capacity() as u64)
}

/// Makes room for `octets` in a chunk. A short request gets a small chunk; more goes to full size.
fn reserve(chunk: &mut Vec<u8>, octets: usize) -> Result<(), OutOfMemory> {
    const SMALL: usize = CHUNK / 4;
    if octets <= chunk.capacity() {
        return Ok(());
    }
    let size = if octets <= SMALL && chunk.capacity() == 0 { SMALL } else { CHUNK };
    chunk.try_reserve_exact(size - chunk.len()).map_err(|_| OutOfMemory)
}

/// Writes within a chunk. In order it is an append; zeros are written only under a gap.
fn put(chunk: &mut Vec<u8>, start: usize, data: &[u8]) {
    if chunk.len() < start {
        chunk.resize(start, 0);
    }
    let over = data.len().min(chunk.len() - start);
    let (replace, append) = data.split_at(over);
    if let Some(old) = chunk.get_mut(start..start + over) {
        old.copy_from_slice(replace);
    }
    chunk.extend_from_slice(append);
}

#[cfg(test)]
mod tests;
