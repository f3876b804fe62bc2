//! One checked directory entry name.

use core::fmt;

use crate::{Error, NAME_MAX};

/// The name of one directory entry.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Checks `bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NameTooLong`], [`Error::Nul`], [`Error::Separator`], and [`Error::Reserved`] for
    /// `.` and `..`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Err(Error::Empty);
        }
        if bytes.len() > NAME_MAX {
            return Err(Error::NameTooLong { offset: 0 });
        }
        for (offset, &byte) in bytes.iter().enumerate() {
            // One comparison for the common byte, as in `Path::new`.
            if byte > b'/' {
                continue;
            }
            if byte == 0 {
                return Err(Error::Nul { offset });
            }
            if byte == b'/' {
                return Err(Error::Separator { offset });
            }
        }
        if bytes == b"." || bytes == b".." { Err(Error::Reserved) } else { Ok(Self(bytes)) }
    }

    /// Wraps a component that the caller has checked.
    pub(crate) const fn checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}
