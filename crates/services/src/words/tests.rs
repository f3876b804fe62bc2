use super::*;

#[test]
fn words_and_quotes() {
    let cases: [(&str, &[&str]); 6] = [
        ("a", &["a"]),
        ("  a\t b  ", &["a", "b"]),
        ("\"a b\" \"\" c", &["a b", "", "c"]),
        ("--x=1 #no-comment", &["--x=1", "#no-comment"]),
        ("\u{fc}ber \"\u{20ac} 5\"", &["\u{fc}ber", "\u{20ac} 5"]),
        ("", &[]),
    ];
    for (value, words) in cases {
        let parsed = Words::new(value).unwrap();
        assert!(parsed.into_iter().eq(words.iter().copied()), "{value}");
        assert_eq!((Words::new(&parsed.to_string()), parsed.is_empty()), (Ok(parsed), words.is_empty()));
    }
    assert_eq!(format!("{} {:?}", Words("a  \"b c\""), Words("a b")), "a \"b c\" [\"a\", \"b\"]");
}

#[test]
fn broken_quotes_are_found_where_they_are() {
    for (value, at) in
        [("a \"b", 2), ("a\"b\"", 1), ("\"a\"b", 3), ("\"a\"\"b\"", 3), ("\"", 0), ("a \"b\" c\"", 7)]
    {
        assert_eq!(Words::new(value), Err((at, Problem::Quote)), "{value}");
    }
}
