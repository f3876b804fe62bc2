//! Files in memory that address spaces map.
//!
//! A file is known here as long as a space maps a page of it, and stays a file as long, whatever becomes of its names and handles.
//! The frames are the file's: a page that is mapped shared is one frame for all who map it and for `read` and `write`; a private
//! mapping has the frame of a page that nobody shares until somebody writes, and a copy of one that is shared.
//!
//! When the file shrinks, pages beyond its end leave the spaces before anybody may change the file again: no program keeps a page
//! that is the file's no more, and none loses what it made of one that came after.

use alloc::sync::Arc;

use swos_abi::Errno;
use swos_aspace::{Access, ObjectId};
use swos_sync::Lock;
use swos_units::{Frame, page_count};
use swos_vfs::{Error, Kind, VnodeId};

use crate::{
    Kernel, Machine,
    fault::{Refusal, Resolution},
    files::Names,
    mappers::{Mappers, Next},
    memory::Mapped,
    ranks,
    space::Space,
    thread::Thread,
    wait::Stop,
    writable::{Frames, RECLAIM_SLICE},
};

/// A file that is mapped.
#[derive(Debug)]
pub(crate) struct MappedFile {
    /// Never used again.
    pub(crate) id: ObjectId,
    pub(crate) vnode: VnodeId,
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    mappers: Mappers,
    /// Calls under way that are about to map it.
    calls: u32,
    /// It is in the list of those that are cut.
    listed: bool,
    /// The next one there.
    next: Option<Arc<MappedFile>>,
}

impl State {
    /// Whether nobody maps it, nor is about to.
    const fn is_idle(&self) -> bool {
        self.calls == 0 && self.mappers.is_empty()
    }
}

/// The files of which pages are to leave the address spaces, the first one.
pub(crate) type Cuts = Option<Arc<MappedFile>>;

/// What came of an attempt to go on with cuts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CutProgress {
    /// There is none.
    None,
    /// A step was done.
    Step,
}

impl<M: Machine> Kernel<M> {
    /// What a file is to an address space that is about to map it. One in memory stays so until [`Self::let_go`].
    pub(crate) fn mapped_source(&self, vnode: VnodeId) -> Result<Mapped, Errno> {
        let mut names = self.files.names.lock();
        let names = names.as_mut().ok_or(Errno::NOENT)?;
        let file_system = names.vfs.file_system_mut(vnode.mount)?;
        if file_system.attributes(vnode.node)?.kind != Kind::File {
            return Err(Errno::NODEV);
        }
        if vnode.mount == names.root.mount {
            return Ok(Mapped::File(vnode));
        }
        // One whose bytes are made when they are read has no pages.
        file_system.page(vnode.node, 0).map_err(|_| Errno::NODEV)?;
        if let Some(file) = names.mapped.get(&vnode) {
            file.state.lock().calls += 1;
            return Ok(Mapped::Held(file.clone()));
        }
        file_system.retain(vnode.node);
        let state = State { mappers: Mappers::new(), calls: 1, listed: false, next: None };
        let state = Lock::new(ranks::MAPPED_FILE, state);
        let file = Arc::new(MappedFile { id: self.new_object_id(), vnode, state });
        names.mapped.insert(vnode, file.clone());
        Ok(Mapped::Held(file))
    }

    /// A call that was about to map a file has done so, or not.
    pub(crate) fn let_go(&self, file: &MappedFile) {
        self.leave_file(file, |state| state.calls -= 1);
    }

    /// Notes that a space maps a file, which somebody else maps or is about to.
    pub(crate) fn attach_file(space: &Arc<Space>, file: &MappedFile) -> Result<(), Errno> {
        file.state.lock().mappers.add(space)
    }

    /// The last page of a file left the areas of a space.
    pub(crate) fn detach_file(&self, space: &Space, file: &MappedFile) {
        self.leave_file(file, |state| {
            state.mappers.remove(space);
        });
    }

    /// One less needs a mapped file. The last one gives it back.
    fn leave_file(&self, file: &MappedFile, leave: impl FnOnce(&mut State)) {
        let mut names = self.files.names.lock();
        let Some(names) = names.as_mut() else { return };
        {
            let mut state = file.state.lock();
            leave(&mut state);
            if !state.is_idle() {
                return;
            }
        }
        names.mapped.remove(&file.vnode);
        if let Ok(file_system) = names.vfs.file_system_mut(file.vnode.mount) {
            file_system.release(file.vnode.node);
        }
        self.litter();
    }

    /// The frame of a page that is shared with all who map it and with the file, with a reference for the caller.
    pub(crate) fn shared_page(
        &self,
        vnode: VnodeId,
        index: u64,
        access: Access,
    ) -> Result<Frame, Resolution> {
        let refused = |refusal| Err(Resolution::Refused(refusal));
        let modified = (access == Access::ReadWrite).then(|| self.wall_ns());
        let mut names = self.files.names.lock();
        let file_system = names.as_mut().and_then(|names| names.vfs.file_system_mut(vnode.mount).ok());
        let Some(file_system) = file_system else { return refused(Refusal::NoPage) };
        let mut frames = Frames::new(self);
        match file_system.page_to_share(vnode.node, index, modified, &mut frames) {
            Ok(frame) => {
                // Before the lock goes, with which the file could be cut.
                self.machine.share_frame(frame);
                Ok(frame)
            }
            Err(Error::Again) => {
                let _ = file_system.reclaim(RECLAIM_SLICE, &mut frames);
                Err(Resolution::Later)
            }
            // The next try looks at more of the cache.
            Err(Error::NoSpace | Error::OutOfMemory) if frames.hopeful => Err(Resolution::Later),
            Err(Error::OutOfMemory) => refused(Refusal::NoMemory),
            // Beyond the end, or no room.
            Err(_) => refused(Refusal::NoPage),
        }
    }

    /// Whether pages that a file lost are still mapped. Until they are not, nobody changes it.
    pub(crate) fn is_losing(names: &Names, vnode: VnodeId) -> bool {
        names.mapped.get(&vnode).is_some_and(|file| file.state.lock().mappers.is_cutting())
    }

    /// Does what has to be done, or waited for, before a file that loses pages is changed: the call starts over.
    pub(crate) fn go_on_losing(&self, thread: &Arc<Thread<M>>) -> Stop {
        self.cut_some(Some(thread)).err().unwrap_or(Stop::AGAIN)
    }

    /// Cuts or grows a file. The pages that it loses are still to leave those who map them: see [`Self::cut_some`].
    pub(crate) fn resize(&self, names: &mut Names, vnode: VnodeId, size: u64) -> Result<(), Stop> {
        if Self::is_losing(names, vnode) {
            return Err(Stop::AGAIN);
        }
        let before = names.vfs.attributes(vnode).map_err(Errno::from)?.size;
        self.change(names, vnode.mount, &mut |file_system, frames, now| {
            file_system.set_size(vnode.node, size, now, frames)
        })?;
        if page_count(size) < page_count(before)
            && let Some(file) = names.mapped.get(&vnode)
        {
            self.begin_cut(file, page_count(size));
        }
        Ok(())
    }

    /// The names are locked, and no cut of this file is under way.
    fn begin_cut(&self, file: &Arc<MappedFile>, end: u64) {
        let mut cuts = self.files.cuts.lock();
        let mut state = file.state.lock();
        state.mappers.cut_from(end);
        if !state.listed {
            state.listed = true;
            state.next = cuts.replace(file.clone());
        }
        drop(state);
        drop(cuts);
        self.litter();
    }

    /// Whether pages that any file lost are still mapped.
    pub(crate) fn is_cutting(&self) -> bool {
        self.files.cuts.lock().is_some()
    }

    /// One step of taking pages that files lost out of the address spaces. One that is being copied is waited for: by `waiter`,
    /// or by coming back later.
    pub(crate) fn cut_some(&self, waiter: Option<&Arc<Thread<M>>>) -> Result<CutProgress, Stop> {
        let Some(file) = self.files.cuts.lock().clone() else { return Ok(CutProgress::None) };
        let next = file.state.lock().mappers.next();
        match next {
            Next::Space(visit) => {
                let next = self.visit(waiter, file.id, &visit)?;
                file.state.lock().mappers.went(&visit, next);
                return Ok(CutProgress::Step);
            }
            Next::Rest { .. } | Next::Nothing => {}
        }
        // Another CPU may have been faster, and the file may have been cut once more: then it stays.
        let mut cuts = self.files.cuts.lock();
        if cuts.as_ref().is_some_and(|first| Arc::ptr_eq(first, &file)) {
            let mut state = file.state.lock();
            if matches!(state.mappers.next(), Next::Rest { .. } | Next::Nothing) {
                state.mappers.end_cut();
                state.listed = false;
                *cuts = state.next.take();
            }
        }
        Ok(CutProgress::Step)
    }
}
