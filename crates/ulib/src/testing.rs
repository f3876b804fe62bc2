//! The protocol by which test programs report: a line when a test begins, one for how it went, one at the end.

use alloc::{format, string::String};
use core::fmt::{Debug, Display};

use crate::println;

/// Counts what was tested.
#[derive(Debug, Default)]
pub struct Report {
    done: u32,
    failed: u32,
}

impl Report {
    /// Runs one test and says how it went. Blanks in the name become hyphens.
    pub fn test(&mut self, name: &str, test: impl FnOnce() -> Result<(), String>) {
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
    #[must_use]
    pub fn done(self) -> i32 {
        println!("@done {}", self.done);
        i32::from(self.failed > 0)
    }
}

/// Succeeds if both are the same, and otherwise says what they are.
///
/// # Errors
///
/// Both values as text.
pub fn equal<T: Debug + PartialEq>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

/// An error as the text that [`Report::test`] wants.
pub fn text(wrong: impl Display) -> String {
    format!("{wrong}")
}
