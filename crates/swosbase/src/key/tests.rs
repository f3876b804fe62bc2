use super::*;
use crate::Software;

#[test]
fn the_test_key_is_that_of_the_test_seed() {
    assert_eq!(TEST_SEED.public_key(), TEST_PUBLIC_KEY);
}

/// RFC 8032 §7.1, test 2.
#[test]
fn known_vector() {
    let seed = Seed([
        0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b,
        0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
    ]);
    let signature = seed.sign(&[0x72]);
    assert_eq!(signature[..8], [0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8]);
    assert!(seed.public_key().accepts(&[0x72], &signature));
}

#[test]
fn every_flipped_bit_of_signature_message_and_key_is_refused() {
    let message = *b"message";
    let signature = TEST_SEED.sign(&message);
    let key = TEST_SEED.public_key();
    for bit in 0..512 {
        let mut bad = signature;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.accepts(&message, &bad), "signature bit {bit}");
    }
    for bit in 0..56 {
        let mut bad = message;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.accepts(&bad, &signature), "message bit {bit}");
    }
    for bit in 0..256 {
        let mut bad = key;
        bad.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!bad.accepts(&message, &signature), "key bit {bit}");
    }
}

/// A scalar plus the group order gives the same point: RFC 8032 §5.1.7 wants it refused.
#[test]
fn a_scalar_out_of_range_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut signature = TEST_SEED.sign(b"m");
    let mut carry = 0_u16;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = u8::try_from(carry & 0xFF).unwrap();
        carry >>= 8;
    }
    assert!(!TEST_SEED.public_key().accepts(b"m", &signature));
}

#[test]
fn a_key_of_small_order_is_refused() {
    // The neutral element as key makes R = [S]B pass for any message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(!PublicKey(neutral).accepts(b"anything", &signature));
}

#[test]
fn a_seed_does_not_print() {
    assert_eq!(format!("{TEST_SEED:?}"), "Seed(..)");
    assert_ne!(TEST_PUBLIC_KEY.id(&Software), KeyId([0; 8]));
}
