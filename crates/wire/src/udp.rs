//! UDP headers.

use crate::{Error, Sum, be16};

/// A received UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct UdpView<'a> {
    header: &'a [u8; 8],
    payload: &'a [u8],
}

impl<'a> UdpView<'a> {
    /// Checks the lengths of a datagram; bytes after its own length are not part of the view.
    /// The checksum is for [`Self::is_intact`].
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::BadLength`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let truncated = Error::Truncated { offset: bytes.len() };
        let (header, rest) = bytes.split_first_chunk::<{ UdpRepr::LEN }>().ok_or(truncated)?;
        let length = usize::from(be16(header[4], header[5]));
        let Some(payload_len) = length.checked_sub(UdpRepr::LEN) else {
            return Err(Error::BadLength { offset: 4 });
        };
        let payload = rest.get(..payload_len).ok_or(truncated)?;
        Ok(Self { header, payload })
    }

    /// Checks the checksum, where there is one. `pseudo` is the sum of the pseudo-header with
    /// [`Self::length`]. A zero checksum means that the sender computed none.
    #[must_use]
    pub fn is_intact(&self, pseudo: Sum) -> bool {
        self.checksum() == 0 || pseudo.add(Sum::of(self.header)).add(Sum::of(self.payload)).is_valid()
    }

    /// Port of the sender; zero if it wants no answer.
    #[must_use]
    pub const fn src_port(&self) -> u16 {
        be16(self.header[0], self.header[1])
    }

    /// Port of the receiver.
    #[must_use]
    pub const fn dst_port(&self) -> u16 {
        be16(self.header[2], self.header[3])
    }

    /// Bytes of header and payload.
    #[must_use]
    pub const fn length(&self) -> u16 {
        be16(self.header[4], self.header[5])
    }

    /// The checksum field.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        be16(self.header[6], self.header[7])
    }

    /// The data.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A UDP header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpRepr {
    /// Port of the sender.
    pub src_port: u16,
    /// Port of the receiver.
    pub dst_port: u16,
    /// Bytes of data; with the header at most 65535.
    pub payload_len: u16,
}

impl UdpRepr {
    /// Bytes of the header.
    pub const LEN: usize = 8;

    /// The header of a checked datagram.
    #[must_use]
    pub fn parse(view: &UdpView<'_>) -> Self {
        Self {
            src_port: view.src_port(),
            dst_port: view.dst_port(),
            payload_len: view.length().saturating_sub(8),
        }
    }

    /// Writes the header to the front of `out` and returns its length.
    ///
    /// `pseudo` is the sum of the pseudo-header, `payload` that of the data; a checksum of zero
    /// goes out as 0xffff (RFC 768).
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `out` is too short; [`Error::BadLength`] if header and data are longer
    /// than 65535 bytes.
    pub fn emit(&self, out: &mut [u8], pseudo: Sum, payload: Sum) -> Result<usize, Error> {
        let header: &mut [u8; Self::LEN] =
            out.first_chunk_mut().ok_or(Error::NoRoom { needed: Self::LEN })?;
        let Some(length) = self.payload_len.checked_add(8) else {
            return Err(Error::BadLength { offset: 4 });
        };
        let sum = pseudo.add(payload).add_word(self.src_port).add_word(self.dst_port).add_word(length);
        let checksum = match sum.finish() {
            0 => 0xffff,
            other => other,
        };
        let words = [self.src_port, self.dst_port, length, checksum];
        for (place, word) in header.as_chunks_mut::<2>().0.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
        Ok(Self::LEN)
    }
}

#[cfg(test)]
mod tests;
