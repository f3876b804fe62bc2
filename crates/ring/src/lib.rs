//! Records through shared memory, from one producer to one consumer, without a call while both are busy.
//!
//! In go records and the words of a region that two parties map; out comes whether to ring the other's doorbell. Neither end trusts
//! the other: what it needs to know of its own side it keeps to itself, and what it reads of the other's it checks before each use. A
//! peer that writes nonsense gets records of nonsense through, or breaks the ring ([`Error::Broken`]); it reaches nothing else.
//!
//! **Invariant:** a record is read once, whole, in order, if both ends keep to the protocol. **Invariant:** whatever the other end writes,
//! no access leaves the region, no operation panics or loops, and a broken end stays broken. **Invariant:** whoever said that it will
//! sleep, and found nothing to do after that, is named by the [`Wake`] of the operation that gives it something to do.
//!
//! The doorbell stays rung until it is heard, as an event does: it may be rung for what the other end has seen already.
//!
//! Deliberately absent: mapping memory, the doorbell itself, more than one producer or consumer, unsafe code: words are atomics.
//!
//! ```
//! # #[cfg(not(loom))] {
//! use core::sync::atomic::AtomicU32;
//! use swos_ring::{Consumer, Error, Producer, Wake};
//! let region: Vec<AtomicU32> = (0..32 + 64).map(|_| AtomicU32::new(0)).collect();
//! let (mut producer, mut consumer) = (Producer::new(&region)?, Consumer::new(&region)?);
//! assert!(consumer.may_sleep()?);
//! assert_eq!(producer.push(b"wake up")?, Wake::Other);
//! let mut record = [0; 64];
//! assert_eq!(consumer.pop(&mut record)?, Some((7, Wake::Nobody)));
//! assert_eq!(&record[..7], b"wake up");
//! # }
//! # Ok::<(), swos_ring::Error>(())
//! ```
//!
//! Layout, in words of 32 bits: 0 what was consumed, 1 whether the consumer sleeps; 16 what was produced, 17 whether the producer sleeps;
//! from 32 on records, in the largest power of two of words that there is room for. A record is its length in bytes, then its bytes, rounded up to words.

#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]

mod atomics;
mod ring;

pub use ring::{Consumer, Error, HEADER_WORDS, Producer, RECORD_MAX, Wake};
