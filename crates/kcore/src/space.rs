//! The address space of one process: what is mapped where, the translation tables, and the ASID.

use core::{
    fmt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

use alloc::sync::Arc;

use swos_abi::Errno;
use swos_aspace::{AddressSpace, Limits, Objects};
use swos_sync::{CpuToken, Lock};
use swos_units::{Frame, Page, VirtAddr};
use swos_vm::{Assigned, Half, TableMemory, Tables, Tag, Teardown, Tlb};

use crate::{
    Kernel, Machine,
    dispatch::Own,
    machine::{ActiveSpace, Scope},
    memory::Mapped,
    process::Process,
    ranks,
    wait::WaitKey,
};

/// CPUs that a kernel can use: the width of a CPU mask.
pub(crate) const CPUS_MAX: usize = 64;

/// Table entries looked at per slice when a space is taken apart.
const ENTRIES_PER_SLICE: usize = 128;
/// Objects that know of it no more, per slice, at last.
const OBJECTS_PER_SLICE: usize = 48;
/// Areas forgotten per slice, after that.
const AREAS_PER_SLICE: usize = 1024;

/// An address space.
pub(crate) struct Space {
    /// Never used again.
    pub(crate) id: u64,
    /// Memory objects that it maps: as long as there is none, an address alone says what a futex is.
    pub(crate) shares: AtomicU32,
    pub(crate) inner: Lock<Inner>,
    root: Frame,
    tag: Lock<Tag>,
    /// CPUs that ran it: only they can hold translations of it.
    ran: AtomicU64,
    /// CPUs on which it is selected.
    selected: AtomicU64,
}

/// What faults and mapping calls change.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) areas: AddressSpace,
    /// The objects that its areas show.
    pub(crate) objects: Objects<Mapped>,
    pub(crate) tables: Translation,
    /// Pages that have a frame.
    pub(crate) resident: u64,
    /// Page faults resolved.
    pub(crate) faults: u64,
    /// A fork copies it, or one mapping call has it for itself: until that is over nobody else may change anything here.
    pub(crate) copying: bool,
    /// Mapping calls that are under way, perhaps between two of their steps.
    pub(crate) changing: u32,
    /// A fork waits until there is none.
    pub(crate) awaited: bool,
    /// Those among them that memory objects lend.
    pub(crate) shared: u64,
}

/// The tables, until they are taken apart.
#[derive(Debug)]
pub(crate) enum Translation {
    Live(Tables),
    Dying(Teardown),
    Gone,
}

/// Where the tables live, seen by the `vm` crate.
pub(crate) struct TableFrames<'a, M: Machine>(pub(crate) &'a Kernel<M>);

impl<M: Machine> TableMemory for TableFrames<'_, M> {
    #[inline]
    fn read(&self, table: Frame, index: usize) -> u64 {
        self.0.machine.read_entry(table, index)
    }

    #[inline]
    fn write(&mut self, table: Frame, index: usize, entry: u64) {
        self.0.machine.write_entry(table, index, entry);
    }

    fn alloc_table(&mut self) -> Option<Frame> {
        let frame = self.0.frame()?;
        self.0.machine.zero_frame(frame);
        Some(frame)
    }

    fn free_table(&mut self, table: Frame) {
        self.0.machine.release_frame(table);
    }
}

/// TLB maintenance for one space.
pub(crate) struct SpaceTlb<'a, M: Machine> {
    machine: &'a M,
    asid: Option<u16>,
    ran: &'a AtomicU64,
    /// Who was told so far.
    told: Scope,
}

impl<M: Machine> SpaceTlb<'_, M> {
    /// Who must forget an entry that was just changed. Not to be known before: a CPU may select the space meanwhile.
    #[inline]
    fn scope(&mut self) -> Scope {
        if self.told == Scope::Local {
            // The change is seen before this looks: a CPU that is not found here reads the new entry (`select_space`).
            fence(Ordering::SeqCst);
            if self.ran.load(Ordering::Relaxed) & !(1 << self.machine.cpu_index()) != 0 {
                self.told = Scope::All;
            }
        }
        self.told
    }
}

impl<M: Machine> Tlb for SpaceTlb<'_, M> {
    #[inline]
    fn publish(&mut self) {
        self.machine.publish_tables();
    }

    #[inline]
    fn invalidate_page(&mut self, page: Page) {
        if let Some(asid) = self.asid {
            let scope = self.scope();
            self.machine.invalidate_page(asid, page.start(), scope);
        }
    }

    fn invalidate_space(&mut self) {
        if let Some(asid) = self.asid {
            let scope = self.scope();
            self.machine.invalidate_asid(asid, scope);
        }
    }

    fn synchronize(&mut self) {
        if self.asid.is_some() {
            self.machine.synchronize_tlb(self.told);
        }
    }
}

impl Space {
    /// An empty space whose mappings are placed downwards from `base`; `None` if memory is short.
    pub(crate) fn new<M: Machine>(kernel: &Kernel<M>, base: VirtAddr, limits: Limits) -> Option<Arc<Self>> {
        let tables = Tables::new(Half::User, &mut TableFrames(kernel))?;
        let space = Self::of_parts(kernel, AddressSpace::new(Page::containing(base), limits), tables.root());
        space.inner.lock().tables = Translation::Live(tables);
        Some(space)
    }

    /// A space with these areas, whose tables begin at `root`: it gets them when all that is to be in them is.
    pub(crate) fn of_parts<M: Machine>(kernel: &Kernel<M>, areas: AddressSpace, root: Frame) -> Arc<Self> {
        let inner = Inner {
            areas,
            objects: Objects::new(),
            tables: Translation::Gone,
            resident: 0,
            shared: 0,
            faults: 0,
            copying: false,
            changing: 0,
            awaited: false,
        };
        Arc::new(Self {
            id: kernel.last_space.fetch_add(1, Ordering::Relaxed) + 1,
            shares: AtomicU32::new(0),
            root,
            inner: Lock::new(ranks::SPACE, inner),
            tag: Lock::new(ranks::SPACE_TAG, Tag::default()),
            ran: AtomicU64::new(0),
            selected: AtomicU64::new(0),
        })
    }

    /// Gives it its tables, of which so many pages are private.
    pub(crate) fn fill(&self, tables: Tables, resident: u64) {
        let mut inner = self.inner.lock();
        inner.tables = Translation::Live(tables);
        inner.resident = resident;
    }

    /// The CPUs on which it is selected, as bits.
    pub(crate) fn selected(&self) -> u64 {
        self.selected.load(Ordering::SeqCst)
    }

    /// TLB maintenance for this space, on the CPUs that may need it.
    pub(crate) fn tlb<'a, M: Machine>(&'a self, machine: &'a M) -> SpaceTlb<'a, M> {
        let asid = self.tag.lock().asid().map(swos_vm::Asid::get);
        SpaceTlb { machine, asid, ran: &self.ran, told: Scope::Local }
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<M: Machine> Kernel<M> {
    /// Selects the address space of `process` on this CPU.
    pub(crate) fn select_space(&self, index: usize, own: &mut Own<M>, process: &Arc<Process<M>>) {
        if own.space.as_ref().is_some_and(|current| Arc::ptr_eq(current, process)) {
            return;
        }
        let previous = own.space.replace(process.clone());
        let bit = 1 << index;
        let space = &process.space;
        // Before the first access through it (`activate` orders that): whoever changes an entry after this must tell this CPU.
        // A bit once set stays.
        if space.ran.load(Ordering::SeqCst) & bit == 0 {
            space.ran.fetch_or(bit, Ordering::SeqCst);
        }
        space.selected.fetch_or(bit, Ordering::SeqCst);
        let asid = {
            let mut asids = self.asids.lock();
            let (pool, running) = &mut *asids;
            let mut tag = space.tag.lock();
            match pool.assign(*tag, running.as_slice()) {
                Assigned::Unchanged(_) => {}
                Assigned::Fresh(fresh) => *tag = fresh,
                Assigned::Rollover(fresh) => {
                    *tag = fresh;
                    self.machine.invalidate_all();
                }
            }
            if let Some(slot) = running.get_mut(index) {
                *slot = *tag;
            }
            tag.asid().map_or(0, swos_vm::Asid::get)
        };
        self.machine.activate(Some(ActiveSpace { root: space.root, asid }));
        if let Some(previous) = previous {
            previous.space.selected.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    /// Deselects this CPU's space if its process is ending, so that its tables can be freed.
    pub(crate) fn leave_dead_space(&self, cpu: &mut CpuToken) {
        let index = cpu.index();
        let own = self.own.get_mut(cpu);
        if !own.space.as_ref().is_some_and(|process| process.is_ending()) || own.current.is_some() {
            return;
        }
        let Some(process) = own.space.take() else { return };
        self.machine.activate(None);
        if let Some(slot) = self.asids.lock().1.get_mut(index) {
            *slot = Tag::default();
        }
        process.space.selected.fetch_and(!(1 << index), Ordering::SeqCst);
    }

    /// Takes one slice of a dead space apart; true = nothing is left. Waits for CPUs that still have it selected.
    pub(crate) fn free_space(&self, space: &Space) -> bool {
        let selected = space.selected.load(Ordering::SeqCst);
        if selected != 0 {
            for cpu in (0..self.cpus.len()).filter(|cpu| selected >> cpu & 1 == 1) {
                self.machine.kick(cpu);
            }
            return false;
        }
        let mut inner = space.inner.lock();
        loop {
            match core::mem::replace(&mut inner.tables, Translation::Gone) {
                Translation::Live(tables) => {
                    inner.tables = Translation::Dying(tables.into_teardown());
                    // Whoever had it for itself is dead, and nobody waits for the dead.
                    inner.copying = false;
                    self.wake_all(WaitKey::Space { space: space.id });
                }
                Translation::Dying(mut teardown) => {
                    let done = teardown.step(&mut TableFrames(self), ENTRIES_PER_SLICE, |frame, _, _| {
                        self.machine.release_frame(frame);
                    });
                    if !done {
                        inner.tables = Translation::Dying(teardown);
                        return false;
                    }
                }
                Translation::Gone => break,
            }
        }
        for _ in 0..AREAS_PER_SLICE {
            if inner.areas.pop().is_none() {
                break;
            }
        }
        if inner.areas.areas().len() > 0 {
            return false;
        }
        for _ in 0..OBJECTS_PER_SLICE {
            let Some(mapped) = inner.objects.pop() else { return true };
            self.detach(space, mapped);
        }
        false
    }

    /// Refuses to make an object of the kernel for a program while frames are short, also without file pages.
    #[inline]
    pub(crate) fn room_for_objects(&self) -> Result<(), Errno> {
        if self.machine.is_short() { self.find_room() } else { Ok(()) }
    }

    #[cold]
    fn find_room(&self) -> Result<(), Errno> {
        const TRIES: u32 = 8;
        for _ in 0..TRIES {
            self.shrink_page_cache(64);
            if !self.machine.is_short() {
                return Ok(());
            }
        }
        Err(Errno::NOMEM)
    }

    /// A frame, if need be at the cost of cached file pages. Called without the lock of the page cache.
    pub(crate) fn frame(&self) -> Option<Frame> {
        if let Some(frame) = self.machine.alloc_frame() {
            return Some(frame);
        }
        self.shrink_page_cache(32);
        self.machine.alloc_frame()
    }
}
