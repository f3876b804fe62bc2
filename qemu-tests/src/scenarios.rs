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
