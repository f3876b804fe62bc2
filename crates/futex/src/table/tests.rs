use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::SeededHash;

type Table = FutexTable<u8, usize, SeededHash>;

fn table() -> Table {
    FutexTable::new(SeededHash::new([11, 13]))
}

/// Lists are linked both ways, every first is in the chain of its bucket and nowhere else, and every node is in one list.
fn check(table: &Table) {
    let (mut seen, mut keys) = (0, 0);
    for (bucket, &first) in table.buckets.iter().enumerate() {
        let mut chained = first;
        while let Some(first) = table.nodes.get(chained) {
            assert_eq!((first.previous, table.bucket(first.hash)), (NONE, bucket));
            assert_eq!(table.first(&first.key), Some(chained), "a key has one first");
            let before = seen;
            let (mut previous, mut at) = (NONE, chained);
            while let Some(entry) = table.nodes.get(at) {
                assert_eq!((entry.previous, entry.key, entry.hash), (previous, first.key, first.hash));
                (previous, at) = (at, entry.next);
                seen += 1;
            }
            assert_eq!((previous, at), (first.last, NONE));
            assert_eq!(first.waiters as usize, seen - before);
            keys += 1;
            chained = first.chain;
        }
        assert_eq!(chained, NONE);
    }
    assert_eq!((seen, keys), (table.len(), table.keys));
    assert!(table.keys <= table.buckets.len());
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
                    // In parts, each of which passes two others over.
                    let (mut woken, mut after) = (Vec::new(), None);
                    loop {
                        let mut wake = table.wake_behind(&key, after, (count - woken.len(), 2), bits);
                        woken.extend(&mut wake);
                        after = wake.passed();
                        if after.is_none() || woken.len() == count {
                            break;
                        }
                    }
                    prop_assert_eq!(woken, expected);
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
                    prop_assert_eq!(table.requeue(&from, &to, count), moved);
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
        prop_assert!(table.is_empty() && table.keys == 0);
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
        (table.buckets.capacity(), table.nodes.room())
    };
    let room = turn_over(64..5_000);
    assert_eq!(room, (64, 64));
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
    assert_eq!(table.requeue(&1, &2, 9), 0);
    table.wait(1, 10, ANY).unwrap();
    assert_eq!((table.requeue(&1, &1, 9), table.requeue(&1, &2, 0)), (0, 0));
    assert_eq!((table.requeue(&1, &2, 9), table.keys), (1, 1));
    assert_eq!((table.waiting(&1), table.waiting(&2)), (0, 1));
    assert!(table.wake(&2, 1, ANY).eq([10]));
}

#[test]
fn buckets_become_more_one_by_one_and_all_keys_are_found() {
    let mut table = FutexTable::new(SeededHash::new([1, 2]));
    for key in 0..300_u64 {
        table.wait(key, key, ANY).unwrap();
        table.wait(key, 1000 + key, ANY).unwrap();
        assert_eq!(table.buckets.len(), table.keys.max(BUCKETS));
    }
    for key in 0..300 {
        assert_eq!(table.waiting(&key), 2);
        assert!(table.wake(&key, 2, ANY).eq([key, 1000 + key]));
    }
    assert!(table.is_empty() && table.buckets.iter().all(|&first| first == NONE));
}

#[test]
fn room_is_the_same_again_when_a_crowd_has_gone() {
    let mut table = FutexTable::new(SeededHash::new([1, 2]));
    let room = |table: &FutexTable<u64, u64, SeededHash>| (table.buckets.capacity(), table.nodes.room());
    let resting: Vec<WaitId> = (0..1).map(|key| table.wait(key, key, ANY).unwrap()).collect();
    let before = room(&table);
    for crowd in [100, 10_000] {
        let ids: Vec<WaitId> = (10..10 + crowd).map(|key| table.wait(key, key, ANY).unwrap()).collect();
        assert!(room(&table).0 >= ids.len() && room(&table).1 >= ids.len());
        for (key, &id) in (10..).zip(&ids) {
            if key % 2 == 0 {
                assert_eq!(table.remove(id), Some(key));
            } else {
                assert!(table.wake(&key, 1, ANY).eq([key]));
            }
        }
        // Whoever waits next finds a table that has become small.
        for turn in 0..16 {
            let id = table.wait(20_000 + turn, 0, ANY).unwrap();
            table.remove(id);
        }
        assert_eq!((room(&table), table.len(), table.buckets.len()), (before, 1, BUCKETS));
        assert!(resting.iter().all(|&id| table.nodes.stamp(id.node) == Some(id.stamp)));
        assert!(ids.into_iter().all(|id| table.remove(id).is_none()), "an old id names nobody");
    }
    assert!(resting.into_iter().all(|id| table.remove(id).is_some()));
}

#[test]
fn a_part_goes_on_behind_the_last_or_begins_anew() {
    let mut table = table();
    let ids: Vec<_> =
        (0..6).map(|waiter| table.wait(1, waiter, if waiter == 4 { 2 } else { 1 }).unwrap()).collect();
    let part = |table: &mut FutexTable<u8, usize, _>, after| {
        let mut wake = table.wake_behind(&1, after, (1, 2), 2);
        (wake.next(), wake.passed())
    };
    assert_eq!(part(&mut table, None), (None, Some(ids[1])));
    // It left, and came back as another one: the oldest is the first again.
    table.remove(ids[1]).unwrap();
    table.wait(1, 9, 1).unwrap();
    assert_eq!(part(&mut table, Some(ids[1])), (None, Some(ids[2])));
    assert_eq!(part(&mut table, Some(ids[2])), (Some(4), Some(ids[3])));
    // Nobody is behind the last.
    let mut wake = table.wake_behind(&1, Some(ids[5]), (1, 2), 4);
    assert_eq!((wake.next(), wake.passed()), (None, None));
}
