//! The table of all scenarios.

mod boot;
mod disk;
mod http;
mod image;
mod load;
mod page;
mod panic;
mod programs;
mod site;

use crate::scenario::Scenario;
use anyhow::Result;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Every scenario, in the order in which they run: what must work for the rest to make sense comes first.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        boot::scenarios(),
        site::scenarios(),
        http::scenarios(),
        programs::scenarios(),
        load::scenarios(),
        image::scenarios(),
        panic::scenarios(),
        disk::scenarios(),
        page::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Those whose name contains `filter`; the long ones only if it asks for them.
#[must_use]
pub fn matching(filter: &str) -> Vec<Scenario> {
    let wanted = |name: &str| name.contains(filter) && (!name.starts_with(LONG) || filter.starts_with(LONG));
    all().into_iter().filter(|scenario| wanted(scenario.name())).collect()
}

/// Does `act` for each item, two at a time: for a scenario of many boots that has the machine to itself. Goes on after a
/// failure; the error is that of all failures.
fn at_most_two<T: Send>(
    items: impl Iterator<Item = T> + Send,
    act: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let (items, failures) = (Mutex::new(items), Mutex::new(Vec::new()));
    let take = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = take() {
                    if let Err(error) = act(item) {
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    anyhow::ensure!(failures.is_empty(), "{} failed: {}", failures.len(), failures.join("; "));
    Ok(())
}

/// How the names begin of what takes too long for every run.
const LONG: &str = "long/";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn long_ones_are_asked_for() {
        assert!(matching("").iter().all(|scenario| !scenario.name().starts_with(LONG)));
        assert!(!matching(LONG).is_empty());
        assert_eq!(matching("site/whole-1cpu").len(), 1);
    }

    #[test]
    fn names_are_unique_and_have_a_subject() {
        let scenarios = all();
        let names: BTreeSet<&str> = scenarios.iter().map(Scenario::name).collect();
        assert_eq!(names.len(), scenarios.len());
        assert!(names.iter().all(|name| name.contains('/')));
    }
}
