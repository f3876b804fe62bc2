//! What both kinds of sockets share: local addresses, options, errors, closing.

use core::net::{Ipv4Addr, SocketAddrV4};

use swos_tcp::{KeepAlive, Nagle};
use swos_units::{Duration, Instant};

use crate::device::PageRef;
use crate::error::Error;
use crate::ports::{Ports, Space};
use crate::slab::SocketId;
use crate::socket::{OptionName, Socket, SocketOption, StreamOptions, Switch};
use crate::stack::Stack;

/// Least send and receive buffer: one segment.
const LEAST_BUFFER: usize = 2048;
/// Largest: what a gigabit link holds for 30 ms. What is done at once for one connection grows with it: with a far segment,
/// with an acknowledgment of everything.
pub(crate) const LARGEST_BUFFER: usize = 4 << 20;
/// Largest of a socket for datagrams, whose bytes move when there are more of them.
const LARGEST_DATAGRAM_BUFFER: usize = 1 << 20;

impl<P: PageRef> Stack<P> {
    /// Gives a socket a local address; port 0 takes an unused one, unspecified means all of ours.
    ///
    /// A port with connections of former sockets, TIME-WAIT included, is only given with
    /// [`SocketOption::ReuseAddress`]; one that another open socket is bound to only if both have that option and
    /// neither listens.
    ///
    /// # Errors
    ///
    /// [`Error::BadSocket`], [`Error::AddressNotAvailable`], [`Error::AddressInUse`], [`Error::NoPorts`],
    /// [`Error::NoBuffers`], [`Error::AlreadyConnected`] if it has a local address already.
    pub fn bind(&mut self, id: SocketId, local: SocketAddrV4) -> Result<(), Error> {
        let (index, socket) = self.socket_mut(id)?;
        let (space, reuse) = match socket {
            Socket::Fresh(fresh) if fresh.local.is_none() => (Space::Tcp, fresh.options.reuse),
            Socket::Datagrams(socket) if socket.local.is_none() => (Space::Udp, socket.reuse),
            Socket::Fresh(_) | Socket::Datagrams(_) | Socket::Listener(_) | Socket::Stream(_) => {
                return Err(Error::AlreadyConnected);
            }
        };
        if !self.may_bind(*local.ip()) {
            return Err(Error::AddressNotAvailable);
        }
        let local = if local.port() == 0 {
            SocketAddrV4::new(*local.ip(), self.ephemeral_port(space, *local.ip())?)
        } else {
            local
        };
        if !self.is_port_free(space, local, reuse) {
            return Err(Error::AddressInUse);
        }
        self.ports.bind(space, local, index).map_err(|_| Error::NoBuffers)?;
        match self.sockets.get_mut(index) {
            Some(Socket::Fresh(fresh)) => fresh.local = Some(local),
            Some(Socket::Datagrams(socket)) => socket.local = Some(local),
            Some(Socket::Listener(_) | Socket::Stream(_)) | None => {}
        }
        Ok(())
    }

    fn is_port_free(&self, space: Space, local: SocketAddrV4, reuse: Switch) -> bool {
        let shared = self.ports.matching(space, local.port(), *local.ip()).all(|binding| {
            reuse == Switch::On
                && match self.sockets.get(binding.index) {
                    Some(Socket::Fresh(other)) => other.options.reuse == Switch::On,
                    Some(Socket::Stream(other)) => other.options.reuse == Switch::On,
                    // Two sockets that get the same datagrams, or the same connections, could steal from
                    // each other.
                    Some(Socket::Datagrams(_) | Socket::Listener(_)) | None => false,
                }
        });
        let lingering = space == Space::Tcp && reuse == Switch::Off;
        shared && !(lingering && self.ports.has_connections(local.port()))
    }

    /// A random port that no socket and no connection has.
    pub(crate) fn ephemeral_port(&mut self, space: Space, address: Ipv4Addr) -> Result<u16, Error> {
        let ports = &self.ports;
        let is_free = |port: u16| {
            ports.matching(space, port, address).next().is_none()
                && (space == Space::Udp || !ports.has_connections(port))
        };
        Ports::choose(&mut self.link.entropy, &self.limits.ephemeral_ports, is_free).ok_or(Error::NoPorts)
    }

    /// Our end.
    ///
    /// # Errors
    ///
    /// [`Error::BadSocket`]; [`Error::NotConnected`] if it has no address yet.
    pub fn local(&self, id: SocketId) -> Result<SocketAddrV4, Error> {
        match self.socket(id)? {
            Socket::Fresh(fresh) => fresh.local,
            Socket::Listener(listener) => Some(listener.local),
            Socket::Stream(stream) => Some(stream.flow.local_address()),
            Socket::Datagrams(socket) => socket.local,
        }
        .ok_or(Error::NotConnected)
    }

    /// The peer's end.
    ///
    /// # Errors
    ///
    /// [`Error::BadSocket`], [`Error::NotConnected`].
    pub fn peer(&self, id: SocketId) -> Result<SocketAddrV4, Error> {
        match self.socket(id)? {
            Socket::Stream(stream) => Some(stream.flow.remote_address()),
            Socket::Datagrams(socket) => socket.peer,
            Socket::Fresh(_) | Socket::Listener(_) => None,
        }
        .ok_or(Error::NotConnected)
    }

    /// Connects. A stream sends its SYN at the next [`Self::poll`]; readiness OUT, or ERR, tells the end. A datagram
    /// socket from now on sends to `remote` and takes datagrams only from there.
    ///
    /// # Errors
    ///
    /// [`Error::InProgress`] while a stream connects, [`Error::AlreadyConnected`] after that;
    /// [`Error::BadDestination`], [`Error::NetworkUnreachable`], [`Error::NetworkDown`], [`Error::NoPorts`],
    /// [`Error::AddressInUse`] if the bound port has a connection to `remote` already, [`Error::NoBuffers`],
    /// [`Error::WrongState`] for a listener, [`Error::BadSocket`].
    pub fn connect(&mut self, now: Instant, id: SocketId, remote: SocketAddrV4) -> Result<(), Error> {
        let index = self.index_of(id)?;
        match self.sockets.get(index).ok_or(Error::BadSocket)? {
            Socket::Fresh(_) => self.connect_stream(now, index, remote),
            Socket::Datagrams(_) => self.connect_datagrams(index, remote),
            Socket::Listener(_) => Err(Error::WrongState),
            Socket::Stream(stream) => Err(stream.connect_again()),
        }
    }

    /// Closes a socket: the id is invalid from now on. A connection sends what is queued and ends in order by itself;
    /// with unread data it is reset, so that the peer learns of the loss. A listener takes no more connections, and those
    /// that nobody has accepted are reset, a few in each call of [`Self::poll`]; until then they count as connections
    /// of the port ([`Self::bind`]).
    ///
    /// # Errors
    ///
    /// [`Error::BadSocket`].
    pub fn close(&mut self, now: Instant, id: SocketId) -> Result<(), Error> {
        let index = self.index_of(id)?;
        self.changes.forget(index);
        match self.sockets.get_mut(index).ok_or(Error::BadSocket)? {
            Socket::Fresh(fresh) => {
                let local = fresh.local;
                self.sockets.remove(index);
                if let Some(local) = local {
                    self.ports.unbind(Space::Tcp, local, index);
                }
            }
            Socket::Datagrams(socket) => {
                let local = socket.local;
                self.sockets.remove(index);
                if let Some(local) = local {
                    self.ports.unbind(Space::Udp, local, index);
                }
            }
            Socket::Listener(listener) => {
                let (local, first, last) = (listener.local, listener.first, listener.last);
                self.sockets.remove(index);
                self.ports.unbind(Space::Tcp, local, index);
                // There may be thousands: [`Self::poll`] resets some in each call.
                self.discarded.append(&mut self.sockets, first, last);
            }
            Socket::Stream(stream) => {
                stream.connection.close(now, &self.tcp);
                self.abandon(index);
            }
        }
        Ok(())
    }

    /// Sets an option.
    ///
    /// # Errors
    ///
    /// [`Error::BadValue`], [`Error::WrongState`] if the kind of socket does not know it, [`Error::BadSocket`].
    pub fn set_option(&mut self, now: Instant, id: SocketId, option: SocketOption) -> Result<(), Error> {
        let (index, socket) = self.socket_mut(id)?;
        let options = match socket {
            Socket::Fresh(fresh) => &mut fresh.options,
            Socket::Listener(listener) => &mut listener.options,
            Socket::Stream(stream) => &mut stream.options,
            Socket::Datagrams(socket) => return socket.set_option(option),
        };
        match option {
            SocketOption::NoDelay(Switch::On) => options.nagle = Nagle::Off,
            SocketOption::NoDelay(Switch::Off) => options.nagle = Nagle::On,
            SocketOption::KeepAlive(idle) => options.keep_alive = idle.map(keep_alive).transpose()?,
            SocketOption::ReuseAddress(switch) => options.reuse = switch,
            SocketOption::SendBuffer(bytes) => options.send_buffer = buffer(bytes, LARGEST_BUFFER)?,
            SocketOption::ReceiveBuffer(bytes) => options.receive_buffer = buffer(bytes, LARGEST_BUFFER)?,
            SocketOption::UserTimeout(Some(Duration::ZERO)) => return Err(Error::BadValue),
            SocketOption::UserTimeout(span) => options.user_timeout = span,
            SocketOption::TimeToLive(0) => return Err(Error::BadValue),
            SocketOption::TimeToLive(hops) => options.ttl = hops,
            SocketOption::TrafficClass(class) => options.traffic_class = class,
        }
        self.apply_options(now, index);
        Ok(())
    }

    /// Reads an option.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`] if the kind of socket does not know it, [`Error::BadSocket`].
    pub fn option(&self, id: SocketId, name: OptionName) -> Result<u64, Error> {
        let options = match self.socket(id)? {
            Socket::Fresh(fresh) => &fresh.options,
            Socket::Listener(listener) => &listener.options,
            Socket::Stream(stream) => &stream.options,
            Socket::Datagrams(socket) => {
                return match name {
                    OptionName::ReuseAddress => Ok(u64::from(socket.reuse == Switch::On)),
                    OptionName::ReceiveBuffer => Ok(socket.queue.limits().bytes as u64),
                    OptionName::NoDelay | OptionName::KeepAlive | OptionName::SendBuffer => {
                        Err(Error::WrongState)
                    }
                };
            }
        };
        Ok(match name {
            OptionName::NoDelay => u64::from(options.nagle == Nagle::Off),
            OptionName::KeepAlive => options.keep_alive.map_or(0, |set| set.idle.as_millis() / 1000),
            OptionName::ReuseAddress => u64::from(options.reuse == Switch::On),
            OptionName::SendBuffer => u64::from(options.send_buffer),
            OptionName::ReceiveBuffer if options.receive_buffer == 0 => self.tcp.receive_capacity as u64,
            OptionName::ReceiveBuffer => u64::from(options.receive_buffer),
        })
    }

    /// The error of a connection that failed, or that an ICMP message told of; once.
    ///
    /// # Errors
    ///
    /// [`Error::BadSocket`].
    pub fn take_error(&mut self, id: SocketId) -> Result<Option<Error>, Error> {
        Ok(match self.socket_mut(id)?.1 {
            Socket::Stream(stream) => stream.failure.take(),
            Socket::Datagrams(socket) => socket.failure.take(),
            Socket::Fresh(_) | Socket::Listener(_) => None,
        })
    }

    /// Gives a connection the options of its socket.
    pub(crate) fn apply_options(&mut self, now: Instant, index: u32) {
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return };
        let StreamOptions { nagle, receive_buffer, keep_alive, user_timeout, .. } = stream.options;
        stream.connection.set_nagle(nagle);
        stream.connection.set_keep_alive(now, keep_alive);
        stream.connection.set_user_timeout(user_timeout.unwrap_or(self.tcp.user_timeout));
        if receive_buffer != 0 {
            stream.connection.set_receive_capacity(receive_buffer as usize);
        }
        self.ready.push(index);
    }

    pub(crate) fn default_options(&self) -> StreamOptions {
        StreamOptions {
            nagle: Nagle::On,
            reuse: Switch::Off,
            ttl: 64,
            traffic_class: 0,
            send_buffer: u32::try_from(self.limits.send_buffer.max(LEAST_BUFFER)).unwrap_or(u32::MAX),
            receive_buffer: 0,
            keep_alive: None,
            user_timeout: None,
        }
    }
}

fn keep_alive(idle: Duration) -> Result<KeepAlive, Error> {
    if idle == Duration::ZERO {
        return Err(Error::BadValue);
    }
    Ok(KeepAlive { idle, ..KeepAlive::default() })
}

/// The size of a buffer that is at most `largest`.
fn buffer(bytes: usize, largest: usize) -> Result<u32, Error> {
    if !(LEAST_BUFFER..=largest).contains(&bytes) {
        return Err(Error::BadValue);
    }
    u32::try_from(bytes).map_err(|_| Error::BadValue)
}

/// The size of a buffer for datagrams.
pub(crate) fn datagram_buffer(bytes: usize) -> Result<usize, Error> {
    buffer(bytes, LARGEST_DATAGRAM_BUFFER).map(|bytes| bytes as usize)
}
