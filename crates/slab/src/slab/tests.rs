use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A bit for each place and no other, set if the place is free; none before the first word.
fn check<T>(slab: &Slab<T>) {
    assert_eq!(slab.free.len(), slab.places.len().div_ceil(BITS));
    for at in 0..slab.free.len() * BITS {
        let is_free = slab.free[at / BITS] >> (at % BITS) & 1 == 1;
        assert_eq!(is_free, slab.places.get(at).is_some_and(|place| place.entry.is_none()), "{at}");
        assert!(!is_free || at / BITS >= slab.first);
    }
    assert_eq!(slab.len(), slab.places.iter().filter(|place| place.entry.is_some()).count());
}

proptest! {
    #[test]
    fn agrees_with_a_map_and_names_nothing_twice(
        bursts in prop::collection::vec((0..150_usize, 0..150_usize, any::<prop::sample::Index>()), 0..10)
    ) {
        let (mut slab, mut model, mut names) = (Slab::new(), BTreeMap::new(), BTreeSet::new());
        for (inserts, removals, which) in bursts {
            for _ in 0..inserts {
                let at = slab.insert(names.len()).unwrap();
                prop_assert!(names.insert((at, slab.stamp(at).unwrap())), "a name was given twice");
                prop_assert_eq!(model.insert(at, names.len() - 1), None);
            }
            for turn in 0..removals.min(model.len()) {
                let (&at, &value) = model.iter().nth((which.index(model.len()) + 31 * turn) % model.len()).unwrap();
                model.remove(&at);
                prop_assert_eq!(slab.remove(at), Some(value));
                prop_assert_eq!((slab.remove(at), slab.get(at)), (None, None));
                if turn % 16 == 0 {
                    check(&slab);
                }
            }
            check(&slab);
            prop_assert!(slab.iter().map(|(at, value)| (at, *value)).eq(model.iter().map(|(at, value)| (*at, *value))));
        }
    }
}

#[test]
fn places_are_used_again_under_another_stamp() {
    let mut slab = Slab::new();
    let (a, b) = (slab.insert('a').unwrap(), slab.insert('b').unwrap());
    assert_eq!((slab.stamp(a), slab.stamp(b), slab.stamp(9)), (Some(0), Some(1), None));
    assert_eq!((slab.remove(a), slab.remove(a), slab.get(a), slab.stamp(a)), (Some('a'), None, None, None));
    assert_eq!((slab.insert('c'), slab.stamp(a), slab.stamp(b)), (Ok(a), Some(2), Some(1)));
    assert_eq!(slab.get_mut(b).copied(), Some('b'));
    assert_eq!((slab.get(a), slab.get(9)), (Some(&'c'), None));
}

#[test]
fn names_of_places_that_were_given_back_do_not_come_again() {
    let mut slab = Slab::new();
    let mut names = BTreeSet::new();
    for round in 0..50 {
        let all: Vec<u32> = (0..100).map(|value| slab.insert(value).unwrap()).collect();
        for at in all {
            assert!(names.insert((at, slab.stamp(at))), "round {round}");
            slab.remove(at);
        }
        assert_eq!(slab.places.len(), FEW, "round {round}");
    }
}

#[test]
fn room_follows_what_is_in_use_down_to_the_same() {
    for crowd in [40, 100, 1000, 10_000] {
        let mut slab = Slab::new();
        let resting: Vec<u32> = (0..5).map(|value| slab.insert(value).unwrap()).collect();
        assert_eq!(slab.room(), LEAST);
        let mut all: Vec<u32> = (0..crowd).map(|value| slab.insert(value).unwrap()).collect();
        let late = slab.insert(0).unwrap();
        let room = slab.room();
        assert!(room > all.len());
        // In an order that is neither that of coming nor its reverse.
        all.sort_by_key(|at| at.wrapping_mul(0x9E37_79B1));
        for at in all {
            assert!(slab.remove(at).is_some());
        }
        check(&slab);
        assert_eq!(slab.room(), room, "the last one keeps what is before it");
        assert!(slab.remove(late).is_some());
        // Bounded work each time, and all in all no more than once for each place.
        for _ in 0..crowd / (STEP * BITS) + 16 {
            let again = slab.insert(0).unwrap();
            assert_eq!(again, 5, "low numbers first");
            assert!(slab.remove(again).is_some());
        }
        check(&slab);
        assert_eq!((slab.room(), slab.places.len(), slab.free.capacity()), (LEAST, FEW, WORDS), "{crowd}");
        assert!(resting.iter().all(|&at| slab.remove(at).is_some()));
    }
}

#[test]
fn a_steady_number_of_entries_allocates_nothing_and_one_to_and_fro_moves_nothing() {
    let mut slab = Slab::new();
    let mut all: Vec<u32> = (0..1000).map(|value| slab.insert(value).unwrap()).collect();
    let room = slab.room();
    // Down to where memory goes back, then up and down again around it.
    while slab.room() == room {
        slab.remove(all.pop().unwrap());
    }
    let less = slab.room();
    assert!(less < room);
    for _ in 0..1000 {
        let at = slab.insert(0).unwrap();
        slab.remove(at);
        assert_eq!(slab.room(), less);
    }
}
