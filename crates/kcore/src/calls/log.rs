//! The log: records from programs, lines for those who may read it, the filter.

use core::fmt::Write as _;

use arrayvec::ArrayString;
use swos_abi::{Capabilities, Errno, LOG_INHERIT, LOG_JSON, LOG_OFF, LOG_TEXT};
use swos_log_record::{FIELDS_BYTES_MAX, Fields, Level, Record, SOURCE_MAX, TEXT_MAX, Threshold, json, text};

use crate::{
    Kernel, Machine,
    log::{LogLines, Render},
    thread::Thread,
    wait::{CallResult, Stop},
};

impl<M: Machine> Kernel<M> {
    #[cold]
    pub(super) fn log_write(&self, thread: &Thread<M>, level: u32, buffer: u64, length: u64) -> CallResult {
        self.log_record(thread, level, (buffer, length), (0, 0))
    }

    /// Adds a record with fields; what the filter keeps out is only checked.
    #[cold]
    pub(super) fn log_record(
        &self,
        thread: &Thread<M>,
        level: u32,
        (buffer, length): (u64, u64),
        (fields, fields_length): (u64, u64),
    ) -> CallResult {
        let level = Level::from_number(level).ok_or(Errno::INVAL)?;
        let mut bytes = [0; TEXT_MAX];
        let len = length.min(TEXT_MAX as u64);
        let part = bytes.get_mut(..usize::try_from(len).unwrap_or(0)).unwrap_or(&mut []);
        self.copy_in(buffer, part)?;
        let mut field_bytes = [0; FIELDS_BYTES_MAX];
        let fields_length = usize::try_from(fields_length).unwrap_or(usize::MAX);
        let field_bytes = field_bytes.get_mut(..fields_length).ok_or(Errno::TOOBIG)?;
        if !field_bytes.is_empty() {
            self.copy_in(fields, field_bytes)?;
        }
        let fields = Fields::parse(field_bytes).map_err(|_| Errno::INVAL)?;
        if !self.log_admits(thread.process.name(), level) {
            return Ok(len);
        }
        let mut words = ArrayString::<TEXT_MAX>::new();
        for chunk in part.utf8_chunks() {
            // What no longer fits is cut; a wrong byte is shown as one.
            let _ = words.write_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                let _ = words.write_char(char::REPLACEMENT_CHARACTER);
            }
        }
        let record = Record { level, text: words.trim_end(), fields, ..Record::default() };
        self.keep_record_of(thread, &record);
        Ok(len)
    }

    #[cold]
    pub(super) fn log_export(
        &self,
        thread: &Thread<M>,
        cursor: u64,
        buffer: u64,
        length: u64,
        format: u32,
    ) -> CallResult {
        if !thread.process.has(Capabilities::LOG_EXPORT) {
            return Err(Errno::ACCES.into());
        }
        let render: Render = match format {
            LOG_TEXT => text,
            LOG_JSON => json,
            _ => return Err(Errno::INVAL.into()),
        };
        let mut at = [0; 8];
        self.copy_in(cursor, &mut at)?;
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        let (lines, next) =
            self.log_lines(u64::from_le_bytes(at), room, render).map_err(|why| match why {
                LogLines::NoMemory => Errno::NOMEM,
                LogLines::TooLittleRoom => Errno::RANGE,
            })?;
        self.copy_out(buffer, &lines)?;
        self.copy_out(cursor, &next.to_le_bytes())?;
        Ok(lines.len() as u64)
    }

    #[cold]
    pub(super) fn log_filter(&self, thread: &Thread<M>, level: u32, source: u64, length: u64) -> CallResult {
        if !thread.process.has(Capabilities::CONSOLE) {
            return Err(Errno::ACCES.into());
        }
        let threshold = match level {
            LOG_OFF => Some(Threshold::Off),
            LOG_INHERIT => None,
            _ => Some(Threshold::From(Level::from_number(level).ok_or(Errno::INVAL)?)),
        };
        let mut name = [0; SOURCE_MAX];
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let name = name.get_mut(..length).ok_or(Errno::NAMETOOLONG)?;
        self.copy_in(source, name)?;
        let name = core::str::from_utf8(name).map_err(|_| Errno::INVAL)?;
        let filter = &mut self.log.lock().filter;
        match threshold {
            Some(threshold) if name.is_empty() => filter.set_all(threshold),
            // The threshold of all inherits from none.
            None if name.is_empty() => return Err(Stop::errno(Errno::INVAL)),
            threshold if filter.set(name, threshold) => {}
            Some(_) | None => return Err(Errno::NOSPC.into()),
        }
        Ok(0)
    }
}
