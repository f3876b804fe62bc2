//! Messages with bytes and handles, and calls that are answered once.
//!
//! In go messages, receipts, replies and the end of either side; out comes who can go on. A receipt is two steps,
//! [`Endpoint::take`] and [`Endpoint::commit`] or [`Endpoint::give_back`], so that a message that could not be handed over stays the
//! first in the queue.
//!
//! **Invariant:** messages are taken in the order in which they came, each once. **Invariant:** an operation that fails changes
//! nothing, and gives back the message that it was given. **Invariant:** every call ends in exactly one of: its reply, the death of the
//! other side, its hanging up, its caller's giving up; a [`Token`] answers one call once. **Invariant:** at most the messages, bytes and calls of the
//! [`Limits`] are held. **Invariant:** no payload is dropped here: each leaves by `take`, `outcome`, `abandon` or `drain`.
//! **Invariant:** receivers that lie in queues form no cycle, because one in a queue has none in its own.
//!
//! Deliberately absent: waiting, locks, handles and their rights, the copying of bytes.
//!
//! ```
//! use swos_endpoint::{Call, Endpoint, Error, Limits, Message, Outcome, Room};
//! let mut endpoint = Endpoint::<&str, &str>::new(Limits::default());
//! let question = Message::new(b"2 + 2")?;
//! let call = Call { waiter: "caller", room: Room { bytes: 64, handles: 0 } };
//! let id = endpoint.push(question, 7, Some(call)).map_err(|refused| refused.error)?;
//! let taken = endpoint.take()?;
//! assert_eq!((taken.message.bytes(), taken.badge), (b"2 + 2".as_slice(), 7));
//! let token = endpoint.commit(&taken).token.ok_or(Error::BadToken)?;
//! let waiter = endpoint.reply(token, Message::new(b"4")?).map_err(|refused| refused.error)?;
//! assert_eq!(waiter, "caller");
//! assert_eq!(endpoint.admit_reply(token, Room::default()), Err(Error::BadToken));
//! assert!(matches!(id.map(|id| endpoint.outcome(id)), Some(Outcome::Answered(answer)) if answer.bytes() == b"4"));
//! # Ok::<(), Error>(())
//! ```
//!
//! Source: the call and reply of L4 and seL4 (one-time reply capabilities), the handles in messages of Zircon channels.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![expect(
    clippy::result_large_err,
    reason = "a refused message comes back as it is: a box would need memory just then"
)]

extern crate alloc;

mod calls;
mod endpoint;
mod message;

pub use calls::{CallId, Outcome, Room, Token};
pub use endpoint::{
    Call, Closed, Drained, Endpoint, Error, IsCall, Limits, Receipt, Refused, Side, Taken, Wake,
};
pub use message::{INLINE, Message};
pub use swos_abi::{MESSAGE_BYTES_MAX, MESSAGE_HANDLES_MAX};
