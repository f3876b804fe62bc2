use super::*;

fn at(addr: u64) -> PhysAddr {
    PhysAddr::new(addr).unwrap()
}

#[test]
fn ram_is_rounded_in_and_reservations_out() {
    let inside = FrameRange::inside(at(0x1001), 0x3000).unwrap();
    assert_eq!((inside.first().number(), inside.count()), (2, 2));
    let covering = FrameRange::covering(at(0x1001), 0x3000).unwrap();
    assert_eq!((covering.first().number(), covering.count()), (1, 4));
    assert_eq!(FrameRange::inside(at(0x1001), 0x1ffe), None);
    assert_eq!(FrameRange::inside(at(0x1000), 0), None);
    assert_eq!(FrameRange::covering(at(0x1000), 0), None);
    assert_eq!(FrameRange::covering(at(0x1fff), 1).unwrap().count(), 1);
}

#[test]
fn nothing_passes_the_end_of_memory() {
    let last = Frame::from_number((PhysAddr::LIMIT >> 12) - 1).unwrap();
    assert_eq!(FrameRange::new(last, 1).unwrap().first(), last);
    assert_eq!(FrameRange::new(last, 2), None);
    assert_eq!(FrameRange::new(last, 0), None);
    assert_eq!(FrameRange::new(last, u64::MAX), None);
    assert_eq!(FrameRange::covering(last.start(), 0x1001), None);
    assert_eq!(FrameRange::inside(last.start(), u64::MAX), None);
}

#[test]
fn overlap_needs_a_common_frame() {
    let one = FrameRange::new(Frame::from_number(4).unwrap(), 4).unwrap();
    let two = FrameRange::new(Frame::from_number(8).unwrap(), 1).unwrap();
    assert!(!one.overlaps(two) && one.overlaps(one));
    assert!(one.contains(Frame::from_number(7).unwrap()) && !one.contains(two.first()));
}
