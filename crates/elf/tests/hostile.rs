//! Hostile input: whatever the bytes are, parsing ends with an error or with a plan that keeps every promise, and what is
//! accepted the `elf` crate reads the same way.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may panic; the lint knows test functions only"
)]

use elf::ElfBytes;
use elf::abi::{ET_DYN, PT_LOAD, PT_TLS};
use elf::endian::LittleEndian;
use proptest::prelude::*;
use swos_elf::{Addressing, Error, LoadPlan, SegmentAccess, parse};

const USER_LIMIT: u64 = 1 << 48;
const PAGE: u64 = 4096;

/// The fuzz target: any bytes, of which the first `head` were read. Panics if a promise is broken.
fn check(file: &[u8], head: usize) -> Result<LoadPlan, Error> {
    let plan = parse(&file[..head.min(file.len())], file.len() as u64)?;
    let mut end = 0;
    for segment in &plan.segments {
        assert!(segment.pages.bytes > 0);
        assert_eq!((segment.pages.start | segment.pages.bytes | segment.file_offset) % PAGE, 0);
        assert!(segment.pages.start >= end, "segments overlap");
        end = segment.pages.start.checked_add(segment.pages.bytes).expect("wraps around");
        assert!(segment.file_bytes <= segment.pages.bytes);
        let file_end = segment.file_offset.checked_add(segment.file_bytes).expect("wraps around");
        assert!(segment.file_bytes == 0 || file_end <= file.len() as u64);
        if plan.addressing == Addressing::Fixed {
            assert!(segment.pages.start >= 0x1_0000, "null page");
        }
        assert_eq!(segment.pages.start % PAGE, 0);
    }
    assert!(end <= USER_LIMIT);
    let first = plan.segments.first().unwrap();
    assert_eq!((plan.span.start, plan.span.end()), (first.pages.start, end));
    assert!(plan.alignment.is_power_of_two() && plan.alignment >= PAGE);
    let entry = |segment: &&swos_elf::Segment| {
        segment.access == SegmentAccess::ReadExecute
            && segment.pages.start <= plan.entry
            && plan.entry < segment.pages.start + segment.file_bytes
    };
    assert_eq!(plan.segments.iter().filter(entry).count(), 1, "entry outside code");
    if let Some(headers) = plan.headers {
        assert!(
            plan.segments.iter().any(|s| s.pages.start <= headers.start && headers.end() <= s.pages.end())
        );
    }
    compare(file, &plan);
    Ok(plan)
}

/// Compares an accepted file with what the `elf` crate reads.
fn compare(file: &[u8], plan: &LoadPlan) {
    let Ok(theirs) = ElfBytes::<LittleEndian>::minimal_parse(file) else {
        // It also checks section headers, which we don't read.
        return;
    };
    assert_eq!((theirs.ehdr.e_entry, theirs.ehdr.e_machine), (plan.entry, 183));
    assert_eq!(theirs.ehdr.e_type == ET_DYN, plan.addressing == Addressing::Independent);
    let headers: Vec<_> = theirs.segments().unwrap().iter().collect();
    let loads: Vec<_> =
        headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0).collect();
    assert_eq!(loads.len(), plan.segments.len());
    for (theirs, ours) in loads.iter().zip(&plan.segments) {
        let flags = match ours.access {
            SegmentAccess::ReadOnly => 4,
            SegmentAccess::ReadWrite => 6,
            SegmentAccess::ReadExecute => 5,
        };
        assert_eq!(theirs.p_flags, flags);
        assert_eq!(theirs.p_vaddr / PAGE * PAGE, ours.pages.start);
        assert_eq!((theirs.p_vaddr + theirs.p_memsz).div_ceil(PAGE) * PAGE, ours.pages.end());
        // The same byte of the file is at the same address.
        assert_eq!(theirs.p_vaddr - ours.pages.start, theirs.p_offset - ours.file_offset);
        if theirs.p_filesz > 0 {
            assert_eq!(theirs.p_offset + theirs.p_filesz, ours.file_offset + ours.file_bytes);
            assert!(theirs.p_align <= plan.alignment);
        }
    }
    let template = headers.iter().find(|header| header.p_type == PT_TLS);
    let ours = plan.thread_local.map(|ours| (ours.template.start, ours.template.bytes, ours.bytes));
    assert_eq!(ours, template.map(|theirs| (theirs.p_vaddr, theirs.p_filesz, theirs.p_memsz)));
}

fn put(bytes: &mut [u8], offset: usize, value: u64, width: usize) {
    bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
}

/// A small static position-independent program as a linker lays it out: constants, code, data with `.bss`, thread-local
/// variables, the part to make read-only, the stack's flags.
fn program() -> Vec<u8> {
    let headers: [[u64; 7]; 6] = [
        [1, 4, 0, 0, 0x300, 0x300, 0x1000],
        [1, 5, 0x300, 0x1300, 0x500, 0x500, 0x1000],
        [1, 6, 0x800, 0x2800, 0x100, 0x2000, 0x1000],
        [7, 4, 0x800, 0x2800, 0x10, 0x40, 0x10],
        [0x6474_E552, 4, 0x800, 0x2800, 0x100, 0x800, 1],
        [0x6474_E551, 6, 0, 0, 0, 0, 0],
    ];
    let mut file = vec![0; 0x900];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (offset, value, width) in [
        (16, 3, 2),
        (18, 183, 2),
        (20, 1, 4),
        (24, 0x1300, 8),
        (32, 64, 8),
        (52, 64, 2),
        (54, 56, 2),
        (56, 6, 2),
    ] {
        put(&mut file, offset, value, width);
    }
    for (index, [kind, flags, offset, address, file_bytes, memory_bytes, alignment]) in
        headers.into_iter().enumerate()
    {
        let at = 64 + index * 56;
        put(&mut file, at, kind, 4);
        put(&mut file, at + 4, flags, 4);
        for (field, value) in
            [offset, address, address, file_bytes, memory_bytes, alignment].into_iter().enumerate()
        {
            put(&mut file, at + 8 + field * 8, value, 8);
        }
    }
    file
}

const HEADERS_END: usize = 64 + 6 * 56;

#[test]
fn the_program_is_accepted() {
    let plan = check(&program(), 4096).unwrap();
    assert_eq!(plan.segments.len(), 3);
    assert!(plan.thread_local.is_some() && plan.relro.is_some() && plan.headers.is_some());
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    let (mut accepted, mut refused) = (0, 0);
    for bit in 0..HEADERS_END * 8 {
        let mut file = program();
        file[bit / 8] ^= 1 << (bit % 8);
        match check(&file, 4096) {
            Ok(_) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 500 && accepted > 100, "{refused} refused, {accepted} accepted");
}

#[test]
fn every_pair_of_bits_in_one_program_header() {
    let header = 64 + 56..64 + 2 * 56;
    let bits = header.start * 8..header.end * 8;
    for first in bits.clone() {
        for second in (first + 1..bits.end).step_by(7) {
            let mut file = program();
            file[first / 8] ^= 1 << (first % 8);
            file[second / 8] ^= 1 << (second % 8);
            let _ = check(&file, 4096);
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let file = program();
    for len in 0..file.len() {
        assert!(check(&file[..len], 4096).is_err(), "{len} bytes of the file");
    }
    for head in 0..HEADERS_END {
        assert!(check(&file, head).is_err(), "{head} bytes read");
    }
    assert_eq!(check(&file, HEADERS_END), check(&file, 4096));
}

#[test]
fn a_head_longer_than_the_file_is_cut() {
    let file = program();
    assert_eq!(parse(&file, 100), Err(Error::Truncated { offset: 64, needed: 6 * 56 }));
    assert_eq!(parse(&file, 10), Err(Error::Truncated { offset: 0, needed: 64 }));
}

/// Values that sit at borders.
fn hostile_value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..64_u32).prop_map(|shift| 1 << shift),
        (0..64_u32).prop_map(|shift| (1_u64 << shift).wrapping_sub(1)),
        (0..0x4000_u64),
        (0..0x4000_u64).prop_map(|below| u64::MAX - below),
        (0..0x8000_u64).prop_map(|around| USER_LIMIT - 0x4000 + around),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(file in prop::collection::vec(any::<u8>(), 0..600), head in 0..600_usize) {
        let _ = check(&file, head);
    }

    #[test]
    fn hostile_fields(changes in prop::collection::vec((0..6_usize, 0..7_usize, hostile_value()), 1..6), entry in hostile_value()) {
        let mut file = program();
        if entry & 3 == 0 {
            put(&mut file, 24, entry, 8);
        }
        for (header, field, value) in changes {
            put(&mut file, 64 + header * 56 + [0, 4, 8, 16, 32, 40, 48][field], value, if field < 2 { 4 } else { 8 });
        }
        let _ = check(&file, 4096);
    }

    /// Layouts that a linker could make: accepted, and read alike.
    #[test]
    fn plausible_layouts(
        segments in prop::collection::vec((0..3_usize, 1..0x3000_u64, 0..0x5000_u64, 0..3_u64), 1..6),
        fixed in any::<bool>(),
    ) {
        let mut file = program();
        let mut offset = 0x1000;
        let mut address = if fixed { 0x20_0000 } else { 0 };
        let mut entry = None;
        let count = segments.len() as u64;
        for (index, (kind, file_bytes, extra, gap)) in segments.into_iter().enumerate() {
            let flags = [4, 5, 6][kind];
            let start = address + offset % PAGE;
            let at = 64 + index * 56;
            for (field, width, value) in [
                (0, 4, 1), (4, 4, flags), (8, 8, offset), (16, 8, start), (24, 8, start),
                (32, 8, file_bytes), (40, 8, file_bytes + extra), (48, 8, PAGE),
            ] {
                put(&mut file, at + field, value, width);
            }
            if flags == 5 && entry.is_none() {
                entry = Some(start.next_multiple_of(4)).filter(|entry| *entry < start + file_bytes);
            }
            offset += file_bytes;
            address = ((start + file_bytes + extra).div_ceil(PAGE) + gap) * PAGE;
        }
        put(&mut file, 16, if fixed { 2 } else { 3 }, 2);
        put(&mut file, 24, entry.unwrap_or(0x1300), 8);
        put(&mut file, 56, count, 2);
        file.resize(usize::try_from(offset).unwrap(), 0);
        let result = check(&file, 4096);
        prop_assert_eq!(result.is_ok(), entry.is_some(), "{:?}", result);
    }
}
