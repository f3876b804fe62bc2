//! Mapping memory.

use alloc::sync::Arc;

use swos_abi::{Errno, Handle, MapFlags, Protection, Rights};
use swos_aspace::{Backing, FileWindow, ObjectId, Permitted, Placement, Request};
use swos_units::{Page, VirtAddr, page_count};
use swos_vm::{Access, PageRange, Progress};

use crate::{
    Kernel, Machine,
    object::Object,
    space::{Inner, Space, TableFrames, Translation},
    thread::Thread,
    wait::{CallResult, Stop},
};

/// Table entries changed in one step of a call; then interrupts get their turn.
const PAGES_PER_STEP: usize = 128;
/// Pages that a new mapping replaces at once, so that other threads never find a hole: the longest step of all.
const REPLACED_AT_ONCE: usize = 1024;

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
        if !flags.contains(MapFlags::PRIVATE) || flags.contains(MapFlags::SHARED) || length == 0 {
            return Err(Errno::INVAL.into());
        }
        let (backing, permitted) = if flags.contains(MapFlags::ANONYMOUS) {
            let backing = if access == Access::None { Backing::Reserved } else { Backing::Anonymous };
            (backing, Permitted::ALL)
        } else {
            self.file_backing(thread, handle, offset, length)?
        };
        let start = VirtAddr::new(address);
        let fixed = flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
        if (fixed || address != 0) && !start.is_page_aligned() {
            return Err(Errno::INVAL.into());
        }
        let page = Page::containing(start);
        let placement = match (fixed, address) {
            (true, _) => Placement::At(page),
            (false, 0) => Placement::Anywhere,
            (false, _) => Placement::Hint(page),
        };
        let request = Request { placement, pages: page_count(length), access, permitted, backing };
        if flags.contains(MapFlags::FIXED) && !flags.contains(MapFlags::FIXED_NOREPLACE) {
            let pages = PageRange::with_len(page, request.pages).ok_or(Errno::NOMEM)?;
            if request.pages <= REPLACED_AT_ONCE as u64 {
                return self.replace_pages(thread, request, pages);
            }
            // What was there must be gone from the tables before the new mapping can be seen.
            self.unmap_pages(thread, pages)?;
        }
        let mut inner = thread.process.space.inner.lock();
        let pages = inner.areas.map(request).map_err(area_errno)?;
        Ok(pages.start().start().get())
    }

    /// Puts a mapping in place of what is there, in one step: another thread finds the old pages or the new ones, never none.
    fn replace_pages(&self, thread: &Thread<M>, request: Request, pages: PageRange) -> CallResult {
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        inner.areas.map_over(request, |_| {}).map_err(area_errno)?;
        if !matches!(inner.tables, Translation::Live(_)) {
            return Err(Errno::NOMEM.into());
        }
        // Its tables are used again at once.
        let vacant = PageRange::with_len(pages.start(), 0).ok_or(Errno::INVAL)?;
        let mut rest = pages;
        while let Progress::More(next) = self.free_pages(space, &mut inner, rest, vacant, REPLACED_AT_ONCE)? {
            rest = PageRange::new(next, pages.end()).unwrap_or(vacant);
        }
        Ok(pages.start().start().get())
    }

    /// Takes pages out of the tables and gives their frames back, reading at most about `budget` entries.
    fn free_pages(
        &self,
        space: &Space,
        inner: &mut Inner,
        pages: PageRange,
        vacant: PageRange,
        budget: usize,
    ) -> Result<Progress, Stop> {
        let Translation::Live(tables) = &mut inner.tables else { return Ok(Progress::Done) };
        let mut freed = 0;
        let progress = tables
            .unmap_range(
                &mut TableFrames(self),
                &mut space.tlb(&self.machine),
                pages,
                vacant,
                budget,
                |_, mapping| {
                    self.machine.release_frame(mapping.frame);
                    freed += 1;
                },
            )
            .map_err(|_| Errno::INVAL)?;
        inner.resident = inner.resident.saturating_sub(freed);
        Ok(progress)
    }

    fn file_backing(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        offset: u64,
        length: u64,
    ) -> Result<(Backing, Permitted), Stop> {
        if !VirtAddr::new(offset).is_page_aligned() {
            return Err(Errno::INVAL.into());
        }
        let rights = thread.process.handles.lock().get(handle).map_err(super::handle_errno)?.1;
        let Object::File(file) = Self::object(thread, handle, Rights::MAP | Rights::READ)? else {
            return Err(Errno::NODEV.into());
        };
        let vnode = file.open.lock().open.vnode;
        let object = self.mappable(vnode)?;
        let size = self.attributes(vnode)?.size;
        let bytes = size.saturating_sub(offset).min(length);
        let first = page_count(offset);
        let permitted = if rights.contains(Rights::EXECUTE) { Permitted::ALL } else { Permitted::READ_WRITE };
        Ok((Backing::File(FileWindow { object: ObjectId(object), first, bytes }), permitted))
    }

    pub(super) fn munmap(&self, thread: &Arc<Thread<M>>, address: u64, length: u64) -> CallResult {
        let pages = page_range(address, length)?;
        self.unmap_pages(thread, pages)?;
        Ok(0)
    }

    /// Unmaps in steps. While it goes on the range is reserved, so that no other thread maps into it.
    fn unmap_pages(&self, thread: &Arc<Thread<M>>, pages: PageRange) -> Result<(), Stop> {
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        let first_step = thread.progress.done() == 0;
        let whole_in_one = pages.count() <= PAGES_PER_STEP as u64;
        if whole_in_one {
            inner.areas.unmap(pages, |_| {}).map_err(area_errno)?;
        } else if first_step {
            let reserved = Request {
                placement: Placement::At(pages.start()),
                pages: pages.count(),
                access: Access::None,
                permitted: Permitted::NONE,
                backing: Backing::Reserved,
            };
            inner.areas.map_over(reserved, |_| {}).map_err(area_errno)?;
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
                Err(Stop::Again)
            }
            Progress::Done => {
                if !whole_in_one {
                    inner.areas.unmap(pages, |_| {}).map_err(area_errno)?;
                    thread.progress.lock().done = 0;
                }
                Ok(())
            }
        }
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
        let space = &thread.process.space;
        let mut inner = space.inner.lock();
        // Repeating it on a restart changes nothing: the areas say already what the tables come to say.
        inner.areas.protect(pages, access).map_err(area_errno)?;
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
                Err(Stop::Again)
            }
            Progress::Done => Ok(0),
        }
    }
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
