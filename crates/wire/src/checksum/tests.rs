#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::{Sum, copy, pseudo_ipv4};
use crate::IpProtocol;

/// The definition, word by word (RFC 1071 §1).
fn plain(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

#[test]
fn the_example_of_the_rfc() {
    // RFC 1071 §3: the sum of these is ddf2.
    assert_eq!(Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).finish(), !0xddf2);
    assert_eq!(Sum::of(&[]).finish(), 0xffff);
}

#[test]
fn carries_survive_everywhere() {
    for len in 0..300 {
        let bytes = vec![0xff; len];
        assert_eq!(Sum::of(&bytes).finish(), plain(&bytes), "{len}");
        let mut lone = vec![0; len];
        for at in 0..len {
            lone[at] = 1;
            assert_eq!(Sum::of(&lone).finish(), plain(&lone), "{len} {at}");
            lone[at] = 0;
        }
    }
}

#[test]
fn words_and_longs_are_what_their_bytes_are() {
    let sum = Sum::ZERO.add_word(0x1234).add_long(0x5678_9abc);
    assert_eq!(sum.finish(), Sum::of(&[0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc]).finish());
    let pseudo =
        pseudo_ipv4(Ipv4Addr::new(1, 2, 3, 4), Ipv4Addr::new(250, 251, 252, 253), IpProtocol::TCP, 0x1_02);
    assert_eq!(pseudo.finish(), Sum::of(&[1, 2, 3, 4, 250, 251, 252, 253, 0, 6, 1, 2]).finish());
}

proptest! {
    #[test]
    fn sum_is_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..1600)) {
        prop_assert_eq!(Sum::of(&bytes).finish(), plain(&bytes));
    }

    #[test]
    fn copying_sums_the_same(
        bytes in prop::collection::vec(any::<u8>(), 0..1600),
        offset in 0..9usize,
        room in 0..1700usize,
    ) {
        // Any alignment of both sides, and either the longer.
        let src = &bytes[offset.min(bytes.len())..];
        let mut buffer = vec![0xa5; room + 8];
        let dst = &mut buffer[8 - offset.min(8)..][..room];
        let sum = copy(dst, src);
        let len = room.min(src.len());
        prop_assert_eq!(&dst[..len], &src[..len]);
        prop_assert!(dst[len..].iter().all(|byte| *byte == 0xa5));
        prop_assert_eq!(sum.finish(), plain(&src[..len]));
    }

    #[test]
    fn pieces_add_up(bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in prop::collection::vec(0..400usize, 0..6)) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.push(0);
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut sum = Sum::ZERO;
        for pair in cuts.windows(2) {
            sum = sum.add_at(pair[0], Sum::of(&bytes[pair[0]..pair[1]]));
        }
        prop_assert_eq!(sum.finish(), plain(&bytes));
    }

    #[test]
    fn a_message_with_its_checksum_is_valid_and_one_flipped_bit_is_not(
        mut bytes in prop::collection::vec(any::<u8>(), 4..200),
        flip in any::<prop::sample::Index>(),
    ) {
        bytes[2..4].fill(0);
        let checksum = Sum::of(&bytes).finish();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        prop_assert!(Sum::of(&bytes).is_valid());
        let bit = flip.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!Sum::of(&bytes).is_valid());
    }
}
