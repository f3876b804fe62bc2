use std::collections::HashSet;

use super::*;

#[test]
fn neighbours_spread_and_secrets_matter() {
    let (one, other) = (SeededHash::new([1, 2]), SeededHash::new([1, 4]));
    let mut buckets = [0_u32; 64];
    let mut hashes = HashSet::new();
    for n in 0..64_000_u64 {
        let hash = one.hash_one((7_u32, n * 4));
        hashes.insert(hash);
        buckets[usize::try_from(hash % 64).unwrap()] += 1;
        // The upper seven bits tag entries of the hash table.
        buckets[usize::try_from(hash >> 58).unwrap()] += 1;
    }
    assert_eq!(hashes.len(), 64_000);
    assert!(buckets.iter().all(|&n| (1_700..2_300).contains(&n)), "{buckets:?}");
    // Zero meets the same hash under all multipliers; one word does.
    assert!((0..1_000_u64).filter(|n| one.hash_one(n) == other.hash_one(n)).count() <= 1);
}

#[test]
fn bytes_and_their_length_count() {
    let hash = SeededHash::new([3, 5]);
    let hashes: HashSet<_> =
        ["", "a", "b", "ab", "abcdefgh", "abcdefgh\0", "abcdefghi"].map(|s| hash.hash_one(s)).into();
    assert_eq!(hashes.len(), 7);
    assert_ne!(hash.hash_one(&[0_u8; 3][..]), hash.hash_one(&[0_u8; 4][..]));
}
