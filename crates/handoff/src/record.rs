//! The record, as bytes and as a value.

use core::fmt;
use swos_units::{PAGE_SIZE, PhysAddr};

use crate::crc::checksum;

/// The version that this crate writes and the only one that it reads.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"SWOSBOOT";
const HEADER: usize = 56;
const RANGE: usize = 24;
const CRC_AT: usize = 16;
/// Bounds what a wrong length costs to check.
const MAX_LEN: usize = 64 * 1024;

/// What a range of memory is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MemoryKind {
    /// Free for the kernel.
    Usable = 1,
    /// Holds loader code and data: free once the record has been read.
    Loader = 2,
    /// Firmware code and data that stay in use.
    Firmware = 3,
    /// ACPI tables: free once read.
    Tables = 4,
}

/// A range of physical memory: whole pages, at least one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MemoryRange {
    /// First byte.
    pub base: u64,
    /// Length in bytes.
    pub len: u64,
    /// What it is.
    pub kind: MemoryKind,
}

/// The copy of the system that was booted.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Slot {
    /// There are no slots.
    #[default]
    None = 0,
    /// The first.
    A = 1,
    /// The second.
    B = 2,
}

/// A record that can be emitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repr<'a> {
    /// Which copy was booted.
    pub slot: Slot,
    /// Physical address of the device tree.
    pub device_tree: u64,
    /// Counter when the loader started.
    pub started: u64,
    /// Counter when it left.
    pub left: u64,
    /// Memory, sorted and disjoint.
    pub memory: &'a [MemoryRange],
    /// Command line.
    pub arguments: &'a str,
}

/// Why a record was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Fewer bytes than the record has.
    Truncated,
    /// It does not start with the magic.
    BadMagic,
    /// Another version.
    BadVersion {
        /// The version found.
        version: u32,
    },
    /// The length does not fit the counts, or is too large.
    BadLength,
    /// The checksum is wrong.
    BadChecksum,
    /// A slot or memory kind that does not exist, at this offset.
    BadValue {
        /// Byte offset.
        offset: usize,
    },
    /// A memory range that is empty, not in pages, beyond physical memory, or not after the one before it.
    BadRange {
        /// Its position in the list.
        index: usize,
    },
    /// The command line is not UTF-8.
    BadArguments,
    /// The buffer to emit into is too short.
    NoRoom,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("hand-off record is cut short"),
            Self::BadMagic => f.write_str("no hand-off record at the address given"),
            Self::BadVersion { version } => write!(f, "hand-off record has version {version}, not {VERSION}"),
            Self::BadLength => f.write_str("hand-off record has a wrong length"),
            Self::BadChecksum => f.write_str("hand-off record has a wrong checksum"),
            Self::BadValue { offset } => write!(f, "hand-off record has an unknown value at byte {offset}"),
            Self::BadRange { index } => write!(f, "hand-off record has a bad memory range, number {index}"),
            Self::BadArguments => f.write_str("hand-off record has a command line that is not UTF-8"),
            Self::NoRoom => f.write_str("hand-off record does not fit the buffer"),
        }
    }
}

impl core::error::Error for Error {}

/// A record in memory that was checked.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    slot: Slot,
    ranges: &'a [u8],
    arguments: &'a str,
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Length of the record whose first 16 bytes are `head`, to know how much to map.
///
/// # Errors
///
/// [`Error::Truncated`], [`Error::BadMagic`], [`Error::BadVersion`], [`Error::BadLength`].
pub fn record_len(head: &[u8]) -> Result<usize, Error> {
    if head.get(..8).ok_or(Error::Truncated)? != MAGIC {
        return Err(Error::BadMagic);
    }
    let version = le32(head, 8).ok_or(Error::Truncated)?;
    if version != VERSION {
        return Err(Error::BadVersion { version });
    }
    let len = usize::try_from(le32(head, 12).ok_or(Error::Truncated)?).unwrap_or(usize::MAX);
    if (HEADER..=MAX_LEN).contains(&len) { Ok(len) } else { Err(Error::BadLength) }
}

fn range(bytes: &[u8], index: usize) -> Option<MemoryRange> {
    let at = index.checked_mul(RANGE)?;
    let kind = match le64(bytes, at.checked_add(16)?)? {
        1 => MemoryKind::Usable,
        2 => MemoryKind::Loader,
        3 => MemoryKind::Firmware,
        4 => MemoryKind::Tables,
        _ => return None,
    };
    Some(MemoryRange { base: le64(bytes, at)?, len: le64(bytes, at.checked_add(8)?)?, kind })
}

/// Where `range` ends, if it may follow a range that ends at `after`.
fn end_after(range: MemoryRange, after: u64) -> Option<u64> {
    let page = PAGE_SIZE as u64;
    let end = range.base.checked_add(range.len)?;
    let good = range.len > 0
        && range.base.is_multiple_of(page)
        && range.len.is_multiple_of(page)
        && range.base >= after
        && end <= PhysAddr::LIMIT;
    good.then_some(end)
}

impl<'a> View<'a> {
    /// Checks the record at the start of `bytes`, which may be longer.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] but [`Error::NoRoom`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let len = record_len(bytes)?;
        let bytes = bytes.get(..len).ok_or(Error::Truncated)?;
        let field = |at| le32(bytes, at).ok_or(Error::Truncated);
        let (head, rest) = bytes.split_at_checked(CRC_AT).ok_or(Error::Truncated)?;
        let rest = rest.get(4..).ok_or(Error::Truncated)?;
        if checksum(&[head, &[0; 4], rest]) != field(CRC_AT)? {
            return Err(Error::BadChecksum);
        }
        let slot = match field(20)? {
            0 => Slot::None,
            1 => Slot::A,
            2 => Slot::B,
            _ => return Err(Error::BadValue { offset: 20 }),
        };
        let count = usize::try_from(field(48)?).map_err(|_| Error::BadLength)?;
        let text = usize::try_from(field(52)?).map_err(|_| Error::BadLength)?;
        let body = bytes.get(HEADER..).ok_or(Error::BadLength)?;
        let ranges_len = count.checked_mul(RANGE).ok_or(Error::BadLength)?;
        let (ranges, arguments) = body.split_at_checked(ranges_len).ok_or(Error::BadLength)?;
        if arguments.len() != text {
            return Err(Error::BadLength);
        }
        let mut after = 0;
        for index in 0..count {
            let range =
                range(ranges, index).ok_or(Error::BadValue { offset: HEADER + index * RANGE + 16 })?;
            after = end_after(range, after).ok_or(Error::BadRange { index })?;
        }
        let arguments = core::str::from_utf8(arguments).map_err(|_| Error::BadArguments)?;
        Ok(Self { bytes, slot, ranges, arguments })
    }

    /// Which copy was booted.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// Physical address of the device tree.
    #[must_use]
    pub fn device_tree(&self) -> u64 {
        self.number(24)
    }

    /// Counter when the loader started.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.number(32)
    }

    /// Counter when the loader left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.number(40)
    }

    /// Memory, sorted and disjoint.
    pub fn memory(&self) -> impl Iterator<Item = MemoryRange> + 'a {
        let ranges = self.ranges;
        (0..ranges.len() / RANGE).filter_map(move |index| range(ranges, index))
    }

    /// Command line.
    #[must_use]
    pub const fn arguments(&self) -> &'a str {
        self.arguments
    }

    /// A field of the header, which is long enough since `new`.
    fn number(&self, at: usize) -> u64 {
        le64(self.bytes, at).unwrap_or(0)
    }
}

impl Repr<'_> {
    /// How many bytes [`Self::emit`] writes.
    #[must_use]
    pub const fn emitted_len(&self) -> usize {
        HEADER + self.memory.len() * RANGE + self.arguments.len()
    }

    /// Writes the record to the start of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`]; [`Error::BadLength`] above 64 KiB; [`Error::BadRange`] for memory that a reader would refuse.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, Error> {
        let len = self.emitted_len();
        if len > MAX_LEN {
            return Err(Error::BadLength);
        }
        let out = out.get_mut(..len).ok_or(Error::NoRoom)?;
        let mut after = 0;
        for (index, range) in self.memory.iter().enumerate() {
            after = end_after(*range, after).ok_or(Error::BadRange { index })?;
        }
        // All three are below 64 KiB.
        let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        let mut at = 0;
        let mut put = |out: &mut [u8], bytes: &[u8]| {
            if let Some(to) = out.get_mut(at..at + bytes.len()) {
                to.copy_from_slice(bytes);
            }
            at += bytes.len();
        };
        put(out, &MAGIC);
        put(out, &VERSION.to_le_bytes());
        put(out, &small(len));
        put(out, &[0; 4]);
        put(out, &(self.slot as u32).to_le_bytes());
        put(out, &self.device_tree.to_le_bytes());
        put(out, &self.started.to_le_bytes());
        put(out, &self.left.to_le_bytes());
        put(out, &small(self.memory.len()));
        put(out, &small(self.arguments.len()));
        for range in self.memory {
            put(out, &range.base.to_le_bytes());
            put(out, &range.len.to_le_bytes());
            put(out, &(range.kind as u64).to_le_bytes());
        }
        put(out, self.arguments.as_bytes());
        let sum = checksum(&[out]);
        if let Some(field) = out.get_mut(CRC_AT..CRC_AT + 4) {
            field.copy_from_slice(&sum.to_le_bytes());
        }
        Ok(len)
    }
}
