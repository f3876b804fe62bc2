use super::{SackBlocks, TcpFlags, TcpOptions, TcpRepr, TcpTimestamp, TcpView};
use crate::{Error, SeqNumber, Sum};

fn repr(options: TcpOptions) -> TcpRepr {
    TcpRepr {
        src_port: 0x1234,
        dst_port: 80,
        seq: SeqNumber(0xdead_beef),
        ack: SeqNumber(0x0102_0304),
        flags: TcpFlags::SYN | TcpFlags::ACK,
        window: 0xfffe,
        urgent: 7,
        options,
    }
}

#[test]
fn a_segment_of_bytes() {
    let mut out = [0; 24];
    let options = TcpOptions { mss: Some(1460), ..TcpOptions::NONE };
    assert_eq!(repr(options).emit(&mut out, Sum::ZERO, Sum::ZERO), Ok(24));
    let expected = [
        0x12, 0x34, 0, 80, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 0x60, 0x12, 0xff, 0xfe, 0, 0, 0, 7, 2, 4,
        0x05, 0xb4,
    ];
    assert_eq!((&out[..16], &out[18..]), (&expected[..16], &expected[18..]));
    let view = TcpView::parse(&out).unwrap();
    assert!(view.is_intact(Sum::ZERO) && !view.is_intact(Sum::ZERO.add_word(1)));
    assert_eq!((view.segment_bytes(), view.segment_len(), view.raw_options().len()), (24, 1, 4));
    assert_eq!(repr(options).emit(&mut out[1..], Sum::ZERO, Sum::ZERO), Err(Error::NoRoom { needed: 24 }));
    assert_eq!(repr(options).emit(&mut out[..10], Sum::ZERO, Sum::ZERO), Err(Error::NoRoom { needed: 24 }));
}

#[test]
fn data_offsets_are_checked() {
    let mut bytes = [0; 24];
    repr(TcpOptions::NONE).emit(&mut bytes, Sum::ZERO, Sum::ZERO).unwrap();
    for (nibble, result) in [
        (0, Some(Error::BadLength { offset: 12 })),
        (4, Some(Error::BadLength { offset: 12 })),
        (5, None),
        (6, None),
        (7, Some(Error::Truncated { offset: 24 })),
        (15, Some(Error::Truncated { offset: 24 })),
    ] {
        bytes[12] = nibble << 4;
        assert_eq!(TcpView::parse(&bytes).err(), result);
    }
    assert_eq!(TcpView::parse(&bytes[..19]).unwrap_err(), Error::Truncated { offset: 19 });
}

/// What each list of option bytes must come to; a peer may send any of them (MUST-4..7, MUST-64).
#[test]
fn options_parse_at_any_alignment_and_malformed_ones_end_the_list() {
    let mss = TcpOptions { mss: Some(0x0102), ..TcpOptions::NONE };
    let scale = TcpOptions { window_scale: Some(9), ..TcpOptions::NONE };
    let stamp = TcpOptions { timestamp: Some(TcpTimestamp { value: 1, echo: 2 }), ..TcpOptions::NONE };
    let mut sack = TcpOptions::NONE;
    sack.sack.push(SeqNumber(1), SeqNumber(3));
    let cases: &[(&[u8], TcpOptions)] = &[
        (&[], TcpOptions::NONE),
        (&[0, 2, 4, 1, 2], TcpOptions::NONE),
        (&[1, 1, 1, 2, 4, 1, 2], mss),
        (&[2, 4, 1, 2, 0, 3, 3, 9], mss),
        (&[3, 3, 9], scale),
        (&[4, 2], TcpOptions { sack_permitted: true, ..TcpOptions::NONE }),
        (&[8, 10, 0, 0, 0, 1, 0, 0, 0, 2], stamp),
        (&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], stamp),
        (&[8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1], stamp),
        (&[1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 3], sack),
        // Unknown options are skipped.
        (&[254, 5, 9, 9, 9, 3, 3, 9], scale),
        (&[254, 2, 3, 3, 9], scale),
        // Lengths 0 and 1, and past the end.
        (&[3, 3, 9, 254, 0, 2, 4, 1, 2], scale),
        (&[3, 3, 9, 254, 1, 2, 4, 1, 2], scale),
        (&[3, 3, 9, 254, 7, 2, 4, 1, 2], scale),
        (&[3, 3, 9, 2], scale),
        (&[2, 255, 1, 2], TcpOptions::NONE),
        // Known options of the wrong length are ignored, and the rest still counts.
        (&[2, 3, 1, 3, 3, 9], scale),
        (&[4, 3, 1, 3, 3, 9], scale),
        (&[8, 9, 0, 0, 0, 1, 0, 0, 0, 3, 3, 9], scale),
        (&[5, 6, 0, 0, 0, 1, 3, 3, 9], scale),
        // One that comes twice counts as it came last.
        (&[3, 3, 2, 3, 3, 9], scale),
    ];
    for (bytes, expected) in cases {
        assert_eq!(TcpOptions::parse(bytes), *expected, "{bytes:?}");
    }
}

#[test]
fn as_many_blocks_as_fit_are_emitted() {
    let mut options = TcpOptions { timestamp: Some(TcpTimestamp { value: 5, echo: 6 }), ..TcpOptions::NONE };
    for at in 0..5 {
        options.sack.push(SeqNumber(at * 100), SeqNumber(at * 100 + 50));
    }
    assert_eq!(options.sack.as_slice().len(), 4, "a fifth is dropped");
    assert_eq!(options.encoded_len(), 40);
    let mut bytes = [0; 60];
    assert_eq!(repr(options).emit(&mut bytes, Sum::ZERO, Sum::ZERO), Ok(60));
    let back = TcpView::parse(&bytes).unwrap().options();
    assert_eq!((back.timestamp, back.sack.as_slice()), (options.timestamp, &options.sack.as_slice()[..3]));
    let alone = TcpOptions { timestamp: None, ..options };
    assert_eq!(alone.encoded_len(), 36);
    assert_eq!((SackBlocks::EMPTY.is_empty(), options.sack.is_empty()), (true, false));
}
