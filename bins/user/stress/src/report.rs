//! The protocol of the guest tests.

use alloc::{format, string::String};
use core::fmt::{Debug, Display};

use swos_ulib::println;

/// Counts what was tested.
#[derive(Debug, Default)]
pub(crate) struct Report {
    done: u32,
    failed: u32,
}

impl Report {
    /// Runs one test and says how it went. Blanks in the name become hyphens.
    pub(crate) fn test(&mut self, name: &str, test: impl FnOnce() -> Result<(), String>) {
        let name = name.replace(' ', "-");
        println!("@test {name}");
        match test() {
            Ok(()) => println!("@ok {name}"),
            Err(why) => {
                println!("@fail {name} {why}");
                self.failed += 1;
            }
        }
        self.done += 1;
    }

    /// Says that all was run; returns the status of the program.
    pub(crate) fn done(self) -> i32 {
        println!("@done {}", self.done);
        i32::from(self.failed > 0)
    }
}

pub(crate) fn equal<T: Debug + PartialEq>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

pub(crate) fn text(wrong: impl Display) -> String {
    format!("{wrong}")
}
