//! Files below the calls: names, pages, and the disk that the pages come from.
//!
//! A page goes through three hands: the disk queue reads it, the page cache keeps it, and the first thread that wants
//! its bytes checks them against the image's hash tree, in its own time and outside all locks.

use alloc::{collections::BTreeMap, sync::Arc};
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use swos_abi::Errno;
use swos_blockio::{Limits, Priority, Queue, Range, RequestId, Why};
use swos_pagecache::{Cache, FillTicket, Key, Lookup, PageRef, Pinned, ReadError};
use swos_swosbase::{Error as ImageError, Sha256Blocks, v4::BlockVerifier};
use swos_sync::Lock;
use swos_units::{Duration, Frame};
use swos_vfs::{Attributes, Extent, MountId, Namespace, PageSource, Remembered, Vfs, VnodeId};

use crate::{
    Kernel, Machine,
    log::Level,
    machine::DeviceError,
    mapped::{Cuts, MappedFile},
    memory::Mapped,
    object::{File, Lasting},
    ranks,
    thread::Thread,
    user::user_range,
    wait::{ANY_BITS, Stop, WaitKey, write_fault},
    writable::Frames,
};

/// Reads in flight.
const DISK_DEPTH: u16 = 8;
/// Blocks queued.
const DISK_PENDING: usize = 512;

/// Slots of the page cache that one look for pages that can go passes, at some twenty-five instructions each. A fault may look twice.
const SCANNED_AT_ONCE: u32 = 512;

/// Pages fetched behind one that a program ran into.
const FAULT_AROUND: u32 = 8;

/// Everything about files that is not a handle's.
pub(crate) struct Files {
    /// What is mounted. Empty until the image is.
    pub(crate) names: Lock<Option<Names>>,
    pub(crate) pages: Lock<Pages>,
    /// Checks blocks of the mounted image.
    pub(crate) verifier: Lock<Option<BlockVerifier>>,
    /// Number of the selected disk, and whole blocks on it.
    disk: AtomicU32,
    blocks: AtomicU64,
    /// Number of the mount of the image, whose nodes stay, whoever has them open.
    pub(crate) image: AtomicU32,
    /// Number of the mount of `/sys`.
    pub(crate) sys: AtomicU32,
    /// Something that was removed may still hold memory.
    pub(crate) garbage: AtomicBool,
    pub(crate) cuts: Lock<Cuts>,
    /// No page of the cache could go when it was last looked for one.
    barren: AtomicBool,
}

/// Names, and where they lead.
pub(crate) struct Names {
    pub(crate) vfs: Vfs,
    pub(crate) namespace: Namespace,
    pub(crate) root: VnodeId,
    /// Paths within the image.
    pub(crate) remembered: Remembered,
    /// What can hold something that was removed: `/tmp`, `/run`, `/dev`.
    pub(crate) writable: [Option<MountId>; 3],
    /// The files in memory that are mapped.
    pub(crate) mapped: BTreeMap<VnodeId, Arc<MappedFile>>,
}

/// The page cache and the disk queue behind it.
pub(crate) struct Pages {
    pub(crate) cache: Cache,
    pub(crate) queue: Option<Queue<Target>>,
    /// Slots looked at since one could go.
    barren: u32,
    /// Reads in flight by the number that the device knows.
    pub(crate) flights: [Option<RequestId>; DISK_DEPTH as usize],
}

/// Where a block is read to.
pub(crate) struct Target {
    pub(crate) ticket: FillTicket,
    pub(crate) frame: Frame,
}

/// What became of a wish for a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PageWanted {
    /// Its frame, with a reference for the caller.
    Ready(Frame),
    /// The thread is registered; try again when it is woken.
    Wait,
    /// It can't be had.
    Failed,
    /// There is no frame for it.
    NoMemory,
}

/// The machine's SHA-256, seen by the image reader.
pub(crate) struct Sha<'a, M: Machine>(pub(crate) &'a M);

impl<M: Machine> Sha256Blocks for Sha<'_, M> {
    fn compress(&self, state: &mut [u32; 8], blocks: &[[u8; 64]]) {
        self.0.sha256_compress(state, blocks);
    }
}

impl<M: Machine> fmt::Debug for Sha<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha")
    }
}

impl Files {
    pub(crate) fn new(seed: u64, blocks: u64, timeout: Duration) -> Self {
        let limits = Limits { depth: DISK_DEPTH, pending: DISK_PENDING, timeout_ns: timeout.as_nanos() };
        let pages = Pages {
            cache: Cache::new(seed),
            queue: Queue::new(limits).ok(),
            barren: 0,
            flights: [None; DISK_DEPTH as usize],
        };
        Self {
            barren: AtomicBool::new(true),
            names: Lock::new(ranks::NAMES, None),
            pages: Lock::new(ranks::PAGES, pages),
            verifier: Lock::new(ranks::VERIFIER, None),
            disk: AtomicU32::new(0),
            blocks: AtomicU64::new(blocks),
            image: AtomicU32::new(0),
            sys: AtomicU32::new(0),
            garbage: AtomicBool::new(false),
            cuts: Lock::new(ranks::CUTS, None),
        }
    }

    /// The selected disk in the page cache's keys.
    pub(crate) fn disk(&self) -> swos_pagecache::ObjectId {
        swos_pagecache::ObjectId(self.disk.load(Ordering::Relaxed))
    }

    /// Another disk was selected. What was read of the last one stays under its own keys, until the memory is wanted.
    pub(crate) fn on_next_disk(&self, blocks: u64) {
        self.disk.fetch_add(1, Ordering::Relaxed);
        self.blocks.store(blocks, Ordering::Relaxed);
    }
}

impl<M: Machine> Kernel<M> {
    /// Attributes of a node.
    pub(crate) fn attributes(&self, vnode: VnodeId) -> Result<Attributes, Errno> {
        let names = self.files.names.lock();
        let names = names.as_ref().ok_or(Errno::NOENT)?;
        Ok(names.vfs.attributes(vnode)?)
    }

    /// A program's file as the address space knows it that runs it.
    pub(crate) fn mappable(&self, vnode: VnodeId) -> Result<Mapped, Errno> {
        let names = self.files.names.lock();
        let root = names.as_ref().ok_or(Errno::NOENT)?.root;
        // Nodes of the image stay for ever, so a mapping needs no reference to them.
        if vnode.mount == root.mount { Ok(Mapped::File(vnode)) } else { Err(Errno::NODEV) }
    }

    /// A page of a mapped file; for nobody it does not wait.
    pub(crate) fn file_page(
        &self,
        thread: Option<&Arc<Thread<M>>>,
        vnode: VnodeId,
        index: u64,
    ) -> PageWanted {
        let wanted = self.node_page(thread, vnode, index);
        if wanted == PageWanted::Wait {
            // Whoever runs into a page runs on into the next ones.
            self.prefetch(vnode, Range { first: index + 1, count: FAULT_AROUND });
        }
        wanted
    }

    /// Page `index` of a file.
    pub(crate) fn node_page(
        &self,
        thread: Option<&Arc<Thread<M>>>,
        vnode: VnodeId,
        index: u64,
    ) -> PageWanted {
        let source = {
            let mut names = self.files.names.lock();
            let mut source = names
                .as_ref()
                .and_then(|names| names.vfs.file_system(vnode.mount).ok()?.page(vnode.node, index).ok()?);
            if let Some(PageSource::Open(frame)) = source
                && self.machine.frame_references(frame) == 1
                && let Some(Ok(file_system)) =
                    names.as_mut().map(|names| names.vfs.file_system_mut(vnode.mount))
            {
                // Whoever mapped it is gone.
                file_system.seal_page(vnode.node, index, &mut Frames::new(self));
                source = Some(PageSource::Frame(frame));
            }
            if let Some(PageSource::Frame(frame) | PageSource::Open(frame)) = source {
                // Before the lock goes, with which the file could be cut.
                self.machine.share_frame(frame);
            }
            source
        };
        match source {
            Some(PageSource::Cached(key)) => self.block_page(thread, key.page),
            Some(PageSource::Frame(frame)) => PageWanted::Ready(frame),
            Some(PageSource::Open(frame)) => self.copy_of(frame),
            Some(PageSource::Hole) => {
                self.machine.share_frame(self.zero_page);
                PageWanted::Ready(self.zero_page)
            }
            None => PageWanted::Failed,
        }
    }

    /// A page that programs write at any time, as it is at this moment.
    #[cold]
    fn copy_of(&self, open: Frame) -> PageWanted {
        let copy = self.frame();
        if let Some(copy) = copy {
            self.machine.copy_frame(open, copy);
        }
        self.machine.release_frame(open);
        copy.map_or(PageWanted::NoMemory, PageWanted::Ready)
    }

    fn page_source(&self, vnode: VnodeId, index: u64) -> Result<Option<PageSource>, Errno> {
        let names = self.files.names.lock();
        let names = names.as_ref().ok_or(Errno::NOENT)?;
        Ok(names.vfs.file_system(vnode.mount)?.page(vnode.node, index)?)
    }

    /// A verified block of the image.
    pub(crate) fn block_page(&self, thread: Option<&Arc<Thread<M>>>, block: u64) -> PageWanted {
        loop {
            let page = match self.look_up(thread, block) {
                Found::Verified(frame) => return PageWanted::Ready(frame),
                Found::Unverified(page) => page,
                Found::Wait => return PageWanted::Wait,
                Found::Failed => return PageWanted::Failed,
                Found::NoMemory => return PageWanted::NoMemory,
            };
            let expected = match &*self.files.verifier.lock() {
                Some(verifier) => verifier.expected(block),
                None => Err(ImageError::NotCovered { block }),
            };
            match expected {
                Ok(expected) => {
                    let good = expected.check(&Sha(&self.machine), &self.machine.pin(page.frame())).is_ok();
                    return self.checked(block, page, good);
                }
                Err(ImageError::HashNotLoaded { block: hashes }) => {
                    self.machine.release_frame(page.frame());
                    match self.load_hashes(thread, hashes) {
                        PageWanted::Ready(_) => {}
                        other => return other,
                    }
                }
                Err(_) => return self.checked(block, page, false),
            }
        }
    }

    /// Tells the cache what came of checking a page to which the caller has a reference.
    fn checked(&self, block: u64, page: PageRef, good: bool) -> PageWanted {
        if good {
            self.files.pages.lock().cache.verified(page);
            self.counters.blocks_verified.fetch_add(1, Ordering::Relaxed);
            return PageWanted::Ready(page.frame());
        }
        let rejected = self.files.pages.lock().cache.rejected(page);
        if let Some(frame) = rejected {
            self.machine.release_frame(frame);
            self.counters.blocks_refused.fetch_add(1, Ordering::Relaxed);
            self.log(Level::Error, "image", format_args!("block {block} does not match its hash: refused"));
        }
        self.machine.release_frame(page.frame());
        PageWanted::Failed
    }

    /// Reads, checks and keeps a block of hashes.
    fn load_hashes(&self, thread: Option<&Arc<Thread<M>>>, block: u64) -> PageWanted {
        let (frame, page) = match self.look_up(thread, block) {
            Found::Verified(frame) => (frame, None),
            Found::Unverified(page) => (page.frame(), Some(page)),
            Found::Wait => return PageWanted::Wait,
            Found::Failed => return PageWanted::Failed,
            Found::NoMemory => return PageWanted::NoMemory,
        };
        let accepted = {
            let bytes = self.machine.pin(frame);
            let mut verifier = self.files.verifier.lock();
            verifier.as_mut().map(|verifier| verifier.accept(&Sha(&self.machine), block, &bytes))
        };
        match (accepted, page) {
            (Some(Ok(())), Some(page)) => {
                let wanted = self.checked(block, page, true);
                self.machine.release_frame(frame);
                wanted
            }
            (Some(Ok(())), None) => {
                self.machine.release_frame(frame);
                PageWanted::Ready(frame)
            }
            (_, Some(page)) => self.checked(block, page, false),
            (_, None) => {
                self.machine.release_frame(frame);
                PageWanted::Failed
            }
        }
    }

    /// Looks a block up; what is found has a reference for the caller.
    fn look_up(&self, thread: Option<&Arc<Thread<M>>>, block: u64) -> Found {
        let mut pages = self.files.pages.lock();
        match pages.cache.get(Key { object: self.files.disk(), page: block }) {
            Lookup::Hit(frame) => {
                self.machine.share_frame(frame);
                Found::Verified(frame)
            }
            Lookup::Unverified(page) => {
                self.machine.share_frame(page.frame());
                Found::Unverified(page)
            }
            Lookup::Failed(ReadError::Device) => Found::Failed,
            Lookup::Failed(ReadError::NoMemory) | Lookup::OutOfMemory => Found::NoMemory,
            Lookup::Filling => self.wait_for_block(thread, block),
            Lookup::Miss(ticket) => {
                if let Err(error) = self.start_fill(&mut pages, ticket, block, Priority::Demand) {
                    return match error {
                        ReadError::Device => Found::Failed,
                        ReadError::NoMemory => Found::NoMemory,
                    };
                }
                let found = self.wait_for_block(thread, block);
                self.pump(&mut pages);
                found
            }
        }
    }

    fn wait_for_block(&self, thread: Option<&Arc<Thread<M>>>, block: u64) -> Found {
        if let Some(thread) = thread
            && self.register(thread, WaitKey::Block { number: block }, ANY_BITS).is_err()
        {
            return Found::NoMemory;
        }
        Found::Wait
    }

    /// Queues the read of a block that is absent.
    fn start_fill(
        &self,
        pages: &mut Pages,
        ticket: FillTicket,
        block: u64,
        priority: Priority,
    ) -> Result<(), ReadError> {
        let frame = self.machine.alloc_frame().or_else(|| {
            self.shrink(pages, 32);
            self.machine.alloc_frame()
        });
        let Some(frame) = frame else {
            pages.cache.failed(ticket, ReadError::NoMemory, 0);
            return Err(ReadError::NoMemory);
        };
        let Some(queue) = pages.queue.as_mut().filter(|_| block < self.files.blocks.load(Ordering::Relaxed))
        else {
            self.machine.release_frame(frame);
            pages.cache.failed(ticket, ReadError::Device, 0);
            return Err(ReadError::Device);
        };
        match queue.want(block, Target { ticket, frame }, priority) {
            Ok(()) => Ok(()),
            Err(rejected) => {
                debug_assert_ne!(
                    rejected.why,
                    Why::AlreadyWanted,
                    "the cache starts one fill of a page at a time"
                );
                self.machine.release_frame(rejected.target.frame);
                pages.cache.failed(rejected.target.ticket, ReadError::Device, 0);
                Err(ReadError::Device)
            }
        }
    }

    /// Fetches pages that will probably be wanted.
    pub(crate) fn prefetch(&self, vnode: VnodeId, range: Range) {
        for index in range.first..range.first.saturating_add(u64::from(range.count)) {
            let Ok(Some(PageSource::Cached(key))) = self.page_source(vnode, index) else { break };
            let mut pages = self.files.pages.lock();
            if !pages.cache.contains(key) && !self.fetch(&mut pages, key) {
                break;
            }
        }
        self.pump(&mut self.files.pages.lock());
    }

    /// The same for a file that never changes.
    pub(crate) fn prefetch_extent(&self, extent: Extent, range: Range) {
        let mut pages = self.files.pages.lock();
        let mut any = false;
        for index in range.first..range.first.saturating_add(u64::from(range.count)) {
            let key = Key { page: extent.first.page + index, ..extent.first };
            if pages.cache.contains(key) {
                continue;
            }
            any = true;
            if !self.fetch(&mut pages, key) {
                break;
            }
        }
        if any {
            self.pump(&mut pages);
        }
    }

    /// Starts to read a page that nobody waits for. False = no more of them.
    #[cold]
    fn fetch(&self, pages: &mut Pages, key: Key) -> bool {
        // Read-ahead never takes the last memory.
        if self.machine.frames().free < 64 {
            return false;
        }
        match pages.cache.get(key) {
            Lookup::Miss(ticket) => self.start_fill(pages, ticket, key.page, Priority::ReadAhead).is_ok(),
            _ => true,
        }
    }

    /// Copies bytes of a page out that is verified and in memory; false = it is not. No reference to its frame is taken: that this CPU
    /// copies from it is published instead.
    pub(crate) fn copy_cached(&self, key: Key, to: u64, within: usize, count: usize) -> Result<bool, Stop> {
        let at = user_range(to, count as u64)?;
        let copying = &self.shared(self.machine.cpu_index()).flags.copying;
        let frame = {
            let mut pages = self.files.pages.lock();
            let Some(frame) = pages.cache.ready(key) else { return Ok(false) };
            copying.store(frame.number() + 1, Ordering::Relaxed);
            frame
        };
        let copied = self.machine.copy_out_frame(at, frame, within, count);
        // What was read is read before another CPU may give the frame away.
        copying.store(0, Ordering::Release);
        copied.map_err(write_fault)?;
        Ok(true)
    }

    /// Where all bytes of an open file are, for ever.
    pub(crate) fn lasting(&self, file: &File, vnode: VnodeId) -> Option<Extent> {
        let asked = file.open.lock().lasting;
        if let Lasting::Yes(extent) = asked {
            return Some(extent);
        }
        if matches!(asked, Lasting::No) {
            return None;
        }
        let extent = {
            let names = self.files.names.lock();
            names.as_ref().and_then(|names| names.vfs.file_system(vnode.mount).ok()?.extent(vnode.node))
        };
        file.open.lock().lasting = extent.map_or(Lasting::No, Lasting::Yes);
        extent
    }

    /// A block as it is on the disk, for the mount, which checks it itself. True = it is there and was handed to `with`.
    pub(crate) fn raw_block(&self, block: u64, with: impl FnOnce(&[u8; 4096])) -> Result<bool, DeviceError> {
        match self.look_up(None, block) {
            Found::Verified(frame) => {
                with(&self.machine.pin(frame));
                self.machine.release_frame(frame);
                Ok(true)
            }
            Found::Unverified(page) => {
                with(&self.machine.pin(page.frame()));
                self.machine.release_frame(page.frame());
                Ok(true)
            }
            Found::Wait => Ok(false),
            Found::Failed | Found::NoMemory => Err(DeviceError),
        }
    }

    /// Gives cached pages back.
    pub(crate) fn shrink_page_cache(&self, wanted: u32) {
        self.shrink(&mut self.files.pages.lock(), wanted);
    }

    fn shrink(&self, pages: &mut Pages, wanted: u32) {
        let copied = |frame: Frame| {
            let number = frame.number() + 1;
            self.cpus.iter().any(|cpu| cpu.flags.copying.load(Ordering::Acquire) == number)
        };
        let in_use = |frame| {
            let used = self.machine.frame_references(frame) > 1 || copied(frame);
            if used { Pinned::Yes } else { Pinned::No }
        };
        // Twice round gives each page its second chance.
        let twice = u32::try_from(pages.cache.counts().pages)
            .unwrap_or(u32::MAX)
            .saturating_mul(2)
            .saturating_add(64);
        let scan = twice.min(SCANNED_AT_ONCE);
        let given = pages.cache.shrink(wanted, scan, in_use, |_, frame| self.machine.release_frame(frame));
        pages.barren = if given > 0 { 0 } else { pages.barren.saturating_add(scan) };
        self.files.barren.store(pages.barren >= twice, Ordering::Relaxed);
    }

    /// Whether the last looks for a page that can go were twice round and found none.
    pub(crate) fn is_cache_barren(&self) -> bool {
        self.files.barren.load(Ordering::Relaxed)
    }

    /// Pages in the cache.
    pub(crate) fn cached_pages(&self) -> u64 {
        self.page_counts().pages
    }

    /// What the cache holds and did.
    pub(crate) fn page_counts(&self) -> swos_pagecache::Counts {
        self.files.pages.lock().cache.counts()
    }

    /// The last handle to a file is gone.
    pub(crate) fn close_file(&self, file: &File) {
        self.objects_open.fetch_sub(1, Ordering::Relaxed);
        let (vnode, is_made) = {
            let state = file.open.lock();
            (state.open.vnode, state.made.is_some())
        };
        if is_made {
            self.drop_text(file);
        }
        self.release_node(vnode);
    }

    /// Whether the handles to a node are counted, because it may lose its names while it is open.
    #[inline]
    pub(crate) fn is_counted(&self, vnode: VnodeId) -> bool {
        self.files.image.load(Ordering::Relaxed) != vnode.mount.get()
    }

    /// A handle to a node is gone.
    pub(crate) fn release_node(&self, vnode: VnodeId) {
        if !self.is_counted(vnode) {
            return;
        }
        let mut names = self.files.names.lock();
        if let Some(Ok(file_system)) = names.as_mut().map(|names| names.vfs.file_system_mut(vnode.mount)) {
            file_system.release(vnode.node);
        }
        self.litter();
    }
}

/// What a look into the cache found.
enum Found {
    Verified(Frame),
    Unverified(PageRef),
    Wait,
    Failed,
    NoMemory,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("counts", &self.cache.counts()).finish_non_exhaustive()
    }
}
