//! Fuzz targets: every border that bytes from outside cross, as one plain function each.
//!
//! A [`Target`] takes any bytes and panics only if a promise is broken: a parser that accepts what it can't describe, a
//! machine that keeps memory or never ends, a kernel that loses a frame. The table [`TARGETS`] is the only list; the
//! tests, the command-line tool and libFuzzer run what stands there.
//!
//! **Invariant:** a target is a function of its bytes alone: no clock, no randomness, no state from the run before.
//! **Invariant:** the work of one run is bounded by the length of its input.
//!
//! ```
//! let elf = swos_fuzz::find("elf").unwrap();
//! (elf.run)(b"\x7fELF but no program");
//! for seed in (elf.seeds)() {
//!     (elf.run)(&seed);
//! }
//! ```

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test library: a broken promise is a panic"
)]

mod corpus;
mod input;
mod mutator;
mod targets;

pub use corpus::{crash_name, folder, load};
pub use mutator::Mutator;
pub use targets::{Answer, TARGETS, Target, calls_made, find, take_answers};
