//! TCP segments: which connection, which listener, or nobody.

use swos_ipv4::{ErrorReport, Trouble};
use swos_tcp::{AcceptQueue, Connection, Events, Flow, Header, SynVerdict, TimeWaitVerdict, answer_closed};
use swos_units::Instant;
use swos_wire::{IpProtocol, SeqNumber, TcpFlags, TcpView, checksum};

use crate::device::{PageRef, Transmit};
use crate::error::Error;
use crate::flows::{FlowKey, Holder};
use crate::input::Packet;
use crate::pieces::{Borrowed, Queue};
use crate::ports::Space;
use crate::readiness::Readiness;
use crate::socket::{Owner, Socket, Stream};
use crate::stack::Stack;

/// A segment whose checksum was right, and whose it may be.
struct Segment<'a> {
    key: FlowKey,
    header: Header,
    payload: &'a [u8],
}

impl Segment<'_> {
    /// A SYN that wants to open a connection.
    const fn opens(&self) -> bool {
        let control = TcpFlags::SYN.union(TcpFlags::ACK).union(TcpFlags::RST);
        self.header.flags.intersection(control).bits() == TcpFlags::SYN.bits()
    }
}

impl<P: PageRef> Stack<P> {
    /// Source: RFC 9293 §3.10.7; the order is connection, TIME-WAIT, listener, nobody.
    pub(crate) fn on_tcp(&mut self, now: Instant, packet: Packet<'_>, tx: &mut impl Transmit) {
        let Ok(view) = TcpView::parse(packet.payload) else {
            self.link.counters.dropped += 1;
            return;
        };
        let length = u16::try_from(view.segment_bytes()).unwrap_or(u16::MAX);
        let pseudo = checksum::pseudo_ipv4(packet.src, packet.dst, IpProtocol::TCP, length);
        if !view.is_intact(pseudo) || view.src_port() == 0 || view.dst_port() == 0 {
            self.link.counters.dropped += 1;
            return;
        }
        self.link.counters.segments_received += 1;
        let key = FlowKey::of(packet.dst, view.dst_port(), packet.src, view.src_port());
        let segment = Segment { key, header: Header::of(&view), payload: view.payload() };
        match self.flows.get(&key) {
            Some(Holder::Connection(index)) => {
                self.on_connection_segment(now, index, &segment.header, segment.payload);
            }
            Some(Holder::TimeWait(index)) => self.on_time_wait_segment(now, index, &segment, tx),
            None => self.on_new_segment(now, &segment, None, tx),
        }
    }

    fn on_connection_segment(&mut self, now: Instant, index: u32, header: &Header, payload: &[u8]) {
        if !payload.is_empty() && !self.admits(index) {
            self.link.counters.dropped += 1;
            return;
        }
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return };
        let mut queue = Borrowed { pool: &mut self.pool, queue: &mut stream.queue };
        let events = stream.connection.on_segment(now, &self.tcp, header, payload, &mut queue);
        if !payload.is_empty() {
            stream.recount(&mut self.received);
        }
        self.ready.push(index);
        self.after(index, events);
    }

    fn on_time_wait_segment(
        &mut self,
        now: Instant,
        index: u32,
        segment: &Segment<'_>,
        tx: &mut impl Transmit,
    ) {
        let Some(rest) = self.time_waits.get_mut(index) else { return };
        match rest.on_segment(now, &self.tcp, &segment.header, segment.payload.len()) {
            TimeWaitVerdict::Ignore => {}
            TimeWaitVerdict::Reply(reply) => self.send_bare(now, &segment.key, reply, tx),
            TimeWaitVerdict::Reopen { last } => {
                self.time_waits.remove(index);
                self.end_time_wait(&segment.key, index);
                self.on_new_segment(now, segment, Some(last), tx);
            }
        }
    }

    /// A segment of no connection. `last`: where the sequence numbers of a previous incarnation ended.
    fn on_new_segment(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        last: Option<SeqNumber>,
        tx: &mut impl Transmit,
    ) {
        let Some(listener) = self.find_listener(&segment.key) else {
            return self.send_reset(now, segment, tx);
        };
        let flow = segment.key.flow();
        let room = self.accept_room(listener, &segment.key);
        if segment.opens() {
            if room == AcceptQueue::Full {
                // The peer repeats its SYN; an answer would promise a place that is not there.
                self.link.counters.connections_refused += 1;
                return;
            }
            let isn = self.initial_number(now, &flow, last);
            let header = &segment.header;
            if let Some(answer) = self.half_open.on_syn(now, &self.tcp, self.path, &flow, isn, header) {
                self.send_bare(now, &segment.key, answer, tx);
            }
            return;
        }
        let payload = segment.payload.len();
        match self.half_open.on_segment(now, &self.tcp, self.path, &flow, &segment.header, payload, room) {
            SynVerdict::Ignore => {}
            SynVerdict::Reply(reply) if reply.header.flags.contains(TcpFlags::RST) => {
                self.send_reset(now, segment, tx);
            }
            SynVerdict::Reply(reply) => self.send_bare(now, &segment.key, reply, tx),
            SynVerdict::Established(connection) => {
                if let Some(index) = self.enqueue(now, listener, segment.key, connection) {
                    self.on_connection_segment(now, index, &segment.header, segment.payload);
                }
            }
        }
    }

    pub(crate) fn initial_number(&self, now: Instant, flow: &Flow, last: Option<SeqNumber>) -> SeqNumber {
        match last {
            Some(last) => self.isn.isn_after(now, flow, last),
            None => self.isn.isn(now, flow),
        }
    }

    /// The listener for a flow: one for its address before one for all.
    fn find_listener(&self, key: &FlowKey) -> Option<u32> {
        let listening = self
            .ports
            .matching(Space::Tcp, key.local_port(), key.local_ip())
            .filter(|binding| matches!(self.sockets.get(binding.index), Some(Socket::Listener(_))));
        listening.max_by_key(|binding| !binding.address.is_unspecified()).map(|binding| binding.index)
    }

    /// Whether a connection has a place in the queue of a listener, and memory.
    fn accept_room(&mut self, listener: u32, flow: &FlowKey) -> AcceptQueue {
        match self.sockets.get(listener) {
            Some(Socket::Listener(listener)) if listener.queued < listener.backlog && !self.scarce => {
                self.reserve_connection(flow).map_or(AcceptQueue::Full, |()| AcceptQueue::Room)
            }
            _ => AcceptQueue::Full,
        }
    }

    /// Gives a connection whose handshake is complete a slot and a place in its listener's queue.
    fn enqueue(&mut self, now: Instant, at: u32, key: FlowKey, connection: Connection) -> Option<u32> {
        let Some(Socket::Listener(listener)) = self.sockets.get(at) else { return None };
        let (options, last) = (listener.options, listener.last);
        let stream = Stream {
            connection,
            queue: Queue::EMPTY,
            flow: key,
            owner: Owner::Listener(self.sockets.id_of(at)?),
            next_accepted: u32::MAX,
            previous_accepted: last,
            options,
            held: 0,
            failure: None,
            wants_room: false,
            deaf: false,
            bound: None,
        };
        let added = self.add(Socket::Stream(stream)).and_then(|id| {
            let index = self.index_of(id)?;
            self.begin_flow(key, index).inspect_err(|_| drop(self.sockets.remove(index)))?;
            Ok(index)
        });
        let Ok(index) = added else {
            // The peer's next segment finds nobody and gets a reset.
            self.link.counters.connections_refused += 1;
            return None;
        };
        self.apply_options(now, index);
        let Some(Socket::Listener(listener)) = self.sockets.get_mut(at) else { return Some(index) };
        listener.queued += 1;
        let before = core::mem::replace(&mut listener.last, index);
        if before == u32::MAX {
            listener.first = index;
        } else if let Some(Socket::Stream(before)) = self.sockets.get_mut(before) {
            before.next_accepted = index;
        }
        self.changes.raise(at, Readiness::IN);
        Some(index)
    }

    /// What an input to a connection means for its user.
    pub(crate) fn after(&mut self, index: u32, events: Events) {
        if events.is_empty() {
            return;
        }
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return };
        if events == Events::WRITABLE && !stream.wants_room && !stream.deaf {
            // Most acknowledgments.
            return;
        }
        let mut bits = Readiness::empty();
        // What a reader who reads no more gets is thrown away when the connection has its turn.
        if !stream.deaf && events.intersects(Events::READABLE | Events::URGENT) {
            bits |= Readiness::IN;
        }
        if events.contains(Events::PEER_FINISHED) {
            bits |= Readiness::IN;
        }
        if events.contains(Events::CONNECTED) {
            bits |= Readiness::OUT;
        }
        if events.contains(Events::WRITABLE) && stream.wants_room && stream.has_room() {
            stream.wants_room = false;
            bits |= Readiness::OUT;
        }
        if events.contains(Events::ABORTED) {
            stream.failure = stream.connection.error().map(Error::from);
            bits |= Readiness::all();
        }
        if events.intersects(Events::TIME_WAIT | Events::CLOSED) {
            bits |= Readiness::IN | Readiness::HUP;
        }
        if stream.owner == Owner::User {
            self.changes.raise(index, bits);
        }
    }

    fn send_reset(&mut self, now: Instant, segment: &Segment<'_>, tx: &mut impl Transmit) {
        let Some(reset) = answer_closed(&segment.header, segment.payload.len()) else { return };
        if !self.resets.allow(now) {
            self.link.counters.rate_limited += 1;
            return;
        }
        self.link.counters.resets_sent += 1;
        self.send_bare(now, &segment.key, reset, tx);
    }

    /// An ICMP error that quotes a segment: only the connection can tell whether it was ever sent.
    pub(crate) fn on_tcp_trouble(&mut self, report: &ErrorReport) {
        let Some(quoted) = report.ports.seq else { return };
        let key = FlowKey::of(report.local, report.ports.local, report.remote, report.ports.remote);
        let Some(Holder::Connection(index)) = self.flows.get(&key) else { return };
        let Some(Socket::Stream(stream)) = self.sockets.get_mut(index) else { return };
        let kind = match report.trouble {
            Trouble::TooBig { mtu } => {
                // Zero comes from a router older than RFC 1191; 576 is what any path carries.
                let mtu = if mtu == 0 { 576 } else { mtu };
                stream.connection.on_path_mss(mtu.saturating_sub(40), quoted);
                self.ready.push(index);
                return;
            }
            Trouble::NoProtocol | Trouble::NoPort => swos_tcp::Unreachable::Hard,
            Trouble::NoRoute | Trouble::Prohibited | Trouble::Expired | Trouble::BadHeader => {
                swos_tcp::Unreachable::Soft
            }
        };
        let events = stream.connection.on_unreachable(kind, quoted);
        self.ready.push(index);
        self.after(index, events);
    }
}
