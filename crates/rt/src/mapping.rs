//! Memory from `mmap` with an owner.

use core::{
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice::{from_raw_parts, from_raw_parts_mut},
};

use swos_abi::{Errno, Protection};

/// Zeroed, readable and writable pages that go back when it is dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: it owns its pages as a `Box<[u8]>` does.
unsafe impl Send for Mapping {}
// SAFETY: shared, it can only be read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes, rounded up to pages by the kernel.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`], [`Errno::INVAL`] for no bytes.
    pub fn new(length: usize) -> Result<Self, Errno> {
        let start = swos_sys::map_anonymous(length, Protection::READ | Protection::WRITE)?;
        Ok(Self { start, length })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the pages are mapped, initialised (zero) and ours while we live.
        unsafe { from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for reading, and borrowed mutably.
        unsafe { from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the pages are ours, and the borrow checker says that no reference is left.
        let _unmapped = unsafe { swos_sys::munmap(self.start, self.length) };
    }
}
