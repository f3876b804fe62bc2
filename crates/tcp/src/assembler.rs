//! Which octets beyond the next expected one have arrived.

use alloc::vec::Vec;

use swos_wire::{SackBlocks, SeqNumber};

/// A range of octets received out of order.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: SeqNumber,
    end: SeqNumber,
    /// Order of the last change, for the most-recent-first rule of SACK.
    stamp: u32,
}

/// Disjoint, non-adjacent ranges in ascending order, all beyond the next expected octet.
///
/// **Invariant:** at most the number of ranges that [`Assembler::insert`] is given; work per call is
/// linear in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assembler {
    ranges: Vec<Range>,
    stamp: u32,
}

/// The new range needs one more slot than there may be, or than memory gives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Full;

impl Assembler {
    pub(crate) const fn new() -> Self {
        Self { ranges: Vec::new(), stamp: 0 }
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Notes `[start, end)`, which is not empty, joining it with what it touches.
    pub(crate) fn insert(&mut self, start: SeqNumber, end: SeqNumber, limit: usize) -> Result<(), Full> {
        // Ranges [first, last) overlap or touch the new one.
        let first = self.ranges.partition_point(|r| r.end.is_before(start));
        let touched =
            self.ranges.get(first..).map_or(0, |tail| tail.partition_point(|r| !r.start.is_after(end)));
        self.stamp = self.stamp.wrapping_add(1);
        let mut merged = Range { start, end, stamp: self.stamp };
        if touched == 0 {
            if self.ranges.len() >= limit || self.ranges.try_reserve(1).is_err() {
                return Err(Full);
            }
            self.ranges.insert(first, merged);
            return Ok(());
        }
        for range in self.ranges.drain(first..first + touched) {
            merged.start = merged.start.min(range.start);
            merged.end = merged.end.max(range.end);
        }
        // Room is certain: at least one range was just taken out.
        self.ranges.insert(first, merged);
        Ok(())
    }

    /// The expected octet moved on to `next`. Takes out what that reaches and returns the octet that
    /// is now the next one missing.
    pub(crate) fn advance(&mut self, next: SeqNumber) -> SeqNumber {
        let mut next = next;
        let mut reached = 0;
        for range in &self.ranges {
            if range.start.is_after(next) {
                break;
            }
            next = next.max(range.end);
            reached += 1;
        }
        self.ranges.drain(..reached);
        if self.ranges.is_empty() {
            self.clear();
        }
        next
    }

    /// The ranges for a SACK option: the newest first, then by how recently they changed.
    ///
    /// Source: RFC 2018 §4.
    pub(crate) fn sack_blocks(&self, limit: usize) -> SackBlocks {
        let mut blocks = SackBlocks::EMPTY;
        let mut youngest = None;
        let age = |range: &Range| self.stamp.wrapping_sub(range.stamp);
        for _ in 0..limit {
            let older = self.ranges.iter().filter(|range| youngest.is_none_or(|last| age(range) > last));
            let Some(range) = older.min_by_key(|range| age(range)) else { break };
            youngest = Some(age(range));
            blocks.push(range.start, range.end);
        }
        blocks
    }

    /// The ranges in ascending order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (SeqNumber, SeqNumber)> {
        self.ranges.iter().map(|range| (range.start, range.end))
    }

    /// Whether all of `[start, end)` is noted already.
    pub(crate) fn covers(&self, start: SeqNumber, end: SeqNumber) -> bool {
        self.ranges.iter().any(|range| !start.is_before(range.start) && !end.is_after(range.end))
    }

    /// Octets of memory held.
    pub(crate) const fn storage(&self) -> usize {
        self.ranges.capacity() * size_of::<Range>()
    }

    /// Forgets everything and gives the memory back.
    pub(crate) fn clear(&mut self) {
        self.ranges = Vec::new();
    }
}

#[cfg(test)]
mod tests;
