//! Response heads.

use alloc::vec::Vec;

use crate::{Status, date};

/// Appends a response head to a buffer: status line, fields, [`finish`](Self::finish).
#[derive(Debug)]
#[must_use]
pub struct HeadWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> HeadWriter<'a> {
    /// Starts with the status line.
    pub fn new(out: &'a mut Vec<u8>, status: Status) -> Self {
        out.extend_from_slice(status.line());
        HeadWriter { out }
    }

    /// Adds a field. The value must have no control characters; ours are made here or from file hashes.
    pub fn field(self, name: &str, value: &[u8]) -> Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a field whose value is a number.
    pub fn number(self, name: &str, value: u64) -> Self {
        let mut digits = [0; 20];
        let digits = decimal(value, &mut digits);
        self.field(name, digits)
    }

    /// Adds whole lines, each with its CR LF, that were made before.
    pub fn lines(self, lines: &[u8]) -> Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// Adds `Date`, if the machine has a clock (RFC 9110 §6.6.1).
    pub fn date(self, seconds: Option<u64>) -> Self {
        match seconds {
            Some(seconds) => self.field("Date", &date::format(seconds)),
            None => self,
        }
    }

    /// Adds the empty line.
    pub fn finish(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Writes `value` in decimal, without the machinery of `core::fmt`.
#[must_use]
pub fn decimal(mut value: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut length = 0_usize;
    for into in buffer.iter_mut().rev() {
        let digit = (value % 10) as u8;
        *into = b'0' | digit;
        value /= 10;
        length = length.saturating_add(1);
        if value == 0 {
            break;
        }
    }
    buffer.get(buffer.len().saturating_sub(length)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_whole() {
        for value in [0, 7, 10, 123_456, u64::MAX] {
            assert_eq!(decimal(value, &mut [0; 20]), value.to_string().as_bytes());
        }
    }

    #[test]
    fn a_head_is_lines_and_an_empty_line() {
        let mut out = Vec::new();
        HeadWriter::new(&mut out, Status::OK)
            .number("Content-Length", 12)
            .date(Some(784_111_777))
            .lines(b"A: b\r\n")
            .finish();
        assert_eq!(
            out,
            b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nA: b\r\n\r\n"
        );
    }
}
