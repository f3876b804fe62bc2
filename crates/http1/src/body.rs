//! Request bodies that nobody wants: found and dropped, within a bound.

use crate::BodyLength;

/// Why a body can't be skipped; the connection can't go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The chunks are malformed.
    Chunk,
    /// It is longer than allowed.
    TooLong,
}

/// Longest chunk-size line, and longest trailer line, in bytes.
const LONGEST_LINE: u32 = 256;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// So many bytes are left of a body of known length.
    Bytes(u64),
    /// In the digits of a chunk's size; `digits` were read.
    Size { size: u64, digits: u32 },
    /// In the rest of a chunk's first line: extensions are read over.
    Extension { size: u64, line: u32 },
    /// The line feed after a chunk's first line must come.
    SizeEnd { size: u64 },
    /// In a chunk's data.
    Data { left: u64 },
    /// CR, then LF, behind a chunk's data.
    DataEnd,
    /// The line feed behind a chunk's data.
    DataEndLf,
    /// In a trailer line of which `line` bytes were read.
    Trailer { line: u32 },
    /// The line feed of a trailer line of `line` bytes.
    TrailerLf { line: u32 },
    /// Behind the body.
    Done,
}

/// Reads over one body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Skip {
    state: State,
    /// Bytes that may still come, framing included.
    allowance: u64,
}

impl Skip {
    /// A body of `length`, which may take at most `allowance` bytes on the wire.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if its length is known and more.
    pub const fn new(length: BodyLength, allowance: u64) -> Result<Self, Error> {
        match length {
            BodyLength::Bytes(bytes) if bytes > allowance => Err(Error::TooLong),
            BodyLength::Bytes(0) => Ok(Self { state: State::Done, allowance }),
            BodyLength::Bytes(bytes) => Ok(Self { state: State::Bytes(bytes), allowance }),
            BodyLength::Chunked => Ok(Self { state: State::Size { size: 0, digits: 0 }, allowance }),
        }
    }

    /// Whether the whole body was read.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Reads from the front of `bytes`; returns how many belong to the body.
    ///
    /// # Errors
    ///
    /// Why the body can't be skipped.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut used = 0_usize;
        while let (false, Some(&byte)) = (self.is_done(), bytes.get(used)) {
            let available = u64::try_from(bytes.len().saturating_sub(used)).unwrap_or(u64::MAX);
            let taken = match self.state {
                State::Bytes(left) => {
                    let taken = left.min(available);
                    self.state = match left.saturating_sub(taken) {
                        0 => State::Done,
                        left => State::Bytes(left),
                    };
                    taken
                }
                State::Data { left } => {
                    let taken = left.min(available);
                    self.state = match left.saturating_sub(taken) {
                        0 => State::DataEnd,
                        left => State::Data { left },
                    };
                    taken
                }
                _ => {
                    self.state = self.step(byte)?;
                    1
                }
            };
            self.allowance = self.allowance.checked_sub(taken).ok_or(Error::TooLong)?;
            used = used.saturating_add(usize::try_from(taken).unwrap_or(usize::MAX));
        }
        Ok(used)
    }

    /// The state after one byte of framing.
    fn step(&self, byte: u8) -> Result<State, Error> {
        Ok(match (self.state, byte) {
            (State::Size { digits: 1.., size }, b'\r') => State::SizeEnd { size },
            (State::Size { digits: 1.., size }, b';' | b' ' | b'\t') => State::Extension { size, line: 0 },
            (State::Size { size, digits }, byte) if digits < 16 => {
                let digit = char::from(byte).to_digit(16).ok_or(Error::Chunk)?;
                State::Size { size: size << 4 | u64::from(digit), digits: digits.saturating_add(1) }
            }
            (State::Extension { size, .. }, b'\r') => State::SizeEnd { size },
            (State::Extension { size, line }, byte) if line < LONGEST_LINE && byte != b'\n' => {
                State::Extension { size, line: line.saturating_add(1) }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer { line: 0 },
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::DataEnd, b'\r') => State::DataEndLf,
            (State::DataEndLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Trailer { line }, b'\r') => State::TrailerLf { line },
            (State::Trailer { line }, byte) if line < LONGEST_LINE && byte != b'\n' => {
                State::Trailer { line: line.saturating_add(1) }
            }
            (State::TrailerLf { line: 0 }, b'\n') => State::Done,
            (State::TrailerLf { .. }, b'\n') => State::Trailer { line: 0 },
            _ => return Err(Error::Chunk),
        })
    }
}

#[cfg(test)]
mod tests;
