use super::{UdpRepr, UdpView};
use crate::{Error, IpProtocol, Ipv4Addr, Sum, checksum::pseudo_ipv4};

fn pseudo(len: u16) -> Sum {
    pseudo_ipv4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2), IpProtocol::UDP, len)
}

#[test]
fn lengths_are_checked_and_padding_cut_off() {
    let bytes = [0, 53, 0x30, 0x39, 0, 10, 0, 0, b'h', b'i', 0xee];
    let view = UdpView::parse(&bytes).unwrap();
    assert_eq!((view.src_port(), view.dst_port(), view.length()), (53, 12_345, 10));
    assert_eq!(view.payload(), b"hi");
    assert!(view.is_intact(pseudo(10)), "no checksum is accepted");
    assert_eq!(UdpView::parse(&bytes[..9]).unwrap_err(), Error::Truncated { offset: 9 });
    assert_eq!(UdpView::parse(&bytes[..7]).unwrap_err(), Error::Truncated { offset: 7 });
    let mut short = bytes;
    short[5] = 7;
    assert_eq!(UdpView::parse(&short).unwrap_err(), Error::BadLength { offset: 4 });
}

#[test]
fn a_checksum_of_zero_goes_out_as_all_ones() {
    // Chosen so that the sum is 0xffff and its complement 0.
    let plain = UdpRepr { src_port: 0, dst_port: 9, payload_len: 0 };
    let mut bytes = [0; 8];
    plain.emit(&mut bytes, pseudo(8), Sum::ZERO).unwrap();
    let src_port = UdpView::parse(&bytes).unwrap().checksum();
    let repr = UdpRepr { src_port, ..plain };
    repr.emit(&mut bytes, pseudo(8), Sum::ZERO).unwrap();
    let view = UdpView::parse(&bytes).unwrap();
    assert_eq!(view.checksum(), 0xffff);
    assert!(view.is_intact(pseudo(8)));
    assert_eq!(UdpRepr::parse(&view), repr);
}

#[test]
fn what_can_not_be_emitted_is_refused() {
    let repr = UdpRepr { src_port: 1, dst_port: 2, payload_len: 65_528 };
    let mut bytes = [0; 8];
    assert_eq!(repr.emit(&mut bytes, Sum::ZERO, Sum::ZERO), Err(Error::BadLength { offset: 4 }));
    let repr = UdpRepr { payload_len: 65_527, ..repr };
    assert_eq!(repr.emit(&mut bytes, Sum::ZERO, Sum::ZERO), Ok(8));
    assert_eq!(repr.emit(&mut bytes[1..], Sum::ZERO, Sum::ZERO), Err(Error::NoRoom { needed: 8 }));
}
