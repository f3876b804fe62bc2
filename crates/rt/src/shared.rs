//! Memory that others see as well.

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed},
};

use swos_abi::{Errno, Handle, MapFlags, Protection};

const PAGE: usize = 4096;

/// What a shared mapping is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// Looking on.
    Read,
    /// Taking part.
    Write,
    /// Changing a copy of one's own: a page is that from the first store on, and what others do is seen until then.
    Own,
}

/// Pages of a memory object or a file, shared with all who map it; unmapped when it is dropped.
///
/// It gives no reference to plain bytes, because others change them, also those of a copy when they cut the file: bytes are copied, and
/// words are atomic. If the object shrinks below what is mapped, touching what went ends the process.
#[derive(Debug)]
pub struct SharedMapping {
    start: NonNull<u8>,
    length: usize,
    purpose: Use,
}

// SAFETY: it owns its pages, and reaches them by atomic accesses only.
unsafe impl Send for SharedMapping {}
// SAFETY: as above.
unsafe impl Sync for SharedMapping {}

impl SharedMapping {
    /// Maps `length` bytes of `object` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] if the handle lacks the right, [`Errno::INVAL`] for no bytes or an offset within a page,
    /// [`Errno::NODEV`] for what can't be shared, [`Errno::NOMEM`].
    pub fn new(object: Handle, offset: u64, length: usize, purpose: Use) -> Result<Self, Errno> {
        let (protection, flags) = match purpose {
            Use::Read => (Protection::READ, MapFlags::SHARED),
            Use::Write => (Protection::READ | Protection::WRITE, MapFlags::SHARED),
            Use::Own => (Protection::READ | Protection::WRITE, MapFlags::PRIVATE),
        };
        let length = length.checked_next_multiple_of(PAGE).ok_or(Errno::INVAL)?;
        // SAFETY: without FIXED the kernel chooses free addresses, so nothing of ours is replaced.
        let start = unsafe { swos_sys::mmap(0, length, protection, flags, object, offset) }?;
        Ok(Self { start, length, purpose })
    }

    /// Zeroed memory without a name, whole pages of at least `length` bytes: shared with children that are copies of this process.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] for no bytes, [`Errno::NOMEM`].
    pub fn anonymous(length: usize) -> Result<Self, Errno> {
        let length = length.checked_next_multiple_of(PAGE).ok_or(Errno::INVAL)?;
        let flags = MapFlags::SHARED | MapFlags::ANONYMOUS;
        let protection = Protection::READ | Protection::WRITE;
        // SAFETY: as above.
        let start = unsafe { swos_sys::mmap(0, length, protection, flags, Handle::NONE, 0) }?;
        Ok(Self { start, length, purpose: Use::Write })
    }

    /// Bytes that are mapped: whole pages.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is mapped, which never happens.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies bytes from `offset` on out; returns how many there were.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> usize {
        let shared = self.bytes().get(offset..).unwrap_or(&[]);
        bytes.iter_mut().zip(shared).for_each(|(to, from)| *to = from.load(Relaxed));
        bytes.len().min(shared.len())
    }

    /// Copies bytes in from `offset` on; returns for how many there was room: none if it is for reading.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        if self.purpose == Use::Read {
            return 0;
        }
        let shared = self.bytes().get(offset..).unwrap_or(&[]);
        shared.iter().zip(bytes).for_each(|(to, from)| to.store(*from, Relaxed));
        bytes.len().min(shared.len())
    }

    /// The mapping as words that all can change, for example futexes; none if it is for reading.
    #[must_use]
    pub fn words(&self) -> &[AtomicU32] {
        let count = if self.purpose == Use::Read { 0 } else { self.length / 4 };
        // SAFETY: the pages are mapped and aligned as long as `self` lives, every bit pattern is a word, and all accesses to
        // them are atomic.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr().cast(), count) }
    }

    fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: as above. A relaxed load reads pages that may only be read.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for SharedMapping {
    fn drop(&mut self) {
        // SAFETY: the pages are ours, and the borrow checker says that no reference is left.
        let _unmapped = unsafe { swos_sys::munmap(self.start, self.length) };
    }
}
