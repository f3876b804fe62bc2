//! What version 4 refuses: everything that differs in one bit, is shorter or longer, or is signed by somebody else.

use crate::trees;
use swos_swosbase::v4::{self, Block, BlockVerifier, Capacity, Mount, Options, Progress, Unverified};
use swos_swosbase::{Error, Seed, Software, TEST_PUBLIC_KEY, TEST_SEED};

const KEYS: &[swos_swosbase::PublicKey] = &[TEST_PUBLIC_KEY];

fn image() -> Vec<u8> {
    v4::write(&trees::small(), &Options { image_version: 5 }, &TEST_SEED).unwrap()
}

fn block(image: &[u8], number: u64) -> &Block {
    image[usize::try_from(number).unwrap() * 4096..].first_chunk().unwrap()
}

fn verify(image: &[u8]) -> Result<v4::Image, Error> {
    v4::verify_all(&Software, image, KEYS, 0)
}

#[test]
fn every_flipped_bit_of_the_superblock() {
    let mut image = image();
    verify(&image).unwrap();
    for bit in 0..4096 * 8 {
        image[bit / 8] ^= 1 << (bit % 8);
        let refused = Unverified::new(block(&image, 0)).and_then(|block| block.verify(&Software, KEYS));
        assert!(refused.is_err(), "bit {bit}");
        image[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_flipped_bit_of_metadata_tree_and_data() {
    let mut image = image();
    let superblock = Unverified::new(block(&image, 0)).unwrap().verify(&Software, KEYS).unwrap();
    let (tree, total) = (superblock.geometry.tree(), superblock.geometry.total());
    let mut full = BlockVerifier::new(&superblock).unwrap();
    for number in tree.first..tree.first + tree.count {
        full.accept(&Software, number, block(&image, number)).unwrap();
    }
    assert_eq!(total * 4096, image.len() as u64, "no byte outside of blocks");
    for number in 1..total {
        for bit in 0..4096 * 8 {
            let at = usize::try_from(number).unwrap() * 4096 + bit / 8;
            image[at] ^= 1 << (bit % 8);
            let bytes = block(&image, number);
            let refused = if tree.position(number).is_some() {
                BlockVerifier::new(&superblock).unwrap().accept(&Software, number, bytes)
            } else {
                full.verify(&Software, number, bytes)
            };
            assert_eq!(refused, Err(Error::HashMismatch { block: number }), "bit {bit}");
            image[at] ^= 1 << (bit % 8);
        }
    }
}

/// The same through the whole reader: a bit in each byte by default, all eight when there is time.
fn flip_through_the_reader(stride: usize) {
    let mut image = image();
    for bit in (0..image.len() * 8).step_by(stride) {
        image[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&image).is_err(), "bit {bit}");
        image[bit / 8] ^= 1 << (bit % 8);
    }
    verify(&image).unwrap();
}

#[test]
fn flipped_bits_through_the_whole_reader() {
    flip_through_the_reader(29);
}

#[test]
#[ignore = "long: half a minute"]
fn every_flipped_bit_through_the_whole_reader() {
    flip_through_the_reader(1);
}

#[test]
fn every_truncation_and_appended_bytes() {
    let image = image();
    for length in (0..image.len()).step_by(97).chain((0..image.len()).step_by(4096)) {
        assert!(verify(&image[..length]).is_err(), "{length} bytes");
    }
    for extra in [1, 511, 512, 4095, 4096, 8192] {
        let mut longer = image.clone();
        longer.resize(image.len() + extra, 0);
        let expected = Error::WrongLength { stated: image.len() as u64, actual: longer.len() as u64 };
        assert_eq!(verify(&longer).unwrap_err(), expected);
    }
}

#[test]
fn a_slot_may_be_longer_than_its_image_but_not_shorter() {
    let image = image();
    let mount = |capacity| {
        let mut mount = Mount::new(KEYS, capacity, 0);
        while let Progress::Need { first_block, count } = mount.poll() {
            for number in first_block..first_block + u64::from(count) {
                if (number + 1) * 4096 <= image.len() as u64 {
                    mount.on_block(&Software, number, block(&image, number));
                }
            }
        }
        mount.finish().map(drop)
    };
    let length = image.len() as u64;
    assert_eq!(mount(Capacity::exactly(length)), Ok(()));
    assert_eq!(mount(Capacity::at_least(length + 4096)), Ok(()));
    assert!(matches!(mount(Capacity::at_least(length - 1)), Err(Error::WrongLength { .. })));
}

#[test]
fn another_key_no_key_and_a_borrowed_signature() {
    let other = Seed([7; 32]);
    let image = image();
    let refused = |keys| v4::verify_all(&Software, &image, keys, 0).unwrap_err();
    assert_eq!(refused(&[]), Error::UnknownKey { id: TEST_PUBLIC_KEY.id(&Software) });
    assert_eq!(refused(&[other.public_key()]), Error::UnknownKey { id: TEST_PUBLIC_KEY.id(&Software) });

    // Signed by somebody who claims to be us.
    let mut forged = v4::write(&trees::small(), &Options { image_version: 5 }, &other).unwrap();
    forged[112..120].copy_from_slice(&TEST_PUBLIC_KEY.id(&Software).0);
    assert_eq!(verify(&forged).unwrap_err(), Error::BadSignature);

    // The signature of another image of ours.
    let newer = v4::write(&trees::small(), &Options { image_version: 6 }, &TEST_SEED).unwrap();
    let mut mixed = image.clone();
    mixed[160..224].copy_from_slice(&newer[160..224]);
    assert_eq!(verify(&mixed).unwrap_err(), Error::BadSignature);
}

/// Signed, and wrong all the same: each field is refused for itself.
#[test]
fn signed_nonsense_in_the_superblock() {
    let good = image();
    let refused = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad[at] = value;
        let signature = TEST_SEED.sign(&bad[..160]);
        bad[160..224].copy_from_slice(&signature);
        verify(&bad).unwrap_err()
    };
    for (at, value, offset) in [
        (12, 1, 12),    // header size
        (16, 13, 16),   // block size
        (20, 2, 20),    // levels
        (24, 99, 24),   // all blocks
        (40, 0, 40),    // no metadata
        (46, 1, 40),    // too much of it
        (49, 0x1F, 48), // metadata longer than its blocks
        (56, 2, 56),    // tree blocks
        (70, 1, 40),    // too much data
        (72, 0, 72),    // no entries
        (73, 1, 72),    // more entries than metadata
        (76, 1, 76),    // reserved
    ] {
        assert_eq!(refused(at, value), Error::BadHeader { offset }, "byte {at}");
    }
    assert_eq!(refused(80, good[80] ^ 1), Error::HashMismatch { block: 2 });
    assert_eq!(refused(121, 1), Error::NotZero { offset: 120 });
    assert!(matches!(refused(112, good[112] ^ 1), Error::UnknownKey { .. }));
}

#[test]
fn an_older_version_with_a_good_signature() {
    let image = image();
    assert!(v4::verify_all(&Software, &image, KEYS, 5).is_ok());
    let refused = v4::verify_all(&Software, &image, KEYS, 6).unwrap_err();
    assert_eq!(refused, Error::RolledBack { found: 5, floor: 6 });
}

#[test]
fn other_formats() {
    let mut image = image();
    image[8] = 3;
    assert_eq!(verify(&image).unwrap_err(), Error::UnsupportedVersion { found: 3 });
    image[0] = b's';
    assert_eq!(verify(&image).unwrap_err(), Error::BadMagic);
    assert_eq!(swos_swosbase::version(&image), None);
}

/// A disk that answers differently the second time: what was read for the mount does not vouch for a later read.
#[test]
fn a_block_swapped_for_another_good_block() {
    let image = image();
    let mounted = verify(&image).unwrap();
    let data = mounted.blocks.geometry().data();
    let (a, b) = (data.first, data.first + 1);
    assert_eq!(mounted.blocks.verify(&Software, a, block(&image, a)), Ok(()));
    assert_eq!(mounted.blocks.verify(&Software, a, block(&image, b)), Err(Error::HashMismatch { block: a }));
    assert_eq!(mounted.blocks.verify(&Software, 0, block(&image, 0)), Err(Error::NotCovered { block: 0 }));
    let end = data.first + data.count;
    assert_eq!(
        mounted.blocks.verify(&Software, end, block(&image, a)),
        Err(Error::NotCovered { block: end })
    );
}
