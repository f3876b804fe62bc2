use super::{ArpOperation, ArpRepr, ArpView};
use crate::{Error, Ipv4Addr, MacAddr};

const REQUEST: [u8; 28] =
    [0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15];

#[test]
fn a_request_of_bytes() {
    let view = ArpView::parse(&REQUEST).unwrap();
    let repr = ArpRepr {
        operation: ArpOperation::Request,
        sender_mac: MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        sender_ip: Ipv4Addr::new(10, 0, 2, 2),
        target_mac: MacAddr::UNSPECIFIED,
        target_ip: Ipv4Addr::new(10, 0, 2, 15),
    };
    assert_eq!(ArpRepr::parse(&view), repr);
    let mut out = [0; 28];
    assert_eq!(repr.emit(&mut out), Ok(28));
    assert_eq!(out, REQUEST);
    assert_eq!(repr.emit(&mut out[1..]), Err(Error::NoRoom { needed: 28 }));
}

#[test]
fn other_hardware_protocols_and_operations_are_named_by_offset() {
    for offset in [0, 1, 2, 3, 4, 5] {
        let mut packet = REQUEST;
        packet[offset] ^= 0x40;
        assert_eq!(ArpView::parse(&packet).unwrap_err(), Error::BadFormat { offset });
    }
    for operation in [[0, 0], [0, 3], [1, 1]] {
        let mut packet = REQUEST;
        packet[6..8].copy_from_slice(&operation);
        assert_eq!(ArpView::parse(&packet).unwrap_err(), Error::BadFormat { offset: 6 });
    }
    for len in 0..28 {
        assert_eq!(ArpView::parse(&REQUEST[..len]).unwrap_err(), Error::Truncated { offset: len });
    }
}
