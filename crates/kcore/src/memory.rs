//! Memory objects: pages that handles name and that address spaces share.
//!
//! An object lives as long as a handle or a mapping of it does. Its frames go back in slices, when the last of them went or
//! when it shrinks. Who maps it is known to it, so that pages beyond a new end leave the tables before they leave the
//! object: no program keeps a page that another one may get.

use alloc::sync::Arc;
use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use swos_abi::Errno;
use swos_aspace::{Area, ObjectId, Objects};
use swos_memobject::{PAGES_MAX, PageMap, Progress as Trimmed};
use swos_sync::{Lock, LockGuard};
use swos_units::{Frame, PAGE_SIZE, page_count};
use swos_vfs::VnodeId;
use swos_vm::{PageRange, Progress};

use crate::{
    Kernel, Machine,
    files::PageWanted,
    mapped::MappedFile,
    mappers::{Mappers, Next, PAGES_PER_STEP},
    object::OpenCount,
    ranks,
    space::{Inner, Space, TableFrames, Translation},
    thread::Thread,
    wait::Stop,
};

/// What an address space knows by an [`ObjectId`].
#[derive(Clone, Debug)]
pub(crate) enum Mapped {
    /// A file of the system image. The id is of that mapping alone.
    File(VnodeId),
    /// A memory object, by its own id.
    Memory(Arc<MemoryObject>),
    /// A file in memory, by its own id.
    Held(Arc<MappedFile>),
}

/// Pages of memory objects that a process made, however long it lives: they count against its limit.
#[derive(Debug)]
pub(crate) struct MemoryAccount {
    limit: AtomicU64,
    pages: AtomicU64,
    /// How many of them have a frame.
    frames: AtomicU64,
}

impl MemoryAccount {
    /// May have so many bytes.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicU64::new(page_count(limit)),
            pages: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        })
    }

    /// Frames that its objects hold.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Lowers the limit to so many pages.
    pub(crate) fn lower(&self, pages: u64) {
        self.limit.fetch_min(pages, Ordering::Relaxed);
    }

    fn charge(&self, pages: u64) -> Result<(), Errno> {
        let limit = self.limit.load(Ordering::Relaxed);
        let grown = |now: u64| now.checked_add(pages).filter(|&sum| sum <= limit);
        self.pages.try_update(Ordering::Relaxed, Ordering::Relaxed, grown).map(drop).map_err(|_| Errno::NOMEM)
    }

    fn discharge(&self, pages: u64) {
        self.pages.fetch_sub(pages, Ordering::Relaxed);
    }
}

/// A memory object.
pub(crate) struct MemoryObject {
    /// Never used again.
    pub(crate) id: ObjectId,
    pub(crate) count: OpenCount,
    account: Arc<MemoryAccount>,
    state: Lock<State>,
}

struct State {
    pages: PageMap,
    /// In bytes.
    size: u64,
    /// A handle names it, or is about to.
    open: bool,
    /// Address spaces that map it, and how far the pages beyond the end have left them.
    mappers: Mappers,
    /// The next one of which nothing but the frames is left.
    next_dead: Option<Arc<MemoryObject>>,
}

/// Objects whose last handle and mapping went, and whose frames are to be freed.
pub(crate) type Dead = Option<Arc<MemoryObject>>;

impl MemoryObject {
    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.state.lock().size
    }
}

impl<M: Machine> Kernel<M> {
    /// A number for an object of address spaces that was never given before.
    pub(crate) fn new_object_id(&self) -> ObjectId {
        ObjectId(self.last_object.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A new object that one handle is about to name. It counts against `account` until its last frame is free.
    pub(crate) fn new_memory(
        &self,
        account: &Arc<MemoryAccount>,
        size: u64,
    ) -> Result<Arc<MemoryObject>, Errno> {
        let pages = pages_of(size)?;
        account.charge(pages)?;
        self.objects_open.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(MemoryObject {
            id: self.new_object_id(),
            count: OpenCount::one(),
            account: account.clone(),
            state: Lock::new(
                ranks::MEMORY,
                State { pages: PageMap::new(), size, open: true, mappers: Mappers::new(), next_dead: None },
            ),
        }))
    }

    /// A page of an object, with a reference for the caller; made if it is not there yet.
    pub(crate) fn memory_page(&self, object: &MemoryObject, index: u64) -> PageWanted {
        let mut state = object.state.lock();
        if index >= page_count(state.size) {
            return PageWanted::Failed;
        }
        if let Some(frame) = state.pages.get(&TableFrames(self), index) {
            self.machine.share_frame(frame);
            return PageWanted::Ready(frame);
        }
        let Some(frame) = self.frame() else { return PageWanted::NoMemory };
        self.machine.zero_frame(frame);
        if state.pages.insert(&mut TableFrames(self), index, frame).is_err() {
            self.machine.release_frame(frame);
            return PageWanted::NoMemory;
        }
        object.account.frames.fetch_add(1, Ordering::Relaxed);
        self.machine.share_frame(frame);
        PageWanted::Ready(frame)
    }

    /// A page of an object as it is; `None` = nobody ever touched it.
    pub(crate) fn present_page(&self, object: &MemoryObject, index: u64) -> Option<Frame> {
        let state = object.state.lock();
        let frame = state.pages.get(&TableFrames(self), index)?;
        self.machine.share_frame(frame);
        Some(frame)
    }

    /// Notes that a space maps an object, which lives from now on at least until [`Self::detach`]. The space is locked.
    pub(crate) fn attach(&self, space: &Arc<Space>, mapped: &Mapped) -> Result<(), Errno> {
        let object = match mapped {
            Mapped::File(_) => return Ok(()),
            Mapped::Held(file) => return Self::attach_file(space, file),
            Mapped::Memory(object) => object,
        };
        let mut state = object.state.lock();
        if !state.open && state.mappers.is_empty() {
            // Another thread closed the last handle just now.
            return Err(Errno::BADF);
        }
        state.mappers.add(space)
    }

    /// The last page of an object left the areas of a space.
    pub(crate) fn detach(&self, space: &Space, mapped: Mapped) {
        let object = match mapped {
            Mapped::File(_) => return,
            Mapped::Held(file) => return self.detach_file(space, &file),
            Mapped::Memory(object) => object,
        };
        let mut state = object.state.lock();
        if state.mappers.remove(space) {
            self.bury_memory(&object, state);
        }
    }

    /// Parts of areas went away: their objects are told.
    pub(crate) fn forget_area(&self, space: &Space, objects: &mut Objects<Mapped>, gone: &Area) {
        if let Some(mapped) = objects.remove(gone) {
            self.detach(space, mapped);
        }
    }

    /// The last handle is gone.
    pub(crate) fn close_memory(&self, object: &Arc<MemoryObject>) {
        self.objects_open.fetch_sub(1, Ordering::Relaxed);
        let mut state = object.state.lock();
        state.open = false;
        self.bury_memory(object, state);
    }

    /// Puts an object that nobody needs any more among the dead. It happens once: who is dead can't be attached again.
    fn bury_memory(&self, object: &Arc<MemoryObject>, mut state: LockGuard<'_, State>) {
        if state.open || !state.mappers.is_empty() {
            return;
        }
        object.account.discharge(page_count(state.size));
        // Calls under way that still hold it find no page in it.
        state.size = 0;
        drop(state);
        self.dying_memory.fetch_add(1, Ordering::Relaxed);
        self.add_dead(object.clone());
        self.add_chore();
        // The next call that ends on this CPU passes by what frees it.
        self.shared(self.machine.cpu_index()).flags.reschedule.store(true, Ordering::Relaxed);
    }

    /// Whether frames of dead objects are still to be freed.
    pub(crate) fn has_dying_memory(&self) -> bool {
        self.dying_memory.load(Ordering::Relaxed) != 0
    }

    fn add_dead(&self, object: Arc<MemoryObject>) {
        let mut dead = self.dead_memory.lock();
        object.state.lock().next_dead = dead.take();
        *dead = Some(object);
    }

    /// Frees a slice of the frames of the dead. True = there was something to do.
    pub(crate) fn free_dead_memory(&self) -> bool {
        let mut dead = self.dead_memory.lock();
        let Some(object) = dead.take() else { return false };
        let mut state = object.state.lock();
        *dead = state.next_dead.take();
        drop(dead);
        let progress = self.trim(&object, &mut state, 0);
        drop(state);
        if progress == Trimmed::More {
            self.add_dead(object);
        } else {
            self.dying_memory.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// Takes frames from page `first` on out of an object.
    fn trim(&self, object: &MemoryObject, state: &mut State, first: u64) -> Trimmed {
        let mut freed = 0;
        let progress = state.pages.trim(&mut TableFrames(self), first, PAGES_PER_STEP, |_, frame| {
            self.machine.release_frame(frame);
            freed += 1;
        });
        object.account.frames.fetch_sub(freed, Ordering::Relaxed);
        progress
    }

    /// Gives an object another size. Shrinking is finished by [`Self::cut_step`]; growing needs it finished.
    pub(crate) fn set_memory_size(&self, object: &MemoryObject, size: u64) -> Result<(), Errno> {
        let after = pages_of(size)?;
        let mut state = object.state.lock();
        if state.mappers.is_cutting() {
            return Err(Errno::BUSY);
        }
        let before = page_count(state.size);
        if after > before {
            object.account.charge(after - before)?;
        } else {
            object.account.discharge(before - after);
        }
        if after < before {
            state.mappers.cut_from(after);
        }
        // What lies behind a new end in its page is gone as well.
        let within = usize::try_from(size % PAGE_SIZE as u64).unwrap_or(0);
        if size < state.size
            && within != 0
            && let Some(frame) = state.pages.get(&TableFrames(self), after - 1)
        {
            self.machine.write_frame(frame, within, &[0; PAGE_SIZE]);
        }
        state.size = size;
        Ok(())
    }

    /// One step of taking the pages beyond the end out of every address space, and then out of the object.
    pub(crate) fn cut_step(&self, thread: &Arc<Thread<M>>, object: &MemoryObject) -> Result<Trimmed, Stop> {
        let visit = {
            let mut state = object.state.lock();
            match state.mappers.next() {
                Next::Nothing => return Ok(Trimmed::Done),
                Next::Space(visit) => visit,
                Next::Rest { end } => {
                    let progress = self.trim(object, &mut state, end);
                    if progress == Trimmed::Done {
                        state.mappers.end_cut();
                    }
                    return Ok(progress);
                }
            }
        };
        let next = self.visit(Some(thread), object.id, &visit)?;
        object.state.lock().mappers.went(&visit, next);
        Ok(Trimmed::More)
    }

    /// Takes pages out of the tables and gives their frames back, reading at most about `budget` entries.
    pub(crate) fn free_pages(
        &self,
        space: &Space,
        inner: &mut Inner,
        pages: PageRange,
        vacant: PageRange,
        budget: usize,
    ) -> Result<Progress, Errno> {
        let Translation::Live(tables) = &mut inner.tables else { return Ok(Progress::Done) };
        let (mut freed, mut shared) = (0, 0);
        let progress = tables
            .unmap_range(
                &mut TableFrames(self),
                &mut space.tlb(&self.machine),
                pages,
                vacant,
                budget,
                |_, mapping| {
                    shared += u64::from(mapping.attributes.sharing() == swos_vm::Sharing::Shared);
                    self.machine.release_frame(mapping.frame);
                    freed += 1;
                },
            )
            .map_err(|_| Errno::INVAL)?;
        inner.resident = inner.resident.saturating_sub(freed);
        inner.shared = inner.shared.saturating_sub(shared);
        Ok(progress)
    }
}

/// Pages of an object of so many bytes.
fn pages_of(size: u64) -> Result<u64, Errno> {
    if size > PAGES_MAX * PAGE_SIZE as u64 { Err(Errno::FBIG) } else { Ok(page_count(size)) }
}

impl fmt::Debug for MemoryObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryObject").field("id", &self.id).finish_non_exhaustive()
    }
}
