use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_units::Instant;

use super::Deadlines;

proptest! {
    #[test]
    fn agrees_with_a_map(steps in prop::collection::vec((0..4u8, 0..20u32, 0..50u64), 0..300)) {
        let mut deadlines = Deadlines::new();
        let mut model = BTreeMap::new();
        for (what, index, at) in steps {
            let now = Instant::from_nanos(at);
            match what {
                0 | 1 => {
                    deadlines.reserve(index).unwrap();
                    deadlines.no_later(index, now);
                    let entry = model.entry(index).or_insert(now);
                    *entry = now.min(*entry);
                }
                2 => {
                    deadlines.cancel(index);
                    model.remove(&index);
                }
                _ => {
                    let mut due = Vec::new();
                    let mut last = Instant::ZERO;
                    while let Some(index) = deadlines.pop_due(now) {
                        prop_assert!(model[&index] >= last, "in order");
                        last = model[&index];
                        due.push(index);
                    }
                    due.sort_unstable();
                    let expected: Vec<_> =
                        model.iter().filter(|(_, at)| **at <= now).map(|(index, _)| *index).collect();
                    prop_assert_eq!(due, expected);
                    model.retain(|_, at| *at > now);
                }
            }
            prop_assert_eq!(deadlines.first(), model.values().min().copied());
        }
    }
}
