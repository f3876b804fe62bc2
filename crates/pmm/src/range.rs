//! Runs of frames.

use swos_units::{Frame, PhysAddr, page_count};

/// A run of consecutive frames, never empty, wholly inside the physical address space.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameRange {
    start: u64,
    end: u64,
}

impl FrameRange {
    /// The `count` frames from `start`; `None` if there is none or they pass the physical address space.
    #[must_use]
    pub const fn new(start: Frame, count: u64) -> Option<Self> {
        if count == 0 {
            return None;
        }
        match start.number().checked_add(count) {
            Some(end) if end <= PhysAddr::LIMIT >> swos_units::PAGE_SHIFT => {
                Some(Self { start: start.number(), end })
            }
            _ => None,
        }
    }

    /// The frames wholly inside `bytes` bytes from `start`: what RAM of that extent offers.
    #[must_use]
    pub const fn inside(start: PhysAddr, bytes: u64) -> Option<Self> {
        let Some(end) = start.get().checked_add(bytes) else { return None };
        let first = page_count(start.get());
        let end = end >> swos_units::PAGE_SHIFT;
        match Frame::from_number(first) {
            Some(frame) if first < end => Self::new(frame, end - first),
            _ => None,
        }
    }

    /// The frames that `bytes` bytes from `start` touch: what a reservation of that extent takes away.
    #[must_use]
    pub const fn covering(start: PhysAddr, bytes: u64) -> Option<Self> {
        let Some(end) = start.get().checked_add(bytes) else { return None };
        let first = Frame::containing(start);
        if bytes == 0 { None } else { Self::new(first, page_count(end) - first.number()) }
    }

    /// Its first frame.
    #[must_use]
    pub fn first(self) -> Frame {
        Frame::from_number(self.start).unwrap_or_default()
    }

    /// How many frames, at least one.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.end - self.start
    }

    /// Whether `frame` is one of them.
    #[must_use]
    pub const fn contains(self, frame: Frame) -> bool {
        self.start <= frame.number() && frame.number() < self.end
    }

    /// Whether any frame is in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Number of the first frame.
    pub(crate) const fn start(self) -> u64 {
        self.start
    }

    /// Number of the frame after the last.
    pub(crate) const fn end(self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests;
