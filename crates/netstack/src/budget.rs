//! The receive budget: what all connections together may hold for their readers.

use crate::device::PageRef;
use crate::socket::Socket;
use crate::stack::Stack;

/// A segment that leaves a gap occupies a piece of storage of this size, however short it is.
const PIECE: usize = 2048;

impl<P: PageRef> Stack<P> {
    /// Whether a connection may take a segment with data. Over the budget only those whose buffer is empty may:
    /// they take one, so that each makes progress, and everybody else's data is as good as lost on the way.
    pub(crate) fn admits(&mut self, index: u32) -> bool {
        if self.received < self.limits.receive_memory {
            return true;
        }
        self.recount(index);
        match self.sockets.get(index) {
            Some(Socket::Stream(stream)) => stream.held == 0 || self.received < self.limits.receive_memory,
            _ => false,
        }
    }

    /// Counts a segment with `len` bytes of data, of which `ordered` went into order.
    pub(crate) fn charge(&mut self, index: u32, len: usize, ordered: usize) {
        if let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) {
            // Exact counting would walk the buffer for each segment.
            let bytes = if ordered >= len { len } else { len.max(PIECE) };
            stream.held += bytes;
            self.received += bytes;
        }
    }

    /// Replaces what was counted for a connection by what it holds.
    pub(crate) fn recount(&mut self, index: u32) {
        if let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) {
            let held = stream.connection.memory_bytes();
            self.received = (self.received - stream.held) + held;
            stream.held = held;
        }
    }

    /// Takes note that the reader took bytes away.
    pub(crate) fn consumed(&mut self, index: u32) {
        if let Some(Socket::Stream(stream)) = self.sockets.get(index)
            && stream.held > 0
            && stream.connection.readable() < PIECE
        {
            self.recount(index);
        }
    }
}
