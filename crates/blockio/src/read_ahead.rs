//! What to fetch before it is asked for.

/// Consecutive pages of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// How many, at least 1.
    pub count: u32,
}

/// Read-ahead of one open file: watches where it is read, and doubles the window while it is read in order.
///
/// One access out of order closes the window; the next two in order open it again. The next window is asked for when the
/// reader enters the last one, so that the disk works while the reader does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReadAhead {
    /// The page that a sequential reader asks for next.
    expected: u64,
    /// First page of the last window that was asked for.
    window_first: u64,
    /// End of what was asked for.
    window_end: u64,
    /// Pages in the next window; 0 = closed.
    window: u32,
    max: u32,
}

/// First window of a reader who starts at the beginning or goes on in order.
const WINDOW_MIN: u32 = 4;

impl ReadAhead {
    /// With windows of at most `max` pages; 0 switches it off.
    #[must_use]
    pub const fn new(max: u32) -> Self {
        Self { expected: 0, window_first: 0, window_end: 0, window: 0, max }
    }

    /// The pages `first..first + count` are being read, of a file with `pages` pages. Returns what to fetch beyond them.
    pub fn on_read(&mut self, first: u64, count: u32, pages: u64) -> Option<Range> {
        let end = first.saturating_add(u64::from(count)).min(pages);
        // A reader that goes on within the page where it stopped is in order too.
        let in_order = first == self.expected || first.checked_add(1) == Some(self.expected);
        self.expected = end;
        if !in_order {
            self.window = 0;
            self.window_first = end;
            self.window_end = end;
            return None;
        }
        if self.max == 0 || (self.window_end > end && end <= self.window_first) {
            return None;
        }
        self.window = if self.window == 0 { WINDOW_MIN } else { self.window.saturating_mul(2) }.min(self.max);
        let start = self.window_end.max(end);
        let until = start.saturating_add(u64::from(self.window)).min(pages);
        let count = u32::try_from(until.checked_sub(start)?).ok().filter(|&count| count > 0)?;
        self.window_first = start;
        self.window_end = until;
        Some(Range { first: start, count })
    }
}

#[cfg(test)]
mod tests;
