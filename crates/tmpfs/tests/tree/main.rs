//! The file system beside a naive one, over random operations; and the rules one by one.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what can't be ends the test; its numbers fit"
)]

mod model;
mod rules;
mod sequences;
mod store;
