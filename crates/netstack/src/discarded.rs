//! Connections that nobody accepted before their listener closed: reset a few at a time.

use crate::device::PageRef;
use crate::slab::Slab;
use crate::socket::Socket;
use crate::stack::Stack;

/// Ends the list.
const NONE: u32 = u32::MAX;
/// How many are reset in one call of [`Stack::poll`]: as many as it can send in the same call, also to ourselves.
const DISCARDED_AT_ONCE: usize = 8;

/// The accept queues of listeners that are closed, one behind the other, linked as they were.
#[derive(Debug)]
pub(crate) struct Discarded {
    first: u32,
    last: u32,
}

impl Discarded {
    pub(crate) const fn new() -> Self {
        Self { first: NONE, last: NONE }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Takes a whole queue over, in constant time.
    pub(crate) fn append(&mut self, sockets: &mut Slab<Socket>, first: u32, last: u32) {
        if first == NONE {
            return;
        }
        match sockets.get_mut(self.last) {
            Some(Socket::Stream(before)) => before.next_accepted = first,
            _ => self.first = first,
        }
        self.last = last;
    }
}

impl<P: PageRef> Stack<P> {
    /// Resets some of those that nobody can accept any more, and returns what that counts in segments sent. Until their turn
    /// comes they are connections like others, only without a reader.
    pub(crate) fn discard_some(&mut self) -> usize {
        let mut spent = 0;
        while spent < DISCARDED_AT_ONCE
            && let index = self.discarded.first
            && let Some(Socket::Stream(stream)) = self.sockets.get_mut(index)
        {
            self.discarded.first = stream.next_accepted;
            if self.discarded.first == NONE {
                self.discarded.last = NONE;
            }
            stream.connection.abort();
            spent += 1;
            self.abandon(index);
        }
        spent
    }
}
