//! `fork`: a second process that goes on where the first one is.
//!
//! The child gets the areas and, page by page, the frames of its parent, copy-on-write on both sides; the handles that may be
//! duplicated, under the same numbers; and the registers of the one thread that called. That goes in slices, between which the
//! parent's other threads run. Yet the child sees its parent as at one moment:
//!
//! While the copy goes on, nothing may *change* the space: page faults of the other threads, and their mapping calls, wait for
//! its end ([`Inner::copying`](crate::space::Inner)). A page that was copied is read-only, so a write to it faults and waits, or hits
//! a translation that a CPU still has and so lands in the frame that both share. Either way a write is missing in the
//! child only if it happens after the copy's end, and so does all that its thread does after it. What happens
//! after something that is missing is therefore missing, too: no order that a program can observe is broken. The one
//! invalidation of the whole space when all pages are copied ends the second case.
//!
//! Handles follow when memory stands still: a number that the child finds in its memory was opened before. Another thread can still
//! close one meanwhile; then the child lacks it, as if that had come before the fork.
//!
//! What fails is taken apart again ([`Unborn`]).

use alloc::{boxed::Box, sync::Arc};
use core::sync::atomic::Ordering;

use swos_abi::{Capabilities, Errno};
use swos_handles::HandleTable;
use swos_sched::Enter;
use swos_signals::ProcessSignals;
use swos_units::Page;
use swos_vm::{Half, PageRange, Progress, Tables, Tlb as _};

use crate::{
    Kernel, Machine,
    account::Charge,
    object::Object,
    process::{Ending, NewProcess, Process, Teardown},
    space::{Space, TableFrames, Translation},
    thread::{Pending, Phase, Thread},
    unborn::Unborn,
    usage::Usage,
    wait::{CallResult, Stop, WaitKey},
};

/// Table entries read per slice.
const ENTRIES_PER_SLICE: usize = 320;
/// Objects per slice that learn of a further space which shows them.
const OBJECTS_PER_SLICE: usize = 128;
/// Handle slots copied per slice.
const SLOTS_PER_SLICE: usize = 256;

/// The parts that are there.
pub(crate) struct Draft<M: Machine> {
    charge: Charge,
    /// Its areas, and the objects that they show, which know of it. It gets its tables last.
    space: Arc<Space>,
    tables: Tables,
    /// The first so many objects that its space shows know of it.
    attached: usize,
    resident: u64,
    /// The page to go on from; `None` = all are copied.
    next: Option<Page>,
    handles: HandleTable<Object<M>>,
    handles_done: bool,
}

impl<M: Machine> Kernel<M> {
    /// Does the next piece of a fork.
    pub(crate) fn fork(&self, thread: &Arc<Thread<M>>) -> CallResult {
        match thread.progress.take_unborn() {
            Some(Unborn::Draft(draft)) => self.go_on(thread, draft),
            Some(Unborn::Refused(teardown, errno)) => Err(self.go_on_refusing(thread, teardown, errno)),
            // No other call leaves anything here.
            Some(Unborn::Order(_) | Unborn::Body(_)) | None => self.begin_fork(thread),
        }
    }

    fn begin_fork(&self, thread: &Arc<Thread<M>>) -> CallResult {
        let process = &thread.process;
        if !process.has(Capabilities::SPAWN) {
            return Err(Errno::ACCES.into());
        }
        self.room_for_objects()?;
        let account = self.account_of(process.pid)?;
        let mut inner = process.space.inner.lock();
        if inner.copying || inner.changing > 0 {
            inner.awaited = true;
            return Err(self.wait_for(thread, WaitKey::Space { space: process.space.id }));
        }
        let charge = account.charge()?;
        let areas = inner.areas.duplicate().map_err(|_| Errno::NOMEM)?;
        let objects = inner.objects.duplicate().map_err(|_| Errno::NOMEM)?;
        let tables = Tables::new(Half::User, &mut TableFrames(self)).ok_or(Errno::NOMEM)?;
        inner.copying = true;
        drop(inner);
        let space = Space::of_parts(self, areas, tables.root());
        space.inner.lock().objects = objects;
        let handles = HandleTable::new(process.limits.lock().handles);
        let next = Some(Page::default());
        let draft =
            Draft { charge, space, tables, attached: 0, resident: 0, next, handles, handles_done: false };
        // Copying all that was much already.
        Err(Self::keep(thread, Unborn::Draft(Box::new(draft)), Stop::AGAIN))
    }

    /// Lets a few more of the objects that a new space shows know of it; false = not all do yet. Not one after the first that can't.
    fn attach_some(&self, draft: &mut Draft<M>) -> Result<bool, Errno> {
        let inner = draft.space.inner.lock();
        let mut rest = inner.objects.iter().skip(draft.attached);
        for (_, mapped) in rest.by_ref().take(OBJECTS_PER_SLICE) {
            self.attach(&draft.space, mapped)?;
            draft.attached += 1;
        }
        Ok(rest.next().is_none())
    }

    fn go_on(&self, thread: &Arc<Thread<M>>, mut draft: Box<Draft<M>>) -> CallResult {
        let complete = draft.next.is_none() && draft.handles_done;
        let outcome = if complete {
            self.bear(thread, draft)
        } else {
            match self.copy_slice(&thread.process, &mut draft) {
                // Also when all is there now: the registers can be copied only when the thread is off its CPU.
                Ok(()) => return Err(Self::keep(thread, Unborn::Draft(draft), Stop::AGAIN)),
                Err(errno) => Err((draft, errno)),
            }
        };
        match outcome {
            Ok(pid) => {
                self.end_copy(&thread.process);
                Ok(u64::from(pid))
            }
            Err((draft, errno)) => Err(Self::refuse(thread, self.unmake(&thread.process, *draft), errno)),
        }
    }

    /// Copies pages until all are there, then handles.
    fn copy_slice(&self, parent: &Process<M>, draft: &mut Draft<M>) -> Result<(), Errno> {
        // Between slices others may have used up what there was at the beginning.
        self.room_for_objects()?;
        if !self.attach_some(draft)? {
            return Ok(());
        }
        if let Some(next) = draft.next {
            draft.next = self.copy_pages(parent, draft, next)?;
        }
        if draft.next.is_none() {
            let progress =
                parent.handles.lock().fork_into(&mut draft.handles, SLOTS_PER_SLICE, Object::opened);
            draft.handles_done =
                progress.map_err(crate::calls::handle_errno)? == swos_handles::Progress::Done;
        }
        Ok(())
    }

    fn copy_pages(
        &self,
        parent: &Process<M>,
        draft: &mut Draft<M>,
        next: Page,
    ) -> Result<Option<Page>, Errno> {
        let mut inner = parent.space.inner.lock();
        let Translation::Live(tables) = &mut inner.tables else { return Err(Errno::NOMEM) };
        let rest = PageRange::new(next, Page::containing(swos_aspace::USER_END)).ok_or(Errno::INVAL)?;
        let resident = &mut draft.resident;
        let copied = tables.share_with(
            &mut TableFrames(self),
            &mut parent.space.tlb(&self.machine),
            &mut draft.tables,
            rest,
            ENTRIES_PER_SLICE,
            |frame| {
                self.machine.share_frame(frame);
                *resident += 1;
            },
        );
        match copied {
            Ok(Progress::More(next)) => return Ok(Some(next)),
            Ok(Progress::Done) => {}
            Err(_) => return Err(Errno::NOMEM),
        }
        self.forget_writable(parent);
        Ok(None)
    }

    /// No CPU writes any more to what was copied.
    fn forget_writable(&self, parent: &Process<M>) {
        let mut tlb = parent.space.tlb(&self.machine);
        tlb.invalidate_space();
        tlb.synchronize();
    }

    /// All is copied: makes the process and lets it run.
    fn bear(&self, thread: &Arc<Thread<M>>, draft: Box<Draft<M>>) -> Result<u32, (Box<Draft<M>>, Errno)> {
        if let Err(errno) = self.reserve_thread() {
            return Err((draft, errno));
        }
        let parent = &thread.process;
        let signals = parent.signals.lock().fork();
        let made = signals.map_err(|_| Errno::NOMEM).and_then(|signals| {
            let pid = self.processes.lock().new_pid(parent.pid, None);
            pid.map(|pid| (pid, signals)).map_err(crate::calls::refused_errno)
        });
        let (pid, signals) = match made {
            Ok(made) => made,
            Err(errno) => {
                self.forget_thread();
                return Err((draft, errno));
            }
        };
        let Draft { charge, space, tables, resident, handles, .. } = *draft;
        space.fill(tables, resident);
        let child = self.relative(parent, pid, space, handles, signals);
        self.processes.lock().add(child.clone(), parent.pid, charge);
        let context = self.machine.fork_context(thread.context());
        let own = thread.signals.lock().fork();
        let first = self.add_thread(&child, context, own);
        let name = *thread.name.lock();
        *first.name.lock() = name;
        let mut state = first.state.lock();
        state.phase = Phase::Ready;
        state.pending = Pending::Result(0);
        self.enqueue(&first, state, Enter::New);
        Ok(pid)
    }

    /// A process like `parent`, but for its memory and handles.
    pub(crate) fn relative(
        &self,
        parent: &Process<M>,
        pid: u32,
        space: Arc<Space>,
        handles: HandleTable<Object<M>>,
        signals: ProcessSignals,
    ) -> Arc<Process<M>> {
        let process = Process::new(NewProcess {
            pid,
            name: parent.name,
            identity: parent.identity(),
            capabilities: parent.capabilities(),
            limits: *parent.limits.lock(),
            usage: Arc::new(Usage::default()),
            space,
            started: self.machine.now(),
            view: *parent.view.lock(),
            signals,
        });
        *process.handles.lock() = handles;
        Arc::new(process)
    }

    /// The space may change again.
    fn end_copy(&self, process: &Process<M>) {
        process.space.inner.lock().copying = false;
        self.wake_all(WaitKey::Space { space: process.space.id });
    }

    /// Ends the copy; what is there of the child, as something that can be taken apart.
    pub(crate) fn unmake(&self, parent: &Process<M>, draft: Draft<M>) -> Teardown<M> {
        let Draft { space, tables, resident, handles, .. } = draft;
        self.forget_writable(parent);
        self.end_copy(parent);
        space.fill(tables, resident);
        Teardown::new(self.relative(parent, 0, space, handles, ProcessSignals::new()), Ending::Silent)
    }

    /// A mapping call begins, or goes on. It waits while the space is copied.
    pub(crate) fn begin_change(&self, thread: &Arc<Thread<M>>) -> Result<(), Stop> {
        let process = &thread.process;
        let mut inner = process.space.inner.lock();
        if thread.progress.changing.load(Ordering::Relaxed) {
            return Ok(());
        }
        if inner.copying {
            return Err(self.wait_for(thread, WaitKey::Space { space: process.space.id }));
        }
        inner.changing += 1;
        thread.progress.changing.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// A mapping call that has begun, and needs many steps that must look like one, gets the space for itself: as while it is
    /// copied, other mapping calls and faults wait until it stops.
    pub(crate) fn change_alone(&self, thread: &Arc<Thread<M>>) -> Result<(), Stop> {
        if thread.progress.alone.load(Ordering::Relaxed) {
            return Ok(());
        }
        let process = &thread.process;
        let mut inner = process.space.inner.lock();
        inner.changing -= 1;
        if inner.changing > 0 {
            // It doesn't count while it waits, or two would wait for each other.
            thread.progress.changing.store(false, Ordering::Relaxed);
            inner.awaited = true;
            return Err(self.wait_for(thread, WaitKey::Space { space: process.space.id }));
        }
        inner.copying = true;
        thread.progress.alone.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// A mapping call stops: for good, unless it says that it comes again.
    pub(crate) fn end_change(&self, thread: &Thread<M>, result: CallResult) -> CallResult {
        if result == Err(Stop::AGAIN) || !thread.progress.changing.load(Ordering::Relaxed) {
            return result;
        }
        let process = &thread.process;
        if thread.progress.alone.load(Ordering::Relaxed) {
            thread.progress.alone.store(false, Ordering::Relaxed);
            thread.progress.changing.store(false, Ordering::Relaxed);
            self.end_copy(process);
            return result;
        }
        let awaited = {
            let mut inner = process.space.inner.lock();
            thread.progress.changing.store(false, Ordering::Relaxed);
            inner.changing -= 1;
            inner.changing == 0 && core::mem::take(&mut inner.awaited)
        };
        if awaited {
            self.wake_all(WaitKey::Space { space: process.space.id });
        }
        result
    }
}
