//! Every interleaving of small models, with loom's weak-memory semantics. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p swos-sync --release --test loom`.
#![cfg(loom)]

mod locks;
mod protocols;
