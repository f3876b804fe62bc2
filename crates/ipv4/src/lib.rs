//! The rules of an IPv4 host: which packets are for us, where a packet goes next, how fragments come
//! together again, and when an ICMP error may be sent or believed.
//!
//! **Invariant:** reassembly holds at most the memory it was given, whatever arrives; it never hands
//! out a datagram in which two fragments disagreed, because overlap drops the datagram.
//! **Invariant:** no ICMP error answers an ICMP error, a broadcast, a fragment other than the first,
//! or a source that is not one host.
//! **Absent on purpose:** forwarding, source routes (options are skipped), multicast membership.
//!
//! ```
//! use swos_ipv4::{Config, Host, NextHop};
//! use swos_wire::Ipv4Addr;
//! let gateway = Ipv4Addr::new(192, 0, 2, 254);
//! let host = Host::new(Config { address: Ipv4Addr::new(192, 0, 2, 1), prefix_len: 24, gateway: Some(gateway) });
//! assert_eq!(host.route(Ipv4Addr::new(192, 0, 2, 9)), Ok(NextHop::Link(Ipv4Addr::new(192, 0, 2, 9))));
//! assert_eq!(host.route(Ipv4Addr::new(198, 51, 100, 1)), Ok(NextHop::Link(gateway)));
//! assert_eq!(host.route(Ipv4Addr::LOCALHOST), Ok(NextHop::Local));
//! ```
//!
//! Source: RFC 791; RFC 1122 §3.2, §3.3; RFC 6890 (special addresses); RFC 5722 §4 (the overlap policy,
//! taken over from IPv6).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod host;
mod icmp;
mod reassembly;

pub use host::{Config, Delivery, Host, NextHop, NoRoute, Refusal};
pub use icmp::{ErrorReport, QuotedPorts, RateLimit, Trouble, may_answer_with_error, quote};
pub use reassembly::{Datagram, Reassembly, ReassemblyLimits};
