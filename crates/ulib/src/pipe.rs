//! Pipes: bytes from one end to the other, between threads or processes.
//!
//! An end is a handle like any other: [`process::Command::handle`](crate::process::Command::handle) gives it to a child. The
//! reader sees the end of the bytes when the last writer is closed, so whoever passed its writer on drops its own.

use swos_abi::Errno;

use crate::{
    handle::{OwnedHandle, owns_handle},
    io::{self, Read, Write},
};

/// Makes a pipe.
///
/// # Errors
///
/// [`Errno::MFILE`], [`Errno::NOMEM`].
pub fn pipe() -> Result<(PipeReader, PipeWriter), Errno> {
    swos_sys::pipe(0).map(|ends| (PipeReader::from_handle(ends.reader), PipeWriter::from_handle(ends.writer)))
}

/// Where the bytes of a pipe come out.
#[derive(Debug)]
pub struct PipeReader {
    handle: OwnedHandle,
}

/// Where the bytes of a pipe go in.
#[derive(Debug)]
pub struct PipeWriter {
    handle: OwnedHandle,
}

owns_handle!(PipeReader, "Chooses whether reads wait for bytes.");

owns_handle!(PipeWriter, "Chooses whether writes wait for room.");

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(swos_sys::read(self.handle(), buffer)?)
    }
}

impl Write for PipeWriter {
    /// Writes at most [`swos_abi::PIPE_BUF`] bytes at once or not at all; of more, perhaps only the first.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(swos_sys::write(self.handle(), bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_kernel_there_is_no_pipe() {
        assert_eq!(pipe().map(drop), Err(Errno::NOSYS));
    }
}
