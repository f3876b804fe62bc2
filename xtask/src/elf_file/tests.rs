use super::*;

/// An ELF file with the given segments (physical address, bytes) behind its headers, and a tail that nothing loads.
fn elf(segments: &[(u64, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &2u16.to_le_bytes());
    put(18, &183u16.to_le_bytes());
    put(20, &1u32.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(40, &0x1234u64.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &u16::try_from(segments.len()).unwrap().to_le_bytes());
    let mut data = Vec::new();
    let start = 64 + 56 * segments.len();
    for (address, bytes) in segments {
        file.extend(1u32.to_le_bytes());
        file.extend(5u32.to_le_bytes());
        let size = bytes.len() as u64;
        for word in [(start + data.len()) as u64, *address, *address, size, size + 16, 4096] {
            file.extend(word.to_le_bytes());
        }
        data.extend_from_slice(bytes);
    }
    file.extend(data);
    // No section table can be parsed at the bogus offset, so it must not be looked for.
    file[40..48].fill(0);
    file.extend(b"symbols");
    file
}

#[test]
fn segments_land_at_their_physical_distance() {
    let flat = flatten(&elf(&[(0x4020_0010, b"later"), (0x4020_0000, b"first")])).unwrap();
    assert_eq!(flat, b"first\0\0\0\0\0\0\0\0\0\0\0later");
}

#[test]
fn segments_far_apart_are_refused() {
    assert!(flatten(&elf(&[(0, b"a"), (1 << 40, b"b")])).is_err());
}

#[test]
fn no_segment_is_refused() {
    assert!(flatten(&elf(&[])).is_err());
    assert!(flatten(b"not an ELF file").is_err());
}

#[test]
fn stripping_keeps_what_is_loaded_and_nothing_else() {
    let file = elf(&[(0, b"text"), (0x1000, b"data")]);
    let stripped = strip(&file).unwrap();
    assert!(stripped.ends_with(b"textdata"));
    assert_eq!(flatten(&stripped).unwrap(), flatten(&file).unwrap());
}

#[test]
fn a_truncated_file_is_refused() {
    let file = elf(&[(0, b"text")]);
    for length in 0..file.len() - b"symbols".len() {
        assert!(flatten(&file[..length]).is_err(), "{length}");
        assert!(strip(&file[..length]).is_err(), "{length}");
    }
}
