//! The kernel's log, which also holds what programs say.

use core::fmt::{self, Write as _};

pub use swos_abi::{LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_INHERIT, LOG_JSON, LOG_OFF, LOG_TEXT, LOG_WARNING};
pub use swos_log_record::Value;
use swos_log_record::{FIELDS_BYTES_MAX, FieldWriter};
pub use swos_sys::{log_export as export, log_filter as filter};

/// Longest text of one record that [`write()`] makes, in bytes; more is cut.
const LONGEST: usize = 240;

struct Line {
    text: [u8; LONGEST],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (into, byte) in self.text.iter_mut().skip(self.length).zip(text.bytes()) {
            *into = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Adds a formatted record; `level` is one of `LOG_*`. A log that refuses is no reason to fail.
pub fn write(level: u32, text: fmt::Arguments<'_>) {
    let mut line = Line { text: [0; LONGEST], length: 0 };
    let _never_fails = line.write_fmt(text);
    let _refused = swos_sys::log_write(level, line.text.get(..line.length).unwrap_or_default());
}

/// Adds a record with fields: names of `a-z 0-9 _ . -`, each once. One that does not fit is left out.
pub fn record(level: u32, text: &str, fields: &[(&str, Value<'_>)]) {
    let mut bytes = [0; FIELDS_BYTES_MAX];
    let mut writer = FieldWriter::new(&mut bytes);
    for (key, value) in fields {
        let _left_out = writer.push(key, *value);
    }
    let _refused = swos_sys::log_record(level, text.as_bytes(), writer.finish().as_bytes());
}
