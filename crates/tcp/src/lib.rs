//! TCP connections as state machines without I/O.
//!
//! A [`Connection`] takes segments ([`Connection::on_segment`]), time ([`Connection::on_timeout`])
//! and the application's commands, and gives segments to send ([`Connection::poll_transmit`]) and
//! the moment at which it wants to be called again ([`Connection::deadline`]). It knows no
//! addresses, which belong to whoever finds the connection of a segment, and not the octets to send,
//! which wait in a [`SendQueue`]: it decides about ranges of them. Received octets it keeps.
//!
//! Around it: [`SynQueue`] for the half-open connections of listeners, [`TimeWait`] for what is left
//! after both ends closed, [`answer_closed`] for segments that belong to nobody, [`IsnGenerator`].
//!
//! **Invariant:** no input panics the machine or makes it work longer than in proportion to the
//! segment and the configured number of reassembly ranges.
//! **Invariant:** no allocation per segment; memory is bounded by the receive capacity per
//! connection and by the limit of the [`SynQueue`].
//! **Invariant:** a rejected segment changes nothing but, perhaps, owes an acknowledgment.
//! **Absent on purpose:** addresses, ports, checksums, the IP layer, a clock, randomness.
//!
//! ```
//! use swos_tcp::{ByteQueue, Config, Connection, Path, SendQueue};
//! use swos_units::Instant;
//! use swos_wire::{SeqNumber, TcpFlags};
//!
//! let (config, now) = (Config::default(), Instant::ZERO);
//! let mut queue = ByteQueue::new();
//! queue.push(b"GET / HTTP/1.0\r\n\r\n");
//! let mut connection = Connection::connect(now, &config, Path::ipv4(1500), SeqNumber(4711));
//! let syn = connection.poll_transmit(now, &config, &queue).unwrap();
//! assert_eq!((syn.header.flags, syn.header.options.mss), (TcpFlags::SYN, Some(1460)));
//! assert_eq!(connection.poll_transmit(now, &config, &queue), None);
//! assert_eq!(connection.deadline().unwrap(), now + config.rto_initial);
//! ```
//!
//! Source: RFC 9293 (TCP), RFC 5681, RFC 6582, RFC 3042, RFC 6928 (congestion control), RFC 6298
//! (time-outs), RFC 7323, RFC 2018, RFC 6675 (extensions), RFC 5961, RFC 5927, RFC 1337 (attacks), RFC 6528
//! (initial numbers), RFC 4987 (SYN floods).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod assembler;
mod config;
mod congestion;
mod connection;
mod cookie;
mod error;
mod half_open;
mod isn;
mod receive_buffer;
mod receiver;
mod rtt;
mod segment;
mod send_queue;
mod stamps;
mod syn_queue;
mod time_wait;

pub use config::{Config, Extension, KeepAlive, Nagle, Path, WindowScale};
pub use connection::{Connection, Events, State};
pub use error::{Error, Unreachable};
pub use isn::{Flow, IsnGenerator};
pub use segment::{Header, Transmit, answer_closed};
pub use send_queue::{ByteQueue, SendQueue};
pub use syn_queue::{AcceptQueue, SynQueue, SynVerdict};
pub use time_wait::{TimeWait, TimeWaitVerdict};
