//! TCP segments on their way out, and the end of connections.

use core::net::SocketAddrV4;

use swos_tcp::{State, Transmit as Segment};
use swos_units::Instant;
use swos_wire::{IpProtocol, Sum, checksum};

use crate::device::{PageRef, Transmit};
use crate::error::Error;
use crate::flows::{FlowKey, Holder};
use crate::link::{Envelope, Hop};
use crate::pieces::Borrowed;
use crate::ports::Space;
use crate::readiness::Readiness;
use crate::slab::SocketId;
use crate::socket::{Owner, Socket};
use crate::stack::Stack;

/// Segments that one connection sends before the next has its turn.
const SEGMENTS_PER_TURN: usize = 16;
/// Received bytes thrown away in one turn of a connection whose reader reads no more.
const UNHEARD_AT_ONCE: usize = 16 << 10;
/// Pieces of a receive buffer freed in one turn of a connection that is over.
const SHED_AT_ONCE: usize = 8;
/// What either counts, in segments.
const FREED_COST: usize = 2;
/// SYN-ACKs repeated in one call of [`Stack::poll`].
const SYN_ACKS_AT_ONCE: usize = 8;

impl<P: PageRef> Stack<P> {
    /// Sends what a connection has to send, then sees when it wants to be called again and whether it is over.
    /// Returns `false` if the device was full before it was done. Each segment but the first is taken off the budget.
    pub(crate) fn serve(
        &mut self,
        now: Instant,
        index: u32,
        budget: &mut usize,
        tx: &mut impl Transmit,
    ) -> bool {
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return true };
        if stream.deaf && stream.connection.consume(UNHEARD_AT_ONCE) > 0 {
            *budget = budget.saturating_sub(FREED_COST);
            stream.recount(&mut self.received);
            if stream.connection.readable() > 0 {
                self.ready.push(index);
            }
        }
        let hop = self.link.hop(now, stream.flow.remote_ip());
        match hop {
            // A reset that is all that is left is held like any other packet: the socket ends without waiting.
            Hop::Pending(_) if stream.connection.state() != State::Closed => {
                self.awaiting.push(index);
                return true;
            }
            Hop::Silent | Hop::None(_) if stream.connection.state() == State::SynSent => {
                self.fail_connect(index);
                return true;
            }
            // An established connection sends into the void: its own time-outs decide how long.
            Hop::Local | Hop::Station(_) | Hop::Pending(_) | Hop::Silent | Hop::None(_) => {}
        }
        let mut envelope = Envelope::new(stream.flow.local_ip(), stream.flow.remote_ip(), IpProtocol::TCP);
        envelope.ttl = stream.options.ttl;
        envelope.traffic_class = stream.options.traffic_class;
        let (local_port, remote_port) = (stream.flow.local_port(), stream.flow.remote_port());
        let mut queue = Borrowed { pool: &mut self.pool, queue: &mut stream.queue };
        for sent in 0..SEGMENTS_PER_TURN {
            if sent > 0 {
                let Some(left) = budget.checked_sub(1) else { break };
                *budget = left;
            }
            let full = match hop {
                Hop::Local => !self.link.loopback_has_room(),
                Hop::Station(_) => !tx.has_room(),
                Hop::Pending(_) | Hop::Silent | Hop::None(_) => false,
            };
            if full {
                if hop == Hop::Local {
                    // The loopback queue is read next, so this resumes soon.
                    self.ready.push(index);
                }
                return hop == Hop::Local;
            }
            let Some(segment) = stream.connection.poll_transmit(now, &self.tcp, &queue) else {
                if let Some(at) = stream.connection.deadline() {
                    self.deadlines.no_later(index, at);
                }
                if matches!(stream.connection.state(), State::Closed | State::TimeWait) {
                    self.end(index, budget);
                }
                return true;
            };
            self.link.counters.segments_sent += 1;
            let repr = segment.header.between(local_port, remote_port);
            let header_len = repr.header_len();
            let len = header_len + segment.len;
            let pseudo = pseudo(&envelope, len);
            self.link.put(tx, hop, envelope, len, |place| {
                if let Some((header, payload)) = place.split_at_mut_checked(header_len) {
                    let sum =
                        if segment.len == 0 { Sum::ZERO } else { queue.copy_on(segment.offset, payload) };
                    let _whole = repr.emit(header, pseudo, sum);
                }
            });
        }
        self.ready.push(index);
        true
    }

    /// Sends a segment without data for a flow that has no connection. The peer repeats what made us send it, so
    /// a full device may swallow it.
    pub(crate) fn send_bare(
        &mut self,
        now: Instant,
        flow: &FlowKey,
        segment: Segment,
        tx: &mut impl Transmit,
    ) {
        let repr = segment.header.between(flow.local_port(), flow.remote_port());
        let envelope = Envelope::new(flow.local_ip(), flow.remote_ip(), IpProtocol::TCP);
        let len = repr.header_len();
        let pseudo = pseudo(&envelope, len);
        self.link.counters.segments_sent += 1;
        self.link.send(now, tx, envelope, len, |place| {
            let _whole = repr.emit(place, pseudo, Sum::ZERO);
        });
    }

    /// Repeats SYN-ACKs that are due.
    pub(crate) fn poll_half_open(&mut self, now: Instant, tx: &mut impl Transmit) {
        if self.half_open.is_empty() {
            return;
        }
        // What is due beyond these is the next deadline still.
        for _ in 0..SYN_ACKS_AT_ONCE {
            if !tx.has_room() {
                break;
            }
            let Some((flow, segment)) = self.half_open.poll_transmit(now, &self.tcp) else { break };
            if let Some(key) = FlowKey::from_flow(&flow) {
                self.send_bare(now, &key, segment, tx);
            }
        }
    }

    /// A connection attempt whose SYN can't even leave.
    fn fail_connect(&mut self, index: u32) {
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return };
        stream.connection.abort();
        stream.failure = Some(Error::HostUnreachable);
        if stream.owner == Owner::User {
            self.changes.raise(index, Readiness::all());
        }
        self.end(index, &mut 0);
    }

    /// A connection that is closed or in TIME-WAIT, and whose last segment has left: nobody waits for it any
    /// more, or its user has yet to close it.
    fn end(&mut self, index: u32, budget: &mut usize) {
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return };
        let over = stream.connection.state() == State::Closed;
        if over {
            self.deadlines.cancel(index);
            self.pool.clear(&mut stream.queue);
        }
        let flow = stream.flow;
        if over
            && let Owner::Listener(listener) = stream.owner
            && stream.connection.readable() == 0
        {
            self.leave_queue(index, listener);
        }
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return };
        match stream.owner {
            Owner::Nobody => {
                if stream.connection.memory_bytes() > 0 {
                    *budget = budget.saturating_sub(FREED_COST);
                }
                if stream.connection.shed(SHED_AT_ONCE) {
                    return self.ready.push(index);
                }
                let rest = stream.connection.time_wait();
                let bound = stream.bound;
                self.received -= stream.held;
                self.deadlines.cancel(index);
                self.pool.clear(&mut stream.queue);
                self.sockets.remove(index);
                if let Some(local) = bound {
                    self.ports.unbind(Space::Tcp, local, index);
                }
                // Without memory to wait, it is as if its time were over.
                let Some((place, evicted)) = rest.and_then(|rest| self.time_waits.insert(flow, rest)) else {
                    return self.end_flow(&flow, Holder::Connection(index));
                };
                let _has_a_place = self.flows.set(flow, Holder::TimeWait(place));
                if let Some((flow, place)) = evicted {
                    self.end_time_wait(&flow, place);
                }
            }
            // The flow is free for the peer's next attempt; the socket only tells what happened.
            Owner::User | Owner::Listener(_) if over => self.end_flow(&flow, Holder::Connection(index)),
            Owner::User | Owner::Listener(_) => {}
        }
    }

    /// A connection ended without data before it was accepted: its place is free for another, and `accept` does not have to
    /// pass over any number of such. If the listener is closed, the connection stays where it is until its turn comes.
    fn leave_queue(&mut self, index: u32, listener: SocketId) {
        let Some(Socket::Stream(stream)) = self.sockets.get(index) else { return };
        let (previous, next) = (stream.previous_accepted, stream.next_accepted);
        let Some(at) = self.sockets.check(listener) else { return };
        let Some(Socket::Listener(listener)) = self.sockets.get_mut(at) else { return };
        listener.queued = listener.queued.saturating_sub(1);
        if listener.first == index {
            listener.first = next;
        }
        if listener.last == index {
            listener.last = previous;
        }
        if let Some(Socket::Stream(previous)) = self.sockets.get_mut(previous) {
            previous.next_accepted = next;
        }
        if let Some(Socket::Stream(next)) = self.sockets.get_mut(next) {
            next.previous_accepted = previous;
        }
        if let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) {
            stream.owner = Owner::Nobody;
        }
    }

    /// Makes room for one more connection, whose slot comes with it.
    pub(crate) fn reserve_connection(&mut self, flow: &FlowKey) -> Result<(), Error> {
        self.reserve_socket()?;
        self.ports.reserve(flow.local_port()).map_err(|_| Error::NoBuffers)?;
        self.flows.reserve(flow).map_err(|_| Error::NoBuffers)
    }

    /// Gives a flow, which nobody has, and its port to a connection.
    pub(crate) fn begin_flow(&mut self, flow: FlowKey, index: u32) -> Result<(), Error> {
        self.ports.connection_began(flow.local_port()).map_err(|_| Error::NoBuffers)?;
        self.flows.set(flow, Holder::Connection(index)).map_err(|_| {
            self.ports.connection_ended(flow.local_port());
            Error::NoBuffers
        })
    }

    pub(crate) fn end_time_wait(&mut self, flow: &FlowKey, index: u32) {
        self.end_flow(flow, Holder::TimeWait(index));
    }

    /// Frees a flow and its port, unless it was freed or has another holder.
    fn end_flow(&mut self, flow: &FlowKey, holder: Holder) {
        if self.flows.get(flow) == Some(holder) {
            self.flows.remove(flow, holder);
            self.ports.connection_ended(flow.local_port());
        }
    }

    /// Local and remote address of a connection.
    pub(crate) fn addresses(&self, index: u32) -> Option<(SocketAddrV4, SocketAddrV4)> {
        match self.sockets.get(index)? {
            Socket::Stream(stream) => Some((stream.flow.local_address(), stream.flow.remote_address())),
            Socket::Fresh(_) | Socket::Listener(_) | Socket::Datagrams(_) => None,
        }
    }
}

fn pseudo(envelope: &Envelope, len: usize) -> Sum {
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    checksum::pseudo_ipv4(envelope.src, envelope.dst, IpProtocol::TCP, len)
}
