//! What waits to be sent: owned bytes and slices of shared pages, in one order.
//!
//! All queues take their pieces from one pool, so an idle connection holds none, and a busy stack
//! allocates nothing once the pool has grown to its load.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use swos_tcp::SendQueue;
use swos_wire::{Sum, checksum};

use crate::device::PageRef;
use crate::link::zeros;

/// Owned bytes come in pieces of this size: an HTTP head with room for a small body behind it.
pub(crate) const CHUNK: usize = 2048;
/// Free chunks that are kept.
const KEPT: usize = 64;
/// Pieces that are freed together with what they belong to; those beyond are freed by [`Pool::sweep`].
const FREED_AT_ONCE: usize = 16;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Content<P> {
    Vacant,
    Owned(Box<[u8; CHUNK]>),
    Page(P),
}

#[derive(Debug)]
struct Piece<P> {
    next: u32,
    start: u32,
    end: u32,
    content: Content<P>,
}

/// All pieces of a stack.
#[derive(Debug)]
pub(crate) struct Pool<P> {
    pieces: Vec<Piece<P>>,
    vacant: u32,
    /// Pieces that nobody wants any more and that are still to be freed.
    waste: u32,
    in_use: usize,
    owned: usize,
    #[expect(clippy::vec_box, reason = "the boxes come from pieces and go back to them")]
    spare: Vec<Box<[u8; CHUNK]>>,
}

/// One connection's queue: head, tail and length; the rest is in the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    head: u32,
    tail: u32,
    /// Bytes of the head piece that are released already are not in its range any more.
    len: usize,
    /// Where the last copy ended: the piece, and the queue offset of its first byte.
    cursor: (u32, usize),
}

impl Queue {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE, len: 0, cursor: (NONE, 0) };

    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

impl<P: PageRef> Pool<P> {
    pub(crate) const fn new() -> Self {
        Self { pieces: Vec::new(), vacant: NONE, waste: NONE, in_use: 0, owned: 0, spare: Vec::new() }
    }

    /// Appends as many of `bytes` as `chunks` (new chunks that may be taken) and memory allow; returns how many.
    pub(crate) fn push_bytes(&mut self, queue: &mut Queue, bytes: &[u8], mut chunks: usize) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(tail) = self.pieces.get_mut(queue.tail as usize)
                && let Content::Owned(chunk) = &mut tail.content
                && let Some(room) = chunk.get_mut(tail.end as usize..)
                && !room.is_empty()
            {
                let taken = room.len().min(rest.len());
                let (now, later) = rest.split_at(taken);
                room[..taken].copy_from_slice(now);
                tail.end += small(taken);
                queue.len += taken;
                rest = later;
                continue;
            }
            if chunks == 0 {
                break;
            }
            chunks -= 1;
            let Some(chunk) = self.spare.pop().or_else(fresh_chunk) else { break };
            if !self.append(queue, Content::Owned(chunk), 0..0) {
                break;
            }
            self.owned += 1;
        }
        bytes.len() - rest.len()
    }

    /// Appends a slice of a page; the range lies within it. Returns how many bytes: none if there is no memory for it.
    pub(crate) fn push_page(&mut self, queue: &mut Queue, page: P, range: Range<usize>) -> usize {
        let length = range.len();
        if !self.append(queue, Content::Page(page), small(range.start)..small(range.end)) {
            return 0;
        }
        queue.len += length;
        length
    }

    /// Whether there was memory for it.
    fn append(&mut self, queue: &mut Queue, content: Content<P>, range: Range<u32>) -> bool {
        let piece = Piece { next: NONE, start: range.start, end: range.end, content };
        let index = if let Some(place) = self.pieces.get_mut(self.vacant as usize) {
            let index = core::mem::replace(&mut self.vacant, place.next);
            *place = piece;
            index
        } else {
            if self.pieces.try_reserve(1).is_err() {
                return false;
            }
            self.pieces.push(piece);
            small(self.pieces.len() - 1)
        };
        self.in_use += 1;
        match self.pieces.get_mut(queue.tail as usize) {
            Some(tail) => tail.next = index,
            None => queue.head = index,
        }
        queue.tail = index;
        true
    }

    /// Drops everything in a queue, of any length.
    pub(crate) fn clear(&mut self, queue: &mut Queue) {
        for _ in 0..FREED_AT_ONCE {
            let Some(index) = self.take_head(queue) else { break };
            self.free(index);
        }
        if let Some(tail) = self.pieces.get_mut(queue.tail as usize) {
            tail.next = core::mem::replace(&mut self.waste, queue.head);
        }
        *queue = Queue::EMPTY;
    }

    /// Frees up to `count` pieces that were left to be freed; returns how many.
    pub(crate) fn sweep(&mut self, count: usize) -> usize {
        let mut freed = 0;
        while freed < count
            && let Some(piece) = self.pieces.get(self.waste as usize)
        {
            let index = core::mem::replace(&mut self.waste, piece.next);
            self.free(index);
            freed += 1;
        }
        freed
    }

    /// Whether pieces are left for [`Self::sweep`].
    pub(crate) const fn has_waste(&self) -> bool {
        self.waste != NONE
    }

    fn release(&mut self, queue: &mut Queue, octets: usize) {
        let mut left = octets.min(queue.len);
        queue.len -= left;
        queue.cursor = match queue.cursor {
            (piece, offset) if offset >= left => (piece, offset - left),
            _ => (NONE, 0),
        };
        let mut freed = 0;
        while left > 0 {
            let Some(head) = self.pieces.get_mut(queue.head as usize) else { return };
            let have = (head.end - head.start) as usize;
            if left < have {
                head.start += small(left);
                return;
            }
            left -= have;
            let Some(index) = self.take_head(queue) else { return };
            if freed < FREED_AT_ONCE {
                self.free(index);
                freed += 1;
            } else if let Some(piece) = self.pieces.get_mut(index as usize) {
                piece.next = core::mem::replace(&mut self.waste, index);
            }
        }
    }

    /// Takes the first piece out of a queue.
    #[inline]
    fn take_head(&self, queue: &mut Queue) -> Option<u32> {
        let index = queue.head;
        queue.head = self.pieces.get(index as usize)?.next;
        if queue.head == NONE {
            queue.tail = NONE;
            queue.cursor = (NONE, 0);
        }
        if queue.cursor.0 == index {
            queue.cursor = (NONE, 0);
        }
        Some(index)
    }

    /// Frees a piece that is in no queue.
    #[inline]
    fn free(&mut self, index: u32) {
        let Some(piece) = self.pieces.get_mut(index as usize) else { return };
        piece.next = self.vacant;
        let content = core::mem::replace(&mut piece.content, Content::Vacant);
        self.vacant = index;
        self.in_use -= 1;
        if let Content::Owned(chunk) = content {
            self.owned -= 1;
            if self.spare.len() < KEPT && self.spare.try_reserve(1).is_ok() {
                self.spare.push(chunk);
            }
        }
    }

    fn copy(&self, queue: &Queue, offset: usize, into: &mut [u8]) -> (Sum, (u32, usize)) {
        // Segments mostly follow one another: start where the last copy ended, if that is not behind us.
        let (mut index, mut base) = match queue.cursor {
            (piece, start) if piece != NONE && start <= offset => (piece, start),
            _ => (queue.head, 0),
        };
        let mut sum = Sum::ZERO;
        let mut done = 0;
        let mut cursor = (index, base);
        while done < into.len() {
            let Some(piece) = self.pieces.get(index as usize) else { break };
            let bytes = piece.bytes();
            let skip = (offset + done) - base;
            cursor = (index, base);
            if let Some(from) = bytes.get(skip..) {
                let place = &mut into[done..];
                let copied = from.len().min(place.len());
                sum = sum.add_at(done, checksum::copy(place, from));
                done += copied;
            }
            base += bytes.len();
            index = piece.next;
        }
        (sum, cursor)
    }

    /// Chunks of owned bytes in queues.
    pub(crate) const fn owned_chunks(&self) -> usize {
        self.owned
    }

    /// Pieces in queues.
    pub(crate) const fn pieces_in_use(&self) -> usize {
        self.in_use
    }
}

impl<P: PageRef> Piece<P> {
    fn bytes(&self) -> &[u8] {
        let range = self.start as usize..self.end as usize;
        let all: &[u8] = match &self.content {
            Content::Vacant => &[],
            Content::Owned(chunk) => chunk.as_slice(),
            Content::Page(page) => page.bytes(),
        };
        all.get(range).unwrap_or_default()
    }
}

/// A queue together with its pool: what the TCP machine works on.
pub(crate) struct Borrowed<'a, P> {
    pub(crate) pool: &'a mut Pool<P>,
    pub(crate) queue: &'a mut Queue,
}

impl<P: PageRef> Borrowed<'_, P> {
    /// Copies like [`SendQueue::copy_checksum`] and remembers where it ended.
    pub(crate) fn copy_on(&mut self, offset: usize, into: &mut [u8]) -> Sum {
        let (sum, cursor) = self.pool.copy(self.queue, offset, into);
        self.queue.cursor = cursor;
        sum
    }
}

impl<P: PageRef> SendQueue for Borrowed<'_, P> {
    fn len(&self) -> usize {
        self.queue.len
    }

    fn copy_checksum(&self, offset: usize, into: &mut [u8]) -> Sum {
        self.pool.copy(self.queue, offset, into).0
    }

    fn release(&mut self, octets: usize) {
        self.pool.release(self.queue, octets);
    }
}

/// A chunk, if there is memory for it.
fn fresh_chunk() -> Option<Box<[u8; CHUNK]>> {
    zeros(CHUNK)?.try_into().ok()
}

/// Piece numbers and offsets within a page stay far below 2³².
fn small(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(NONE)
}

#[cfg(test)]
mod tests;
