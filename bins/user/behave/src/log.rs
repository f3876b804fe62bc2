//! The log: records, fields, lines, filters.

use alloc::{format, string::String, vec, vec::Vec};

use swos_ulib::{
    abi::Errno,
    log::{
        self, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_INHERIT, LOG_JSON, LOG_OFF, LOG_TEXT, LOG_WARNING, Value,
    },
    process, sys,
    testing::{equal, text},
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "log",
    checks: &[
        ("a text is a line", a_line),
        ("a record with fields is a line of JSON", a_json_line),
        ("fields follow the text in a line", fields_in_text),
        ("a record names its process", who),
        ("a program can not write two lines", one_line),
        ("bytes that are no text are shown as such", no_text),
        ("fields that can not be are refused", bad_fields),
        ("a level that is none is refused", bad_level),
        ("a format that is none is refused", bad_format),
        ("a buffer too small for a record is refused", small),
        ("a cursor goes on where it was", cursor),
        ("what the filter keeps out is not there", filtered),
        ("a source may say more than others", louder),
        ("a source may be silenced", silenced),
        ("filters refuse what can not be", bad_filter),
        ("a child is recorded under its own number", child_record),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    match deed {
        "speak" => {
            log::write(LOG_WARNING, format_args!("a child speaks"));
            process::id().cast_signed()
        }
        _ => UNKNOWN,
    }
}

/// The lines after `cursor`, which moves to the end.
fn lines(cursor: &mut u64, format: u32) -> Result<Vec<String>, String> {
    let mut buffer = vec![0; 8192];
    let mut all = Vec::new();
    loop {
        let count = log::export(cursor, &mut buffer, format).map_err(text)?;
        if count == 0 {
            return Ok(all);
        }
        let lines = str::from_utf8(buffer.get(..count).unwrap_or_default()).map_err(text)?;
        all.extend(lines.lines().map(String::from));
    }
}

/// Lines that come of what `act` does.
fn said(format: u32, act: impl FnOnce()) -> Result<Vec<String>, String> {
    let mut cursor = 0;
    lines(&mut cursor, format)?;
    act();
    lines(&mut cursor, format)
}

fn ends_with(lines: &[String], end: &str) -> Result<(), String> {
    match lines {
        [line] if line.ends_with(end) => Ok(()),
        other => Err(format!("{other:?} instead of ..{end}")),
    }
}

fn a_line() -> Result<(), String> {
    let lines = said(LOG_TEXT, || log::write(LOG_INFO, format_args!("some words")))?;
    ends_with(&lines, "] [I] behave: some words")
}

fn speak() {
    let fields = [
        ("path", Value::Text("/a \"b\"")),
        ("count", Value::Unsigned(u64::MAX)),
        ("delta", Value::Signed(-3)),
        ("fine", Value::Flag(true)),
        ("No Key", Value::Flag(true)),
        ("fine", Value::Flag(false)),
    ];
    log::record(LOG_ERROR, "particulars", &fields);
}

fn a_json_line() -> Result<(), String> {
    let lines = said(LOG_JSON, speak)?;
    ends_with(
        &lines,
        "\"text\":\"particulars\",\"fields\":{\"path\":\"/a \\\"b\\\"\",\"count\":18446744073709551615,\"delta\":-3,\"fine\":true}}",
    )
}

fn fields_in_text() -> Result<(), String> {
    let lines = said(LOG_TEXT, speak)?;
    let end = "[E] behave: particulars path=\"/a \\\"b\\\"\" count=18446744073709551615 delta=-3 fine=true";
    ends_with(&lines, end)
}

fn who() -> Result<(), String> {
    let lines = said(LOG_JSON, || log::write(LOG_DEBUG, format_args!("me")))?;
    let end = format!(
        ",\"level\":\"debug\",\"source\":\"behave\",\"pid\":{},\"principal\":1,\"text\":\"me\"}}",
        process::id()
    );
    ends_with(&lines, &end)
}

fn one_line() -> Result<(), String> {
    let forged = "a\n[    0.000000] [E] kernel: panic\x1b[2J\u{2028}b";
    let lines = said(LOG_TEXT, || log::write(LOG_INFO, format_args!("{forged}")))?;
    ends_with(&lines, "behave: a [    0.000000] [E] kernel: panic [2J b")?;
    let lines = said(LOG_JSON, || log::write(LOG_INFO, format_args!("{forged}")))?;
    ends_with(&lines, "\"text\":\"a\\u000a[    0.000000] [E] kernel: panic\\u001b[2J\\u2028b\"}")
}

fn no_text() -> Result<(), String> {
    let lines = said(LOG_TEXT, || {
        let _taken = sys::log_write(LOG_INFO, b"x\xFF\xC3y");
    })?;
    ends_with(&lines, "behave: x\u{FFFD}\u{FFFD}y")
}

fn bad_fields() -> Result<(), String> {
    let lines = said(LOG_TEXT, || {
        for fields in [&[9, 1, 0, 0, b'a'][..], &[3, 1, 1, 0, b'a', 2], &[3, 1, 1, 0, b'A', 1], &[0; 3]] {
            log::write(LOG_DEBUG, format_args!("{:?}", sys::log_record(LOG_INFO, b"x", fields)));
        }
        log::write(LOG_DEBUG, format_args!("{:?}", sys::log_record(LOG_INFO, b"x", &[0; 513])));
    })?;
    let answers: Vec<_> = lines.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    let refused = "Err(EINVAL)";
    equal(answers, vec![refused, refused, refused, refused, "Err(ETOOBIG)"])
}

fn bad_level() -> Result<(), String> {
    equal(sys::log_write(4, b"x"), Err(Errno::INVAL))?;
    equal(sys::log_record(99, b"x", &[]), Err(Errno::INVAL))
}

fn bad_format() -> Result<(), String> {
    equal(log::export(&mut 0, &mut [0; 64], 2), Err(Errno::INVAL))
}

fn small() -> Result<(), String> {
    log::write(LOG_INFO, format_args!("a record"));
    equal(log::export(&mut 0, &mut [0; 8], LOG_TEXT), Err(Errno::RANGE))?;
    equal(log::export(&mut 0, &mut [0; 8], LOG_JSON), Err(Errno::RANGE))
}

fn cursor() -> Result<(), String> {
    let mut cursor = 0;
    lines(&mut cursor, LOG_TEXT)?;
    let before = cursor;
    for n in 0..3 {
        log::write(LOG_INFO, format_args!("number {n}"));
    }
    let mut buffer = [0; 64];
    let mut rounds = 0;
    while log::export(&mut cursor, &mut buffer, LOG_TEXT).map_err(text)? > 0 {
        rounds += 1;
    }
    equal((cursor - before, rounds), (3, 3))?;
    equal(log::export(&mut cursor, &mut buffer, LOG_TEXT), Ok(0))
}

/// All four levels, by what is left of them.
fn levels() -> Result<String, String> {
    let lines = said(LOG_TEXT, || {
        for level in [LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR] {
            log::write(level, format_args!("{level}"));
        }
    })?;
    Ok(lines.iter().filter_map(|line| line.rsplit(' ').next()).collect())
}

fn filtered() -> Result<(), String> {
    equal(levels()?.as_str(), "0123")?;
    log::filter(LOG_WARNING, "").map_err(text)?;
    let left = levels();
    log::filter(LOG_DEBUG, "").map_err(text)?;
    equal(left?.as_str(), "23")?;
    equal(levels()?.len(), 4)
}

fn louder() -> Result<(), String> {
    log::filter(LOG_ERROR, "").map_err(text)?;
    log::filter(LOG_INFO, "behave").map_err(text)?;
    let left = levels();
    log::filter(LOG_INHERIT, "behave").map_err(text)?;
    let inherited = levels();
    log::filter(LOG_DEBUG, "").map_err(text)?;
    equal((left?.as_str(), inherited?.as_str()), ("123", "3"))
}

fn silenced() -> Result<(), String> {
    log::filter(LOG_OFF, "behave").map_err(text)?;
    let left = levels();
    log::filter(LOG_INHERIT, "behave").map_err(text)?;
    equal(left?.as_str(), "")?;
    equal(levels()?.len(), 4)
}

fn bad_filter() -> Result<(), String> {
    equal(log::filter(6, "behave"), Err(Errno::INVAL))?;
    equal(log::filter(LOG_INHERIT, ""), Err(Errno::INVAL))?;
    equal(log::filter(LOG_INFO, "a name of more than thirty-two bytes"), Err(Errno::NAMETOOLONG))?;
    let mut taken = 0;
    while log::filter(LOG_INFO, &format!("source-{taken}")).is_ok() && taken < 1_000 {
        taken += 1;
    }
    let refused = log::filter(LOG_INFO, "one-more");
    for n in 0..taken {
        log::filter(LOG_INHERIT, &format!("source-{n}")).map_err(text)?;
    }
    equal((taken, refused), (64, Err(Errno::NOSPC)))
}

fn child_record() -> Result<(), String> {
    let mut status = None;
    let lines = said(LOG_JSON, || status = crate::child(AREA.name, "speak").status().ok())?;
    let pid = status.and_then(|status| status.code()).unwrap_or(0);
    let found = lines.iter().any(|line| line.contains(&format!("\"source\":\"behave\",\"pid\":{pid},")));
    equal((found, pid == process::id().cast_signed()), (true, false))
}
