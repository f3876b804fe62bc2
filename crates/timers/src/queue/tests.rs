use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Heap order, and that heap and slots name each other.
fn check<K>(timers: &TimerQueue<K>) {
    for (at, due) in timers.heap.iter().enumerate() {
        assert!(at == 0 || !due.before(&timers.heap[(at - 1) / 2]));
        assert_eq!(timers.slots.get(due.slot).map(|slot| slot.at), Some(at));
    }
    assert_eq!(timers.slots.len(), timers.len());
}

#[derive(Clone, Debug)]
enum Step {
    Arm(u64),
    /// Indices choose among all ids ever given, so most are stale.
    Cancel(prop::sample::Index),
    Rearm(prop::sample::Index, u64),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..40_u64).prop_map(Step::Arm),
        2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        2 => (any::<prop::sample::Index>(), 0..40_u64).prop_map(|(id, after)| Step::Rearm(id, after)),
        2 => (0..10_u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn agrees_with_an_ordered_map(steps in steps()) {
        let mut timers = TimerQueue::new();
        // (deadline, order of arming) -> key; the key is the index of its id in `ids`.
        let mut model = BTreeMap::new();
        let mut ids = Vec::new();
        let mut now = 0;
        for (arming, step) in steps.into_iter().enumerate() {
            match step {
                Step::Arm(after) => {
                    let deadline = Instant::from_nanos(now + after);
                    model.insert((deadline, arming), ids.len());
                    ids.push(timers.arm(deadline, ids.len()).unwrap());
                }
                Step::Cancel(which) if !ids.is_empty() => {
                    let key = which.index(ids.len());
                    let place = model.iter().find(|entry| *entry.1 == key).map(|(&place, _)| place);
                    let expected = place.and_then(|place| model.remove(&place));
                    prop_assert_eq!(timers.cancel(ids[key]), expected);
                }
                Step::Rearm(which, after) if !ids.is_empty() => {
                    let (key, deadline) = (which.index(ids.len()), Instant::from_nanos(now + after));
                    let place = model.iter().find(|entry| *entry.1 == key).map(|(&place, _)| place);
                    if let Some(place) = place {
                        model.remove(&place);
                        model.insert((deadline, arming), key);
                    }
                    prop_assert_eq!(timers.rearm(ids[key], deadline), place.is_some());
                }
                Step::Cancel(_) | Step::Rearm(..) => {}
                Step::Advance(by) => {
                    now += by;
                    while let Some(key) = timers.expire(Instant::from_nanos(now)) {
                        let (place, expected) = model.pop_first().unwrap();
                        prop_assert!(place.0 <= Instant::from_nanos(now));
                        prop_assert_eq!(key, expected);
                    }
                }
            }
            check(&timers);
            prop_assert_eq!(timers.len(), model.len());
            prop_assert_eq!(timers.deadline(), model.first_key_value().map(|(place, _)| place.0));
        }
    }
}

#[test]
fn nothing_expires_early_and_equal_deadlines_keep_their_order() {
    let mut timers = TimerQueue::default();
    for key in 0..100 {
        timers.arm(Instant::from_nanos(5), key).unwrap();
    }
    assert_eq!(timers.expire(Instant::from_nanos(4)), None);
    assert!((0..100).all(|key| timers.expire(Instant::from_nanos(5)) == Some(key)));
    assert!(timers.is_empty());
    assert_eq!(timers.expire(Instant::FAR_FUTURE), None);
}

#[test]
fn a_steady_number_of_timers_does_not_grow_the_queue() {
    let mut timers = TimerQueue::new();
    for key in 0..64_u64 {
        timers.arm(Instant::from_nanos(key), key).unwrap();
    }
    let (heap, slots) = (timers.heap.capacity(), timers.slots.room());
    for round in 64..20_000 {
        assert_eq!(timers.expire(Instant::from_nanos(round)), Some(round - 64));
        timers.arm(Instant::from_nanos(round), round).unwrap();
    }
    assert_eq!((timers.heap.capacity(), timers.slots.room()), (heap, slots));
}

#[test]
fn room_is_the_same_again_when_a_crowd_has_gone() {
    let mut timers = TimerQueue::new();
    let resting: Vec<TimerId> = (0..4).map(|key| timers.arm(Instant::FAR_FUTURE, key).unwrap()).collect();
    let room = |timers: &TimerQueue<u64>| (timers.heap.capacity(), timers.slots.room());
    let before = room(&timers);
    assert_eq!(before.0, LEAST);
    for crowd in [100, 10_000] {
        let ids: Vec<TimerId> =
            (0..crowd).map(|key| timers.arm(Instant::from_nanos(key), key).unwrap()).collect();
        assert!(room(&timers).0 >= ids.len());
        // Half are cancelled, the others expire.
        for &id in ids.iter().step_by(2) {
            assert!(timers.cancel(id).is_some());
        }
        while timers.expire(Instant::from_nanos(crowd)).is_some() {}
        // Whoever waits next finds a table that has become small.
        for _ in 0..16 {
            let id = timers.arm(Instant::ZERO, 0).unwrap();
            timers.cancel(id);
        }
        assert_eq!((room(&timers), timers.len()), (before, 4));
        assert!(ids.into_iter().all(|id| timers.cancel(id).is_none()), "an old id names nothing");
    }
    assert!(resting.into_iter().all(|id| timers.cancel(id).is_some()));
}
