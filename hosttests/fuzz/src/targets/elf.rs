//! Programs.

use elf::ElfBytes;
use elf::abi::{ET_DYN, PT_LOAD, PT_TLS};
use elf::endian::LittleEndian;
use swos_elf::{Addressing, LoadPlan, Segment, SegmentAccess, parse};

const USER_LIMIT: u64 = 1 << 48;
const PAGE: u64 = 4096;

/// A program of which the kernel has read the first page: refused, or a plan that maps nothing outside user space, nothing
/// twice and nothing writable and executable, as the `elf` crate reads it too.
pub(super) fn elf(data: &[u8]) {
    let Ok(plan) = parse(&data[..data.len().min(4096)], data.len() as u64) else { return };
    let mut end = 0;
    for segment in &plan.segments {
        assert!(segment.pages.bytes > 0 && segment.file_bytes <= segment.pages.bytes);
        assert_eq!((segment.pages.start | segment.pages.bytes | segment.file_offset) % PAGE, 0);
        assert!(segment.pages.start >= end, "segments overlap or are not in order");
        end = segment.pages.start.checked_add(segment.pages.bytes).expect("no wrap-around");
        let file_end = segment.file_offset.checked_add(segment.file_bytes).expect("no wrap-around");
        assert!(segment.file_bytes == 0 || file_end <= data.len() as u64, "outside the file");
        assert!(plan.addressing == Addressing::Independent || segment.pages.start >= 0x1_0000, "null page");
    }
    assert!(end <= USER_LIMIT);
    let first = plan.segments.first().expect("a plan loads something");
    assert_eq!((plan.span.start, plan.span.end()), (first.pages.start, end));
    assert!(plan.alignment.is_power_of_two() && plan.alignment >= PAGE);
    let holds_entry = |segment: &&Segment| {
        segment.access == SegmentAccess::ReadExecute
            && (segment.pages.start..segment.pages.start + segment.file_bytes).contains(&plan.entry)
    };
    assert_eq!(plan.segments.iter().filter(holds_entry).count(), 1, "entry outside of code");
    if let Some(headers) = plan.headers {
        let covers = |s: &Segment| s.pages.start <= headers.start && headers.end() <= s.pages.end();
        assert!(plan.segments.iter().any(covers), "program headers are not loaded");
    }
    compare(data, &plan);
}

/// Compares an accepted file with what the `elf` crate reads.
fn compare(file: &[u8], plan: &LoadPlan) {
    // It also checks section headers, which we don't read.
    let Ok(theirs) = ElfBytes::<LittleEndian>::minimal_parse(file) else { return };
    assert_eq!((theirs.ehdr.e_entry, theirs.ehdr.e_machine), (plan.entry, 183));
    assert_eq!(theirs.ehdr.e_type == ET_DYN, plan.addressing == Addressing::Independent);
    let headers: Vec<_> = theirs.segments().unwrap().iter().collect();
    let loads: Vec<_> = headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_memsz > 0).collect();
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
        assert_eq!(theirs.p_vaddr - ours.pages.start, theirs.p_offset - ours.file_offset);
        if theirs.p_filesz > 0 {
            assert_eq!(theirs.p_offset + theirs.p_filesz, ours.file_offset + ours.file_bytes);
        }
    }
    let template = headers.iter().find(|header| header.p_type == PT_TLS);
    let ours = plan.thread_local.map(|ours| (ours.template.start, ours.template.bytes, ours.bytes));
    assert_eq!(ours, template.map(|theirs| (theirs.p_vaddr, theirs.p_filesz, theirs.p_memsz)));
}

/// A static position-independent program as a linker lays it out, and one at fixed addresses.
pub(super) fn elf_seeds() -> Vec<Vec<u8>> {
    let independent = program(
        3,
        0x1300,
        &[
            [1, 4, 0, 0, 0x300, 0x300, 0x1000],
            [1, 5, 0x300, 0x1300, 0x500, 0x500, 0x1000],
            [1, 6, 0x800, 0x2800, 0x100, 0x2000, 0x1000],
            [7, 4, 0x800, 0x2800, 0x10, 0x40, 0x10],
            [0x6474_e552, 4, 0x800, 0x2800, 0x100, 0x800, 1],
            [0x6474_e551, 6, 0, 0, 0, 0, 0],
        ],
    );
    let fixed = program(
        2,
        0x20_0100,
        &[[1, 5, 0, 0x20_0000, 0x900, 0x900, 0x1000], [1, 6, 0, 0x30_0000, 0, 0x2000, 0x1000]],
    );
    vec![independent, fixed]
}

/// Header fields in order: type, flags, offset, address, bytes in the file, in memory, alignment.
fn program(kind: u16, entry: u64, headers: &[[u64; 7]]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([kind.to_le_bytes(), 183_u16.to_le_bytes()].concat());
    file.extend(1_u32.to_le_bytes());
    file.extend([entry, 64, 0].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    let count = u16::try_from(headers.len()).unwrap();
    file.extend([64, 56, count, 64, 0, 0].map(u16::to_le_bytes).concat());
    for &[kind, flags, offset, address, file_bytes, memory_bytes, alignment] in headers {
        file.extend([kind, flags].map(|word| u32::try_from(word).unwrap().to_le_bytes()).concat());
        let fields = [offset, address, address, file_bytes, memory_bytes, alignment];
        file.extend(fields.map(u64::to_le_bytes).concat());
    }
    file.resize(0x900, 0);
    file
}
