//! Looking for a byte, eight at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// The top bit of each byte of `word` that equals `byte`, exact up to and including the first such byte.
///
/// Source: S. E. Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte equal to n".
const fn matches(word: u64, byte: u8) -> u64 {
    let zeroed = word ^ (ONES * byte as u64);
    zeroed.wrapping_sub(ONES) & !zeroed & TOPS
}

/// Whether `byte` is among `bytes`.
pub(crate) fn contains(bytes: &[u8], byte: u8) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    match bytes.last_chunk::<8>() {
        // The last eight cover what the whole words leave.
        Some(last) => words.iter().chain([last]).any(|word| matches(u64::from_le_bytes(*word), byte) != 0),
        None => rest.contains(&byte),
    }
}

/// Where `byte` is first, or the length.
pub(crate) fn position(bytes: &[u8], byte: u8) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = matches(u64::from_le_bytes(*word), byte);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&other| other != byte) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_loop(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0x2e), Just(0x2f), Just(0x30), Just(0x80), any::<u8>()], 0..40),
            byte in prop_oneof![Just(0_u8), Just(0x2f), Just(0x80)],
        ) {
            prop_assert_eq!(contains(&bytes, byte), bytes.contains(&byte));
            let expected = bytes.iter().position(|&other| other == byte).unwrap_or(bytes.len());
            prop_assert_eq!(position(&bytes, byte), expected);
        }
    }
}
