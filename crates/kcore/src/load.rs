//! From a program file to an address space that is ready to run it.

use alloc::{sync::Arc, vec::Vec};

use swos_abi::{AUX_END, AUX_ENTRY, AUX_PAGE_SIZE, AUX_RANDOM, AUX_TIME_PAGE, Errno};
use swos_aspace::{Backing, FileWindow, Limits, Permitted, Placement, Request};
use swos_elf::{Addressing, LoadPlan, SegmentAccess};
use swos_sync::LockGuard;
use swos_units::{PAGE_SIZE, Page, VirtAddr, page_count};
use swos_vfs::VnodeId;
use swos_vm::{Access, Attributes, PageRange, Sharing};

use crate::{
    Kernel, Machine,
    calls::{Over, area_errno},
    files::PageWanted,
    machine::Start,
    space::{Inner, Space, TableFrames, Translation},
    thread::Thread,
    wait::Stop,
};

/// Pages of the first thread's stack; they get frames as they are used.
const STACK_PAGES: u64 = 2048;
/// Pages below the stack that catch an overflow.
const GUARD_PAGES: u64 = 16;
/// Bytes of arguments and environment together, with eight more for each of them: what points to it.
pub(crate) const STRINGS_MAX: usize = 128 * 1024;
/// Lowest place of a program that can be moved, and how far above it may lie: 36 random bits.
const IMAGE_BASE: u64 = 1 << 36;
const IMAGE_RANDOM: u64 = (1 << 44) - 1;
/// How far below the top of user space the mappings may start.
const BASE_RANDOM: u64 = (1 << 40) - 1;

/// What a program starts with.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    /// Arguments, each ended by a zero byte.
    pub(crate) args: Vec<u8>,
    /// Environment, each ended by a zero byte.
    pub(crate) env: Vec<u8>,
}

/// A space with a program in it, and where that starts.
pub(crate) struct Loaded {
    pub(crate) space: Arc<Space>,
    pub(crate) start: Start,
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
            PageWanted::Wait => Err(Stop::Wait),
            PageWanted::Failed => Err(Errno::IO.into()),
            PageWanted::NoMemory => Err(Errno::NOMEM.into()),
        }
    }

    /// Makes the address space of a program. Nothing in it is read yet but its first page.
    pub(crate) fn load(
        &self,
        plan: &LoadPlan,
        vnode: VnodeId,
        strings: &Strings,
        memory_limit: u64,
    ) -> Result<Loaded, Errno> {
        let base = VirtAddr::new(VirtAddr::USER_LIMIT - (self.placement() & BASE_RANDOM) - PAGE_SIZE as u64);
        let limits = Limits { pages: page_count(memory_limit), ..Limits::default() };
        let space = Space::new(self, base, limits).ok_or(Errno::NOMEM)?;
        let filled = self.fill(&space, plan, vnode, strings);
        match filled {
            Ok(start) => Ok(Loaded { space, start }),
            Err(errno) => {
                while !self.free_space(&space) {}
                Err(errno)
            }
        }
    }

    fn fill(
        &self,
        space: &Arc<Space>,
        plan: &LoadPlan,
        vnode: VnodeId,
        strings: &Strings,
    ) -> Result<Start, Errno> {
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
        let entry = bias.wrapping_add(plan.entry);
        let top = stack.end().start().get();
        let mut random = [0; 16];
        let seed = [self.placement().to_le_bytes(), self.placement().to_le_bytes()];
        random.copy_from_slice(seed.as_flattened());
        let content = stack_content(top, strings, &random, entry, time_page).ok_or(Errno::TOOBIG)?;
        self.fill_stack(space, &mut inner, stack, &content)?;
        let pointer = top - content.len() as u64;
        Ok(Start { entry: VirtAddr::new(entry), stack: VirtAddr::new(pointer), argument: pointer, tls: 0 })
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

    fn fill_stack(
        &self,
        space: &Space,
        inner: &mut LockGuard<'_, Inner>,
        stack: PageRange,
        content: &[u8],
    ) -> Result<(), Errno> {
        let pages = page_count(content.len() as u64);
        let first = stack.end().number().checked_sub(pages).ok_or(Errno::TOOBIG)?;
        // The content ends at the top of the stack.
        let lead = usize::try_from(pages).unwrap_or(0) * PAGE_SIZE - content.len();
        let mut rest = content;
        for number in first..stack.end().number() {
            let frame = self.frame().ok_or(Errno::NOMEM)?;
            self.machine.zero_frame(frame);
            let at = if number == first { lead } else { 0 };
            let (part, after) = rest.split_at_checked(PAGE_SIZE - at).unwrap_or((rest, &[]));
            self.machine.write_frame(frame, at, part);
            rest = after;
            let page = Page::from_number(number).ok_or(Errno::NOMEM)?;
            self.place(space, inner, page, frame, Attributes::user(Access::ReadWrite, Sharing::Private))?;
        }
        Ok(())
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

/// What lies at the top of a new stack, as System V has it: argument count, pointers to the arguments, 0, pointers to the
/// environment, 0, auxiliary vector, then the strings. `None` = too long.
fn stack_content(
    top: u64,
    strings: &Strings,
    random: &[u8; 16],
    entry: u64,
    time_page: u64,
) -> Option<Vec<u8>> {
    let texts = strings.args.len() + strings.env.len();
    let most = STRINGS_MAX.checked_sub(texts)? / 8;
    let args = starts(&strings.args, most)?;
    let env = starts(&strings.env, most - args.len())?;
    let words = 1 + args.len() + 1 + env.len() + 1 + 2 * 5;
    let total = (words * 8 + texts + random.len()).next_multiple_of(16);
    let strings_at = top - (texts + random.len()) as u64;
    let env_at = strings_at + strings.args.len() as u64;
    let random_at = env_at + strings.env.len() as u64;
    let mut content = Vec::new();
    content.try_reserve_exact(total).ok()?;
    let mut word = |value: u64| content.extend_from_slice(&value.to_le_bytes());
    word(args.len() as u64);
    args.iter().for_each(|at| word(strings_at + at));
    word(0);
    env.iter().for_each(|at| word(env_at + at));
    word(0);
    for (key, value) in [
        (AUX_PAGE_SIZE, PAGE_SIZE as u64),
        (AUX_ENTRY, entry),
        (AUX_RANDOM, random_at),
        (AUX_TIME_PAGE, time_page),
        (AUX_END, 0),
    ] {
        word(key);
        word(value);
    }
    content.resize(total - texts - random.len(), 0);
    content.extend_from_slice(&strings.args);
    content.extend_from_slice(&strings.env);
    content.extend_from_slice(random);
    Some(content)
}

/// Where the zero-ended strings in `bytes` start; `None` = there are more than `most`, or no memory for so many.
fn starts(bytes: &[u8], most: usize) -> Option<Vec<u64>> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if starts.len() == most {
            return None;
        }
        starts.try_reserve(1).ok()?;
        starts.push(at as u64);
        at += length(bytes.get(at..)?) + 1;
    }
    Some(starts)
}

/// Bytes before the first zero, looked for eight at a time: arguments may be long.
fn length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    let mut len = 0;
    for &word in bytes.as_chunks().0 {
        let word = u64::from_le_bytes(word);
        // The lowest bit that is set belongs to the first byte that is zero.
        let zeros = word.wrapping_sub(ONES) & !word & ONES << 7;
        if zeros != 0 {
            return len + zeros.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = bytes.get(len..).unwrap_or(&[]);
    len + rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
