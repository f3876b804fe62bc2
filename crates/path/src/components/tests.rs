use proptest::prelude::*;

use super::*;

fn texts(path: &[u8]) -> Vec<Vec<u8>> {
    Path::new(path)
        .unwrap()
        .components()
        .map(|component| match component {
            Component::Current => b".".to_vec(),
            Component::Parent => b"..".to_vec(),
            Component::Name(name) => name.as_bytes().to_vec(),
        })
        .collect()
}

#[test]
fn steps_of_known_paths() {
    assert_eq!(texts(b"/"), Vec::<Vec<u8>>::new());
    assert_eq!(texts(b"//a/./b//..///c/"), [&b"a"[..], b".", b"b", b"..", b"c"]);
    assert_eq!(texts(b"..."), [b"..."]);
    assert_eq!(texts(b".a"), [b".a"]);
}

#[test]
fn limits_are_exact() {
    let name = [b'n'; NAME_MAX + 1];
    assert!(Path::new(&name[..NAME_MAX]).is_ok());
    assert_eq!(Path::new(&name), Err(Error::NameTooLong { offset: 0 }));
    let mut path = b"/ab/".to_vec();
    path.extend_from_slice(&name);
    assert_eq!(Path::new(&path), Err(Error::NameTooLong { offset: 4 }));
    path.extend_from_slice(b"/c");
    assert_eq!(Path::new(&path), Err(Error::NameTooLong { offset: 4 }));
    assert!(Path::new(&[b'/'; PATH_MAX]).is_ok());
    assert_eq!(Path::new(&[b'/'; PATH_MAX + 1]), Err(Error::PathTooLong));
    assert_eq!(Path::new(b""), Err(Error::Empty));
    assert_eq!(Path::new(b"ab\0"), Err(Error::Nul { offset: 2 }));
}

#[test]
fn names_are_strict() {
    assert!(Name::new(&[b'n'; NAME_MAX]).is_ok());
    assert_eq!(Name::new(&[b'n'; NAME_MAX + 1]), Err(Error::NameTooLong { offset: 0 }));
    assert_eq!(Name::new(b""), Err(Error::Empty));
    assert_eq!(Name::new(b"a/b"), Err(Error::Separator { offset: 1 }));
    assert_eq!(Name::new(b"a\0"), Err(Error::Nul { offset: 1 }));
    assert_eq!(Name::new(b"."), Err(Error::Reserved));
    assert_eq!(Name::new(b".."), Err(Error::Reserved));
    assert_eq!(Name::new(b"..a").unwrap().as_bytes(), b"..a");
}

#[test]
fn a_trailing_slash_shows_after_the_last_step() {
    let mut steps = Path::new(b"a/b/").unwrap().components();
    steps.next();
    assert!(steps.requires_directory() && !steps.is_empty());
    steps.next();
    assert!(steps.requires_directory() && steps.is_empty());
    assert_eq!(steps.next(), None);
    assert!(steps.requires_directory());
    let mut steps = Path::new(b"a").unwrap().components();
    steps.next();
    assert!(!steps.requires_directory() && steps.is_empty());
}

proptest! {
    /// The oracle is the standard library's split.
    #[test]
    fn agrees_with_split(bytes in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), Just(b'a'), 1_u8..], 1..64)) {
        let expected: Vec<Vec<u8>> =
            bytes.split(|&b| b == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(texts(&bytes), expected);
        prop_assert_eq!(Path::new(&bytes).unwrap().is_absolute(), bytes[0] == b'/');
    }

    #[test]
    fn any_bytes_are_refused_or_walked(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        if let Ok(path) = Path::new(&bytes) {
            prop_assert!(!bytes.contains(&0));
            for component in path.components() {
                if let Component::Name(name) = component {
                    prop_assert_eq!(Name::new(name.as_bytes()), Ok(name));
                }
            }
        }
    }
}
