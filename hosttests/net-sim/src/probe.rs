//! One of our stacks under a microscope: segments in and out by hand, a clock that moves when told.

use core::net::{Ipv4Addr, SocketAddrV4};

use swos_netstack::{Limits, SocketId, Stack};
use swos_units::{Duration, Instant};
use swos_wire::{
    ArpOperation, ArpRepr, ArpView, EtherType, EthernetRepr, EthernetView, IpProtocol, Ipv4Repr, Ipv4View,
    MacAddr, SeqNumber, Sum, TcpFlags, TcpOptions, TcpRepr, TcpView, checksum,
};

use crate::host::Host as _;
use crate::ours::Ours;

/// A segment on the wire, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Segment {
    /// When it left the stack; ignored on the way in.
    pub at: Instant,
    /// Sender.
    pub src: SocketAddrV4,
    /// Receiver.
    pub dst: SocketAddrV4,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Segment {
    /// An empty segment to `address` and `port` from the probe's own address, port 4000.
    #[must_use]
    pub const fn to(address: Ipv4Addr, port: u16) -> Self {
        Self {
            at: Instant::ZERO,
            src: SocketAddrV4::new(Probe::PEER, 4000),
            dst: SocketAddrV4::new(address, port),
            seq: 0,
            ack: 0,
            flags: TcpFlags::empty(),
            window: 60_000,
            urgent: 0,
            options: TcpOptions::NONE,
            payload: Vec::new(),
        }
    }

    /// The same from `src`.
    #[must_use]
    pub fn from(self, src: SocketAddrV4) -> Self {
        Self { src, ..self }
    }

    /// As a SYN with an MSS of 1460.
    #[must_use]
    pub fn syn(self, seq: u32) -> Self {
        let options = TcpOptions { mss: Some(1460), ..TcpOptions::NONE };
        Self { seq, flags: TcpFlags::SYN, options, ..self }
    }

    /// With these control bits and numbers.
    #[must_use]
    pub fn with(self, flags: TcpFlags, seq: u32, ack: u32) -> Self {
        Self { seq, ack, flags, ..self }
    }

    /// With this payload.
    #[must_use]
    pub fn carrying(self, payload: &[u8]) -> Self {
        Self { payload: payload.to_vec(), ..self }
    }

    /// The IPv4 packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: self.src.port(),
            dst_port: self.dst.port(),
            seq: SeqNumber(self.seq),
            ack: SeqNumber(self.ack),
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            options: self.options,
        };
        let length = u16::try_from(tcp.header_len() + self.payload.len()).unwrap_or(u16::MAX);
        let mut bytes = vec![0; usize::from(length)];
        let pseudo = checksum::pseudo_ipv4(*self.src.ip(), *self.dst.ip(), IpProtocol::TCP, length);
        let _ = tcp.emit(&mut bytes, pseudo, Sum::of(&self.payload));
        if let Some(place) = bytes.get_mut(tcp.header_len()..) {
            place.copy_from_slice(&self.payload);
        }
        Probe::ipv4_packet(*self.src.ip(), *self.dst.ip(), IpProtocol::TCP, &bytes)
    }

    /// Takes an IPv4 packet apart; `None` if it holds no intact TCP segment.
    #[must_use]
    pub fn decode(at: Instant, packet: &[u8]) -> Option<Self> {
        let ip = Ipv4View::parse(packet).ok()?;
        let tcp = TcpView::parse(ip.payload()).ok()?;
        let length = u16::try_from(ip.payload().len()).ok()?;
        let pseudo = checksum::pseudo_ipv4(ip.src(), ip.dst(), IpProtocol::TCP, length);
        (ip.protocol() == IpProtocol::TCP && tcp.is_intact(pseudo)).then(|| Self {
            at,
            src: SocketAddrV4::new(ip.src(), tcp.src_port()),
            dst: SocketAddrV4::new(ip.dst(), tcp.dst_port()),
            seq: tcp.seq().0,
            ack: tcp.ack().0,
            flags: tcp.flags(),
            window: tcp.window(),
            urgent: tcp.urgent(),
            options: tcp.options(),
            payload: tcp.payload().to_vec(),
        })
    }
}

/// One stack, its clock, and the wire in your hand.
///
/// The stack is at [`Probe::ADDRESS`]. Every neighbour that it asks for answers at once, so packets
/// may come from any address of the network. Packets that the stack sends are kept with their time;
/// each call returns the TCP segments among them that came since the last.
#[derive(Debug)]
pub struct Probe {
    host: Ours,
    now: Instant,
    others: Vec<(Instant, Vec<u8>)>,
}

impl Probe {
    /// Address of the stack, in a /24 network.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    /// The usual other end.
    pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 99]);

    /// A stack with secrets from `seed` and these parameters of TCP.
    #[must_use]
    pub fn new(seed: u64, tcp: swos_tcp::Config) -> Self {
        Self::with_limits(seed, tcp, Limits::default())
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(seed: u64, tcp: swos_tcp::Config, limits: Limits) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        Self { host: Ours::new(seed, 1, tcp, limits), now, others: Vec::new() }
    }

    /// The clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The stack, for its socket calls. Call [`Self::settle`] afterwards to see what they sent.
    pub const fn stack(&mut self) -> &mut Stack<swos_netstack::NoPages> {
        &mut self.host.stack
    }

    /// A socket that listens at `port` of every address.
    ///
    /// # Errors
    ///
    /// Those of the stack's `bind` and `listen`.
    pub fn listen(&mut self, port: u16, backlog: usize) -> Result<SocketId, swos_netstack::Error> {
        let id = self.host.stack.tcp_open()?;
        self.host.stack.bind(id, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
        self.host.stack.listen(id, backlog)?;
        Ok(id)
    }

    /// Gives the stack a segment and returns what it answers at once.
    pub fn inject(&mut self, segment: &Segment) -> Vec<Segment> {
        self.inject_quietly(&segment.encode());
        self.settle()
    }

    /// Gives the stack an IPv4 packet as it is, and does not let it answer yet: the first of a batch.
    pub fn inject_quietly(&mut self, packet: &[u8]) {
        let frame = ethernet(Self::MAC, EtherType::IPV4, packet);
        self.host.on_frame(self.now, &frame);
    }

    /// Lets the stack do what is due now.
    pub fn settle(&mut self) -> Vec<Segment> {
        let mut segments = Vec::new();
        loop {
            let mut frames = Vec::new();
            self.host.poll(self.now, &mut frames);
            if frames.is_empty() {
                return segments;
            }
            for frame in frames {
                self.sort(&frame, &mut segments);
            }
        }
    }

    /// Lets `span` pass, doing everything at its time.
    pub fn advance(&mut self, span: Duration) -> Vec<Segment> {
        let end = self.now + span;
        let mut segments = self.settle();
        while let Some(at) = self.host.deadline(self.now).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            segments.extend(self.settle());
        }
        self.now = end;
        segments
    }

    /// IPv4 packets other than TCP that were sent since the last call.
    pub fn other_packets(&mut self) -> Vec<(Instant, Vec<u8>)> {
        core::mem::take(&mut self.others)
    }

    fn sort(&mut self, frame: &[u8], segments: &mut Vec<Segment>) {
        let Ok(view) = EthernetView::parse(frame) else { return };
        if view.ethertype() == EtherType::ARP {
            self.answer_arp(view.payload());
        } else if let Some(segment) = Segment::decode(self.now, view.payload()) {
            segments.push(segment);
        } else {
            self.others.push((self.now, view.payload().to_vec()));
        }
    }

    fn answer_arp(&mut self, payload: &[u8]) {
        let Some(request) = ArpView::parse(payload).ok().map(|view| ArpRepr::parse(&view)) else { return };
        if request.operation != ArpOperation::Request || request.target_ip == Self::ADDRESS {
            return;
        }
        let reply = ArpRepr {
            operation: ArpOperation::Reply,
            sender_mac: Self::PEER_MAC,
            sender_ip: request.target_ip,
            target_mac: Self::MAC,
            target_ip: Self::ADDRESS,
        };
        let mut bytes = [0; ArpRepr::LEN];
        if reply.emit(&mut bytes).is_ok() {
            let frame = ethernet(Self::MAC, EtherType::ARP, &bytes);
            self.host.on_frame(self.now, &frame);
        }
    }

    /// An IPv4 packet with this payload.
    #[must_use]
    pub fn ipv4_packet(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
        let payload_len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let repr = Ipv4Repr {
            src,
            dst,
            protocol,
            payload_len,
            ident: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 64,
            traffic_class: 0,
        };
        let mut packet = vec![0; Ipv4Repr::LEN + payload.len()];
        let _ = repr.emit(&mut packet);
        if let Some(place) = packet.get_mut(Ipv4Repr::LEN..) {
            place.copy_from_slice(payload);
        }
        packet
    }
}

fn ethernet(dst: MacAddr, ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
    let header = EthernetRepr { dst, src: Probe::PEER_MAC, ethertype };
    let mut frame = vec![0; 14];
    let _ = header.emit(&mut frame);
    frame.extend_from_slice(payload);
    frame
}
