//! The kernel's log: what is kept, and what the console shows of it.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use arrayvec::ArrayString;
use swos_abi::LogStats;
use swos_log_record::{Buffer, Filter, LINE_MAX, Record, Ring, TEXT_MAX};
pub use swos_log_record::{Level, Threshold};

use crate::{Kernel, Machine, thread::Thread};

/// Longest line that the console shows of a record. No record needs more as text: each byte of a value at most doubles.
const CONSOLE_LINE: usize = 2048;

/// Bytes of lines after which a turn ends: more are for the next call.
const TURN: usize = 3072;

/// The ring and the filter before it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) ring: Ring,
    pub(crate) filter: Filter,
}

impl Log {
    /// An empty log; `None` without memory for it.
    pub(crate) fn new(bytes: usize, filter: Filter) -> Option<Self> {
        Some(Self { ring: Ring::new(bytes).ok()?, filter })
    }

    pub(crate) fn stats(&self) -> LogStats {
        let stats = self.ring.stats();
        LogStats {
            capacity: stats.capacity,
            available: stats.available,
            written: stats.written,
            overwritten: stats.overwritten,
        }
    }
}

/// Makes a line of a record.
pub(crate) type Render = fn(&Record<'_>, &mut Buffer<'_>) -> bool;

/// A text of at most so many bytes; what is beyond is cut at a character.
struct Words(ArrayString<TEXT_MAX>);

impl fmt::Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.0.remaining_capacity();
        let cut = text.get(..text.floor_char_boundary(text.len().min(room))).unwrap_or_default();
        self.0.push_str(cut);
        // What is cut here stays cut: nothing shorter may follow.
        if cut.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

impl<M: Machine> Kernel<M> {
    /// Adds a record of the kernel's own to the log, and shows it on the console if it matters enough. Nothing is formatted that
    /// the filter keeps out.
    #[cold]
    pub fn log(&self, level: Level, source: &str, text: fmt::Arguments<'_>) {
        if !self.log_admits(source, level) {
            return;
        }
        let mut words = Words(ArrayString::new());
        let _cut = words.write_fmt(text);
        let record = Record { at: self.machine.now(), level, source, text: &words.0, ..Record::default() };
        self.keep_record(&record, self.config.console_level);
    }

    /// Whether the filter keeps such a record.
    #[cold]
    pub(crate) fn log_admits(&self, source: &str, level: Level) -> bool {
        self.log.lock().filter.admits(source, level)
    }

    /// Adds a record that a program made, if the filter keeps it. Who made it the kernel knows.
    #[cold]
    pub(crate) fn keep_record_of(&self, thread: &Thread<M>, record: &Record<'_>) {
        let process = &thread.process;
        // What programs do every day is not to interrupt who types at the console.
        let shown = match self.config.console_level {
            Level::Info => Level::Warning,
            other => other,
        };
        let record = Record {
            at: self.machine.now(),
            source: process.name(),
            pid: process.pid,
            principal: process.identity().principal,
            ..*record
        };
        self.keep_record(&record, shown);
    }

    #[cold]
    fn keep_record(&self, record: &Record<'_>, shown: Level) {
        self.log.lock().ring.push(record);
        if record.level >= shown {
            let mut line = [0; CONSOLE_LINE];
            let mut out = Buffer::new(&mut line);
            swos_log_record::text(record, &mut out);
            self.machine.console_write(out.as_bytes());
        }
    }

    /// Whole records from number `cursor` on as lines, as many as `room` bytes hold and one turn allows, and the number of the
    /// next.
    #[cold]
    pub(crate) fn log_lines(
        &self,
        cursor: u64,
        room: usize,
        render: Render,
    ) -> Result<(Vec<u8>, u64), LogLines> {
        let mut lines = Vec::new();
        let room = room.min(LINE_MAX);
        lines.try_reserve_exact(room).map_err(|_| LogLines::NoMemory)?;
        lines.resize(room, 0);
        let mut out = Buffer::new(&mut lines);
        let mut log = self.log.lock();
        let next = log.ring.read(cursor, |_, record| out.len() < TURN && render(record, &mut out));
        let len = out.len();
        if len == 0 && next < log.ring.stats().written {
            return Err(LogLines::TooLittleRoom);
        }
        drop(log);
        lines.truncate(len);
        Ok((lines, next))
    }

    /// Gives the newest `count` records to `show` as lines, oldest first: for a panic, which waits for no lock.
    #[cold]
    pub fn log_tail(&self, count: u64, mut show: impl FnMut(&[u8])) {
        let Some(mut log) = self.log.try_lock() else { return };
        let first = log.ring.stats().written.saturating_sub(count);
        log.ring.read(first, |_, record| {
            let mut line = [0; CONSOLE_LINE];
            let mut out = Buffer::new(&mut line);
            swos_log_record::text(record, &mut out);
            show(out.as_bytes());
            true
        });
    }
}

/// Why there are no lines.
pub(crate) enum LogLines {
    NoMemory,
    TooLittleRoom,
}
