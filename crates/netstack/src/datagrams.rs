//! UDP sockets: what the kernel calls for its programs.

use core::net::{Ipv4Addr, SocketAddrV4};

use swos_ipv4::{NextHop, NoRoute};
use swos_units::Instant;
use swos_wire::{IpProtocol, Ipv4Repr, UdpRepr, checksum};

use crate::bind::datagram_buffer;
use crate::device::{PageRef, Transmit};
use crate::error::Error;
use crate::link::{Envelope, Sent};
use crate::ports::Space;
use crate::slab::SocketId;
use crate::socket::{Datagrams, Socket, SocketOption, Switch};
use crate::stack::Stack;

impl<P: PageRef> Stack<P> {
    /// Makes a datagram socket.
    ///
    /// # Errors
    ///
    /// [`Error::NoBuffers`].
    pub fn udp_open(&mut self) -> Result<SocketId, Error> {
        let socket = Datagrams {
            local: None,
            peer: None,
            queue: swos_udp::Queue::new(self.limits.udp),
            reuse: Switch::Off,
            ttl: 64,
            traffic_class: 0,
            failure: None,
            blocked: false,
        };
        self.add(Socket::Datagrams(socket))
    }

    pub(crate) fn connect_datagrams(&mut self, index: u32, remote: SocketAddrV4) -> Result<(), Error> {
        self.check_destination(remote)?;
        self.bind_if_unbound(index)?;
        if let Some(Socket::Datagrams(socket)) = self.sockets.get_mut(index) {
            socket.peer = Some(remote);
        }
        Ok(())
    }

    fn check_destination(&self, remote: SocketAddrV4) -> Result<(), Error> {
        match self.link.route(*remote.ip()) {
            Ok(NextHop::Local | NextHop::Link(_) | NextHop::Broadcast) if remote.port() != 0 => Ok(()),
            Ok(_) | Err(NoRoute::Unusable) => Err(Error::BadDestination),
            Err(NoRoute::Unreachable) if self.link.host.is_none() => Err(Error::NetworkDown),
            Err(NoRoute::Unreachable) => Err(Error::NetworkUnreachable),
        }
    }

    fn bind_if_unbound(&mut self, index: u32) -> Result<SocketAddrV4, Error> {
        let Some(Socket::Datagrams(socket)) = self.sockets.get(index) else { return Err(Error::WrongState) };
        if let Some(local) = socket.local {
            return Ok(local);
        }
        let port = self.ephemeral_port(Space::Udp, Ipv4Addr::UNSPECIFIED)?;
        let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        self.ports.bind(Space::Udp, local, index).map_err(|_| Error::NoBuffers)?;
        if let Some(Socket::Datagrams(socket)) = self.sockets.get_mut(index) {
            socket.local = Some(local);
        }
        Ok(local)
    }

    /// Sends a datagram to `to`, or to the connected peer, and returns its length. It goes to the device at once; if
    /// the neighbour's address is still unknown it is held, one datagram for each neighbour.
    ///
    /// # Errors
    ///
    /// [`Error::MessageTooLong`] if it does not fit the MTU (nothing is fragmented), [`Error::WouldBlock`] if the
    /// device is full, [`Error::NotConnected`] without `to` and peer, [`Error::BadDestination`],
    /// [`Error::NetworkUnreachable`], [`Error::NetworkDown`], [`Error::HostUnreachable`], [`Error::NoPorts`],
    /// [`Error::NoBuffers`], a failure that an ICMP message told, [`Error::WrongState`], [`Error::BadSocket`].
    pub fn send_to(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &[u8],
        to: Option<SocketAddrV4>,
        tx: &mut impl Transmit,
    ) -> Result<usize, Error> {
        let mtu = usize::from(self.link.mtu);
        let (index, Socket::Datagrams(socket)) = self.socket_mut(id)? else { return Err(Error::WrongState) };
        if let Some(failure) = socket.failure.take() {
            return Err(failure);
        }
        let remote = to.or(socket.peer).ok_or(Error::NotConnected)?;
        let (ttl, traffic_class) = (socket.ttl, socket.traffic_class);
        if data.len() + UdpRepr::LEN + Ipv4Repr::LEN > mtu {
            return Err(Error::MessageTooLong);
        }
        self.check_destination(remote)?;
        let local = self.bind_if_unbound(index)?;
        let src = match *local.ip() {
            Ipv4Addr::UNSPECIFIED => self.link.source_for(*remote.ip()).ok_or(Error::NetworkDown)?,
            address => address,
        };
        let payload_len = u16::try_from(data.len()).map_err(|_| Error::MessageTooLong)?;
        let repr = UdpRepr { src_port: local.port(), dst_port: remote.port(), payload_len };
        let len = UdpRepr::LEN + data.len();
        let envelope = Envelope { ttl, traffic_class, ..Envelope::new(src, *remote.ip(), IpProtocol::UDP) };
        let pseudo = checksum::pseudo_ipv4(src, *remote.ip(), IpProtocol::UDP, payload_len + 8);
        let sent = self.link.send(now, tx, envelope, len, |place| {
            if let Some((header, payload)) = place.split_at_mut_checked(UdpRepr::LEN) {
                let sum = checksum::copy(payload, data);
                let _whole = repr.emit(header, pseudo, sum);
            }
        });
        match sent {
            Sent::Yes => Ok(data.len()),
            Sent::DeviceFull => {
                if let Some(Socket::Datagrams(socket)) = self.sockets.get_mut(index) {
                    socket.blocked = true;
                    self.blocked.push(index);
                }
                Err(Error::WouldBlock)
            }
            Sent::Silent => Err(Error::HostUnreachable),
            Sent::Nowhere(_) => Err(Error::NetworkUnreachable),
        }
    }

    /// The oldest datagram and its bytes, in one piece or two, without taking it.
    ///
    /// # Errors
    ///
    /// As [`Self::recv_from`].
    pub fn peek_from(&mut self, id: SocketId) -> Result<(swos_udp::Received, [&[u8]; 2]), Error> {
        let Socket::Datagrams(socket) = self.socket_mut(id)?.1 else { return Err(Error::WrongState) };
        match socket.queue.front() {
            Some(received) => Ok((received, socket.queue.front_bytes())),
            None => Err(socket.failure.take().unwrap_or(Error::WouldBlock)),
        }
    }

    /// Drops the oldest datagram, which was peeked at.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`], [`Error::BadSocket`].
    pub fn drop_datagram(&mut self, id: SocketId) -> Result<(), Error> {
        let Socket::Datagrams(socket) = self.socket_mut(id)?.1 else { return Err(Error::WrongState) };
        let _oldest = socket.queue.drop_front();
        Ok(())
    }

    /// Reads the oldest datagram into `out`; what does not fit is lost.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] (readiness IN tells when to try again), a failure that an ICMP message told,
    /// [`Error::WrongState`], [`Error::BadSocket`].
    pub fn recv_from(&mut self, id: SocketId, out: &mut [u8]) -> Result<swos_udp::Received, Error> {
        let Socket::Datagrams(socket) = self.socket_mut(id)?.1 else { return Err(Error::WrongState) };
        match socket.queue.pop(out) {
            Some(received) => Ok(received),
            None => Err(socket.failure.take().unwrap_or(Error::WouldBlock)),
        }
    }
}

impl Datagrams {
    pub(crate) fn set_option(&mut self, option: SocketOption) -> Result<(), Error> {
        match option {
            SocketOption::ReuseAddress(switch) => self.reuse = switch,
            SocketOption::ReceiveBuffer(bytes) => {
                let (bytes, limits) = (datagram_buffer(bytes)?, self.queue.limits());
                self.queue.set_limits(swos_udp::Limits { bytes, ..limits });
            }
            SocketOption::TimeToLive(0) => return Err(Error::BadValue),
            SocketOption::TimeToLive(hops) => self.ttl = hops,
            SocketOption::TrafficClass(class) => self.traffic_class = class,
            SocketOption::NoDelay(_)
            | SocketOption::KeepAlive(_)
            | SocketOption::SendBuffer(_)
            | SocketOption::UserTimeout(_) => return Err(Error::WrongState),
        }
        Ok(())
    }
}
