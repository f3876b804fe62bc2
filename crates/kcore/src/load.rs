//! From a program file to an address space that is ready to run it.

mod content;

use alloc::sync::Arc;

use swos_abi::Errno;
use swos_aspace::{Backing, FileWindow, Limits, Permitted, Placement, Request};
use swos_elf::{Addressing, LoadPlan, SegmentAccess};
use swos_sync::LockGuard;
use swos_units::{PAGE_SIZE, Page, VirtAddr, page_count};
use swos_vfs::VnodeId;
use swos_vm::{Access, Attributes, Sharing};

use content::{Content, Places, RANDOM_BYTES};
pub(crate) use content::{STRINGS_MAX, Strings};

use crate::{
    Kernel, Machine,
    calls::{Over, area_errno},
    files::PageWanted,
    machine::Start,
    slice::Credit,
    space::{Inner, Space, TableFrames, Translation},
    thread::Thread,
    wait::Stop,
};

/// Pages of the first thread's stack; they get frames as they are used.
const STACK_PAGES: u64 = 2048;
/// Pages below the stack that catch an overflow.
const GUARD_PAGES: u64 = 16;
/// Lowest place of a program that can be moved, and how far above it may lie: 36 random bits.
const IMAGE_BASE: u64 = 1 << 36;
const IMAGE_RANDOM: u64 = (1 << 44) - 1;
/// How far below the top of user space the mappings may start.
const BASE_RANDOM: u64 = (1 << 40) - 1;

/// What a page of the stack costs, in instructions: a frame, cleared, written and mapped.
const PAGE_COST: u32 = 1500;

/// A space with a program in it, whose stack is being filled.
pub(crate) struct Loading {
    pub(crate) space: Arc<Space>,
    content: Content,
    /// Pages of the stack that are filled, and the page behind it.
    filled: u64,
    end: Page,
}

impl<M: Machine> Kernel<M> {
    /// Reads the headers of a program. Waits, on behalf of `thread`, for its first page.
    pub(crate) fn load_plan(
        &self,
        thread: Option<&Arc<Thread<M>>>,
        vnode: VnodeId,
    ) -> Result<LoadPlan, Stop> {
        let size = self.attributes(vnode)?.size;
        if size == 0 {
            return Err(Errno::NOEXEC.into());
        }
        match self.file_page(thread, vnode, 0) {
            PageWanted::Ready(frame) => {
                let head = self.machine.pin(frame);
                let len = usize::try_from(size).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
                let plan = swos_elf::parse(head.get(..len).unwrap_or(&[]), size);
                drop(head);
                self.machine.release_frame(frame);
                plan.map_err(|_| Errno::NOEXEC.into())
            }
            PageWanted::Wait => Err(Stop::WAIT),
            PageWanted::Failed => Err(Errno::IO.into()),
            PageWanted::NoMemory => Err(Errno::NOMEM.into()),
        }
    }

    /// Makes the address space of a program, all but its stack. Nothing in it is read yet but its first page.
    pub(crate) fn begin_load(
        &self,
        plan: &LoadPlan,
        vnode: VnodeId,
        strings: Strings,
        memory_limit: u64,
    ) -> Result<Loading, Errno> {
        let base = VirtAddr::new(VirtAddr::USER_LIMIT - (self.placement() & BASE_RANDOM) - PAGE_SIZE as u64);
        let limits = Limits { pages: page_count(memory_limit), ..Limits::default() };
        let space = Space::new(self, base, limits).ok_or(Errno::NOMEM)?;
        let laid_out = self.lay_out(&space, plan, vnode).and_then(|(places, end)| {
            let seed = [self.placement().to_le_bytes(), self.placement().to_le_bytes()];
            let mut random = [0; RANDOM_BYTES];
            random.copy_from_slice(seed.as_flattened());
            Ok((Content::new(strings, &random, places)?, end))
        });
        match laid_out {
            Ok((content, end)) => Ok(Loading { space, content, filled: 0, end }),
            Err(errno) => {
                // A few tables and one page.
                while !self.free_space(&space) {}
                Err(errno)
            }
        }
    }

    /// Fills more of the stack. `None` = the credit is used up; then it goes on from there.
    pub(crate) fn load_slice(
        &self,
        loading: &mut Loading,
        credit: &mut Credit,
    ) -> Result<Option<Start>, Errno> {
        if !loading.content.go_on(credit)? || !self.fill_stack(loading, credit)? {
            return Ok(None);
        }
        let entry = VirtAddr::new(loading.content.entry());
        let pointer = loading.content.start();
        Ok(Some(Start { entry, stack: VirtAddr::new(pointer), argument: pointer, tls: 0 }))
    }

    /// Maps the segments, the page with the time, and room for the stack. Returns where that ends.
    fn lay_out(&self, space: &Arc<Space>, plan: &LoadPlan, vnode: VnodeId) -> Result<(Places, Page), Errno> {
        let object = self.new_object_id();
        let file = self.mappable(vnode)?;
        let bias = match plan.addressing {
            Addressing::Fixed => 0,
            Addressing::Independent => {
                (IMAGE_BASE + (self.placement() & IMAGE_RANDOM)) & !(plan.alignment - 1)
            }
        };
        let mut inner = space.inner.lock();
        for segment in &plan.segments {
            let start = VirtAddr::new(bias.wrapping_add(segment.pages.start));
            let access = match segment.access {
                SegmentAccess::ReadOnly => Access::ReadOnly,
                SegmentAccess::ReadWrite => Access::ReadWrite,
                SegmentAccess::ReadExecute => Access::ReadExecute,
            };
            let permitted = match segment.access {
                SegmentAccess::ReadOnly => Permitted::READ,
                SegmentAccess::ReadWrite => Permitted::READ_WRITE,
                SegmentAccess::ReadExecute => Permitted::READ_EXECUTE,
            };
            let backing = if segment.file_bytes == 0 {
                Backing::Anonymous
            } else {
                Backing::File(FileWindow {
                    object,
                    first: page_count(segment.file_offset),
                    bytes: segment.file_bytes,
                })
            };
            let request = Request {
                placement: Placement::At(Page::containing(start)),
                pages: page_count(segment.pages.bytes),
                access,
                permitted,
                backing,
            };
            self.map_area(space, &mut inner, request, Some(&file), Over::Nothing)?;
        }
        let time_page = self.map_time_page(space, &mut inner)?;
        let stack = inner.areas.map_stack(STACK_PAGES, GUARD_PAGES).map_err(area_errno)?.stack;
        let (entry, end) = (bias.wrapping_add(plan.entry), stack.end());
        Ok((Places { top: end.start().get(), entry, time_page }, end))
    }

    fn map_time_page(&self, space: &Space, inner: &mut LockGuard<'_, Inner>) -> Result<u64, Errno> {
        let request = Request {
            placement: Placement::Anywhere,
            pages: 1,
            access: Access::ReadOnly,
            permitted: Permitted::READ,
            backing: Backing::Anonymous,
        };
        let page = inner.areas.map(request).map_err(area_errno)?.start();
        self.machine.share_frame(self.time_page);
        // Nobody writes it, and a copy of the space has it too.
        let attributes = Attributes::user(Access::ReadOnly, Sharing::CopyOnWrite);
        self.place(space, inner, page, self.time_page, attributes)?;
        Ok(page.start().get())
    }

    /// Fills the pages at the top of the stack, the highest first; false = the credit is used up before.
    fn fill_stack(&self, loading: &mut Loading, credit: &mut Credit) -> Result<bool, Errno> {
        let Loading { space, content, filled, end } = loading;
        let pages = page_count(end.start().get() - content.start());
        let mut inner = space.inner.lock();
        while *filled < pages {
            if !credit.take(PAGE_COST) {
                return Ok(false);
            }
            let number = end.number().checked_sub(*filled + 1).ok_or(Errno::TOOBIG)?;
            let page = Page::from_number(number).ok_or(Errno::NOMEM)?;
            let frame = self.frame().ok_or(Errno::NOMEM)?;
            self.machine.zero_frame(frame);
            for (offset, bytes) in content.in_page(page.start().get()) {
                self.machine.write_frame(frame, offset, bytes);
            }
            self.place(
                space,
                &mut inner,
                page,
                frame,
                Attributes::user(Access::ReadWrite, Sharing::Private),
            )?;
            *filled += 1;
        }
        Ok(true)
    }

    /// Maps a frame, whose reference passes to the tables.
    fn place(
        &self,
        space: &Space,
        inner: &mut LockGuard<'_, Inner>,
        page: Page,
        frame: swos_units::Frame,
        attributes: Attributes,
    ) -> Result<(), Errno> {
        let Translation::Live(tables) = &mut inner.tables else { return Err(Errno::NOMEM) };
        let mapped =
            tables.map_page(&mut TableFrames(self), &mut space.tlb(&self.machine), page, frame, attributes);
        if mapped.is_err() {
            self.machine.release_frame(frame);
            return Err(Errno::NOMEM);
        }
        inner.resident += 1;
        Ok(())
    }
}
