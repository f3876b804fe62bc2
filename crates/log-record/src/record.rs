//! A record, and how the ring stores it.

use swos_units::Instant;

use crate::{FIELDS_BYTES_MAX, Fields, Level};

/// Bytes of a source's name at most; a longer one is cut.
pub const SOURCE_MAX: usize = 32;
/// Bytes of a text at most; a longer one is cut.
pub const TEXT_MAX: usize = 512;
/// Bytes of a stored record at most.
pub const RECORD_MAX: usize = HEADER + SOURCE_MAX + TEXT_MAX + FIELDS_BYTES_MAX;

/// Bytes before a stored record's strings: lengths of text, fields and source, level, time, process, principal.
pub(crate) const HEADER: usize = 2 + 2 + 1 + 1 + 8 + 4 + 4;

/// One thing that happened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Record<'a> {
    /// When.
    pub at: Instant,
    /// How much it matters.
    pub level: Level,
    /// Which part of the kernel or which program says so.
    pub source: &'a str,
    /// Its process; 0 = the kernel.
    pub pid: u32,
    /// For whom that process acted; 0 = the kernel.
    pub principal: u32,
    /// What happened.
    pub text: &'a str,
    /// The particulars.
    pub fields: Fields<'a>,
}

impl<'a> Record<'a> {
    /// The same with its strings cut to what is stored, at characters.
    pub(crate) fn cut(&self) -> Self {
        Self { source: cut(self.source, SOURCE_MAX), text: cut(self.text, TEXT_MAX), ..*self }
    }

    #[expect(clippy::cast_possible_truncation, reason = "bounded by the constants above")]
    pub(crate) fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let parts: [&[u8]; 7] = [
            &(self.text.len() as u16).to_le_bytes(),
            &(self.fields.as_bytes().len() as u16).to_le_bytes(),
            &[self.source.len() as u8],
            &[self.level as u8],
            &self.at.as_nanos().to_le_bytes(),
            &self.pid.to_le_bytes(),
            &self.principal.to_le_bytes(),
        ];
        header.iter_mut().zip(parts.into_iter().flatten()).for_each(|(into, byte)| *into = *byte);
        header
    }

    /// The record that is stored as `bytes`; `None` if they are none, which the ring never stores.
    pub(crate) fn stored(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let [t0, t1, f0, f1, s, ..] = *header;
        let (text_len, fields_len, source_len) = lengths([t0, t1, f0, f1, s]);
        let (source, rest) = rest.split_at_checked(source_len)?;
        let (text, rest) = rest.split_at_checked(text_len)?;
        Some(Self {
            at: Instant::from_nanos(u64::from_le_bytes(header.get(6..14)?.try_into().ok()?)),
            level: Level::from_number(u32::from(header[5]))?,
            source: core::str::from_utf8(source).ok()?,
            pid: u32::from_le_bytes(header.get(14..18)?.try_into().ok()?),
            principal: u32::from_le_bytes(header.get(18..22)?.try_into().ok()?),
            text: core::str::from_utf8(text).ok()?,
            fields: Fields::stored(rest.get(..fields_len)?),
        })
    }
}

/// Lengths of text, fields and source, from the beginning of a header.
pub(crate) fn lengths([t0, t1, f0, f1, source]: [u8; 5]) -> (usize, usize, usize) {
    (
        usize::from(u16::from_le_bytes([t0, t1])),
        usize::from(u16::from_le_bytes([f0, f1])),
        usize::from(source),
    )
}

fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(text.len().min(max))).unwrap_or_default()
}
