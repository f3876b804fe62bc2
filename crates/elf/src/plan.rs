//! What to load where.

use arrayvec::ArrayVec;
use swos_units::{PAGE_SIZE, VirtAddr};

use crate::error::{Error, Violation};
pub use crate::header::Addressing;
use crate::header::{FileHeader, ProgramHeader};

/// Most segments to load.
pub const MAX_SEGMENTS: usize = 8;

/// The lowest address that a fixed image may use: the same floor as every mapping of a program.
const USER_START: u64 = 0x1_0000;
/// The longest image: half of the user's addresses, so that some place is always free for an independent one.
const MAX_SPAN: u64 = VirtAddr::USER_LIMIT / 2;
const MAX_ALIGNMENT: u64 = 1 << 30;
const PAGE: u64 = PAGE_SIZE as u64;

/// What may be done with a segment. Writable and executable at once can't be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SegmentAccess {
    /// Constants.
    ReadOnly,
    /// Data.
    ReadWrite,
    /// Code.
    ReadExecute,
}

/// A run of addresses, relative to the bias of the image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl Span {
    /// One past the last address. Never wraps in a plan.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.start.saturating_add(self.bytes)
    }

    const fn contains(self, address: u64) -> bool {
        self.start <= address && address < self.end()
    }

    const fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }

    /// The pages that it touches.
    const fn to_pages(self) -> Self {
        let start = self.start & !(PAGE - 1);
        let end = self.end().saturating_add(PAGE - 1) & !(PAGE - 1);
        Self { start, bytes: end.saturating_sub(start) }
    }
}

/// One segment: whole pages of memory, of which the first bytes are the file's and the rest zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// The pages, both ends page-aligned, never empty.
    pub pages: Span,
    /// Offset in the file of what the first page shows, page-aligned. In the first page it may begin before the segment
    /// proper.
    pub file_offset: u64,
    /// How many bytes from the first page on are the file's; from there on everything is zero. Zero for pure `.bss`.
    pub file_bytes: u64,
    /// What may be done with it.
    pub access: SegmentAccess,
}

/// The initial image of thread-local variables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ThreadLocal {
    /// Where it lies in the loaded image; the bytes from the file.
    pub template: Span,
    /// Length in memory of a thread's copy; zero past the template.
    pub bytes: u64,
    /// Alignment of a copy, a power of two.
    pub alignment: u64,
}

/// Everything needed to load an executable. Addresses are relative to a bias: zero for [`Addressing::Fixed`], any
/// multiple of `alignment` that keeps the span in the user's addresses for [`Addressing::Independent`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoadPlan {
    /// Whether the image can be moved.
    pub addressing: Addressing,
    /// Where execution begins.
    pub entry: u64,
    /// From the first page of the first segment to the last of the last.
    pub span: Span,
    /// The largest alignment of any segment, at least a page.
    pub alignment: u64,
    /// Sorted by address, apart by pages.
    pub segments: ArrayVec<Segment, MAX_SEGMENTS>,
    /// Thread-local variables, if there are any.
    pub thread_local: Option<ThreadLocal>,
    /// The part that the program makes read-only after relocating itself.
    pub relro: Option<Span>,
    /// Where the program headers lie in the loaded image, if they are loaded: for `AT_PHDR`.
    pub headers: Option<Span>,
}

/// Makes the load plan of a file of `file_len` bytes that begins with `head`. The program headers must lie in `head`: the
/// kernel passes the first page, and every linker puts them right behind the file header.
///
/// # Errors
///
/// [`Error`] for anything but a well-formed static executable for this machine.
pub fn parse(head: &[u8], file_len: u64) -> Result<LoadPlan, Error> {
    let file = FileHeader::parse(head, file_len)?;
    let headers = file.program_headers(head, file_len)?;
    let mut plan = LoadPlan {
        addressing: file.addressing,
        entry: file.entry,
        span: Span { start: 0, bytes: 0 },
        alignment: PAGE,
        segments: ArrayVec::new(),
        thread_local: None,
        relro: None,
        headers: None,
    };
    let mut entry_is_code = false;
    for (at, header) in headers.clone() {
        let refuse = |violation| Error::Segment { offset: at, violation };
        match header.kind {
            ProgramHeader::LOAD if header.memory_bytes == 0 && header.file_bytes == 0 => {}
            ProgramHeader::LOAD => {
                let segment = load_segment(&header, file_len, file.addressing).map_err(refuse)?;
                if plan.segments.last().is_some_and(|last| segment.pages.start < last.pages.end()) {
                    return Err(refuse(Violation::Overlap));
                }
                plan.segments.try_push(segment).map_err(|_| Error::TooManySegments)?;
                plan.alignment = plan.alignment.max(header.alignment);
                let code = Span { start: header.address, bytes: header.file_bytes };
                entry_is_code |= segment.access == SegmentAccess::ReadExecute && code.contains(file.entry);
            }
            ProgramHeader::INTERPRETER => return Err(refuse(Violation::Interpreter)),
            ProgramHeader::GNU_STACK if header.flags & ProgramHeader::EXECUTE != 0 => {
                return Err(refuse(Violation::ExecutableStack));
            }
            _ => {}
        }
    }
    let (Some(first), Some(last)) = (plan.segments.first(), plan.segments.last()) else {
        return Err(Error::NoSegments);
    };
    plan.span = Span { start: first.pages.start, bytes: last.pages.end().saturating_sub(first.pages.start) };
    if plan.span.bytes > MAX_SPAN {
        return Err(Error::Segment { offset: file.headers_at, violation: Violation::OutsideUser });
    }
    for (at, header) in headers {
        let refuse = |violation| Error::Segment { offset: at, violation };
        match header.kind {
            ProgramHeader::THREAD_LOCAL => {
                let fresh = plan.thread_local.is_none();
                let found = thread_local(&header, &plan).filter(|_| fresh);
                plan.thread_local = Some(found.ok_or(refuse(Violation::ThreadLocal))?);
            }
            ProgramHeader::GNU_RELRO if header.memory_bytes != 0 => {
                let found = relro(&header, &plan).filter(|_| plan.relro.is_none());
                plan.relro = Some(found.ok_or(refuse(Violation::Relro))?);
            }
            _ => {}
        }
    }
    if !file.entry.is_multiple_of(4) || !entry_is_code {
        return Err(Error::Entry { address: file.entry });
    }
    plan.headers = headers_in_memory(&file, &plan);
    Ok(plan)
}

fn load_segment(header: &ProgramHeader, file_len: u64, addressing: Addressing) -> Result<Segment, Violation> {
    let access = access(header.flags)?;
    if header.alignment > 1 && (!header.alignment.is_power_of_two() || header.alignment > MAX_ALIGNMENT) {
        return Err(Violation::Alignment);
    }
    let modulus = header.alignment.max(PAGE);
    if (header.address ^ header.offset) & modulus.wrapping_sub(1) != 0 {
        return Err(Violation::Misaligned);
    }
    if header.file_bytes > header.memory_bytes {
        return Err(Violation::FileLargerThanMemory);
    }
    let file_end = header.offset.checked_add(header.file_bytes).ok_or(Violation::OutsideFile)?;
    if file_end > file_len {
        return Err(Violation::OutsideFile);
    }
    let end = header.address.checked_add(header.memory_bytes).ok_or(Violation::OutsideUser)?;
    let floor = match addressing {
        Addressing::Fixed => USER_START,
        Addressing::Independent => 0,
    };
    if header.address < floor || end > VirtAddr::USER_LIMIT {
        return Err(Violation::OutsideUser);
    }
    let lead = header.address & (PAGE - 1);
    let file_bytes = if header.file_bytes == 0 { 0 } else { header.file_bytes.saturating_add(lead) };
    Ok(Segment {
        pages: Span { start: header.address, bytes: header.memory_bytes }.to_pages(),
        file_offset: header.offset & !(PAGE - 1),
        file_bytes,
        access,
    })
}

fn access(flags: u32) -> Result<SegmentAccess, Violation> {
    const READ: u32 = ProgramHeader::READ;
    const WRITE: u32 = ProgramHeader::READ | ProgramHeader::WRITE;
    const EXECUTE: u32 = ProgramHeader::READ | ProgramHeader::EXECUTE;
    match flags {
        READ => Ok(SegmentAccess::ReadOnly),
        WRITE => Ok(SegmentAccess::ReadWrite),
        EXECUTE => Ok(SegmentAccess::ReadExecute),
        _ if flags & ProgramHeader::WRITE != 0 && flags & ProgramHeader::EXECUTE != 0 => {
            Err(Violation::WritableExecutable)
        }
        _ => Err(Violation::Flags),
    }
}

/// The part of a segment that the file fills.
fn loaded(segment: &Segment) -> Span {
    Span { start: segment.pages.start, bytes: segment.file_bytes }
}

fn thread_local(header: &ProgramHeader, plan: &LoadPlan) -> Option<ThreadLocal> {
    let alignment = header.alignment.max(1);
    let template = Span { start: header.address, bytes: header.file_bytes };
    header.address.checked_add(header.memory_bytes)?;
    let placed = template.bytes == 0 || plan.segments.iter().any(|segment| segment.pages.covers(template));
    let sound = alignment.is_power_of_two()
        && alignment <= PAGE
        && header.file_bytes <= header.memory_bytes
        && header.memory_bytes <= MAX_SPAN;
    (placed && sound).then_some(ThreadLocal { template, bytes: header.memory_bytes, alignment })
}

fn relro(header: &ProgramHeader, plan: &LoadPlan) -> Option<Span> {
    let span = Span { start: header.address, bytes: header.memory_bytes };
    header.address.checked_add(header.memory_bytes)?;
    let writable = |segment: &&Segment| segment.access == SegmentAccess::ReadWrite;
    plan.segments.iter().filter(writable).any(|segment| segment.pages.covers(span)).then_some(span)
}

fn headers_in_memory(file: &FileHeader, plan: &LoadPlan) -> Option<Span> {
    let bytes = u64::from(file.headers).checked_mul(crate::header::PROGRAM_HEADER_BYTES as u64)?;
    plan.segments.iter().find_map(|segment| {
        let start = segment.pages.start.checked_add(file.headers_at.checked_sub(segment.file_offset)?)?;
        let span = Span { start, bytes };
        loaded(segment).covers(span).then_some(span)
    })
}

#[cfg(test)]
mod tests;
