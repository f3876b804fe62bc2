//! Memory objects: pages that processes share by passing a handle on.
//!
//! ```ignore
//! let memory = MemoryObject::new(1 << 16)?;
//! let mapping = memory.map(Use::Write)?;
//! mapping.write(0, b"seen by all who map it");
//! command.handle(3, memory.handle(), Rights::READ | Rights::MAP);    // The child may look on.
//! ```

use swos_abi::{Errno, MEMORY_EXECUTE};
pub use swos_rt::{
    mapping::{FileMapping, Mapping},
    shared::{SharedMapping, Use},
};

use crate::handle::{OwnedHandle, owns_handle};

/// A memory object, of which this process has a handle. It lives as long as any process has a handle to it or maps a page of it.
#[derive(Debug)]
pub struct MemoryObject {
    handle: OwnedHandle,
}

owns_handle!(MemoryObject);

impl MemoryObject {
    /// A new one of so many zeroed bytes. It takes memory page by page, when they are touched.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`] beyond the process's limit, [`Errno::FBIG`] beyond 256 TiB, [`Errno::MFILE`].
    pub fn new(length: u64) -> Result<Self, Errno> {
        swos_sys::memory_create(length, 0).map(Self::from_handle)
    }

    /// The same, and its pages may be mapped for execution: never those that the same mapping can write.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn executable(length: u64) -> Result<Self, Errno> {
        swos_sys::memory_create(length, MEMORY_EXECUTE).map(Self::from_handle)
    }

    /// Its size in bytes.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] without the right to ask.
    pub fn size(&self) -> Result<u64, Errno> {
        swos_sys::fstat(self.handle()).map(|stat| stat.size)
    }

    /// Grows or shrinks it. What is beyond the new end is gone, also for those who map it.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] without the right, [`Errno::NOMEM`] beyond the limit of the process that made it, [`Errno::FBIG`].
    pub fn set_size(&self, length: u64) -> Result<(), Errno> {
        swos_sys::memory_resize(self.handle(), length)
    }

    /// Maps all of it.
    ///
    /// # Errors
    ///
    /// As [`map_part`](Self::map_part).
    pub fn map(&self, purpose: Use) -> Result<SharedMapping, Errno> {
        let length = usize::try_from(self.size()?).map_err(|_| Errno::NOMEM)?;
        self.map_part(0, length, purpose)
    }

    /// Maps `length` bytes from `offset` on, which begins a page.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] if the handle lacks the right, [`Errno::INVAL`], [`Errno::NOMEM`].
    pub fn map_part(&self, offset: u64, length: usize, purpose: Use) -> Result<SharedMapping, Errno> {
        SharedMapping::new(self.handle(), offset, length, purpose)
    }

    /// Reads bytes without mapping them; 0 = end.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] without the right.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        swos_sys::pread(self.handle(), bytes, offset)
    }

    /// Writes bytes without mapping them, up to its end.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] without the right, [`Errno::FBIG`] at its end, [`Errno::NOMEM`].
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        swos_sys::pwrite(self.handle(), bytes, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_kernel_there_is_no_memory_to_share() {
        assert_eq!(MemoryObject::new(4096).map(drop), Err(Errno::NOSYS));
        assert_eq!(SharedMapping::anonymous(4096).map(drop), Err(Errno::NOSYS));
    }
}
