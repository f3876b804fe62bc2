//! The stack from outside: frames, socket calls and a virtual clock.
#![expect(
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its numbers are small"
)]

mod datagrams;
mod hostile;
mod leaks;
mod net;
mod smoltcp_peer;
mod streams;
mod unpredictable;
mod without_memory;
