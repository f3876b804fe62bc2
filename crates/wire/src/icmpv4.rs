//! ICMP for IPv4: echo and errors.

use crate::{Error, Sum, be16};

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const SOURCE_QUENCH: u8 = 4;
const REDIRECT: u8 = 5;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// Why a destination is unreachable: the code of an ICMP type 3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(transparent)]
pub struct Unreachable(pub u8);

impl Unreachable {
    /// Network unreachable.
    pub const NET: Self = Self(0);
    /// Host unreachable.
    pub const HOST: Self = Self(1);
    /// Protocol unreachable.
    pub const PROTOCOL: Self = Self(2);
    /// Port unreachable.
    pub const PORT: Self = Self(3);
    /// Fragmentation needed, but forbidden.
    pub const FRAGMENTATION_NEEDED: Self = Self(4);
    /// Source route failed.
    pub const SOURCE_ROUTE_FAILED: Self = Self(5);
}

/// What ran out: the code of an ICMP type 11.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(transparent)]
pub struct TimeExceeded(pub u8);

impl TimeExceeded {
    /// Hops ran out in transit.
    pub const TRANSIT: Self = Self(0);
    /// Fragments did not all come in time.
    pub const REASSEMBLY: Self = Self(1);
}

/// A received ICMP message whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv4View<'a> {
    header: &'a [u8; 8],
    data: &'a [u8],
}

impl<'a> Icmpv4View<'a> {
    /// Checks the length and checksum of a message.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] below 8 bytes, [`Error::BadChecksum`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, data) = bytes.split_first_chunk().ok_or(Error::Truncated { offset: bytes.len() })?;
        if !Sum::of(bytes).is_valid() {
            return Err(Error::BadChecksum { offset: 2 });
        }
        Ok(Self { header, data })
    }

    /// Type.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.header[0]
    }

    /// Code, whose meaning depends on the type.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.header[1]
    }

    /// Echo data, or the packet that an error quotes.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Whether this is an error message, which must never be answered by another.
    ///
    /// Source: RFC 1122 §3.2.2.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self.kind(), UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM)
    }
}

/// An ICMP message that we understand, without its data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Icmpv4Repr {
    /// Asks for an echo.
    EchoRequest {
        /// Names the asker.
        ident: u16,
        /// Counts the requests.
        seq: u16,
    },
    /// Answers an echo request with the same data.
    EchoReply {
        /// As asked.
        ident: u16,
        /// As asked.
        seq: u16,
    },
    /// The quoted packet can't be delivered.
    Unreachable {
        /// Why.
        code: Unreachable,
        /// With [`Unreachable::FRAGMENTATION_NEEDED`]: MTU of the next hop; zero if not told (RFC 1191).
        next_hop_mtu: u16,
    },
    /// The quoted packet lived too long.
    TimeExceeded {
        /// What ran out.
        code: TimeExceeded,
    },
    /// The quoted packet has a bad header.
    ParameterProblem {
        /// Zero: `pointer` counts.
        code: u8,
        /// Byte of the quoted header that is wrong.
        pointer: u8,
    },
}

impl Icmpv4Repr {
    /// Bytes of the header.
    pub const LEN: usize = 8;

    /// The values of a checked message; `None` for types that a host ignores.
    #[must_use]
    pub const fn parse(view: &Icmpv4View<'_>) -> Option<Self> {
        let h = view.header;
        let (ident, seq) = (be16(h[4], h[5]), be16(h[6], h[7]));
        match view.kind() {
            ECHO_REQUEST if view.code() == 0 => Some(Self::EchoRequest { ident, seq }),
            ECHO_REPLY if view.code() == 0 => Some(Self::EchoReply { ident, seq }),
            UNREACHABLE => Some(Self::Unreachable { code: Unreachable(view.code()), next_hop_mtu: seq }),
            TIME_EXCEEDED => Some(Self::TimeExceeded { code: TimeExceeded(view.code()) }),
            PARAMETER_PROBLEM => Some(Self::ParameterProblem { code: view.code(), pointer: h[4] }),
            _ => None,
        }
    }

    /// Writes the header to the front of `out` and returns its length. `data` is the sum of what
    /// follows it.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `out` is too short.
    pub fn emit(&self, out: &mut [u8], data: Sum) -> Result<usize, Error> {
        let header: &mut [u8; Self::LEN] =
            out.first_chunk_mut().ok_or(Error::NoRoom { needed: Self::LEN })?;
        let (kind, code, third, fourth) = match *self {
            Self::EchoRequest { ident, seq } => (ECHO_REQUEST, 0, ident, seq),
            Self::EchoReply { ident, seq } => (ECHO_REPLY, 0, ident, seq),
            Self::Unreachable { code, next_hop_mtu } => (UNREACHABLE, code.0, 0, next_hop_mtu),
            Self::TimeExceeded { code } => (TIME_EXCEEDED, code.0, 0, 0),
            Self::ParameterProblem { code, pointer } => (PARAMETER_PROBLEM, code, be16(pointer, 0), 0),
        };
        let first = be16(kind, code);
        let checksum = data.add_word(first).add_word(third).add_word(fourth).finish();
        for (place, word) in header.as_chunks_mut::<2>().0.iter_mut().zip([first, checksum, third, fourth]) {
            *place = word.to_be_bytes();
        }
        Ok(Self::LEN)
    }
}

#[cfg(test)]
mod tests;
