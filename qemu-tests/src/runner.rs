//! Runs scenarios, at most two at a time, and says what came of each.

use crate::scenario::{Artefacts, Bench, Scenario};
use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// More emulators than this at once starve each other on the smallest machine that we promise to work on.
const AT_ONCE: usize = 2;

/// How many scenarios passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
}

/// Runs `scenarios`; prints a line for each and, for a failure, the reason and where the transcript is.
///
/// # Errors
/// The scratch folder cannot be made.
pub fn run(scenarios: Vec<Scenario>, artefacts: &Artefacts) -> Result<Tally> {
    fs::create_dir_all(&artefacts.scratch)
        .with_context(|| format!("cannot make {}", artefacts.scratch.display()))?;
    let queue = Mutex::new(VecDeque::from(scenarios));
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(scenario) = take(&queue) {
                    let passed = one(&scenario, artefacts);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    if passed { tally.passed += 1 } else { tally.failed += 1 }
                }
            });
        }
    });
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn take(queue: &Mutex<VecDeque<Scenario>>) -> Option<Scenario> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn one(scenario: &Scenario, artefacts: &Artefacts) -> bool {
    let started = Instant::now();
    let bench = Bench::new(artefacts);
    let result = scenario.run(&bench);
    let seconds = started.elapsed().as_secs_f32();
    let file = artefacts.scratch.join(format!("{}.txt", scenario.name().replace('/', "-")));
    match result {
        Ok(()) => {
            // What an earlier failure left behind would mislead.
            let _ = fs::remove_file(file);
            println!("ok      {} ({seconds:.1} s)", scenario.name());
            true
        }
        Err(error) => {
            let kept = match fs::write(&file, bench.transcript()) {
                Ok(()) => file.display().to_string(),
                Err(error) => format!("lost ({error})"),
            };
            println!("FAILED  {} ({seconds:.1} s): {error:#}\n        transcript: {kept}", scenario.name());
            false
        }
    }
}
