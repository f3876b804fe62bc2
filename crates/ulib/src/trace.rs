//! What a traced program does, as lines for people.

use alloc::string::String;
use core::fmt::Write as _;

pub use swos_abi::TraceRecord;
use swos_abi::{CALLS, Handle, TRACE_UNFINISHED, result_from_raw};
use zerocopy::FromBytes as _;

use crate::io::{self, Read};

/// The next record of a trace; `None` = the traced program has ended.
///
/// # Errors
///
/// What the kernel answers to a read.
pub fn next(from: &mut impl Read) -> io::Result<Option<TraceRecord>> {
    let mut bytes = [0; size_of::<TraceRecord>()];
    let mut filled = 0;
    // Records are written whole; a reader may still get them in pieces.
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => return Ok(None),
            count => filled += count,
        }
    }
    Ok(TraceRecord::read_from_bytes(&bytes).ok())
}

/// The record as `tid name(arguments) = result`, with the names of the table of calls.
#[must_use]
pub fn line(record: &TraceRecord) -> String {
    let mut line = String::new();
    let _never_fails = write_line(record, &mut line);
    line
}

fn write_line(record: &TraceRecord, out: &mut String) -> core::fmt::Result {
    if record.dropped > 0 {
        writeln!(out, "({} calls lost)", record.dropped)?;
    }
    let entry = CALLS.iter().find(|entry| entry.number == u64::from(record.number));
    match entry {
        Some(entry) => write!(out, "{} {}(", record.tid, entry.name)?,
        None => write!(out, "{} call {}(", record.tid, record.number)?,
    }
    let path = entry.and_then(swos_abi::CallEntry::path).map(swos_abi::PathIn::argument);
    let arguments = entry.map(|entry| entry.arguments).unwrap_or_default();
    for (at, ((name, kind), value)) in arguments.iter().zip(record.arguments).enumerate() {
        write!(out, "{}{name}=", if at > 0 { ", " } else { "" })?;
        match *kind {
            _ if path == Some(at) && record.path_len > 0 => write_path(record, out)?,
            "Handle" if Handle(value) == Handle::CWD => out.push_str("CWD"),
            "Handle" if Handle(value) == Handle::NONE => out.push_str("NONE"),
            "i32" | "i64" => write!(out, "{}", value.cast_signed())?,
            _ if value < 4096 => write!(out, "{value}")?,
            _ => write!(out, "{value:#x}")?,
        }
    }
    out.push(')');
    if record.flags & TRACE_UNFINISHED != 0 {
        out.push_str(" ended in it");
    } else {
        match result_from_raw(record.result) {
            Ok(value) if value < 4096 => write!(out, " = {value}")?,
            Ok(value) => write!(out, " = {value:#x}")?,
            Err(errno) => write!(out, " = {errno:?}")?,
        }
    }
    write!(out, " <{}.{:03} us>", record.duration_ns / 1_000, record.duration_ns % 1_000)
}

fn write_path(record: &TraceRecord, out: &mut String) -> core::fmt::Result {
    let len = usize::try_from(record.path_len).unwrap_or(usize::MAX);
    let shown = record.path.get(..len).unwrap_or(&record.path);
    let more = if len > shown.len() { ".." } else { "" };
    write!(out, "\"{}\"{more}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use swos_abi::{NR_EXEC, NR_EXIT, NR_OPEN};

    #[test]
    fn a_line_has_the_names_of_the_table() {
        let mut record = TraceRecord {
            tid: 7,
            number: u32::try_from(NR_OPEN).unwrap(),
            arguments: [Handle::CWD.0, 0x40_0000, 9, 1, 0, 0],
            result: -2,
            path_len: 8,
            duration_ns: 1_234,
            ..TraceRecord::default()
        };
        record.path[..8].copy_from_slice(b"/etc/\"x\n");
        assert_eq!(
            line(&record),
            "7 open(directory=CWD, path=\"/etc/\\\"x\\n\", path_len=9, flags=1, mode=0) = ENOENT <1.234 us>"
        );
        record.path_len = 0;
        record.result = 0x1_0003;
        record.dropped = 3;
        assert_eq!(
            line(&record),
            "(3 calls lost)\n7 open(directory=CWD, path=0x400000, path_len=9, flags=1, mode=0) = 0x10003 <1.234 us>"
        );
        record.path_len = 4_000;
        record.path = [b'a'; 28];
        assert!(line(&record).contains("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\".., path_len"));
        let ended = TraceRecord {
            number: u32::try_from(NR_EXIT).unwrap(),
            arguments: [u64::MAX, 0, 0, 0, 0, 0],
            flags: TRACE_UNFINISHED,
            ..TraceRecord::default()
        };
        assert_eq!(line(&ended), "0 exit(status=-1) ended in it <0.000 us>");
        let mut replaced = TraceRecord {
            number: u32::try_from(NR_EXEC).unwrap(),
            arguments: [0x40_0000, 128, 0, 0, 0, 0],
            path_len: 6,
            ..TraceRecord::default()
        };
        replaced.path[..6].copy_from_slice(b"/bin/x");
        assert_eq!(line(&replaced), "0 exec(args=\"/bin/x\", size=128) = 0 <0.000 us>");
        let unknown = TraceRecord { number: 999, ..TraceRecord::default() };
        assert_eq!(line(&unknown), "0 call 999() = 0 <0.000 us>");
    }
}
