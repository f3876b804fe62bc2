use super::{EtherType, EthernetRepr, EthernetView, MacAddr};
use crate::Error;

#[test]
fn a_frame_of_bytes() {
    let frame = [0x02, 0, 0, 0, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x08, 0x00, 0x45];
    let view = EthernetView::parse(&frame).unwrap();
    assert_eq!(view.dst().to_string(), "02:00:00:00:00:01");
    assert_eq!(view.src(), MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
    assert_eq!((view.ethertype(), view.payload()), (EtherType::IPV4, &[0x45][..]));
    let mut out = [0; 14];
    assert_eq!(EthernetRepr::parse(&view).emit(&mut out), Ok(14));
    assert_eq!(out, frame[..14]);
    assert_eq!(EthernetRepr::parse(&view).emit(&mut out[..13]), Err(Error::NoRoom { needed: 14 }));
    assert_eq!(EthernetView::parse(&frame[..13]).unwrap_err(), Error::Truncated { offset: 13 });
}

#[test]
fn addresses_of_groups_are_no_stations() {
    assert!(MacAddr::BROADCAST.is_multicast() && !MacAddr::BROADCAST.is_station());
    assert!(!MacAddr::UNSPECIFIED.is_station());
    assert!(!MacAddr([0x01, 0, 0x5e, 0, 0, 1]).is_station());
    assert!(MacAddr([0x52, 0x54, 0, 1, 2, 3]).is_station());
}
