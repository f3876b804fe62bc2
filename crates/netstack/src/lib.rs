//! The TCP/IP stack of one link, composed and without I/O: everything that a kernel calls, or a test tool on a
//! host with a clock of its own.
//!
//! Frames and socket calls go in; frames go out through a [`Transmit`], changes of readiness through
//! [`Stack::poll_event`], and [`Stack::deadline`] says when time alone makes something happen.
//!
//! **Invariant:** no allocation per packet once the tables have grown; sockets are found by keyed hash; every
//! call does bounded work.
//! **Invariant:** payload is copied once on its way out, into the device's buffer, and summed by the same pass,
//! also when it is sent again.
//! **Invariant:** whatever arrives, the stack stays within its [`Limits`].
//! **Invariant:** without memory a call is refused ([`Error::NoBuffers`]) or a packet is lost; no allocation is taken for granted.
//! **Invariant:** a [`SocketId`] of a closed socket never reaches another one.
//! **Absent on purpose:** clocks, locks, waiting (the kernel's), several links (one stack each).
//!
//! ```
//! use core::net::{Ipv4Addr, SocketAddrV4};
//! use swos_netstack::{Config, NoPages, Push, Stack, Transmit};
//! use swos_units::Instant;
//! use swos_wire::MacAddr;
//!
//! struct Nowhere;
//! impl Transmit for Nowhere {
//!     fn has_room(&mut self) -> bool { true }
//!     fn transmit(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) { fill(&mut vec![0; len]) }
//! }
//! let now = Instant::ZERO;
//! let mut stack = Stack::<NoPages>::new(now, Config::new(MacAddr([2, 0, 0, 0, 0, 1]), None, [7; 32]));
//! let home = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
//! let (server, client) = (stack.tcp_open()?, stack.tcp_open()?);
//! stack.bind(server, home)?;
//! stack.listen(server, 8)?;
//! stack.connect(now, client, home)?;
//! let _done = stack.poll(now, &mut Nowhere);
//! let (connection, _peer) = stack.accept(server)?;
//! stack.send_bytes(now, client, b"hello", Push::Now)?;
//! let _done = stack.poll(now, &mut Nowhere);
//! assert_eq!(stack.peek(connection)?, b"hello");
//! # Ok::<(), swos_netstack::Error>(())
//! ```
//!
//! Source: RFC 9293, RFC 1122, RFC 791, RFC 792, RFC 768, RFC 826; RFC 6056 (ports), RFC 6528 (sequence
//! numbers), RFC 4987 (SYN floods), RFC 5927 (ICMP and TCP).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod bind;
mod budget;
mod config;
mod counters;
mod datagrams;
mod deadlines;
mod device;
mod discarded;
mod entropy;
mod error;
mod flows;
mod input;
mod link;
mod pieces;
mod ports;
mod readiness;
mod segments_in;
mod segments_out;
mod slab;
mod socket;
mod stack;
mod streams;
mod time_wait;

pub use config::{Config, ETHERNET_MTU, Limits};
pub use counters::{Counters, Usage};
pub use device::{NoPages, PageRef, Transmit};
pub use error::Error;
pub use readiness::Readiness;
pub use slab::SocketId;
pub use socket::{Direction, OptionName, Push, SocketOption, Switch};
pub use stack::{Progress, Stack};
pub use swos_tcp::State;
pub use swos_udp::Received;
