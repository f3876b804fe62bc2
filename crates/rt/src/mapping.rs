//! Memory from `mmap` with an owner.

use core::{
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice::{from_raw_parts, from_raw_parts_mut},
};

use swos_abi::{Errno, Handle, Protection};

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

/// The bytes of a file that never changes; unmapped when it is dropped. They come from the disk page by page, when they are looked
/// at; if one can't be read, that ends the process.
#[derive(Debug)]
pub struct FileMapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: it owns its pages, and nobody can write what they show.
unsafe impl Send for FileMapping {}
// SAFETY: as above.
unsafe impl Sync for FileMapping {}

impl FileMapping {
    /// Maps a file as a whole.
    ///
    /// # Errors
    ///
    /// [`Errno::OPNOTSUPP`] for a file that can change, [`Errno::INVAL`] for an empty one, [`Errno::ACCES`] if the handle lacks a right,
    /// [`Errno::NOMEM`].
    pub fn new(file: Handle) -> Result<Self, Errno> {
        let stat = swos_sys::fstat(file)?;
        if stat.hash_known == 0 {
            return Err(Errno::OPNOTSUPP);
        }
        let length = usize::try_from(stat.size).map_err(|_| Errno::NOMEM)?;
        let start = swos_sys::map_file(file, 0, length, Protection::READ)?;
        Ok(Self { start, length })
    }
}

impl Deref for FileMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the pages are mapped while we live. The file is as long as they are, and remains what it is: the kernel knows the
        // hash of its bytes only where nobody can write them.
        unsafe { from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        // SAFETY: as for memory.
        let _unmapped = unsafe { swos_sys::munmap(self.start, self.length) };
    }
}
