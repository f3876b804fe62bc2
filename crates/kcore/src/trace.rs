//! Tracing: a record for each call of a process, into a pipe of whoever started it.
//!
//! A pipe is all that a tracer needs: records are whole or lost and counted, a reader waits or polls, and the end of the process is the
//! end of the pipe. A traced thread never waits for its tracer.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use swos_abi::{CALLS, PathIn, SpawnArgs, TRACE_UNFINISHED, TraceRecord};
use swos_pipe::{End, Piece, Wake};
use swos_sync::CpuToken;
use zerocopy::IntoBytes as _;

use crate::{
    Kernel, Machine,
    object::Object,
    pipe::PipeEnd,
    process::Process,
    thread::Thread,
    wait::{CallResult, Stop},
};

/// Where the calls of a process are told.
pub(crate) struct Sink<M: Machine> {
    pub(crate) pipe: Arc<PipeEnd<M>>,
    /// Records that found the pipe full since the last one that did not.
    dropped: AtomicU32,
}

impl<M: Machine> Sink<M> {
    pub(crate) const fn new(pipe: Arc<PipeEnd<M>>) -> Self {
        Self { pipe, dropped: AtomicU32::new(0) }
    }
}

/// Numbers of calls below this are looked up.
const NUMBERS: usize = 256;

/// For each number how the call is told a path: the table itself, with its texts, stays out of the kernel.
const PATHS: [Option<PathIn>; NUMBERS] = {
    let mut paths = [None; NUMBERS];
    let mut at = 0;
    while at < CALLS.len() {
        if let Some(path) = CALLS[at].path() {
            assert!(CALLS[at].number < NUMBERS as u64, "a call with a path beyond the table of paths");
            #[expect(clippy::cast_possible_truncation, reason = "checked above")]
            {
                paths[CALLS[at].number as usize] = Some(path);
            }
        }
        at += 1;
    }
    paths
};

impl<M: Machine> Kernel<M> {
    /// The first try of a call of a process that is ending or traced. Its arguments come one by one: an array would be in memory for
    /// all others, too.
    #[cold]
    #[expect(clippy::too_many_arguments, reason = "six are the call's")]
    pub(crate) fn watched_try(
        &self,
        cpu: &CpuToken,
        thread: &Arc<Thread<M>>,
        number: u64,
        a: u64,
        b: u64,
        c: u64,
        d: u64,
        e: u64,
        f: u64,
    ) -> CallResult {
        let arguments = [a, b, c, d, e, f];
        if thread.process.is_ending() {
            return Err(Stop::EXIT);
        }
        let mut record = TraceRecord {
            time_ns: self.machine.now().as_nanos(),
            tid: thread.tid,
            number: u32::try_from(number).unwrap_or(u32::MAX),
            arguments,
            ..TraceRecord::default()
        };
        self.note_path(&mut record);
        thread.progress.lock().traced = Some(record);
        self.first_try(cpu, thread, number, arguments)
    }

    /// Notes the path that the call is told, if it can be read now.
    fn note_path(&self, record: &mut TraceRecord) {
        let place = usize::try_from(record.number).ok().and_then(|number| PATHS.get(number)).copied();
        let Some(path) = place.flatten() else { return };
        let at = path.argument();
        let (Some(&from), Some(&len)) = (record.arguments.get(at), record.arguments.get(at + 1)) else {
            return;
        };
        let (from, len) = match path {
            PathIn::Argument(_) => (from, len),
            PathIn::SpawnArgs(_) => match self.read_record::<SpawnArgs>(from, len) {
                Ok(args) => (args.path, args.path_len),
                Err(_) => return,
            },
        };
        let shown = usize::try_from(len).unwrap_or(usize::MAX).min(record.path.len());
        let part = record.path.get_mut(..shown).unwrap_or_default();
        // Not there yet, or never: it is tried again when the call is over, which has read it then.
        if self.copy_in(from, part).is_ok() {
            record.path_len = u32::try_from(len).unwrap_or(u32::MAX);
        }
    }

    /// Tells how the call of a traced thread ended; `None` = with its thread.
    #[cold]
    pub(crate) fn tell_call(&self, thread: &Thread<M>, mut record: TraceRecord, result: Option<i64>) {
        let Some(sink) = thread.process.sink() else { return };
        if record.path_len == 0 && result.is_some() {
            self.note_path(&mut record);
        }
        record.duration_ns = self.machine.now().as_nanos().saturating_sub(record.time_ns);
        match result {
            Some(raw) => record.result = raw,
            None => record.flags = TRACE_UNFINISHED,
        }
        record.dropped = sink.dropped.swap(0, Ordering::Relaxed);
        let shared = &sink.pipe.shared;
        let written = shared.pipe.lock().write(record.as_bytes(), Piece::Whole);
        match written {
            Ok(taken) => {
                if taken.wake == Wake::OtherEnd {
                    self.wake_pipe(shared, End::Reader);
                }
                self.notify_pipe(shared, End::Reader);
            }
            // Full, or nobody reads any more.
            Err(_) => {
                sink.dropped.fetch_add(record.dropped.saturating_add(1), Ordering::Relaxed);
            }
        }
    }

    /// Tells the calls of `new` where those of `old` are told: until both have ended, as threads of the old one may be in calls.
    pub(crate) fn trace_as(old: &Process<M>, new: &Process<M>) {
        if let Some(sink) = old.sink() {
            // Closed by the end of `new`.
            let _counted = Object::Pipe(sink.pipe.clone()).opened();
            new.set_sink(sink);
        }
    }

    /// The process has ended: so does the pipe.
    pub(crate) fn end_trace(&self, process: &Process<M>) {
        if let Some(sink) = process.take_sink() {
            self.close_object(Object::Pipe(sink.pipe.clone()));
        }
    }
}
