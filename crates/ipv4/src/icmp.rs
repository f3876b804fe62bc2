//! ICMP: when an error may be sent, what it quotes, and what a received one says.
//!
//! A module and not a crate: apart from the headers, which are `wire`'s, ICMP is these rules.

use core::net::Ipv4Addr;

use swos_units::{Duration, Instant};
use swos_wire::{Icmpv4Repr, Icmpv4View, IpProtocol, Ipv4View, SeqNumber, TimeExceeded, Unreachable};

use crate::{Delivery, Host};

/// Longest ICMP error that we send, IP header included (RFC 1812 §4.3.2.3).
const MAX_ERROR_LEN: usize = 576;

/// Whether `packet` may be answered by an ICMP error. Its source was checked when it was received.
///
/// Source: RFC 1122 §3.2.2.
#[must_use]
pub fn may_answer_with_error(host: &Host, packet: &Ipv4View<'_>, delivery: Delivery) -> bool {
    let is_error = packet.protocol() == IpProtocol::ICMP
        && Icmpv4View::parse(packet.payload()).is_ok_and(|message| message.is_error());
    delivery == Delivery::Unicast
        && packet.fragment_offset() == 0
        && !is_error
        && host.route(packet.src()).is_ok()
}

/// How many bytes of a packet of `packet_len` bytes an error about it quotes.
#[must_use]
pub fn quote(packet_len: usize) -> usize {
    packet_len.min(MAX_ERROR_LEN - swos_wire::Ipv4Repr::LEN - Icmpv4Repr::LEN)
}

/// What went wrong with a packet of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// No way to the network or host, for now.
    NoRoute,
    /// The host does not know the protocol.
    NoProtocol,
    /// Nobody has the port.
    NoPort,
    /// The packet is longer than this MTU of a link on the way (0: not told) and must not be cut.
    TooBig {
        /// MTU of the next hop.
        mtu: u16,
    },
    /// An administrator forbids it, or another code that reads "never".
    Prohibited,
    /// The packet or its fragments lived too long.
    Expired,
    /// The header was not understood.
    BadHeader,
}

/// The ports of a quoted packet, and its sequence number if it is TCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuotedPorts {
    /// Our port.
    pub local: u16,
    /// The port that we sent to.
    pub remote: u16,
    /// First sequence number of the segment; TCP only.
    pub seq: Option<SeqNumber>,
}

/// A received ICMP error about a packet that we sent, or that somebody pretends we did: believe it only
/// if addresses, ports and sequence number fit a connection (RFC 5927 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorReport {
    /// What went wrong.
    pub trouble: Trouble,
    /// What the packet carried.
    pub protocol: IpProtocol,
    /// Our address in it.
    pub local: Ipv4Addr,
    /// Where it went.
    pub remote: Ipv4Addr,
    /// Its ports.
    pub ports: QuotedPorts,
}

impl ErrorReport {
    /// Reads an error; `None` if the message is none, is one that a host discards (source quench,
    /// redirect), or quotes too little of TCP or UDP.
    #[must_use]
    pub fn parse(message: &Icmpv4View<'_>) -> Option<Self> {
        let trouble = match Icmpv4Repr::parse(message)? {
            Icmpv4Repr::Unreachable { code, next_hop_mtu } => match code {
                Unreachable::NET | Unreachable::HOST | Unreachable::SOURCE_ROUTE_FAILED => Trouble::NoRoute,
                Unreachable::PROTOCOL => Trouble::NoProtocol,
                Unreachable::PORT => Trouble::NoPort,
                Unreachable::FRAGMENTATION_NEEDED => Trouble::TooBig { mtu: next_hop_mtu },
                // 6, 7, 8, 11, 12: soft (unknown, isolated, no route for this type of service).
                Unreachable(6..=8 | 11 | 12) => Trouble::NoRoute,
                Unreachable(_) => Trouble::Prohibited,
            },
            Icmpv4Repr::TimeExceeded { code: TimeExceeded(_) } => Trouble::Expired,
            Icmpv4Repr::ParameterProblem { .. } => Trouble::BadHeader,
            Icmpv4Repr::EchoRequest { .. } | Icmpv4Repr::EchoReply { .. } => return None,
        };
        let quoted = Ipv4View::parse_quoted(message.data()).ok()?;
        if quoted.fragment_offset() != 0 {
            return None;
        }
        let (ports, rest) = quoted.payload().split_first_chunk::<4>()?;
        let [a, b, c, d] = *ports;
        let seq = rest.first_chunk().map(|bytes| SeqNumber(u32::from_be_bytes(*bytes)));
        let seq = match quoted.protocol() {
            IpProtocol::TCP => Some(seq?),
            IpProtocol::UDP => None,
            _ => return None,
        };
        Some(Self {
            trouble,
            protocol: quoted.protocol(),
            local: quoted.src(),
            remote: quoted.dst(),
            ports: QuotedPorts { local: u16::from_be_bytes([a, b]), remote: u16::from_be_bytes([c, d]), seq },
        })
    }
}

/// A bucket of permissions that fills with time: so many at once, and so many a second for long.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    burst: u32,
    interval: Duration,
    left: u32,
    filled: Instant,
}

impl RateLimit {
    /// A full bucket of `burst` permissions that gains `per_second` (at least 1) a second.
    #[must_use]
    pub fn new(now: Instant, burst: u32, per_second: u32) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / u64::from(per_second.max(1)));
        Self { burst, interval, left: burst, filled: now }
    }

    /// Takes one permission, if there is one.
    pub fn allow(&mut self, now: Instant) -> bool {
        let gained = now.since(self.filled).as_nanos() / self.interval.as_nanos().max(1);
        if gained > 0 {
            self.left = u32::try_from(gained).unwrap_or(u32::MAX).saturating_add(self.left).min(self.burst);
            self.filled = self.filled + self.interval.saturating_mul(gained);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
