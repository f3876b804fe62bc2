//! ARP for IPv4 over Ethernet.

use core::net::Ipv4Addr;

use crate::{Error, MacAddr, be16};

/// What an ARP packet asks or tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArpOperation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// A received ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug)]
pub struct ArpView<'a> {
    packet: &'a [u8; 28],
    operation: ArpOperation,
}

impl<'a> ArpView<'a> {
    /// Checks `bytes`; what follows the 28 bytes of the packet is padding.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]; [`Error::BadFormat`] if hardware or protocol type, their lengths or
    /// the operation are not those of IPv4 over Ethernet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let packet: &[u8; 28] = bytes.first_chunk().ok_or(Error::Truncated { offset: bytes.len() })?;
        let expected = [0, 1, 8, 0, 6, 4];
        if let Some(offset) = packet.iter().zip(expected).position(|(have, want)| *have != want) {
            return Err(Error::BadFormat { offset });
        }
        let operation = match be16(packet[6], packet[7]) {
            1 => ArpOperation::Request,
            2 => ArpOperation::Reply,
            _ => return Err(Error::BadFormat { offset: 6 }),
        };
        Ok(Self { packet, operation })
    }

    /// What is asked or told.
    #[must_use]
    pub const fn operation(&self) -> ArpOperation {
        self.operation
    }

    /// Link address of the sender.
    #[must_use]
    pub const fn sender_mac(&self) -> MacAddr {
        let p = self.packet;
        MacAddr([p[8], p[9], p[10], p[11], p[12], p[13]])
    }

    /// IPv4 address of the sender.
    #[must_use]
    pub const fn sender_ip(&self) -> Ipv4Addr {
        let p = self.packet;
        Ipv4Addr::new(p[14], p[15], p[16], p[17])
    }

    /// Link address of the target; open in a request.
    #[must_use]
    pub const fn target_mac(&self) -> MacAddr {
        let p = self.packet;
        MacAddr([p[18], p[19], p[20], p[21], p[22], p[23]])
    }

    /// IPv4 address of the target.
    #[must_use]
    pub const fn target_ip(&self) -> Ipv4Addr {
        let p = self.packet;
        Ipv4Addr::new(p[24], p[25], p[26], p[27])
    }
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ArpRepr {
    /// What is asked or told.
    pub operation: ArpOperation,
    /// Link address of the sender.
    pub sender_mac: MacAddr,
    /// IPv4 address of the sender; unspecified in a probe (RFC 5227 §2.1.1).
    pub sender_ip: Ipv4Addr,
    /// Link address of the target; unspecified in a request.
    pub target_mac: MacAddr,
    /// IPv4 address of the target.
    pub target_ip: Ipv4Addr,
}

impl ArpRepr {
    /// Bytes of the packet.
    pub const LEN: usize = 28;

    /// The values of a checked packet.
    #[must_use]
    pub const fn parse(view: &ArpView<'_>) -> Self {
        Self {
            operation: view.operation(),
            sender_mac: view.sender_mac(),
            sender_ip: view.sender_ip(),
            target_mac: view.target_mac(),
            target_ip: view.target_ip(),
        }
    }

    /// Writes the packet to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `out` is too short.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, Error> {
        let packet: &mut [u8; Self::LEN] =
            out.first_chunk_mut().ok_or(Error::NoRoom { needed: Self::LEN })?;
        let operation = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
        };
        packet[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, operation]);
        packet[8..14].copy_from_slice(&self.sender_mac.0);
        packet[14..18].copy_from_slice(&self.sender_ip.octets());
        packet[18..24].copy_from_slice(&self.target_mac.0);
        packet[24..].copy_from_slice(&self.target_ip.octets());
        Ok(Self::LEN)
    }
}

#[cfg(test)]
mod tests;
