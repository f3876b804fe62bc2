//! Bytes into files, out of devices, and many pieces at once.

use alloc::{sync::Arc, vec::Vec};

use swos_abi::{Errno, Handle, MemoryPiece, PIECES_MAX, Rights};
use swos_devfs::{Device, Effect};
use swos_pipe::{End, Piece, Wake};
use swos_units::PAGE_SIZE;
use swos_vfs::{Kind, WriteAt, Written};

use super::{files::TRANSFER_MAX, pipes::pipe_errno};
use crate::{
    Kernel, Machine,
    files::PageWanted,
    net::SocketKind,
    object::{File, Object, OpenDevice},
    pipe::{Borders, PipeEnd},
    thread::Thread,
    user::CHUNK,
    wait::{CallResult, Stop},
};

/// Bytes that one try of a call moves at most; then interrupts have their turn.
const TURN: u64 = 64 * 1024;
/// The same into a file, whose pages are to be had first.
const WRITE_TURN: u64 = 32 * 1024;
/// The same of random numbers, each of which costs some forty instructions.
const RANDOM_TURN: u64 = 1024;
/// Of many pieces those that are moved after another without that: so many, or so many bytes. The last one may take a turn of its
/// own.
const PIECES_AT_ONCE: u32 = 8;
const PIECE_BYTES_AT_ONCE: u64 = 2048;
const RANDOM_BYTES_AT_ONCE: u64 = 64;

/// Zeros that are copied from the kernel's stack.
pub(super) const FEW: usize = 16;

/// Which way the bytes of many pieces go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Read,
    Write,
}

impl<M: Machine> Kernel<M> {
    /// Copies in what lies `skip` bytes behind the start of the first of some pieces of memory, over their borders.
    pub(super) fn gather(
        &self,
        pieces: &[MemoryPiece],
        mut skip: u64,
        mut into: &mut [u8],
    ) -> Result<(), Stop> {
        for piece in pieces {
            if skip >= piece.length {
                skip -= piece.length;
                continue;
            }
            let count = usize::try_from(piece.length - skip).unwrap_or(usize::MAX).min(into.len());
            let (now, later) = into.split_at_mut(count);
            self.copy_in(piece.address.saturating_add(skip), now)?;
            (into, skip) = (later, 0);
            if into.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Writes the bytes of some pieces, at the position or at `offset`. What was written before a wait is kept in the thread's
    /// progress; up to a page goes in as one.
    pub(super) fn write_file(
        &self,
        thread: &Arc<Thread<M>>,
        file: &File,
        pieces: &[MemoryPiece],
        length: u64,
        offset: Option<u64>,
    ) -> CallResult {
        let length = length.min(TRANSFER_MAX);
        let before = thread.progress.done();
        let mut done = before;
        while done < length {
            if done - before >= if pieces.len() > 1 { WRITE_TURN / 4 } else { WRITE_TURN } {
                return Err(Stop::AGAIN);
            }
            let step = if length - done <= CHUNK as u64 {
                self.write_step::<CHUNK>(thread, file, pieces, (done, length), offset)
            } else {
                self.write_step::<PAGE_SIZE>(thread, file, pieces, (done, length), offset)
            };
            match step {
                Ok(count) => done += count,
                // What was written was written. Whoever asks for more is told then.
                Err(stop) if stop.is_errno() && done > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(done)
    }

    #[inline(never)]
    fn write_step<const N: usize>(
        &self,
        thread: &Arc<Thread<M>>,
        file: &File,
        pieces: &[MemoryPiece],
        (done, length): (u64, u64),
        offset: Option<u64>,
    ) -> CallResult {
        let mut bytes = [0; N];
        let count = usize::try_from(length - done).unwrap_or(N).min(N);
        let part = bytes.get_mut(..count).unwrap_or(&mut []);
        self.gather(pieces, done, part)?;
        self.put(thread, file, offset.map(|offset| offset.saturating_add(done)), done, part)
    }

    /// Writes bytes of the kernel's, and keeps in the progress that they are.
    fn put(
        &self,
        thread: &Arc<Thread<M>>,
        file: &File,
        offset: Option<u64>,
        done: u64,
        part: &[u8],
    ) -> CallResult {
        // The position is one with the write: of two who share it, none writes over the other's bytes.
        let mut state = file.open.lock();
        let vnode = state.open.vnode;
        let at = match offset {
            Some(offset) => WriteAt::Offset(offset),
            None if state.open.flags.contains(swos_abi::OpenFlags::APPEND) => WriteAt::End,
            None => WriteAt::Offset(state.open.position()),
        };
        let mut written = Written { count: 0, end: 0 };
        let mut losing = false;
        {
            let mut names = self.files.names.lock();
            let names = names.as_mut().ok_or(Errno::NOENT)?;
            if Self::is_losing(names, vnode) {
                losing = true;
            } else {
                self.change(names, vnode.mount, &mut |file_system, frames, now| {
                    written = file_system.write(vnode.node, at, part, now, frames)?;
                    Ok(())
                })?;
            }
        }
        if losing {
            drop(state);
            return Err(self.go_on_losing(thread));
        }
        if offset.is_none() {
            state.open.set_position(written.end);
        }
        drop(state);
        thread.progress.lock().done = done + written.count as u64;
        Ok(written.count as u64)
    }

    /// Copies bytes of a file to another one, or into a pipe, page by page.
    pub(super) fn copy_file(
        &self,
        thread: &Arc<Thread<M>>,
        to: &Object<M>,
        file: &File,
        (offset, length): (u64, u64),
        head_len: u64,
    ) -> CallResult {
        if !matches!(to, Object::File(_) | Object::Pipe(_)) {
            return Err(Errno::NOTSOCK.into());
        }
        let vnode = file.open.lock().open.vnode;
        let attributes = self.attributes(vnode)?;
        if attributes.kind != Kind::File || head_len != 0 {
            return Err(Errno::INVAL.into());
        }
        let length = length.min(TRANSFER_MAX).min(attributes.size.saturating_sub(offset));
        let before = thread.progress.done();
        let mut done = before;
        if done == 0 && length > 0 {
            self.read_ahead(file, vnode, offset, length, attributes.size);
        }
        let stop = loop {
            // The file may have been cut between two tries.
            if done >= length {
                break None;
            }
            if done - before >= WRITE_TURN {
                break Some(Stop::AGAIN);
            }
            let at = offset + done;
            let within = usize::try_from(at % PAGE_SIZE as u64).unwrap_or(0);
            let count = (PAGE_SIZE - within).min(usize::try_from(length - done).unwrap_or(PAGE_SIZE));
            let step = match self.node_page(Some(thread), vnode, at / PAGE_SIZE as u64) {
                PageWanted::Ready(frame) => {
                    let page = self.machine.adopt(frame);
                    let part = page.get(within..within + count).unwrap_or(&[]);
                    match to {
                        Object::File(into) => self.put(thread, into, None, done, part),
                        Object::Pipe(end) => self.put_into_pipe(thread, end, done, part),
                        _ => Err(Errno::NOTSOCK.into()),
                    }
                }
                PageWanted::Wait => Err(Stop::WAIT),
                PageWanted::NoMemory => Err(Errno::NOMEM.into()),
                PageWanted::Failed => Err(Errno::IO.into()),
            };
            match step {
                // The pipe is full.
                Ok(0) => break None,
                Ok(count) => done += count,
                Err(stop) if stop.is_errno() && done > 0 => break None,
                Err(stop) => break Some(stop),
            }
        };
        if let Object::Pipe(end) = to
            && done > before
        {
            self.notify_pipe(&end.shared, End::Reader);
        }
        stop.map_or(Ok(done), Err)
    }

    /// Writes as much as goes into a pipe; waits only for the first byte.
    fn put_into_pipe(&self, thread: &Arc<Thread<M>>, end: &PipeEnd<M>, done: u64, part: &[u8]) -> CallResult {
        if end.end != End::Writer {
            return Err(Errno::BADF.into());
        }
        let taken = {
            let mut pipe = end.shared.pipe.lock();
            match pipe.write(part, Piece::Part) {
                Ok(taken) => taken,
                Err(swos_pipe::Error::WouldBlock) if done > 0 => return Ok(0),
                Err(swos_pipe::Error::WouldBlock) => return Err(self.wait_pipe(thread, end, &mut pipe)),
                Err(error) => return Err(pipe_errno(error).into()),
            }
        };
        thread.progress.lock().done = done + taken.count as u64;
        if taken.wake == Wake::OtherEnd {
            self.wake_pipe(&end.shared, End::Reader);
        }
        Ok(taken.count as u64)
    }

    pub(super) fn set_size(&self, thread: &Arc<Thread<M>>, handle: Handle, size: u64) -> CallResult {
        if Self::is_settling(thread) {
            return self.settle_cut(thread);
        }
        let Object::File(file) = Self::object(thread, handle, Rights::WRITE)? else {
            return Err(Errno::INVAL.into());
        };
        if self.is_cutting() {
            // Perhaps this one.
            return Err(self.go_on_losing(thread));
        }
        let vnode = file.open.lock().open.vnode;
        {
            let mut names = self.files.names.lock();
            let names = names.as_mut().ok_or(Errno::NOENT)?;
            self.resize(names, vnode, size)?;
        }
        self.litter();
        self.settle_cut(thread)
    }

    /// Nothing written waits anywhere: what can be written is in memory.
    pub(super) fn sync(thread: &Thread<M>, handle: Handle) -> CallResult {
        match Self::object(thread, handle, Rights::empty())? {
            Object::File(_) => Ok(0),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Reads from a device that never waits.
    pub(super) fn read_device(
        &self,
        thread: &Thread<M>,
        device: Device,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        let length = length.min(TRANSFER_MAX);
        let before = thread.progress.done();
        let mut done = before;
        while done < length {
            let (at, rest) = (buffer.saturating_add(done), length - done);
            let effect = device.on_read();
            if done - before >= if effect == Effect::Random { RANDOM_TURN } else { TURN } {
                return Err(Stop::AGAIN);
            }
            let count = match effect {
                Effect::Zeros => self.copy_zeros(at, rest)?,
                Effect::Random => self.random_bytes(at, rest)?,
                Effect::End | Effect::Taken | Effect::NoSpace | Effect::Console => return Ok(0),
            };
            done += count;
            if done < length {
                thread.progress.lock().done = done;
            }
        }
        Ok(done)
    }

    /// Copies zeros out, at most a page of them.
    #[inline]
    pub(super) fn copy_zeros(&self, at: u64, length: u64) -> CallResult {
        let count = usize::try_from(length).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
        // A few are had without counting the page of them.
        if let Some(few) = [0; FEW].get(..count) {
            self.copy_out(at, few)?;
        } else {
            self.copy_out(at, self.machine.pin(self.zero_page).get(..count).unwrap_or(&[]))?;
        }
        Ok(count as u64)
    }

    pub(super) fn write_device(device: &OpenDevice, length: u64) -> CallResult {
        match device.device.on_write() {
            Effect::NoSpace if length > 0 => Err(Errno::NOSPC.into()),
            _ => Ok(length.min(i64::MAX.cast_unsigned())),
        }
    }

    /// Reads or writes many pieces as if they were one.
    pub(super) fn vector(
        &self,
        thread: &Arc<Thread<M>>,
        handle: Handle,
        (address, count): (u64, u64),
        way: Way,
    ) -> CallResult {
        let pieces: Vec<MemoryPiece> = self.read_array(address, count, PIECES_MAX)?;
        let length = pieces.iter().try_fold(0_u64, |sum, piece| sum.checked_add(piece.length));
        let length = length.filter(|&sum| i64::try_from(sum).is_ok()).ok_or(Errno::INVAL)?;
        let needed = if way == Way::Read { Rights::READ } else { Rights::WRITE };
        let mut earlier = thread.progress.earlier();
        let object = match Self::object(thread, handle, needed) {
            Ok(object) => object,
            // What was moved before the handle went was moved.
            Err(_) if earlier > 0 => return Ok(earlier),
            Err(stop) => return Err(stop),
        };
        match (&object, way) {
            (Object::File(file), Way::Write) => {
                return self.write_file(thread, file, &pieces, length, None);
            }
            (Object::Pipe(end), Way::Write) => return self.write_pipe(thread, end, &pieces, length),
            (Object::Pair(end), Way::Write) => {
                return self.write_pair(thread, end, &pieces, length);
            }
            // One message can't be made of pieces that are sent one by one.
            (Object::Socket(socket), _) if socket.kind != SocketKind::Stream && count > 1 => {
                return Err(Errno::OPNOTSUPP.into());
            }
            (Object::Pair(end), Way::Read) if end.borders == Borders::Kept && count > 1 => {
                return Err(Errno::OPNOTSUPP.into());
            }
            _ => {}
        }
        let (before, mut count) = (earlier, 0);
        let is_random =
            matches!(&object, Object::Device(device) if device.device.on_read() == Effect::Random);
        let most = if is_random { RANDOM_BYTES_AT_ONCE } else { PIECE_BYTES_AT_ONCE };
        let mut start = 0;
        for piece in pieces {
            let begins = start;
            start += piece.length;
            if piece.length == 0 || begins < earlier {
                continue;
            }
            if count == PIECES_AT_ONCE || earlier - before >= most {
                return Err(Stop::AGAIN);
            }
            count += 1;
            let moved = match way {
                Way::Read => self.read(thread, handle, piece.address, piece.length),
                Way::Write => self.write(thread, handle, piece.address, piece.length),
            };
            let moved = match moved {
                Ok(moved) => moved,
                Err(stop) if stop.is_errno() && earlier > 0 => break,
                // What there was is the answer; only a file's next bytes are worth the wait.
                Err(Stop::WAIT) if earlier > 0 && way == Way::Read && !matches!(object, Object::File(_)) => {
                    break;
                }
                Err(stop) => return Err(stop),
            };
            earlier += moved;
            let mut progress = thread.progress.lock();
            (progress.earlier, progress.done) = (earlier, 0);
            if moved < piece.length {
                break;
            }
        }
        Ok(earlier)
    }
}
