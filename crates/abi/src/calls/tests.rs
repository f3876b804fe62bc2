use super::*;
use proptest::prelude::*;

#[test]
fn numbers_and_names_are_unique_and_ordered() {
    for pair in CALLS.windows(2) {
        assert!(pair[0].number < pair[1].number, "{} after {}", pair[1].name, pair[0].name);
    }
    let mut names: Vec<_> = CALLS.iter().map(|call| call.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CALLS.len());
    assert!(CALLS.iter().all(|call| call.arguments.len() <= 6));
}

#[test]
fn paths_are_found_where_calls_are_told_them() {
    let path = |number| CALLS.iter().find(|call| call.number == number).unwrap().path();
    assert_eq!(path(NR_OPEN), Some(PathIn::Argument(1)));
    assert_eq!((path(NR_SPAWN), path(NR_EXEC)), (Some(PathIn::SpawnArgs(0)), Some(PathIn::SpawnArgs(0))));
    assert_eq!((path(NR_GETPID), path(NR_READ), path(NR_USAGE)), (None, None, None));
    let of_records = CALLS.iter().filter(|call| matches!(call.path(), Some(PathIn::SpawnArgs(_))));
    assert!(of_records.map(|call| call.number).eq([NR_SPAWN, NR_EXEC]));
}

#[test]
fn errnos_are_unique_and_ordered() {
    for pair in Errno::TABLE.windows(2) {
        assert!(pair[0].0.get() < pair[1].0.get(), "{}", pair[1].1);
    }
}

#[test]
fn a_negative_status_arrives_in_both_spellings() {
    assert_eq!(Call::decode(NR_EXIT, [u64::MAX, 0, 0, 0, 0, 0]), Ok(Call::Exit { status: -1 }));
    assert_eq!(Call::decode(NR_EXIT, [0xFFFF_FFFF, 0, 0, 0, 0, 0]), Ok(Call::Exit { status: -1 }));
    assert_eq!(Call::decode(NR_EXIT, [1 << 32, 0, 0, 0, 0, 0]), Err(Errno::INVAL));
}

proptest! {
    #[test]
    fn decoding_is_total(number in 0..200_u64, arguments: [u64; 6]) {
        let known = CALLS.iter().any(|call| call.number == number);
        prop_assert_eq!(Call::decode(number, arguments) == Err(Errno::NOSYS), !known);
    }

    #[test]
    fn results_round_trip(value in 0..=i64::MAX.cast_unsigned()) {
        prop_assert_eq!(crate::result_from_raw(crate::result_to_raw(Ok(value))), Ok(value));
    }
}
