//! IPv4 neighbour resolution: who on the link has an address.
//!
//! In go the addresses that someone wants to send to ([`Neighbors::resolve`]), received ARP packets
//! and the time; out come link addresses, packets to send, and word of what was resolved, what
//! failed and who else claims our address ([`Neighbors::poll`]). A packet that waits for an answer
//! is not kept here: [`Action::Resolved`] and [`Action::Failed`] tell its owner to go on.
//!
//! **Invariant:** an entry exists only for an address that we asked for: neither an unasked reply nor
//! a request, gratuitous or not, creates one; they refresh what is there.
//! **Invariant:** no destination is asked for more than once a second while it has an entry.
//! **Invariant:** no entry names a group, zero or our own link address.
//! **Absent on purpose:** probing before use (RFC 5227 §2.1.1): it would delay each boot by seconds.
//!
//! ```
//! use swos_arp::{Action, Config, Neighbors, Resolution};
//! use swos_units::Instant;
//! use swos_wire::{ArpOperation, ArpRepr, Ipv4Addr, MacAddr};
//! let (us, them) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
//! let mut arp = Neighbors::new(Config::default(), MacAddr([2, 0, 0, 0, 0, 1]), 0x5eed);
//! arp.set_address(Instant::ZERO, Some(us));
//! while arp.poll(Instant::ZERO).is_some() {} // announces the address
//! assert_eq!(arp.resolve(Instant::ZERO, them), Resolution::Pending);
//! let Some(Action::Send { packet, .. }) = arp.poll(Instant::ZERO) else { panic!() };
//! assert_eq!((packet.operation, packet.target_ip), (ArpOperation::Request, them));
//! arp.on_packet(Instant::ZERO, &ArpRepr {
//!     operation: ArpOperation::Reply, sender_mac: MacAddr([2, 0, 0, 0, 0, 2]), sender_ip: them,
//!     target_mac: MacAddr([2, 0, 0, 0, 0, 1]), target_ip: us,
//! });
//! assert_eq!(arp.resolve(Instant::ZERO, them), Resolution::Known(MacAddr([2, 0, 0, 0, 0, 2])));
//! ```
//!
//! Source: RFC 826; RFC 1122 §2.3.2.1 (time-out, flood prevention); RFC 5227 §2.3, §2.4 (announcing,
//! conflict and defence).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod neighbors;

pub use neighbors::{Action, Config, Neighbors, Resolution};
