use super::*;

type Plain = Names<u32, u32>;

const OWNER: u64 = MAY_REGISTER | 1;
const OTHER: u64 = MAY_REGISTER | 2;

#[test]
fn requests_and_answers_go_over_the_wire_and_back() {
    for request in [
        Request::Register(b"a"),
        Request::LookUp(b"net/0"),
        Request::Watch(&[b'x'; NAME_MAX]),
        Request::Remove(b"~"),
        Request::Hold(b"log"),
    ] {
        assert_eq!(Request::parse(&request.to_bytes()), Some(request));
    }
    for wrong in
        [b"".as_slice(), b"\x01", b"\x00log", b"\x06log", b"\x01a b", b"\x01\xFF", &[1; NAME_MAX + 2]]
    {
        assert_eq!(Request::parse(wrong), None, "{wrong:?}");
    }
    for result in [Ok(()), Err(Errno::NOENT), Err(Errno::ACCES)] {
        assert_eq!(parse_answer(&answer(result)), result);
    }
    for wrong in [b"".as_slice(), b"\0", b"\0\0\0", b"\xFF\x0F"] {
        assert_eq!(parse_answer(wrong), Err(Errno::PROTO));
    }
}

#[test]
fn a_name_belongs_to_who_registered_it() {
    let mut names = Plain::new();
    assert_eq!(names.register(1, b"log", 10), Err((Error::Forbidden, 10)));
    assert_eq!(names.register(OWNER, b"log", 10), Ok(Registered { replaced: None, waiting: vec![] }));
    assert_eq!(names.register(OTHER, b"log", 20), Err((Error::Taken, 20)));
    assert_eq!(names.remove(OTHER, b"log"), Err(Error::Taken));
    assert_eq!(names.look_up(b"log"), Ok(&10));
    // Its owner was started again.
    assert_eq!(names.register(OWNER, b"log", 11).unwrap().replaced, Some(10));
    assert_eq!((names.look_up(b"log"), names.look_up(b"lo")), (Ok(&11), Err(Error::Unknown)));
    assert_eq!(names.remove(OWNER, b"log"), Ok(Removed { service: 11, holder: None }));
    assert_eq!(names.remove(OWNER, b"log"), Err(Error::Unknown));
    // What is gone is anybody's.
    names.register(OWNER, b"log", 12).unwrap();
    assert_eq!(names.forget(b"log"), Some(Removed { service: 12, holder: None }));
    assert_eq!(names.forget(b"log"), None);
    names.register(OTHER, b"log", 13).unwrap();
}

#[test]
fn who_waits_comes_out_with_the_name() {
    let mut names = Plain::new();
    assert_eq!(
        [names.watch(1, b"a", 1), names.watch(2, b"b", 2), names.watch(1, b"a", 3)],
        [Watched::Waits, Watched::Waits, Watched::Waits]
    );
    assert_eq!(names.register(OWNER, b"a", 10).unwrap().waiting, [1, 3]);
    assert_eq!(names.watch(1, b"a", 4), Watched::Known(4));
    assert_eq!(names.register(OWNER, b"a", 11).unwrap().waiting, [0; 0]);
    assert_eq!(names.register(OWNER, b"b", 11).unwrap().waiting, [2]);
}

#[test]
fn who_holds_a_name_comes_out_when_it_is_gone() {
    let mut names = Plain::new();
    assert_eq!(names.hold(OWNER, b"a", 1), Err((Error::Unknown, 1)));
    names.register(OWNER, b"a", 10).unwrap();
    names.register(OTHER, b"b", 20).unwrap();
    assert_eq!(names.hold(OWNER, b"b", 1), Err((Error::Taken, 1)));
    assert_eq!(names.hold(OWNER, b"a", 1), Ok(None));
    assert_eq!(names.hold(OWNER, b"a", 2), Ok(Some(1)));
    assert_eq!(names.hold(OTHER, b"b", 3), Ok(None));
    // It is the owner's still.
    names.register(OWNER, b"a", 11).unwrap();
    assert_eq!(names.remove(OWNER, b"a"), Ok(Removed { service: 11, holder: Some(2) }));
    assert_eq!(names.forget(b"b"), Some(Removed { service: 20, holder: Some(3) }));
    names.register(OWNER, b"a", 12).unwrap();
    assert_eq!(names.remove(OWNER, b"a"), Ok(Removed { service: 12, holder: None }));
}

#[test]
fn all_is_bounded() {
    let mut names = Plain::new();
    for number in 0..NAMES_MAX {
        names.register(OWNER, number.to_string().as_bytes(), 0).unwrap();
    }
    assert_eq!(names.register(OWNER, b"more", 7), Err((Error::Full, 7)));
    names.register(OWNER, b"0", 1).unwrap();
    for number in 0..WATCHES_MAX {
        let badge = (number / WATCHES_EACH) as u64;
        assert_eq!(names.watch(badge, b"later", u32::try_from(number).unwrap()), Watched::Waits);
    }
    assert_eq!(names.watch(99, b"later", 9), Watched::Refused(9));
    // Of one badge the newest wait.
    for oldest in [16, 17, 18] {
        assert_eq!(names.watch(1, b"later", 1_000), Watched::WaitsInstead(oldest));
    }
    let waiting = names.register(OTHER, b"other", 1).unwrap_err();
    assert_eq!(waiting, (Error::Full, 1));
    names.forget(b"0");
    let mut waiting = names.register(OTHER, b"later", 1).unwrap().waiting;
    waiting.sort_unstable();
    let newest = (0..256).filter(|waiter| ![16, 17, 18].contains(waiter)).chain([1_000; 3]);
    assert!(waiting.into_iter().eq(newest));
}
