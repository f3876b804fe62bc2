use proptest::prelude::*;

use super::*;

#[test]
fn examples_of_the_standard_and_its_edges() {
    use Selection::{Part, Unsatisfiable, Whole};
    let part = |start, length| Part { start, length };
    for (value, expected) in [
        ("bytes=0-499", part(0, 499 + 1)),
        ("bytes=500-999", part(500, 500)),
        ("bytes=-500", part(9_500, 500)),
        ("bytes=9500-", part(9_500, 500)),
        ("bytes=0-0", part(0, 1)),
        ("BYTES=9999-20000", part(9_999, 1)),
        ("bytes=-20000", part(0, 10_000)),
        ("bytes=-0", Unsatisfiable),
        ("bytes=10000-", Unsatisfiable),
        ("bytes=10000-10001", Unsatisfiable),
        ("bytes=5-4", Whole),
        ("bytes=0-0,2-3", Whole),
        ("bytes=10000-,0-1", Whole),
        ("bytes=-", Whole),
        ("bytes=a-b", Whole),
        ("bytes=1", Whole),
        ("bytes=1 - 2", Whole),
        ("bytes", Whole),
        ("", Whole),
        ("lines=0-1", Whole),
        ("bytes=99999999999999999999-", Whole),
    ] {
        assert_eq!(select(value.as_bytes(), 10_000), expected, "{value}");
    }
    assert_eq!((select(b"bytes=0-", 0), select(b"bytes=-5", 0)), (Unsatisfiable, Unsatisfiable));
}

proptest! {
    #[test]
    fn a_part_is_what_a_list_of_positions_says(first in 0..20_u64, last in 0..20_u64, size in 0..15_u64) {
        let wanted: Vec<u64> = (0..size).filter(|at| (first..=last).contains(at)).collect();
        let expected = match (first <= last, wanted.first()) {
            (false, _) => Selection::Whole,
            (true, None) => Selection::Unsatisfiable,
            (true, Some(&start)) => Selection::Part { start, length: wanted.len() as u64 },
        };
        prop_assert_eq!(select(format!("bytes={first}-{last}").as_bytes(), size), expected);
    }

    #[test]
    fn any_value_gives_a_part_of_the_file(value: Vec<u8>, size: u64) {
        let mut field = b"bytes=".to_vec();
        field.extend(value);
        if let Selection::Part { start, length } = select(&field, size) {
            prop_assert!(length > 0 && start.checked_add(length).is_some_and(|end| end <= size));
        }
    }
}
