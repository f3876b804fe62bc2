//! Ethernet II frames.

use core::fmt;

use crate::{Error, be16};

/// A 48-bit link address.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No address: what an ARP request leaves open.
    pub const UNSPECIFIED: Self = Self([0; 6]);

    /// Whether this addresses a group (broadcast included).
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether this can be the address of one station: not a group and not zero.
    #[must_use]
    pub const fn is_station(self) -> bool {
        !self.is_multicast() && !matches!(self, Self::UNSPECIFIED)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(transparent)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
}

/// A received frame, without preamble and frame check sequence.
#[derive(Clone, Copy, Debug)]
pub struct EthernetView<'a> {
    header: &'a [u8; 14],
    payload: &'a [u8],
}

impl<'a> EthernetView<'a> {
    /// Checks `frame`.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] below 14 bytes.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Error> {
        match frame.split_first_chunk() {
            Some((header, payload)) => Ok(Self { header, payload }),
            None => Err(Error::Truncated { offset: frame.len() }),
        }
    }

    /// The receiver.
    #[must_use]
    pub const fn dst(&self) -> MacAddr {
        let [a, b, c, d, e, f, ..] = *self.header;
        MacAddr([a, b, c, d, e, f])
    }

    /// The sender.
    #[must_use]
    pub const fn src(&self) -> MacAddr {
        let [_, _, _, _, _, _, a, b, c, d, e, f, _, _] = *self.header;
        MacAddr([a, b, c, d, e, f])
    }

    /// What the payload is.
    #[must_use]
    pub const fn ethertype(&self) -> EtherType {
        EtherType(be16(self.header[12], self.header[13]))
    }

    /// The bytes after the header; may end in padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// An Ethernet header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EthernetRepr {
    /// The receiver.
    pub dst: MacAddr,
    /// The sender.
    pub src: MacAddr,
    /// What the payload is.
    pub ethertype: EtherType,
}

impl EthernetRepr {
    /// Bytes of the header.
    pub const LEN: usize = 14;

    /// The header of a checked frame.
    #[must_use]
    pub const fn parse(view: &EthernetView<'_>) -> Self {
        Self { dst: view.dst(), src: view.src(), ethertype: view.ethertype() }
    }

    /// Writes the header to the front of `out` and returns its length.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `out` is too short.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, Error> {
        let header: &mut [u8; Self::LEN] =
            out.first_chunk_mut().ok_or(Error::NoRoom { needed: Self::LEN })?;
        let ([dst, src], ethertype) = header.as_chunks_mut::<6>() else {
            return Err(Error::NoRoom { needed: Self::LEN });
        };
        *dst = self.dst.0;
        *src = self.src.0;
        ethertype.copy_from_slice(&self.ethertype.0.to_be_bytes());
        Ok(Self::LEN)
    }
}

#[cfg(test)]
mod tests;
