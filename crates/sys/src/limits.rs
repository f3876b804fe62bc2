//! Limits, what was used, and threads by name.

use core::mem::size_of_val;

use swos_abi::{Errno, ProcessLimits, ProcessUsage, ThreadInfo};

use crate::{address, raw, register};

/// What this process may use.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn limits() -> Result<ProcessLimits, Errno> {
    let mut record = ProcessLimits::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::limits_get(address(&raw mut record), register(size_of_val(&record))) }?;
    Ok(record)
}

/// Lowers limits; one that is 0 or higher than it was stays as it is.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LIMITS_SET`].
pub fn lower_limits(to: &ProcessLimits) -> Result<(), Errno> {
    let size = u32::try_from(size_of_val(to)).unwrap_or(0);
    let record = ProcessLimits { size, ..*to };
    // SAFETY: the kernel reads the record.
    unsafe { raw::limits_set(address(&raw const record), register(size_of_val(&record))) }.map(drop)
}

/// What this process uses and used.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn usage() -> Result<ProcessUsage, Errno> {
    let mut record = ProcessUsage::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::usage(address(&raw mut record), register(size_of_val(&record))) }?;
    Ok(record)
}

/// Names the calling thread, with at most 16 bytes.
///
/// # Errors
///
/// [`Errno::NAMETOOLONG`].
pub fn thread_name(name: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads the slice.
    unsafe { raw::thread_name(address(name), register(name.len())) }.map(drop)
}

/// The thread of process `pid` with the lowest id that is at least `tid`; `None` = no more.
///
/// # Errors
///
/// [`Errno::SRCH`], [`Errno::ACCES`] for another process without the capability `PROCESS_INSPECT`.
pub fn thread_info(pid: u32, tid: u32) -> Result<Option<ThreadInfo>, Errno> {
    let mut record = ThreadInfo::default();
    let (at, size) = (address(&raw mut record), register(size_of_val(&record)));
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    let found = unsafe { raw::thread_info(u64::from(pid), tid, at, size) }?;
    Ok((found != 0).then_some(record))
}
