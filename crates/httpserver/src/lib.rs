//! One HTTP/1.1 connection of a server of files, as a state machine without I/O.
//!
//! Received bytes and the time go into [`Connection`]; out of [`Connection::poll`] come requests to answer, output to send and
//! the order to close. A body is an opaque value of the driver (an open file) with a range, so that it never passes through here.
//! Around it: what to answer for a file ([`Entity`]), listings, the access log's line, deadlines of many connections.
//!
//! **Invariant:** requests come out in the order in which they came in, one at a time; a reply is sent whole before the next request
//! is looked at, so memory per connection is bounded whatever a client pipelines. **Invariant:** how the input was cut into
//! pieces changes no reply. **Invariant:** an idle connection holds no buffer.
//!
//! ```
//! use swos_httpserver::{Action, Buffers, Connection, Entity, Parameters};
//! use swos_units::Instant;
//! let (parameters, now) = (Parameters::default(), Instant::ZERO);
//! let mut buffers = Buffers::new(&parameters);
//! let mut connection = Connection::<&str>::new(now);
//! let request = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
//! connection.space(&mut buffers)[..request.len()].copy_from_slice(request);
//! connection.on_received(now, request.len());
//! assert_eq!(connection.poll(&parameters, &mut buffers), Some(Action::Answer));
//! assert_eq!(connection.request().unwrap().target(), b"/a");
//! let entity = Entity { size: 3, etag: None, modified: None, fields: b"Content-Type: text/plain\r\n" };
//! connection.respond_file(now, &mut buffers, b"", &entity, "the open file");
//! let output = connection.output().unwrap();
//! assert!(output.bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && output.file == Some((&"the open file", 0, 3)));
//! ```
//!
//! Source: RFC 9110, RFC 9112 §9 (connections).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod answer;
mod buffers;
mod connection;
mod expiry;
mod listing;
pub mod malformed;

pub use access::{log_reply, log_request};
pub use answer::Entity;
pub use buffers::Buffers;
pub use connection::{Action, Connection, Interest, Output, Parameters, Replied, Request};
pub use expiry::Expiry;
pub use listing::{Entry, EntryKind, render_listing};
pub use swos_http1::{Method, Status, Version};
