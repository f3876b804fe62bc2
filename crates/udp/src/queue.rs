//! Datagrams that wait for their reader.

use alloc::collections::VecDeque;
use core::net::SocketAddrV4;

/// A queue that had to grow beyond this gives its memory back when it is empty.
const KEEP_BYTES: usize = 4096;

/// What a queue may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of data.
    pub bytes: usize,
    /// Datagrams; empty ones count too.
    pub datagrams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 128 << 10, datagrams: 256 }
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// It waits for the reader.
    Queued,
    /// There was no room, or no memory.
    Dropped,
}

/// A datagram that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received {
    /// Its length; more than the buffer if it was cut.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddrV4,
}

/// Datagrams in order of arrival, their bytes in one ring.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    bytes: VecDeque<u8>,
    heads: VecDeque<Received>,
}

impl Queue {
    /// An empty queue, which holds no memory.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, bytes: VecDeque::new(), heads: VecDeque::new() }
    }

    /// Changes how much may wait; what waits already stays.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How much may wait.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes a datagram from `from`.
    pub fn push(&mut self, from: SocketAddrV4, data: &[u8]) -> Arrival {
        let fits = self.bytes.len() + data.len() <= self.limits.bytes;
        if !fits || self.heads.len() >= self.limits.datagrams {
            return Arrival::Dropped;
        }
        if self.bytes.try_reserve(data.len()).is_err() || self.heads.try_reserve(1).is_err() {
            return Arrival::Dropped;
        }
        self.bytes.extend(data);
        self.heads.push_back(Received { len: data.len(), from });
        Arrival::Queued
    }

    /// The oldest datagram, without taking it.
    #[must_use]
    pub fn front(&self) -> Option<Received> {
        self.heads.front().copied()
    }

    /// The bytes of the oldest datagram, in one piece or two, without taking it.
    #[must_use]
    pub fn front_bytes(&self) -> [&[u8]; 2] {
        let len = self.heads.front().map_or(0, |head| head.len);
        let (first, second) = self.bytes.as_slices();
        let from_first = len.min(first.len());
        [&first[..from_first], &second[..len - from_first]]
    }

    /// Drops the oldest datagram.
    pub fn drop_front(&mut self) -> Option<Received> {
        let head = self.heads.pop_front()?;
        self.bytes.drain(..head.len);
        if self.heads.is_empty() && self.bytes.capacity() > KEEP_BYTES {
            *self = Self::new(self.limits);
        }
        Some(head)
    }

    /// Moves the oldest datagram into `out`; what does not fit is lost.
    pub fn pop(&mut self, out: &mut [u8]) -> Option<Received> {
        let [first, second] = self.front_bytes();
        let from_first = out.len().min(first.len());
        let (begin, rest) = out.split_at_mut(from_first);
        begin.copy_from_slice(&first[..from_first]);
        let from_second = rest.len().min(second.len());
        rest[..from_second].copy_from_slice(&second[..from_second]);
        self.drop_front()
    }

    /// Datagrams waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Heap bytes held.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.heads.capacity() * size_of::<Received>()
    }
}

#[cfg(test)]
mod tests;
