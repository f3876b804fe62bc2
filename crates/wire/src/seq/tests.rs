use super::SeqNumber;

#[test]
fn order_is_circular() {
    let last = SeqNumber(u32::MAX);
    assert!(last.is_before(last + 1));
    assert!((last + 1).is_after(last));
    assert!(last.is_at_or_before(last) && last.is_at_or_after(last));
    assert!(!last.is_before(last) && !last.is_after(last));
    assert_eq!((last + 5).since(last), 5);
    assert_eq!(SeqNumber(3) - 5, SeqNumber(0xffff_fffe));
    assert_eq!(last.max(last + 1), SeqNumber(0));
    assert_eq!(last.min(last + 1), last);
}

#[test]
fn far_ends_of_a_window_compare() {
    for start in [0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let start = SeqNumber(start);
        assert!(start.is_before(start + 0x7fff_ffff));
        assert!((start + 0x7fff_ffff).is_after(start));
    }
}
