//! Socket pairs: bytes or messages both ways between two ends, as `UnixStream::pair` and `UnixDatagram::pair` make them elsewhere.

use swos_abi::{Errno, SOCKET_DATAGRAM, SOCKET_STREAM};

use crate::{
    handle::{OwnedHandle, owns_handle},
    io::{self, Read, Write},
    net::Shutdown,
};

/// One end of a pair of bytes.
#[derive(Debug)]
pub struct PairStream {
    handle: OwnedHandle,
}

owns_handle!(PairStream, "Chooses whether reads and writes wait.");

impl PairStream {
    /// Makes two ends.
    ///
    /// # Errors
    ///
    /// [`Errno::MFILE`], [`Errno::NOMEM`].
    pub fn pair() -> Result<(Self, Self), Errno> {
        swos_sys::socket_pair(SOCKET_STREAM)
            .map(|ends| (Self::from_handle(ends.first), Self::from_handle(ends.second)))
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        swos_sys::shutdown(self.handle(), how.number())
    }
}

impl Read for PairStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(swos_sys::read(self.handle(), buffer)?)
    }
}

impl Write for PairStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(swos_sys::write(self.handle(), bytes)?)
    }
}

/// One end of a pair of messages: what is sent at once is received at once.
#[derive(Debug)]
pub struct PairDatagram {
    handle: OwnedHandle,
}

owns_handle!(PairDatagram, "Chooses whether it waits for messages and for room.");

impl PairDatagram {
    /// Makes two ends.
    ///
    /// # Errors
    ///
    /// [`Errno::MFILE`], [`Errno::NOMEM`].
    pub fn pair() -> Result<(Self, Self), Errno> {
        swos_sys::socket_pair(SOCKET_DATAGRAM)
            .map(|ends| (Self::from_handle(ends.first), Self::from_handle(ends.second)))
    }

    /// Sends a message, whole or not at all; returns its length.
    ///
    /// # Errors
    ///
    /// [`Errno::MSGSIZE`] beyond [`PAIR_MESSAGE_MAX`](swos_abi::PAIR_MESSAGE_MAX) bytes, [`Errno::PIPE`] when nobody receives any
    /// more, [`Errno::AGAIN`] if it may not wait.
    pub fn send(&self, message: &[u8]) -> Result<usize, Errno> {
        swos_sys::send(self.handle(), message, 0)
    }

    /// Receives a message; what has no room in the buffer is dropped. 0 = it was empty, or nobody sends any more.
    ///
    /// # Errors
    ///
    /// [`Errno::AGAIN`] if it may not wait.
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        swos_sys::receive(self.handle(), buffer)
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        swos_sys::shutdown(self.handle(), how.number())
    }
}
