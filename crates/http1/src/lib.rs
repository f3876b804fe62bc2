//! HTTP/1.1 messages as a server of files needs them: request heads and bodies in, response heads out.
//!
//! Bytes come in as slices, results are spans into them; nothing here reads a socket or a clock. Heads are taken apart
//! by `httparse`; what that leaves open and what request smuggling lives on is decided here, strictly.
//!
//! **Invariant:** a request is accepted only if every HTTP/1.1 recipient would see the same message: one `Host`, one length,
//! CR LF line ends, no folded lines, no space before a colon. **Invariant:** a [`path::Path`] never leaves its root.
//! Deliberately absent: multipart ranges (several ranges get the whole file, RFC 9110 §14.2), trailers (read and dropped).
//!
//! ```
//! use swos_http1::{Head, Limits, Method, Scan};
//! let bytes = b"GET /a%20b.html?x=1 HTTP/1.1\r\nHost: swos\r\n\r\n";
//! let length = Scan::new().advance(bytes, &Limits::DEFAULT).unwrap().unwrap();
//! let head = Head::parse(&bytes[..length]).unwrap();
//! assert_eq!((head.method, head.target.of(bytes)), (Method::Get, b"/a%20b.html?x=1".as_slice()));
//! let mut buffer = [0; 64];
//! assert_eq!(swos_http1::path::decode(head.target.of(bytes), &mut buffer).unwrap().relative, b"a b.html");
//! ```
//!
//! Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 3986 (URI).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

extern crate alloc;

pub mod body;
pub mod date;
mod head;
mod mime;
pub mod path;
pub mod range;
mod response;
mod status;
pub mod validators;

pub use head::{BodyLength, Error, Expectation, Head, Limits, Method, Persistence, Scan, Span, Version};
pub use mime::media_type;
pub use response::{HeadWriter, decimal};
pub use status::Status;
