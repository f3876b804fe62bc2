//! The machine and this process's place in it.

use swos_abi::{Errno, NetworkConfig, POWER_OFF, POWER_RESET};
pub use swos_abi::{ProcessInfo, SystemInfo};
pub use swos_sys::{capabilities_drop, log_read, random, security_info, system_info};

/// Switches the machine off; returns only if that was refused.
///
/// # Errors
///
/// [`Errno::ACCES`] without the capability `CONSOLE`.
pub fn power_off() -> Result<(), Errno> {
    swos_sys::power(POWER_OFF)
}

/// Starts the machine again; returns only if that was refused.
///
/// # Errors
///
/// [`Errno::ACCES`] without the capability `CONSOLE`.
pub fn reboot() -> Result<(), Errno> {
    swos_sys::power(POWER_RESET)
}

/// Every process, lowest id first.
pub fn processes() -> impl Iterator<Item = Result<ProcessInfo, Errno>> {
    let mut next = Some(0);
    core::iter::from_fn(move || {
        let answer = swos_sys::process_info(next?).transpose();
        next = match answer {
            Some(Ok(ref found)) => Some(u64::from(found.pid) + 1),
            Some(Err(_)) | None => None,
        };
        answer
    })
}

/// Sets address, prefix length and gateway of the network interface.
///
/// # Errors
///
/// [`Errno::ACCES`] without the capability `NET_ADMIN`, [`Errno::NODEV`] without a device.
pub fn configure_network(address: [u8; 4], prefix: u8, gateway: [u8; 4]) -> Result<(), Errno> {
    #[expect(clippy::cast_possible_truncation, reason = "the record has 16 bytes")]
    let size = size_of::<NetworkConfig>() as u32;
    swos_sys::net_configure(&NetworkConfig { size, prefix: u32::from(prefix), address, gateway })
}
