#![expect(clippy::arithmetic_side_effects, reason = "overflow in a test panics, which is what we want")]

use super::*;
use crate::header::{HEADER_BYTES, MAX_HEADERS, PROGRAM_HEADER_BYTES};

/// A program header to be written.
#[derive(Clone, Copy)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    alignment: u64,
}

const TEXT: Header = Header {
    kind: ProgramHeader::LOAD,
    flags: 5,
    offset: 0,
    address: 0,
    file_bytes: 0x1234,
    memory_bytes: 0x1234,
    alignment: 0x1000,
};
const DATA: Header = Header {
    kind: ProgramHeader::LOAD,
    flags: 6,
    offset: 0x1240,
    address: 0x3240,
    file_bytes: 0x200,
    memory_bytes: 0x3000,
    alignment: 0x1000,
};
const FILE_LEN: u64 = 0x1440;

fn put(bytes: &mut [u8], offset: usize, value: u64, width: usize) {
    bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
}

fn image(kind: u16, entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + headers.len() * PROGRAM_HEADER_BYTES];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    put(&mut bytes, 16, u64::from(kind), 2);
    put(&mut bytes, 18, 183, 2);
    put(&mut bytes, 20, 1, 4);
    put(&mut bytes, 24, entry, 8);
    put(&mut bytes, 32, 64, 8);
    put(&mut bytes, 52, 64, 2);
    put(&mut bytes, 54, 56, 2);
    put(&mut bytes, 56, headers.len() as u64, 2);
    for (index, header) in headers.iter().enumerate() {
        let at = HEADER_BYTES + index * PROGRAM_HEADER_BYTES;
        put(&mut bytes, at, u64::from(header.kind), 4);
        put(&mut bytes, at + 4, u64::from(header.flags), 4);
        for (field, value) in [
            header.offset,
            header.address,
            header.address,
            header.file_bytes,
            header.memory_bytes,
            header.alignment,
        ]
        .into_iter()
        .enumerate()
        {
            put(&mut bytes, at + 8 + field * 8, value, 8);
        }
    }
    bytes
}

fn load(headers: &[Header]) -> Result<LoadPlan, Error> {
    parse(&image(3, 0x100, headers), FILE_LEN)
}

fn refused(headers: &[Header]) -> Violation {
    match load(headers) {
        Err(Error::Segment { violation, .. }) => violation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_becomes_pages_and_file_ranges() {
    let relro = Header { kind: ProgramHeader::GNU_RELRO, flags: 4, memory_bytes: 0xDC0, ..DATA };
    let template = Header {
        kind: ProgramHeader::THREAD_LOCAL,
        flags: 4,
        file_bytes: 16,
        memory_bytes: 80,
        alignment: 64,
        ..DATA
    };
    let stack = Header { kind: ProgramHeader::GNU_STACK, flags: 6, ..TEXT };
    let note = Header { kind: 4, flags: 4, ..TEXT };
    let plan = load(&[TEXT, DATA, relro, template, stack, note]).unwrap();
    assert_eq!((plan.addressing, plan.entry, plan.alignment), (Addressing::Independent, 0x100, 0x1000));
    assert_eq!(plan.span, Span { start: 0, bytes: 0x7000 });
    let text = Segment {
        pages: Span { start: 0, bytes: 0x2000 },
        file_offset: 0,
        file_bytes: 0x1234,
        access: SegmentAccess::ReadExecute,
    };
    let data = Segment {
        pages: Span { start: 0x3000, bytes: 0x4000 },
        file_offset: 0x1000,
        file_bytes: 0x440,
        access: SegmentAccess::ReadWrite,
    };
    assert_eq!(plan.segments.as_slice(), [text, data]);
    assert_eq!(plan.relro, Some(Span { start: 0x3240, bytes: 0xDC0 }));
    let template = Span { start: 0x3240, bytes: 16 };
    assert_eq!(plan.thread_local, Some(ThreadLocal { template, bytes: 80, alignment: 64 }));
    assert_eq!(plan.headers, Some(Span { start: 64, bytes: 6 * 56 }));
}

#[test]
fn a_fixed_image_lies_in_user_addresses() {
    let at = |address| {
        let image = image(2, address + 0x100, &[Header { address, ..TEXT }]);
        parse(&image, FILE_LEN)
    };
    assert_eq!(at(0x1_0000).unwrap().addressing, Addressing::Fixed);
    let last = VirtAddr::USER_LIMIT - 0x2000;
    assert_eq!(at(last).unwrap().span, Span { start: last, bytes: 0x2000 });
    let outside = Error::Segment { offset: 64, violation: Violation::OutsideUser };
    for address in [0, 0xF000, last + 0x1000, VirtAddr::USER_LIMIT, 0xFFFF_0000_0000_0000, u64::MAX - 0xFFF] {
        assert_eq!(at(address), Err(outside), "{address:#x}");
    }
}

#[test]
fn writable_and_executable_is_refused_in_every_guise() {
    assert_eq!(refused(&[Header { flags: 7, ..TEXT }, DATA]), Violation::WritableExecutable);
    assert_eq!(refused(&[Header { flags: 3, ..TEXT }, DATA]), Violation::WritableExecutable);
    let stack = Header { kind: ProgramHeader::GNU_STACK, flags: 7, ..TEXT };
    assert_eq!(refused(&[TEXT, DATA, stack]), Violation::ExecutableStack);
    let same_page = Header { address: 0x1240, ..DATA };
    assert_eq!(refused(&[TEXT, same_page]), Violation::Overlap);
}

#[test]
fn each_rule_of_a_segment() {
    for flags in [0, 1, 2, 8, 4 | 8, 1 << 20 | 5] {
        assert_eq!(refused(&[TEXT, Header { flags, ..DATA }]), Violation::Flags);
    }
    let data = |change: fn(&mut Header)| {
        let mut data = DATA;
        change(&mut data);
        refused(&[TEXT, data])
    };
    assert_eq!(data(|data| data.alignment = 0x3000), Violation::Alignment);
    assert_eq!(data(|data| data.alignment = 1 << 31), Violation::Alignment);
    assert_eq!(data(|data| data.address = 0x3248), Violation::Misaligned);
    assert_eq!(data(|data| data.alignment = 0x1_0000), Violation::Misaligned);
    assert_eq!(data(|data| data.file_bytes = 0x3001), Violation::FileLargerThanMemory);
    assert_eq!(data(|data| data.file_bytes = 0x201), Violation::OutsideFile);
    assert_eq!(data(|data| data.offset = u64::MAX - 0xDBF), Violation::OutsideFile);
    assert_eq!(data(|data| data.memory_bytes = u64::MAX - 0x3000), Violation::OutsideUser);
    assert_eq!(data(|data| data.memory_bytes = VirtAddr::USER_LIMIT), Violation::OutsideUser);
    assert_eq!(data(|data| data.address = 0x240), Violation::Overlap);
    assert_eq!(data(|data| data.kind = ProgramHeader::INTERPRETER), Violation::Interpreter);
    assert_eq!(refused(&[Header { address: 0x8000, ..TEXT }, DATA]), Violation::Overlap);
}

#[test]
fn alignment_zero_and_one_mean_none() {
    for alignment in [0, 1, 8] {
        assert_eq!(load(&[TEXT, Header { alignment, ..DATA }]).unwrap().alignment, 0x1000);
    }
    let text = Header { alignment: 0x1_0000, ..TEXT };
    let data = Header { alignment: 0x1_0000, address: 0x2_1240, ..DATA };
    assert_eq!(load(&[text, data]).unwrap().alignment, 0x1_0000);
}

#[test]
fn thread_local_and_relro_lie_in_segments_once() {
    let template = Header { kind: ProgramHeader::THREAD_LOCAL, file_bytes: 16, alignment: 8, ..DATA };
    assert_eq!(refused(&[TEXT, DATA, template, template]), Violation::ThreadLocal);
    let bad: [fn(&mut Header); 5] = [
        |template| template.address = 0x9000,
        |template| template.alignment = 24,
        |template| template.alignment = 0x2000,
        |template| template.memory_bytes = 8,
        |template| template.memory_bytes = u64::MAX,
    ];
    for change in bad {
        let mut template = template;
        change(&mut template);
        assert_eq!(refused(&[TEXT, DATA, template]), Violation::ThreadLocal);
    }
    let relro = Header { kind: ProgramHeader::GNU_RELRO, ..DATA };
    assert_eq!(refused(&[TEXT, DATA, relro, relro]), Violation::Relro);
    assert_eq!(refused(&[TEXT, DATA, Header { address: 0x100, ..relro }]), Violation::Relro);
    assert_eq!(refused(&[TEXT, DATA, Header { memory_bytes: u64::MAX, ..relro }]), Violation::Relro);
}

#[test]
fn the_entry_is_code_from_the_file() {
    for entry in [0x1234, 0x1FFC, 0x3240, 0x9000, 0x102, u64::MAX - 3] {
        let result = parse(&image(3, entry, &[TEXT, DATA]), FILE_LEN);
        assert_eq!(result, Err(Error::Entry { address: entry }), "{entry:#x}");
    }
    assert!(parse(&image(3, 0x1230, &[TEXT, DATA]), FILE_LEN).is_ok());
}

#[test]
fn empty_and_crowded_files() {
    let note = Header { kind: 4, ..TEXT };
    assert_eq!(load(&[note]), Err(Error::NoSegments));
    assert_eq!(load(&[Header { file_bytes: 0, memory_bytes: 0, ..TEXT }]), Err(Error::NoSegments));
    assert_eq!(load(&[]), Err(Error::HeaderCount { count: 0 }));
    let many = usize::from(MAX_HEADERS) + 1;
    assert_eq!(load(&vec![note; many]), Err(Error::HeaderCount { count: MAX_HEADERS + 1 }));
    let segments: Vec<Header> =
        (0..=MAX_SEGMENTS as u64).map(|index| Header { address: index * 0x10_0000, ..TEXT }).collect();
    assert_eq!(load(&segments), Err(Error::TooManySegments));
    assert_eq!(load(&segments[..MAX_SEGMENTS]).unwrap().segments.len(), MAX_SEGMENTS);
    let far = Header { address: VirtAddr::USER_LIMIT - 0x1_0000 + 0x240, ..DATA };
    assert_eq!(refused(&[TEXT, far]), Violation::OutsideUser);
}

#[test]
fn the_header_must_fit_field_by_field() {
    let good = image(3, 0x100, &[TEXT, DATA]);
    for (offset, value) in
        [(0, 0), (4, 1), (5, 2), (6, 0), (7, 3), (8, 1), (16, 1), (18, 62), (20, 2), (48, 1), (52, 0)]
    {
        let mut bytes = good.clone();
        bytes[offset] = value;
        assert_eq!(parse(&bytes, FILE_LEN), Err(Error::Header { offset: offset as u64 }));
    }
    let mut bytes = good.clone();
    put(&mut bytes, 32, 63, 8);
    assert_eq!(parse(&bytes, FILE_LEN), Err(Error::Header { offset: 32 }));
    put(&mut bytes, 32, 0x200, 8);
    assert_eq!(parse(&bytes, FILE_LEN), Err(Error::HeadersTooFar { offset: 0x200 }));
    put(&mut bytes, 32, FILE_LEN, 8);
    assert_eq!(parse(&bytes, FILE_LEN), Err(Error::Truncated { offset: FILE_LEN, needed: 112 }));
    put(&mut bytes, 32, u64::MAX - 7, 8);
    assert_eq!(parse(&bytes, FILE_LEN), Err(Error::Truncated { offset: u64::MAX - 7, needed: 112 }));
}
