//! IPv4 headers.

use core::net::Ipv4Addr;

use crate::{Error, Sum, be16};

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(transparent)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
}

/// A received IPv4 packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4View<'a> {
    header: &'a [u8; 20],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4View<'a> {
    /// Checks a received packet: version, lengths and header checksum. Bytes after the packet's
    /// total length are link padding and not part of the view.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::BadFormat`] (version), [`Error::BadLength`] (header or total
    /// length), [`Error::BadChecksum`].
    ///
    /// Source: RFC 791 §3.1, RFC 1122 §3.2.1.1, §3.2.1.2.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (view, total) = Self::split(bytes)?;
        let header_len = Ipv4Repr::LEN.saturating_add(view.options.len());
        let Some(payload_len) = total.checked_sub(header_len) else {
            return Err(Error::BadLength { offset: 2 });
        };
        let Some(payload) = view.payload.get(..payload_len) else {
            return Err(Error::Truncated { offset: bytes.len() });
        };
        let options = if view.options.is_empty() { Sum::ZERO } else { Sum::of(view.options) };
        if !Sum::of_header(view.header).add(options).is_valid() {
            return Err(Error::BadChecksum { offset: 10 });
        }
        Ok(Self { payload, ..view })
    }

    /// Checks a packet that an ICMP error quotes: cut short, its checksum not worth checking.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::BadFormat`], [`Error::BadLength`] (header length).
    pub fn parse_quoted(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self::split(bytes)?.0)
    }

    /// Header, options, all the rest; and the total length that the header claims.
    fn split(bytes: &'a [u8]) -> Result<(Self, usize), Error> {
        let truncated = Error::Truncated { offset: bytes.len() };
        let (header, rest) = bytes.split_first_chunk::<{ Ipv4Repr::LEN }>().ok_or(truncated)?;
        if header[0] >> 4 != 4 {
            return Err(Error::BadFormat { offset: 0 });
        }
        let header_len = usize::from(header[0] & 0x0f).saturating_mul(4);
        let Some(options_len) = header_len.checked_sub(Ipv4Repr::LEN) else {
            return Err(Error::BadLength { offset: 0 });
        };
        let (options, payload) = rest.split_at_checked(options_len).ok_or(truncated)?;
        Ok((Self { header, options, payload }, usize::from(be16(header[2], header[3]))))
    }

    /// The sender.
    #[must_use]
    pub const fn src(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[12], h[13], h[14], h[15])
    }

    /// The receiver.
    #[must_use]
    pub const fn dst(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[16], h[17], h[18], h[19])
    }

    /// What the payload is.
    #[must_use]
    pub const fn protocol(&self) -> IpProtocol {
        IpProtocol(self.header[9])
    }

    /// Hops left.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// Differentiated services and congestion bits.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        self.header[1]
    }

    /// Identification, shared by the fragments of one datagram.
    #[must_use]
    pub const fn ident(&self) -> u16 {
        be16(self.header[4], self.header[5])
    }

    /// Whether routers must not fragment the packet.
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        self.header[6] & 0x40 != 0
    }

    /// Whether fragments with higher offsets follow.
    #[must_use]
    pub const fn more_fragments(&self) -> bool {
        self.header[6] & 0x20 != 0
    }

    /// Where in the datagram the payload begins, in bytes: 0..=65528, a multiple of 8.
    #[must_use]
    pub const fn fragment_offset(&self) -> u16 {
        (be16(self.header[6], self.header[7]) & 0x1fff) << 3
    }

    /// Whether the packet is only a part of a datagram.
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        be16(self.header[6], self.header[7]) & 0x3fff != 0
    }

    /// The options, unparsed.
    #[must_use]
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// The bytes after the header.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The header without options.
    #[must_use]
    pub const fn header(&self) -> &'a [u8; 20] {
        self.header
    }
}

/// An IPv4 header without options.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ipv4Repr {
    /// The sender.
    pub src: Ipv4Addr,
    /// The receiver.
    pub dst: Ipv4Addr,
    /// What the payload is.
    pub protocol: IpProtocol,
    /// Bytes after the header; with it at most 65535.
    pub payload_len: u16,
    /// Identification.
    pub ident: u16,
    /// Whether routers must not fragment the packet.
    pub dont_fragment: bool,
    /// Whether fragments with higher offsets follow.
    pub more_fragments: bool,
    /// Where in the datagram the payload begins, in bytes; rounded down to a multiple of 8.
    pub fragment_offset: u16,
    /// Hops left.
    pub ttl: u8,
    /// Differentiated services and congestion bits.
    pub traffic_class: u8,
}

impl Ipv4Repr {
    /// Bytes of the header.
    pub const LEN: usize = 20;
    /// Most bytes that can follow the header.
    pub const MAX_PAYLOAD: u16 = u16::MAX - 20;

    /// The header of a checked packet. Options are not kept.
    #[must_use]
    pub fn parse(view: &Ipv4View<'_>) -> Self {
        Self {
            src: view.src(),
            dst: view.dst(),
            protocol: view.protocol(),
            payload_len: u16::try_from(view.payload.len()).unwrap_or(Self::MAX_PAYLOAD),
            ident: view.ident(),
            dont_fragment: view.dont_fragment(),
            more_fragments: view.more_fragments(),
            fragment_offset: view.fragment_offset(),
            ttl: view.ttl(),
            traffic_class: view.traffic_class(),
        }
    }

    /// Writes the header with its checksum to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `out` is too short; [`Error::BadLength`] if the payload is longer than
    /// [`Self::MAX_PAYLOAD`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, Error> {
        let header: &mut [u8; Self::LEN] =
            out.first_chunk_mut().ok_or(Error::NoRoom { needed: Self::LEN })?;
        let Some(total) = self.payload_len.checked_add(20) else {
            return Err(Error::BadLength { offset: 2 });
        };
        let fragment = u16::from(self.dont_fragment) << 14
            | u16::from(self.more_fragments) << 13
            | self.fragment_offset >> 3;
        let first = u32::from(total) | u32::from(be16(0x45, self.traffic_class)) << 16;
        let second = u32::from(fragment) | u32::from(self.ident) << 16;
        let (src, dst) = (self.src.to_bits(), self.dst.to_bits());
        let word = be16(self.ttl, self.protocol.0);
        let sum = Sum::ZERO.add_long(first).add_long(second).add_word(word).add_long(src).add_long(dst);
        let third = u32::from(sum.finish()) | u32::from(word) << 16;
        for (place, value) in header.as_chunks_mut::<4>().0.iter_mut().zip([first, second, third, src, dst]) {
            *place = value.to_be_bytes();
        }
        Ok(Self::LEN)
    }
}

#[cfg(test)]
mod tests;
