//! Boots of the whole system under QEMU, driven and asserted by a typed runner.

mod machine;

pub use machine::{Accel, Console, ExitBy, Forward, Gic, Machine, PROGRAM};
