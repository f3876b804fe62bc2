//! The fixed layouts: file header and program header, read field by field.

use crate::error::Error;

/// Size of the file header, in bytes.
pub const HEADER_BYTES: usize = 64;
/// Size of a program header, in bytes.
pub const PROGRAM_HEADER_BYTES: usize = 56;
/// Most program headers accepted.
pub const MAX_HEADERS: u16 = 32;

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const VERSION: u8 = 1;
const ABI_SYSTEM_V: u8 = 0;
const ABI_STANDALONE: u8 = 255;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_SHARED: u16 = 3;
const MACHINE_AARCH64: u16 = 183;

/// Which addresses a file wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressing {
    /// `ET_EXEC`: exactly those it names.
    Fixed,
    /// `ET_DYN`: any, as long as the distances stay.
    Independent,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FileHeader {
    pub(crate) addressing: Addressing,
    pub(crate) entry: u64,
    pub(crate) headers_at: u64,
    pub(crate) headers: u16,
}

impl FileHeader {
    pub(crate) fn parse(head: &[u8], file_len: u64) -> Result<Self, Error> {
        let field = |offset: usize| Error::Header { offset: offset as u64 };
        let head = limited(head, file_len);
        if head.len() < HEADER_BYTES {
            return Err(Error::Truncated { offset: 0, needed: HEADER_BYTES as u64 });
        }
        let expect = |offset: usize, good: bool| if good { Ok(()) } else { Err(field(offset)) };
        expect(0, head.starts_with(b"\x7fELF"))?;
        expect(4, byte(head, 4) == CLASS_64)?;
        expect(5, byte(head, 5) == LITTLE_ENDIAN)?;
        expect(6, byte(head, 6) == VERSION)?;
        expect(7, matches!(byte(head, 7), ABI_SYSTEM_V | ABI_STANDALONE))?;
        expect(8, byte(head, 8) == 0)?;
        let addressing = match half(head, 16) {
            TYPE_EXECUTABLE => Addressing::Fixed,
            TYPE_SHARED => Addressing::Independent,
            _ => return Err(field(16)),
        };
        expect(18, half(head, 18) == MACHINE_AARCH64)?;
        expect(20, word(head, 20) == u32::from(VERSION))?;
        expect(48, word(head, 48) == 0)?;
        expect(52, usize::from(half(head, 52)) == HEADER_BYTES)?;
        expect(54, usize::from(half(head, 54)) == PROGRAM_HEADER_BYTES)?;
        let headers = half(head, 56);
        if headers == 0 || headers > MAX_HEADERS {
            return Err(Error::HeaderCount { count: headers });
        }
        Ok(Self { addressing, entry: long(head, 24), headers_at: long(head, 32), headers })
    }

    /// Offset and content of each program header.
    pub(crate) fn program_headers<'a>(
        &self,
        head: &'a [u8],
        file_len: u64,
    ) -> Result<impl Iterator<Item = (u64, ProgramHeader)> + Clone + use<'a>, Error> {
        let offset = self.headers_at;
        let needed = u64::from(self.headers).saturating_mul(PROGRAM_HEADER_BYTES as u64);
        let end = offset.checked_add(needed).filter(|end| *end <= file_len);
        let Some(end) = end else { return Err(Error::Truncated { offset, needed }) };
        if offset < HEADER_BYTES as u64 || !offset.is_multiple_of(8) {
            return Err(Error::Header { offset: 32 });
        }
        let table = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(end).ok())
            .and_then(|(start, end)| head.get(start..end))
            .ok_or(Error::HeadersTooFar { offset })?;
        Ok(table.chunks_exact(PROGRAM_HEADER_BYTES).enumerate().map(move |(index, bytes)| {
            let at = offset.saturating_add((index as u64).saturating_mul(PROGRAM_HEADER_BYTES as u64));
            (at, ProgramHeader::read(bytes))
        }))
    }
}

/// `head` without what lies past the end of the file.
fn limited(head: &[u8], file_len: u64) -> &[u8] {
    let len = usize::try_from(file_len).unwrap_or(usize::MAX).min(head.len());
    head.get(..len).unwrap_or(head)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgramHeader {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) file_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) alignment: u64,
}

impl ProgramHeader {
    pub(crate) const LOAD: u32 = 1;
    pub(crate) const INTERPRETER: u32 = 3;
    pub(crate) const THREAD_LOCAL: u32 = 7;
    pub(crate) const GNU_STACK: u32 = 0x6474_E551;
    pub(crate) const GNU_RELRO: u32 = 0x6474_E552;

    pub(crate) const EXECUTE: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const READ: u32 = 4;

    fn read(bytes: &[u8]) -> Self {
        Self {
            kind: word(bytes, 0),
            flags: word(bytes, 4),
            offset: long(bytes, 8),
            address: long(bytes, 16),
            file_bytes: long(bytes, 32),
            memory_bytes: long(bytes, 40),
            alignment: long(bytes, 48),
        }
    }
}

/// `N` bytes at `offset`, zero where there are none. The lengths were checked, so there always are.
fn bytes<const N: usize>(data: &[u8], offset: usize) -> [u8; N] {
    data.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn byte(data: &[u8], offset: usize) -> u8 {
    let [byte] = bytes(data, offset);
    byte
}

fn half(data: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(bytes(data, offset))
}

fn word(data: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes(data, offset))
}

fn long(data: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes(data, offset))
}
