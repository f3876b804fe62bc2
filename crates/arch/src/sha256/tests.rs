use super::*;
use proptest::prelude::*;
use sha2::Digest;

/// FIPS 180-4 §5.3.3.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The message with the padding of FIPS 180-4 §5.1.1.
fn padded(message: &[u8]) -> Vec<[u8; 64]> {
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    while bytes.len() % 64 != 56 {
        bytes.push(0);
    }
    bytes.extend((message.len() as u64 * 8).to_be_bytes());
    bytes.chunks_exact(64).map(|block| block.try_into().unwrap()).collect()
}

fn hash(compress: Compress, message: &[u8]) -> Vec<u8> {
    let mut state = START;
    compress(&mut state, &padded(message));
    state.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn nothing_changes_without_blocks() {
    let mut state = START;
    compress_portable(&mut state, &[]);
    assert_eq!(state, START);
}

proptest! {
    #[test]
    fn agrees_with_the_whole_hash(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(hash(compress_portable, &message), sha2::Sha256::digest(&message).to_vec());
    }
}
