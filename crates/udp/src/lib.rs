//! A UDP socket: whom it talks to, and what has arrived for it.
//!
//! In go received datagrams whose checksum is right; out they come again in order, each whole or cut to
//! the reader's buffer. The socket holds no more bytes and no more datagrams than it was told.
//!
//! **Invariant:** a full queue drops the newest datagram, never part of one.
//! **Invariant:** an empty queue that had grown gives its memory back.
//! **Absent on purpose:** ports and demultiplexing (the stack's), sending (nothing to remember).
//!
//! ```
//! use core::net::{Ipv4Addr, SocketAddrV4};
//! use swos_udp::{Arrival, Limits, Queue};
//! let mut queue = Queue::new(Limits::default());
//! let from = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 53);
//! assert_eq!(queue.push(from, b"answer"), Arrival::Queued);
//! let mut buffer = [0; 4];
//! let got = queue.pop(&mut buffer).unwrap();
//! assert_eq!((&buffer, got.len, got.from), (b"answ", 6, from));
//! ```
//!
//! Source: RFC 768; RFC 1122 §4.1.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod queue;
mod receive;

pub use queue::{Arrival, Limits, Queue, Received};
pub use receive::{Drop, MAX_PAYLOAD, check};
