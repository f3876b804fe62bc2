//! Reading and writing.

use alloc::vec::Vec;
use core::fmt;

use swos_abi::{Errno, Handle};

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The kernel refused or failed.
    Os(Errno),
    /// The data ended before the buffer was full.
    UnexpectedEnd,
    /// Nothing more is taken.
    WriteZero,
    /// The text is not UTF-8.
    NotUtf8,
}

/// Result of an operation with data.
pub type Result<T> = core::result::Result<T, Error>;

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(errno) => errno.fmt(f),
            Self::UnexpectedEnd => f.write_str("The data ended too early."),
            Self::WriteZero => f.write_str("Nothing more is taken."),
            Self::NotUtf8 => f.write_str("The text is not UTF-8."),
        }
    }
}

impl core::error::Error for Error {}

/// A signal's handler ran: what is to be done whole is tried again.
const INTERRUPTED: Error = Error::Os(Errno::INTR);

/// Sources of bytes.
pub trait Read {
    /// Reads some bytes; 0 = end.
    ///
    /// # Errors
    ///
    /// What the source answers.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;

    /// Fills the whole buffer.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedEnd`], or what the source answers.
    fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            match self.read(buffer) {
                Err(INTERRUPTED) => {}
                Err(error) => return Err(error),
                Ok(0) => return Err(Error::UnexpectedEnd),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Appends everything up to the end; returns how much.
    ///
    /// # Errors
    ///
    /// What the source answers; what was read before is in `into`.
    fn read_to_end(&mut self, into: &mut Vec<u8>) -> Result<usize> {
        const STEP: usize = 4096;
        let start = into.len();
        loop {
            let filled = into.len();
            into.resize(filled + STEP, 0);
            let result = self.read(into.get_mut(filled..).unwrap_or_default());
            into.truncate(filled + result.as_ref().map_or(0, |&count| count));
            match result {
                Ok(0) => return Ok(filled - start),
                Ok(_) | Err(INTERRUPTED) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Sinks of bytes.
pub trait Write {
    /// Writes some bytes; returns how many were taken.
    ///
    /// # Errors
    ///
    /// What the sink answers.
    fn write(&mut self, bytes: &[u8]) -> Result<usize>;

    /// Writes all bytes.
    ///
    /// # Errors
    ///
    /// [`Error::WriteZero`], or what the sink answers.
    fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes) {
                Err(INTERRUPTED) => {}
                Err(error) => return Err(error),
                Ok(0) => return Err(Error::WriteZero),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

impl Read for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.len().min(buffer.len());
        let (now, later) = self.split_at(count);
        buffer.iter_mut().zip(now).for_each(|(into, byte)| *into = *byte);
        *self = later;
        Ok(count)
    }
}

impl Write for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// One of the standard streams.
#[derive(Clone, Copy, Debug)]
pub struct Stream(Handle);

/// Standard input.
#[must_use]
pub const fn stdin() -> Stream {
    Stream(Handle::STDIN)
}

/// Standard output.
#[must_use]
pub const fn stdout() -> Stream {
    Stream(Handle::STDOUT)
}

/// Standard error.
#[must_use]
pub const fn stderr() -> Stream {
    Stream(Handle::STDERR)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        Ok(swos_sys::read(self.0, buffer)?)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(swos_sys::write(self.0, bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, then an error.
    struct Slow(u8);
    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(Error::Os(Errno::IO))?;
            buffer[0] = self.0;
            Ok(1)
        }
    }

    #[test]
    fn everything_read_before_an_error_is_kept() {
        let mut bytes = vec![9];
        assert_eq!(Slow(3).read_to_end(&mut bytes), Err(Error::Os(Errno::IO)));
        assert_eq!(bytes, [9, 2, 1, 0]);
    }

    /// Is interrupted each time before it does something.
    struct Interrupted<T>(bool, T);
    impl<T> Interrupted<T> {
        fn now(&mut self) -> Result<&mut T> {
            self.0 = !self.0;
            if self.0 { Err(INTERRUPTED) } else { Ok(&mut self.1) }
        }
    }
    impl Read for Interrupted<&[u8]> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            self.now()?.read(buffer)
        }
    }
    impl Write for Interrupted<Vec<u8>> {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.now()?.write(bytes)
        }
    }

    #[test]
    fn what_is_done_whole_goes_on_after_a_signal() {
        let mut all = Vec::new();
        assert_eq!(Interrupted(false, b"xyz".as_slice()).read_to_end(&mut all), Ok(3));
        let mut two = [0; 2];
        assert_eq!(Interrupted(false, b"ab".as_slice()).read_exact(&mut two), Ok(()));
        let mut sink = Interrupted(false, Vec::new());
        assert_eq!(sink.write_all(&two), Ok(()));
        assert_eq!((all.as_slice(), sink.1.as_slice()), (b"xyz".as_slice(), b"ab".as_slice()));
        assert_eq!(Interrupted(false, b"xyz".as_slice()).read(&mut two), Err(INTERRUPTED));
    }

    #[test]
    fn exact_reads_and_whole_writes() {
        let mut buffer = [0; 4];
        assert_eq!([1, 2, 3].as_slice().read_exact(&mut buffer), Err(Error::UnexpectedEnd));
        assert_eq!([1, 2, 3, 4, 5].as_slice().read_exact(&mut buffer), Ok(()));
        assert_eq!(buffer, [1, 2, 3, 4]);
        let mut all = Vec::new();
        assert_eq!((all.write_all(b"abc"), b"xyz".as_slice().read_to_end(&mut all)), (Ok(()), Ok(3)));
        assert_eq!(all, b"abcxyz");
    }
}
