//! The table of all scenarios.

mod boot;
mod http;
mod image;
mod load;
mod page;
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
        page::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Those whose name contains `filter`.
#[must_use]
pub fn matching(filter: &str) -> Vec<Scenario> {
    all().into_iter().filter(|scenario| scenario.name().contains(filter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_have_a_subject() {
        let scenarios = all();
        let names: BTreeSet<&str> = scenarios.iter().map(Scenario::name).collect();
        assert_eq!(names.len(), scenarios.len());
        assert!(names.iter().all(|name| name.contains('/')));
    }
}
