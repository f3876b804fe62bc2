//! Makes and reads images on a host: what the `basepack` tool does, for the build.
//!
//! A directory and a [`Manifest`] go in, the bytes of an image come out ([`pack_dir`]). Nothing of the host gets into the image
//! but names and bytes: no times, no owners, no modes, no order of directories. So two hosts with the same files
//! make the same image.
//!
//! **Invariant:** what can't be packed is an error; nothing is left out or changed silently.

#![forbid(unsafe_code)]

mod extract;
mod keys;
mod listing;
mod manifest;
mod pack;

pub use extract::extract;
pub use keys::{generate_seed, read_public_key, read_seed};
pub use listing::{Summary, list, verify};
pub use manifest::{AttributesEntry, Manifest};
pub use pack::{Format, pack_dir, tree_of_dir};
