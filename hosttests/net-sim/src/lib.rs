//! Whole network stacks over a simulated bad link under virtual time.
//!
//! Two tools:
//!
//! - [`Simulation`]: two [`Host`]s, each a stack with an application, joined by a [`Link`] that
//!   loses, repeats, reorders, corrupts and delays frames by the throw of seeded [`Dice`]. [`Ours`]
//!   is `swos-netstack`; [`Smoltcp`] is another implementation as its peer. [`Transfer`]s run over
//!   them and check every octet.
//! - [`Probe`]: one of our stacks alone. IPv4 packets are put in and taken out by hand, with the time
//!   of each, and the clock moves only when told. Whatever scripts segments and expects segments (a
//!   conformance suite, a fuzzer, an attacker) can drive the whole stack and its socket calls
//!   through this.
//!
//! ```
//! use core::net::SocketAddrV4;
//! use swos_net_sim::{Probe, Segment};
//! use swos_units::Duration;
//! use swos_wire::TcpFlags;
//!
//! let mut probe = Probe::new(1, swos_tcp::Config::default());
//! let _listener = probe.listen(80, 16)?;
//! let peer = SocketAddrV4::new(Probe::PEER, 4000);
//! // Nobody listens there: a reset, at once.
//! let out = probe.inject(&Segment::to(Probe::ADDRESS, 81).from(peer).syn(1000));
//! assert_eq!((out.len(), out[0].flags), (1, TcpFlags::RST | TcpFlags::ACK));
//! // A SYN-ACK, and a second one after a second.
//! let first = probe.inject(&Segment::to(Probe::ADDRESS, 80).from(peer).syn(1000));
//! assert_eq!(first[0].flags, TcpFlags::SYN | TcpFlags::ACK);
//! let again = probe.advance(Duration::from_secs(1));
//! assert_eq!((again[0].seq, again[0].ack), (first[0].seq, 1001));
//! # Ok::<(), swos_netstack::Error>(())
//! ```

#![forbid(unsafe_code)]

mod dice;
mod host;
mod link;
mod ours;
mod probe;
mod simulation;
mod smol;
mod transfer;

pub use dice::Dice;
pub use host::{Host, Received, SocketKey};
pub use link::{Faults, Link};
pub use ours::Ours;
pub use probe::{Probe, Segment};
pub use simulation::{Outcome, Simulation};
pub use smol::Smoltcp;
pub use transfer::{Ending, Plan, Transfer};
