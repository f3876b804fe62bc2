//! Handles with an owner.

use swos_abi::{Errno, Handle, Rights};

/// An open handle, closed when it is dropped.
#[derive(Debug, Eq, Hash, PartialEq)]
pub struct OwnedHandle(Handle);

impl OwnedHandle {
    /// Takes over a handle, for example one that this process was started with.
    #[must_use]
    pub const fn new(handle: Handle) -> Self {
        Self(handle)
    }

    /// Its number.
    #[must_use]
    pub const fn get(&self) -> Handle {
        self.0
    }

    /// Gives the handle up without closing it, and returns its number.
    #[must_use]
    pub fn into_inner(self) -> Handle {
        let handle = self.0;
        core::mem::forget(self);
        handle
    }

    /// Makes a further handle to the same object, with at most `rights`.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] without the right to duplicate, [`Errno::MFILE`].
    pub fn duplicate(&self, rights: Rights) -> Result<Self, Errno> {
        swos_sys::handle_duplicate(self.0, rights, 0).map(Self)
    }

    /// Makes a further handle to the same object, with at most `rights`, that [`revoke`](Self::revoke) of this one ends.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] without the right to duplicate, [`Errno::MFILE`], [`Errno::LOOP`] for a loan of a loan too many.
    pub fn lend(&self, rights: Rights) -> Result<Self, Errno> {
        swos_sys::handle_lend(self.0, rights, 0).map(Self)
    }

    /// Ends every loan made from this handle, and everything made from those, in all processes at once.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] if it is a loan that was itself revoked.
    pub fn revoke(&self) -> Result<(), Errno> {
        swos_sys::handle_revoke(self.0)
    }

    /// Chooses whether calls on it may wait.
    ///
    /// # Errors
    ///
    /// [`Errno::BADF`] if it is not open.
    pub fn set_blocking(&self, blocking: Blocking) -> Result<(), Errno> {
        swos_sys::handle_nonblock(self.0, u32::from(blocking == Blocking::Never))
    }
}

impl Drop for OwnedHandle {
    fn drop(&mut self) {
        let _closed = swos_sys::close(self.0);
    }
}

/// Whether calls on a handle wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blocking {
    /// They wait until they can go on.
    Wait,
    /// They answer [`Errno::AGAIN`] instead.
    Never,
}

/// What every type does that owns one handle, as its field `handle`: `owns_handle!(Type)`, and with a text for
/// `set_blocking` where calls on it may wait.
macro_rules! owns_handle {
    ($owner:ty) => {
        impl $owner {
            /// Takes over a handle, for example one that a message brought or that this process was started with.
            #[must_use]
            pub const fn from_handle(handle: swos_abi::Handle) -> Self {
                Self { handle: $crate::handle::OwnedHandle::new(handle) }
            }

            /// Its handle.
            #[must_use]
            pub const fn handle(&self) -> swos_abi::Handle {
                self.handle.get()
            }

            /// Its handle, for example to send it.
            #[must_use]
            pub fn into_handle(self) -> $crate::handle::OwnedHandle {
                self.handle
            }
        }
    };
    ($owner:ty, $set_blocking:literal) => {
        $crate::handle::owns_handle!($owner);

        impl $owner {
            #[doc = $set_blocking]
            ///
            /// # Errors
            ///
            /// What the kernel answers.
            pub fn set_blocking(&self, blocking: $crate::handle::Blocking) -> Result<(), swos_abi::Errno> {
                self.handle.set_blocking(blocking)
            }
        }
    };
}
pub(crate) use owns_handle;
