use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::SeededHash;

type Table = FutexTable<u8, usize, SeededHash>;

fn table() -> Table {
    FutexTable::new(SeededHash::new([11, 13]))
}

/// Lists are linked both ways, a queue that is empty is among the last that became so, and every node is in one list.
fn check(table: &Table) {
    let mut seen = 0;
    for &index in &table.keys {
        let queue = table.queues.get(index).unwrap();
        let before = seen;
        let listings = table.idle.0.iter().filter(|&&idle| idle == Some(index)).count();
        assert_eq!(listings, usize::from(queue.listed), "a queue is listed once, and knows it");
        let Some((head, tail)) = queue.ends else {
            assert!(queue.listed && queue.waiters == 0, "an empty queue is listed or removed");
            continue;
        };
        let (mut previous, mut at) = (None, Some(head));
        while let Some(node) = at {
            let entry = table.nodes.get(node).unwrap();
            assert_eq!((entry.previous, entry.queue), (previous, index));
            (previous, at) = (Some(node), entry.next);
            seen += 1;
        }
        assert_eq!(previous, Some(tail));
        assert_eq!(queue.waiters, seen - before);
    }
    assert_eq!(seen, table.len());
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u8, u32),
    Wake(u8, usize, u32),
    /// Makes an iterator and draws fewer than it would give.
    WakeSome(u8, usize),
    WakeOne(u8, u32),
    Requeue(u8, u8, usize),
    Remove(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bits = || prop_oneof![Just(ANY), Just(1_u32), Just(2), Just(3), Just(0)];
    let step = prop_oneof![
        6 => (0..5_u8, bits()).prop_map(|(key, bits)| Step::Wait(key, bits)),
        2 => (0..5_u8, bits()).prop_map(|(key, bits)| Step::WakeOne(key, bits)),
        2 => (0..4_u8, 0..4_usize, bits()).prop_map(|(key, count, bits)| Step::Wake(key, count, bits)),
        1 => (0..4_u8, 0..3_usize).prop_map(|(key, count)| Step::WakeSome(key, count)),
        1 => (0..4_u8, 0..4_u8, 0..5_usize).prop_map(|(from, to, count)| Step::Requeue(from, to, count)),
        2 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..150)
}

proptest! {
    #[test]
    fn agrees_with_plain_lists(steps in steps()) {
        let mut table = table();
        let mut model: BTreeMap<u8, Vec<(usize, u32)>> = BTreeMap::new();
        let mut ids = Vec::new();
        for step in steps {
            match step {
                Step::Wait(key, bits) => {
                    model.entry(key).or_default().push((ids.len(), bits));
                    ids.push(table.wait(key, ids.len(), bits).unwrap());
                }
                Step::Wake(key, count, bits) => {
                    let list = model.entry(key).or_default();
                    let mut expected = Vec::new();
                    list.retain(|&(waiter, own)| {
                        let wakes = expected.len() < count && own & bits != 0;
                        expected.extend(wakes.then_some(waiter));
                        !wakes
                    });
                    prop_assert_eq!(table.wake(&key, count, bits).collect::<Vec<_>>(), expected);
                }
                Step::WakeSome(key, count) => {
                    let list = model.entry(key).or_default();
                    let mut matching = list.clone();
                    matching.retain(|&(_, own)| own != 0);
                    matching.truncate(count);
                    list.retain(|entry| !matching.contains(entry));
                    let expected: Vec<_> = matching.iter().map(|&(waiter, _)| waiter).collect();
                    prop_assert_eq!(table.wake(&key, usize::MAX, ANY).take(count).collect::<Vec<_>>(), expected);
                }
                Step::WakeOne(key, bits) => {
                    let list = model.entry(key).or_default();
                    let first = list.iter().position(|&(_, own)| own & bits != 0);
                    let expected = first.map(|at| (list.remove(at).0, list.len()));
                    prop_assert_eq!(table.wake_one(&key, bits), expected);
                }
                Step::Requeue(from, to, count) => {
                    let moved = if from == to { 0 } else { count.min(model.entry(from).or_default().len()) };
                    let waiters: Vec<_> = model.entry(from).or_default().drain(..moved).collect();
                    model.entry(to).or_default().extend(waiters);
                    prop_assert_eq!(table.requeue(&from, to, count), Ok(moved));
                }
                Step::Remove(which) if !ids.is_empty() => {
                    let waiter = which.index(ids.len());
                    let waits = model.values_mut().any(|list| {
                        let before = list.len();
                        list.retain(|&(other, _)| other != waiter);
                        list.len() < before
                    });
                    prop_assert_eq!(table.remove(ids[waiter]), waits.then_some(waiter));
                }
                Step::Remove(_) => {}
            }
            check(&table);
            prop_assert_eq!(table.len(), model.values().map(Vec::len).sum::<usize>());
        }
        // Nobody is lost: all that still wait can be woken, in order.
        for (key, list) in model {
            let mut woken: Vec<_> = table.wake(&key, usize::MAX, ANY).collect();
            woken.extend(list.iter().filter(|entry| entry.1 == 0).filter_map(|&(waiter, _)| table.remove(ids[waiter])));
            woken.sort_unstable();
            let mut expected: Vec<_> = list.iter().map(|&(waiter, _)| waiter).collect();
            expected.sort_unstable();
            prop_assert_eq!(woken, expected);
        }
        prop_assert!(table.is_empty() && table.keys.len() <= IDLE_MAX);
    }
}

#[test]
fn a_steady_number_of_waiters_does_not_grow_the_table() {
    let mut table = FutexTable::new(SeededHash::new([1, 2]));
    for key in 0..64_u64 {
        assert!(table.wait(key, key, ANY).is_ok());
    }
    let mut turn_over = |keys: core::ops::Range<u64>| {
        for key in keys {
            assert!(table.wake(&(key - 64), 1, ANY).eq([key - 64]));
            assert!(table.wait(key, key, ANY).is_ok());
        }
        (table.keys.capacity(), table.nodes.places(), table.queues.places())
    };
    // At first the hash table may double once: only when at most half full does it clean up in place.
    let room = turn_over(64..5_000);
    assert_eq!((room.1, room.2.0), ((64, 64), 64 + IDLE_MAX));
    assert_eq!(turn_over(5_000..50_000), room);
}

#[test]
fn an_id_that_left_names_nobody_else() {
    let mut table = table();
    let old = table.wait(1, 10, ANY).unwrap();
    assert_eq!(table.remove(old), Some(10));
    let new = table.wait(1, 20, ANY).unwrap();
    assert_eq!((old.node, table.remove(old)), (new.node, None));
    assert_eq!(table.remove(new), Some(20));
}

#[test]
fn requeue_to_the_same_key_or_from_nobody_changes_nothing() {
    let mut table = table();
    assert_eq!(table.requeue(&1, 2, 9), Ok(0));
    assert!(table.keys.is_empty());
    table.wait(1, 10, ANY).unwrap();
    assert_eq!((table.requeue(&1, 1, 9), table.requeue(&1, 2, 0)), (Ok(0), Ok(0)));
    // The empty queue stays a while.
    assert_eq!((table.requeue(&1, 2, 9), table.keys.len()), (Ok(1), 2));
    assert_eq!((table.waiting(&1), table.waiting(&2)), (0, 1));
    assert!(table.wake(&2, 1, ANY).eq([10]));
}
