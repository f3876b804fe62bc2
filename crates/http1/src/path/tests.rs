use proptest::prelude::*;

use super::*;

fn decoded(target: &str) -> Result<(String, Kind), Error> {
    let mut buffer = vec![0; target.len()];
    decode(target.as_bytes(), &mut buffer)
        .map(|path| (String::from_utf8_lossy(path.relative).into_owned(), path.kind))
}

#[test]
fn targets_become_paths() {
    for (target, relative, kind) in [
        ("/", "", Kind::Directory),
        ("/?x/y", "", Kind::Directory),
        ("/a", "a", Kind::File),
        ("/a/", "a", Kind::Directory),
        ("//a//b", "a/b", Kind::File),
        ("/a/./b/.", "a/b", Kind::Directory),
        ("/a/../b", "b", Kind::File),
        ("/a/b/..", "a", Kind::Directory),
        ("/a/..", "", Kind::Directory),
        ("/a%20b%C3%A9", "a b\u{e9}", Kind::File),
        ("/a/%2e%2E/b", "b", Kind::File),
        ("/...", "...", Kind::File),
        ("/..a/b..", "..a/b..", Kind::File),
        ("/%3f", "?", Kind::File),
    ] {
        assert_eq!(decoded(target), Ok((relative.into(), kind)), "{target}");
    }
}

#[test]
fn targets_that_name_no_file() {
    for (target, error) in [
        ("", Error::NotAbsolute),
        ("*", Error::NotAbsolute),
        ("/..", Error::Outside),
        ("/../etc/passwd", Error::Outside),
        ("/a/../../etc", Error::Outside),
        ("/%2e%2e/etc", Error::Outside),
        ("/.%2E/", Error::Outside),
        ("/..%2fetc", Error::Character),
        ("/..\\etc", Error::Character),
        ("/..%5cetc", Error::Character),
        ("/a%00.html", Error::Character),
        ("/a%0a", Error::Character),
        ("/a%7f", Error::Character),
        ("/a%", Error::Escape),
        ("/a%4", Error::Escape),
        ("/a%zz", Error::Escape),
        ("/a%+1", Error::Escape),
    ] {
        assert_eq!(decoded(target), Err(error), "{target}");
    }
    assert_eq!(decode(b"/abc", &mut [0; 2]), Err(Error::TooLong));
}

proptest! {
    #[test]
    fn no_spelling_leaves_the_root(parts in proptest::collection::vec(
        prop_oneof![Just("/"), Just("."), Just(".."), Just("%2e"), Just("%2E%2e"), Just("%2f"), Just("a"), Just("%61"), Just("%"), Just("\\"), Just("%00"), Just("?")], 0..12))
    {
        let target = format!("/{}", parts.concat());
        if let Ok((relative, _)) = decoded(&target) {
            prop_assert!(relative.is_empty() || relative.split('/').all(|part| !matches!(part, "" | "." | "..")), "{relative}");
            prop_assert!(!relative.contains(['\0', '\\']));
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_again(parts in proptest::collection::vec("[^/\\\\\\x00-\\x1f\\x7f]{1,8}", 1..5)) {
        prop_assume!(parts.iter().all(|part| part != "." && part != ".."));
        let path = parts.join("/");
        let mut target = b"/".to_vec();
        encode(path.as_bytes(), &mut target);
        prop_assert!(target.iter().all(u8::is_ascii_graphic));
        prop_assert_eq!(decoded(str::from_utf8(&target).unwrap()), Ok((path, Kind::File)));
    }
}
