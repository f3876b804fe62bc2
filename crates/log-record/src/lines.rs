//! A record as a line.

use crate::{Buffer, Field, Record, Value};

/// Room that any record has as a line of either kind.
pub const LINE_MAX: usize = 8192;

/// Writes `[seconds] [level] source: text key=value ..` and a line end, or nothing. Whether it fit.
pub fn text(record: &Record<'_>, out: &mut Buffer<'_>) -> bool {
    let before = out.len();
    let micros = record.at.as_nanos() / 1_000;
    let seconds = micros / 1_000_000;
    out.put(b"[");
    let blanks = b"    ";
    out.put(blanks.get(digits(seconds).saturating_sub(1)..).unwrap_or_default());
    out.number(seconds, 1);
    out.put(b".");
    out.number(micros % 1_000_000, 6);
    out.put(b"] [");
    out.put(&[record.level.letter()]);
    out.put(b"] ");
    plain(record.source, out);
    out.put(b": ");
    plain(record.text, out);
    for Field { key, value } in record.fields.iter() {
        out.put(b" ");
        out.put(key.as_bytes());
        out.put(b"=");
        match value {
            Value::Text(text) => word(text, out),
            Value::Unsigned(number) => out.number(number, 1),
            Value::Signed(number) => signed(number, out),
            Value::Flag(flag) => out.put(truth(flag)),
        }
    }
    out.put(b"\n");
    out.keep_whole(before)
}

/// Writes the record as an object of JSON and a line end, or nothing. Whether it fit.
///
/// Members: `time` (seconds since boot), `level`, `source`, `pid`, `principal`, `text`, and `fields`, an object, if there are any.
pub fn json(record: &Record<'_>, out: &mut Buffer<'_>) -> bool {
    let before = out.len();
    out.put(b"{\"time\":");
    out.number(record.at.as_nanos() / 1_000_000_000, 1);
    out.put(b".");
    out.number(record.at.as_nanos() % 1_000_000_000, 9);
    out.put(b",\"level\":");
    string(record.level.name(), out);
    out.put(b",\"source\":");
    string(record.source, out);
    out.put(b",\"pid\":");
    out.number(u64::from(record.pid), 1);
    out.put(b",\"principal\":");
    out.number(u64::from(record.principal), 1);
    out.put(b",\"text\":");
    string(record.text, out);
    let mut before_field: &[u8] = b",\"fields\":{";
    for Field { key, value } in record.fields.iter() {
        out.put(before_field);
        string(key, out);
        out.put(b":");
        match value {
            Value::Text(text) => string(text, out),
            Value::Unsigned(number) => out.number(number, 1),
            Value::Signed(number) => signed(number, out),
            Value::Flag(flag) => out.put(truth(flag)),
        }
        before_field = b",";
    }
    out.put(if before_field == b"," { b"}}\n" } else { b"}\n" });
    out.keep_whole(before)
}

/// Text without control characters: they must not steer the operator's terminal, or end the line.
fn plain(text: &str, out: &mut Buffer<'_>) {
    if is_simple(text) {
        return out.put(text.as_bytes());
    }
    for piece in text.split_inclusive(breaks) {
        match piece.char_indices().next_back() {
            Some((at, last)) if breaks(last) => {
                out.put(piece.get(..at).unwrap_or_default().as_bytes());
                out.put(b" ");
            }
            Some(_) | None => out.put(piece.as_bytes()),
        }
    }
}

/// Whether it is of printable ASCII only, as most texts are.
fn is_simple(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7F).contains(&byte))
}

/// Control characters, and what some readers take for the end of a line.
fn breaks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A value that can be told from what follows it.
fn word(text: &str, out: &mut Buffer<'_>) {
    let simple = |c: char| !(breaks(c) || c == ' ' || c == '"' || c == '\\' || c == '=');
    if !text.is_empty() && text.chars().all(simple) {
        return out.put(text.as_bytes());
    }
    out.put(b"\"");
    for piece in text.split_inclusive(['"', '\\']) {
        match piece.as_bytes().split_last() {
            Some((last @ (b'"' | b'\\'), _)) => {
                plain(piece.get(..piece.len() - 1).unwrap_or_default(), out);
                out.put(&[b'\\', *last]);
            }
            Some(_) | None => plain(piece, out),
        }
    }
    out.put(b"\"");
}

/// A string of JSON. Source: RFC 8259 §7, and more than it demands: what no reader of lines may see stays escaped.
fn string(text: &str, out: &mut Buffer<'_>) {
    if is_simple(text) && !text.bytes().any(|byte| byte == b'"' || byte == b'\\') {
        out.put(b"\"");
        out.put(text.as_bytes());
        return out.put(b"\"");
    }
    let special = |c: char| breaks(c) || c == '"' || c == '\\';
    out.put(b"\"");
    for piece in text.split_inclusive(special) {
        let (at, last) = piece.char_indices().next_back().unwrap_or((0, ' '));
        if !special(last) {
            out.put(piece.as_bytes());
            continue;
        }
        out.put(piece.get(..at).unwrap_or_default().as_bytes());
        match last {
            '"' => out.put(b"\\\""),
            '\\' => out.put(b"\\\\"),
            other => {
                let mut escape = *b"\\u0000";
                let shifts = [12, 8, 4, 0];
                for (digit, shift) in escape.iter_mut().skip(2).zip(shifts) {
                    let nibble = u32::from(other) >> shift & 15;
                    let shown = char::from_digit(nibble, 16).and_then(|digit| u8::try_from(digit).ok());
                    *digit = shown.unwrap_or(b'0');
                }
                out.put(&escape);
            }
        }
    }
    out.put(b"\"");
}

fn signed(number: i64, out: &mut Buffer<'_>) {
    if number < 0 {
        out.put(b"-");
    }
    out.number(number.unsigned_abs(), 1);
}

const fn truth(flag: bool) -> &'static [u8] {
    if flag { b"true" } else { b"false" }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |power| power as usize + 1)
}
