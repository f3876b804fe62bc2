//! Faults of programs: pages that come on demand, and the end of those who went wrong.

use alloc::sync::Arc;

use swos_abi::{
    BUS_ADRALN, BUS_ADRERR, EXIT_FAULT, ExitRecord, ILL_ILLOPC, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGILL,
    SIGKILL, SIGSEGV, SIGTRAP, SIGXCPU, SignalInfo, TRAP_BRKPT,
};
use swos_aspace::{AccessKind, Cause, Decision, Denied, ObjectId};
use swos_sync::CpuToken;
use swos_units::{Frame, PAGE_SIZE, Page, VirtAddr};
use swos_vm::{Access as PageAccess, Attributes, Sharing};

use crate::{
    Kernel, Machine,
    dispatch::{Stopped, Trap},
    files::PageWanted,
    log::Level,
    memory::Mapped,
    oom::Relief,
    process::Process,
    signals::ended_by,
    space::{Inner, TableFrames, Translation},
    thread::{Pending, Thread},
    wait::{ANY_BITS, Access, WaitKey},
};

/// An exception that a program caused at EL0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UserException {
    /// What happened.
    pub kind: ExceptionKind,
    /// Instruction that caused it.
    pub pc: VirtAddr,
}

/// What a program did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExceptionKind {
    /// A memory access that the tables did not allow.
    Memory {
        /// Address it was about.
        address: VirtAddr,
        /// How it was accessed.
        access: AccessKind,
        /// What the hardware found.
        cause: Cause,
    },
    /// An instruction that does not exist, or not for programs.
    Instruction,
    /// A breakpoint instruction.
    Breakpoint,
    /// A misaligned program counter, stack pointer or access.
    Alignment {
        /// Address it was about.
        address: VirtAddr,
    },
    /// Anything else, by its exception syndrome.
    Other {
        /// `ESR_EL1`.
        syndrome: u64,
    },
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Resolution {
    /// Try the access again.
    Mapped,
    /// The thread is registered for what it needs.
    Wait,
    /// Something else had to be done first: try the access again after interrupts had their turn.
    Later,
    /// The access can't be made good.
    Refused(Refusal),
}

/// Why an access can't be made good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The program's fault.
    Denied(Denied),
    /// The disk failed, the page is beyond the end of its file, or there is no room for a page where its file has none.
    NoPage,
    /// No memory is left.
    NoMemory,
}

impl<M: Machine> Kernel<M> {
    /// An exception of the thread that runs on this CPU.
    pub fn user_fault(&self, cpu: &mut CpuToken, exception: UserException) -> Trap {
        let Some(thread) = self.own.get(cpu).current.clone() else { return Trap::Reschedule };
        let (signal, code, address, what) = match exception.kind {
            ExceptionKind::Memory { address, access, cause } => {
                match self.resolve_cause(&thread, address, access, cause) {
                    Resolution::Mapped | Resolution::Later => return Trap::Resume,
                    Resolution::Wait => return self.pause(cpu, &thread),
                    Resolution::Refused(Refusal::Denied(denied)) => {
                        (SIGSEGV, denied_code(denied), address, denied_text(denied, access))
                    }
                    Resolution::Refused(Refusal::NoPage) => {
                        (SIGBUS, BUS_ADRERR, address, "no page behind the mapping")
                    }
                    Resolution::Refused(Refusal::NoMemory) => match self.relieve(&thread) {
                        Relief::Retry if thread.process.is_ending() => return self.end_here(cpu, &thread),
                        Relief::Retry => return Trap::Resume,
                        Relief::Wait => return self.pause(cpu, &thread),
                        Relief::None => (SIGKILL, 0, address, "out of memory"),
                    },
                }
            }
            ExceptionKind::Instruction => (SIGILL, ILL_ILLOPC, exception.pc, "undefined instruction"),
            ExceptionKind::Breakpoint => (SIGTRAP, TRAP_BRKPT, exception.pc, "breakpoint"),
            ExceptionKind::Alignment { address } => (SIGBUS, BUS_ADRALN, address, "misaligned access"),
            ExceptionKind::Other { .. } => (SIGILL, ILL_ILLOPC, exception.pc, "unexpected exception"),
        };
        let info = SignalInfo { signal, code, address: address.get(), ..SignalInfo::default() };
        if self.catches(cpu, &thread, info) {
            return Trap::Reschedule;
        }
        self.log(
            Level::Warning,
            "fault",
            format_args!(
                "{} ({}): {what} at {:#x}, pc {:#x}",
                thread.process.name(),
                thread.process.pid,
                address.get(),
                exception.pc.get()
            ),
        );
        let (code, fault_address) = (signal.cast_signed(), address.get());
        let record = ExitRecord { cause: EXIT_FAULT, code, fault_address, ..ExitRecord::default() };
        self.end_process(&thread.process, record);
        self.end_thread(cpu, &thread);
        Trap::Reschedule
    }

    /// The thread waits for what its fault needs, and then tries again.
    fn pause(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>) -> Trap {
        match self.stop(cpu, thread, Pending::Nothing) {
            Stopped::Waits => Trap::Reschedule,
            Stopped::Woken if thread.process.is_ending() => self.end_here(cpu, thread),
            Stopped::Woken | Stopped::NoMemory => {
                self.forget(thread);
                Trap::Resume
            }
        }
    }

    /// The thread's process is ending.
    fn end_here(&self, cpu: &mut CpuToken, thread: &Arc<Thread<M>>) -> Trap {
        self.end_thread(cpu, thread);
        Trap::Reschedule
    }

    /// Makes good an access of the kernel to the caller's memory.
    pub(crate) fn resolve(&self, thread: &Arc<Thread<M>>, access: Access) -> Resolution {
        let cause = {
            let inner = thread.process.space.inner.lock();
            let mapped = match &inner.tables {
                Translation::Live(tables) => tables.walk(&TableFrames(self), access.address),
                Translation::Dying(_) | Translation::Gone => None,
            };
            match mapped {
                Some(mapping) if mapping.attributes.access() != PageAccess::None => Cause::Forbidden,
                Some(_) | None => Cause::Absent,
            }
        };
        self.resolve_cause(thread, access.address, access.kind, cause)
    }

    fn resolve_cause(
        &self,
        thread: &Arc<Thread<M>>,
        address: VirtAddr,
        kind: AccessKind,
        cause: Cause,
    ) -> Resolution {
        let process = &thread.process;
        let mut inner = process.space.inner.lock();
        if inner.copying {
            return self.wait_for_copy(thread);
        }
        let page = Page::containing(address);
        match inner.areas.fault(address, kind, cause) {
            Decision::MapZero { access } => {
                let Some(frame) = self.frame() else { return Resolution::Refused(Refusal::NoMemory) };
                self.machine.zero_frame(frame);
                self.map(process, &mut inner, page, frame, Attributes::user(access, Sharing::Private))
            }
            Decision::MapFile { object, page: index, access } => {
                let wanted = self.object_page(thread, &inner, object, index);
                self.map_found(process, &mut inner, page, wanted, access, Sharing::CopyOnWrite)
            }
            Decision::MapShared { object, page: index, access } => {
                let wanted = match inner.objects.get(object) {
                    Some(Mapped::Held(file)) => match self.shared_page(file.vnode, index, access) {
                        Ok(frame) => PageWanted::Ready(frame),
                        Err(resolution) => return resolution,
                    },
                    _ => self.object_page(thread, &inner, object, index),
                };
                self.map_found(process, &mut inner, page, wanted, access, Sharing::Shared)
            }
            Decision::CopyFile { object, page: index, bytes, access } => {
                let wanted = self.object_page(thread, &inner, object, index);
                let wanted = match wanted {
                    PageWanted::Ready(source) => {
                        let copy = self.frame();
                        if let Some(copy) = copy {
                            self.copy_part(source, copy, bytes);
                        }
                        self.machine.release_frame(source);
                        copy.map_or(PageWanted::NoMemory, PageWanted::Ready)
                    }
                    other => other,
                };
                self.map_found(process, &mut inner, page, wanted, access, Sharing::Private)
            }
            Decision::CopyOnWrite { access } => self.copy_on_write(process, &mut inner, page, access),
            Decision::Stale => {
                let mut tlb = process.space.tlb(&self.machine);
                swos_vm::Tlb::invalidate_page(&mut tlb, page);
                swos_vm::Tlb::synchronize(&mut tlb);
                Resolution::Mapped
            }
            Decision::Deny(denied) => Resolution::Refused(Refusal::Denied(denied)),
        }
    }

    /// A page of what the space knows as `object`.
    fn object_page(
        &self,
        thread: &Arc<Thread<M>>,
        inner: &Inner,
        object: ObjectId,
        index: u64,
    ) -> PageWanted {
        match inner.objects.get(object) {
            Some(Mapped::File(vnode)) => self.file_page(Some(thread), *vnode, index),
            Some(Mapped::Held(file)) => self.node_page(Some(thread), file.vnode, index),
            Some(Mapped::Memory(memory)) => self.memory_page(memory, index),
            None => PageWanted::Failed,
        }
    }

    /// Maps a page that was found, or says what became of it.
    fn map_found(
        &self,
        process: &Process<M>,
        inner: &mut Inner,
        page: Page,
        wanted: PageWanted,
        access: PageAccess,
        sharing: Sharing,
    ) -> Resolution {
        match wanted {
            PageWanted::Ready(frame) => {
                if access == PageAccess::ReadExecute {
                    self.machine.sync_instructions(frame);
                }
                self.map(process, inner, page, frame, Attributes::user(access, sharing))
            }
            PageWanted::Wait => Resolution::Wait,
            PageWanted::Failed => Resolution::Refused(Refusal::NoPage),
            PageWanted::NoMemory => Resolution::Refused(Refusal::NoMemory),
        }
    }

    /// Maps a frame, whose reference passes to the tables.
    fn map(
        &self,
        process: &Process<M>,
        inner: &mut Inner,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Resolution {
        let Translation::Live(tables) = &mut inner.tables else {
            self.machine.release_frame(frame);
            return Resolution::Refused(Refusal::NoMemory);
        };
        match tables.map_page(
            &mut TableFrames(self),
            &mut process.space.tlb(&self.machine),
            page,
            frame,
            attributes,
        ) {
            Ok(()) => {
                inner.resident += 1;
                inner.faults += 1;
                inner.shared += u64::from(attributes.sharing() == Sharing::Shared);
                Resolution::Mapped
            }
            Err(swos_vm::Error::Mapped(_)) => {
                // Another thread was faster.
                self.machine.release_frame(frame);
                Resolution::Mapped
            }
            Err(_) => {
                self.machine.release_frame(frame);
                Resolution::Refused(Refusal::NoMemory)
            }
        }
    }

    fn copy_on_write(
        &self,
        process: &Process<M>,
        inner: &mut Inner,
        page: Page,
        access: PageAccess,
    ) -> Resolution {
        let Translation::Live(tables) = &mut inner.tables else {
            return Resolution::Refused(Refusal::NoMemory);
        };
        let Some(mapping) = tables.walk(&TableFrames(self), page.start()) else { return Resolution::Mapped };
        let old = mapping.frame;
        let attributes = Attributes::user(access, Sharing::Private);
        let mut tlb = process.space.tlb(&self.machine);
        let (frame, copied) = if self.machine.frame_references(old) == 1 {
            (old, false)
        } else {
            let Some(copy) = self.frame() else { return Resolution::Refused(Refusal::NoMemory) };
            self.machine.copy_frame(old, copy);
            (copy, true)
        };
        match tables.replace_page(&mut TableFrames(self), &mut tlb, page, frame, attributes) {
            Ok(_) if copied => self.machine.release_frame(old),
            Ok(_) => {}
            Err(_) => {
                if copied {
                    self.machine.release_frame(frame);
                }
                return Resolution::Refused(Refusal::NoMemory);
            }
        }
        inner.faults += 1;
        Resolution::Mapped
    }

    /// A fork copies the space: what changes it waits for its end (see `fork`).
    #[cold]
    fn wait_for_copy(&self, thread: &Arc<Thread<M>>) -> Resolution {
        match self.register(thread, WaitKey::Space { space: thread.process.space.id }, ANY_BITS) {
            Ok(()) => Resolution::Wait,
            Err(_) => Resolution::Refused(Refusal::NoMemory),
        }
    }

    /// Copies the first `bytes` bytes of a frame; the rest is zero.
    fn copy_part(&self, from: Frame, to: Frame, bytes: usize) {
        if bytes >= PAGE_SIZE {
            self.machine.copy_frame(from, to);
        } else {
            self.machine.zero_frame(to);
            let source = self.machine.pin(from);
            self.machine.write_frame(to, 0, source.get(..bytes).unwrap_or(&[]));
        }
    }

    /// Ends a process that has used up its CPU time.
    pub(crate) fn end_for_time(&self, process: &Arc<Process<M>>) {
        self.end_process(process, ended_by(SIGXCPU));
    }

    /// Tells the log how a process was ended from outside.
    pub(crate) fn report_fault(&self, process: &Process<M>, record: &ExitRecord) {
        self.log(
            Level::Debug,
            "process",
            format_args!("{} ({}) ended by signal {}", process.name(), process.pid, record.code),
        );
    }
}

const fn denied_code(denied: Denied) -> i32 {
    match denied {
        Denied::Unmapped => SEGV_MAPERR,
        Denied::Guard | Denied::Access => SEGV_ACCERR,
    }
}

const fn denied_text(denied: Denied, access: AccessKind) -> &'static str {
    match (denied, access) {
        (Denied::Guard, _) => "stack overflow",
        (Denied::Unmapped, AccessKind::Read) => "read of unmapped memory",
        (Denied::Unmapped, AccessKind::Write) => "write to unmapped memory",
        (Denied::Unmapped, AccessKind::Execute) => "jump to unmapped memory",
        (Denied::Access, AccessKind::Read) => "read of inaccessible memory",
        (Denied::Access, AccessKind::Write) => "write to read-only memory",
        (Denied::Access, AccessKind::Execute) => "jump into data",
    }
}
