//! Images through the public interface: what is written is read, and what is not what was written is refused.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod trees;
mod v3;
mod v4_refuses;
mod v4_round_trip;
