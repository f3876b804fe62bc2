//! Which received datagrams are good.

use core::net::Ipv4Addr;

use swos_wire::{IpProtocol, UdpView, checksum};

/// Longest payload in an IPv4 packet.
pub const MAX_PAYLOAD: usize = 65_507;

/// Why a datagram is dropped without a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drop {
    /// Its lengths contradict each other.
    Malformed,
    /// Its checksum is wrong.
    BadChecksum,
    /// It is addressed to port 0, which nobody has.
    NoPort,
}

/// Checks the payload of an IPv4 packet from `src` to `dst` as a datagram. A zero checksum means that the sender
/// computed none, and is accepted.
///
/// # Errors
///
/// Each variant of [`Drop`].
///
/// Source: RFC 768 "Fields", RFC 1122 §4.1.3.4.
pub fn check(src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) -> Result<UdpView<'_>, Drop> {
    let view = UdpView::parse(payload).map_err(|_| Drop::Malformed)?;
    if !view.is_intact(checksum::pseudo_ipv4(src, dst, IpProtocol::UDP, view.length())) {
        return Err(Drop::BadChecksum);
    }
    if view.dst_port() == 0 {
        return Err(Drop::NoPort);
    }
    Ok(view)
}

#[cfg(test)]
mod tests;
