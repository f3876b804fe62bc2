//! TCP headers.

mod options;

use bitflags::bitflags;

use crate::{Error, SeqNumber, Sum, be16};

pub use options::{SackBlocks, TcpOptions, TcpTimestamp};

bitflags! {
    /// Control bits.
    ///
    /// Source: RFC 9293 §3.1.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub struct TcpFlags: u8 {
        /// No more data from the sender.
        const FIN = 1;
        /// Synchronise sequence numbers.
        const SYN = 1 << 1;
        /// Reset the connection.
        const RST = 1 << 2;
        /// Hand buffered data to the application.
        const PSH = 1 << 3;
        /// The acknowledgement number counts.
        const ACK = 1 << 4;
        /// The urgent pointer counts.
        const URG = 1 << 5;
        /// Congestion echo (RFC 3168).
        const ECE = 1 << 6;
        /// Congestion window reduced (RFC 3168).
        const CWR = 1 << 7;
    }
}

/// A received TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct TcpView<'a> {
    header: &'a [u8; 20],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> TcpView<'a> {
    /// Checks the lengths of a segment. The checksum is for [`Self::is_intact`].
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::BadLength`] (data offset).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let truncated = Error::Truncated { offset: bytes.len() };
        let (header, rest) = bytes.split_first_chunk::<{ TcpRepr::MIN_LEN }>().ok_or(truncated)?;
        let header_len = usize::from(header[12] >> 4).saturating_mul(4);
        let Some(options_len) = header_len.checked_sub(TcpRepr::MIN_LEN) else {
            return Err(Error::BadLength { offset: 12 });
        };
        let (options, payload) = rest.split_at_checked(options_len).ok_or(truncated)?;
        Ok(Self { header, options, payload })
    }

    /// Whether the checksum is right. `pseudo` is the sum of the pseudo-header with the length of
    /// the whole segment ([`Self::segment_bytes`]).
    #[must_use]
    pub fn is_intact(&self, pseudo: Sum) -> bool {
        // Most segments lack one of the two.
        let part = |bytes: &[u8]| if bytes.is_empty() { Sum::ZERO } else { Sum::of(bytes) };
        pseudo.add(Sum::of_header(self.header)).add(part(self.options)).add(part(self.payload)).is_valid()
    }

    /// Port of the sender.
    #[must_use]
    pub const fn src_port(&self) -> u16 {
        be16(self.header[0], self.header[1])
    }

    /// Port of the receiver.
    #[must_use]
    pub const fn dst_port(&self) -> u16 {
        be16(self.header[2], self.header[3])
    }

    /// Sequence number of the first octet (of the SYN, if there is one).
    #[must_use]
    pub const fn seq(&self) -> SeqNumber {
        let h = self.header;
        SeqNumber(u32::from_be_bytes([h[4], h[5], h[6], h[7]]))
    }

    /// Acknowledgement number; counts only with [`TcpFlags::ACK`].
    #[must_use]
    pub const fn ack(&self) -> SeqNumber {
        let h = self.header;
        SeqNumber(u32::from_be_bytes([h[8], h[9], h[10], h[11]]))
    }

    /// Control bits.
    #[must_use]
    pub const fn flags(&self) -> TcpFlags {
        TcpFlags::from_bits_retain(self.header[13])
    }

    /// Window, unscaled.
    #[must_use]
    pub const fn window(&self) -> u16 {
        be16(self.header[14], self.header[15])
    }

    /// Urgent pointer; counts only with [`TcpFlags::URG`].
    #[must_use]
    pub const fn urgent(&self) -> u16 {
        be16(self.header[18], self.header[19])
    }

    /// The options, parsed. Unknown ones are skipped; a malformed length ends the list.
    #[must_use]
    pub fn options(&self) -> TcpOptions {
        TcpOptions::parse(self.options)
    }

    /// The options as they came: 0..=40 bytes.
    #[must_use]
    pub const fn raw_options(&self) -> &'a [u8] {
        self.options
    }

    /// The data.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of header, options and data.
    #[must_use]
    pub const fn segment_bytes(&self) -> usize {
        TcpRepr::MIN_LEN.saturating_add(self.options.len()).saturating_add(self.payload.len())
    }

    /// Sequence numbers that the segment takes: data, SYN and FIN (`SEG.LEN`).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "an IP packet has at most 65535 bytes")]
    pub fn segment_len(&self) -> u32 {
        let control = self.flags().intersection(TcpFlags::SYN.union(TcpFlags::FIN)).bits().count_ones();
        (self.payload.len() as u32).saturating_add(control)
    }
}

/// A TCP header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpRepr {
    /// Port of the sender.
    pub src_port: u16,
    /// Port of the receiver.
    pub dst_port: u16,
    /// Sequence number of the first octet.
    pub seq: SeqNumber,
    /// Acknowledgement number.
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, unscaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
}

impl TcpRepr {
    /// Bytes of a header without options.
    pub const MIN_LEN: usize = 20;
    /// Bytes of the longest header.
    pub const MAX_LEN: usize = 60;

    /// The header of a checked segment.
    #[must_use]
    pub fn parse(view: &TcpView<'_>) -> Self {
        Self {
            src_port: view.src_port(),
            dst_port: view.dst_port(),
            seq: view.seq(),
            ack: view.ack(),
            flags: view.flags(),
            window: view.window(),
            urgent: view.urgent(),
            options: view.options(),
        }
    }

    /// Bytes of the header with its options: a multiple of 4 up to 60.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        Self::MIN_LEN.saturating_add(self.options.encoded_len())
    }

    /// Writes the header to the front of `out` and returns its length.
    ///
    /// `pseudo` is the sum of the pseudo-header with the length of the whole segment, `payload`
    /// that of the data.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `out` is shorter than [`Self::header_len`].
    pub fn emit(&self, out: &mut [u8], pseudo: Sum, payload: Sum) -> Result<usize, Error> {
        let options_len = self.options.encoded_len();
        let needed = Self::MIN_LEN.saturating_add(options_len);
        let (header, rest) =
            out.split_first_chunk_mut::<{ Self::MIN_LEN }>().ok_or(Error::NoRoom { needed })?;
        let mut options_sum = Sum::ZERO;
        if options_len > 0 {
            let options = rest.get_mut(..options_len).ok_or(Error::NoRoom { needed })?;
            self.options.emit(options);
            options_sum = Sum::of(options);
        }
        // A multiple of 4 up to 60: the data offset in its upper nibble is the length times 4.
        let [.., offset] = needed.to_be_bytes();
        let ports = u32::from(self.src_port) << 16 | u32::from(self.dst_port);
        let control = u32::from(be16(offset << 2, self.flags.bits())) << 16 | u32::from(self.window);
        let sum = pseudo.add(payload).add_long(ports).add_long(self.seq.0).add_long(self.ack.0);
        let sum = sum.add_long(control).add_word(self.urgent).add(options_sum);
        let last = u32::from(sum.finish()) << 16 | u32::from(self.urgent);
        let longs = [ports, self.seq.0, self.ack.0, control, last];
        for (place, long) in header.as_chunks_mut::<4>().0.iter_mut().zip(longs) {
            *place = long.to_be_bytes();
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests;
