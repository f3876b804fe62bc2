//! Stream sockets: what the kernel calls for its programs.

use core::net::SocketAddrV4;
use core::ops::Range;

use swos_ipv4::{NextHop, NoRoute};
use swos_tcp::{Connection, State};
use swos_units::Instant;

use crate::device::PageRef;
use crate::error::Error;
use crate::flows::FlowKey;
use crate::pieces::{CHUNK, Queue};
use crate::ports::{Ports, Space};
use crate::slab::SocketId;
use crate::socket::{Direction, Fresh, Listener, Owner, Push, Socket, Stream};
use crate::stack::Stack;

const NONE: u32 = u32::MAX;
/// With this much queued, bytes go out even if more were announced.
const MORE_LIMIT: usize = 16 << 10;
/// Slices of pages from this length on are not copied. A shorter one would be a piece of its own, of which a queue could
/// have any number, and costs less in a chunk that it shares.
const WORTH_A_PIECE: usize = CHUNK;

impl<P: PageRef> Stack<P> {
    /// Makes a stream socket.
    ///
    /// # Errors
    ///
    /// [`Error::NoBuffers`].
    pub fn tcp_open(&mut self) -> Result<SocketId, Error> {
        let options = self.default_options();
        self.add(Socket::Fresh(Fresh { local: None, options }))
    }

    /// Starts to take connections. A socket without a port gets one. `backlog` (at least 1) is how many may wait to be
    /// accepted; a repeated call changes it.
    ///
    /// # Errors
    ///
    /// [`Error::AddressInUse`] if another socket listens there, [`Error::NoPorts`], [`Error::WrongState`],
    /// [`Error::BadSocket`].
    pub fn listen(&mut self, id: SocketId, backlog: usize) -> Result<(), Error> {
        let backlog = backlog.clamp(1, self.limits.backlog.max(1));
        let (index, socket) = self.socket_mut(id)?;
        let fresh = match socket {
            Socket::Listener(listener) => {
                listener.backlog = backlog;
                return Ok(());
            }
            Socket::Fresh(fresh) => Fresh { local: fresh.local, options: fresh.options },
            Socket::Stream(_) | Socket::Datagrams(_) => return Err(Error::WrongState),
        };
        let local = match fresh.local {
            Some(local) => local,
            None => {
                self.bind(id, SocketAddrV4::new(core::net::Ipv4Addr::UNSPECIFIED, 0))?;
                self.local(id)?
            }
        };
        let taken = self.ports.matching(Space::Tcp, local.port(), *local.ip()).any(|binding| {
            binding.index != index && matches!(self.sockets.get(binding.index), Some(Socket::Listener(_)))
        });
        if taken {
            return Err(Error::AddressInUse);
        }
        if let Some(socket) = self.sockets.get_mut(index) {
            let options = fresh.options;
            *socket =
                Socket::Listener(Listener { local, options, backlog, queued: 0, first: NONE, last: NONE });
        }
        Ok(())
    }

    /// Takes the connection that waits longest.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], [`Error::WrongState`] if the socket does not listen, [`Error::BadSocket`].
    pub fn accept(&mut self, listener: SocketId) -> Result<(SocketId, SocketAddrV4), Error> {
        loop {
            let Socket::Listener(queue) = self.socket_mut(listener)?.1 else {
                return Err(Error::WrongState);
            };
            let index = queue.first;
            let (next, ended) = match self.sockets.get_mut(index) {
                Some(Socket::Stream(stream)) => {
                    stream.owner = Owner::User;
                    // Reset before it was accepted, and its turn has not come since: nobody has to know.
                    let ended = stream.connection.state() == State::Closed;
                    (stream.next_accepted, ended && stream.connection.readable() == 0)
                }
                _ => return Err(Error::WouldBlock),
            };
            let Socket::Listener(queue) = self.socket_mut(listener)?.1 else {
                return Err(Error::WrongState);
            };
            queue.queued = queue.queued.saturating_sub(1);
            queue.first = next;
            if next == NONE {
                queue.last = NONE;
            }
            if let Some(Socket::Stream(next)) = self.sockets.get_mut(next) {
                next.previous_accepted = NONE;
            }
            if ended {
                self.abandon(index);
                continue;
            }
            let (_, peer) = self.addresses(index).ok_or(Error::BadSocket)?;
            return Ok((self.sockets.id_of(index).ok_or(Error::BadSocket)?, peer));
        }
    }

    pub(crate) fn connect_stream(
        &mut self,
        now: Instant,
        index: u32,
        remote: SocketAddrV4,
    ) -> Result<(), Error> {
        let Some(Socket::Fresh(fresh)) = self.sockets.get(index) else { return Err(Error::WrongState) };
        let (bound, options) = (fresh.local, fresh.options);
        match self.link.route(*remote.ip()) {
            Ok(NextHop::Local | NextHop::Link(_)) if remote.port() != 0 => {}
            Ok(_) | Err(NoRoute::Unusable) => return Err(Error::BadDestination),
            Err(NoRoute::Unreachable) if self.link.host.is_none() => return Err(Error::NetworkDown),
            Err(NoRoute::Unreachable) => return Err(Error::NetworkUnreachable),
        }
        let address = match bound {
            Some(bound) if !bound.ip().is_unspecified() => *bound.ip(),
            _ => self.link.source_for(*remote.ip()).ok_or(Error::NetworkDown)?,
        };
        let port = match bound {
            Some(bound) => bound.port(),
            None => {
                let (flows, ports) = (&self.flows, &self.ports);
                let is_free = |port: u16| {
                    let key = FlowKey::of(address, port, *remote.ip(), remote.port());
                    flows.get(&key).is_none() && ports.matching(Space::Tcp, port, address).next().is_none()
                };
                Ports::choose(&mut self.link.entropy, &self.limits.ephemeral_ports, is_free)
                    .ok_or(Error::NoPorts)?
            }
        };
        let flow = FlowKey::of(address, port, *remote.ip(), remote.port());
        if self.flows.get(&flow).is_some() {
            return Err(Error::AddressInUse);
        }
        if self.link.is_ours(*remote.ip()) {
            // The other end is made here, too: what it lacks is told at once, and not by silence.
            self.reserve_connection(&FlowKey::of(*remote.ip(), remote.port(), address, port))?;
        }
        self.begin_flow(flow, index)?;
        let isn = self.initial_number(now, &flow.flow(), None);
        let connection = Connection::connect(now, &self.tcp, self.path, isn);
        let stream = Stream {
            connection,
            queue: Queue::EMPTY,
            flow,
            owner: Owner::User,
            next_accepted: NONE,
            previous_accepted: NONE,
            options,
            held: 0,
            failure: None,
            wants_room: false,
            deaf: false,
            bound,
        };
        if let Some(socket) = self.sockets.get_mut(index) {
            *socket = Socket::Stream(stream);
        }
        self.apply_options(now, index);
        Ok(())
    }

    fn stream(&self, id: SocketId) -> Result<&Stream, Error> {
        match self.socket(id)? {
            Socket::Stream(stream) => Ok(stream),
            Socket::Fresh(_) | Socket::Listener(_) => Err(Error::NotConnected),
            Socket::Datagrams(_) => Err(Error::WrongState),
        }
    }

    fn stream_mut(&mut self, id: SocketId) -> Result<(u32, &mut Stream), Error> {
        match self.socket_mut(id)? {
            (index, Socket::Stream(stream)) => Ok((index, stream)),
            (_, Socket::Fresh(_) | Socket::Listener(_)) => Err(Error::NotConnected),
            (_, Socket::Datagrams(_)) => Err(Error::WrongState),
        }
    }

    /// Queues as many of `bytes` as there is room for, and returns how many: not zero, unless `bytes` is empty.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] (readiness OUT tells when to try again), [`Error::NoBuffers`], [`Error::Closed`] after our
    /// direction was shut down or the connection ended, the connection's failure once, [`Error::NotConnected`],
    /// [`Error::WrongState`], [`Error::BadSocket`].
    pub fn send_bytes(
        &mut self,
        now: Instant,
        id: SocketId,
        bytes: &[u8],
        push: Push,
    ) -> Result<usize, Error> {
        let (index, stream) = self.stream_mut(id)?;
        let room = stream.check_writable()?;
        let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let taken = self.push_copy(index, bytes);
        self.queued(now, index, taken, bytes.len(), push)
    }

    /// Copies bytes into a connection's queue, as far as the budget of the stack allows; returns how many.
    fn push_copy(&mut self, index: u32, bytes: &[u8]) -> usize {
        let over = self.pool.owned_chunks() * CHUNK >= self.limits.send_memory;
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return 0 };
        // Over the budget, a connection with nothing queued still gets one chunk.
        let chunks = match (over, stream.queue.len()) {
            (false, _) => usize::MAX,
            (true, 0) => 1,
            (true, _) => 0,
        };
        self.pool.push_bytes(&mut stream.queue, bytes, chunks)
    }

    /// Queues a slice of a page, without copying it if it is half a page or longer, as far as there is room, and returns how
    /// many bytes: not zero, unless `range` is empty. The page must not change while the stack holds it.
    ///
    /// # Errors
    ///
    /// As [`Self::send_bytes`]; [`Error::BadValue`] if `range` is not within the page.
    pub fn send_page(
        &mut self,
        now: Instant,
        id: SocketId,
        page: P,
        range: Range<usize>,
        push: Push,
    ) -> Result<usize, Error> {
        let wanted = range.len();
        let bytes = page.bytes().get(range.clone()).ok_or(Error::BadValue)?;
        let (index, stream) = self.stream_mut(id)?;
        let len = wanted.min(stream.check_writable()?);
        let taken = match bytes.get(..len) {
            Some(short) if len < WORTH_A_PIECE => self.push_copy(index, short),
            _ => match self.sockets.get_mut(index) {
                Some(Socket::Stream(stream)) => {
                    self.pool.push_page(&mut stream.queue, page, range.start..range.start + len)
                }
                _ => 0,
            },
        };
        self.queued(now, index, taken, wanted, push)
    }

    /// What follows after bytes were queued.
    fn queued(
        &mut self,
        now: Instant,
        index: u32,
        taken: usize,
        wanted: usize,
        push: Push,
    ) -> Result<usize, Error> {
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return Err(Error::BadSocket) };
        stream.wants_room |= taken < wanted || stream.room() == 0;
        let empty = stream.queue.len() == 0;
        match push {
            Push::More if taken == wanted && stream.queue.len() < MORE_LIMIT => {
                self.deadlines.no_later(index, now + self.limits.more_timeout);
            }
            Push::More | Push::Now => self.ready.push(index),
        }
        match taken {
            // Nothing is queued that could make room by leaving: there was no memory.
            0 if wanted > 0 && empty => Err(Error::NoBuffers),
            0 if wanted > 0 => Err(Error::WouldBlock),
            _ => Ok(taken),
        }
    }

    /// Bytes that [`Self::send_page`] and [`Self::send_bytes`] would take now, unless memory is short.
    ///
    /// # Errors
    ///
    /// As [`Self::send_bytes`], but for [`Error::WouldBlock`].
    pub fn send_room(&mut self, id: SocketId) -> Result<usize, Error> {
        let stream = self.stream_mut(id)?.1;
        match stream.check_writable() {
            Err(Error::WouldBlock) => Ok(0),
            other => other,
        }
    }

    /// The first contiguous piece of what can be read; empty at the end of the stream.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] (readiness IN tells when to try again), [`Error::NotConnected`],
    /// [`Error::WrongState`], [`Error::BadSocket`]. A failure is told by [`Self::recv`] or [`Self::take_error`].
    pub fn peek(&self, id: SocketId) -> Result<&[u8], Error> {
        let stream = self.stream(id)?;
        if stream.deaf {
            return Ok(&[]);
        }
        match stream.connection.peek() {
            [] if stream.is_at_end() => stream.failure.map_or(Ok(&[]), Err),
            [] => Err(Error::WouldBlock),
            bytes => Ok(bytes),
        }
    }

    /// Takes away up to `len` bytes that were peeked at, and returns how many.
    ///
    /// # Errors
    ///
    /// [`Error::NotConnected`], [`Error::WrongState`], [`Error::BadSocket`].
    pub fn consume(&mut self, id: SocketId, len: usize) -> Result<usize, Error> {
        let (index, stream) = self.stream_mut(id)?;
        let taken = stream.connection.consume(len);
        if taken > 0 {
            // The window may have opened enough to tell the peer.
            self.ready.push(index);
            self.recount(index);
        }
        Ok(taken)
    }

    /// Reads into `out`, and returns how many bytes; 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] (readiness IN tells when to try again), the connection's failure once,
    /// [`Error::NotConnected`], [`Error::WrongState`], [`Error::BadSocket`].
    pub fn recv(&mut self, id: SocketId, out: &mut [u8]) -> Result<usize, Error> {
        let (index, stream) = self.stream_mut(id)?;
        if stream.deaf {
            return Ok(0);
        }
        let copied = stream.connection.copy_to(0, out);
        if copied == 0 {
            return match stream.failure.take() {
                Some(failure) => Err(failure),
                None if stream.is_at_end() || out.is_empty() => Ok(0),
                None => Err(Error::WouldBlock),
            };
        }
        stream.connection.consume(copied);
        self.ready.push(index);
        self.recount(index);
        Ok(copied)
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    ///
    /// [`Error::NotConnected`], [`Error::WrongState`], [`Error::BadSocket`].
    pub fn shutdown(&mut self, id: SocketId, direction: Direction) -> Result<(), Error> {
        let (index, stream) = self.stream_mut(id)?;
        if stream.connection.state() == State::Closed {
            return Err(Error::NotConnected);
        }
        if matches!(direction, Direction::Read | Direction::Both) {
            stream.deaf = true;
        }
        if matches!(direction, Direction::Write | Direction::Both) {
            stream.connection.shutdown_send();
        }
        self.ready.push(index);
        Ok(())
    }

    /// Ends a connection at once: the peer gets a reset, the id is invalid from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NotConnected`], [`Error::WrongState`], [`Error::BadSocket`].
    pub fn abort(&mut self, id: SocketId) -> Result<(), Error> {
        let (index, stream) = self.stream_mut(id)?;
        stream.connection.abort();
        self.changes.forget(index);
        self.abandon(index);
        Ok(())
    }

    /// The state of a connection.
    ///
    /// # Errors
    ///
    /// [`Error::NotConnected`], [`Error::WrongState`], [`Error::BadSocket`].
    pub fn tcp_state(&self, id: SocketId) -> Result<State, Error> {
        Ok(self.stream(id)?.connection.state())
    }

    /// Nobody holds the connection any more: it goes on alone.
    pub(crate) fn abandon(&mut self, index: u32) {
        if let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) {
            stream.owner = Owner::Nobody;
            self.sockets.orphan(index);
            self.ready.push(index);
            self.recount(index);
        }
    }
}

impl Stream {
    /// Room in the queue, if the connection takes bytes at all.
    fn check_writable(&mut self) -> Result<usize, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if !self.connection.can_send() {
            return Err(Error::Closed);
        }
        match self.room() {
            0 => {
                self.wants_room = true;
                Err(Error::WouldBlock)
            }
            room => Ok(room),
        }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_at_end(&self) -> bool {
        self.deaf || self.connection.at_eof() || self.connection.state() == State::Closed
    }

    /// What a second `connect` is told.
    pub(crate) const fn connect_again(&self) -> Error {
        match self.connection.state() {
            State::SynSent | State::SynReceived => Error::InProgress,
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => Error::AlreadyConnected,
        }
    }
}
