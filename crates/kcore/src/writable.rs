//! Writable file systems below the calls: what is mounted at boot, where their frames come from, and where those go back.

use alloc::{boxed::Box, sync::Arc};
use core::sync::atomic::Ordering;

use swos_abi::Errno;
use swos_devfs::DevFs;
use swos_path::Path;
use swos_sysfs::SysFs;
use swos_tmpfs::{Limits, TmpFs};
use swos_units::Frame;
use swos_vfs::{Error, FileSystem, FrameStore, Garbage, LastLink, MountId, Principal, Scope};

use crate::{
    Kernel, Level, Machine,
    files::Names,
    mapped::CutProgress,
    thread::Thread,
    user::CHUNK,
    wait::{CallResult, Stop},
};

/// Frames and nodes given back before interrupts have their turn, at up to two thousand instructions each.
pub(crate) const RECLAIM_SLICE: u32 = 24;
/// In a thread's progress: its call has done its work, and only gives back what it removed.
const SETTLING: u64 = u64::MAX;

/// What is to be done with a file system, at this moment. Behind a pointer: one `change` is enough.
pub(crate) type Deed<'a> =
    &'a mut dyn FnMut(&mut dyn FileSystem, &mut dyn FrameStore, u64) -> Result<(), Error>;

/// A file system, if there was memory for it.
type Made = Result<Box<dyn FileSystem>, Error>;

/// Frames of the machine for a file system. The last ones stay for programs and the kernel.
pub(crate) struct Frames<'a, M: Machine> {
    kernel: &'a Kernel<M>,
    /// There was none, and not all of the page cache was looked at.
    pub(crate) hopeful: bool,
}

impl<'a, M: Machine> Frames<'a, M> {
    pub(crate) const fn new(kernel: &'a Kernel<M>) -> Self {
        Self { kernel, hopeful: false }
    }

    fn is_short(&self) -> bool {
        let frames = self.kernel.machine.frames();
        frames.free <= (frames.total / 32).clamp(16, 1024)
    }

    fn frame(&mut self) -> Option<Frame> {
        if self.is_short() {
            self.kernel.shrink_page_cache(64);
            if self.is_short() {
                self.hopeful = !self.kernel.is_cache_barren();
                return None;
            }
        }
        self.kernel.machine.alloc_frame()
    }
}

impl<M: Machine> FrameStore for Frames<'_, M> {
    fn take(&mut self) -> Option<Frame> {
        let frame = self.frame()?;
        self.kernel.machine.zero_frame(frame);
        Some(frame)
    }

    /// References are given out with the names locked, as they are here: one that is alone stays alone.
    fn unshare(&mut self, frame: Frame) -> Option<Frame> {
        if self.kernel.machine.frame_references(frame) == 1 {
            return Some(frame);
        }
        let copy = self.frame()?;
        let machine = &self.kernel.machine;
        machine.copy_frame(frame, copy);
        machine.release_frame(frame);
        Some(copy)
    }

    fn write(&mut self, frame: Frame, offset: usize, bytes: &[u8]) {
        self.kernel.machine.write_frame(frame, offset, bytes);
    }

    fn zero(&mut self, frame: Frame, offset: usize) {
        // What does not fit is left out.
        for at in (offset..swos_units::PAGE_SIZE).step_by(CHUNK) {
            self.kernel.machine.write_frame(frame, at, &[0; CHUNK]);
        }
    }

    fn release(&mut self, frame: Frame) {
        self.kernel.machine.release_frame(frame);
    }
}

impl<M: Machine> Kernel<M> {
    /// Nanoseconds since 1970; since boot on a machine without a clock, so that at least the order is right.
    pub(crate) fn wall_ns(&self) -> u64 {
        self.realtime_at_boot_ns.saturating_add(self.machine.now().as_nanos())
    }

    /// Changes something in a file system. What it removed is given back at the end of the call: see [`settle`](Self::settle).
    #[inline(never)]
    pub(crate) fn change(&self, names: &mut Names, mount: MountId, deed: Deed<'_>) -> Result<(), Stop> {
        let now = self.wall_ns();
        let file_system = names.vfs.file_system_mut(mount).map_err(Errno::from)?;
        let mut frames = Frames::new(self);
        match deed(file_system, &mut frames, now) {
            Ok(()) => Ok(()),
            // The next try looks at more of the cache.
            Err(Error::NoSpace | Error::OutOfMemory) if frames.hopeful => Err(Stop::AGAIN),
            // It needs what is to be given back: a slice of that now, and the call starts over.
            Err(Error::Again) => {
                let _ = file_system.reclaim(RECLAIM_SLICE, &mut frames);
                Err(Stop::AGAIN)
            }
            Err(error) => Err(Errno::from(error).into()),
        }
    }

    /// Notes that something may wait to be given back.
    pub(crate) fn litter(&self) {
        self.files.garbage.store(true, Ordering::Relaxed);
        self.add_chore();
    }

    /// Whether something may.
    pub(crate) fn has_litter(&self) -> bool {
        self.files.garbage.load(Ordering::Relaxed)
    }

    /// Whether this try of a call only gives back what an earlier one removed.
    pub(crate) fn is_settling(thread: &Thread<M>) -> bool {
        thread.progress.done() == SETTLING
    }

    /// Ends a call that removed something: gives that back, in slices, before the program goes on.
    pub(crate) fn settle(&self, thread: &Thread<M>) -> CallResult {
        // What lay in an endpoint that went with a handle as well.
        if !self.sweep() && !self.bury() {
            return Ok(0);
        }
        thread.progress.lock().done = SETTLING;
        Err(Stop::AGAIN)
    }

    /// The same for a call that cut a file: first the pages leave all who map them.
    pub(crate) fn settle_cut(&self, thread: &Arc<Thread<M>>) -> CallResult {
        if self.is_cutting() {
            thread.progress.lock().done = SETTLING;
            return Err(self.go_on_losing(thread));
        }
        self.settle(thread)
    }

    /// Gives back a slice of what was removed. True = there is more.
    #[inline]
    pub(crate) fn sweep(&self) -> bool {
        self.has_litter() && self.sweep_some()
    }

    #[inline(never)]
    fn sweep_some(&self) -> bool {
        if self.cut_some(None) == Ok(CutProgress::Step) {
            return true;
        }
        let mut names = self.files.names.lock();
        let Some(names) = names.as_mut() else { return false };
        // Before the look: what comes after it says so again.
        self.files.garbage.store(false, Ordering::Relaxed);
        for mount in names.writable.into_iter().flatten() {
            if let Ok(file_system) = names.vfs.file_system_mut(mount)
                && file_system.reclaim(RECLAIM_SLICE, &mut Frames::new(self)) == Garbage::Left
            {
                // The next ones have their turn when this one has no more.
                self.litter();
                return true;
            }
        }
        // A cut that has to wait is no reason to come again at once.
        if self.is_cutting() {
            self.litter();
        }
        false
    }

    /// Mounts what is not in the image over its empty directories. Where one is missing, so is what belongs there.
    pub(crate) fn mount_writable(&self) {
        let pages = self.machine.frames().total;
        let limits = |pages: u64| Limits {
            pages,
            nodes: pages / 2,
            principal_pages: pages - pages / 4,
            principal_nodes: (pages - pages / 4) / 2,
        };
        let seed = || [self.placement(), self.placement()];
        let tmp = |pages, mode| TmpFs::new(limits(pages), seed(), Principal(1), mode, self.wall_ns());
        let mounts: [(&str, Made); 4] = [
            ("/tmp", tmp(pages / 2, 0o1777).map(|made| Box::new(made) as Box<dyn FileSystem>)),
            ("/run", tmp(pages / 16, 0o755).map(|made| Box::new(made) as Box<dyn FileSystem>)),
            ("/dev", Ok(Box::new(DevFs))),
            ("/sys", Ok(Box::new(SysFs))),
        ];
        let mut names = self.files.names.lock();
        let Some(names) = names.as_mut() else { return };
        for (slot, (path, file_system)) in mounts.into_iter().enumerate() {
            match file_system.and_then(|made| mount(names, path, made)) {
                Ok(id) => match names.writable.get_mut(slot) {
                    Some(writable) => *writable = Some(id),
                    None => self.files.sys.store(id.get(), Ordering::Relaxed),
                },
                Err(error) => {
                    self.log(Level::Warning, "boot", format_args!("nothing is mounted at {path}: {error}"));
                }
            }
        }
    }
}

fn mount(names: &mut Names, path: &str, file_system: Box<dyn FileSystem>) -> Result<MountId, Error> {
    let scope = Scope { namespace: &names.namespace, root: names.root, start: names.root, who: Principal(1) };
    let at = names.vfs.resolve(&scope, Path::new(path.as_bytes())?, LastLink::Keep)?.vnode;
    let id = names.vfs.attach(file_system)?;
    let top = names.vfs.root_of(id)?;
    names.namespace.mount(&names.vfs, at, top)?;
    Ok(id)
}
