//! Mappings.

use core::ptr::{NonNull, with_exposed_provenance_mut};

use swos_abi::{Errno, Handle, MapFlags, Protection};

use crate::{raw, register, size};

/// Maps `length` bytes of zeroed memory somewhere; no protection bits = reserves addresses.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MMAP`].
pub fn map_anonymous(length: usize, protection: Protection) -> Result<NonNull<u8>, Errno> {
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS;
    // SAFETY: without FIXED the kernel chooses free addresses, so nothing of ours is replaced.
    unsafe { mmap(0, length, protection, flags, Handle::NONE, 0) }
}

/// Maps `length` bytes of a file from `offset` on, privately.
///
/// The memory changes under its readers if the file can change.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MMAP`].
pub fn map_file(
    handle: Handle,
    offset: u64,
    length: usize,
    protection: Protection,
) -> Result<NonNull<u8>, Errno> {
    // SAFETY: without FIXED the kernel chooses free addresses, so nothing of ours is replaced.
    unsafe { mmap(0, length, protection, MapFlags::PRIVATE, handle, offset) }
}

/// The call in full.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MMAP`].
///
/// # Safety
///
/// With [`MapFlags::FIXED`] the caller owns what lies at `at` and no reference into it is used again.
pub unsafe fn mmap(
    at: usize,
    length: usize,
    protection: Protection,
    flags: MapFlags,
    handle: Handle,
    offset: u64,
) -> Result<NonNull<u8>, Errno> {
    let (at, length) = (register(at), register(length));
    // SAFETY: the caller vouches for what is replaced.
    let start = unsafe { raw::mmap(at, length, protection.bits(), flags.bits(), handle, offset) }?;
    NonNull::new(with_exposed_provenance_mut(size(start))).ok_or(Errno::NOMEM)
}

/// Unmaps pages.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MUNMAP`].
///
/// # Safety
///
/// The caller owns the pages, and no reference into them is used again.
pub unsafe fn munmap(start: NonNull<u8>, length: usize) -> Result<(), Errno> {
    // SAFETY: the caller vouches for the pages.
    unsafe { raw::munmap(register(start.as_ptr().expose_provenance()), register(length)) }.map(drop)
}

/// Changes how pages may be used.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MPROTECT`].
///
/// # Safety
///
/// The caller owns the pages, and references into them are used from now on only as `protection` allows.
pub unsafe fn mprotect(start: NonNull<u8>, length: usize, protection: Protection) -> Result<(), Errno> {
    let start = register(start.as_ptr().expose_provenance());
    // SAFETY: the caller vouches for the pages.
    unsafe { raw::mprotect(start, register(length), protection.bits()) }.map(drop)
}

/// Makes a memory object of `length` zeroed bytes; `flags` is 0 or [`swos_abi::MEMORY_EXECUTE`].
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MEMORY_CREATE`].
pub fn memory_create(length: u64, flags: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    crate::files::handle(unsafe { raw::memory_create(length, flags) })
}

/// Grows or shrinks a memory object.
///
/// Who touches a mapped page of it that went ends by a fault, so no reference into one is left dangling.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MEMORY_RESIZE`].
pub fn memory_resize(object: Handle, length: u64) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::memory_resize(object, length) }.map(drop)
}

/// Tells what pages are needed for; `advice` is [`swos_abi::ADVISE_DISCARD`].
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MEMORY_ADVISE`].
///
/// # Safety
///
/// The caller owns the pages, no reference into them is used again, and nobody relies on what they held.
pub unsafe fn memory_advise(start: NonNull<u8>, length: usize, advice: u32) -> Result<(), Errno> {
    let start = register(start.as_ptr().expose_provenance());
    // SAFETY: the caller vouches for the pages.
    unsafe { raw::memory_advise(start, register(length), advice) }.map(drop)
}
