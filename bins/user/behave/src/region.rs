//! Addresses to try things with: mapped, protected and touched without any reference into them.

use core::ptr::{NonNull, with_exposed_provenance, with_exposed_provenance_mut};

use swos_ulib::{
    abi::{ADVISE_DISCARD, Errno, Handle, MapFlags, Protection},
    sys,
};

pub(crate) const PAGE: usize = 4096;
pub(crate) const READ: Protection = Protection::READ;
pub(crate) const WRITE: Protection = Protection::WRITE;
pub(crate) const EXECUTE: Protection = Protection::EXECUTE;
/// Zeroed memory of one's own.
pub(crate) const ANONYMOUS: MapFlags = MapFlags::PRIVATE.union(MapFlags::ANONYMOUS);

/// A range of addresses that is ours alone.
pub(crate) struct Region {
    start: usize,
    pages: usize,
}

impl Region {
    /// Reserved addresses.
    pub(crate) fn reserve(pages: usize) -> Result<Self, Errno> {
        let start = sys::map_anonymous(pages * PAGE, Protection::empty())?;
        Ok(Self { start: start.as_ptr().expose_provenance(), pages })
    }

    /// Readable and writable zeroed memory.
    pub(crate) fn memory(pages: usize) -> Result<Self, Errno> {
        let region = Self::reserve(pages)?;
        region.protect(0, pages, READ | WRITE)?;
        Ok(region)
    }

    /// What the kernel chose for a mapping of a handle.
    pub(crate) fn of_handle(
        pages: usize,
        protection: Protection,
        flags: MapFlags,
        handle: Handle,
        offset: u64,
    ) -> Result<Self, Errno> {
        // SAFETY: without FIXED the kernel chooses free addresses.
        let start = unsafe { sys::mmap(0, pages * PAGE, protection, flags, handle, offset) }?;
        Ok(Self { start: start.as_ptr().expose_provenance(), pages })
    }

    pub(crate) fn address(&self, page: usize) -> usize {
        self.start + page * PAGE
    }

    fn pointer(&self, page: usize) -> NonNull<u8> {
        NonNull::new(with_exposed_provenance_mut(self.address(page))).unwrap_or(NonNull::dangling())
    }

    /// Maps `pages` pages at page `at`, with more flags than the place; within the region.
    pub(crate) fn map(
        &self,
        at: usize,
        pages: usize,
        protection: Protection,
        flags: MapFlags,
        handle: Handle,
        offset: u64,
    ) -> Result<usize, Errno> {
        if at + pages > self.pages {
            return Err(Errno::RANGE);
        }
        // SAFETY: the addresses are the region's.
        let start = unsafe { sys::mmap(self.address(at), pages * PAGE, protection, flags, handle, offset) }?;
        Ok(start.as_ptr().expose_provenance())
    }

    pub(crate) fn protect(&self, at: usize, pages: usize, protection: Protection) -> Result<(), Errno> {
        // SAFETY: the addresses are the region's, and nothing refers to them.
        unsafe { sys::mprotect(self.pointer(at), pages * PAGE, protection) }
    }

    pub(crate) fn unmap(&self, at: usize, pages: usize) -> Result<(), Errno> {
        // SAFETY: as above.
        unsafe { sys::munmap(self.pointer(at), pages * PAGE) }
    }

    pub(crate) fn discard(&self, at: usize, pages: usize) -> Result<(), Errno> {
        // SAFETY: as above.
        unsafe { sys::memory_advise(self.pointer(at), pages * PAGE, ADVISE_DISCARD) }
    }

    /// Reads the first byte of a page, or dies.
    pub(crate) fn read(&self, page: usize) -> u8 {
        let at = with_exposed_provenance::<u8>(self.address(page.min(self.pages - 1)));
        // SAFETY: an address of the region. Not mapped, the process ends here.
        unsafe { at.read_volatile() }
    }

    /// Reads any byte, or dies.
    pub(crate) fn byte(&self, offset: usize) -> u8 {
        let at = with_exposed_provenance::<u8>(self.start + offset.min(self.pages * PAGE - 1));
        // SAFETY: as above.
        unsafe { at.read_volatile() }
    }

    /// Writes the first byte of a page, or dies.
    pub(crate) fn write(&self, page: usize, value: u8) {
        let at = with_exposed_provenance_mut::<u8>(self.address(page.min(self.pages - 1)));
        // SAFETY: as above.
        unsafe { at.write_volatile(value) }
    }

    /// Writes any byte, or dies.
    pub(crate) fn store(&self, offset: usize, value: u8) {
        let at = with_exposed_provenance_mut::<u8>(self.start + offset.min(self.pages * PAGE - 1));
        // SAFETY: as above.
        unsafe { at.write_volatile(value) }
    }

    /// Whether the kernel may read the page on our behalf.
    pub(crate) fn can_read(&self, page: usize) -> Result<bool, Errno> {
        // SAFETY: the kernel reads a word, and answers at once because it is none that is expected.
        match unsafe { sys::raw::futex_wait(self.address(page) as u64, 0xDEAD_0BAD, 1_000_000_000, u32::MAX) }
        {
            Err(Errno::AGAIN) => Ok(true),
            Err(Errno::FAULT) => Ok(false),
            Err(other) => Err(other),
            Ok(_) => Err(Errno::PROTO),
        }
    }

    /// Whether the kernel may write the page on our behalf; its first byte is any one then.
    pub(crate) fn can_write(&self, page: usize) -> Result<bool, Errno> {
        // SAFETY: the kernel writes a byte of the region.
        match unsafe { sys::raw::random(self.address(page) as u64, 1) } {
            Ok(_) => Ok(true),
            Err(Errno::FAULT) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Writes a function that returns `value` to the start of a page.
    pub(crate) fn write_function(&self, page: usize, value: u16) {
        // `movz w0, #value` and `ret`. Source: Arm DDI 0487 L.a §C6.2 (MOVZ, RET).
        let code = [0x5280_0000 | u32::from(value) << 5, 0xD65F_03C0];
        for (number, word) in code.into_iter().enumerate() {
            let at = with_exposed_provenance_mut::<u32>(self.address(page) + 4 * number);
            // SAFETY: aligned addresses of the region. Not mapped, the process ends here.
            unsafe { at.write_volatile(word) }
        }
    }

    /// Calls the function at the start of a page, or dies.
    pub(crate) fn run(&self, page: usize) -> i32 {
        let at = with_exposed_provenance::<()>(self.address(page));
        // SAFETY: `write_function` wrote one of this type there; else the process ends here.
        unsafe { core::mem::transmute::<*const (), extern "C" fn() -> i32>(at)() }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let _unmapped = self.unmap(0, self.pages);
    }
}

/// Asks for a mapping where none may be; unmaps it should there be one.
pub(crate) fn map_raw(at: u64, length: u64, protection: u32, flags: u32) -> Result<u64, Errno> {
    // SAFETY: nothing of ours lies at the places that are tried, and where the kernel chooses nothing does.
    let mapped = unsafe { sys::raw::mmap(at, length, protection, flags, Handle::NONE, 0) };
    if let Ok(start) = mapped {
        // SAFETY: it was mapped just now.
        let _unmapped = unsafe { sys::raw::munmap(start, length) };
    }
    mapped
}

/// A wait, a wake and a move at any address at all.
pub(crate) fn futex_raw(at: u64) -> [Result<u64, Errno>; 3] {
    // SAFETY: the kernel reads a word at most, and does not wait: no word has this value.
    unsafe {
        [
            sys::raw::futex_wait(at, 0xDEAD_0BAD, 1_000_000_000, u32::MAX),
            sys::raw::futex_wake(at, 1, u32::MAX),
            sys::raw::futex_requeue(at, 0xDEAD_0BAD, 1, at, 1),
        ]
    }
}
