//! Byte pipes: what is written at one end is read at the other, once and in order.
//!
//! In go writes, reads and the end of either side; out comes how much was taken, and who else can go on now. A read is two
//! steps, [`Pipe::peek`] and [`Pipe::consume`], so that bytes which could not be handed over are not lost. Whoever writes much can
//! write whole pages, which are moved and not copied ([`Pipe::write_page`], [`Pipe::take_page`]).
//!
//! **Invariant:** bytes leave in the order in which they came, each once. **Invariant:** a [`Piece::Whole`] of at most
//! [`PIPE_BUF`] bytes goes in at once or not at all, so such records of several writers never mix.
//! **Invariant:** an operation that fails changes no byte. **Invariant:** whoever was refused for want of bytes or room is named by
//! the [`Wake`] of the operation that brings enough of them.
//! **Invariant:** at most `capacity` bytes are held, in an allocation that grows with them, and goes when the last leaves,
//! unless it is small.
//!
//! Deliberately absent: waiting, locks, handles, what a program is told when a write fails.
//!
//! ```
//! use swos_pipe::{End, Error, PIPE_BUF, Piece, Pipe, Wake};
//! let mut pipe = Pipe::new(PIPE_BUF);
//! assert_eq!(pipe.peek(), Err(Error::WouldBlock));
//! let taken = pipe.write(b"over and out", Piece::Whole)?;
//! assert_eq!((taken.count, taken.wake), (12, Wake::OtherEnd));
//! pipe.close(End::Writer);
//! assert_eq!(pipe.peek()?, [b"over and out".as_slice(), b""]);
//! let _wake = pipe.consume(12);
//! assert_eq!(pipe.peek()?, [b"", b""]); // The end.
//! # Ok::<(), Error>(())
//! ```
//!
//! Source: POSIX.1-2017 `pipe()`, `read()`, `write()` (rationale and table "Write to a pipe or FIFO"), `poll()`.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod pipe;

pub use pipe::{CAPACITY, End, Error, Part, Piece, Pipe, Taken, Wake};
pub use swos_abi::PIPE_BUF;
