//! Received octets waiting for their reader, stored where they belong even when they come early.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Octets in one piece of storage. Large enough for a full Ethernet segment, small enough that a lone
/// octet far ahead costs little.
const CHUNK: usize = 2048;

/// Storage in pieces that come when octets do and go when they were read.
///
/// Positions count from the first unread octet. Octets before `ready` are in order; writes beyond
/// that leave a gap, whose bookkeeping is the assembler's.
///
/// **Invariant:** a chunk is never longer than [`CHUNK`]; one that nothing was written to has no
/// storage; an empty buffer has none at all.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    /// The first chunk stands apart: most connections never need a second.
    first: Vec<u8>,
    rest: VecDeque<Vec<u8>>,
    /// Where the first unread octet is in the first chunk.
    head: usize,
    ready: usize,
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
        let mut at = self.head + self.ready + offset;
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
            reserve(chunk, start + now.len())?;
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
        let end = (self.head + self.ready).min(CHUNK);
        self.first.get(self.head..end).unwrap_or(&[])
    }

    /// Copies octets in order to `into` from `offset` on, and returns how many.
    pub(crate) fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        let total = into.len().min(self.ready.saturating_sub(offset));
        let mut at = self.head + offset;
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
        self.head += octets;
        while self.head >= CHUNK {
            self.head -= CHUNK;
            self.first = self.rest.pop_front().unwrap_or_default();
        }
        octets
    }

    /// Nothing lies out of order: with nothing unread either, all storage can go.
    pub(crate) fn settle(&mut self) {
        if self.ready == 0 {
            self.head = 0;
            self.first = Vec::new();
            self.rest = VecDeque::new();
        }
    }

    /// Octets of storage held.
    pub(crate) fn storage(&self) -> usize {
        let rest: usize = self.rest.iter().map(Vec::capacity).sum();
        self.first.capacity() + rest + self.rest.capacity() * size_of::<Vec<u8>>()
    }

    fn chunk(&self, index: usize) -> Option<&Vec<u8>> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.rest.get(index),
        }
    }
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
