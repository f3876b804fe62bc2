use core::cell::Cell;

use super::*;

#[test]
fn an_id_does_not_come_again_for_two_thousand_million_others() {
    let mut ids = Ids::default();
    let first: Vec<u32> = (0..1000).map(|_| ids.next(|_| false)).collect();
    assert!(first.is_sorted_by(|one, next| one < next), "each is new");
    assert_eq!((first[0], first[999]), (INIT_PID, 1000));
    // All others up to the last were given meanwhile.
    ids = Ids(PID_MAX - 1);
    assert_eq!(ids.next(|_| false), PID_MAX);
    assert!(i32::try_from(PID_MAX).is_ok());
}

#[test]
fn whoever_still_lives_keeps_its_id_and_costs_no_search() {
    // Sixty thousand that were given one after the other, and the counter has come round to them.
    let looks = Cell::new(0);
    let taken = |pid| {
        looks.set(looks.get() + 1);
        pid <= 60_000
    };
    let mut ids = Ids(PID_MAX);
    let given: Vec<u32> = (0..1000).map(|_| ids.next(taken)).collect();
    assert!(given.iter().all(|&pid| pid > 60_000 && pid <= PID_MAX));
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len(), "each is new");
    assert!(looks.get() <= 1001, "{} looks", looks.get());
}

#[test]
fn the_last_free_id_is_found() {
    // In a small world of the same rule: any step leads to every id, since there is a prime number of them.
    assert_eq!((2..46_341).find(|divisor| PID_MAX.is_multiple_of(*divisor)), None);
    assert_ne!(STEP_OVER % PID_MAX, 0);
}
