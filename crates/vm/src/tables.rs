//! The tables of one half of an address space, and the operations that change them.

use swos_units::{Frame, Page, VirtAddr};

use crate::descriptor::{
    Attributes, Entry, Half, LAST_LEVEL, VALID, decode, encode_leaf, encode_table, is_table, is_valid,
    summary_bit,
};
use crate::memory::{TableMemory, Tlb};
use crate::pages::PageRange;
use crate::teardown::Teardown;
use crate::walk::{
    Cursor, ENTRIES, Mapping, PageSize, Place, behind, descend, index_at, is_empty_table, mapping_of,
    next_table, page_at, span, translated, walk, with_summary_for,
};

/// A change that can't be made. Unless said otherwise nothing has changed, but new empty tables may have been linked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The page is not in the half that the tables translate.
    OutOfRange(Page),
    /// The attributes are for the other half.
    WrongHalf,
    /// The page is mapped already, as a page or inside a block.
    Mapped(Page),
    /// The page lies inside a block that the range does not cover; blocks are not split.
    InsideBlock(Page),
    /// Memory for a table is short.
    OutOfTables,
}

/// How far a bounded operation came.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It is finished.
    Done,
    /// The budget is used up. Go on from this page.
    More(Page),
}

/// What [`Tables::audit`] found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Audit {
    /// Pages and blocks.
    pub leaves: u64,
    /// Those that break a rule of [`Attributes::is_sound`], or are of the other half. Not 0 = somebody else wrote here.
    pub unsound: u64,
}

impl core::ops::AddAssign for Audit {
    fn add_assign(&mut self, other: Self) {
        self.leaves += other.leaves;
        self.unsound += other.unsound;
    }
}

/// Up to this many pages are invalidated one by one; above, the whole space at once.
const PAGEWISE: usize = 16;

/// Translation tables of one half of an address space.
///
/// The root is given back by [`Self::into_teardown`] alone: dropping the value leaks the tables.
#[derive(Debug)]
pub struct Tables {
    root: Frame,
    half: Half,
    /// Which groups of the root are in use, as in a table descriptor.
    summary: u64,
    /// The table of pages that the last page mapped went into, by the number of its group: faults come close together.
    recent: (u64, Frame),
}

/// A group that no page is in.
const NO_GROUP: u64 = u64::MAX;

impl Tables {
    /// Makes empty tables; `None` if there is no memory for the root.
    pub fn new(half: Half, memory: &mut impl TableMemory) -> Option<Self> {
        let root = memory.alloc_table()?;
        Some(Self { root, half, summary: 0, recent: (NO_GROUP, root) })
    }

    /// Frame of the root table, for `TTBR0_EL1` or `TTBR1_EL1`.
    #[must_use]
    pub const fn root(&self) -> Frame {
        self.root
    }

    /// The half that they translate.
    #[must_use]
    pub const fn half(&self) -> Half {
        self.half
    }

    /// What `va` maps to; `None` if its page has no entry.
    #[must_use]
    #[inline]
    pub fn walk(&self, memory: &impl TableMemory, va: VirtAddr) -> Option<Mapping> {
        walk(memory, self.root, self.half, va)
    }

    /// Maps one page that is not mapped. Needs no invalidation: hardware doesn't remember invalid entries.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::InsideBlock`].
    #[inline]
    pub fn map_page(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let number = self.admit(page, attributes)?;
        self.write_leaf(memory, tlb, number, encode_leaf(frame, attributes, LAST_LEVEL))?;
        tlb.publish();
        Ok(())
    }

    /// Maps `count` pages from `page` to as many frames from `frame`, with blocks of 1 GiB and 2 MiB where both are
    /// aligned for them.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::InsideBlock`]. What comes before the failing page stays mapped.
    pub fn map_range(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        pages: PageRange,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let Some((mut number, end)) = self.bounds(pages)? else { return Ok(()) };
        self.admit(pages.start(), attributes)?;
        frame.checked_add(end - number).ok_or(Error::OutOfRange(pages.start()))?;
        let mut target = frame.number();
        let mut result = Ok(());
        while number < end && result.is_ok() {
            let size = [PageSize::Gigabyte1, PageSize::Megabytes2]
                .into_iter()
                .find(|size| (number | target) & (size.pages() - 1) == 0 && end - number >= size.pages())
                .unwrap_or(PageSize::Page);
            let frame = Frame::from_number(target).unwrap_or_default();
            result = self.install(memory, tlb, number, frame, attributes, size);
            number += size.pages();
            target += size.pages();
        }
        tlb.publish();
        result
    }

    /// Maps a page whether or not it is mapped, and returns what it mapped to before. A valid entry that changes more
    /// than its permissions is broken first. When this returns, the old translation is gone from every TLB.
    ///
    /// # Errors
    ///
    /// [`Error::InsideBlock`] if the page is part of a block; [`Error::OutOfRange`], [`Error::WrongHalf`],
    /// [`Error::OutOfTables`].
    pub fn replace_page(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<Option<Mapping>, Error> {
        let number = self.admit(page, attributes)?;
        let place = descend(memory, self.root, self.summary, number);
        let Some(old) = mapping_of(&place, number) else {
            self.install(memory, tlb, number, frame, attributes, PageSize::Page)?;
            tlb.publish();
            return Ok(None);
        };
        if old.size != PageSize::Page {
            return Err(Error::InsideBlock(page));
        }
        let new = encode_leaf(frame, attributes, LAST_LEVEL);
        if !is_valid(place.entry) {
            memory.write(place.table, place.index, new);
            tlb.publish();
            return Ok(Some(old));
        }
        let same_output = old.frame == frame && old.attributes.memory() == attributes.memory();
        memory.write(place.table, place.index, if same_output { new } else { 0 });
        tlb.invalidate_page(page);
        tlb.synchronize();
        if !same_output {
            memory.write(place.table, place.index, new);
            tlb.publish();
        }
        Ok(Some(old))
    }

    /// Unmaps one page and returns what it mapped to. When this returns, no TLB holds it and the frame may be reused.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::InsideBlock`].
    pub fn unmap_page(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        page: Page,
    ) -> Result<Option<Mapping>, Error> {
        let number = translated(self.half, page).ok_or(Error::OutOfRange(page))?;
        let place = descend(memory, self.root, self.summary, number);
        let Some(mapping) = mapping_of(&place, number) else { return Ok(None) };
        if mapping.size != PageSize::Page {
            return Err(Error::InsideBlock(page));
        }
        memory.write(place.table, place.index, 0);
        if is_valid(place.entry) {
            tlb.invalidate_page(page);
            tlb.synchronize();
        }
        Ok(Some(mapping))
    }

    /// Unmaps what is mapped in `pages`, reading at most about 2 × `budget` entries, and reports every leaf after its
    /// invalidation has completed. Tables that become empty and lie wholly inside `vacant` are freed; `vacant` is the
    /// stretch around `pages` in which nothing is to be mapped any more (`pages` itself at least makes sense). The reported
    /// access is [`Access::None`](crate::Access::None), for it is gone; sharing and memory type are what they were.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `pages` is not in this half. [`Error::InsideBlock`] if it cuts a block: the pages
    /// before that block are unmapped and reported.
    pub fn unmap_range(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        pages: PageRange,
        vacant: PageRange,
        budget: usize,
        mut removed: impl FnMut(Page, Mapping),
    ) -> Result<Progress, Error> {
        let Some((start, end)) = self.bounds(pages)? else { return Ok(Progress::Done) };
        let (stop, cut) = self.invalidate_leaves(memory, tlb, start, end, budget);
        self.remove_leaves(memory, tlb, (start, stop), vacant, &mut removed);
        match cut {
            Some(number) => Err(Error::InsideBlock(page_at(self.half, number))),
            None if stop < end => Ok(Progress::More(page_at(self.half, stop))),
            None => Ok(Progress::Done),
        }
    }

    /// Gives the leaves in `pages` other access, reading at most about `budget` entries. Copy-on-write pages stay
    /// read-only in their entries; pages with [`Access::None`](crate::Access::None) keep their frames.
    ///
    /// # Errors
    ///
    /// As [`Self::unmap_range`].
    pub fn protect_range(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        pages: PageRange,
        access: crate::Access,
        budget: usize,
    ) -> Result<Progress, Error> {
        let Some((start, end)) = self.bounds(pages)? else { return Ok(Progress::Done) };
        let (stop, cut) =
            self.change_leaves(memory, tlb, start, end, budget, |entry, level| match decode(entry, level) {
                Entry::Leaf(frame, attributes) => encode_leaf(frame, attributes.with_access(access), level),
                Entry::Empty | Entry::Table(_) => entry,
            });
        match cut {
            Some(number) => Err(Error::InsideBlock(page_at(self.half, number))),
            None if stop < end => Ok(Progress::More(page_at(self.half, stop))),
            None => Ok(Progress::Done),
        }
    }

    /// Shows every leaf in `pages`, in order, reading at most about `budget` entries: audits, copies of an address space.
    /// A leaf that begins before `pages` is shown with the first page asked for.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`].
    pub fn visit(
        &self,
        memory: &impl TableMemory,
        pages: PageRange,
        budget: usize,
        mut show: impl FnMut(Page, Mapping),
    ) -> Result<Progress, Error> {
        let Some((start, end)) = self.bounds(pages)? else { return Ok(Progress::Done) };
        let mut cursor = Cursor::new(start, end, budget);
        while let Some((number, place)) = cursor.next_leaf(memory, self.root, self.summary) {
            if let Some(mapping) = mapping_of(&place, number) {
                show(page_at(self.half, number), mapping);
            }
        }
        Ok(if cursor.is_done() { Progress::Done } else { Progress::More(page_at(self.half, cursor.next)) })
    }

    /// Reads every entry of every table, as hardware might, whatever the summaries say.
    #[must_use]
    pub fn audit(&self, memory: &impl TableMemory) -> Audit {
        let mut audit = Audit::default();
        self.audit_table(memory, self.root, 0, &mut audit);
        audit
    }

    fn audit_table(&self, memory: &impl TableMemory, table: Frame, level: u32, audit: &mut Audit) {
        for index in 0..ENTRIES {
            let entry = memory.read(table, index);
            if entry == 0 {
                continue;
            }
            match decode(entry, level) {
                Entry::Empty => {}
                Entry::Table(next) => self.audit_table(memory, next, level + 1, audit),
                Entry::Leaf(_, attributes) => {
                    audit.leaves += 1;
                    let sound = attributes.is_sound() && attributes.half() == self.half;
                    audit.unsound += u64::from(!sound);
                }
            }
        }
    }

    /// Starts to take the tables apart. They must be installed on no CPU, and their ASID must not be used again before
    /// the TLBs have forgotten it: [`AsidPool`](crate::AsidPool) guarantees that without an invalidation here.
    pub fn into_teardown(self) -> Teardown {
        Teardown::new(self.root, self.summary)
    }

    /// Checks a page and attributes against the half.
    #[inline]
    fn admit(&self, page: Page, attributes: Attributes) -> Result<u64, Error> {
        if attributes.half() != self.half {
            return Err(Error::WrongHalf);
        }
        translated(self.half, page).ok_or(Error::OutOfRange(page))
    }

    /// First and end number of `pages`; `None` if there are none.
    pub(crate) fn bounds(&self, pages: PageRange) -> Result<Option<(u64, u64)>, Error> {
        if pages.is_empty() {
            return Ok(None);
        }
        let start = translated(self.half, pages.start()).ok_or(Error::OutOfRange(pages.start()))?;
        let last = Page::from_number(pages.start().number() + (pages.count() - 1)).unwrap_or_default();
        let last = translated(self.half, last).ok_or(Error::OutOfRange(last))?;
        Ok(Some((start, last + 1)))
    }

    /// Which groups of the root are in use.
    pub(crate) const fn summary(&self) -> u64 {
        self.summary
    }

    /// Writes the leaf of a page, if its entry is empty.
    #[inline]
    pub(crate) fn write_leaf(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        number: u64,
        leaf: u64,
    ) -> Result<(), Error> {
        if self.recent.0 != group_of(number) {
            self.find_recent(memory, tlb, number)?;
        }
        self.write_new(memory, self.recent.1, number, LAST_LEVEL, leaf)
    }

    /// Makes the table of page `number` the recent one. Apart from its caller, whose usual path needs no stack then.
    #[inline(never)]
    fn find_recent(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        number: u64,
    ) -> Result<(), Error> {
        let table = self.table_for(memory, tlb, number, LAST_LEVEL)?;
        self.recent = (group_of(number), table);
        Ok(())
    }

    /// Writes a leaf where none is, making the tables on the way.
    fn install(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        number: u64,
        frame: Frame,
        attributes: Attributes,
        size: PageSize,
    ) -> Result<(), Error> {
        let table = self.table_for(memory, tlb, number, size.level())?;
        self.write_new(memory, table, number, size.level(), encode_leaf(frame, attributes, size.level()))
    }

    /// Writes a leaf into its table, if the entry is empty.
    #[inline]
    fn write_new(
        &self,
        memory: &mut impl TableMemory,
        table: Frame,
        number: u64,
        level: u32,
        leaf: u64,
    ) -> Result<(), Error> {
        let index = index_at(number, level);
        if memory.read(table, index) != 0 {
            return Err(Error::Mapped(page_at(self.half, number)));
        }
        memory.write(table, index, leaf);
        Ok(())
    }

    /// The table at `level` on the way to `number`, made if necessary, and marked as used there.
    #[inline]
    fn table_for(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        number: u64,
        level: u32,
    ) -> Result<Frame, Error> {
        let mut table = self.root;
        self.summary |= summary_bit(index_at(number, 0));
        for parent in 0..level {
            let index = index_at(number, parent);
            let entry = memory.read(table, index);
            table = if is_table(entry, parent) {
                let marked = with_summary_for(entry, number, parent + 1);
                if marked != entry {
                    memory.write(table, index, marked);
                }
                next_table(entry)
            } else {
                self.grow(memory, tlb, (table, index, entry), number, parent)?
            };
        }
        Ok(table)
    }

    /// Makes a table and links it into the given entry, which must be empty.
    #[cold]
    fn grow(
        &self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        (table, index, entry): (Frame, usize, u64),
        number: u64,
        parent: u32,
    ) -> Result<Frame, Error> {
        if entry != 0 {
            return Err(Error::Mapped(page_at(self.half, number)));
        }
        let next = memory.alloc_table().ok_or(Error::OutOfTables)?;
        // The zeroes must be visible before the table is.
        tlb.publish();
        memory.write(table, index, encode_table(next, summary_bit(index_at(number, parent + 1))));
        Ok(next)
    }

    /// Clears the valid bit of every leaf in `start..end`, keeping the frames in the entries until every TLB has forgotten
    /// them. So one pass of invalidation serves any number of pages without a list of them.
    fn invalidate_leaves(
        &self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        start: u64,
        end: u64,
        budget: usize,
    ) -> (u64, Option<u64>) {
        self.change_leaves(memory, tlb, start, end, budget, |entry, _| entry & !VALID)
    }

    /// Rewrites the leaves in `start..end` and invalidates those that were valid. Returns where it stopped, and the page
    /// at which a block was cut.
    fn change_leaves(
        &self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        start: u64,
        end: u64,
        budget: usize,
        change: impl Fn(u64, u32) -> u64,
    ) -> (u64, Option<u64>) {
        let mut cursor = Cursor::new(start, end, budget.max(1));
        let mut changed = 0;
        let mut cut = None;
        while let Some((number, place)) = cursor.next_leaf(memory, self.root, self.summary) {
            if is_cut(&place, number, end) {
                cut = Some(number);
                break;
            }
            let new = change(place.entry, place.level);
            if new == place.entry {
                continue;
            }
            memory.write(place.table, place.index, new);
            if is_valid(place.entry) {
                changed += 1;
                if changed <= PAGEWISE {
                    tlb.invalidate_page(page_at(self.half, number));
                }
            }
        }
        if changed > PAGEWISE {
            tlb.invalidate_space();
        }
        if changed > 0 {
            tlb.synchronize();
        } else {
            tlb.publish();
        }
        (cut.unwrap_or(cursor.next.min(end)), cut)
    }

    /// Empties the entries of all leaves in a range whose invalidation has completed, and frees tables left empty.
    fn remove_leaves(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        (start, stop): (u64, u64),
        vacant: PageRange,
        removed: &mut impl FnMut(Page, Mapping),
    ) {
        let mut next = start;
        while next < stop {
            let number = next;
            let place = descend(memory, self.root, self.summary, number);
            let (behind, leaves_table) = if place.level == LAST_LEVEL {
                let end = stop.min((number | (span(LAST_LEVEL - 1) - 1)) + 1);
                let mut cursor = Cursor::new(number, end, usize::MAX);
                while let Some((number, place)) = cursor.next_leaf(memory, self.root, self.summary) {
                    self.remove_leaf(memory, number, &place, removed);
                }
                (end, true)
            } else {
                self.remove_leaf(memory, number, &place, removed);
                behind(&place, number)
            };
            if leaves_table || behind >= stop {
                self.prune(memory, tlb, number, vacant);
            }
            next = behind;
        }
    }

    fn remove_leaf(
        &self,
        memory: &mut impl TableMemory,
        number: u64,
        place: &Place,
        removed: &mut impl FnMut(Page, Mapping),
    ) {
        if let Some(mapping) = mapping_of(place, number) {
            memory.write(place.table, place.index, 0);
            removed(page_at(self.half, number), mapping);
        }
    }

    /// Frees the tables on the way to page `number`, deepest first, as long as they are empty and inside `vacant`.
    fn prune(&mut self, memory: &mut impl TableMemory, tlb: &mut impl Tlb, number: u64, vacant: PageRange) {
        for level in (1..=LAST_LEVEL).rev() {
            let Some((parent, index, entry)) = self.table_entry(memory, number, level) else { continue };
            let width = span(level - 1);
            let first = number & !(width - 1);
            let inside =
                PageRange::with_len(page_at(self.half, first), width).is_some_and(|all| vacant.covers(all));
            if !inside || !is_empty_table(memory, next_table(entry), entry) {
                return;
            }
            memory.write(parent, index, 0);
            self.recent = (NO_GROUP, self.root);
            // The walker may have remembered the table.
            tlb.invalidate_page(page_at(self.half, number));
            tlb.synchronize();
            memory.free_table(next_table(entry));
        }
    }

    /// The entry that points to the table at `level` on the way to `number`, and where it stands.
    fn table_entry(&self, memory: &impl TableMemory, number: u64, level: u32) -> Option<(Frame, usize, u64)> {
        let mut table = self.root;
        for parent_level in 0..level {
            let index = index_at(number, parent_level);
            let entry = memory.read(table, index);
            let Entry::Table(next) = decode(entry, parent_level) else { return None };
            if parent_level + 1 == level {
                return Some((table, index, entry));
            }
            table = next;
        }
        None
    }
}

/// The group of pages that share a bit in the summary of their table.
#[inline]
const fn group_of(number: u64) -> u64 {
    number >> 6
}

/// Whether the leaf reaches out of the range, which begins at or before `number` and stops at `end`.
fn is_cut(place: &Place, number: u64, end: u64) -> bool {
    let width = span(place.level);
    let first = number & !(width - 1);
    first != number || first + width > end
}
