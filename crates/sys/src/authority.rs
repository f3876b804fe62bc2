//! Identity, root, loans.

use swos_abi::{Capabilities, Errno, Handle, Rights};

use crate::{address, raw, register};

/// Takes on another principal and keeps only these capabilities; returns the new session.
///
/// # Errors
///
/// [`Errno::ACCES`] without the capability `LOGIN`, [`Errno::INVAL`] for principal 0.
pub fn login(principal: u32, capabilities: Capabilities) -> Result<u32, Errno> {
    // SAFETY: no addresses.
    let session = unsafe { raw::login(principal, capabilities.bits()) }?;
    u32::try_from(session).map_err(|_| Errno::OVERFLOW)
}

/// Makes a directory within its root the root of the process, for good.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_CONFINE`].
pub fn confine(directory: Handle, path: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `path` within its bounds.
    unsafe { raw::confine(directory, address(path), register(path.len())) }.map(drop)
}

/// Makes a further handle with at most `rights`, which [`handle_revoke`] of the first one ends; `flags`:
/// [`CLOSE_ON_EXEC`](swos_abi::CLOSE_ON_EXEC).
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_HANDLE_LEND`].
pub fn handle_lend(handle: Handle, rights: Rights, flags: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::handle_lend(handle, rights.bits(), flags) }.map(Handle)
}

/// Ends every loan made from this handle and everything made from those, in all processes.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_HANDLE_REVOKE`].
pub fn handle_revoke(handle: Handle) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::handle_revoke(handle) }.map(drop)
}
