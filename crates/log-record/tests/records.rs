//! The ring beside a list, lines beside a parser of JSON, fields from any bytes.

#![expect(clippy::unwrap_used, reason = "a helper of tests: what can't be ends the test")]

use proptest::prelude::*;
use swos_log_record::*;
use swos_units::Instant;

fn values() -> impl Strategy<Value = (String, u8, String, u64)> {
    (
        "[a-z][a-z0-9_.-]{0,8}",
        0..4_u8,
        ".{0,12}|[\u{0}-\u{1f}\u{7f}\u{85}\u{2028}\"\\\\= a]{0,12}",
        any::<u64>(),
    )
}

fn value<'a>(kind: u8, text: &'a str, number: u64) -> Value<'a> {
    match kind {
        0 => Value::Text(text),
        1 => Value::Unsigned(number),
        2 => Value::Signed(number.cast_signed()),
        _ => Value::Flag(number & 1 == 1),
    }
}

/// A line of one record.
fn line(write: fn(&Record<'_>, &mut Buffer<'_>) -> bool, record: &Record<'_>) -> String {
    let mut bytes = vec![0; LINE_MAX];
    let mut out = Buffer::new(&mut bytes);
    assert!(write(record, &mut out), "a line is longer than any may be");
    String::from_utf8(out.as_bytes().to_vec()).unwrap()
}

#[test]
fn lines_are_as_they_are_written_down() {
    let mut bytes = [0; FIELDS_BYTES_MAX];
    let mut fields = FieldWriter::new(&mut bytes);
    fields.push("peer", Value::Text("10.0.2.2")).unwrap();
    fields.push("agent", Value::Text("a \"b\"\n")).unwrap();
    fields.push("status", Value::Unsigned(200)).unwrap();
    fields.push("delta", Value::Signed(-5)).unwrap();
    fields.push("kept", Value::Flag(true)).unwrap();
    fields.push("none", Value::Text("")).unwrap();
    let record = Record {
        at: Instant::from_nanos(12_345_678_901),
        level: Level::Warning,
        source: "httpd",
        pid: 7,
        principal: 2,
        text: "re\u{1b}[2Jquest",
        fields: fields.finish(),
    };
    assert_eq!(
        line(text, &record),
        "[   12.345678] [W] httpd: re [2Jquest peer=10.0.2.2 agent=\"a \\\"b\\\" \" status=200 delta=-5 kept=true none=\"\"\n"
    );
    assert_eq!(
        line(json, &record),
        "{\"time\":12.345678901,\"level\":\"warning\",\"source\":\"httpd\",\"pid\":7,\"principal\":2,\
         \"text\":\"re\\u001b[2Jquest\",\"fields\":{\"peer\":\"10.0.2.2\",\"agent\":\"a \\\"b\\\"\\u000a\",\"status\":200,\
         \"delta\":-5,\"kept\":true,\"none\":\"\"}}\n"
    );
    let late = Record { at: Instant::from_nanos(123_456_000_000_000), ..Record::default() };
    assert_eq!(line(text, &late), "[123456.000000] [D] : \n");
}

#[test]
fn the_longest_record_is_a_line() {
    let mut bytes = [0; FIELDS_BYTES_MAX];
    let mut fields = FieldWriter::new(&mut bytes);
    let long = "\u{1}".repeat(FIELDS_BYTES_MAX - 5);
    fields.push("a", Value::Text(&long)).unwrap();
    let (source, words) = ("\u{1}".repeat(99), "\u{1}".repeat(999));
    let record = Record { source: &source, text: &words, fields: fields.finish(), ..Record::default() };
    let mut ring = Ring::new(RECORD_MAX).unwrap();
    ring.push(&record);
    ring.read(0, |_, stored| {
        assert_eq!((stored.source.len(), stored.text.len()), (SOURCE_MAX, TEXT_MAX));
        assert!(line(json, stored).len() <= LINE_MAX && line(text, stored).len() <= LINE_MAX);
        true
    });
    assert_eq!(Ring::new(RECORD_MAX - 1).err(), Some(NoMemory));
}

#[test]
fn fields_that_can_not_be_are_refused() {
    let field = |kind: u8, key: &str, value: &[u8]| {
        let len = u16::try_from(value.len()).unwrap().to_le_bytes();
        [&[kind, u8::try_from(key.len()).unwrap(), len[0], len[1]], key.as_bytes(), value].concat()
    };
    let good = field(1, "n", &7_u64.to_le_bytes());
    assert_eq!(Fields::parse(&good).map(|fields| fields.iter().count()), Ok(1));
    for (bytes, why) in [
        (field(1, "", &[0; 8]), Refused::Key),
        (field(1, "N", &[0; 8]), Refused::Key),
        (field(1, "1n", &[0; 8]), Refused::Key),
        (field(1, "a b", &[0; 8]), Refused::Key),
        (field(1, "a\"", &[0; 8]), Refused::Key),
        (field(1, &"n".repeat(33), &[0; 8]), Refused::Key),
        (field(1, "n", &[0; 7]), Refused::Value),
        (field(3, "n", &[2]), Refused::Value),
        (field(3, "n", &[]), Refused::Value),
        (field(0, "n", &[0xFF]), Refused::Value),
        (field(4, "n", &[]), Refused::Value),
        ([good.clone(), good.clone()].concat(), Refused::Twice),
        (good[..good.len() - 1].to_vec(), Refused::Cut),
        (vec![0; 3], Refused::Cut),
        ((0..17).flat_map(|n| field(3, &format!("n{n}"), &[1])).collect(), Refused::TooMany),
        (vec![0; FIELDS_BYTES_MAX + 1], Refused::TooMany),
    ] {
        assert_eq!(Fields::parse(&bytes), Err(why), "{bytes:?}");
    }
}

#[test]
fn a_filter_has_one_threshold_and_others_by_source() {
    let mut filter = Filter::new();
    assert!(filter.admits("net", Level::Debug));
    filter.set_all(Threshold::From(Level::Warning));
    assert!(filter.set("net", Some(Threshold::From(Level::Debug))));
    assert!(filter.set("httpd", Some(Threshold::Off)));
    for (source, level, kept) in [
        ("net", Level::Debug, true),
        ("nets", Level::Info, false),
        ("ne", Level::Info, false),
        ("disk", Level::Warning, true),
        ("httpd", Level::Error, false),
    ] {
        assert_eq!(filter.admits(source, level), kept, "{source}");
    }
    assert!(filter.set("net", None) && filter.set("never", None));
    assert!(!filter.admits("net", Level::Info));
    filter.set_all(Threshold::Off);
    assert!(!filter.admits("disk", Level::Error));
    let taken = (0..99).filter(|n| filter.set(&format!("source-{n}"), Some(Threshold::Off))).count();
    assert_eq!(taken + 1, SOURCES_MAX);
    assert!(filter.set("source-1", Some(Threshold::From(Level::Info))), "one that is there can change");
}

#[test]
fn the_newest_are_the_newest() {
    let mut ring = Ring::new(2 * RECORD_MAX).unwrap();
    for n in 0..1_000_u32 {
        ring.push(&Record { pid: n, text: "of some length", ..Record::default() });
    }
    let stats = ring.stats();
    assert_eq!((stats.written, stats.available + stats.overwritten), (1_000, 1_000));
    let mut pids = Vec::new();
    assert_eq!(
        ring.read(stats.written - 5, |number, record| {
            pids.push((number, record.pid));
            true
        }),
        1_000
    );
    assert_eq!(pids, (995..1_000).map(|n| (u64::from(n), n)).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn a_ring_holds_the_newest_whole_records(
        sizes in prop::collection::vec((0..600_usize, 0..40_usize), 1..200),
        capacity in RECORD_MAX..3 * RECORD_MAX,
        cursor in 0..200_u64,
    ) {
        let mut ring = Ring::new(capacity).unwrap();
        let mut all = Vec::new();
        for (n, (text, source)) in (0..).zip(&sizes) {
            let (text, source) = ("t".repeat(*text), "s".repeat(*source));
            ring.push(&Record { pid: n, text: &text, source: &source, ..Record::default() });
            all.push((u64::from(n), text[..text.len().min(TEXT_MAX)].to_owned(), source[..source.len().min(SOURCE_MAX)].to_owned()));
        }
        let mut seen = Vec::new();
        let next = ring.read(cursor, |number, record| {
            assert_eq!(u64::from(record.pid), number);
            seen.push((number, record.text.to_owned(), record.source.to_owned()));
            true
        });
        prop_assert_eq!(next, all.len() as u64);
        let lost = ring.stats().overwritten.max(cursor.min(next));
        prop_assert_eq!(&seen, &all[usize::try_from(lost).unwrap()..]);
        // Going on piece by piece, and starting over in between, tells the same.
        let mut again = Vec::new();
        let mut from = cursor;
        while from < next {
            let mut one = None;
            from = ring.read(from, |number, record| {
                let first = one.is_none();
                if first {
                    one = Some((number, record.text.to_owned(), record.source.to_owned()));
                }
                first
            });
            again.extend(one);
            ring.read(cursor / 2, |_, _| false);
        }
        prop_assert_eq!(&again, &seen);
        // One more would not have fit.
        let bytes = |(_, text, source): &(u64, String, String)| 22 + text.len() + source.len();
        let from = usize::try_from(ring.stats().overwritten).unwrap();
        let held: usize = all[from..].iter().map(bytes).sum();
        prop_assert!(held <= capacity);
        if from > 0 {
            prop_assert!(held + bytes(&all[from - 1]) > capacity);
        }
    }

    #[test]
    fn json_says_what_was_said(
        source in ".{0,8}", words in ".{0,40}|[\u{0}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\"\\\\]{0,40}",
        given in prop::collection::vec(values(), 0..8), level in 0..4_u32, at in any::<u64>(), pid in any::<u32>(),
    ) {
        let mut bytes = [0; FIELDS_BYTES_MAX];
        let mut fields = FieldWriter::new(&mut bytes);
        let mut kept = serde_json::Map::new();
        for (key, kind, text, number) in &given {
            let value = value(*kind, text, *number);
            if fields.push(key, value).is_ok() {
                let json = match value {
                    Value::Text(text) => text.into(),
                    Value::Unsigned(number) => number.into(),
                    Value::Signed(number) => number.into(),
                    Value::Flag(flag) => flag.into(),
                };
                prop_assert!(kept.insert(key.clone(), json).is_none());
            }
        }
        let fields = fields.finish();
        prop_assert_eq!(Fields::parse(fields.as_bytes()), Ok(fields));
        let level = Level::from_number(level).unwrap();
        let record = Record { at: Instant::from_nanos(at), level, source: &source, pid, principal: 3, text: &words, fields };
        let mut ring = Ring::new(RECORD_MAX).unwrap();
        ring.push(&record);
        let mut json_line = String::new();
        let mut text_line = String::new();
        ring.read(0, |_, stored| {
            assert_eq!(*stored, record);
            (json_line, text_line) = (line(json, stored), line(text, stored));
            true
        });
        for line in [&json_line, &text_line] {
            let inside = line.strip_suffix('\n').unwrap();
            prop_assert!(!inside.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}'), "{line:?}");
        }
        let parsed: serde_json::Value = serde_json::from_str(&json_line).unwrap();
        prop_assert_eq!(&parsed["text"], &serde_json::Value::from(words.as_str()));
        prop_assert_eq!(&parsed["source"], &serde_json::Value::from(source.as_str()));
        prop_assert_eq!(&parsed["level"], &serde_json::Value::from(level.name()));
        prop_assert_eq!(parsed["pid"].as_u64(), Some(u64::from(pid)));
        let expected = if kept.is_empty() { serde_json::Value::Null } else { kept.into() };
        prop_assert_eq!(&parsed["fields"], &expected);
    }

    #[test]
    fn any_bytes_are_fields_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), kinds in 0..5_u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kinds;
        }
        if let Ok(fields) = Fields::parse(&bytes) {
            let mut again = [0; FIELDS_BYTES_MAX];
            let mut writer = FieldWriter::new(&mut again);
            for field in fields.iter() {
                writer.push(field.key, field.value).unwrap();
            }
            prop_assert_eq!(writer.finish().as_bytes(), bytes);
        }
    }
}
