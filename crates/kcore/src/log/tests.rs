use super::*;

fn text(log: &mut Log, cursor: u64, room: usize) -> (String, u64) {
    let mut out = String::new();
    let next = log.read(cursor, room, &mut out);
    (out, next)
}

#[test]
fn whole_records_only_and_the_cursor_goes_on() {
    let mut log = Log::new(1_000).unwrap();
    log.write(Instant::from_nanos(1_500_000_000), Level::Info, "net", "up");
    log.write(Instant::from_nanos(2_000_000_000), Level::Error, "disk", "gone\x1b[2J");
    let (first, next) = text(&mut log, 0, 40);
    assert_eq!(first, "[    1.500000] [I] net: up\n");
    let (second, end) = text(&mut log, next, 100);
    assert_eq!(second, "[    2.000000] [E] disk: gone [2J\n");
    assert_eq!(text(&mut log, end, 100), (String::new(), 2));
    assert_eq!(text(&mut log, 99, 100), (String::new(), 2));
}

#[test]
fn the_oldest_make_room_and_a_late_reader_gets_what_is_left() {
    // Twelve bytes of each say when, how much it matters and how long it is.
    let mut log = Log::new(5 * (12 + 1 + 9)).unwrap();
    for _ in 0..100 {
        log.write(Instant::ZERO, Level::Debug, "a", "123456789");
    }
    let stats = log.stats();
    assert_eq!((stats.written, stats.available, stats.overwritten), (100, 5, 95));
    let (out, next) = text(&mut log, 3, 10_000);
    assert_eq!((out.lines().count(), next), (5, 100));
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let mut log = Log::new(10_000).unwrap();
    log.write(Instant::ZERO, Level::Info, "a", &"ä".repeat(400));
    assert!(text(&mut log, 0, 10_000).0.trim_end().ends_with('ä'));
}

proptest::proptest! {
    /// Against a list of lines, whatever was written and wherever a reader starts.
    #[test]
    fn it_keeps_the_newest_lines(steps in proptest::collection::vec((0..40_usize, "[a-z\u{7}\u{e4}]{0,30}", 0..60_u64), 1..120)) {
        let mut log = Log::new(700).unwrap();
        let mut lines = Vec::new();
        for (number, (what, word, cursor)) in (0_u64..).zip(steps) {
            let source = if what % 2 == 0 { "net" } else { "a program" };
            log.write(Instant::from_nanos(number * 1_000), Level::Warning, source, &word);
            lines.push(console_line(Instant::from_nanos(number * 1_000), Level::Warning, source, &word));
            let stats = log.stats();
            proptest::prop_assert_eq!(stats.written, lines.len() as u64);
            let first = cursor.max(stats.overwritten).min(stats.written);
            let (out, next) = text(&mut log, cursor, what * 20);
            proptest::prop_assert!(out.len() <= what * 20);
            let told = usize::try_from(first).unwrap()..usize::try_from(next).unwrap();
            proptest::prop_assert_eq!(out, lines[told].concat());
            // Whoever goes on where he stopped misses nothing.
            let (rest, end) = text(&mut log, next, usize::MAX);
            proptest::prop_assert_eq!(end, stats.written);
            proptest::prop_assert_eq!(rest, lines[usize::try_from(next).unwrap()..].concat());
        }
    }
}
