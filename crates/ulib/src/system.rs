//! The machine and this process's place in it.

use core::net::Ipv4Addr;

use swos_abi::{Errno, NetworkConfig, POWER_OFF, POWER_RESET};
pub use swos_abi::{ProcessInfo, SystemInfo};
pub use swos_sys::{capabilities_drop, confine, log_read, login, random, security_info, system_info};

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

/// What `/etc/swos/net` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NetworkFile {
    /// Our address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix in bits, 0..=32.
    pub prefix: u8,
    /// Router to everywhere else.
    pub gateway: Option<Ipv4Addr>,
}

impl NetworkFile {
    /// Reads `address = A.B.C.D/N` and `gateway = A.B.C.D`, one a line, in any order, each at most once; empty lines and lines that
    /// start with `#` do not count.
    ///
    /// # Errors
    ///
    /// The number of the line that is wrong, from 1; 0 if there is no address.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let (mut address, mut gateway) = (None, None);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').ok_or(number)?;
            match (key.trim_end(), value.trim_start()) {
                ("address", value) if address.is_none() => {
                    let (host, prefix) = value.split_once('/').ok_or(number)?;
                    let prefix = prefix.parse().ok().filter(|&bits: &u8| bits <= 32).ok_or(number)?;
                    address = Some((host.parse().map_err(|_| number)?, prefix));
                }
                ("gateway", value) if gateway.is_none() => gateway = Some(value.parse().map_err(|_| number)?),
                _ => return Err(number),
            }
        }
        let (address, prefix) = address.ok_or(0_usize)?;
        Ok(Self { address, prefix, gateway })
    }

    /// Applies it.
    ///
    /// # Errors
    ///
    /// As [`configure_network`].
    pub fn apply(&self) -> Result<(), Errno> {
        let gateway = self.gateway.map_or([0; 4], |gateway| gateway.octets());
        configure_network(self.address.octets(), self.prefix, gateway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_files() {
        let good = NetworkFile {
            address: Ipv4Addr::new(10, 0, 2, 15),
            prefix: 24,
            gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
        };
        assert_eq!(NetworkFile::parse("# x\n\ngateway=10.0.2.2\n address = 10.0.2.15/24 \n"), Ok(good));
        assert_eq!(NetworkFile::parse("address = 1.2.3.4/8").map(|file| file.gateway), Ok(None));
        for (text, line) in [
            ("", 0),
            ("gateway = 1.2.3.4", 0),
            ("address = 1.2.3.4", 1),
            ("address = 1.2.3.4/33", 1),
            ("\naddress = 1.2.3/8", 2),
            ("address = 1.2.3.4/8\naddress = 1.2.3.4/8", 2),
            ("address = 1.2.3.4/8\nnetmask = x", 2),
            ("address", 1),
        ] {
            assert_eq!(NetworkFile::parse(text), Err(line), "{text}");
        }
    }
}
