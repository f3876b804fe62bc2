//! Addresses of a host: what is for us, and where packets go.

use core::net::Ipv4Addr;

use swos_wire::Ipv4View;

/// Address of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// Our address.
    pub address: Ipv4Addr,
    /// Bits of the address that name the link's network: 0..=32.
    pub prefix_len: u8,
    /// Router for everything else, on the same link.
    pub gateway: Option<Ipv4Addr>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextHop {
    /// To ourselves.
    Local,
    /// To this neighbour on the link.
    Link(Ipv4Addr),
    /// To all on the link.
    Broadcast,
}

/// Why a packet can't go anywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoRoute {
    /// Outside our network, and there is no gateway.
    Unreachable,
    /// No address to send to: unspecified, multicast or reserved.
    Unusable,
}

/// How a received packet reached us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// Addressed to us alone.
    Unicast,
    /// Addressed to all on the link.
    Broadcast,
}

/// Why a received packet is dropped without a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Addressed to somebody else.
    NotOurs,
    /// Its source can't be the address of another host.
    Martian,
}

/// The address rules of one interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Host {
    config: Config,
    mask: u32,
}

impl Host {
    /// Rules for `config`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let shift = 32u32.saturating_sub(u32::from(config.prefix_len));
        Self { config, mask: u32::MAX.checked_shl(shift).unwrap_or(0) }
    }

    /// What it was made from.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Our address.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.config.address
    }

    /// Whether packets to `address` come back to us without the link.
    #[must_use]
    pub const fn is_local(&self, address: Ipv4Addr) -> bool {
        address.is_loopback() || address.to_bits() == self.config.address.to_bits()
    }

    /// Whether `address` means all stations of the link.
    #[must_use]
    pub const fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || self.is_network_edge(address)
    }

    /// The network's own broadcast address (all ones) or its number (all zeros, the old form), where
    /// the network is large enough to have them (RFC 3021).
    const fn is_network_edge(&self, address: Ipv4Addr) -> bool {
        let host = address.to_bits() & !self.mask;
        self.config.prefix_len < 31 && self.is_on_link(address) && (host == !self.mask || host == 0)
    }

    const fn is_on_link(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.config.address.to_bits()) & self.mask == 0
    }

    /// The next hop to `dst`.
    ///
    /// # Errors
    ///
    /// [`NoRoute::Unusable`], [`NoRoute::Unreachable`].
    ///
    /// Source: RFC 1122 §3.3.1.1.
    pub fn route(&self, dst: Ipv4Addr) -> Result<NextHop, NoRoute> {
        if self.is_local(dst) {
            return Ok(NextHop::Local);
        }
        if self.is_broadcast(dst) {
            return Ok(NextHop::Broadcast);
        }
        if !is_host_address(dst) {
            return Err(NoRoute::Unusable);
        }
        if self.is_on_link(dst) {
            return Ok(NextHop::Link(dst));
        }
        match self.config.gateway {
            Some(gateway) if self.is_on_link(gateway) => Ok(NextHop::Link(gateway)),
            Some(_) | None => Err(NoRoute::Unreachable),
        }
    }

    /// Whether a packet that came over the link is for us.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotOurs`], [`Refusal::Martian`].
    ///
    /// Source: RFC 1122 §3.2.1.3, RFC 6890 (loopback never on a link).
    pub fn receive(&self, packet: &Ipv4View<'_>) -> Result<Delivery, Refusal> {
        let (src, dst) = (packet.src(), packet.dst());
        if !is_host_address(src) || self.is_local(src) || self.is_broadcast(src) {
            return Err(Refusal::Martian);
        }
        if dst.to_bits() == self.config.address.to_bits() {
            Ok(Delivery::Unicast)
        } else if self.is_broadcast(dst) {
            Ok(Delivery::Broadcast)
        } else {
            Err(Refusal::NotOurs)
        }
    }
}

/// Whether the address can belong to one host on some link.
const fn is_host_address(address: Ipv4Addr) -> bool {
    // 0/8 "this network", 127/8 loopback, 224/4 multicast, 240/4 reserved and broadcast.
    !matches!(address.octets()[0], 0 | 127 | 224..)
}

#[cfg(test)]
mod tests;
