use proptest::prelude::*;

use super::*;

fn range(first: u64, count: u32) -> Option<Range> {
    Some(Range { first, count })
}

#[test]
fn windows_double_while_a_file_is_read_in_order() {
    let mut ahead = ReadAhead::new(32);
    let mut asked = Vec::new();
    for page in 0..100 {
        if let Some(range) = ahead.on_read(page, 1, 1000) {
            asked.push((page, range.first, range.count));
        }
    }
    // Each window is asked for when the one before is entered.
    assert_eq!(
        asked,
        [(0, 1, 4), (1, 5, 8), (5, 13, 16), (13, 29, 32), (29, 61, 32), (61, 93, 32), (93, 125, 32)]
    );
}

#[test]
fn a_jump_closes_the_window_and_order_opens_it_again() {
    let mut ahead = ReadAhead::new(32);
    assert_eq!(ahead.on_read(0, 2, 1000), range(2, 4));
    assert_eq!(ahead.on_read(500, 1, 1000), None);
    assert_eq!(ahead.on_read(300, 1, 1000), None);
    assert_eq!(ahead.on_read(301, 1, 1000), range(302, 4));
    assert_eq!(
        ahead.on_read(301, 1, 1000),
        None,
        "the same page again is in order, and asks for nothing new"
    );
    assert_eq!(ahead.on_read(302, 1, 1000), range(306, 8));
}

#[test]
fn nothing_beyond_the_end_and_nothing_when_switched_off() {
    let mut ahead = ReadAhead::new(32);
    assert_eq!(ahead.on_read(0, 1, 3), range(1, 2));
    assert_eq!(ahead.on_read(1, 1, 3), None);
    assert_eq!(ahead.on_read(2, 1, 3), None);
    assert_eq!(ahead.on_read(u64::MAX, u32::MAX, 3), None);
    assert_eq!(ReadAhead::new(0).on_read(0, 1, 100), None);
}

proptest! {
    #[test]
    fn ranges_lie_ahead_inside_the_file_and_do_not_repeat(
        reads in prop::collection::vec((0_u64..60, 1_u32..20, any::<bool>()), 1..60),
        pages in 1_u64..200,
        max in 1_u32..64,
    ) {
        let mut ahead = ReadAhead::new(max);
        let mut at = 0;
        let mut until = 0;
        for (jump, count, in_order) in reads {
            let first = if in_order { at } else { jump };
            if first != at { until = 0; }
            at = (first + u64::from(count)).min(pages);
            if let Some(range) = ahead.on_read(first, count, pages) {
                prop_assert!(range.count >= 1 && range.count <= max);
                prop_assert!(range.first >= at && range.first + u64::from(range.count) <= pages);
                prop_assert!(range.first >= until, "asked for twice");
                until = range.first + u64::from(range.count);
            }
        }
    }
}
