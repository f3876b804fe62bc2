//! Memory objects: the calls.

use alloc::sync::Arc;

use swos_abi::{CLOSE_ON_EXEC, Errno, Handle, MEMORY_EXECUTE, Rights};
use swos_memobject::Progress;
use swos_units::PAGE_SIZE;

use super::on_exec_of;
use crate::{
    Kernel, Machine,
    files::PageWanted,
    memory::MemoryObject,
    object::Object,
    thread::Thread,
    user::CHUNK,
    wait::{CallResult, Stop},
};

/// Bytes that one call copies at most.
const TRANSFER_MAX: u64 = 64 * 1024;

impl<M: Machine> Kernel<M> {
    pub(super) fn memory_create(&self, thread: &Thread<M>, size: u64, flags: u32) -> CallResult {
        if flags & !(MEMORY_EXECUTE | CLOSE_ON_EXEC) != 0 {
            return Err(Errno::INVAL.into());
        }
        let mut rights = Rights::READ
            | Rights::WRITE
            | Rights::MAP
            | Rights::DUPLICATE
            | Rights::TRANSFER
            | Rights::GETATTR
            | Rights::SETATTR;
        rights.set(Rights::EXECUTE, flags & MEMORY_EXECUTE != 0);
        let memory = self.new_memory(&thread.process.memory, size)?;
        self.install_as(thread, Object::Memory(memory), rights, None, on_exec_of(flags))
    }

    fn memory_of(thread: &Thread<M>, handle: Handle, needed: Rights) -> Result<Arc<MemoryObject>, Stop> {
        match Self::object(thread, handle, needed)? {
            Object::Memory(memory) => Ok(memory),
            _ => Err(Errno::NOTTY.into()),
        }
    }

    /// Sets the size once; what it cuts off then leaves the address spaces step by step. A cut that somebody else began comes
    /// first.
    pub(super) fn memory_resize(&self, thread: &Arc<Thread<M>>, handle: Handle, size: u64) -> CallResult {
        let memory = Self::memory_of(thread, handle, Rights::SETATTR)?;
        if self.cut_step(thread, &memory)? == Progress::More {
            return Err(Stop::AGAIN);
        }
        if thread.progress.done() == 0 {
            match self.set_memory_size(&memory, size) {
                // Another thread was faster with a cut of its own.
                Err(Errno::BUSY) => return Err(Stop::AGAIN),
                set => set?,
            }
            thread.progress.lock().done = 1;
            return if self.cut_step(thread, &memory)? == Progress::More { Err(Stop::AGAIN) } else { Ok(0) };
        }
        Ok(0)
    }

    /// Copies bytes of an object out, as far as it goes. What nobody touched is zero, and stays untouched.
    pub(super) fn read_memory(
        &self,
        thread: &Thread<M>,
        memory: &MemoryObject,
        buffer: u64,
        length: u64,
        offset: u64,
    ) -> CallResult {
        let length = length.min(TRANSFER_MAX).min(memory.size().saturating_sub(offset));
        let mut done = thread.progress.done();
        while done < length {
            let mut bytes = [0; CHUNK];
            let piece = Piece::at(offset + done, length - done);
            let part = bytes.get_mut(..piece.count).unwrap_or(&mut []);
            if let Some(frame) = self.present_page(memory, piece.page) {
                self.machine.read_frame(frame, piece.within, part);
                self.machine.release_frame(frame);
            }
            self.copy_out(buffer.saturating_add(done), part)?;
            done += piece.count as u64;
            thread.progress.lock().done = done;
        }
        Ok(done)
    }

    /// Copies bytes into an object, up to its end.
    pub(super) fn write_memory(
        &self,
        thread: &Thread<M>,
        memory: &MemoryObject,
        buffer: u64,
        length: u64,
        offset: u64,
    ) -> CallResult {
        let room = memory.size().saturating_sub(offset);
        let mut done = thread.progress.done();
        if room == 0 && length > 0 && done == 0 {
            return Err(Errno::FBIG.into());
        }
        let length = length.min(TRANSFER_MAX).min(room);
        while done < length {
            let mut bytes = [0; CHUNK];
            let piece = Piece::at(offset + done, length - done);
            let part = bytes.get_mut(..piece.count).unwrap_or(&mut []);
            self.copy_in(buffer.saturating_add(done), part)?;
            match self.memory_page(memory, piece.page) {
                PageWanted::Ready(frame) => {
                    self.machine.write_frame(frame, piece.within, part);
                    self.machine.release_frame(frame);
                }
                // Cut meanwhile, or no frame: what was written was written.
                _ if done > 0 => break,
                PageWanted::NoMemory => return Err(Errno::NOMEM.into()),
                PageWanted::Wait | PageWanted::Failed => return Err(Errno::FBIG.into()),
            }
            done += piece.count as u64;
            thread.progress.lock().done = done;
        }
        Ok(done)
    }
}

/// Bytes of one page that are copied at once.
struct Piece {
    page: u64,
    within: usize,
    count: usize,
}

impl Piece {
    fn at(offset: u64, left: u64) -> Self {
        let within = usize::try_from(offset % PAGE_SIZE as u64).unwrap_or(0);
        let left = usize::try_from(left).unwrap_or(CHUNK);
        Self { page: offset / PAGE_SIZE as u64, within, count: (PAGE_SIZE - within).min(left).min(CHUNK) }
    }
}
