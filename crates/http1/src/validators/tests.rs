use super::*;
use crate::{Limits, Scan};

fn outcome(fields: &str) -> Outcome {
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
    let length = Scan::new().advance(&bytes, &Limits::DEFAULT).unwrap().unwrap();
    let head = Head::parse(&bytes[..length]).unwrap();
    weigh(&head, &bytes, &Current { etag: Some(b"\"now\""), modified: Some(784_111_777) })
}

const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

#[test]
fn conditions() {
    let honour = Outcome::Proceed(RangeUse::Honour);
    for (fields, expected) in [
        (String::new(), honour),
        ("If-None-Match: \"now\"\r\n".into(), Outcome::NotModified),
        ("If-None-Match: W/\"now\"\r\n".into(), Outcome::NotModified),
        ("If-None-Match: \"a,b\", \"now\"\r\n".into(), Outcome::NotModified),
        ("If-None-Match: \"a\"\r\nX: y\r\nIf-None-Match: \"now\"\r\n".into(), Outcome::NotModified),
        // Lines of one name are one list, and what lies between them is no part of it.
        ("If-None-Match: \"a\"\r\nX: \"now\"\r\nIf-None-Match: \"b\"\r\n".into(), honour),
        ("If-None-Match: \"a\"\r\nX: it\"s\r\nIF-NONE-MATCH:W/\"now\"\r\n".into(), Outcome::NotModified),
        ("If-None-Match: \"a\r\nIf-None-Match: \"now\"\r\n".into(), Outcome::NotModified),
        ("If-None-Match: \"now\"\r\nIf-None-Match: \"b\"\r\n".into(), Outcome::NotModified),
        ("If-None-Match: \"a\"\r\nIf-None-Match-Not: \"now\"\r\nIf-None-Match: \"b\"\r\n".into(), honour),
        ("If-None-Match: \"a\"\r\nIf-None-Match: *\r\n".into(), honour),
        ("If-Match: \"a\"\r\nX: \"now\"\r\nIf-Match: \"b\"\r\n".into(), Outcome::Failed),
        ("If-Match: \"a\"\r\nIf-Match: \"now\"\r\n".into(), honour),
        ("If-None-Match: *\r\n".into(), Outcome::NotModified),
        ("If-None-Match: \"old\"\r\n".into(), honour),
        ("If-None-Match: now\r\n".into(), honour),
        ("If-None-Match: \"now\r\n".into(), honour),
        (format!("If-None-Match: \"old\"\r\nIf-Modified-Since: {SAME}\r\n"), honour),
        (format!("If-Modified-Since: {SAME}\r\n"), Outcome::NotModified),
        (format!("If-Modified-Since: {BEFORE}\r\n"), honour),
        ("If-Modified-Since: soon\r\n".into(), honour),
        ("If-Match: \"now\"\r\n".into(), honour),
        ("If-Match: W/\"now\"\r\n".into(), Outcome::Failed),
        ("If-Match: \"old\"\r\n".into(), Outcome::Failed),
        ("If-Match: *\r\n".into(), honour),
        (format!("If-Unmodified-Since: {BEFORE}\r\n"), Outcome::Failed),
        (format!("If-Unmodified-Since: {SAME}\r\n"), honour),
        (format!("If-Match: \"now\"\r\nIf-Unmodified-Since: {BEFORE}\r\n"), honour),
        ("If-Range: \"now\"\r\n".into(), honour),
        ("If-Range: \"old\"\r\n".into(), Outcome::Proceed(RangeUse::Ignore)),
        ("If-Range: W/\"now\"\r\n".into(), Outcome::Proceed(RangeUse::Ignore)),
        (format!("If-Range: {SAME}\r\n"), honour),
        (format!("If-Range: {BEFORE}\r\n"), Outcome::Proceed(RangeUse::Ignore)),
    ] {
        assert_eq!(outcome(&fields), expected, "{fields}");
    }
}
