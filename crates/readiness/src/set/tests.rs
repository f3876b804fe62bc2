use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use swos_abi::{POLL_IN, POLL_OUT};

use super::*;

fn level(token: u64) -> Watch {
    Watch { interest: POLL_IN, mode: Mode::Level, token }
}

fn events(set: &mut ReadinessSet<u64>, max: usize, ready: impl Fn(u64) -> u16) -> Vec<Event> {
    let mut events = Vec::new();
    set.collect(max, usize::MAX, |_, source| ready(*source), |event| events.push(event));
    events
}

#[test]
fn who_is_ready_for_ever_waits_its_turn() {
    let mut set = ReadinessSet::new();
    for token in 0..5 {
        let id = set.add(token, level(token)).unwrap();
        assert!(set.on_ready(id, POLL_IN));
    }
    let order: Vec<u64> =
        (0..10).flat_map(|_| events(&mut set, 1, |_| POLL_IN)).map(|event| event.token).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[test]
fn what_nobody_wants_wakes_nobody_but_errors_do() {
    let mut set = ReadinessSet::new();
    let id = set.add(1, level(1)).unwrap();
    assert!(!set.on_ready(id, POLL_OUT));
    assert!(!set.has_reports());
    assert!(set.on_ready(id, POLL_HUP));
    assert_eq!(events(&mut set, 9, |_| POLL_HUP | POLL_OUT), [Event { token: 1, bits: POLL_HUP }]);
}

#[test]
fn stale_ids_do_nothing() {
    let mut set = ReadinessSet::new();
    let old = set.add(1, level(1)).unwrap();
    assert_eq!(set.remove(old), Some(1));
    let new = set.add(2, level(2)).unwrap();
    assert!(!set.on_ready(old, POLL_IN));
    assert_eq!(set.remove(old), None);
    assert_eq!(set.modify(old, level(3)), Err(Unknown));
    assert!(set.on_ready(new, POLL_IN));
}

#[derive(Clone, Debug)]
enum Step {
    Add(Mode),
    Remove(usize),
    Set(usize, bool),
    Collect(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just(Mode::Level), Just(Mode::Edge)].prop_map(Step::Add),
        any::<usize>().prop_map(Step::Remove),
        (any::<usize>(), any::<bool>()).prop_map(|(which, ready)| Step::Set(which, ready)),
        (1..6_usize).prop_map(Step::Collect),
    ]
}

proptest! {
    /// Against a model that asks every source: nobody ready is missed, nobody else is told.
    #[test]
    fn agrees_with_asking_all(steps in prop::collection::vec(step(), 1..200)) {
        let mut set = ReadinessSet::new();
        let mut ids: BTreeMap<u64, (SourceId, Mode)> = BTreeMap::new();
        let ready = RefCell::new(BTreeSet::new());
        let mut edges = BTreeSet::new();
        let mut next = 0;
        for step in steps {
            let nth = |which: usize| ids.keys().copied().nth(which % ids.len().max(1));
            match step {
                Step::Add(mode) => {
                    let id = set.add(next, Watch { interest: POLL_IN, mode, token: next }).unwrap();
                    ids.insert(next, (id, mode));
                    next += 1;
                }
                Step::Remove(which) => if let Some(token) = nth(which) {
                    prop_assert_eq!(set.remove(ids.remove(&token).unwrap().0), Some(token));
                    ready.borrow_mut().remove(&token);
                    edges.remove(&token);
                },
                Step::Set(which, now) => if let Some(token) = nth(which) {
                    if !now {
                        ready.borrow_mut().remove(&token);
                    } else if ready.borrow_mut().insert(token) {
                        edges.insert(token);
                        prop_assert!(set.on_ready(ids[&token].0, POLL_IN));
                    }
                },
                Step::Collect(max) => {
                    let due: BTreeSet<u64> = ids.iter().filter(|(token, (_, mode))| {
                        ready.borrow().contains(token) && (*mode == Mode::Level || edges.contains(token))
                    }).map(|(token, _)| *token).collect();
                    let told = events(&mut set, max, |source| if ready.borrow().contains(&source) { POLL_IN } else { 0 });
                    prop_assert_eq!(told.len(), due.len().min(max));
                    for event in told {
                        prop_assert!(due.contains(&event.token));
                        edges.remove(&event.token);
                    }
                    // An edge that was gone when it was looked at is forgotten.
                    edges.retain(|token| ready.borrow().contains(token));
                }
            }
            prop_assert_eq!(set.len(), ids.len());
        }
    }
}

#[test]
fn one_look_is_bounded_and_the_next_goes_on() {
    let mut set = ReadinessSet::new();
    for token in 0..10 {
        let id = set.add(token, level(token)).unwrap();
        assert!(set.on_ready(id, POLL_IN));
    }
    // Only the last one is still ready.
    let mut looked = Vec::new();
    let mut told = Vec::new();
    while told.is_empty() {
        assert!(set.has_reports());
        let before = looked.len();
        let ready = |source: &u64| if *source == 9 { POLL_IN } else { 0 };
        let mut look = |source: &u64| {
            looked.push(*source);
            ready(source)
        };
        set.collect(5, 4, |_, source| look(source), |event| told.push(event.token));
        assert!(looked.len() <= before + 4);
    }
    assert_eq!((told, looked), (vec![9], (0..10).collect()));
}

#[test]
fn a_set_is_taken_apart_piece_by_piece() {
    let mut set = ReadinessSet::new();
    let ids: Vec<_> = (0..20).map(|token| set.add(token, level(token)).unwrap()).collect();
    for at in [3, 19, 7] {
        assert!(set.on_ready(ids[at], POLL_IN));
        set.remove(ids[at]).unwrap();
    }
    assert!(set.on_ready(ids[4], POLL_IN) && set.on_ready(ids[18], POLL_IN));
    let mut left: Vec<u64> = core::iter::from_fn(|| set.pop()).flatten().collect();
    left.sort_unstable();
    assert_eq!(left, (0..20).filter(|token| ![3, 19, 7].contains(token)).collect::<Vec<_>>());
    assert!(set.is_empty() && !set.has_reports() && set.pop().is_none());
}
