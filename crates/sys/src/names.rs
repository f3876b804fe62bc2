//! Making, moving and removing names; changing what is known of a file.

use core::mem::size_of_val;

use swos_abi::{Errno, FileSystemInfo, FileTimes, Handle, MemoryPiece, OpenFlags, UNLINK_DIRECTORY};

use crate::{address, raw, register, size};

/// Cuts a file to `length` bytes, or grows it with zeros.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SET_SIZE`].
pub fn set_size(handle: Handle, length: u64) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::set_size(handle, length) }.map(drop)
}

/// Returns when what was written is as safe as it gets.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SYNC`].
pub fn sync(handle: Handle) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::sync(handle) }.map(drop)
}

/// Changes permission bits; an empty path means what `directory` is open on. Among `flags` only [`OpenFlags::NO_FOLLOW`]
/// counts, as in the next two.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SET_MODE`].
pub fn set_mode(directory: Handle, path: &[u8], flags: OpenFlags, mode: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::set_mode(directory, address(path), register(path.len()), flags.bits(), mode) }.map(drop)
}

/// Gives a file to another principal.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SET_OWNER`].
pub fn set_owner(directory: Handle, path: &[u8], flags: OpenFlags, owner: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::set_owner(directory, address(path), register(path.len()), flags.bits(), owner) }.map(drop)
}

/// Sets the times of a file.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SET_TIMES`].
pub fn set_times(directory: Handle, path: &[u8], flags: OpenFlags, times: FileTimes) -> Result<(), Errno> {
    let (from, length) = (address(&raw const times), register(size_of_val(&times)));
    // SAFETY: the kernel reads `path` and `times`, both within their bounds.
    unsafe { raw::set_times(directory, address(path), register(path.len()), flags.bits(), from, length) }
        .map(drop)
}

/// Makes an empty directory.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MKDIR`].
pub fn mkdir(directory: Handle, path: &[u8], mode: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::mkdir(directory, address(path), register(path.len()), mode) }.map(drop)
}

/// Removes the name of what is no directory.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_UNLINK`].
pub fn unlink(directory: Handle, path: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::unlink(directory, address(path), register(path.len()), 0) }.map(drop)
}

/// Removes an empty directory.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_UNLINK`].
pub fn rmdir(directory: Handle, path: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::unlink(directory, address(path), register(path.len()), UNLINK_DIRECTORY) }.map(drop)
}

/// Gives a node another name in one step.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_RENAME`].
pub fn rename(from: (Handle, &[u8]), to: (Handle, &[u8])) -> Result<(), Errno> {
    let (old, old_len, new, new_len) =
        (address(from.1), register(from.1.len()), address(to.1), register(to.1.len()));
    // SAFETY: the kernel reads both paths within their bounds.
    unsafe { raw::rename(from.0, old, old_len, to.0, new, new_len) }.map(drop)
}

/// Gives a node a further name.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LINK`].
pub fn link(from: (Handle, &[u8]), to: (Handle, &[u8])) -> Result<(), Errno> {
    let (old, old_len, new, new_len) =
        (address(from.1), register(from.1.len()), address(to.1), register(to.1.len()));
    // SAFETY: the kernel reads both paths within their bounds.
    unsafe { raw::link(from.0, old, old_len, to.0, new, new_len) }.map(drop)
}

/// Makes a symbolic link to `target`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SYMLINK`].
pub fn symlink(target: &[u8], directory: Handle, path: &[u8]) -> Result<(), Errno> {
    let (to, to_len) = (address(target), register(target.len()));
    // SAFETY: the kernel reads both paths within their bounds.
    unsafe { raw::symlink(to, to_len, directory, address(path), register(path.len())) }.map(drop)
}

/// Makes a name for a pipe.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_MKFIFO`].
pub fn mkfifo(directory: Handle, path: &[u8], mode: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::mkfifo(directory, address(path), register(path.len()), mode) }.map(drop)
}

/// Fills in the path of the current directory; returns its length.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_GETCWD`].
pub fn getcwd(buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes `buffer` within its bounds, borrowed mutably here.
    unsafe { raw::getcwd(address(buffer), register(buffer.len())) }.map(size)
}

/// Reads into many buffers.
///
/// # Errors
///
/// [`Errno::INVAL`] for more than [`swos_abi::PIECES_MAX`] of them; what the kernel answers; [`swos_abi::NR_READV`].
pub fn readv(handle: Handle, buffers: &mut [&mut [u8]]) -> Result<usize, Errno> {
    let mut pieces = [MemoryPiece::default(); PIECES];
    let count = buffers.len();
    for (piece, buffer) in pieces.get_mut(..count).ok_or(Errno::INVAL)?.iter_mut().zip(buffers) {
        *piece = MemoryPiece { address: address(*buffer), length: register(buffer.len()) };
    }
    // SAFETY: the kernel writes the buffers within their bounds, all borrowed mutably here.
    unsafe { raw::readv(handle, address(&pieces), register(count)) }.map(size)
}

/// Writes many buffers as one.
///
/// # Errors
///
/// [`Errno::INVAL`] for more than [`swos_abi::PIECES_MAX`] of them; what the kernel answers; [`swos_abi::NR_WRITEV`].
pub fn writev(handle: Handle, buffers: &[&[u8]]) -> Result<usize, Errno> {
    let mut pieces = [MemoryPiece::default(); PIECES];
    let count = buffers.len();
    for (piece, buffer) in pieces.get_mut(..count).ok_or(Errno::INVAL)?.iter_mut().zip(buffers) {
        *piece = MemoryPiece { address: address(*buffer), length: register(buffer.len()) };
    }
    // SAFETY: the kernel reads the buffers within their bounds.
    unsafe { raw::writev(handle, address(&pieces), register(count)) }.map(size)
}

/// Room in the file system that holds `path`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_FILE_SYSTEM_INFO`].
pub fn file_system_info(directory: Handle, path: &[u8]) -> Result<FileSystemInfo, Errno> {
    let mut record = FileSystemInfo::default();
    let (into, length) = (address(&raw mut record), register(size_of_val(&record)));
    // SAFETY: the kernel reads `path` and fills `record`, both within their bounds.
    unsafe { raw::file_system_info(directory, address(path), register(path.len()), into, length) }?;
    Ok(record)
}

#[expect(clippy::cast_possible_truncation, reason = "64")]
const PIECES: usize = swos_abi::PIECES_MAX as usize;
