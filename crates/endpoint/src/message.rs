//! Messages.

use alloc::vec::Vec;
use core::fmt;

use crate::Error;

/// Bytes that a message holds without an allocation.
pub const INLINE: usize = 64;

/// Bytes and handles on their way.
pub struct Message<H> {
    length: usize,
    short: [u8; INLINE],
    /// The bytes, if they are more than [`INLINE`].
    long: Vec<u8>,
    handles: Vec<H>,
    /// How many of the handles are receivers of endpoints.
    receivers: usize,
}

impl<H> Message<H> {
    /// A message of so many zeros, to be filled.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    #[inline]
    pub fn zeroed(length: usize) -> Result<Self, Error> {
        let mut message =
            Self { length, short: [0; INLINE], long: Vec::new(), handles: Vec::new(), receivers: 0 };
        if length > INLINE {
            message.long.try_reserve_exact(length).map_err(|_| Error::NoMemory)?;
            message.long.resize(length, 0);
        }
        Ok(message)
    }

    /// A message of these bytes.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        let mut message = Self::zeroed(bytes.len())?;
        message.bytes_mut().copy_from_slice(bytes);
        Ok(message)
    }

    /// Its bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        if self.length > INLINE { &self.long } else { self.short.get(..self.length).unwrap_or(&[]) }
    }

    /// Its bytes, to fill them.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if self.length > INLINE {
            &mut self.long
        } else {
            self.short.get_mut(..self.length).unwrap_or(&mut [])
        }
    }

    /// Its length in bytes.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes. It may have handles.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Puts handles in place of those it had, `receivers` of which are receivers of endpoints, and returns the old ones.
    pub const fn replace_handles(&mut self, handles: Vec<H>, receivers: usize) -> Vec<H> {
        self.receivers = receivers;
        core::mem::replace(&mut self.handles, handles)
    }

    /// Its handles.
    #[must_use]
    #[inline]
    pub fn handles(&self) -> &[H] {
        &self.handles
    }

    /// How many of its handles are receivers.
    #[must_use]
    #[inline]
    pub const fn receivers(&self) -> usize {
        self.receivers
    }

    /// Its handles, out of it.
    #[must_use]
    pub fn into_handles(self) -> Vec<H> {
        self.handles
    }
}

impl<H> fmt::Debug for Message<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("length", &self.length)
            .field("handles", &self.handles.len())
            .finish_non_exhaustive()
    }
}
