use super::*;

#[test]
fn strings_are_read_up_to_the_null_pointer() {
    let list = [c"/bin/x".as_ptr(), c"".as_ptr(), c"two".as_ptr(), core::ptr::null()];
    let mut strings = Strings { next: list.as_ptr() };
    assert_eq!(strings.by_ref().collect::<Vec<_>>(), [b"/bin/x".as_slice(), b"", b"two"]);
    assert_eq!(strings.next(), None, "the end stays the end");
}

#[test]
fn without_a_start_there_are_none() {
    assert_eq!(arguments().count() + environment().count(), 0);
}
