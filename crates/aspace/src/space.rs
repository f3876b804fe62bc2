//! The sorted areas of an address space and the operations on them.

use alloc::vec::Vec;

use swos_units::{Page, VirtAddr};
use swos_vm::{Access, PageRange};

use crate::area::{Area, Backing, Permitted};
use crate::fault::{AccessKind, Cause, Decision, Denied, decide};

/// The lowest mappable address: null pointers, and small offsets from them, always fault.
pub const USER_START: VirtAddr = VirtAddr::new(0x1_0000);
/// One past the highest mappable address.
pub const USER_END: VirtAddr = VirtAddr::new(VirtAddr::USER_LIMIT);

/// A request that can't be met. Nothing has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The range is empty.
    Empty,
    /// The range is not wholly within the user's addresses.
    OutOfRange,
    /// Something is mapped there already.
    Occupied,
    /// Part of the range is not mapped.
    Unmapped,
    /// The access is not permitted there.
    NotPermitted,
    /// The window runs past the largest page index of its object.
    WindowTooLong,
    /// No free stretch is long enough.
    NoSpace,
    /// More areas than the limit.
    TooManyAreas,
    /// More pages than the limit.
    TooManyPages,
    /// The kernel's memory is short.
    NoMemory,
}

/// What one address space may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Areas.
    pub areas: usize,
    /// Pages in all areas that can have pages: neither reserved nor guards.
    pub pages: u64,
}

impl Default for Limits {
    /// 4,096 areas, 64 GiB.
    fn default() -> Self {
        Self { areas: 4096, pages: 1 << 24 }
    }
}

/// Where to map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placement {
    /// In the highest free stretch below the base that has room, else above the base.
    Anywhere,
    /// From this page if that is free, else anywhere.
    Hint(Page),
    /// From this page or not at all; nothing is replaced.
    At(Page),
}

/// What to map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// Where.
    pub placement: Placement,
    /// How many pages.
    pub pages: u64,
    /// What may be done with it at first.
    pub access: Access,
    /// What it may be changed to.
    pub permitted: Permitted,
    /// Where its content comes from. Reserved and guard areas allow no access.
    pub backing: Backing,
}

/// Areas that are rewritten at once, with their neighbours.
const REWRITTEN: usize = 24;
/// From so many areas on it pays to move those above once only.
const MANY: usize = if cfg!(test) { 4 } else { 512 };

/// How far a search for free pages came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Search {
    /// They begin here.
    Found(Page),
    /// There are none down to here.
    Further(Page),
}

/// A stack and the guard below it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stack {
    /// The pages that fault with [`Denied::Guard`].
    pub guard: PageRange,
    /// The stack itself; its end is the initial stack pointer.
    pub stack: PageRange,
}

/// The areas of one address space.
#[derive(Debug)]
pub struct AddressSpace {
    areas: Vec<Area>,
    base: Page,
    limits: Limits,
    pages: u64,
}

impl AddressSpace {
    /// An empty address space that places mappings downwards from `base`, which the caller chooses at random. It is moved
    /// into the user's addresses.
    #[must_use]
    pub fn new(base: Page, limits: Limits) -> Self {
        let base = base.clamp(Page::containing(USER_START), Page::containing(USER_END));
        Self { areas: Vec::new(), base, limits, pages: 0 }
    }

    /// A copy for a child: the same areas. The caller makes the private pages of both copy-on-write.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn duplicate(&self) -> Result<Self, Error> {
        let mut areas = Vec::new();
        areas.try_reserve_exact(self.areas.len()).map_err(|_| Error::NoMemory)?;
        areas.extend_from_slice(&self.areas);
        Ok(Self { areas, ..*self })
    }

    /// Maps pages where nothing is mapped and returns where.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::Unmapped`]; [`Error::Occupied`] for [`Placement::At`] alone.
    pub fn map(&mut self, request: Request) -> Result<PageRange, Error> {
        let pages = match request.placement {
            Placement::Anywhere => self.free_stretch(request.pages)?,
            Placement::Hint(page) => match user_range(page, request.pages) {
                Ok(range) if self.is_free(range) => range,
                Ok(_) | Err(_) => self.free_stretch(request.pages)?,
            },
            Placement::At(page) => {
                let range = user_range(page, request.pages)?;
                if !self.is_free(range) {
                    return Err(Error::Occupied);
                }
                range
            }
        };
        let area = new_area(pages, request)?;
        self.check_pages(counted(&area), 0)?;
        self.reserve(1)?;
        self.insert(area);
        Ok(pages)
    }

    /// Maps pages at [`Placement::At`]'s page in place of whatever is mapped there, and reports the parts of areas that went
    /// away, in order. With [`Placement::Hint`] it means the same page; with [`Placement::Anywhere`] it is [`Self::map`].
    ///
    /// A long unmapping that other threads may watch is made with this: replace by [`Backing::Reserved`], take the pages
    /// out of the tables in steps, then [`Self::unmap`].
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::Unmapped`] and [`Error::Occupied`].
    pub fn map_over(&mut self, request: Request, mut removed: impl FnMut(Area)) -> Result<PageRange, Error> {
        let (Placement::At(page) | Placement::Hint(page)) = request.placement else {
            return self.map(request);
        };
        let pages = user_range(page, request.pages)?;
        let area = new_area(pages, request)?;
        let freed =
            self.overlapping(pages).filter_map(|area| area.part(pages)).map(|part| counted(&part)).sum();
        self.check_pages(counted(&area), freed)?;
        self.reserve(2)?;
        self.put(pages, Some(area), &mut removed);
        Ok(pages)
    }

    /// Maps a demand-zero stack of `pages` pages with `guard` pages below it, anywhere.
    ///
    /// # Errors
    ///
    /// As [`Self::map`].
    pub fn map_stack(&mut self, pages: u64, guard: u64) -> Result<Stack, Error> {
        if pages == 0 || guard == 0 {
            return Err(Error::Empty);
        }
        let all = self.free_stretch(pages.checked_add(guard).ok_or(Error::NoSpace)?)?;
        let low = PageRange::with_len(all.start(), guard).ok_or(Error::OutOfRange)?;
        let high = PageRange::new(low.end(), all.end()).ok_or(Error::OutOfRange)?;
        self.check_pages(pages, 0)?;
        self.reserve(2)?;
        self.insert(Area {
            pages: low,
            access: Access::None,
            permitted: Permitted::NONE,
            backing: Backing::Guard,
        });
        self.insert(Area {
            pages: high,
            access: Access::ReadWrite,
            permitted: Permitted::READ_WRITE,
            backing: Backing::Anonymous,
        });
        Ok(Stack { guard: low, stack: high })
    }

    /// Unmaps what is mapped in `pages` and reports the parts of areas that went away, in order. Nothing mapped there is
    /// no error.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::OutOfRange`], and when an area is cut in two [`Error::TooManyAreas`], [`Error::NoMemory`].
    pub fn unmap(&mut self, pages: PageRange, mut removed: impl FnMut(Area)) -> Result<(), Error> {
        check_user(pages)?;
        let in_middle = self
            .find(pages.start().start())
            .is_some_and(|area| area.pages.start() < pages.start() && pages.end() < area.pages.end());
        if in_middle {
            self.reserve(1)?;
        }
        self.put(pages, None, &mut removed);
        Ok(())
    }

    /// Changes the access of all pages in `pages`, which must all be mapped. Reserved pages that get an access become anonymous
    /// memory, and count from then on.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::OutOfRange`], [`Error::Unmapped`], [`Error::NotPermitted`], [`Error::TooManyPages`], and when
    /// areas are cut [`Error::TooManyAreas`], [`Error::NoMemory`].
    pub fn protect(&mut self, pages: PageRange, access: Access) -> Result<(), Error> {
        let committed = self.check_protect(pages, access)?;
        self.admit_protect(pages, committed)?;
        let change = |mut area: Area| {
            area.access = access;
            if area.backing == Backing::Reserved && access != Access::None {
                area.backing = Backing::Anonymous;
            }
            area
        };
        if !self.rewrite(pages, None, |area| Some(change(area))) {
            self.split_at(pages.start());
            self.split_at(pages.end());
            let first = self.first_ending_after(pages.start());
            let last = self.first_starting_at_or_after(pages.end());
            for area in &mut self.areas[first..last] {
                *area = change(*area);
            }
            self.join(first.saturating_sub(1), last + 1);
        }
        self.pages += committed;
        Ok(())
    }

    /// The check of [`Self::protect`] that looks at each area; how many pages count from then on. A range of many areas is checked
    /// part by part, [admitted](Self::admit_protect) as a whole, and then changed part by part.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::OutOfRange`], [`Error::Unmapped`], [`Error::NotPermitted`].
    pub fn check_protect(&self, pages: PageRange, access: Access) -> Result<u64, Error> {
        check_user(pages)?;
        let mut next = pages.start();
        let mut committed = 0;
        for area in self.overlapping(pages) {
            if area.pages.start() > next {
                return Err(Error::Unmapped);
            }
            if !area.permitted.allows(access) || area.backing == Backing::Guard {
                return Err(Error::NotPermitted);
            }
            if area.backing == Backing::Reserved && access != Access::None {
                committed += area.pages.intersection(pages).map_or(0, PageRange::count);
            }
            next = area.pages.end();
        }
        if next < pages.end() { Err(Error::Unmapped) } else { Ok(committed) }
    }

    /// The rest of the check: whether there is room for so many more pages that count, and for the areas that `pages` cuts.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyPages`], [`Error::TooManyAreas`], [`Error::NoMemory`].
    pub fn admit_protect(&mut self, pages: PageRange, committed: u64) -> Result<(), Error> {
        self.check_pages(committed, 0)?;
        self.reserve(self.cuts(pages))
    }

    /// The highest part of `pages` in which at most `count` areas lie, beginning with one of them unless it is all of `pages`: to go
    /// through many in steps. From above, since what lies higher is moved when areas go.
    #[must_use]
    pub fn highest(&self, pages: PageRange, count: usize) -> PageRange {
        let first = self.first_ending_after(pages.start());
        let last = self.first_starting_at_or_after(pages.end());
        let from = last.checked_sub(count).filter(|from| *from > first).and_then(|from| self.areas.get(from));
        from.and_then(|area| PageRange::new(area.pages.start(), pages.end())).unwrap_or(pages)
    }

    /// The area that `address` lies in.
    #[must_use]
    #[inline]
    pub fn find(&self, address: VirtAddr) -> Option<&Area> {
        let page = Page::containing(address);
        let area = self.areas.get(self.first_ending_after(page))?;
        (area.pages.start() <= page).then_some(area)
    }

    /// Decides what to do about a fault.
    #[inline]
    pub fn fault(&self, address: VirtAddr, kind: AccessKind, cause: Cause) -> Decision {
        match self.find(address) {
            Some(area) => decide(area, address, kind, cause),
            None => Decision::Deny(Denied::Unmapped),
        }
    }

    /// The longest stretch around `pages` in which, but for `pages` itself, nothing is mapped: whose tables can go when
    /// `pages` is unmapped.
    #[must_use]
    pub fn vacancy(&self, pages: PageRange) -> PageRange {
        let above = self.first_starting_at_or_after(pages.end());
        let end = self.areas.get(above).map_or(Page::containing(USER_END), |area| area.pages.start());
        let below = self.areas[..above].iter().rev().find(|area| area.pages.start() < pages.start());
        let start = below.map_or(Page::default(), |area| area.pages.end().min(pages.start()));
        let inside = self.overlapping(pages).any(|area| area.pages.end() > pages.end());
        PageRange::new(start, if inside { pages.end() } else { end }).unwrap_or(pages)
    }

    /// The areas that end after `page`, lowest first: to go through all of them in steps.
    pub fn areas_from(&self, page: Page) -> impl Iterator<Item = &Area> {
        self.areas[self.first_ending_after(page)..].iter()
    }

    /// All areas, lowest first.
    pub fn areas(&self) -> impl ExactSizeIterator<Item = &Area> + DoubleEndedIterator {
        self.areas.iter()
    }

    /// The parts of areas in `pages`, lowest first.
    pub fn parts(&self, pages: PageRange) -> impl Iterator<Item = Area> {
        self.overlapping(pages).filter_map(move |area| area.part(pages))
    }

    /// Takes the highest area away: teardown in steps.
    pub fn pop(&mut self) -> Option<Area> {
        let area = self.areas.pop()?;
        self.pages -= counted(&area);
        Some(area)
    }

    /// Pages in all areas that can have pages.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Lowers the limit of pages; what is mapped beyond it stays mapped. A higher one changes nothing.
    pub fn lower_limit(&mut self, pages: u64) {
        self.limits.pages = self.limits.pages.min(pages);
    }

    /// Index of the first area that ends after `page`.
    #[inline]
    fn first_ending_after(&self, page: Page) -> usize {
        self.areas.partition_point(|area| area.pages.end() <= page)
    }

    fn first_starting_at_or_after(&self, page: Page) -> usize {
        self.areas.partition_point(|area| area.pages.start() < page)
    }

    fn overlapping(&self, pages: PageRange) -> impl Iterator<Item = &Area> {
        let first = self.first_ending_after(pages.start());
        self.areas[first..].iter().take_while(move |area| area.pages.start() < pages.end())
    }

    /// How many areas there are.
    #[must_use]
    pub const fn area_count(&self) -> usize {
        self.areas.len()
    }

    /// Bytes that the list of the areas takes.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.areas.capacity() * size_of::<Area>()
    }

    /// Whether a mapping with [`Placement::Hint`] would be where it asks.
    #[must_use]
    pub fn takes_hint(&self, page: Page, count: u64) -> bool {
        user_range(page, count).is_ok_and(|range| self.is_free(range))
    }

    fn is_free(&self, pages: PageRange) -> bool {
        self.overlapping(pages).next().is_none()
    }

    /// The highest free stretch of `count` pages below the base, else above it.
    fn free_stretch(&self, count: u64) -> Result<PageRange, Error> {
        match self.seek(count, None, usize::MAX)? {
            Search::Found(start) => user_range(start, count),
            Search::Further(_) => Err(Error::NoSpace),
        }
    }

    /// The search that [`Placement::Anywhere`] makes for `count` free pages, a part at a time: it looks at no more than `areas` of
    /// them, and tells where the next part goes on from. `None` = it begins. What is mapped meanwhile it may pass over or find.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`]; [`Error::NoSpace`] when all was looked at.
    pub fn seek(&self, count: u64, from: Option<Page>, areas: usize) -> Result<Search, Error> {
        if count == 0 {
            return Err(Error::Empty);
        }
        let (low, high) = (Page::containing(USER_START), Page::containing(USER_END));
        let from = from.unwrap_or(self.base);
        let mut left = areas;
        let found = if from > self.base {
            self.free_stretch_in(self.base, from.min(high), count, &mut left)
        } else {
            match self.free_stretch_in(low, from, count, &mut left) {
                Ok(None) => self.free_stretch_in(self.base, high, count, &mut left),
                other => other,
            }
        };
        match found {
            Ok(Some(start)) => Ok(Search::Found(start)),
            Ok(None) => Err(Error::NoSpace),
            Err(from) => Ok(Search::Further(from)),
        }
    }

    /// `Err` = there are no more `areas` to be looked at: where to go on from.
    fn free_stretch_in(
        &self,
        low: Page,
        high: Page,
        count: u64,
        areas: &mut usize,
    ) -> Result<Option<Page>, Page> {
        let mut end = high;
        let below = self.first_starting_at_or_after(high);
        for area in self.areas[..below].iter().rev() {
            if area.pages.end() < end && end.number() - area.pages.end().number().max(low.number()) >= count {
                break;
            }
            let Some(left) = areas.checked_sub(1) else { return Err(end) };
            *areas = left;
            end = end.min(area.pages.start());
            if end <= low {
                return Ok(None);
            }
        }
        let start = end.number().checked_sub(count).filter(|start| *start >= low.number());
        Ok(start.and_then(Page::from_number))
    }

    fn check_pages(&self, added: u64, removed: u64) -> Result<(), Error> {
        let total = (self.pages - removed).checked_add(added).ok_or(Error::TooManyPages)?;
        if total > self.limits.pages { Err(Error::TooManyPages) } else { Ok(()) }
    }

    /// Makes sure that `more` areas can be added.
    fn reserve(&mut self, more: usize) -> Result<(), Error> {
        if self.areas.len() + more > self.limits.areas {
            return Err(Error::TooManyAreas);
        }
        self.areas.try_reserve(more).map_err(|_| Error::NoMemory)
    }

    /// How many areas the borders of `pages` cut.
    fn cuts(&self, pages: PageRange) -> usize {
        [pages.start(), pages.end()]
            .into_iter()
            .filter(|page| self.find(page.start()).is_some_and(|area| area.pages.start() < *page))
            .count()
    }

    /// Makes `page` a border, if an area lies across it. Room was reserved.
    fn split_at(&mut self, page: Page) {
        let index = self.first_ending_after(page);
        let Some(area) = self.areas.get(index).copied() else { return };
        if area.pages.start() >= page {
            return;
        }
        if let Some((left, right)) = area.split(page) {
            self.areas[index] = left;
            self.areas.insert(index + 1, right);
        }
    }

    /// Takes `pages` out, and puts an area there instead. Room was reserved: one area more if `pages` lies in the middle of one, and
    /// one for the new area.
    fn put(&mut self, pages: PageRange, new: Option<Area>, removed: &mut impl FnMut(Area)) {
        let mut less = 0;
        let gone = |area: Area| {
            less += counted(&area);
            removed(area);
            None
        };
        if self.rewrite(pages, new, gone) {
            self.pages = self.pages - less + new.as_ref().map_or(0, counted);
            return;
        }
        self.split_at(pages.start());
        self.split_at(pages.end());
        let first = self.first_ending_after(pages.start());
        let last = self.first_starting_at_or_after(pages.end());
        for area in self.areas.drain(first..last) {
            self.pages -= counted(&area);
            removed(area);
        }
        if let Some(area) = new {
            self.insert(area);
        }
    }

    /// Makes what `change` says of the parts of areas in `pages`, puts `new` before what is left of them, and joins what is alike; all
    /// that lies above moves once. False = nothing was done: there are too many areas in `pages` for that, or so few in all that
    /// it does not matter.
    fn rewrite(
        &mut self,
        pages: PageRange,
        new: Option<Area>,
        mut change: impl FnMut(Area) -> Option<Area>,
    ) -> bool {
        if self.areas.len() < MANY {
            return false;
        }
        let first = self.first_ending_after(pages.start()).saturating_sub(1);
        let last = (self.first_starting_at_or_after(pages.end()) + 1).min(self.areas.len());
        let Some(window) = self.areas.get(first..last).filter(|window| window.len() <= REWRITTEN) else {
            return false;
        };
        let Some(filler) = window.first().copied().or(new) else { return true };
        // The borders may cut two areas, or one twice.
        let mut fresh = [filler; REWRITTEN + 3];
        let mut count = 0_usize;
        let mut push = |area: Area| {
            if let Some(joined) = count.checked_sub(1).and_then(|last| fresh[last].joined(area)) {
                fresh[count - 1] = joined;
            } else {
                fresh[count] = area;
                count += 1;
            }
        };
        let mut new = new;
        let below = |area: &Area| PageRange::new(area.pages.start(), pages.start().min(area.pages.end()));
        let above = |area: &Area| PageRange::new(pages.end().max(area.pages.start()), area.pages.end());
        let part = |area: &Area, range: Option<PageRange>| {
            range.filter(|range| !range.is_empty()).and_then(|range| area.part(range))
        };
        for area in window {
            part(area, below(area)).into_iter().for_each(&mut push);
            if area.pages.end() > pages.start() {
                new.take().into_iter().for_each(&mut push);
            }
            part(area, Some(pages)).and_then(&mut change).into_iter().for_each(&mut push);
            part(area, above(area)).into_iter().for_each(&mut push);
        }
        new.take().into_iter().for_each(&mut push);
        // Its length is known before, so the tail moves once.
        self.areas.splice(first..last, fresh.into_iter().take(count));
        true
    }

    /// Adds an area where nothing is, as part of its neighbours if it is like them. Room was reserved.
    fn insert(&mut self, area: Area) {
        self.pages += counted(&area);
        let index = self.first_starting_at_or_after(area.pages.start());
        let joined = index
            .checked_sub(1)
            .and_then(|before| self.areas[before].joined(area).map(|area| (before, area)));
        match joined {
            Some((before, area)) => {
                self.areas[before] = area;
                self.join(before, index + 1);
            }
            None => match self.areas.get(index).and_then(|next| area.joined(*next)) {
                Some(area) => self.areas[index] = area,
                None => self.areas.insert(index, area),
            },
        }
    }

    /// Joins what can be joined among the areas `first..end`.
    fn join(&mut self, first: usize, end: usize) {
        let end = end.min(self.areas.len());
        let mut kept = first;
        // One pass, however many: a program chooses how many areas there are.
        for index in first + 1..end {
            let next = self.areas[index];
            if let Some(area) = self.areas[kept].joined(next) {
                self.areas[kept] = area;
            } else {
                kept += 1;
                self.areas[kept] = next;
            }
        }
        if kept + 1 < end {
            self.areas.drain(kept + 1..end);
        }
    }
}

/// The pages of an area that count against the limit.
fn counted(area: &Area) -> u64 {
    if area.backing.has_pages() { area.pages.count() } else { 0 }
}

fn new_area(pages: PageRange, request: Request) -> Result<Area, Error> {
    let permitted = if request.backing == Backing::Guard { Permitted::NONE } else { request.permitted };
    if !permitted.allows(request.access) || request.access != Access::None && !request.backing.has_pages() {
        return Err(Error::NotPermitted);
    }
    let first = match request.backing {
        Backing::File(window) => window.first,
        Backing::Shared(window) => window.first,
        Backing::Anonymous | Backing::Reserved | Backing::Guard => 0,
    };
    first.checked_add(pages.count()).ok_or(Error::WindowTooLong)?;
    Ok(Area { pages, access: request.access, permitted, backing: request.backing.clipped(pages.count()) })
}

fn user_range(page: Page, count: u64) -> Result<PageRange, Error> {
    let pages = PageRange::with_len(page, count).ok_or(Error::OutOfRange)?;
    check_user(pages)?;
    Ok(pages)
}

fn check_user(pages: PageRange) -> Result<(), Error> {
    if pages.is_empty() {
        return Err(Error::Empty);
    }
    if pages.start() < Page::containing(USER_START) || pages.end() > Page::containing(USER_END) {
        return Err(Error::OutOfRange);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
