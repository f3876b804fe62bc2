//! One line of input, edited at its end.

use alloc::{string::String, vec::Vec};

/// Longest line in bytes; more is ignored with a bell.
const LONGEST: usize = 512;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Started,
    /// Within ESC [ .., up to a letter or `~`.
    Sequence,
}

/// The line so far.
#[derive(Debug, Default)]
pub(crate) struct Line {
    text: Vec<u8>,
    escape: Escape,
    /// Whether the last byte was CR: then LF ends no second line.
    carriage: bool,
}

impl Line {
    /// Takes one byte, appends what is to be shown, returns the line when it is complete.
    pub(crate) fn feed(&mut self, byte: u8, echo: &mut Vec<u8>) -> Option<String> {
        let after_carriage = core::mem::replace(&mut self.carriage, byte == b'\r');
        match (self.escape, byte) {
            (Escape::None, 0x1b) => self.escape = Escape::Started,
            (Escape::Started, b'[' | b'O') => self.escape = Escape::Sequence,
            (Escape::Started, _) | (Escape::Sequence, b'A'..=b'Z' | b'a'..=b'z' | b'~') => {
                self.escape = Escape::None;
            }
            (Escape::Sequence, _) => {}
            (Escape::None, b'\n') if after_carriage => {}
            (Escape::None, b'\r' | b'\n') => {
                echo.extend_from_slice(b"\r\n");
                let text = core::mem::take(&mut self.text);
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
            // Backspace and delete: whole characters, continuation bytes with their start.
            (Escape::None, 0x08 | 0x7f) => {
                while self.text.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                self.redraw(echo);
            }
            // Ctrl-U and Ctrl-C drop the line.
            (Escape::None, 0x15 | 0x03) => {
                self.text.clear();
                self.redraw(echo);
            }
            // Ctrl-W drops the last word.
            (Escape::None, 0x17) => {
                let end = self.text.trim_ascii_end().iter().rposition(|&byte| byte == b' ');
                self.text.truncate(end.map_or(0, |space| space + 1));
                self.redraw(echo);
            }
            (Escape::None, b' '..=0x7e | 0x80..) if self.text.len() < LONGEST => {
                self.text.push(byte);
                echo.push(byte);
            }
            (Escape::None, _) => echo.push(0x07),
        }
        None
    }

    /// Shows the line anew: to the start of the line, prompt, text, clear what is behind.
    fn redraw(&self, echo: &mut Vec<u8>) {
        echo.push(b'\r');
        echo.extend_from_slice(crate::PROMPT.as_bytes());
        echo.extend_from_slice(&self.text);
        echo.extend_from_slice(b"\x1b[K");
    }
}
