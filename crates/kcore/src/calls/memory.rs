//! Mapping memory.

use alloc::sync::Arc;

use swos_abi::{ADVISE_DISCARD, Errno, Handle, MapFlags, Protection, Rights};
use swos_aspace::{Backing, FileWindow, ObjectWindow, Permitted, Placement, Request, Search};
use swos_units::{Page, VirtAddr, page_count};
use swos_vm::{Access, PageRange, Progress};

use crate::{
    Kernel, Machine,
    memory::{Mapped, MemoryObject},
    object::Object,
    space::{Inner, Space, TableFrames, Translation},
    thread::{Registered, Thread},
    wait::{CallResult, Stop},
};

/// Table entries changed in one step of a call; then interrupts get their turn.
const PAGES_PER_STEP: usize = 128;
/// Pages that a new mapping replaces at once, without keeping others away: fewer than a step changes.
const REPLACED_AT_ONCE: u64 = 20;
/// Areas changed in one step: each may be the last one of its file, which then goes as well.
const AREAS_PER_STEP: usize = 20;
/// Areas looked at in one step for free pages between them; the new area may move all of them.
const AREAS_PER_SEARCH: usize = 512;
/// Areas looked at in one step.
const AREAS_PER_LOOK: usize = 512;
/// The same before their pages are discarded, some of them in that step already.
const AREAS_DISCARDED: usize = 256;

impl<M: Machine> Kernel<M> {
    #[expect(clippy::too_many_arguments, reason = "the call has six")]
    pub(super) fn mmap(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        length: u64,
        protection: u32,
        flags: u32,
        handle: Handle,
        offset: u64,
    ) -> CallResult {
        let access = access_of(protection)?;
        let flags = MapFlags::from_bits(flags).ok_or(Errno::INVAL)?;
        let shared = flags.contains(MapFlags::SHARED);
        if shared == flags.contains(MapFlags::PRIVATE) || length == 0 {
            return Err(Errno::INVAL.into());
        }
        let start = VirtAddr::new(address);
        let fixed = flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
        if (fixed || address != 0) && !start.is_page_aligned() {
            return Err(Errno::INVAL.into());
        }
        let replaced = flags.contains(MapFlags::FIXED) && !flags.contains(MapFlags::FIXED_NOREPLACE);
        let page = Page::containing(start);
        if replaced && thread.progress.earlier() != 0 {
            self.take_out_replaced(thread, page_range(address, length)?)?;
            return Ok(address);
        }
        // An area, and perhaps an object, is the kernel's memory.
        self.room_for_objects()?;
        let placement = match (fixed, address) {
            (true, _) => Placement::At(page),
            (false, 0) => Placement::Anywhere,
            (false, _) => Placement::Hint(page),
        };
        let over = if replaced { Over::Anything } else { Over::Nothing };
        let pages = page_count(length);
        let (placement, sought) = match self.seek_pages(thread, placement, pages)? {
            Some(free) => (Placement::At(free), true),
            None => (placement, false),
        };
        let wish = Wish { placement, pages, access, over, sought };
        let crowded = (replaced && wish.pages > REPLACED_AT_ONCE).then(|| page_range(address, length).ok());
        let clear = |pages: Option<PageRange>| pages.map_or(Ok(()), |pages| self.make_way(thread, pages));
        if flags.contains(MapFlags::ANONYMOUS) {
            clear(crowded.flatten())?;
            return if shared {
                self.map_unnamed(thread, wish, length)
            } else {
                let backing = if access == Access::None { Backing::Reserved } else { Backing::Anonymous };
                let source = Source { backing, permitted: Permitted::ALL, object: None };
                self.map_pages(thread, wish, &source)
            };
        }
        let source = self.named_source(thread, handle, offset, shared)?;
        let mapped = clear(crowded.flatten()).and_then(|()| self.map_pages(thread, wish, &source));
        if let Some(Mapped::Held(file)) = &source.object {
            self.let_go(file);
        }
        mapped
    }

    /// Looks for free pages among many areas, a part at each try of the call. `None` = there are few, or it is known where.
    fn seek_pages(&self, thread: &Thread<M>, placement: Placement, pages: u64) -> Result<Option<Page>, Stop> {
        let inner = thread.process.space.inner.lock();
        let known = match placement {
            Placement::Anywhere => false,
            Placement::Hint(page) => inner.areas.takes_hint(page, pages),
            Placement::At(_) => true,
        };
        if known || inner.areas.area_count() <= AREAS_PER_SEARCH {
            return Ok(None);
        }
        let from = Page::from_number(thread.progress.done()).filter(|page| page.number() != 0);
        match inner.areas.seek(pages, from, AREAS_PER_SEARCH).map_err(area_errno)? {
            Search::Found(page) => Ok(Some(page)),
            Search::Further(page) => {
                thread.progress.lock().done = page.number();
                Err(Stop::AGAIN)
            }
        }
    }

    /// Maps a memory object that has no handle: only the mapping keeps it, if there is one.
    fn map_unnamed(&self, thread: &Arc<Thread<M>>, wish: Wish, length: u64) -> CallResult {
        let object = self.new_memory(&thread.process.memory, length)?;
        let mapped = self.map_pages(thread, wish, &shared_source(&object, 0, Permitted::READ_WRITE));
        self.close_memory(&object);
        mapped
    }

    /// Maps pages, in place of what is there or where nothing is: another thread finds the old pages or the new ones, never
    /// none.
    fn map_pages(&self, thread: &Arc<Thread<M>>, wish: Wish, source: &Source) -> CallResult {
        let Wish { placement, pages, access, over, sought } = wish;
        let Source { permitted, backing, .. } = *source;
        let request = Request { placement, pages, access, permitted, backing };
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        if !matches!(inner.tables, Translation::Live(_)) {
            return Err(Errno::NOMEM.into());
        }
        let pages = match self.map_area(space, &mut inner, request, source.object.as_ref(), over) {
            // Another thread was faster: the search begins anew.
            Err(Errno::EXIST) if sought => {
                thread.progress.lock().done = 0;
                return Err(Stop::AGAIN);
            }
            other => other?,
        };
        drop(inner);
        if over == Over::Anything {
            self.take_out_replaced(thread, pages)?;
        }
        Ok(pages.start().start().get())
    }

    /// Prepares for a mapping over `pages` that takes many steps: nobody else changes the space meanwhile, and who touches a
    /// page that went waits. Areas beyond what one step can replace go before; should the mapping fail then, they are gone.
    fn make_way(&self, thread: &Arc<Thread<M>>, pages: PageRange) -> Result<(), Stop> {
        self.change_alone(thread)?;
        if self.has_many_areas(thread, pages) { Err(self.unmap_highest(thread, pages)?) } else { Ok(()) }
    }

    /// Takes the old pages out of the tables, whose areas are the new ones already. Its tables are used again at once.
    fn take_out_replaced(&self, thread: &Thread<M>, pages: PageRange) -> Result<(), Stop> {
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        let vacant = PageRange::with_len(pages.start(), 0).ok_or(Errno::INVAL)?;
        let start = Page::from_number(pages.start().number() + thread.progress.done()).unwrap_or_default();
        let rest = PageRange::new(start, pages.end()).unwrap_or(pages);
        match self.free_pages(space, &mut inner, rest, vacant, PAGES_PER_STEP)? {
            Progress::More(next) => {
                let mut progress = thread.progress.lock();
                progress.done = next.number() - pages.start().number();
                progress.earlier = 1;
                Err(Stop::AGAIN)
            }
            Progress::Done => Ok(()),
        }
    }

    /// Whether there are more areas in `pages` than one step can change.
    fn has_many_areas(&self, thread: &Thread<M>, pages: PageRange) -> bool {
        pages.count() > AREAS_PER_STEP as u64
            && thread.process.space.inner.lock().areas.highest(pages, AREAS_PER_STEP) != pages
    }

    /// Unmaps a step's worth of areas at the upper end of `pages`, page by page and then the areas.
    fn unmap_highest(&self, thread: &Thread<M>, pages: PageRange) -> Result<Stop, Errno> {
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        let part = inner.areas.highest(pages, AREAS_PER_STEP);
        let start = Page::from_number(part.start().number() + thread.progress.done()).unwrap_or_default();
        let rest = PageRange::new(start, part.end()).unwrap_or(part);
        let vacant = PageRange::with_len(part.start(), 0).ok_or(Errno::INVAL)?;
        thread.progress.lock().done =
            match self.free_pages(space, &mut inner, rest, vacant, PAGES_PER_STEP)? {
                Progress::More(next) => next.number() - part.start().number(),
                Progress::Done => {
                    self.unmap_areas(space, &mut inner, part)?;
                    0
                }
            };
        Ok(Stop::AGAIN)
    }

    /// Adds an area, and counts its pages to the object that it shows.
    pub(crate) fn map_area(
        &self,
        space: &Arc<Space>,
        inner: &mut Inner,
        request: Request,
        object: Option<&Mapped>,
        over: Over,
    ) -> Result<PageRange, Errno> {
        let Inner { areas, objects, .. } = inner;
        let id = request.backing.object();
        if let (Some(id), Some(object)) = (id, object) {
            objects.reserve().map_err(area_errno)?;
            self.attach(space, object)?;
            // Before what it replaces goes: that may be pages of the same object.
            let _known = objects.add(id, request.pages, object.clone());
        }
        let mapped = match over {
            Over::Nothing => areas.map(request),
            Over::Anything => areas.map_over(request, |gone| self.forget_area(space, objects, &gone)),
        };
        if mapped.is_err()
            && let Some(object) = id.and_then(|id| objects.take(id, request.pages))
        {
            self.detach(space, object);
        }
        mapped.map_err(area_errno)
    }

    /// What a handle offers to a mapping. A file in memory is then kept until [`let_go`](Self::let_go).
    fn named_source(
        &self,
        thread: &Arc<Thread<M>>,
        handle: Handle,
        offset: u64,
        shared: bool,
    ) -> Result<Source, Stop> {
        if !VirtAddr::new(offset).is_page_aligned() {
            return Err(Errno::INVAL.into());
        }
        let rights = thread.process.handles.lock().get(handle).map_err(super::handle_errno)?.1;
        let object = Self::object(thread, handle, Rights::MAP | Rights::READ)?;
        let mut permitted = Permitted::READ;
        if rights.contains(Rights::WRITE) || !shared {
            permitted = permitted.or(Permitted::READ_WRITE);
        }
        if rights.contains(Rights::EXECUTE) {
            permitted = permitted.or(Permitted::READ_EXECUTE);
        }
        let first = page_count(offset);
        let mapped = match object {
            Object::Memory(memory) => Mapped::Memory(memory),
            Object::File(file) => {
                let vnode = file.open.lock().open.vnode;
                self.mapped_source(vnode)?
            }
            _ => return Err(Errno::NODEV.into()),
        };
        let (object, fixed) = match &mapped {
            Mapped::Memory(memory) => (memory.id, false),
            Mapped::Held(file) => (file.id, false),
            // Nobody writes it: whoever shares it sees what whoever has it for itself sees.
            Mapped::File(_) => (self.new_object_id(), true),
        };
        let backing = if shared && !fixed {
            Backing::Shared(ObjectWindow { object, first })
        } else {
            // All are the object's, whatever its size: beyond its end there is no page.
            Backing::File(FileWindow { object, first, bytes: u64::MAX })
        };
        Ok(Source { backing, permitted, object: Some(mapped) })
    }

    pub(super) fn munmap(&self, thread: &Arc<Thread<M>>, address: u64, length: u64) -> CallResult {
        let pages = page_range(address, length)?;
        self.unmap_pages(thread, pages)?;
        Ok(0)
    }

    /// Unmaps in steps. While it goes on the range is reserved, so that no other thread maps into it.
    fn unmap_pages(&self, thread: &Arc<Thread<M>>, pages: PageRange) -> Result<(), Stop> {
        if self.has_many_areas(thread, pages) {
            self.change_alone(thread)?;
            return Err(self.unmap_highest(thread, pages)?);
        }
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        let whole_in_one = pages.count() <= PAGES_PER_STEP as u64;
        if whole_in_one {
            self.unmap_areas(space, &mut inner, pages)?;
        } else if !inner.areas.find(pages.start().start()).is_some_and(|area| {
            area.backing == Backing::Reserved && area.permitted == Permitted::NONE && area.pages.covers(pages)
        }) {
            // The first step; or another thread mapped over it meanwhile, and its pages go as well.
            thread.progress.lock().done = 0;
            let reserved = Request {
                placement: Placement::At(pages.start()),
                pages: pages.count(),
                access: Access::None,
                permitted: Permitted::NONE,
                backing: Backing::Reserved,
            };
            self.map_area(space, &mut inner, reserved, None, Over::Anything)?;
        }
        let start = Page::from_number(pages.start().number() + thread.progress.done()).unwrap_or_default();
        let rest = PageRange::new(start, pages.end()).unwrap_or(pages);
        let vacant = inner.areas.vacancy(rest);
        if !matches!(inner.tables, Translation::Live(_)) {
            return Ok(());
        }
        match self.free_pages(space, &mut inner, rest, vacant, PAGES_PER_STEP)? {
            Progress::More(next) => {
                thread.progress.lock().done = next.number() - pages.start().number();
                Err(Stop::AGAIN)
            }
            Progress::Done => {
                if !whole_in_one {
                    self.unmap_areas(space, &mut inner, pages)?;
                    thread.progress.lock().done = 0;
                }
                Ok(())
            }
        }
    }

    /// Gives back what pages hold. The areas stay: private pages come again as zeroes or as the file's, those of an object from the
    /// object, which keeps them.
    pub(super) fn memory_advise(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        length: u64,
        advice: u32,
    ) -> CallResult {
        if advice != ADVISE_DISCARD || !VirtAddr::new(address).is_page_aligned() {
            return Err(Errno::INVAL.into());
        }
        let pages = page_range(address, length)?;
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        let start = Page::from_number(pages.start().number() + thread.progress.done());
        let rest = start.and_then(|start| PageRange::new(start, pages.end())).unwrap_or(pages);
        // All of them are looked at before the first page goes: `found` is how many pages were.
        let (_, looked) = thread.progress.done_and_found();
        let unlooked = Page::from_number(pages.start().number() + looked)
            .and_then(|start| PageRange::new(start, pages.end()))
            .unwrap_or(pages);
        let (mut areas, mut mapped) = (0, 0);
        for part in inner.areas.parts(unlooked).take(AREAS_DISCARDED) {
            if part.pages.start().number() != unlooked.start().number() + mapped {
                break;
            }
            (areas, mapped) = (areas + 1, mapped + part.pages.count());
        }
        if mapped < unlooked.count() && areas < AREAS_DISCARDED {
            return Err(Errno::NOMEM.into());
        }
        if areas > 0 && pages.count() > PAGES_PER_STEP as u64 {
            thread.progress.note(thread.progress.done(), looked + mapped, Registered::TakenBack);
        }
        if mapped < unlooked.count() {
            return Err(Stop::AGAIN);
        }
        // The tables stay: the pages are touched again.
        let vacant = PageRange::with_len(rest.start(), 0).ok_or(Errno::INVAL)?;
        match self.free_pages(space, &mut inner, rest, vacant, PAGES_PER_STEP)? {
            Progress::More(next) => {
                thread.progress.lock().done = next.number() - pages.start().number();
                Err(Stop::AGAIN)
            }
            Progress::Done => Ok(0),
        }
    }

    fn unmap_areas(&self, space: &Space, inner: &mut Inner, pages: PageRange) -> Result<(), Errno> {
        let Inner { areas, objects, .. } = inner;
        areas.unmap(pages, |gone| self.forget_area(space, objects, &gone)).map_err(area_errno)
    }

    /// A step of changing many areas: all are checked before the first one changes. Nobody else changes the space meanwhile.
    fn protect_areas(&self, thread: &Thread<M>, pages: PageRange, access: Access) -> Result<Stop, Errno> {
        let mut inner = thread.process.space.inner.lock();
        let mut progress = thread.progress.lock();
        // Checked pages, from the upper end; then `done` is how many more count, and after that how many are changed.
        let checked = progress.found == pages.count();
        let (past, most) =
            if checked { (progress.done, AREAS_PER_STEP) } else { (progress.found, AREAS_PER_LOOK) };
        let end = Page::from_number(pages.end().number() - past).unwrap_or_default();
        let rest = PageRange::new(pages.start(), end).unwrap_or(pages);
        let part = inner.areas.highest(rest, most);
        if checked {
            inner.areas.protect(part, access).map_err(area_errno)?;
            progress.done += part.count();
            if progress.done == pages.count() {
                (progress.done, progress.earlier) = (0, 1);
            }
        } else {
            progress.done += inner.areas.check_protect(part, access).map_err(area_errno)?;
            progress.found += part.count();
            if progress.found == pages.count() {
                inner.areas.admit_protect(pages, progress.done).map_err(area_errno)?;
                progress.done = 0;
            }
        }
        Ok(Stop::AGAIN)
    }

    pub(super) fn mprotect(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        length: u64,
        protection: u32,
    ) -> CallResult {
        let access = access_of(protection)?;
        let pages = page_range(address, length)?;
        if thread.progress.earlier() == 0 && thread.progress.done_and_found() == (0, 0) {
            // It may split areas. Once begun it must get to its end.
            self.room_for_objects()?;
        }
        if thread.progress.earlier() == 0 && self.has_many_areas(thread, pages) {
            self.change_alone(thread)?;
            return Err(self.protect_areas(thread, pages, access)?);
        }
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        if thread.progress.earlier() == 0 {
            // Repeating it on a restart changes nothing: the areas say already what the tables come to say.
            inner.areas.protect(pages, access).map_err(area_errno)?;
        }
        let done = thread.progress.done();
        let start = Page::from_number(pages.start().number() + done).unwrap_or_default();
        let rest = PageRange::new(start, pages.end()).unwrap_or(pages);
        let Translation::Live(tables) = &mut inner.tables else { return Ok(0) };
        let progress = if access == Access::ReadExecute {
            // The instructions must be visible before they can be fetched.
            let shown = tables
                .visit(&TableFrames(self), rest, PAGES_PER_STEP, |_, mapping| {
                    self.machine.sync_instructions(mapping.frame);
                })
                .map_err(|_| Errno::INVAL)?;
            let end = match shown {
                Progress::More(next) => next,
                Progress::Done => rest.end(),
            };
            let part = PageRange::new(rest.start(), end).unwrap_or(rest);
            let changed = tables.protect_range(
                &mut TableFrames(self),
                &mut space.tlb(&self.machine),
                part,
                access,
                PAGES_PER_STEP,
            );
            match (changed.map_err(|_| Errno::INVAL)?, shown) {
                (Progress::More(next), _) | (Progress::Done, Progress::More(next)) => Progress::More(next),
                (Progress::Done, Progress::Done) => Progress::Done,
            }
        } else {
            tables
                .protect_range(
                    &mut TableFrames(self),
                    &mut space.tlb(&self.machine),
                    rest,
                    access,
                    PAGES_PER_STEP,
                )
                .map_err(|_| Errno::INVAL)?
        };
        match progress {
            Progress::More(next) => {
                thread.progress.lock().done = next.number() - pages.start().number();
                Err(Stop::AGAIN)
            }
            Progress::Done => Ok(0),
        }
    }
}

/// Where a new mapping is to lie, and how it may be used first.
struct Wish {
    placement: Placement,
    pages: u64,
    access: Access,
    over: Over,
    /// The place was looked for among many areas: nobody asked for it.
    sought: bool,
}

/// What a new mapping shows.
struct Source {
    backing: Backing,
    permitted: Permitted,
    object: Option<Mapped>,
}

fn shared_source(memory: &Arc<MemoryObject>, first: u64, permitted: Permitted) -> Source {
    let backing = Backing::Shared(ObjectWindow { object: memory.id, first });
    Source { backing, permitted, object: Some(Mapped::Memory(memory.clone())) }
}

/// What a new mapping may take the place of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    /// Nothing: what is there stays, and the new one is refused.
    Nothing,
    /// Whatever is there.
    Anything,
}

/// What a protection means; writable and executable at once is refused.
fn access_of(protection: u32) -> Result<Access, Errno> {
    let protection = Protection::from_bits(protection).ok_or(Errno::INVAL)?;
    if protection.contains(Protection::WRITE | Protection::EXECUTE) {
        return Err(Errno::ACCES);
    }
    Ok(if protection.contains(Protection::WRITE) {
        Access::ReadWrite
    } else if protection.contains(Protection::EXECUTE) {
        Access::ReadExecute
    } else if protection.contains(Protection::READ) {
        Access::ReadOnly
    } else {
        Access::None
    })
}

fn page_range(address: u64, length: u64) -> Result<PageRange, Errno> {
    if length == 0 || !VirtAddr::new(address).is_user_range(length) {
        return Err(Errno::INVAL);
    }
    PageRange::of_bytes(VirtAddr::new(address), length).ok_or(Errno::INVAL)
}

pub(crate) const fn area_errno(error: swos_aspace::Error) -> Errno {
    match error {
        swos_aspace::Error::Empty | swos_aspace::Error::WindowTooLong => Errno::INVAL,
        swos_aspace::Error::Occupied => Errno::EXIST,
        swos_aspace::Error::NotPermitted => Errno::ACCES,
        swos_aspace::Error::OutOfRange
        | swos_aspace::Error::Unmapped
        | swos_aspace::Error::NoSpace
        | swos_aspace::Error::TooManyAreas
        | swos_aspace::Error::TooManyPages
        | swos_aspace::Error::NoMemory => Errno::NOMEM,
    }
}
