//! RAM and the kernel's own translation tables.

use arrayvec::ArrayVec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use swos_arch::image::{self, DEVICE_BASE, IMAGE_BASE, LINEAR_LIMIT};
use swos_arch::tlb::KernelTlb;
use swos_arch::{cpu, translation};
use swos_platform::{MAX_REGIONS, Platform, Region};
use swos_pmm::{FrameRange, FrameState, Order, Pmm};
use swos_sync::{Lock, OnceCell};
use swos_units::{Frame, PAGE_SIZE, Page, PhysAddr, VirtAddr, page_count};
use swos_vm::{Access, Attributes, Audit, Half, MemoryType, PageRange, TableMemory, Tables};

#[cfg(debug_assertions)]
use crate::ledger;
use crate::{layout, ranks};

/// What went wrong while memory was set up; each stops the boot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Error {
    /// The tables can't be made: memory map too fragmented for the boot pool, or an address that does not fit.
    Tables(swos_vm::Error),
    /// No room for the root of the tables.
    NoRoot,
    /// The memory map can't be managed.
    Map(swos_pmm::MapError),
    /// No hole in RAM is large enough for the metadata.
    NoRoom,
}

static FRAMES: OnceCell<Lock<Pmm<'static>>> = OnceCell::new();
static TABLES: OnceCell<Lock<Tables>> = OnceCell::new();
static ZERO_BLOCK: AtomicU64 = AtomicU64::new(0);

/// The linear map's address of a frame's first byte. Valid for frames of RAM.
#[inline]
pub(crate) fn linear(frame: Frame) -> *mut u8 {
    image::pointer(image::linear(frame.start()))
}

/// Table memory at boot: the pool at the end of the image, reached at its link address.
struct BootPool {
    next: VirtAddr,
    end: VirtAddr,
}

impl BootPool {
    fn entry(table: Frame, index: usize) -> *mut u64 {
        let offset = table.start().get().wrapping_sub(layout::image_phys(VirtAddr::new(IMAGE_BASE)).get());
        let page: *mut u64 = image::pointer(VirtAddr::new(IMAGE_BASE.wrapping_add(offset)));
        page.wrapping_add(index & 511)
    }
}

impl TableMemory for BootPool {
    fn read(&self, table: Frame, index: usize) -> u64 {
        // SAFETY: `vm` passes only frames that `alloc_table` gave it, which lie in the pool.
        unsafe { Self::entry(table, index).read() }
    }

    fn write(&mut self, table: Frame, index: usize, entry: u64) {
        // SAFETY: as above; nobody walks these tables yet.
        unsafe { Self::entry(table, index).write(entry) };
    }

    fn alloc_table(&mut self) -> Option<Frame> {
        let at = self.next;
        if at >= self.end {
            return None;
        }
        self.next = at.checked_add(PAGE_SIZE as u64)?;
        let page: *mut u8 = image::pointer(at);
        // SAFETY: a page of the pool that nobody has yet.
        unsafe { translation::zero_page(page, ZERO_BLOCK.load(Ordering::Relaxed)) };
        Some(Frame::containing(layout::image_phys(at)))
    }

    fn free_table(&mut self, _table: Frame) {}
}

/// Table memory later: frames of the allocator, reached through the linear map.
struct LinearTables;

impl TableMemory for LinearTables {
    fn read(&self, table: Frame, index: usize) -> u64 {
        // SAFETY: `vm` passes only frames of tables, which are RAM.
        unsafe { linear(table).cast::<u64>().wrapping_add(index & 511).read_volatile() }
    }

    fn write(&mut self, table: Frame, index: usize, entry: u64) {
        // SAFETY: as above; under the lock of the tables.
        unsafe { translation::store_entry(linear(table).cast::<u64>().wrapping_add(index & 511), entry) };
    }

    fn alloc_table(&mut self) -> Option<Frame> {
        // Before the frame allocator there is the pool: the console must work when the allocator can't.
        let frame = if FRAMES.get().is_some() { alloc()? } else { pool_frame()? };
        zero(frame);
        Some(frame)
    }

    fn free_table(&mut self, table: Frame) {
        release(table);
    }
}

/// Whole frames of the RAM regions without what the firmware keeps, sorted.
type Ram = ArrayVec<FrameRange, MAX_REGIONS>;

fn usable(platform: &Platform) -> Ram {
    let mut ram = Ram::new();
    for memory in &platform.memory {
        let mut base = memory.base;
        let limit = memory.end().min(LINEAR_LIMIT);
        // Reserved regions are sorted and disjoint.
        for reserved in platform.reserved.iter().filter(|reserved| reserved.end() > memory.base) {
            add(&mut ram, base, reserved.base.min(limit));
            base = base.max(reserved.end());
        }
        add(&mut ram, base, limit);
    }
    ram
}

fn add(ram: &mut Ram, base: u64, end: u64) {
    if let Some(len) = end.checked_sub(base)
        && let Some(base) = PhysAddr::new(base)
        && let Some(range) = FrameRange::inside(base, len)
    {
        // Pieces beyond the array are left unused.
        let _ = ram.try_push(range);
    }
}

fn pages(start: VirtAddr, end: VirtAddr) -> PageRange {
    PageRange::new(Page::containing(start), Page::containing(end))
        .unwrap_or_else(|| unreachable!("symbols are in order"))
}

/// Makes the kernel's tables and selects them. RAM that the platform names is reachable afterwards.
pub(crate) fn map_kernel(platform: &Platform) -> Result<(), Error> {
    ZERO_BLOCK.store(cpu::zero_block(), Ordering::Relaxed);
    let (start, end) = layout::pool();
    let mut pool = BootPool { next: start, end };
    let mut tables = Tables::new(Half::Kernel, &mut pool).ok_or(Error::NoRoot)?;
    let mut map = |pages: PageRange, frame, access, memory| {
        tables
            .map_range(&mut pool, &mut KernelTlb, pages, frame, Attributes::kernel(access, memory))
            .map_err(Error::Tables)
    };
    let base = VirtAddr::new(IMAGE_BASE);
    let sections = [
        (base, layout::text_end(), Access::ReadExecute),
        (layout::text_end(), layout::rodata_end(), Access::ReadOnly),
        (layout::rodata_end(), layout::boot_guard(), Access::ReadWrite),
        (VirtAddr::new(layout::boot_stack().start), layout::image_end(), Access::ReadWrite),
    ];
    for (start, end, access) in sections {
        map(pages(start, end), Frame::containing(layout::image_phys(start)), access, MemoryType::Normal)?;
    }
    // The linear map; code and constants are not writable there either.
    let constant = (
        Frame::containing(layout::image_phys(base)),
        Frame::containing(layout::image_phys(layout::rodata_end())),
    );
    for range in usable(platform) {
        let (first, end) = (range.first().number(), range.first().number() + range.count());
        let (from, to) = (constant.0.number().clamp(first, end), constant.1.number().clamp(first, end));
        for (start, end, access) in
            [(first, from, Access::ReadWrite), (from, to, Access::ReadOnly), (to, end, Access::ReadWrite)]
        {
            if start < end {
                let frame = Frame::from_number(start).unwrap_or_default();
                let page = Page::containing(image::linear(frame.start()));
                let pages = PageRange::with_len(page, end - start).ok_or(Error::NoRoom)?;
                map(pages, frame, access, MemoryType::Normal)?;
            }
        }
    }
    // SAFETY: the image is mapped at its link address by section, stack and data included; the boot tables were in
    // use until here. Devices are mapped later, the device tree is not used any more.
    unsafe { translation::leave_boot_tables(tables.root()) };
    POOL_NEXT.store(pool.next.get(), Ordering::Relaxed);
    let _ = TABLES.set(Lock::new(ranks::TABLES, tables));
    Ok(())
}

/// Next free byte of the boot pool. Only the first CPU uses it, before the frame allocator exists.
static POOL_NEXT: AtomicU64 = AtomicU64::new(0);

fn pool_frame() -> Option<Frame> {
    let at = VirtAddr::new(POOL_NEXT.load(Ordering::Relaxed));
    if at >= layout::pool().1 {
        return None;
    }
    POOL_NEXT.store(at.get() + PAGE_SIZE as u64, Ordering::Relaxed);
    Some(Frame::containing(layout::image_phys(at)))
}

/// Gives all RAM but the image to the frame allocator.
pub(crate) fn start_frames(platform: &Platform) -> Result<(), Error> {
    let ram = usable(platform);
    let needed = Pmm::metadata_len(&ram).map_err(Error::Map)?;
    let bytes = (needed * size_of::<FrameState>()) as u64;
    let image = FrameRange::covering(
        layout::image_phys(VirtAddr::new(IMAGE_BASE)),
        layout::image_end().get() - IMAGE_BASE,
    )
    .ok_or(Error::NoRoom)?;
    let metadata = place(&ram, image, page_count(bytes)).ok_or(Error::NoRoom)?;
    let first = linear(metadata.first());
    for page in 0..image::bytes(metadata.count()) {
        // SAFETY: RAM that nobody uses: in no reservation, not in the image.
        unsafe {
            translation::zero_page(first.wrapping_add(page * PAGE_SIZE), ZERO_BLOCK.load(Ordering::Relaxed))
        };
    }
    // SAFETY: zeroed above, `needed` states long, aligned, and reserved from the allocator for ever; any bit pattern is
    // a valid state.
    let states = unsafe { core::slice::from_raw_parts_mut(first.cast::<FrameState>(), needed) };
    let pmm = Pmm::new(states, &ram, &[image, metadata]).map_err(Error::Map)?;
    let _ = FRAMES.set(Lock::new(ranks::FRAMES, pmm));
    Ok(())
}

/// The first hole of `count` frames beside the image.
fn place(ram: &[FrameRange], image: FrameRange, count: u64) -> Option<FrameRange> {
    let starts = ram.iter().map(|range| range.first().number());
    let after = image.first().number() + image.count();
    core::iter::once(after).chain(starts).find_map(|start| {
        let wanted = FrameRange::new(Frame::from_number(start)?, count)?;
        let last = Frame::from_number(start + count - 1)?;
        let inside = ram.iter().any(|range| range.contains(wanted.first()) && range.contains(last));
        (inside && !wanted.overlaps(image)).then_some(wanted)
    })
}

/// Gives back what only the boot used: its stack, its high-half tables, the rest of the pool. For the first CPU, once it
/// is on its own stack.
pub(crate) fn reclaim_boot() {
    let Some(frames) = FRAMES.get() else { return };
    let tables = layout::early_tables();
    let (pool, pool_end) = layout::pool();
    // Three identity tables stay: other CPUs start through them.
    let kept = tables.checked_add(3 * PAGE_SIZE as u64).unwrap_or(pool);
    let used = VirtAddr::new(POOL_NEXT.load(Ordering::Relaxed));
    let mut pmm = frames.lock();
    for (start, end) in [(kept, pool), (used, pool_end)] {
        if let Some(range) = FrameRange::inside(layout::image_phys(start), end.get() - start.get()) {
            // The image lies in RAM, and was reserved until now.
            let reclaimed = pmm.reclaim(range);
            debug_assert_eq!(reclaimed, Ok(()));
        }
    }
}

/// Takes a frame.
#[inline]
pub(crate) fn alloc() -> Option<Frame> {
    let frame = FRAMES.get()?.lock().alloc_one()?;
    #[cfg(debug_assertions)]
    ledger::take(frame, ledger::Owner::Tables);
    Some(frame)
}

/// Frames that only the kernel's own objects get: one in so many, but not more than [`RESERVE_MAX`]. Programs that use up the
/// memory are refused before the kernel is, which can't take back what it has promised.
const RESERVE_SHARE: u64 = 64;
const RESERVE_MAX: u64 = 512;

/// How many these are.
pub(crate) fn reserve(pmm: &Pmm<'_>) -> u64 {
    (pmm.total_frames() / RESERVE_SHARE).min(RESERVE_MAX)
}

/// Takes `1 << order` contiguous frames for the heap. Several are for a list, which may be refused: they leave the reserve to what
/// is small and must not.
pub(crate) fn alloc_block(order: Order) -> Option<Frame> {
    let mut pmm = FRAMES.get()?.lock();
    let reserve = if order == Order::ONE { 0 } else { reserve(&pmm) };
    pmm.alloc_above(reserve, order)
}

/// Gives a block back.
pub(crate) fn free_block(frame: Frame, order: Order) {
    if let Some(frames) = FRAMES.get() {
        let freed = frames.lock().free(frame, order);
        debug_assert_eq!(freed, Ok(()));
    }
}

/// Drops a reference to a frame.
#[inline]
pub(crate) fn release(frame: Frame) {
    if let Some(frames) = FRAMES.get() {
        #[cfg(debug_assertions)]
        ledger::give_back(frame, ledger::Owner::Tables);
        let released = frames.lock().release(frame);
        debug_assert!(released.is_ok(), "{released:?}");
    }
}

/// The allocator itself.
pub(crate) fn frames() -> Option<&'static Lock<Pmm<'static>>> {
    FRAMES.get()
}

/// Fills a frame with zeros.
#[inline]
pub(crate) fn zero(frame: Frame) {
    // SAFETY: callers own the frame; RAM is mapped in the linear map.
    unsafe { translation::zero_page(linear(frame), ZERO_BLOCK.load(Ordering::Relaxed)) };
}

/// Maps a stack of the kernel with nothing below it.
pub(crate) fn map_stack(slot: u64) -> Option<VirtAddr> {
    let order = Order::for_frames(page_count(image::STACK_SIZE))?;
    let frame = alloc_block(order)?;
    let top = image::stack_top(slot);
    let start = VirtAddr::new(top.get() - image::STACK_SIZE);
    map(pages(start, top), frame, MemoryType::Normal).ok()?;
    Some(top)
}

fn map(pages: PageRange, frame: Frame, memory: MemoryType) -> Result<(), swos_vm::Error> {
    let Some(tables) = TABLES.get() else { return Err(swos_vm::Error::OutOfTables) };
    let attributes = Attributes::kernel(Access::ReadWrite, memory);
    tables.lock().map_range(&mut LinearTables, &mut KernelTlb, pages, frame, attributes)
}

/// Maps a device's registers, unless they are mapped, and returns where the first one is.
pub(crate) fn map_device(window: Region) -> Option<NonNull<u8>> {
    if window.end() > LINEAR_LIMIT {
        return None;
    }
    let mut page = window.base & !(PAGE_SIZE as u64 - 1);
    while page < window.end() {
        let at = PhysAddr::new(page)?;
        let pages = PageRange::with_len(Page::containing(image::device(at)), 1)?;
        match map(pages, Frame::containing(at), MemoryType::Device) {
            // Windows may share a page.
            Ok(()) | Err(swos_vm::Error::Mapped(_)) => {}
            Err(_) => return None,
        }
        page += PAGE_SIZE as u64;
    }
    NonNull::new(image::pointer(VirtAddr::new(DEVICE_BASE | window.base)))
}

/// Reads every entry of the kernel's tables.
pub(crate) fn audit() -> Audit {
    TABLES.get().map_or(Audit::default(), |tables| tables.lock().audit(&LinearTables))
}

/// Physical address of the kernel's top table.
pub(crate) fn kernel_root() -> u64 {
    TABLES.get().map_or(0, |tables| tables.lock().root().start().get())
}
