//! The state of one open file or directory.

use swos_abi::{OpenFlags, SEEK_CUR, SEEK_END, SEEK_SET};

use crate::{Cursor, Error, VnodeId};

/// What a handle to a file refers to. Handles that were duplicated share one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenFile {
    /// Which node.
    pub vnode: VnodeId,
    /// How it was opened.
    pub flags: OpenFlags,
    /// Byte position in a file, [`Cursor`] in a directory. At most `i64::MAX`.
    position: u64,
}

/// What a seek is relative to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whence {
    /// The start.
    Start,
    /// The current position.
    Current,
    /// The end.
    End,
}

impl Whence {
    /// From the number in the call.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for any other number.
    pub const fn from_raw(raw: u32) -> Result<Self, Error> {
        match raw {
            SEEK_SET => Ok(Self::Start),
            SEEK_CUR => Ok(Self::Current),
            SEEK_END => Ok(Self::End),
            _ => Err(Error::Invalid),
        }
    }
}

impl OpenFile {
    /// Opened at its start.
    #[must_use]
    pub const fn new(vnode: VnodeId, flags: OpenFlags) -> Self {
        Self { vnode, flags, position: 0 }
    }

    /// Where the next read starts.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Where the next write starts in a file of `size` bytes: with `APPEND` always the end, judged at each write while
    /// the caller holds the file, so that no other writer's bytes are overwritten.
    #[must_use]
    pub const fn write_position(&self, size: u64) -> u64 {
        if self.flags.contains(OpenFlags::APPEND) { size } else { self.position }
    }

    /// Moves to `end`, where a read or write stopped.
    pub const fn set_position(&mut self, end: u64) {
        self.position = end;
    }

    /// Position in a directory.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor(self.position)
    }

    /// Moves in a directory.
    pub const fn set_cursor(&mut self, cursor: Cursor) {
        self.position = cursor.0;
    }

    /// Moves by `offset` from `whence` in a file of `size` bytes, and returns the new position. Beyond the end is fine.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] before the start or above `i64::MAX`. The position stays.
    pub fn seek(&mut self, whence: Whence, offset: i64, size: u64) -> Result<u64, Error> {
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => self.position,
            Whence::End => size,
        };
        let target = base.checked_add_signed(offset).filter(|&at| i64::try_from(at).is_ok());
        self.position = target.ok_or(Error::Invalid)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests;
