//! Runs of pages.

use swos_units::{Page, VirtAddr, page_count};

/// Consecutive pages, `start..end`; may be empty, never wraps.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PageRange {
    start: u64,
    end: u64,
}

impl PageRange {
    /// The pages from `start` up to but not including `end`; `None` if `end` is before `start`.
    #[must_use]
    pub const fn new(start: Page, end: Page) -> Option<Self> {
        if start.number() <= end.number() {
            Some(Self { start: start.number(), end: end.number() })
        } else {
            None
        }
    }

    /// `count` pages from `start`; `None` if they pass the last page.
    #[must_use]
    pub const fn with_len(start: Page, count: u64) -> Option<Self> {
        match start.checked_add(count) {
            Some(end) => Self::new(start, end),
            None => None,
        }
    }

    /// The pages that `bytes` bytes from `start` touch; `None` if `start` is not page-aligned or the end wraps.
    #[must_use]
    pub const fn of_bytes(start: VirtAddr, bytes: u64) -> Option<Self> {
        if !start.is_page_aligned() {
            return None;
        }
        Self::with_len(Page::containing(start), page_count(bytes))
    }

    /// First page.
    #[must_use]
    pub fn start(self) -> Page {
        Page::from_number(self.start).unwrap_or_default()
    }

    /// The page after the last.
    #[must_use]
    pub fn end(self) -> Page {
        Page::from_number(self.end).unwrap_or_default()
    }

    /// How many pages.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.end - self.start
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `page` is one of them.
    #[must_use]
    pub const fn contains(self, page: Page) -> bool {
        self.start <= page.number() && page.number() < self.end
    }

    /// Whether every page of `other` is in `self`.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }

    /// The pages in both; `None` if there is none.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Option<Self> {
        let start = if self.start > other.start { self.start } else { other.start };
        let end = if self.end < other.end { self.end } else { other.end };
        if start < end { Some(Self { start, end }) } else { None }
    }
}
