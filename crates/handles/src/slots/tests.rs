use super::*;

fn open<T>(slots: &mut Slots<T>, value: T) -> Handle {
    slots.open_vacant(value).map_err(|(_, error)| error).unwrap()
}

/// The free list holds every free slot once, linked both ways.
fn check<T>(slots: &Slots<T>) {
    let free = |at: u32| match *slots.slots.get(at as usize).unwrap() {
        Slot::Free { previous, next, .. } => (previous, next),
        Slot::Open { .. } | Slot::Reserved | Slot::Retired => panic!("slot {at} on the free list"),
    };
    let (mut previous, mut at, mut count) = (None, slots.free.map(|(oldest, _)| oldest), 0);
    while let Some(slot) = at {
        let (before, after) = free(slot);
        assert_eq!(before, previous);
        (previous, at, count) = (Some(slot), after, count + 1);
    }
    assert_eq!(previous, slots.free.map(|(_, newest)| newest));
    assert_eq!(count, slots.vacant);
    assert_eq!(count, slots.slots.iter().filter(|slot| matches!(slot, Slot::Free { .. })).count());
}

#[test]
fn numbers_never_return_and_worn_slots_are_retired() {
    let mut slots = Slots::new();
    let mut seen = std::collections::HashSet::new();
    // One slot is used 2^12 times, then the next takes its place.
    for use_of in 0..2 * GENERATIONS + 10 {
        let handle = open(&mut slots, use_of);
        assert!(seen.insert(handle) && handle.0 < 1 << 63);
        assert_eq!(slot_of(handle), 3 + usize::try_from(use_of / GENERATIONS).unwrap());
        assert_eq!(slots.close(handle), Some(use_of));
        check(&slots);
    }
    assert!(seen.iter().all(|&handle| slots.get(handle).is_none() && slots.get_mut(handle).is_none()));
    assert_eq!(slots.slots.iter().filter(|slot| matches!(slot, Slot::Retired)).count(), 2);
}

#[test]
fn the_slot_free_for_longest_is_used_first() {
    let mut slots = Slots::new();
    let handles: Vec<_> = (0..8).map(|n| open(&mut slots, n)).collect();
    for index in [4, 1, 6] {
        slots.close(handles[index]);
        check(&slots);
    }
    for slot in [7, 4, 9, 11] {
        assert_eq!(slot_of(open(&mut slots, 0)), slot);
        check(&slots);
    }
}

#[test]
fn standard_streams_are_opened_by_number_only_and_once() {
    let mut slots = Slots::new();
    assert_eq!(open(&mut slots, 'x'), Handle(3));
    assert_eq!(slots.vacant_at(Handle::STDOUT), Ok(()));
    slots.open(Handle::STDOUT, 'o');
    assert_eq!(slots.vacant_at(Handle::STDOUT), Err(Error::SlotTaken));
    assert_eq!(slots.close(Handle::STDOUT), Some('o'));
    assert_eq!(slots.vacant_at(Handle::STDOUT), Err(Error::SlotTaken));
    assert_eq!(open(&mut slots, 'y'), Handle(4));
    check(&slots);
}

#[test]
fn a_chosen_number_leaves_the_gap_usable() {
    let mut slots = Slots::new();
    assert_eq!(slots.vacant_at(Handle(9)), Ok(()));
    slots.open(Handle(9), 9);
    check(&slots);
    for n in 3..9 {
        assert_eq!(open(&mut slots, n), Handle(n));
        check(&slots);
    }
    assert_eq!(open(&mut slots, 10), Handle(10));
    assert_eq!(slots.vacant_at(Handle(1024)), Err(Error::Full));
    assert_eq!(slots.vacant_at(Handle::NONE), Err(Error::Full));
    // A slot that was used has another number now.
    slots.close(Handle(5));
    assert_eq!(slots.vacant_at(Handle(5)), Err(Error::SlotTaken));
}

#[test]
fn all_slots_in_use_is_full() {
    let mut slots = Slots::new();
    for n in 3..SLOTS_MAX {
        assert_eq!(open(&mut slots, ()).0, n as u64);
    }
    assert_eq!(slots.open_vacant(()), Err(((), Error::Full)));
    assert_eq!(slots.close(Handle(77)), Some(()));
    assert_eq!(slots.open_vacant(()), Ok(Handle(77 + (1 << 19))));
}
