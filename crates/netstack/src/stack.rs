//! The stack: its parts, its clock, its turn.

use core::net::Ipv4Addr;

use swos_arp::{Action, Neighbors};
use swos_ipv4::{Host, RateLimit, Reassembly};
use swos_slab::NoMemory;
use swos_tcp::{IsnGenerator, Path, SynQueue, WindowScale};
use swos_units::Instant;
use swos_wire::MacAddr;

use crate::bind::LARGEST_BUFFER;
use crate::config::{Config, Limits};
use crate::counters::{Counters, Usage};
use crate::deadlines::Deadlines;
use crate::device::{PageRef, Transmit};
use crate::discarded::Discarded;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::flows::Flows;
use crate::link::Link;
use crate::pieces::{CHUNK, Pool};
use crate::ports::Ports;
use crate::readiness::{Changes, Readiness};
use crate::slab::{Slab, SlotQueue, SocketId};
use crate::socket::{Owner, Socket};
use crate::time_wait::TimeWaits;

/// Segments sent in one call of [`Stack::poll`]: a connection with nothing to send counts, too.
const BUDGET: usize = 32;
/// What a packet to ourselves counts, which is read and answered.
const LOOPBACK_COST: usize = 2;
/// Connections whose time-outs are handled in one call.
const DEADLINES_AT_ONCE: usize = 16;
/// Sockets that hear in one call that they can send again.
const UNBLOCKED_AT_ONCE: usize = 64;
/// Pieces of send queues freed in one call, and how many take as long as a segment.
const SWEPT_AT_ONCE: usize = 128;
const PIECES_PER_SEGMENT: usize = 8;
/// Lists that are longer are looked at, whether they may be shorter.
const FITTED_FROM: usize = 256;
/// And become so only if no more places than these have to move.
const FITTED_TO: usize = 1024;

/// What is left to do after [`Stack::poll`].
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Nothing until the next input or [`Stack::deadline`].
    Done,
    /// The device is full: call again when it has room. Until then [`Stack::deadline`] may have passed in vain.
    DeviceFull,
    /// The bound of one call was reached: call again.
    More,
}

/// A TCP/IP stack on one link, without I/O.
///
/// Contract: [`Self::on_frame`] for each received frame, then [`Self::poll`] once for all of them; `poll` also
/// after socket calls that may have something to send, at [`Self::deadline`], and when a full device has room
/// again. Drain [`Self::poll_event`] after each of these.
#[derive(Debug)]
pub struct Stack<P> {
    pub(crate) tcp: swos_tcp::Config,
    pub(crate) limits: Limits,
    pub(crate) path: Path,
    pub(crate) link: Link,
    pub(crate) sockets: Slab<Socket>,
    pub(crate) pool: Pool<P>,
    pub(crate) flows: Flows,
    pub(crate) ports: Ports,
    pub(crate) half_open: SynQueue,
    pub(crate) isn: IsnGenerator,
    pub(crate) time_waits: TimeWaits,
    pub(crate) deadlines: Deadlines,
    /// Connections that were touched and may have something to send.
    pub(crate) ready: SlotQueue,
    /// Connections that wait for a neighbour's link address.
    pub(crate) awaiting: SlotQueue,
    /// UDP sockets that found the device full.
    pub(crate) blocked: SlotQueue,
    /// Connections whose listener closed before they were accepted.
    pub(crate) discarded: Discarded,
    pub(crate) changes: Changes,
    /// Bytes in receive buffers, as far as they are counted: the sum of all streams' `held`.
    pub(crate) received: usize,
    /// The caller is short of memory.
    pub(crate) scarce: bool,
    pub(crate) reassembly: Reassembly,
    pub(crate) icmp_errors: RateLimit,
    pub(crate) resets: RateLimit,
}

impl<P: PageRef> Stack<P> {
    /// A stack with no sockets.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        let Config { mac, ipv4, mtu, mut tcp, secret, limits } = config;
        if tcp.window_scale == WindowScale::Auto {
            // Sockets may ask for larger buffers than the usual one, also when the connection exists.
            tcp.window_scale = WindowScale::for_window(tcp.receive_capacity.max(LARGEST_BUFFER));
        }
        let mut entropy = Entropy::new(secret);
        let flows = Flows::new([entropy.long(), entropy.long()]);
        let ports = Ports::new(entropy.long());
        let half_open = SynQueue::new(limits.half_open, entropy.key());
        let isn = IsnGenerator::new(entropy.key());
        let neighbors = Neighbors::new(limits.neighbors, mac, entropy.long());
        let link = Link::new(mac, mtu, neighbors, entropy, limits.held_packets);
        let mut stack = Self {
            path: Path::ipv4(link.mtu),
            link,
            sockets: Slab::new(limits.sockets),
            pool: Pool::new(),
            flows,
            ports,
            half_open,
            isn,
            time_waits: TimeWaits::new(limits.time_wait),
            deadlines: Deadlines::new(),
            ready: SlotQueue::new(),
            awaiting: SlotQueue::new(),
            blocked: SlotQueue::new(),
            discarded: Discarded::new(),
            changes: Changes::new(),
            received: 0,
            scarce: false,
            reassembly: Reassembly::new(limits.reassembly),
            icmp_errors: RateLimit::new(now, limits.icmp_errors, limits.icmp_errors),
            resets: RateLimit::new(now, limits.resets, limits.resets),
            tcp,
            limits,
        };
        stack.set_ipv4(now, ipv4);
        stack
    }

    /// Takes or gives up an address. Connections of an address that goes end by their time-outs.
    pub fn set_ipv4(&mut self, now: Instant, ipv4: Option<swos_ipv4::Config>) {
        self.link.host = ipv4.map(Host::new);
        self.link.neighbors.set_address(now, ipv4.map(|ipv4| ipv4.address));
        self.link.drop_all_held();
    }

    /// Whether memory is so short that nothing is kept which can be asked for again: then data that comes, datagrams, fragments and
    /// new connections are as good as lost on the way, and what there is goes on.
    pub const fn set_scarce(&mut self, scarce: bool) {
        self.scarce = scarce;
    }

    /// Our address, network and gateway.
    #[must_use]
    pub fn ipv4(&self) -> Option<&swos_ipv4::Config> {
        self.link.host.as_ref().map(Host::config)
    }

    /// Our link address.
    #[must_use]
    pub const fn mac(&self) -> MacAddr {
        self.link.mac
    }

    /// Does what is due at `now` and sends what can be sent. The work of one call is bounded.
    pub fn poll(&mut self, now: Instant, tx: &mut impl Transmit) -> Progress {
        self.poll_neighbors(now, tx);
        self.poll_deadlines(now);
        self.poll_half_open(now, tx);
        let mut budget = BUDGET - self.discard_some();
        if self.sockets.wanes() {
            self.sockets.give_back();
            budget -= 1;
        }
        if self.pool.has_waste() {
            budget -= self.pool.sweep(SWEPT_AT_ONCE) / PIECES_PER_SEGMENT;
        }
        loop {
            if budget == 0 {
                return Progress::More;
            }
            budget -= 1;
            // Packets to ourselves are read when nothing else is to be done, or when no more of them fit.
            let next = if self.link.loopback_has_room() { self.ready.pop() } else { None };
            if let Some(index) = next {
                if !self.serve(now, index, &mut budget, tx) {
                    self.ready.push(index);
                    return Progress::DeviceFull;
                }
            } else if let Some(packet) = self.link.pop_loopback() {
                budget = budget.saturating_sub(LOOPBACK_COST - 1);
                self.on_loopback(now, &packet, tx);
                self.link.recycle(packet);
            } else {
                break;
            }
        }
        // Serving connections may have asked for neighbours.
        self.poll_neighbors(now, tx);
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let waits = !self.blocked.is_empty() || due(self.link.neighbors.deadline());
        // The device is asked only if somebody may wait for it.
        if (waits || !self.half_open.is_empty())
            && !tx.has_room()
            && (waits || due(self.half_open.deadline()))
        {
            return Progress::DeviceFull;
        }
        for _ in 0..UNBLOCKED_AT_ONCE {
            let Some(index) = self.blocked.pop() else { break };
            self.unblock(index);
        }
        let freed = !self.pool.has_waste() && !self.sockets.wanes();
        let served = self.ready.is_empty() && self.discarded.is_empty();
        if freed && served && self.blocked.is_empty() && !self.link.has_loopback() {
            Progress::Done
        } else {
            Progress::More
        }
    }

    /// When [`Self::poll`] has something to do without any input. A moment that has passed means now.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let half_open = if self.half_open.is_empty() { None } else { self.half_open.deadline() };
        // After every input, and most of them have none: no iterator.
        let mut first = Instant::FAR_FUTURE;
        let mut consider = |at: Option<Instant>| first = at.map_or(first, |at| first.min(at));
        consider(self.link.neighbors.deadline());
        consider(self.deadlines.first());
        consider(self.time_waits.deadline());
        consider(half_open);
        consider(self.reassembly.deadline());
        (first != Instant::FAR_FUTURE).then_some(first)
    }

    /// The next socket that became ready for something: bits that were set by what happened, told once. The
    /// level is [`Self::readiness`]. Call until `None`.
    pub fn poll_event(&mut self) -> Option<(SocketId, Readiness)> {
        loop {
            let Some((index, bits)) = self.changes.pop() else {
                if self.ready.places() > FITTED_FROM {
                    self.fit_places();
                }
                return None;
            };
            if let Some(id) = self.sockets.id_of(index) {
                return Some((id, bits));
            }
        }
    }

    /// What the stack did since it was made.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.link.counters
    }

    /// What it holds now. Walks all sockets.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let queued = (0..self.sockets.bound()).filter_map(|index| match self.sockets.get(index)? {
            Socket::Datagrams(socket) => Some(socket.queue.memory_bytes()),
            Socket::Stream(stream) => Some(stream.connection.memory_bytes()),
            Socket::Fresh(_) | Socket::Listener(_) => None,
        });
        Usage {
            sockets: self.sockets.len(),
            flows: self.flows.len(),
            half_open: self.half_open.len(),
            time_wait: self.time_waits.len(),
            send_pieces: self.pool.pieces_in_use(),
            send_bytes: self.pool.owned_chunks() * CHUNK,
            receive_bytes: queued.sum::<usize>() + self.reassembly.memory_bytes(),
        }
    }

    pub(crate) fn poll_neighbors(&mut self, now: Instant, tx: &mut impl Transmit) {
        while let Some(action) = self.link.poll_neighbors(now, tx) {
            match action {
                Action::Resolved { address } => {
                    self.link.release_held(now, tx, address);
                    self.resume_awaiting();
                }
                Action::Failed { address } => {
                    self.link.drop_held(address);
                    self.resume_awaiting();
                }
                Action::Conflict { .. } => self.link.counters.address_conflicts += 1,
                Action::Send { .. } => {}
            }
        }
    }

    /// All look again for their way; those whose neighbour is still unknown come back.
    fn resume_awaiting(&mut self) {
        while let Some(index) = self.awaiting.pop() {
            self.ready.push(index);
        }
    }

    fn poll_deadlines(&mut self, now: Instant) {
        // What is due beyond these is the next deadline still.
        for _ in 0..DEADLINES_AT_ONCE {
            let Some(index) = self.deadlines.pop_due(now) else { break };
            if let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) {
                let events = stream.connection.on_timeout(now, &self.tcp);
                self.ready.push(index);
                self.after(index, events);
            }
        }
        for _ in 0..DEADLINES_AT_ONCE {
            let Some((flow, index)) = self.time_waits.pop_due(now) else { break };
            self.end_time_wait(&flow, index);
        }
        self.reassembly.on_timeout(now);
    }

    /// The index of a socket that is open.
    pub(crate) fn index_of(&self, id: SocketId) -> Result<u32, Error> {
        self.sockets.check(id).ok_or(Error::BadSocket)
    }

    pub(crate) fn socket(&self, id: SocketId) -> Result<&Socket, Error> {
        self.sockets.get(self.index_of(id)?).ok_or(Error::BadSocket)
    }

    pub(crate) fn socket_mut(&mut self, id: SocketId) -> Result<(u32, &mut Socket), Error> {
        let index = self.index_of(id)?;
        Ok((index, self.sockets.get_mut(index).ok_or(Error::BadSocket)?))
    }

    /// Puts a socket in, with a place in each list that it may ever be in: nothing else needs memory to note it.
    pub(crate) fn add(&mut self, socket: Socket) -> Result<SocketId, Error> {
        self.reserve_socket()?;
        self.sockets.insert(socket).ok_or(Error::NoBuffers)
    }

    /// Makes room for one more socket.
    pub(crate) fn reserve_socket(&mut self) -> Result<(), Error> {
        let index = self.sockets.reserve().ok_or(Error::NoBuffers)?;
        self.reserve_places(index).map_err(|_| Error::NoBuffers)
    }

    fn reserve_places(&mut self, index: u32) -> Result<(), NoMemory> {
        self.ready.reserve(index)?;
        self.awaiting.reserve(index)?;
        self.blocked.reserve(index)?;
        self.deadlines.reserve(index)?;
        self.changes.reserve(index)
    }

    /// Gives room of lists back when most sockets have gone, and few are left whose places have to move.
    #[cold]
    fn fit_places(&mut self) {
        let bound = self.sockets.bound() as usize;
        if bound <= FITTED_TO {
            self.ready.fit(bound);
            self.awaiting.fit(bound);
            self.blocked.fit(bound);
            self.deadlines.fit(bound);
            self.changes.fit(bound);
        }
    }

    /// What a socket is ready for now.
    ///
    /// # Errors
    ///
    /// [`Error::BadSocket`].
    pub fn readiness(&self, id: SocketId) -> Result<Readiness, Error> {
        Ok(match self.socket(id)? {
            Socket::Fresh(_) => Readiness::HUP,
            Socket::Listener(listener) if listener.queued > 0 => Readiness::IN,
            Socket::Listener(_) => Readiness::empty(),
            Socket::Stream(stream) => stream_readiness(stream),
            Socket::Datagrams(socket) => {
                let mut bits = Readiness::empty();
                bits.set(Readiness::IN, !socket.queue.is_empty() || socket.failure.is_some());
                bits.set(Readiness::ERR, socket.failure.is_some());
                bits.set(Readiness::OUT, !socket.blocked);
                bits
            }
        })
    }

    /// Whether a socket may have `address` as its own.
    pub(crate) fn may_bind(&self, address: Ipv4Addr) -> bool {
        address.is_unspecified() || self.link.is_ours(address)
    }

    fn unblock(&mut self, index: u32) {
        if let Some(Socket::Datagrams(socket)) = self.sockets.get_mut(index)
            && core::mem::take(&mut socket.blocked)
        {
            self.changes.raise(index, Readiness::OUT);
        }
    }
}

fn stream_readiness(stream: &crate::socket::Stream) -> Readiness {
    use swos_tcp::State;
    let connection = &stream.connection;
    let over = matches!(connection.state(), State::Closed | State::TimeWait);
    if matches!(connection.state(), State::SynSent | State::SynReceived) {
        return Readiness::empty();
    }
    let mut bits = Readiness::empty();
    bits.set(Readiness::IN, connection.readable() > 0 || connection.at_eof() || stream.deaf || over);
    bits.set(Readiness::OUT, !connection.can_send() || stream.has_room());
    bits.set(Readiness::ERR, stream.failure.is_some());
    bits.set(Readiness::HUP, over);
    debug_assert!(stream.owner != Owner::Nobody, "no id names it");
    bits
}
