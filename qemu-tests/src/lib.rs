//! Boots of the whole system under QEMU, driven and asserted.
//!
//! A [`Machine`] is described and started as a [`Guest`]; a [`Scenario`] drives guests over their serial port and the
//! network and says what must come of it; [`run`] runs scenarios and counts.
//!
//! **Invariants:** a wait has a deadline and ends early on a kernel panic; no test sleeps and hopes; every emulator that
//! is started here is ended here; the transcript of a failure is kept.

mod figures;
mod guest;
pub mod http;
mod machine;
mod ports;
mod protocol;
mod runner;
mod scenario;
mod scenarios;
mod transcript;

pub use figures::Figures;
pub use guest::{Guest, PANIC_MARKER};
pub use machine::{Accel, Console, ExitBy, Forward, Gic, Machine, PROGRAM};
pub use ports::forward_to;
pub use protocol::{Defect, Event, Plan, Report};
pub use runner::{Tally, run};
pub use scenario::{Artefacts, Bench, Scenario};
pub use scenarios::{all, matching};
