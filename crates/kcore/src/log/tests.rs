use super::*;

fn text(log: &Log, cursor: u64, room: usize) -> (String, u64) {
    let mut out = String::new();
    let next = log.read(cursor, room, &mut out);
    (out, next)
}

#[test]
fn whole_records_only_and_the_cursor_goes_on() {
    let mut log = Log::new(1_000);
    log.write(Instant::from_nanos(1_500_000_000), Level::Info, "net", "up");
    log.write(Instant::from_nanos(2_000_000_000), Level::Error, "disk", "gone\x1b[2J");
    let (first, next) = text(&log, 0, 40);
    assert_eq!(first, "[    1.500000] [I] net: up\n");
    let (second, end) = text(&log, next, 100);
    assert_eq!(second, "[    2.000000] [E] disk: gone [2J\n");
    assert_eq!(text(&log, end, 100), (String::new(), 2));
    assert_eq!(text(&log, 99, 100), (String::new(), 2));
}

#[test]
fn the_oldest_make_room_and_a_late_reader_gets_what_is_left() {
    let mut log = Log::new(50);
    for _ in 0..100 {
        log.write(Instant::ZERO, Level::Debug, "a", "123456789");
    }
    let stats = log.stats();
    assert_eq!((stats.written, stats.available, stats.overwritten), (100, 5, 95));
    let (out, next) = text(&log, 3, 10_000);
    assert_eq!((out.lines().count(), next), (5, 100));
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let mut log = Log::new(10_000);
    log.write(Instant::ZERO, Level::Info, "a", &"ä".repeat(400));
    assert!(text(&log, 0, 10_000).0.trim_end().ends_with('ä'));
}
