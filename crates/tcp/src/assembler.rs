//! Which octets beyond the next expected one have arrived.

use alloc::vec::Vec;

use swos_wire::SeqNumber;

/// A range of octets received out of order.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: SeqNumber,
    end: SeqNumber,
}

/// Disjoint, non-adjacent ranges in ascending order, all beyond the next expected octet.
///
/// **Invariant:** at most the number of ranges that [`Assembler::insert`] is given; work per call is
/// linear in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assembler {
    ranges: Vec<Range>,
}

/// The new range needs one more slot than there may be, or than memory gives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Full;

impl Assembler {
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
        let mut merged = Range { start, end };
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
