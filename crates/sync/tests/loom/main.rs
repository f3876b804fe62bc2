//! Every interleaving of small models, with loom's weak-memory semantics. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p swos-sync --release --test loom`.
//!
//! loom orders `SeqCst` accesses of one word, but of two words only fences: a protocol in which each side writes one word and
//! then reads the other's has them here where the machine has its barriers.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a model that fails has found something")]

mod cpus;
mod devices;
mod locks;
mod objects;
mod protocols;
mod spaces;

/// Explores the model; spinning makes unbounded schedules, so those with more than `preemptions` forced switches are left out
/// (loom's authors find that two or three suffice for nearly all defects).
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
