//! TCP options: EOL, NOP, MSS, window scale, SACK-permitted, SACK, timestamps.

use crate::{SeqNumber, be16};

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMP: u8 = 8;
/// The options field ends here: 15 words of header, five of them fixed.
const MAX_BYTES: usize = 40;

/// Clock values of the timestamps option.
///
/// Source: RFC 7323 §3.2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpTimestamp {
    /// The sender's clock (`TSval`).
    pub value: u32,
    /// The clock value that the sender echoes (`TSecr`).
    pub echo: u32,
}

/// Up to four ranges of octets received out of order, each from its first octet to the one after
/// its last.
///
/// Source: RFC 2018 §3.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SackBlocks {
    blocks: [(SeqNumber, SeqNumber); 4],
    count: u8,
}

impl SackBlocks {
    /// No blocks: the option is absent.
    pub const EMPTY: Self = Self { blocks: [(SeqNumber(0), SeqNumber(0)); 4], count: 0 };

    /// Adds a block behind the others; a fifth is dropped.
    pub fn push(&mut self, left: SeqNumber, right: SeqNumber) {
        if let Some(place) = self.blocks.get_mut(usize::from(self.count)) {
            *place = (left, right);
            self.count = self.count.saturating_add(1);
        }
    }

    /// The blocks, in the order of the option.
    #[must_use]
    pub fn as_slice(&self) -> &[(SeqNumber, SeqNumber)] {
        self.blocks.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The options of a segment. An option that came twice counts as it came last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpOptions {
    /// Maximum segment size that the sender takes; only on a SYN.
    pub mss: Option<u16>,
    /// Window scale shift as it came (14 is the most that may be used); only on a SYN.
    pub window_scale: Option<u8>,
    /// Whether the sender understands SACK; only on a SYN.
    pub sack_permitted: bool,
    /// Selective acknowledgements. Emitted as far as the 40 bytes go: three with timestamps.
    pub sack: SackBlocks,
    /// Timestamps.
    pub timestamp: Option<TcpTimestamp>,
}

impl TcpOptions {
    /// No options.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        sack: SackBlocks::EMPTY,
        timestamp: None,
    };

    /// Parses the bytes between header and data.
    ///
    /// Total: unknown options are skipped, known ones with a wrong length are ignored, and a
    /// length that is 0, 1 or leads past the end ends the list. An end-of-list option does too.
    ///
    /// Source: RFC 9293 §3.1 (MUST-4..7, MUST-64), §3.2.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut options = Self::NONE;
        // Nearly every segment of a connection with timestamps has exactly this.
        if let Ok([NOP, NOP, TIMESTAMP, 10, data @ ..]) = <&[u8; 12]>::try_from(bytes) {
            options.timestamp = timestamp(data);
            return options;
        }
        let mut rest = bytes;
        loop {
            let (kind, data) = match rest {
                [] | [END, ..] => return options,
                [NOP, after @ ..] => {
                    rest = after;
                    continue;
                }
                [kind, length, after @ ..] => {
                    let Some((data, after)) =
                        usize::from(*length).checked_sub(2).and_then(|length| after.split_at_checked(length))
                    else {
                        return options;
                    };
                    rest = after;
                    (*kind, data)
                }
                [_] => return options,
            };
            match (kind, data) {
                (MSS, &[high, low]) => options.mss = Some(be16(high, low)),
                (WINDOW_SCALE, &[shift]) => options.window_scale = Some(shift),
                (SACK_PERMITTED, []) => options.sack_permitted = true,
                (SACK, data) => {
                    if let Some(blocks) = sack(data) {
                        options.sack = blocks;
                    }
                }
                (TIMESTAMP, data) => {
                    if let Some(found) = timestamp(data) {
                        options.timestamp = Some(found);
                    }
                }
                _ => {}
            }
        }
    }

    /// Bytes that they take in a segment: a multiple of 4 up to 40.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let fixed = self.fixed_len();
        match self.sack_room(fixed) {
            0 => fixed,
            blocks => fixed.saturating_add(4).saturating_add(blocks.saturating_mul(8)),
        }
    }

    /// Whether there is no option: so on most segments.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.mss.is_none()
            && self.window_scale.is_none()
            && !self.sack_permitted
            && self.sack.is_empty()
            && self.timestamp.is_none()
    }

    /// Everything but SACK, each aligned to 4 bytes.
    const fn fixed_len(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0usize };
        let scale = if self.window_scale.is_some() { 4 } else { 0 };
        // SACK-permitted takes the place of the two NOPs before the timestamps.
        let rest = match (self.sack_permitted, self.timestamp) {
            (_, Some(_)) => 12,
            (true, None) => 4,
            (false, None) => 0,
        };
        mss.saturating_add(scale).saturating_add(rest)
    }

    /// SACK blocks that fit behind `fixed` bytes.
    const fn sack_room(&self, fixed: usize) -> usize {
        let room = MAX_BYTES.saturating_sub(fixed).saturating_sub(4) >> 3;
        if (self.sack.count as usize) < room { self.sack.count as usize } else { room }
    }

    /// Writes the options to `out`, which has [`Self::encoded_len`] bytes.
    pub(super) fn emit(&self, out: &mut [u8]) {
        let mut writer = Writer(out);
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            writer.put([MSS, 4, high, low]);
        }
        if let Some(shift) = self.window_scale {
            writer.put([NOP, WINDOW_SCALE, 3, shift]);
        }
        match (self.sack_permitted, self.timestamp) {
            (true, Some(_)) => writer.put([SACK_PERMITTED, 2, TIMESTAMP, 10]),
            (false, Some(_)) => writer.put([NOP, NOP, TIMESTAMP, 10]),
            (true, None) => writer.put([NOP, NOP, SACK_PERMITTED, 2]),
            (false, None) => {}
        }
        if let Some(TcpTimestamp { value, echo }) = self.timestamp {
            writer.put(value.to_be_bytes());
            writer.put(echo.to_be_bytes());
        }
        let room = self.sack_room(self.fixed_len());
        if room > 0 {
            let [.., length] = room.saturating_mul(8).saturating_add(2).to_be_bytes();
            writer.put([NOP, NOP, SACK, length]);
            for (left, right) in self.sack.as_slice().iter().take(room) {
                writer.put(left.0.to_be_bytes());
                writer.put(right.0.to_be_bytes());
            }
        }
    }
}

/// The part of the options field not yet written.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, word: [u8; 4]) {
        if let Some((place, rest)) = core::mem::take(&mut self.0).split_first_chunk_mut() {
            *place = word;
            self.0 = rest;
        }
    }
}

fn timestamp(data: &[u8]) -> Option<TcpTimestamp> {
    let ([value, echo], []) = data.as_chunks::<4>() else { return None };
    Some(TcpTimestamp { value: u32::from_be_bytes(*value), echo: u32::from_be_bytes(*echo) })
}

fn sack(data: &[u8]) -> Option<SackBlocks> {
    let (edges, []) = data.as_chunks::<4>() else { return None };
    let (pairs, []) = edges.as_chunks::<2>() else { return None };
    let mut blocks = SackBlocks::EMPTY;
    for [left, right] in pairs {
        blocks.push(SeqNumber(u32::from_be_bytes(*left)), SeqNumber(u32::from_be_bytes(*right)));
    }
    Some(blocks)
}
