use proptest::prelude::*;

use super::*;

fn skip(length: BodyLength, allowance: u64, bytes: &[u8]) -> Result<(usize, bool), Error> {
    let mut skip = Skip::new(length, allowance)?;
    skip.advance(bytes).map(|used| (used, skip.is_done()))
}

#[test]
fn bodies_of_known_length() {
    assert_eq!(skip(BodyLength::Bytes(0), 0, b"next"), Ok((0, true)));
    assert_eq!(skip(BodyLength::Bytes(3), 9, b"abcnext"), Ok((3, true)));
    assert_eq!(skip(BodyLength::Bytes(3), 9, b"ab"), Ok((2, false)));
    assert_eq!(skip(BodyLength::Bytes(10), 9, b""), Err(Error::TooLong));
}

#[test]
fn chunks() {
    let chunked = |bytes: &[u8]| skip(BodyLength::Chunked, 60, bytes);
    assert_eq!(chunked(b"0\r\n\r\nnext"), Ok((5, true)));
    assert_eq!(chunked(b"3\r\nabc\r\n0a;x=\"y\"\r\n0123456789\r\n0\r\nA: b\r\n\r\nG"), Ok((41, true)));
    assert_eq!(chunked(b"3\r\nab"), Ok((5, false)));
    for wrong in [
        b"\r\n".as_slice(),
        b"g\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"1\nx",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n",
        b"3\r\nabc\rx",
        b"00000000000000000\r\n",
        b"0\r\nA: b\n\r\n",
        b" 1\r\n",
        b"1;a\nb\r\n",
    ] {
        assert_eq!(chunked(wrong), Err(Error::Chunk), "{:?}", wrong.escape_ascii().to_string());
    }
    assert_eq!(
        chunked(b"ffffffffffffffff\r\n0123456789012345678901234567890123456789012345678901234567890"),
        Err(Error::TooLong)
    );
}

#[test]
fn lines_are_bounded() {
    let mut long = b"1;".to_vec();
    long.resize(400, b'x');
    assert_eq!(skip(BodyLength::Chunked, 1 << 20, &long), Err(Error::Chunk));
    let mut trailer = b"0\r\n".to_vec();
    trailer.resize(400, b'x');
    assert_eq!(skip(BodyLength::Chunked, 1 << 20, &trailer), Err(Error::Chunk));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'0'), any::<u8>()], 0..60), known in proptest::option::of(0..40_u64)) {
        let length = known.map_or(BodyLength::Chunked, BodyLength::Bytes);
        let whole = skip(length, 50, &bytes);
        let mut machine = Skip::new(length, 50).unwrap();
        let mut used = Ok(0);
        for byte in &bytes {
            used = used.and_then(|sum| machine.advance(&[*byte]).map(|more| sum + more));
        }
        prop_assert_eq!(whole, used.map(|used| (used, machine.is_done())));
    }
}
