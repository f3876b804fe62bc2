//! Pipes: the calls.

use alloc::sync::Arc;

use arrayvec::ArrayVec;
use swos_abi::{
    CLOSE_ON_EXEC, Errno, Handle, MemoryPiece, PAIR_MESSAGE_MAX, PIPE_BUF, PIPE_NONBLOCK, PipeEnds, Rights,
};
use swos_pipe::{CAPACITY, End, Error, Piece, Wake};
use swos_units::PAGE_SIZE;
use zerocopy::IntoBytes as _;

use super::{Reading, on_exec_of};
use crate::{
    Kernel, Machine,
    object::Object,
    pipe::{Borders, PairEnd, PipeEnd},
    thread::Thread,
    user::user_range,
    wait::{CallResult, Stop, read_fault},
};

/// Bytes that one step copies between a program and a pipe: a record, because it goes in at once.
const STEP: usize = PIPE_BUF;
/// The same for short messages: most are, and a short buffer on the stack is cheap to clear.
const SHORT_STEP: usize = 512;
/// And for those of a few words.
const TINY_STEP: usize = 64;
/// Bytes in front of a message of a pair that keeps borders: its length.
const HEADER: usize = PIPE_BUF - PAIR_MESSAGE_MAX;
/// Bytes that one try of a call moves at most, however fast the other end is; then interrupts have their turn.
const TURN: u64 = CAPACITY as u64;
/// The same from many pieces of memory, which are sought for each step.
const PIECES_TURN: u64 = TURN / 4;

impl<M: Machine> Kernel<M> {
    pub(super) fn pipe(&self, thread: &Thread<M>, ends: u64, size: u64, flags: u32) -> CallResult {
        if flags & !(PIPE_NONBLOCK | CLOSE_ON_EXEC) != 0 || size < size_of::<PipeEnds>() as u64 {
            return Err(Errno::INVAL.into());
        }
        // A bad pointer must not cost a pipe: it is tried before there is one.
        self.copy_out(ends, PipeEnds::NONE.as_bytes())?;
        let [reader, writer] = self.new_pipe(flags & PIPE_NONBLOCK != 0);
        let common = Rights::GETATTR | Rights::DUPLICATE | Rights::TRANSFER;
        let tell =
            |[reader, writer]: [Handle; 2]| self.copy_out(ends, PipeEnds { reader, writer }.as_bytes());
        let pipe =
            [(Object::Pipe(reader), common | Rights::READ), (Object::Pipe(writer), common | Rights::WRITE)];
        self.install_two(thread, pipe, on_exec_of(flags), tell)
    }

    /// Goes on with a read that was woken at an empty pipe, with the end that it found when it began. `None` = it is to begin anew.
    #[inline]
    pub(super) fn go_on_at_pipe(
        &self,
        thread: &Arc<Thread<M>>,
        buffer: u64,
        length: u64,
    ) -> Option<CallResult> {
        let end = thread.progress.take_reading()?;
        let result = self.read_pipe(thread, &end, buffer, length);
        if result == Err(Stop::AGAIN) {
            // Another reader is at it: whether this one is known as waiting was not looked at.
            thread.progress.lock().reading = Some(end);
        }
        // Nothing comes any more. What its program is told depends on whether it still has the handle.
        (result != Ok(0)).then_some(result)
    }

    /// Reads what lies at hand: looks at it, copies it out, and only then takes it.
    pub(super) fn read_pipe(
        &self,
        thread: &Arc<Thread<M>>,
        end: &Arc<PipeEnd<M>>,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        if end.end != End::Reader {
            return Err(Errno::BADF.into());
        }
        let length = length.min(TURN);
        if length == 0 {
            return Ok(0);
        }
        let _reading = Reading::start(&end.shared.reading)?;
        let bytes = self.read_pipe_part::<SHORT_STEP>(thread, end, buffer, (0, length))?;
        let mut done = match bytes {
            Some(count) => count,
            None => self.read_pipe_pages(end, buffer, length)?,
        };
        if bytes.is_none() || done == SHORT_STEP as u64 {
            while done < length {
                match self.read_pipe_step(thread, end, buffer, (done, length)) {
                    Ok(None | Some(0)) | Err(_) => break,
                    Ok(Some(count)) => done += count,
                }
            }
        }
        if done > 0 {
            self.notify_pipe(&end.shared, End::Writer);
        }
        Ok(done)
    }

    /// Reads the pages that lie at hand, which came before all else; returns how many bytes.
    fn read_pipe_pages(&self, end: &PipeEnd<M>, buffer: u64, length: u64) -> CallResult {
        let mut done = 0;
        while done < length {
            let Some(part) = end.shared.pipe.lock().take_page() else { break };
            let wanted = usize::try_from(length - done).unwrap_or(usize::MAX);
            let bytes = part.page().get(part.start()..).unwrap_or(&[]);
            let bytes = bytes.get(..wanted).unwrap_or(bytes);
            let count = bytes.len();
            if let Err(stop) = self.copy_out(buffer.saturating_add(done), bytes) {
                end.shared.pipe.lock().give_back(part);
                return if done > 0 { Ok(done) } else { Err(stop) };
            }
            let (wake, page) = end.shared.pipe.lock().consume_page(part, count);
            drop(page);
            if wake == Wake::OtherEnd {
                self.wake_pipe(&end.shared, End::Writer);
            }
            done += count as u64;
        }
        Ok(done)
    }

    /// Reads at most so many bytes as a step has; `done` of `length` were read before. `None` = pages are to be read first.
    #[inline(never)]
    fn read_pipe_step(
        &self,
        thread: &Arc<Thread<M>>,
        end: &Arc<PipeEnd<M>>,
        buffer: u64,
        progress: (u64, u64),
    ) -> Result<Option<u64>, Stop> {
        self.read_pipe_part::<STEP>(thread, end, buffer, progress)
    }

    /// The same with at most `N` bytes. Where it is called, as the call itself would cost most of what a few bytes do.
    #[inline(always)]
    fn read_pipe_part<const N: usize>(
        &self,
        thread: &Arc<Thread<M>>,
        end: &Arc<PipeEnd<M>>,
        buffer: u64,
        (done, length): (u64, u64),
    ) -> Result<Option<u64>, Stop> {
        let mut bytes = ArrayVec::<u8, N>::new();
        {
            let mut pipe = end.shared.pipe.lock();
            if pipe.has_pages() {
                return Ok(None);
            }
            match pipe.peek() {
                Ok(pieces) => {
                    let wanted = usize::try_from(length - done).unwrap_or(N).min(N);
                    for piece in pieces {
                        let room = wanted - bytes.len();
                        // As much as goes: the piece is cut to the room.
                        let _ = bytes.try_extend_from_slice(piece.get(..room).unwrap_or(piece));
                    }
                }
                Err(_) if done > 0 => {}
                Err(_) => return Err(self.wait_to_read(thread, end, &mut pipe)),
            }
            // Who closed the pipe may not have got to waking it yet.
            pipe.leave(thread);
        }
        if bytes.is_empty() {
            return Ok(Some(0));
        }
        self.copy_out(buffer.saturating_add(done), &bytes)?;
        let wake = end.shared.pipe.lock().consume(bytes.len());
        if wake == Wake::OtherEnd {
            self.wake_pipe(&end.shared, End::Writer);
        }
        Ok(Some(bytes.len() as u64))
    }

    /// Writes in steps, short messages in one. What was taken before a wait is kept in the thread's progress.
    pub(super) fn write_pipe(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PipeEnd<M>,
        pieces: &[MemoryPiece],
        length: u64,
    ) -> CallResult {
        if end.end != End::Writer {
            return Err(Errno::BADF.into());
        }
        // What it holds is the kernel's memory.
        self.room_for_objects()?;
        let before = thread.progress.done();
        let mut done = before;
        let stop = loop {
            if done == length {
                break None;
            }
            if done - before >= if pieces.len() > 1 { PIECES_TURN } else { TURN } {
                break Some(Stop::AGAIN);
            }
            let step = if let [piece] = pieces
                && length - done >= PIPE_BUF as u64
                && end.shared.pipe.lock().takes_page()
            {
                self.write_pipe_page(thread, end, piece, (done, length))
            } else if length - done <= TINY_STEP as u64 {
                self.write_pipe_part::<TINY_STEP>(thread, end, pieces, (done, length))
            } else if length - done <= SHORT_STEP as u64 {
                self.write_pipe_step::<SHORT_STEP>(thread, end, pieces, (done, length))
            } else {
                self.write_pipe_step::<STEP>(thread, end, pieces, (done, length))
            };
            match step {
                Ok(taken) => done += taken,
                // What was taken was taken. Whoever asks for more is told then.
                Err(stop) if stop.is_errno() && done > 0 => break None,
                Err(stop) => break Some(stop),
            }
        };
        if done > before {
            self.notify_pipe(&end.shared, End::Reader);
        }
        stop.map_or(Ok(done), Err)
    }

    /// Writes the next page of a buffer, of which `done` of `length` were taken: it is copied into a frame, and that is moved.
    #[inline(never)]
    fn write_pipe_page(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PipeEnd<M>,
        piece: &MemoryPiece,
        (done, length): (u64, u64),
    ) -> CallResult {
        const { assert!(PIPE_BUF == PAGE_SIZE, "what goes in at once is a page") };
        let from = user_range(piece.address.saturating_add(done), PIPE_BUF as u64)?;
        let page = match self.machine.alloc_frame() {
            None => None,
            Some(frame) => {
                let copied = self.machine.copy_in_page(from, frame);
                let page = self.machine.adopt(frame);
                copied.map_err(read_fault)?;
                Some(page)
            }
        };
        let written = page.map(|page| end.shared.pipe.lock().write_page(page));
        let Some(Ok(wake)) = written else {
            // No frame, or another writer was faster.
            return self.write_pipe_step::<STEP>(thread, end, core::slice::from_ref(piece), (done, length));
        };
        let count = PIPE_BUF as u64;
        if done + count < length {
            thread.progress.lock().done = done + count;
        }
        if wake == Wake::OtherEnd {
            self.wake_pipe(&end.shared, End::Reader);
        }
        Ok(count)
    }

    /// Writes the next bytes of a buffer, of which `done` of `length` were taken.
    #[inline(never)]
    fn write_pipe_step<const N: usize>(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PipeEnd<M>,
        pieces: &[MemoryPiece],
        progress: (u64, u64),
    ) -> CallResult {
        self.write_pipe_part::<N>(thread, end, pieces, progress)
    }

    /// The same where it is called.
    #[inline(always)]
    fn write_pipe_part<const N: usize>(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PipeEnd<M>,
        pieces: &[MemoryPiece],
        (done, length): (u64, u64),
    ) -> CallResult {
        let mut bytes = [0; N];
        let count = usize::try_from(length - done).unwrap_or(N).min(N);
        let part = bytes.get_mut(..count).unwrap_or(&mut []);
        self.gather(pieces, done, part)?;
        let piece = if length <= PIPE_BUF as u64 { Piece::Whole } else { Piece::Part };
        let (taken, news) = {
            let mut pipe = end.shared.pipe.lock();
            let taken = match pipe.write(part, piece) {
                Ok(taken) => taken,
                Err(Error::WouldBlock) => return Err(self.wait_pipe(thread, end, &mut pipe)),
                Err(error) => return Err(pipe_errno(error).into()),
            };
            (taken, (taken.wake == Wake::OtherEnd).then(|| pipe.news()))
        };
        if done + (taken.count as u64) < length {
            thread.progress.lock().done = done + taken.count as u64;
        }
        if let Some(news) = news {
            self.announce_bytes(&end.shared, news);
        }
        Ok(taken.count as u64)
    }

    /// Reads from an end of a pair.
    pub(super) fn read_pair(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PairEnd<M>,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        match end.borders {
            Borders::None => self.read_pipe(thread, &end.incoming, buffer, length),
            Borders::Kept => self.read_message(thread, &end.incoming, buffer, length),
        }
    }

    /// Writes to an end of a pair.
    pub(super) fn write_pair(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PairEnd<M>,
        pieces: &[MemoryPiece],
        length: u64,
    ) -> CallResult {
        match end.borders {
            Borders::None => self.write_pipe(thread, &end.outgoing, pieces, length),
            Borders::Kept => self.write_message(thread, &end.outgoing, pieces, length),
        }
    }

    /// Reads a message; what has no room in the buffer is dropped.
    #[inline(never)]
    fn read_message(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PipeEnd<M>,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        let _reading = Reading::start(&end.shared.reading)?;
        let mut bytes = ArrayVec::<u8, STEP>::new();
        {
            let mut pipe = end.shared.pipe.lock();
            let Ok(pieces) = pipe.peek() else { return Err(self.wait_pipe(thread, end, &mut pipe)) };
            for piece in pieces {
                let room = bytes.remaining_capacity();
                // As much as goes: behind the message others wait.
                let _ = bytes.try_extend_from_slice(piece.get(..room).unwrap_or(piece));
            }
        }
        // Nobody writes any more.
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(0) };
        let whole = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        let message = rest.get(..whole).unwrap_or(rest);
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let part = message.get(..wanted).unwrap_or(message);
        self.copy_out(buffer, part)?;
        let wake = end.shared.pipe.lock().consume(HEADER + message.len());
        if wake == Wake::OtherEnd {
            self.wake_pipe(&end.shared, End::Writer);
        }
        self.notify_pipe(&end.shared, End::Writer);
        Ok(part.len() as u64)
    }

    /// Writes a message, whole or not at all.
    #[inline(never)]
    fn write_message(
        &self,
        thread: &Arc<Thread<M>>,
        end: &PipeEnd<M>,
        pieces: &[MemoryPiece],
        length: u64,
    ) -> CallResult {
        let count = usize::try_from(length).ok().filter(|&count| count <= PAIR_MESSAGE_MAX);
        let count = count.ok_or(Errno::MSGSIZE)?;
        // What it holds is the kernel's memory.
        self.room_for_objects()?;
        let mut bytes = [0; STEP];
        let (header, rest) = bytes.split_at_mut(HEADER);
        for (to, from) in header.iter_mut().zip(length.to_le_bytes()) {
            *to = from;
        }
        self.gather(pieces, 0, rest.get_mut(..count).unwrap_or(&mut []))?;
        let taken = {
            let mut pipe = end.shared.pipe.lock();
            match pipe.write(bytes.get(..HEADER + count).unwrap_or(&[]), Piece::Whole) {
                Ok(taken) => taken,
                Err(Error::WouldBlock) => return Err(self.wait_pipe(thread, end, &mut pipe)),
                Err(error) => return Err(pipe_errno(error).into()),
            }
        };
        if taken.wake == Wake::OtherEnd {
            self.wake_pipe(&end.shared, End::Reader);
        }
        self.notify_pipe(&end.shared, End::Reader);
        Ok(length)
    }
}

/// What a program is told about a write.
pub(super) const fn pipe_errno(error: Error) -> Errno {
    match error {
        Error::WouldBlock => Errno::AGAIN,
        Error::NoReader => Errno::PIPE,
        Error::TooLong => Errno::MSGSIZE,
        Error::NoMemory => Errno::NOMEM,
    }
}
