//! Log, randomness, figures, power, authority.

use core::mem::size_of;

use swos_abi::{Capabilities, Errno, NetworkConfig, ProcessInfo, SecurityInfo, SystemInfo};

use crate::{address, raw, register, size};

/// Version of the interface that the kernel speaks.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn abi_version() -> Result<u64, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::abi_version() }
}

/// Adds a record to the kernel's log; `level` is one of `LOG_*`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LOG_WRITE`].
#[inline]
pub fn log_write(level: u32, text: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `text` within its bounds.
    unsafe { raw::log_write(level, address(text), register(text.len())) }.map(size)
}

/// Reads whole records as text from `cursor` on, which advances; 0 = no more now.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LOG_READ`].
pub fn log_read(cursor: &mut u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (into, length) = (address(buffer), register(buffer.len()));
    // SAFETY: the kernel writes the cursor and `buffer`, borrowed mutably here, within their bounds.
    unsafe { raw::log_read(address(cursor), into, length) }.map(size)
}

/// As [`log_read`], in a format of `LOG_TEXT` and `LOG_JSON`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LOG_EXPORT`].
pub fn log_export(cursor: &mut u64, buffer: &mut [u8], format: u32) -> Result<usize, Errno> {
    let (into, length) = (address(buffer), register(buffer.len()));
    // SAFETY: the kernel writes the cursor and `buffer`, borrowed mutably here, within their bounds.
    unsafe { raw::log_export(address(cursor), into, length, format) }.map(size)
}

/// Adds a record with fields, as the crate `swos-log-record` makes them.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LOG_RECORD`].
pub fn log_record(level: u32, text: &[u8], fields: &[u8]) -> Result<usize, Errno> {
    let (text, length) = (address(text), register(text.len()));
    // SAFETY: the kernel reads `text` and `fields` within their bounds.
    unsafe { raw::log_record(level, text, length, address(fields), register(fields.len())) }.map(size)
}

/// Chooses from which level on records of `source` are kept; empty = of all that have no choice of their own.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LOG_FILTER`].
pub fn log_filter(level: u32, source: &str) -> Result<(), Errno> {
    // SAFETY: the kernel reads `source` within its bounds.
    unsafe { raw::log_filter(level, address(source), register(source.len())) }.map(drop)
}

/// Fills `buffer` with random bytes, from its start on; returns how many.
///
/// # Errors
///
/// [`Errno::AGAIN`] if the machine gave no entropy.
pub fn random(buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes `buffer` within its bounds, borrowed mutably here.
    unsafe { raw::random(address(buffer), register(buffer.len())) }.map(size)
}

/// Figures of the whole system.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SYSTEM_INFO`].
pub fn system_info() -> Result<SystemInfo, Errno> {
    let mut record = SystemInfo::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::system_info(address(&raw mut record), register(size_of::<SystemInfo>())) }?;
    Ok(record)
}

/// The process with the lowest id that is at least `pid`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_PROCESS_INFO`].
pub fn process_info(pid: u64) -> Result<Option<ProcessInfo>, Errno> {
    let mut record = ProcessInfo::default();
    let (into, length) = (address(&raw mut record), register(size_of::<ProcessInfo>()));
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    let found = unsafe { raw::process_info(pid, into, length) }?;
    Ok((found != 0).then_some(record))
}

/// Sets address, prefix and gateway of the network interface.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_NET_CONFIGURE`].
pub fn net_configure(config: &NetworkConfig) -> Result<(), Errno> {
    // SAFETY: the kernel reads the record.
    unsafe { raw::net_configure(address(config), register(size_of::<NetworkConfig>())) }.map(drop)
}

/// Switches the machine off or starts it again; returns only if that was refused.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_POWER`].
pub fn power(action: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::power(action) }.map(drop)
}

/// Who the process acts for and what it may do.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SECURITY_INFO`].
pub fn security_info() -> Result<SecurityInfo, Errno> {
    let mut record = SecurityInfo::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::security_info(address(&raw mut record), register(size_of::<SecurityInfo>())) }?;
    Ok(record)
}

/// Drops all capabilities but these; returns what is left.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn capabilities_drop(keep: Capabilities) -> Result<Capabilities, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::capabilities_drop(keep.bits()) }.map(Capabilities::from_bits_retain)
}
