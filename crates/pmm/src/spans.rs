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
pub(crate) struct Span {
    start: u64,
    end: u64,
    /// Where the metadata of `start` lies.
    index: u64,
}

impl Span {
    /// Index of the metadata of frame `number`, if it is in this span.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below 2^28")]
    pub(crate) const fn index_of(&self, number: u64) -> Option<Index> {
        if self.start <= number && number < self.end {
            Some((number - self.start + self.index) as Index)
        } else {
            None
        }
    }

    /// The number of the frame whose metadata is at `index`, if it is in this span.
    #[inline]
    const fn number_at(&self, index: Index) -> Option<u64> {
        let index = index as u64;
        if self.index <= index && index - self.index < self.end - self.start {
            Some(index - self.index + self.start)
        } else {
            None
        }
    }
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

    /// The span of frame `number`. Most machines have one, so the search is out of the way.
    #[inline]
    pub(crate) fn span_of(&self, number: u64) -> Option<&Span> {
        let first = &self.spans[0];
        if first.index_of(number).is_some() { Some(first) } else { self.search(number) }
    }

    #[cold]
    #[inline(never)]
    fn search(&self, number: u64) -> Option<&Span> {
        self.spans.iter().find(|span| span.index_of(number).is_some())
    }

    /// Index of the metadata of frame `number`.
    #[inline]
    pub(crate) fn index_of(&self, number: u64) -> Option<Index> {
        self.span_of(number)?.index_of(number)
    }

    /// The frame whose metadata is at `index`.
    #[inline]
    pub(crate) fn frame_at(&self, index: Index) -> Option<Frame> {
        match self.spans[0].number_at(index) {
            Some(number) => Frame::from_number(number),
            None => self.search_index(index),
        }
    }

    #[cold]
    #[inline(never)]
    fn search_index(&self, index: Index) -> Option<Frame> {
        self.spans.iter().find_map(|span| span.number_at(index)).and_then(Frame::from_number)
    }
}
