//! Where the metadata of a frame lies: frame numbers to indices and back.

use swos_units::Frame;

use crate::range::FrameRange;
use crate::state::{Index, NONE};

/// Largest number of distant pieces of RAM.
pub const MAX_SPANS: usize = 8;

/// Holes up to this many frames (64 MiB) get metadata of their own, 128 KiB at most, instead of a new span.
const BRIDGED_HOLE: u64 = 1 << 14;

/// A memory map that can't be managed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MapError {
    /// No RAM at all.
    Empty,
    /// Region `index` starts before the end of the one before it.
    Unsorted {
        /// Position in the list of regions.
        index: usize,
    },
    /// More than [`MAX_SPANS`] pieces of RAM lie further than 64 MiB apart.
    TooManySpans,
    /// More than 2²⁸ - 1 frames (1 TiB).
    TooLarge,
    /// The metadata slice has fewer entries than [`Pmm::metadata_len`](crate::Pmm::metadata_len) asks for.
    MetadataTooShort {
        /// Entries needed.
        needed: usize,
    },
}

/// A stretch of physical memory with contiguous metadata.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u64,
    end: u64,
    index: u64,
}

#[derive(Debug)]
pub(crate) struct Spans {
    spans: [Span; MAX_SPANS],
    count: usize,
}

impl Spans {
    pub(crate) fn new(regions: &[FrameRange]) -> Result<Self, MapError> {
        let mut spans = Self { spans: [Span::default(); MAX_SPANS], count: 0 };
        let mut last: Option<Span> = None;
        for (index, region) in regions.iter().enumerate() {
            last = Some(match last {
                None => Span { start: region.start(), end: region.end(), index: 0 },
                Some(span) if region.start() < span.end => return Err(MapError::Unsorted { index }),
                Some(span) if region.start() - span.end <= BRIDGED_HOLE => Span { end: region.end(), ..span },
                Some(span) => {
                    spans.push(span)?;
                    Span {
                        start: region.start(),
                        end: region.end(),
                        index: span.index + (span.end - span.start),
                    }
                }
            });
        }
        spans.push(last.ok_or(MapError::Empty)?)?;
        Ok(spans)
    }

    fn push(&mut self, span: Span) -> Result<(), MapError> {
        if span.index + (span.end - span.start) > u64::from(NONE) {
            return Err(MapError::TooLarge);
        }
        *self.spans.get_mut(self.count).ok_or(MapError::TooManySpans)? = span;
        self.count += 1;
        Ok(())
    }

    /// Number of metadata entries.
    #[expect(clippy::cast_possible_truncation, reason = "below 2^28")]
    pub(crate) fn len(&self) -> usize {
        let last = self.spans[self.count - 1];
        (last.index + (last.end - last.start)) as usize
    }

    /// Index of the metadata of frame `number`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below 2^28")]
    pub(crate) fn index_of(&self, number: u64) -> Option<Index> {
        self.spans[..self.count]
            .iter()
            .find(|span| span.start <= number && number < span.end)
            .map(|span| (number - span.start + span.index) as Index)
    }

    /// The frame whose metadata is at `index`.
    #[inline]
    pub(crate) fn frame_at(&self, index: Index) -> Option<Frame> {
        let index = u64::from(index);
        self.spans[..self.count]
            .iter()
            .find(|span| span.index <= index && index - span.index < span.end - span.start)
            .and_then(|span| Frame::from_number(index - span.index + span.start))
    }
}
