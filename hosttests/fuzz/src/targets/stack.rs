//! A whole network stack: any frames, any socket calls, any passage of time.

use core::net::{Ipv4Addr, SocketAddrV4};

use swos_net_sim::Segment;
use swos_netstack::{
    Config, Direction, Limits, NoPages, Progress, Push, SocketId, SocketOption, Stack, Switch, Transmit,
};
use swos_units::{Duration, Instant};
use swos_wire::{
    ArpOperation, ArpRepr, ArpView, EtherType, EthernetRepr, EthernetView, Icmpv4Repr, IpProtocol, Ipv4Repr,
    Ipv4View, MacAddr, Sum, TcpFlags, TcpOptions, UdpRepr, checksum,
};

use crate::input::Input;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 99]);
const MTU: usize = 1500;
/// Steps of a script.
const MOST_STEPS: usize = 300;
/// Limits so small that scripts reach them.
const SOCKETS: usize = 24;
const TIME_WAIT: usize = 4;
const HALF_OPEN: usize = 4;

/// The device: what was sent, and whether there is room.
#[derive(Debug, Default)]
struct Device {
    frames: Vec<Vec<u8>>,
    full: bool,
}

impl Transmit for Device {
    fn has_room(&mut self) -> bool {
        !self.full
    }

    fn transmit(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        assert!((14..=MTU + 14).contains(&len), "a frame of {len} bytes");
        let mut frame = vec![0xee; len];
        fill(&mut frame);
        self.frames.push(frame);
    }
}

/// What a peer can know of a conversation.
#[derive(Clone, Copy, Debug)]
struct Flow {
    local: u16,
    remote: SocketAddrV4,
    sent: u32,
    expected: u32,
}

struct Net {
    stack: Stack<NoPages>,
    device: Device,
    now: Instant,
    flows: Vec<Flow>,
    sockets: Vec<SocketId>,
    last_sent: Vec<u8>,
    answers_arp: bool,
}

/// A script for a stack on a hostile link: what it holds stays within its limits, what it sends is well-formed, and when
/// the application has closed everything it holds nothing any more.
pub(super) fn netstack(data: &[u8]) {
    let mut input = Input::new(data);
    let mut net = Net::new();
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        net.step(&mut input);
        net.settle();
        net.check();
    }
    net.finish();
}

impl Net {
    fn new() -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let ipv4 = swos_ipv4::Config { address: OURS, prefix_len: 24, gateway: Some([10, 0, 0, 2].into()) };
        let limits = Limits {
            sockets: SOCKETS,
            time_wait: TIME_WAIT,
            half_open: HALF_OPEN,
            backlog: 4,
            send_memory: 64 << 10,
            receive_memory: 64 << 10,
            ..Limits::default()
        };
        let config = Config { limits, ..Config::new(OUR_MAC, Some(ipv4), [7; 32]) };
        let mut net = Self {
            stack: Stack::new(now, config),
            device: Device::default(),
            now,
            flows: Vec::new(),
            sockets: Vec::new(),
            last_sent: Vec::new(),
            answers_arp: true,
        };
        net.listen(80);
        net
    }

    fn listen(&mut self, port: u16) {
        let Ok(id) = self.stack.tcp_open() else { return };
        self.sockets.push(id);
        if self.stack.bind(id, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            let _ = self.stack.listen(id, 4);
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.u8() % 16 {
            0 => {
                let len = usize::from(input.u8());
                let frame = input.bytes(len).to_vec();
                self.receive(&frame);
            }
            1..=4 => self.tcp_arrival(input),
            5 => self.udp_arrival(input),
            6 => self.icmp_arrival(input),
            7 => {
                let (ident, offset) = (u16::from(input.u8() % 4), u16::from(input.u8()) * 8);
                let protocol = [IpProtocol::UDP, IpProtocol::TCP, IpProtocol::ICMP, IpProtocol(99)]
                    [usize::from(input.u8() % 4)];
                let more = input.u8() & 1 == 1;
                let len = usize::from(input.u16()) % MTU;
                let payload = input.bytes(len).to_vec();
                self.ipv4_arrival(protocol, &payload, (ident, offset, more));
            }
            8 => self.arp_arrival(input),
            9 => {
                self.now = self.now + Duration::from_nanos(1 << (input.u8() % 40));
            }
            10 => {
                if let Some(deadline) = self.stack.deadline() {
                    self.now = self.now.max(deadline);
                }
            }
            11 => self.open(input),
            12 => self.send(input),
            13 => self.receive_data(input),
            14 => self.end(input),
            _ => self.configure(input),
        }
    }

    fn pick(&self, input: &mut Input<'_>) -> Option<SocketId> {
        let at = usize::from(input.u8());
        // Ids of closed sockets are tried too.
        (!self.sockets.is_empty()).then(|| self.sockets[at % self.sockets.len()])
    }

    fn open(&mut self, input: &mut Input<'_>) {
        let peer =
            SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2 + input.u8() % 4), 4000 + u16::from(input.u8() % 4));
        match input.u8() % 4 {
            0 => self.listen(80 + u16::from(input.u8() % 4)),
            1 => {
                if let Ok(id) = self.stack.tcp_open() {
                    self.sockets.push(id);
                    let _ = self.stack.connect(self.now, id, peer);
                }
            }
            2 => {
                if let Ok(id) = self.stack.udp_open() {
                    self.sockets.push(id);
                    let port = 50 + u16::from(input.u8() % 4);
                    let _ = self.stack.bind(id, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
                    if input.u8() & 1 == 1 {
                        let _ = self.stack.connect(self.now, id, peer);
                    }
                }
            }
            _ => {
                if let Some(id) = self.pick(input)
                    && let Ok((accepted, _)) = self.stack.accept(id)
                {
                    self.sockets.push(accepted);
                }
            }
        }
    }

    fn send(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.pick(input) else { return };
        let data = vec![0xa5; usize::from(input.u16())];
        let push = if input.u8() & 1 == 0 { Push::Now } else { Push::More };
        if self.stack.send_bytes(self.now, id, &data, push).is_err() {
            let to = SocketAddrV4::new(Ipv4Addr::from(0x0a00_0002 ^ input.offset()), input.u16());
            let to = (input.u8() & 1 == 0).then_some(to);
            let _ = self.stack.send_to(self.now, id, &data, to, &mut self.device);
        }
    }

    fn receive_data(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.pick(input) else { return };
        let mut room = vec![0; usize::from(input.u16())];
        if let Ok(count) = self.stack.recv(id, &mut room) {
            assert!(count <= room.len());
        }
        let peeked = self.stack.peek_from(id).map(|(datagram, pieces)| (datagram, pieces.concat()));
        if let Ok((datagram, bytes)) = peeked {
            assert_eq!(self.stack.recv_from(id, &mut room), Ok(datagram));
            assert_eq!(datagram.len, bytes.len());
            assert!(datagram.len <= 65_507 && room.iter().zip(&bytes).all(|(one, other)| one == other));
        }
        let _ = self.stack.take_error(id);
    }

    fn end(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.pick(input) else { return };
        match input.u8() % 5 {
            0 => drop(self.stack.shutdown(id, Direction::Write)),
            1 => drop(self.stack.shutdown(id, Direction::Read)),
            2 => drop(self.stack.shutdown(id, Direction::Both)),
            3 => drop(self.stack.close(self.now, id)),
            _ => drop(self.stack.abort(id)),
        }
    }

    fn configure(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.pick(input) else { return };
        let option = match input.u8() % 9 {
            0 => {
                self.device.full = !self.device.full;
                return;
            }
            1 => {
                self.answers_arp = !self.answers_arp;
                return;
            }
            2 => SocketOption::NoDelay(Switch::On),
            3 => SocketOption::KeepAlive(Some(Duration::from_secs(input.u8().into()))),
            4 => SocketOption::ReuseAddress(Switch::On),
            5 => SocketOption::SendBuffer(input.u16().into()),
            6 => SocketOption::ReceiveBuffer(input.u16().into()),
            7 => SocketOption::UserTimeout(Some(Duration::from_millis(input.u16().into()))),
            _ => SocketOption::TimeToLive(input.u8()),
        };
        let _ = self.stack.set_option(self.now, id, option);
    }

    fn receive(&mut self, frame: &[u8]) {
        self.stack.on_frame(self.now, frame, &mut self.device);
    }

    fn tcp_arrival(&mut self, input: &mut Input<'_>) {
        let which = input.u8();
        let fresh = Flow {
            local: 80,
            remote: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 5000 + u16::from(which >> 4)),
            sent: 0,
            expected: 0,
        };
        let flow = match usize::from(which & 7) {
            at if at < 6 && !self.flows.is_empty() => {
                self.flows[self.flows.len() - 1 - at % self.flows.len()]
            }
            _ => fresh,
        };
        let flags = TcpFlags::from_bits_truncate(input.u8()) ^ TcpFlags::ACK;
        let mut segment = Segment::to(OURS, flow.local).from(flow.remote).with(
            flags,
            flow.expected.wrapping_add(input.offset()),
            flow.sent.wrapping_sub(input.offset()),
        );
        segment.window = input.u16();
        let shape = input.u8();
        if shape & 1 != 0 {
            segment.options = TcpOptions::parse(input.bytes(usize::from(shape >> 2) % 41));
        }
        if shape & 2 != 0 {
            segment.payload = vec![0x5a; usize::from(input.u16()) % 1400];
        }
        segment.urgent = if flags.contains(TcpFlags::URG) { input.u16() } else { 0 };
        let packet = segment.encode();
        self.receive(&ethernet(EtherType::IPV4, &packet));
    }

    fn ipv4_arrival(&mut self, protocol: IpProtocol, payload: &[u8], fragment: (u16, u16, bool)) {
        let (ident, fragment_offset, more_fragments) = fragment;
        let repr = Ipv4Repr {
            src: [10, 0, 0, 2].into(),
            dst: OURS,
            protocol,
            payload_len: u16::try_from(payload.len()).unwrap(),
            ident,
            dont_fragment: false,
            more_fragments,
            fragment_offset,
            ttl: 64,
            traffic_class: 0,
        };
        let mut packet = vec![0; Ipv4Repr::LEN];
        if repr.emit(&mut packet).is_ok() {
            packet.extend_from_slice(payload);
            self.receive(&ethernet(EtherType::IPV4, &packet));
        }
    }

    fn udp_arrival(&mut self, input: &mut Input<'_>) {
        let (src_port, dst_port) = (4000 + u16::from(input.u8() % 4), 50 + u16::from(input.u8() % 5));
        let payload = vec![0x5a; usize::from(input.u16()) % 1400];
        let len = u16::try_from(UdpRepr::LEN + payload.len()).unwrap();
        let repr = UdpRepr { src_port, dst_port, payload_len: len - 8 };
        let pseudo = checksum::pseudo_ipv4([10, 0, 0, 2].into(), OURS, IpProtocol::UDP, len);
        let mut datagram = vec![0; UdpRepr::LEN];
        repr.emit(&mut datagram, pseudo, Sum::of(&payload)).unwrap();
        datagram.extend_from_slice(&payload);
        self.ipv4_arrival(IpProtocol::UDP, &datagram, (1, 0, false));
    }

    /// An echo, or an error about what the stack sent last.
    fn icmp_arrival(&mut self, input: &mut Input<'_>) {
        let (kind, code) = (input.u8() % 16, input.u8() % 16);
        let rest = input.u32().to_be_bytes();
        let mut quoted = self.last_sent.clone();
        if !quoted.is_empty() {
            let at = usize::from(input.u8()) % quoted.len();
            quoted[at] ^= input.u8();
        }
        quoted.truncate(usize::from(input.u8()));
        let mut message = [&[kind, code, 0, 0][..], &rest, &quoted].concat();
        let sum = Sum::of(&message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        assert!(message.len() >= Icmpv4Repr::LEN);
        self.ipv4_arrival(IpProtocol::ICMP, &message, (1, 0, false));
    }

    fn arp_arrival(&mut self, input: &mut Input<'_>) {
        let address = |input: &mut Input<'_>| Ipv4Addr::new(10, 0, 0, input.u8() % 8);
        let operation = if input.u8() & 1 == 0 { ArpOperation::Request } else { ArpOperation::Reply };
        let sender_mac = if input.u8() & 1 == 0 { PEER_MAC } else { MacAddr::BROADCAST };
        let repr = ArpRepr {
            operation,
            sender_mac,
            sender_ip: address(input),
            target_mac: OUR_MAC,
            target_ip: address(input),
        };
        self.arp(&repr);
    }

    fn arp(&mut self, repr: &ArpRepr) {
        let mut packet = vec![0; ArpRepr::LEN];
        repr.emit(&mut packet).unwrap();
        self.receive(&ethernet(EtherType::ARP, &packet));
    }

    /// Lets the stack do what is due, and its neighbours answer.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 2000, "the stack finds no rest");
            let progress = self.stack.poll(self.now, &mut self.device);
            while self.stack.poll_event().is_some() {}
            let frames = core::mem::take(&mut self.device.frames);
            frames.iter().for_each(|frame| self.look(frame));
            match progress {
                Progress::More => {}
                Progress::Done if !frames.is_empty() => {}
                Progress::Done | Progress::DeviceFull => return,
            }
        }
    }

    /// Looks at a frame that was sent, as the peer would.
    fn look(&mut self, frame: &[u8]) {
        let view = EthernetView::parse(frame).expect("a frame");
        assert_eq!(view.src(), OUR_MAC);
        if view.ethertype() == EtherType::ARP {
            let request = ArpRepr::parse(&ArpView::parse(view.payload()).expect("an ARP packet"));
            if self.answers_arp && request.operation == ArpOperation::Request && request.target_ip != OURS {
                self.arp(&ArpRepr {
                    operation: ArpOperation::Reply,
                    sender_mac: PEER_MAC,
                    sender_ip: request.target_ip,
                    target_mac: request.sender_mac,
                    target_ip: request.sender_ip,
                });
            }
            return;
        }
        let packet = Ipv4View::parse(view.payload()).expect("an IPv4 packet");
        assert!(packet.src() == OURS && !packet.is_fragment());
        self.last_sent = view.payload().to_vec();
        if packet.protocol() == IpProtocol::TCP {
            let segment = Segment::decode(self.now, view.payload()).expect("an intact segment");
            self.learn(&segment);
        }
    }

    fn learn(&mut self, segment: &Segment) {
        let ends = u32::from(segment.flags.contains(TcpFlags::SYN))
            + u32::from(segment.flags.contains(TcpFlags::FIN));
        let flow = Flow {
            local: segment.src.port(),
            remote: segment.dst,
            sent: segment.seq.wrapping_add(u32::try_from(segment.payload.len()).unwrap() + ends),
            expected: segment.ack,
        };
        if segment.flags.contains(TcpFlags::RST) {
            return;
        }
        self.flows.retain(|known| (known.local, known.remote) != (flow.local, flow.remote));
        self.flows.push(flow);
        if self.flows.len() > 6 {
            self.flows.remove(0);
        }
    }

    fn check(&self) {
        let usage = self.stack.usage();
        assert!(usage.sockets <= SOCKETS && usage.time_wait <= TIME_WAIT && usage.half_open <= HALF_OPEN);
        assert!(usage.flows <= SOCKETS + TIME_WAIT, "{usage:?}");
        // Budgets of 64 KiB each, what every connection may hold beside them, and reassembly.
        assert!(usage.send_bytes <= 256 << 10, "{usage:?}");
        assert!(usage.receive_bytes <= 4 << 20, "{usage:?}");
    }

    /// Everything is closed, the link works, nobody answers but for ARP: in the end nothing is held.
    fn finish(&mut self) {
        self.device.full = false;
        self.answers_arp = true;
        for id in core::mem::take(&mut self.sockets) {
            let _ = self.stack.set_option(self.now, id, SocketOption::UserTimeout(None));
            let _ = self.stack.close(self.now, id);
        }
        self.settle();
        let start = self.now;
        for _ in 0..3000 {
            let usage = self.stack.usage();
            if usage == swos_netstack::Usage::default() {
                assert!(self.now.since(start) <= Duration::from_secs(7200));
                return;
            }
            let Some(deadline) = self.stack.deadline() else { break };
            self.now = self.now.max(deadline);
            self.settle();
        }
        panic!("held for ever: {:?}", self.stack.usage());
    }
}

fn ethernet(ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; EthernetRepr::LEN];
    EthernetRepr { dst: OUR_MAC, src: PEER_MAC, ethertype }.emit(&mut frame).unwrap();
    frame.extend_from_slice(payload);
    frame
}

pub(super) fn netstack_seeds() -> Vec<Vec<u8>> {
    // A SYN from a new peer (ACK is inverted), the ACK of its SYN-ACK, data, accept, read, reply, end.
    let syn = [1, 7, 18, 100, 0, 255, 255, 0];
    let ack = [1, 0, 0, 0, 0, 255, 255, 0];
    let data = [1, 0, 8, 0, 0, 255, 255, 2, 100, 0];
    let accept = [11, 0, 0, 3, 0];
    let reply = [13, 1, 0, 4, 12, 1, 0, 8, 0, 14, 1, 3, 10, 10];
    let fin = [1, 0, 1, 0, 0, 255, 255, 0];
    let connect = [11, 0, 0, 1, 2, 0, 18, 100, 0, 255, 255, 0, 10, 10, 10];
    let datagrams = [
        11, 0, 0, 2, 0, 0, 5, 0, 0, 100, 0, 13, 1, 0, 4, 12, 1, 50, 0, 0, 0, 80, 0, 0, 6, 3, 3, 0, 0, 0, 0,
        0, 0, 60,
    ];
    let fragments =
        [7, 1, 0, 0, 1, 16, 0, 0, 1, 0, 2, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 1, 2, 0, 0, 8, 0, 1, 2, 3];
    let arp = [8, 0, 0, 3, 1, 8, 1, 0, 4, 1, 15, 0, 1, 12, 0, 9, 0];
    vec![
        [&syn[..], &ack, &data, &accept, &reply, &fin].concat(),
        [&syn[..], &syn, &ack, &data, &data].concat(),
        connect.to_vec(),
        datagrams.to_vec(),
        fragments.to_vec(),
        arp.to_vec(),
    ]
}
