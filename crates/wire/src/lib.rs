//! Network headers as bytes and as values: Ethernet, ARP, IPv4, `ICMPv4`, UDP and TCP.
//!
//! Every format has two faces. A *view* (`TcpView<'a>`) borrows received bytes; its `parse` checks
//! every length once, and no accessor can fail or panic after that. A *representation*
//! (`TcpRepr`) is a plain value that can only hold what can be emitted; `emit` writes it in place.
//! Checksums are sums ([`Sum`]) that can be computed in pieces, while the payload is being copied,
//! and put together afterwards.
//!
//! **Invariant:** `parse(emit(r)) == r` for every representation.
//! **Invariant:** no function panics, loops without end or reads past its slice, whatever the bytes.
//! **Absent on purpose:** allocation, state, policy (what to do with a header is the caller's matter).
//!
//! ```
//! use swos_wire::{EtherType, EthernetRepr, EthernetView, MacAddr};
//! let repr = EthernetRepr { dst: MacAddr::BROADCAST, src: MacAddr([2, 0, 0, 0, 0, 1]), ethertype: EtherType::ARP };
//! let mut frame = [0u8; 60];
//! repr.emit(&mut frame)?;
//! let view = EthernetView::parse(&frame)?;
//! assert_eq!(EthernetRepr::parse(&view), repr);
//! # Ok::<(), swos_wire::Error>(())
//! ```
//!
//! Source: RFC 894 (Ethernet), RFC 826 (ARP), RFC 791 (IPv4), RFC 792 (ICMP), RFC 768 (UDP),
//! RFC 9293 §3.1 and §3.2, RFC 7323 §2, §3, RFC 2018 §2, §3 (TCP), RFC 1071 (checksum).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod arp;
pub mod checksum;
mod ethernet;
mod icmpv4;
mod ipv4;
mod seq;
mod tcp;
mod udp;

pub use core::net::Ipv4Addr;

pub use arp::{ArpOperation, ArpRepr, ArpView};
pub use checksum::Sum;
pub use ethernet::{EtherType, EthernetRepr, EthernetView, MacAddr};
pub use icmpv4::{Icmpv4Repr, Icmpv4View, TimeExceeded, Unreachable};
pub use ipv4::{IpProtocol, Ipv4Repr, Ipv4View};
pub use seq::SeqNumber;
pub use tcp::{SackBlocks, TcpFlags, TcpOptions, TcpRepr, TcpTimestamp, TcpView};
pub use udp::{UdpRepr, UdpView};

/// Why bytes are not a header, or a header did not go into its buffer.
///
/// Offsets count from the start of the bytes that were given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The bytes end before byte `offset`, which the header needs.
    Truncated {
        /// First byte that is missing.
        offset: usize,
    },
    /// The length field at `offset` contradicts the header or the number of bytes.
    BadLength {
        /// Where the field is.
        offset: usize,
    },
    /// The version or type field at `offset` names a format that this is not.
    BadFormat {
        /// Where the field is.
        offset: usize,
    },
    /// The checksum at `offset` is wrong.
    BadChecksum {
        /// Where the field is.
        offset: usize,
    },
    /// Our caller's buffer is shorter than the header to be emitted.
    NoRoom {
        /// Bytes that the header takes.
        needed: usize,
    },
}

/// The two bytes as a number in network order.
const fn be16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}
