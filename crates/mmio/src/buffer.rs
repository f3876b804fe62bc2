//! Memory for one transfer.

use alloc::boxed::Box;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// `SIZE` bytes from the heap, at an address that does not change, for a device to read or write.
///
/// A raw pointer inside, not a `Box`: that would promise that nobody else writes the bytes while it is moved about.
pub struct Buffer<const SIZE: usize> {
    bytes: NonNull<[u8; SIZE]>,
}

// SAFETY: owns its bytes, as a `Box` does.
unsafe impl<const SIZE: usize> Send for Buffer<SIZE> {}
// SAFETY: shared access only reads.
unsafe impl<const SIZE: usize> Sync for Buffer<SIZE> {}

impl<const SIZE: usize> Buffer<SIZE> {
    /// A buffer of zeros; `None` if the heap is exhausted.
    #[must_use]
    pub fn new() -> Option<Self> {
        let layout = core::alloc::Layout::new::<[u8; SIZE]>();
        if layout.size() == 0 {
            return None;
        }
        // SAFETY: the size is not 0. Not `Box::new`, which would panic where memory is short.
        let bytes = NonNull::new(unsafe { alloc::alloc::alloc_zeroed(layout) })?;
        Some(Self { bytes: bytes.cast() })
    }

    /// Where the bytes are. Valid until the buffer is dropped.
    pub(crate) const fn slice(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.bytes.cast(), SIZE)
    }
}

impl<const SIZE: usize> Drop for Buffer<SIZE> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the layout of this type, and owned.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}

impl<const SIZE: usize> Deref for Buffer<SIZE> {
    type Target = [u8; SIZE];
    fn deref(&self) -> &[u8; SIZE] {
        // SAFETY: owned, initialised, and not with a device: a queue takes the buffer away from whoever has it.
        unsafe { self.bytes.as_ref() }
    }
}

impl<const SIZE: usize> DerefMut for Buffer<SIZE> {
    fn deref_mut(&mut self) -> &mut [u8; SIZE] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { self.bytes.as_mut() }
    }
}

impl<const SIZE: usize> fmt::Debug for Buffer<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Buffer").field(&SIZE).finish()
    }
}
