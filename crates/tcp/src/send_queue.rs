//! Where the octets to send wait: outside the machine, which decides only about ranges of them.

use alloc::collections::VecDeque;

use swos_wire::{Sum, checksum};

/// Octets that were queued and are not yet acknowledged. Offset 0 is the oldest of them.
///
/// The machine asks for the length and reports what was acknowledged; whoever emits a [`Transmit`]
/// copies the range it names. So a queue may hold owned octets as well as shared immutable pages,
/// and every transmission, also a repeated one, copies and sums the payload exactly once.
///
/// [`Transmit`]: crate::Transmit
pub trait SendQueue {
    /// Octets in the queue. Constant time.
    fn len(&self) -> usize;

    /// Copies `into.len()` octets from `offset` and returns their checksum sum.
    fn copy_checksum(&self, offset: usize, into: &mut [u8]) -> Sum;

    /// Drops the first `octets` octets, which the peer acknowledged.
    fn release(&mut self, octets: usize);

    /// Whether the queue is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A queue of owned octets.
#[derive(Clone, Debug, Default)]
pub struct ByteQueue {
    octets: VecDeque<u8>,
}

impl ByteQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { octets: VecDeque::new() }
    }

    /// Appends `data`.
    pub fn push(&mut self, data: &[u8]) {
        self.octets.extend(data);
    }
}

impl SendQueue for ByteQueue {
    fn len(&self) -> usize {
        self.octets.len()
    }

    fn copy_checksum(&self, offset: usize, into: &mut [u8]) -> Sum {
        let (first, second) = self.octets.as_slices();
        let head = first.get(offset..).unwrap_or(&[]);
        let tail = second.get(offset.saturating_sub(first.len())..).unwrap_or(&[]);
        let split = head.len().min(into.len());
        let (a, b) = into.split_at_mut(split);
        let sum = checksum::copy(a, head);
        sum.add_at(split, checksum::copy(b, tail))
    }

    fn release(&mut self, octets: usize) {
        self.octets.drain(..octets.min(self.octets.len()));
    }
}

#[cfg(test)]
mod tests;
