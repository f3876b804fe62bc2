//! Why a socket call failed.

use swos_abi::Errno;

/// Why a socket call failed. The call has changed nothing, except that [`Error::Reset`],
/// [`Error::Refused`], [`Error::TimedOut`] and [`Error::HostUnreachable`] from a connection are told once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The id names no open socket (any more).
    BadSocket,
    /// The socket is of the other kind, or in a state that does not know the operation.
    WrongState,
    /// Nothing can be done now; readiness tells when.
    WouldBlock,
    /// A connection attempt is under way.
    InProgress,
    /// The socket is connected or bound already.
    AlreadyConnected,
    /// The socket is not connected.
    NotConnected,
    /// Another socket has the port.
    AddressInUse,
    /// The address is not one of ours.
    AddressNotAvailable,
    /// The destination can't be used: unspecified, broadcast, multicast or port 0.
    BadDestination,
    /// All ports of the ephemeral range are taken.
    NoPorts,
    /// The datagram does not fit the MTU.
    MessageTooLong,
    /// The table of sockets or the memory budget of the stack is exhausted.
    NoBuffers,
    /// We have no address.
    NetworkDown,
    /// No route leads there.
    NetworkUnreachable,
    /// The neighbour does not answer, or a router said that it can't be reached.
    HostUnreachable,
    /// The peer, or an ICMP error, refused.
    Refused,
    /// The peer reset the connection.
    Reset,
    /// The connection was aborted from our side.
    Aborted,
    /// The peer did not answer for too long.
    TimedOut,
    /// Our direction was shut down.
    Closed,
    /// The option's value is out of range.
    BadValue,
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        match error {
            Error::BadSocket => Self::BADF,
            Error::WrongState => Self::INVAL,
            Error::WouldBlock => Self::AGAIN,
            Error::InProgress => Self::INPROGRESS,
            Error::AlreadyConnected => Self::ISCONN,
            Error::NotConnected => Self::NOTCONN,
            Error::AddressInUse | Error::NoPorts => Self::ADDRINUSE,
            Error::AddressNotAvailable => Self::ADDRNOTAVAIL,
            Error::BadDestination | Error::BadValue => Self::INVAL,
            Error::MessageTooLong => Self::MSGSIZE,
            Error::NoBuffers => Self::NOBUFS,
            Error::NetworkDown => Self::NETDOWN,
            Error::NetworkUnreachable => Self::NETUNREACH,
            Error::HostUnreachable => Self::HOSTUNREACH,
            Error::Refused => Self::CONNREFUSED,
            Error::Reset => Self::CONNRESET,
            Error::Aborted => Self::CONNABORTED,
            Error::TimedOut => Self::TIMEDOUT,
            Error::Closed => Self::PIPE,
        }
    }
}

impl From<swos_tcp::Error> for Error {
    fn from(error: swos_tcp::Error) -> Self {
        match error {
            swos_tcp::Error::Refused => Self::Refused,
            swos_tcp::Error::Reset => Self::Reset,
            swos_tcp::Error::TimedOut => Self::TimedOut,
            swos_tcp::Error::Unreachable => Self::HostUnreachable,
            swos_tcp::Error::Aborted => Self::Aborted,
        }
    }
}
