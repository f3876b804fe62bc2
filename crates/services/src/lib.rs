//! Service descriptions: what `init` runs, with which authority, and when again.
//!
//! Bytes go in, [`Service`]s that borrow from them come out. The syntax is line by line, so that it can be read and written without a
//! manual, and strict, so that a slip is an error with a line and a column and never a service with other authority than meant:
//!
//! ```text
//! # A comment is a line of its own.
//! [service log]
//! program = /bin/logd
//!
//! [service httpd]
//! program = /bin/httpd
//! args = --root "/my www"
//! capabilities = net fs-read
//! after = log
//! ```
//!
//! Keys of a section, each at most once, in any order; `program` is required, the others have a default:
//!
//! | key | value | default |
//! |---|---|---|
//! | `program` | absolute path | |
//! | `root` | absolute path of the directory that is `/` for it | that of `init` |
//! | `args` | words, after the program's name | none |
//! | `environment` | words `NAME=value` | none |
//! | `restart` | `always`, `on-failure`, `never` | `always` |
//! | `capabilities` | words: `net`, `fs-read` ..: [`Capabilities`](swos_abi::Capabilities) in small letters with `-` | none |
//! | `after` | names of services described above this one | none |
//! | `receives` | name of the endpoint at which it receives; one of no other service | none |
//! | `sends` | names of endpoints at which services described above this one receive | none |
//! | `registers` | the same, and it may register there | none |
//! | `stdin` `stdout` `stderr` | `null`, `console`, or an absolute path | `null`, `console`, `console` |
//! | `memory` | bytes, or with `K`, `M`, `G` (binary) | 0: `init`'s own limit |
//! | `handles` `threads` | a number | 0: `init`'s own limit |
//!
//! Words are separated by blanks; one with blanks in it is written in double quotes, which have no escapes.
//!
//! **Invariant:** what is accepted prints ([`Service`]'s `Display`) as a text that parses to the same. **Invariant:** a service comes only
//! after services above it and sends only to those, so the order of the text is an order to start in, and there are no cycles to find.
//!
//! ```
//! use swos_abi::Capabilities;
//! use swos_services::{Restart, parse};
//! let services = parse(b"[service httpd]\nprogram = /bin/httpd\nargs = --root \"/my www\"\ncapabilities = net fs-read\n")?;
//! let httpd = &services[0];
//! assert_eq!((httpd.name, httpd.program, httpd.restart), ("httpd", "/bin/httpd", Restart::Always));
//! assert!(httpd.args.into_iter().eq(["--root", "/my www"]));
//! assert_eq!(httpd.capabilities, Capabilities::NET | Capabilities::FS_READ);
//! # Ok::<(), swos_services::Error>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
pub mod fuzz;
mod parse;
mod service;
mod words;

pub use error::{Error, Problem};
pub use parse::{SERVICES_MAX, TEXT_MAX, parse};
pub use service::{Restart, Service, Stream};
pub use words::{IntoIter, Words};
