//! Names through the public interface.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod corners;
mod mem_fs;
mod model;
