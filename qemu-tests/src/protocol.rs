//! What test code inside the guest says on the serial port, and whether that amounts to a pass.
//!
//! `@test NAME`, `@ok NAME`, `@fail NAME why`, `@done COUNT`, each on a line of its own.
//!
//! **Invariant:** silence, a test that never ended, an unknown name, a repeated result or a wrong count is a failure.

use core::fmt;
use std::collections::BTreeMap;

/// One line of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A test begins.
    Test(&'a str),
    /// A test passed.
    Ok(&'a str),
    /// A test failed, and why.
    Fail(&'a str, &'a str),
    /// All tests were run; so many.
    Done(usize),
}

impl<'a> Event<'a> {
    /// The event on a line, or `None` when the line is ordinary output. What stands before it is the unfinished line of
    /// somebody else who shares the console.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let start = ["@test ", "@ok ", "@fail ", "@done "].iter().filter_map(|word| line.find(word)).min()?;
        let (word, rest) = line.get(start..)?.trim_end().split_once(' ')?;
        match word {
            "@test" => Some(Self::Test(rest)),
            "@ok" => Some(Self::Ok(rest)),
            "@fail" => {
                let (name, why) = rest.split_once(' ').unwrap_or((rest, "no reason given"));
                Some(Self::Fail(name, why))
            }
            "@done" => rest.parse().ok().map(Self::Done),
            _ => None,
        }
    }
}

/// Why a run of guest tests is not a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A planned test never began.
    NeverRan(String),
    /// A test began and never ended.
    NeverEnded(String),
    /// A test that nobody planned.
    Unplanned(String),
    /// A second result for one test, or a result without a beginning.
    OutOfOrder(String),
    /// A test failed.
    Failed(String, String),
    /// `@done` counted differently.
    Miscounted {
        /// Results seen.
        seen: usize,
        /// What `@done` said.
        said: usize,
    },
    /// `@done` never came.
    NotDone,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRan(name) => write!(f, "{name} never ran"),
            Self::NeverEnded(name) => write!(f, "{name} began and never ended"),
            Self::Unplanned(name) => write!(f, "{name} was not planned"),
            Self::OutOfOrder(name) => write!(f, "{name} reported out of order"),
            Self::Failed(name, why) => write!(f, "{name} failed: {why}"),
            Self::Miscounted { seen, said } => {
                write!(f, "the guest counted {said} tests, but {seen} reported")
            }
            Self::NotDone => f.write_str("the guest never said that it was done"),
        }
    }
}

/// Which tests have to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan<'a> {
    /// These and no others.
    Exactly(&'a [&'a str]),
    /// These, and others that the guest knows of.
    AtLeast(&'a [&'a str]),
}

/// Collects events until `@done`.
#[derive(Clone, Debug, Default)]
pub struct Report {
    results: BTreeMap<String, Option<Result<(), String>>>,
    defects: Vec<Defect>,
    done: Option<usize>,
}

impl Report {
    /// Takes one line of output.
    pub fn line(&mut self, line: &str) {
        match Event::parse(line) {
            None => {}
            Some(Event::Test(name)) => self.begun(name),
            Some(Event::Ok(name)) => self.result(name, Ok(())),
            Some(Event::Fail(name, why)) => self.result(name, Err(why.to_owned())),
            Some(Event::Done(count)) => self.done = Some(count),
        }
    }

    /// True once `@done` was seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// Everything that is wrong with the run, given what had to be run; empty for a pass.
    #[must_use]
    pub fn defects(&self, plan: Plan<'_>) -> Vec<Defect> {
        let (Plan::Exactly(planned) | Plan::AtLeast(planned)) = plan;
        let mut defects = self.defects.clone();
        for name in planned {
            if !self.results.contains_key(*name) {
                defects.push(Defect::NeverRan((*name).to_owned()));
            }
        }
        for (name, result) in &self.results {
            if plan == Plan::Exactly(planned) && !planned.contains(&name.as_str()) {
                defects.push(Defect::Unplanned(name.clone()));
            }
            match result {
                None => defects.push(Defect::NeverEnded(name.clone())),
                Some(Err(why)) => defects.push(Defect::Failed(name.clone(), why.clone())),
                Some(Ok(())) => {}
            }
        }
        let seen = self.results.values().flatten().count();
        match self.done {
            None => defects.push(Defect::NotDone),
            Some(said) if said != seen => defects.push(Defect::Miscounted { seen, said }),
            Some(_) => {}
        }
        defects
    }

    fn begun(&mut self, name: &str) {
        if self.results.insert(name.to_owned(), None).is_some() {
            self.defects.push(Defect::OutOfOrder(name.to_owned()));
        }
    }

    fn result(&mut self, name: &str, result: Result<(), String>) {
        match self.results.get_mut(name) {
            Some(slot @ None) => *slot = Some(result),
            Some(Some(_)) | None => self.defects.push(Defect::OutOfOrder(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
