//! Reading tables: what a page maps to, and the search for mapped entries in a range.

use swos_units::{Frame, Page, VirtAddr};

use crate::descriptor::{
    Attributes, Entry, Half, LAST_LEVEL, SUMMARY_SHIFT, decode, frame_of, summary_bit, summary_of,
};
use crate::memory::TableMemory;

/// Binary logarithm of a table's length.
pub(crate) const INDEX_BITS: u32 = 9;
/// Entries in a table.
pub(crate) const ENTRIES: usize = 1 << INDEX_BITS;
/// Entries that one summary bit stands for.
const GROUP: usize = 64;
/// Empty entries, passed over one after the other, that cost as much as one that is not.
pub(crate) const EMPTY_PER_ENTRY: usize = 8;
/// Bits of a page number that translation uses.
const NUMBER_BITS: u32 = 36;
const UPPER_HALF: u64 = 0xFFFF;

/// What a leaf maps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PageSize {
    /// 4 KiB.
    Page,
    /// 2 MiB, a block at level 2.
    Megabytes2,
    /// 1 GiB, a block at level 1.
    Gigabyte1,
}

impl PageSize {
    /// How many 4 KiB pages.
    #[must_use]
    pub const fn pages(self) -> u64 {
        match self {
            Self::Page => 1,
            Self::Megabytes2 => 1 << INDEX_BITS,
            Self::Gigabyte1 => 1 << (2 * INDEX_BITS),
        }
    }

    pub(crate) const fn level(self) -> u32 {
        match self {
            Self::Page => LAST_LEVEL,
            Self::Megabytes2 => 2,
            Self::Gigabyte1 => 1,
        }
    }

    pub(crate) const fn at_level(level: u32) -> Self {
        match level {
            LAST_LEVEL => Self::Page,
            2 => Self::Megabytes2,
            _ => Self::Gigabyte1,
        }
    }
}

/// What a page maps to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mapping {
    /// The frame of that very page, also inside a block.
    pub frame: Frame,
    /// What the entry allows and how it behaves.
    pub attributes: Attributes,
    /// Size of the leaf that says so.
    pub size: PageSize,
}

/// The part of a page number that translation uses; `None` if the page is not in `half`.
#[inline]
pub(crate) const fn translated(half: Half, page: Page) -> Option<u64> {
    let upper = page.number() >> NUMBER_BITS;
    match half {
        Half::User if upper == 0 => Some(page.number()),
        Half::Kernel if upper == UPPER_HALF => Some(page.number() & ((1 << NUMBER_BITS) - 1)),
        Half::User | Half::Kernel => None,
    }
}

/// The page with translated number `number`.
pub(crate) fn page_at(half: Half, number: u64) -> Page {
    let upper = match half {
        Half::User => 0,
        Half::Kernel => UPPER_HALF << NUMBER_BITS,
    };
    Page::from_number(number | upper).unwrap_or_default()
}

/// Pages that one entry at `level` spans.
#[inline]
pub(crate) const fn span(level: u32) -> u64 {
    1 << shift(level)
}

#[inline]
const fn shift(level: u32) -> u32 {
    (LAST_LEVEL - level) * INDEX_BITS
}

/// Index of page `number` in its table at `level`.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "masked to 9 bits")]
pub(crate) const fn index_at(number: u64, level: u32) -> usize {
    (number >> shift(level)) as usize & (ENTRIES - 1)
}

/// First entry at or after `index` whose group is in the summary; [`ENTRIES`] if none.
#[inline]
pub(crate) const fn next_used(summary: u64, index: usize) -> usize {
    let groups = summary_of(summary) >> SUMMARY_SHIFT;
    let ahead = groups >> (index / GROUP);
    if ahead & 1 != 0 {
        index
    } else if ahead == 0 {
        ENTRIES
    } else {
        (index / GROUP + ahead.trailing_zeros() as usize) * GROUP
    }
}

/// Where the first entry at or after `index` is that is not empty, and what it holds; no further than the group of `index`
/// reaches, and reading no more than `most`. With the place where the search ends and 0 if there is none.
#[inline]
pub(crate) fn first_in_group(
    memory: &impl TableMemory,
    table: Frame,
    index: usize,
    most: usize,
) -> (usize, u64) {
    let end = ((index / GROUP + 1) * GROUP).min(index.saturating_add(most));
    for at in index..end {
        let entry = memory.read(table, at);
        if entry != 0 {
            return (at, entry);
        }
    }
    (end, 0)
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) table: Frame,
    pub(crate) index: usize,
    pub(crate) level: u32,
    pub(crate) entry: u64,
    /// Summary of `table`.
    pub(crate) summary: u64,
}

/// The deepest entry on the way to page `number`.
#[inline]
pub(crate) fn descend(memory: &impl TableMemory, root: Frame, summary: u64, number: u64) -> Place {
    let mut place = Place { table: root, index: 0, level: 0, entry: 0, summary };
    loop {
        place.index = index_at(number, place.level);
        place.entry = memory.read(place.table, place.index);
        match decode(place.entry, place.level) {
            Entry::Table(next) => {
                place.summary = summary_of(place.entry);
                place.table = next;
                place.level += 1;
            }
            Entry::Empty | Entry::Leaf(..) => return place,
        }
    }
}

/// What `va` maps to below `root`.
#[inline]
pub(crate) fn walk(memory: &impl TableMemory, root: Frame, half: Half, va: VirtAddr) -> Option<Mapping> {
    let number = translated(half, Page::containing(va))?;
    let place = descend(memory, root, 0, number);
    mapping_of(&place, number)
}

/// The leaf at `place` as the mapping of page `number`.
pub(crate) fn mapping_of(place: &Place, number: u64) -> Option<Mapping> {
    match decode(place.entry, place.level) {
        Entry::Leaf(first, attributes) => Some(Mapping {
            frame: first.checked_add(number & (span(place.level) - 1))?,
            attributes,
            size: PageSize::at_level(place.level),
        }),
        Entry::Empty | Entry::Table(_) => None,
    }
}

/// Finds the leaves of a range in order, skipping what was never touched.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) next: u64,
    end: u64,
    /// Entries still to be read before the search pauses; [`EMPTY_PER_ENTRY`] empty ones in a row count as one.
    pub(crate) budget: usize,
    /// The table of pages that `next` lies in, once found.
    last: Option<(Frame, u64)>,
}

impl Cursor {
    pub(crate) fn new(start: u64, end: u64, budget: usize) -> Self {
        Self { next: start, end, budget, last: None }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.end
    }

    /// The next leaf and the number of the first page asked for in it; `None` at the end or out of budget.
    #[inline]
    pub(crate) fn next_leaf(
        &mut self,
        memory: &impl TableMemory,
        root: Frame,
        summary: u64,
    ) -> Option<(u64, Place)> {
        while self.next < self.end && self.budget > 0 {
            self.budget -= 1;
            let number = self.next;
            let place = match self.last {
                Some((table, summary)) => {
                    let index = index_at(number, LAST_LEVEL);
                    Place { table, index, level: LAST_LEVEL, entry: memory.read(table, index), summary }
                }
                None => descend(memory, root, summary, number),
            };
            self.advance(memory, &place);
            if matches!(decode(place.entry, place.level), Entry::Leaf(..)) {
                return Some((number, place));
            }
        }
        None
    }

    /// Moves behind `place`, over what its table never used; and if it is empty, over what follows it and is empty, too: to go
    /// down from the root for each of those costs much more.
    fn advance(&mut self, memory: &impl TableMemory, place: &Place) {
        let width = span(place.level);
        let base = (self.next & !(width - 1)) - place.index as u64 * width;
        let mut index = next_used(place.summary, place.index + 1);
        if place.entry == 0 && index == place.index + 1 && !index.is_multiple_of(GROUP) {
            let wanted = self.end.saturating_sub(base + index as u64 * width).div_ceil(width);
            let most = usize::try_from(wanted).unwrap_or(usize::MAX);
            let (found, _) = first_in_group(memory, place.table, index, most);
            self.budget = self.budget.saturating_sub((found - index) / EMPTY_PER_ENTRY);
            index = if found.is_multiple_of(GROUP) { next_used(place.summary, found) } else { found };
        }
        self.next = base + index as u64 * width;
        let stays = place.level == LAST_LEVEL && index < ENTRIES;
        self.last = stays.then_some((place.table, place.summary));
    }
}

/// The first page behind the entry at `place`, found for page `number`, that its table may have an entry for; and whether
/// that lies behind the table.
#[inline]
pub(crate) fn behind(place: &Place, number: u64) -> (u64, bool) {
    let width = span(place.level);
    let base = (number & !(width - 1)) - place.index as u64 * width;
    let index = next_used(place.summary, place.index + 1);
    (base + index as u64 * width, index == ENTRIES)
}

/// Whether every entry of `table` is empty; only what its summary names is read.
pub(crate) fn is_empty_table(memory: &impl TableMemory, table: Frame, summary: u64) -> bool {
    let mut index = next_used(summary, 0);
    while index < ENTRIES {
        if memory.read(table, index) != 0 {
            return false;
        }
        index = next_used(summary, index + 1);
    }
    true
}

/// The entry that leads to the next table on the way to `number`, with the bit for what comes below set.
#[inline]
pub(crate) fn with_summary_for(entry: u64, number: u64, child_level: u32) -> u64 {
    entry | summary_bit(index_at(number, child_level))
}

/// Frame of the table that a table entry points to.
#[inline]
pub(crate) fn next_table(entry: u64) -> Frame {
    frame_of(entry)
}
