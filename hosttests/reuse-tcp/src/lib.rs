//! One end of a TCP connection in firmware that has nothing of swos but the crate `swos-tcp`: what stands between the state
//! machine and a link.
//!
//! [`Endpoint`] takes and makes whole IPv4 packets. Where they come from and go to is the caller's business: here it is memory,
//! elsewhere a TUN device, a radio, or a serial line.

#![forbid(unsafe_code)]

pub mod cable;

// ANCHOR: endpoint
use core::net::SocketAddrV4;
use swos_tcp::{
    AcceptQueue, ByteQueue, Config, Connection, Events, Flow, Header, IsnGenerator, Path, SendQueue as _,
    SynQueue, SynVerdict, Transmit,
};
use swos_units::Instant;
use swos_wire::{IpProtocol, Ipv4Repr, Ipv4View, TcpFlags, TcpView, checksum};

/// Longest packet that the link carries.
const MTU: u16 = 1500;

/// One end of one connection.
#[derive(Debug)]
pub struct Endpoint {
    here: SocketAddrV4,
    peer: SocketAddrV4,
    config: Config,
    numbers: IsnGenerator,
    half_open: SynQueue,
    /// What the handshake answers; sent at the next poll.
    answer: Option<Transmit>,
    connection: Option<Connection>,
    outgoing: ByteQueue,
}
// ANCHOR_END: endpoint

impl Endpoint {
    /// An end that waits for its peer. `secret` comes from the board's random source.
    #[must_use]
    pub fn listen(here: SocketAddrV4, peer: SocketAddrV4, secret: [u8; 16]) -> Self {
        Self {
            here,
            peer,
            config: Config::default(),
            numbers: IsnGenerator::new(secret),
            half_open: SynQueue::new(1, secret),
            answer: None,
            connection: None,
            outgoing: ByteQueue::new(),
        }
    }

    /// An end that opens the connection.
    #[must_use]
    pub fn connect(now: Instant, here: SocketAddrV4, peer: SocketAddrV4, secret: [u8; 16]) -> Self {
        let mut end = Self::listen(here, peer, secret);
        let isn = end.numbers.isn(now, &flow(here, peer));
        end.connection = Some(Connection::connect(now, &end.config, Path::ipv4(MTU), isn));
        end
    }

    // ANCHOR: input
    /// A packet came in. What is not for us, or broken, changes nothing.
    pub fn on_packet(&mut self, now: Instant, packet: &[u8]) -> Events {
        let Ok(ip) = Ipv4View::parse(packet) else { return Events::empty() };
        let Ok(tcp) = TcpView::parse(ip.payload()) else { return Events::empty() };
        let from = SocketAddrV4::new(ip.src(), tcp.src_port());
        let to = SocketAddrV4::new(ip.dst(), tcp.dst_port());
        if (from, to) != (self.peer, self.here) || !tcp.is_intact(pseudo(from, to, ip.payload().len())) {
            return Events::empty();
        }
        let header = Header::of(&tcp);
        if self.connection.is_none() {
            self.connection = self.handshake(now, &header, tcp.payload().len());
        }
        match &mut self.connection {
            Some(connection) => {
                connection.on_segment(now, &self.config, &header, tcp.payload(), &mut self.outgoing)
            }
            None => Events::empty(),
        }
    }
    // ANCHOR_END: input

    /// The listening end's part until there is a connection.
    fn handshake(&mut self, now: Instant, header: &Header, payload: usize) -> Option<Connection> {
        let (path, flow) = (Path::ipv4(MTU), flow(self.here, self.peer));
        if header.flags & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST) == TcpFlags::SYN {
            let isn = self.numbers.isn(now, &flow);
            self.answer = self.half_open.on_syn(now, &self.config, path, &flow, isn, header);
            return None;
        }
        match self.half_open.on_segment(now, &self.config, path, &flow, header, payload, AcceptQueue::Room) {
            SynVerdict::Established(connection) => return Some(connection),
            SynVerdict::Reply(answer) => self.answer = Some(answer),
            SynVerdict::Ignore => {}
        }
        None
    }

    // ANCHOR: output
    /// Sends everything that is due. Call it after every input.
    pub fn poll(&mut self, now: Instant, link: &mut impl FnMut(&[u8])) {
        if let Some(answer) = self.answer.take() {
            self.emit(&answer, link);
        }
        while let Some((_, answer)) = self.half_open.poll_transmit(now, &self.config) {
            self.emit(&answer, link);
        }
        while let Some(segment) = self
            .connection
            .as_mut()
            .and_then(|connection| connection.poll_transmit(now, &self.config, &self.outgoing))
        {
            self.emit(&segment, link);
        }
    }

    /// When to call [`Self::on_timeout`] if nothing comes in before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let connection = self.connection.as_ref().and_then(Connection::deadline);
        connection.into_iter().chain(self.half_open.deadline()).min()
    }

    /// The deadline came. Too early or once too often is harmless.
    pub fn on_timeout(&mut self, now: Instant) -> Events {
        self.connection
            .as_mut()
            .map_or(Events::empty(), |connection| connection.on_timeout(now, &self.config))
    }
    // ANCHOR_END: output

    /// Queues bytes for the peer.
    pub fn send(&mut self, bytes: &[u8]) {
        self.outgoing.push(bytes);
    }

    /// Nothing more will be sent: the peer sees the end after what is queued.
    pub fn finish(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.shutdown_send();
        }
    }

    /// Moves what has arrived to `into`. True when the peer has finished and all was taken.
    pub fn receive(&mut self, into: &mut Vec<u8>) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        while connection.readable() > 0 {
            let octets = connection.peek().len();
            into.extend_from_slice(connection.peek());
            connection.consume(octets);
        }
        connection.at_eof()
    }

    // ANCHOR: emit
    fn emit(&self, segment: &Transmit, link: &mut impl FnMut(&[u8])) {
        let tcp = segment.header.between(self.here.port(), self.peer.port());
        let (header_len, mut packet) = (tcp.header_len(), [0; MTU as usize]);
        let Ok(payload_len) = u16::try_from(header_len + segment.len) else { return };
        let ip = Ipv4Repr {
            src: *self.here.ip(),
            dst: *self.peer.ip(),
            protocol: IpProtocol::TCP,
            payload_len,
            ident: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 64,
            traffic_class: 0,
        };
        let end = Ipv4Repr::LEN + usize::from(payload_len);
        let Some((ip_header, rest)) =
            packet.get_mut(..end).and_then(|packet| packet.split_at_mut_checked(Ipv4Repr::LEN))
        else {
            return;
        };
        let Some((tcp_header, payload)) = rest.split_at_mut_checked(header_len) else { return };
        // The payload is copied and summed in one pass, the header's checksum continues that sum.
        let sum = self.outgoing.copy_checksum(segment.offset, payload);
        let pseudo = pseudo(self.here, self.peer, usize::from(payload_len));
        if ip.emit(ip_header).is_ok() && tcp.emit(tcp_header, pseudo, sum).is_ok() {
            link(packet.get(..end).unwrap_or_default());
        }
    }
    // ANCHOR_END: emit
}

fn flow(here: SocketAddrV4, peer: SocketAddrV4) -> Flow {
    Flow { local: here.into(), remote: peer.into() }
}

/// The pseudo-header of a segment of `len` bytes, which no IPv4 packet makes longer than 16 bits can say.
fn pseudo(src: SocketAddrV4, dst: SocketAddrV4, len: usize) -> swos_wire::Sum {
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    checksum::pseudo_ipv4(*src.ip(), *dst.ip(), IpProtocol::TCP, len)
}
