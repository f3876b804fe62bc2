//! Structured log records, the ring that keeps them, the filters before it, and the lines after it.
//!
//! In go records with a level, a source, and typed fields; out come the same records, oldest first from any number on, as
//! views or as lines. What a program says goes in as bytes that [`Fields::parse`] checks; who says it is the owner's to fill in.
//!
//! **Invariant:** the ring holds whole records, in order, and always the newest that fit. **Invariant:** a record's
//! number is never another's. **Invariant:** one record is one line, and nothing in it can look like another property of it
//! or like a control sequence. **Invariant:** nothing allocates but [`Ring::new`] and [`Filter::set`].
//!
//! Deliberately absent: locks, clocks, formatting.
//!
//! ```
//! use swos_log_record::{Buffer, FieldWriter, LINE_MAX, Level, Record, Ring, Value, text};
//! let mut bytes = [0; 64];
//! let mut fields = FieldWriter::new(&mut bytes);
//! fields.push("port", Value::Unsigned(80)).unwrap();
//! let mut ring = Ring::new(4096).unwrap();
//! let (source, text_of) = ("httpd", "listening");
//! ring.push(&Record { source, text: text_of, fields: fields.finish(), ..Record::default() });
//! let mut line = [0; LINE_MAX];
//! let mut out = Buffer::new(&mut line);
//! ring.read(0, |_, record| text(record, &mut out));
//! assert_eq!(out.as_bytes(), b"[    0.000000] [D] httpd: listening port=80\n");
//! ```
//!
//! Source: RFC 8259 (JSON).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod buffer;
mod field;
mod filter;
mod level;
mod lines;
mod record;
mod ring;

pub use buffer::Buffer;
pub use field::{FIELDS_BYTES_MAX, FIELDS_MAX, Field, FieldWriter, Fields, KEY_MAX, Refused, Value};
pub use filter::{Filter, SOURCES_MAX, Threshold};
pub use level::Level;
pub use lines::{LINE_MAX, json, text};
pub use record::{RECORD_MAX, Record, SOURCE_MAX, TEXT_MAX};
pub use ring::{NoMemory, Ring, Stats};
