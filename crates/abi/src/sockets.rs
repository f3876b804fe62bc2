//! Sockets.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Address family: IPv4.
pub const DOMAIN_IPV4: u32 = 2;
/// Kind: byte stream (TCP).
pub const SOCKET_STREAM: u32 = 1;
/// Kind: datagrams (UDP).
pub const SOCKET_DATAGRAM: u32 = 2;
/// Or-ed to the kind, or given to `accept`: never wait on this handle.
pub const SOCKET_NONBLOCK: u32 = 0x800;
/// Any address of this machine.
pub const ADDRESS_ANY: [u8; 4] = [0; 4];

/// An endpoint. Ports are numbers, not network-order bytes.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SocketAddress {
    /// `DOMAIN_*`.
    pub domain: u16,
    /// Port.
    pub port: u16,
    /// Scope of a link-local IPv6 address, else 0.
    pub scope: u32,
    /// The address: IPv4 in the first four bytes, zeros after it.
    pub address: [u8; 16],
}

static_assertions::assert_eq_size!(SocketAddress, [u8; 24]);

impl SocketAddress {
    /// An IPv4 endpoint.
    #[must_use]
    pub const fn ipv4(address: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = address;
        #[expect(clippy::cast_possible_truncation, reason = "the constant is 2")]
        let domain = DOMAIN_IPV4 as u16;
        Self { domain, port, scope: 0, address: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// The first four bytes of the address.
    #[must_use]
    pub const fn ipv4_octets(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.address;
        [a, b, c, d]
    }
}

/// `send_to`: more stream bytes follow at once; they may share a segment.
pub const SEND_MORE: u32 = 1;

/// `shutdown`: no more reads.
pub const SHUTDOWN_READ: u32 = 0;
/// `shutdown`: no more writes; the peer sees the end.
pub const SHUTDOWN_WRITE: u32 = 1;
/// `shutdown`: both.
pub const SHUTDOWN_BOTH: u32 = 2;

/// Send small segments at once (Nagle's algorithm off): 0 or 1.
pub const OPTION_NO_DELAY: u32 = 1;
/// Probe an idle peer: idle seconds before the first probe, 0 = off.
pub const OPTION_KEEP_ALIVE: u32 = 2;
/// Take an address that still lingers: 0 or 1.
pub const OPTION_REUSE_ADDRESS: u32 = 3;
/// Bytes that may wait to be sent: 2 KiB to 4 MiB.
pub const OPTION_SEND_BUFFER: u32 = 4;
/// Bytes that may wait to be read: 2 KiB to 4 MiB, of datagrams to 1 MiB.
pub const OPTION_RECEIVE_BUFFER: u32 = 5;
/// Read once: errno of a failed connection, 0 if none.
pub const OPTION_SOCKET_ERROR: u32 = 6;
