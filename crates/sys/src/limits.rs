//! Limits, and what was used.

use core::mem::size_of_val;

use swos_abi::{Errno, ProcessLimits, ProcessUsage};

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
