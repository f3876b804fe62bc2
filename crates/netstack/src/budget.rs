//! The receive budget: what all connections together may hold for their readers.

use crate::device::PageRef;
use crate::socket::{Socket, Stream};
use crate::stack::Stack;

impl<P: PageRef> Stack<P> {
    /// Whether a connection may take a segment with data. Over the budget only those whose buffer is empty may:
    /// they take one, so that each makes progress, and everybody else's data is as good as lost on the way.
    pub(crate) fn admits(&self, index: u32) -> bool {
        if self.scarce {
            return false;
        }
        self.received < self.limits.receive_memory
            || matches!(self.sockets.get(index), Some(Socket::Stream(stream)) if stream.connection.memory_bytes() == 0)
    }

    /// Counts what a connection holds now. After everything that adds to its receive buffer or takes from it.
    #[inline]
    pub(crate) fn recount(&mut self, index: u32) {
        if let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) {
            stream.recount(&mut self.received);
        }
    }
}

impl Stream {
    /// Replaces what it counts for in `received` by what it holds now.
    #[inline]
    pub(crate) fn recount(&mut self, received: &mut usize) {
        let held = self.connection.memory_bytes();
        *received = (*received - self.held) + held;
        self.held = held;
    }
}
