use super::{IpProtocol, Ipv4Repr, Ipv4View};
use crate::{Error, Ipv4Addr, Sum};

/// From Wikipedia's worked example of the header checksum, with a payload and two bytes of padding.
fn packet() -> Vec<u8> {
    let mut bytes = vec![
        0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0,
        0xa8, 0x00, 0xc7,
    ];
    bytes.extend(0..95);
    bytes.extend([0xee, 0xee]);
    bytes
}

#[test]
fn a_packet_of_bytes() {
    let bytes = packet();
    let view = Ipv4View::parse(&bytes).unwrap();
    assert_eq!((view.src(), view.dst()), (Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::new(192, 168, 0, 199)));
    assert_eq!((view.protocol(), view.ttl(), view.traffic_class()), (IpProtocol::UDP, 64, 0));
    assert!(view.dont_fragment() && !view.more_fragments() && !view.is_fragment());
    assert_eq!(view.payload(), (0..95).collect::<Vec<u8>>(), "padding is cut off");
    let mut out = [0; 20];
    assert_eq!(Ipv4Repr::parse(&view).emit(&mut out), Ok(20));
    assert_eq!(out, bytes[..20]);
    assert_eq!(&out, view.header());
}

#[test]
fn what_is_wrong_is_named_by_offset() {
    let good = packet();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Ipv4View::parse(&bytes).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(0, 0x65), Error::BadFormat { offset: 0 });
    assert_eq!(with(0, 0x44), Error::BadLength { offset: 0 });
    assert_eq!(with(3, 0x13), Error::BadLength { offset: 2 });
    assert_eq!(with(3, 0x76), Error::Truncated { offset: 117 });
    assert_eq!(with(8, 0x3f), Error::BadChecksum { offset: 10 });
    for len in 0..20 {
        assert_eq!(Ipv4View::parse(&good[..len]).unwrap_err(), Error::Truncated { offset: len });
    }
}

#[test]
fn options_are_skipped_and_count_in_the_checksum() {
    let mut bytes = packet();
    bytes.splice(20..20, [0x94, 0x04, 0x00, 0x00]);
    bytes[0] = 0x46;
    bytes[3] += 4;
    bytes[10..12].fill(0);
    let checksum = Sum::of(&bytes[..24]).finish();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    let view = Ipv4View::parse(&bytes).unwrap();
    assert_eq!((view.options(), view.payload().len()), (&[0x94, 4, 0, 0][..], 95));
    bytes[0] = 0x4f;
    assert_eq!(Ipv4View::parse(&bytes[..40]).unwrap_err(), Error::Truncated { offset: 40 });
}

#[test]
fn a_quoted_packet_may_be_cut_short() {
    let bytes = packet();
    assert!(Ipv4View::parse(&bytes[..28]).is_err());
    let view = Ipv4View::parse_quoted(&bytes[..28]).unwrap();
    assert_eq!((view.protocol(), view.payload()), (IpProtocol::UDP, &[0, 1, 2, 3, 4, 5, 6, 7][..]));
}

#[test]
fn fragments_say_where_they_belong() {
    let repr = Ipv4Repr {
        src: Ipv4Addr::new(192, 0, 2, 1),
        dst: Ipv4Addr::new(192, 0, 2, 2),
        protocol: IpProtocol::ICMP,
        payload_len: 8,
        ident: 0x1234,
        dont_fragment: false,
        more_fragments: true,
        fragment_offset: 65_528,
        ttl: 1,
        traffic_class: 0xff,
    };
    let mut bytes = [0; 28];
    repr.emit(&mut bytes).unwrap();
    let view = Ipv4View::parse(&bytes).unwrap();
    assert!(view.is_fragment());
    assert_eq!(Ipv4Repr::parse(&view), repr);
    let long = Ipv4Repr { payload_len: 65_516, ..repr };
    assert_eq!(long.emit(&mut bytes), Err(Error::BadLength { offset: 2 }));
    assert_eq!(repr.emit(&mut bytes[..19]), Err(Error::NoRoom { needed: 20 }));
}
