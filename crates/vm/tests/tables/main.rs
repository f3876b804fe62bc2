//! The public interface against a machine that checks every write.

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint knows test functions only")]

mod machine;
mod operations;
mod oracle;
