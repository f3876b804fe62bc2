use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Every node has something below it.
fn no_node_is_empty<T>(node: &[Slot<T>]) -> bool {
    !is_empty(node)
        && node.iter().all(|slot| match slot {
            Slot::Node(child) => child.len() == FANOUT && no_node_is_empty(child),
            Slot::Empty | Slot::Value(_) => true,
        })
}

fn key() -> impl Strategy<Value = u64> {
    prop_oneof![0..40_u64, 0..5_000_u64, any::<u64>(), (0..64_u32).prop_map(|bit| u64::MAX >> bit)]
}

proptest! {
    #[test]
    fn is_a_map(steps in proptest::collection::vec((0..5_u8, key(), any::<u32>()), 1..200)) {
        let (mut radix, mut model) = (Radix::new(), BTreeMap::new());
        for (what, key, value) in steps {
            match what {
                0 | 1 => {
                    radix.insert(key, value).unwrap();
                    model.insert(key, value);
                }
                2 => {
                    // One that is there, when there is one.
                    let key = model.range(key..).next().map_or(key, |(&key, _)| key);
                    prop_assert_eq!(radix.remove(key), model.remove(&key));
                }
                3 => {
                    let last = model.last_key_value().map(|(&key, &value)| (key, value));
                    let expected = last.filter(|&(last, _)| last >= key);
                    prop_assert_eq!(radix.reaches(key), expected.is_some());
                    prop_assert_eq!(radix.pop_from(key), expected);
                    if let Some((key, _)) = expected {
                        model.remove(&key);
                    }
                }
                _ => {
                    prop_assert_eq!(radix.get(key), model.get(&key).copied());
                    let next = model.range(key..).next().map(|(&key, &value)| (key, value));
                    prop_assert_eq!(radix.first_from(key), next);
                }
            }
            prop_assert_eq!(radix.len(), model.len() as u64);
            prop_assert!(model.is_empty() && radix.height == 0 || no_node_is_empty(&radix.root));
        }
    }
}
