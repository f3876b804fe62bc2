use proptest::prelude::*;
use sha2::Digest as _;

use super::*;

#[test]
fn midstates_are_those_of_the_prefixes() {
    for role in [Role::Leaf, Role::Node] {
        let mut state = INITIAL;
        Software.compress(&mut state, &[role.prefix()]);
        assert_eq!(state, role.midstate(), "{role:?}: {state:#010x?}");
    }
}

#[test]
fn a_block_hash_is_plain_sha256_of_prefix_and_block() {
    let block: [u8; BLOCK_SIZE] = core::array::from_fn(|i| u8::try_from(i % 251).unwrap());
    for role in [Role::Leaf, Role::Node] {
        let mut oracle = sha2::Sha256::new();
        oracle.update(role.prefix());
        oracle.update(block);
        assert_eq!(hash_block(&Software, role, &block), <Digest>::from(oracle.finalize()));
    }
    assert_ne!(hash_block(&Software, Role::Leaf, &block), hash_block(&Software, Role::Node, &block));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let mut hash = Sha256::new();
        for piece in &pieces {
            hash.update(&Software, piece);
        }
        prop_assert_eq!(hash.finish(&Software), <Digest>::from(sha2::Sha256::digest(pieces.concat())));
    }
}
