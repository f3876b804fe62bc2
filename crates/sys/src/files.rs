//! Files, directories, handles, readiness.

use core::mem::size_of_val;

use swos_abi::{Errno, Handle, OpenFlags, PipeEnds, PollItem, READY_REMOVE, ReadyEvent, Rights, Stat};

use crate::{address, raw, register, size};

/// Opens `path`, relative to `directory` or [`Handle::CWD`].
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_OPEN`].
pub fn open(directory: Handle, path: &[u8], flags: OpenFlags, mode: u32) -> Result<Handle, Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    handle(unsafe { raw::open(directory, address(path), register(path.len()), flags.bits(), mode) })
}

/// Reads at the position and advances it; 0 = end.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_READ`].
#[inline]
pub fn read(handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes `buffer` within its bounds, borrowed mutably here.
    unsafe { raw::read(handle, address(buffer), register(buffer.len())) }.map(size)
}

/// Writes at the position and advances it.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_WRITE`].
#[inline]
pub fn write(handle: Handle, buffer: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `buffer` within its bounds.
    unsafe { raw::write(handle, address(buffer), register(buffer.len())) }.map(size)
}

/// Reads at `offset`; 0 = end.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_PREAD`].
#[inline]
pub fn pread(handle: Handle, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel writes `buffer` within its bounds, borrowed mutably here.
    unsafe { raw::pread(handle, address(buffer), register(buffer.len()), offset) }.map(size)
}

/// Writes at `offset`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_PWRITE`].
#[inline]
pub fn pwrite(handle: Handle, buffer: &[u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `buffer` within its bounds.
    unsafe { raw::pwrite(handle, address(buffer), register(buffer.len()), offset) }.map(size)
}

/// Closes a handle.
///
/// # Errors
///
/// [`Errno::BADF`] if it was none.
#[inline]
pub fn close(handle: Handle) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::close(handle) }.map(drop)
}

/// Moves the position; `whence` is one of `SEEK_*`. Returns the new one.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SEEK`].
pub fn seek(handle: Handle, offset: i64, whence: u32) -> Result<u64, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::seek(handle, offset, whence) }
}

/// Attributes of an open file.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_FSTAT`].
pub fn fstat(handle: Handle) -> Result<Stat, Errno> {
    let mut record = Stat::default();
    // SAFETY: the kernel fills `record` up to its size; every bit pattern is a valid `Stat`.
    unsafe { raw::fstat(handle, address(&raw mut record), register(size_of_val(&record))) }?;
    Ok(record)
}

/// Attributes of what `path` names; only [`OpenFlags::NO_FOLLOW`] counts among `flags`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_STAT`].
pub fn stat(directory: Handle, path: &[u8], flags: OpenFlags) -> Result<Stat, Errno> {
    let mut record = Stat::default();
    let (into, length) = (address(&raw mut record), register(size_of_val(&record)));
    // SAFETY: the kernel reads `path` and fills `record`, both within their bounds.
    unsafe { raw::stat(directory, address(path), register(path.len()), flags.bits(), into, length) }?;
    Ok(record)
}

/// Fills `buffer` with directory entries; 0 = end.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_READDIR`].
pub fn readdir(handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes `buffer` within its bounds, borrowed mutably here.
    unsafe { raw::readdir(handle, address(buffer), register(buffer.len())) }.map(size)
}

/// Waits until one of `items` is ready; returns how many are.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_POLL`].
pub fn poll(items: &mut [PollItem], timeout_ns: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel reads and writes `items` within their bounds, borrowed mutably here.
    unsafe { raw::poll(address(items), register(items.len()), timeout_ns) }.map(size)
}

/// Sends `head`, then `length` bytes of `file` from `offset` on, without a copy of those through the program.
///
/// Returns the bytes taken, those of `head` included; fewer when the send buffer is full.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SENDFILE`].
#[inline]
pub fn sendfile(socket: Handle, file: Handle, offset: u64, length: u64, head: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `head` within its bounds.
    unsafe { raw::sendfile(socket, file, offset, length, address(head), register(head.len())) }.map(size)
}

/// Makes a further handle to the same object, with at most `rights`; `flags`: [`CLOSE_ON_EXEC`](swos_abi::CLOSE_ON_EXEC).
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_HANDLE_DUPLICATE`].
pub fn handle_duplicate(source: Handle, rights: Rights, flags: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    handle(unsafe { raw::handle_duplicate(source, rights.bits(), flags) })
}

/// Makes `target` name the same object as `source`, with at most `rights`, and closes what it named. Among `flags` only
/// [`OpenFlags::CLOSE_ON_EXEC`] counts.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_HANDLE_DUPLICATE_TO`].
pub fn handle_duplicate_to(
    source: Handle,
    target: Handle,
    rights: Rights,
    flags: OpenFlags,
) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    handle(unsafe { raw::handle_duplicate_to(source, target, rights.bits(), flags.bits()) })
}

/// How a handle is open.
///
/// # Errors
///
/// [`Errno::BADF`] if it is none.
pub fn handle_flags(handle: Handle) -> Result<OpenFlags, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::handle_flags(handle) }.map(open_flags)
}

/// Changes the flags in `mask` to those in `flags`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_HANDLE_SET_FLAGS`].
pub fn handle_set_flags(handle: Handle, mask: OpenFlags, flags: OpenFlags) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::handle_set_flags(handle, mask.bits(), flags.bits()) }.map(drop)
}

/// Rights of a handle.
///
/// # Errors
///
/// [`Errno::BADF`] if it is none.
pub fn handle_rights(handle: Handle) -> Result<Rights, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::handle_rights(handle) }.map(rights)
}

/// Drops all rights of a handle but these; returns what is left.
///
/// # Errors
///
/// [`Errno::BADF`] if it is none.
pub fn handle_restrict(handle: Handle, keep: Rights) -> Result<Rights, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::handle_restrict(handle, keep.bits()) }.map(rights)
}

/// Chooses whether calls on this handle may wait: 1 = they answer [`Errno::AGAIN`] instead.
///
/// # Errors
///
/// [`Errno::BADF`] if it is none.
pub fn handle_nonblock(handle: Handle, nonblock: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::handle_nonblock(handle, nonblock) }.map(drop)
}

/// Changes the current directory.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_CHDIR`].
pub fn chdir(directory: Handle, path: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::chdir(directory, address(path), register(path.len())) }.map(drop)
}

/// Reads where a symbolic link leads; returns how many bytes of `buffer` were filled.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_READLINK`].
pub fn readlink(directory: Handle, path: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
    let (into, length) = (address(buffer), register(buffer.len()));
    // SAFETY: the kernel reads `path` and writes `buffer`, both within their bounds.
    unsafe { raw::readlink(directory, address(path), register(path.len()), into, length) }.map(size)
}

/// Makes a pipe; `flags` is 0 or [`swos_abi::PIPE_NONBLOCK`].
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_PIPE`].
pub fn pipe(flags: u32) -> Result<PipeEnds, Errno> {
    let mut ends = PipeEnds::NONE;
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::pipe(address(&raw mut ends), register(size_of::<PipeEnds>()), flags) }?;
    Ok(ends)
}

/// Makes a readiness set; `flags`: [`CLOSE_ON_EXEC`](swos_abi::CLOSE_ON_EXEC).
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_READY_CREATE`].
pub fn ready_create(flags: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    handle(unsafe { raw::ready_create(flags) })
}

/// Adds, changes or removes (`operation`, one of `READY_*`) a handle that `set` watches.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_READY_CONTROL`].
pub fn ready_control(set: Handle, operation: u32, watched: Handle, event: ReadyEvent) -> Result<(), Errno> {
    let event = if operation == READY_REMOVE { 0 } else { address(&raw const event) };
    // SAFETY: the kernel reads the event, which lives until the end of this function.
    unsafe { raw::ready_control(set, operation, watched, event) }.map(drop)
}

/// Waits for events of `set`; returns how many of `events` were filled.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_READY_WAIT`].
#[inline]
pub fn ready_wait(set: Handle, events: &mut [ReadyEvent], timeout_ns: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel writes `events` within their bounds, borrowed mutably here.
    unsafe { raw::ready_wait(set, address(events), register(events.len()), timeout_ns) }.map(size)
}

/// A result that is a handle.
pub(crate) fn handle(result: Result<u64, Errno>) -> Result<Handle, Errno> {
    result.map(Handle)
}

#[expect(clippy::cast_possible_truncation, reason = "rights have 32 bits")]
const fn rights(value: u64) -> Rights {
    Rights::from_bits_retain(value as u32)
}

#[expect(clippy::cast_possible_truncation, reason = "flags have 32 bits")]
const fn open_flags(value: u64) -> OpenFlags {
    OpenFlags::from_bits_retain(value as u32)
}
