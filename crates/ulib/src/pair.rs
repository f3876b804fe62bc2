//! Socket pairs: bytes both ways between two ends, as `UnixStream::pair` makes them elsewhere.

use swos_abi::{Errno, Handle, SOCKET_STREAM};

use crate::{
    handle::{Blocking, OwnedHandle},
    io::{self, Read, Write},
    net::Shutdown,
};

/// One end of a pair.
#[derive(Debug)]
pub struct PairStream {
    handle: OwnedHandle,
}

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

    /// Takes over a handle.
    #[must_use]
    pub const fn from_handle(handle: Handle) -> Self {
        Self { handle: OwnedHandle::new(handle) }
    }

    /// Its handle.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.handle.get()
    }

    /// Its handle, for example to send it.
    #[must_use]
    pub fn into_handle(self) -> OwnedHandle {
        self.handle
    }

    /// Chooses whether reads and writes wait.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_blocking(&self, blocking: Blocking) -> Result<(), Errno> {
        self.handle.set_blocking(blocking)
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
