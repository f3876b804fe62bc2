use proptest::prelude::*;

use super::*;

#[test]
fn the_standard_s_example_in_three_forms() {
    for text in
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    {
        assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
    }
    assert_eq!(&format(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(&format(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(&format(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
}

#[test]
fn every_day_of_four_centuries_agrees_with_counting() {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = |year| [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut day = 0;
    for year in 1970..2400 {
        for (month, length) in (1..).zip(lengths(year)) {
            for day_of_month in 1..=length {
                assert_eq!(civil(day), (year, month, day_of_month));
                assert_eq!(days(year, month, day_of_month), Some(day));
                day += 1;
            }
        }
    }
}

#[test]
fn what_is_no_date() {
    for text in [
        "",
        "Sun",
        "Sun, ",
        "0",
        "Sun, 31 Feb 2001 00:00:00 GMT",
        "Sun, 00 Jan 2001 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun Nov 06 08:49:37 94",
        "+un, +6 Nov 1994 +8:49:37 GMT",
    ] {
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn formatted_dates_parse_back(seconds in 0..=LAST) {
        prop_assert_eq!(parse(&format(seconds)), Some(seconds));
    }

    #[test]
    fn parsing_never_panics(text: Vec<u8>) {
        let _ = parse(&text);
    }
}
