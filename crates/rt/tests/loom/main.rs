//! Every interleaving of small models, with loom's weak-memory semantics. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p swos-rt --release --test loom`.
#![cfg(loom)]

mod end;
mod locks;
mod once;
mod rwlocks;

/// Explores the model, but for schedules with more than `preemptions` forced switches. A thread that sleeps for ever
/// fails it.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
