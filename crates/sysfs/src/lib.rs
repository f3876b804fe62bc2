//! The tree of `/sys`: read-only text about the system, made when it is read.
//!
//! In go names; out comes an [`Entry`], which says what a text is about. The owner makes the text with [`Lines`]. Nothing is
//! stored: a node is its number.
//!
//! **Invariant:** an entry, its number and its path are one to one. **Invariant:** a lookup tells nothing about which
//! processes there are: every number that one could have is a directory. The owner asks, of the node that a path led to,
//! whether it is there and may be seen. **Invariant:** nothing can be changed.
//!
//! Deliberately absent: the figures, locks, who may see what, the names of the processes there are (the owner lists them).
//!
//! ```
//! use swos_sysfs::{About, Entry, Lines};
//! assert_eq!(Entry::from_path(b"processes/7/status"), Some(Entry::Of(7, About::Status)));
//! let mut lines = Lines::new(4096);
//! lines.number("pid", 7);
//! lines.text("name", b"httpd");
//! assert_eq!(lines.finish(), Ok(b"pid 7\nname httpd\n".to_vec()));
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod entry;
mod lines;
mod tree;

pub use entry::{About, Counters, Entry, PID_MAX};
pub use lines::{Decimal, Lines, NoMemory};
pub use tree::SysFs;
