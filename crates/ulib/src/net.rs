//! Sockets.

pub use core::net::{Ipv4Addr, SocketAddrV4};

use swos_abi::{
    DOMAIN_IPV4, Errno, OPTION_NO_DELAY, OPTION_REUSE_ADDRESS, OPTION_SOCKET_ERROR, SHUTDOWN_BOTH,
    SHUTDOWN_READ, SHUTDOWN_WRITE, SOCKET_DATAGRAM, SOCKET_NONBLOCK, SOCKET_STREAM, SocketAddress,
};

use crate::{
    handle::{OwnedHandle, owns_handle},
    io::{self, Read, Write},
};

fn to_abi(address: SocketAddrV4) -> SocketAddress {
    SocketAddress::ipv4(address.ip().octets(), address.port())
}

fn from_abi(address: &SocketAddress) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(address.ipv4_octets()), address.port)
}

/// A socket that takes TCP connections.
#[derive(Debug)]
pub struct TcpListener {
    handle: OwnedHandle,
}

owns_handle!(TcpListener, "Chooses whether [`accept`](Self::accept) waits.");

impl TcpListener {
    /// Listens at `address` with up to `backlog` connections waiting to be taken.
    ///
    /// # Errors
    ///
    /// What the kernel answers: [`Errno::ADDRINUSE`], [`Errno::ACCES`].
    pub fn bind(address: SocketAddrV4, backlog: u32) -> Result<Self, Errno> {
        let handle = OwnedHandle::new(swos_sys::socket(DOMAIN_IPV4, SOCKET_STREAM)?);
        swos_sys::socket_set_option(handle.get(), OPTION_REUSE_ADDRESS, 1)?;
        swos_sys::bind(handle.get(), &to_abi(address))?;
        swos_sys::listen(handle.get(), backlog)?;
        Ok(Self { handle })
    }

    /// Takes the next connection.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn accept(&self) -> Result<(TcpStream, SocketAddrV4), Errno> {
        let (handle, peer) = swos_sys::accept_from(self.handle.get(), 0)?;
        Ok((TcpStream { handle: OwnedHandle::new(handle) }, from_abi(&peer)))
    }

    /// Takes the next connection; calls on it never wait.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn accept_nonblocking(&self) -> Result<(TcpStream, SocketAddrV4), Errno> {
        let (handle, peer) = swos_sys::accept_from(self.handle.get(), SOCKET_NONBLOCK)?;
        Ok((TcpStream { handle: OwnedHandle::new(handle) }, from_abi(&peer)))
    }

    /// The address it listens at.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn local_addr(&self) -> Result<SocketAddrV4, Errno> {
        swos_sys::socket_local(self.handle.get()).map(|address| from_abi(&address))
    }
}

/// Which direction to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shutdown {
    /// No more reads.
    Read,
    /// No more writes; the peer sees the end.
    Write,
    /// Both.
    Both,
}

impl Shutdown {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Read => SHUTDOWN_READ,
            Self::Write => SHUTDOWN_WRITE,
            Self::Both => SHUTDOWN_BOTH,
        }
    }
}

/// A TCP connection.
#[derive(Debug)]
pub struct TcpStream {
    handle: OwnedHandle,
}

owns_handle!(TcpStream, "Chooses whether calls on it wait.");

impl TcpStream {
    /// Connects, waiting for the answer.
    ///
    /// # Errors
    ///
    /// What the kernel answers: [`Errno::CONNREFUSED`], [`Errno::TIMEDOUT`].
    pub fn connect(address: SocketAddrV4) -> Result<Self, Errno> {
        let handle = OwnedHandle::new(swos_sys::socket(DOMAIN_IPV4, SOCKET_STREAM)?);
        swos_sys::connect(handle.get(), &to_abi(address))?;
        Ok(Self { handle })
    }

    /// Sends small segments at once (`On`) or lets them gather while data is unacknowledged.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_nodelay(&self, nodelay: Switch) -> Result<(), Errno> {
        swos_sys::socket_set_option(self.handle.get(), OPTION_NO_DELAY, u64::from(nodelay == Switch::On))
    }

    /// Ends one or both directions.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        swos_sys::shutdown(self.handle.get(), how.number())
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn peer_addr(&self) -> Result<SocketAddrV4, Errno> {
        swos_sys::socket_peer(self.handle.get()).map(|address| from_abi(&address))
    }

    /// Takes the error of a failed connection, if there was one.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn take_error(&self) -> Result<Option<Errno>, Errno> {
        let raw = swos_sys::socket_option(self.handle.get(), OPTION_SOCKET_ERROR)?;
        let raw = i64::try_from(raw).map_err(|_| Errno::OVERFLOW)?;
        Ok(swos_abi::result_from_raw(-raw).err())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(swos_sys::receive(self.handle.get(), buffer)?)
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(swos_sys::send(self.handle.get(), bytes, 0)?)
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// A socket for datagrams.
#[derive(Debug)]
pub struct UdpSocket {
    handle: OwnedHandle,
}

owns_handle!(UdpSocket, "Chooses whether it waits for datagrams and for room.");

impl UdpSocket {
    /// Receives at `address`; port 0 lets the kernel choose.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn bind(address: SocketAddrV4) -> Result<Self, Errno> {
        let handle = OwnedHandle::new(swos_sys::socket(DOMAIN_IPV4, SOCKET_DATAGRAM)?);
        swos_sys::bind(handle.get(), &to_abi(address))?;
        Ok(Self { handle })
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// What the kernel answers: [`Errno::MSGSIZE`].
    pub fn send_to(&self, bytes: &[u8], peer: SocketAddrV4) -> Result<usize, Errno> {
        swos_sys::send_to(self.handle.get(), bytes, &to_abi(peer))
    }

    /// Receives a datagram.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddrV4), Errno> {
        let (count, peer) = swos_sys::receive_from(self.handle.get(), buffer)?;
        Ok((count, from_abi(&peer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 8080);
        assert_eq!(from_abi(&to_abi(address)), address);
    }
}
