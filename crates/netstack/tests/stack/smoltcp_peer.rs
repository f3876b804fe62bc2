//! Our stack against an independent one: `smoltcp` in memory, with a virtual clock.

use std::collections::VecDeque;

use crate::net::{Host, at, check_with_etherparse, config, mac, pattern};
use smoltcp::iface::{Config as PeerConfig, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{icmp, tcp, udp};
use smoltcp::time::Instant as PeerInstant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use swos_netstack::{Config, Error, Push, State};
use swos_units::{Duration, Instant};

struct Cable {
    mtu: u16,
    to_peer: VecDeque<Vec<u8>>,
    from_peer: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);
struct Sending<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Cable {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: PeerInstant) -> Option<(Received, Sending<'_>)> {
        self.to_peer.pop_front().map(|frame| (Received(frame), Sending(&mut self.from_peer)))
    }

    fn transmit(&mut self, _: PeerInstant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.from_peer))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(self.mtu) + 14;
        capabilities
    }
}

struct Pair {
    now: Instant,
    us: Host,
    cable: Cable,
    peer: Interface,
    sockets: SocketSet<'static>,
}

impl Pair {
    fn new() -> Self {
        Self::with_mtu(1500)
    }

    fn with_mtu(mtu: u16) -> Self {
        let mut cable = Cable { mtu, to_peer: VecDeque::new(), from_peer: VecDeque::new() };
        let peer_config = PeerConfig::new(EthernetAddress(mac(2).0).into());
        let mut peer = Interface::new(peer_config, &mut cable, PeerInstant::ZERO);
        peer.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(192, 0, 2, 2), 24)).unwrap();
        });
        let us = Host::new(Config { mtu, ..config(1) });
        Self { now: Instant::ZERO, us, cable, peer, sockets: SocketSet::new(vec![]) }
    }

    fn step(&mut self) {
        let _progress = self.us.poll(self.now);
        for frame in self.us.out.frames.drain(..) {
            check_with_etherparse(&frame);
            self.cable.to_peer.push_back(frame);
        }
        #[expect(clippy::cast_possible_wrap, reason = "virtual time is short")]
        let peer_now = PeerInstant::from_micros((self.now.as_nanos() / 1000) as i64);
        self.peer.poll(peer_now, &mut self.cable, &mut self.sockets);
        for frame in core::mem::take(&mut self.cable.from_peer) {
            self.us.frame(self.now, &frame);
        }
        self.now = self.now + Duration::from_micros(500);
    }

    fn settle(&mut self) {
        for _ in 0..50 {
            self.step();
        }
    }

    fn tcp_socket(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 20_000]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    fn peer_tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Both sides send `data` at once; both must get it whole.
    fn exchange(&mut self, ours: swos_netstack::SocketId, theirs: SocketHandle, data: &[u8]) {
        let (mut sent, mut got) = ([0; 2], [Vec::<u8>::new(), Vec::new()]);
        let mut buffer = [0; 4000];
        for _ in 0..100_000 {
            if let Ok(taken) = self.us.stack.send_bytes(self.now, ours, &data[sent[0]..], Push::Now) {
                sent[0] += taken;
            }
            if let Ok(len) = self.us.stack.recv(ours, &mut buffer) {
                got[0].extend(&buffer[..len]);
            }
            let peer = self.peer_tcp(theirs);
            if peer.can_send() {
                sent[1] += peer.send_slice(&data[sent[1]..]).unwrap();
            }
            if peer.can_recv() {
                let len = peer.recv_slice(&mut buffer).unwrap();
                got[1].extend(&buffer[..len]);
            }
            self.step();
            if got.iter().all(|got| got.len() == data.len()) {
                assert!(got.iter().all(|got| got == data));
                return;
            }
        }
        panic!("stuck: sent {sent:?} got {} {}", got[0].len(), got[1].len());
    }
}

#[test]
fn we_connect_and_close_first() {
    let mut pair = Pair::new();
    let theirs = pair.tcp_socket();
    pair.peer_tcp(theirs).listen(80).unwrap();
    let ours = pair.us.stack.tcp_open().unwrap();
    pair.us.stack.connect(pair.now, ours, at(2, 80)).unwrap();
    pair.exchange(ours, theirs, &pattern(200_000));
    pair.us.stack.close(pair.now, ours).unwrap();
    pair.settle();
    assert_eq!(pair.peer_tcp(theirs).state(), tcp::State::CloseWait);
    pair.peer_tcp(theirs).close();
    pair.settle();
    assert_eq!(pair.peer_tcp(theirs).state(), tcp::State::Closed);
    assert_eq!((pair.us.stack.usage().sockets, pair.us.stack.usage().time_wait), (0, 1));
}

#[test]
fn they_connect_and_close_first() {
    let mut pair = Pair::new();
    let listener = pair.us.stack.tcp_open().unwrap();
    pair.us.stack.bind(listener, at(1, 80)).unwrap();
    pair.us.stack.listen(listener, 4).unwrap();
    let theirs = pair.tcp_socket();
    let remote = (IpAddress::v4(192, 0, 2, 1), 80);
    let socket = pair.sockets.get_mut::<tcp::Socket<'_>>(theirs);
    socket.connect(pair.peer.context(), remote, 50_000).unwrap();
    pair.settle();
    let (ours, from) = pair.us.stack.accept(listener).unwrap();
    assert_eq!(from, at(2, 50_000));
    pair.exchange(ours, theirs, &pattern(200_000));
    pair.peer_tcp(theirs).close();
    pair.settle();
    assert_eq!(pair.us.stack.recv(ours, &mut [0; 8]), Ok(0));
    assert_eq!(pair.us.stack.tcp_state(ours), Ok(State::CloseWait));
    pair.us.stack.close(pair.now, ours).unwrap();
    pair.settle();
    assert_eq!(pair.peer_tcp(theirs).state(), tcp::State::TimeWait);
    assert_eq!((pair.us.stack.usage().sockets, pair.us.stack.usage().flows), (1, 0));
}

#[test]
fn resets_and_refusals_are_understood_in_both_directions() {
    let mut pair = Pair::new();
    let ours = pair.us.stack.tcp_open().unwrap();
    pair.us.stack.connect(pair.now, ours, at(2, 81)).unwrap();
    pair.settle();
    assert_eq!(pair.us.stack.take_error(ours), Ok(Some(Error::Refused)));
    let theirs = pair.tcp_socket();
    let remote = (IpAddress::v4(192, 0, 2, 1), 81);
    let socket = pair.sockets.get_mut::<tcp::Socket<'_>>(theirs);
    socket.connect(pair.peer.context(), remote, 50_000).unwrap();
    pair.settle();
    assert_eq!(pair.peer_tcp(theirs).state(), tcp::State::Closed);
    pair.peer_tcp(theirs).listen(82).unwrap();
    let ours = pair.us.stack.tcp_open().unwrap();
    pair.us.stack.connect(pair.now, ours, at(2, 82)).unwrap();
    pair.exchange(ours, theirs, b"hello");
    pair.us.stack.abort(ours).unwrap();
    pair.settle();
    assert_eq!(pair.peer_tcp(theirs).state(), tcp::State::Closed);
}

#[test]
fn datagrams_cross_both_ways() {
    let mut pair = Pair::new();
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 8000]);
    let theirs = pair.sockets.add(udp::Socket::new(buffer(), buffer()));
    pair.sockets.get_mut::<udp::Socket<'_>>(theirs).bind(53).unwrap();
    let ours = pair.us.stack.udp_open().unwrap();
    pair.us.stack.bind(ours, at(1, 1053)).unwrap();
    for size in [0, 1, 700, 1472] {
        let (now, us) = (pair.now, &mut pair.us);
        us.stack.send_to(now, ours, &pattern(size), Some(at(2, 53)), &mut us.out).unwrap();
        pair.settle();
        let peer = pair.sockets.get_mut::<udp::Socket<'_>>(theirs);
        let (data, from) = peer.recv().map(|(data, from)| (data.to_vec(), from)).unwrap();
        assert_eq!((data, from.endpoint.port), (pattern(size), 1053));
        peer.send_slice(&pattern(size + 1)[1..], from.endpoint).unwrap();
        pair.settle();
        let mut buffer = [0; 2000];
        let got = pair.us.stack.recv_from(ours, &mut buffer).unwrap();
        assert_eq!((got.from, &buffer[..got.len]), (at(2, 53), &pattern(size + 1)[1..]));
    }
}

#[test]
fn echo_requests_are_answered_with_all_their_data_even_in_fragments() {
    use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr};
    let mut pair = Pair::with_mtu(576);
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 8000]);
    let theirs = pair.sockets.add(icmp::Socket::new(buffer(), buffer()));
    pair.sockets.get_mut::<icmp::Socket<'_>>(theirs).bind(icmp::Endpoint::Ident(7)).unwrap();
    let us = IpAddress::v4(192, 0, 2, 1);
    for (seq_no, size) in [0, 1, 56, 548, 549, 1400].into_iter().enumerate() {
        let data = pattern(size);
        let seq_no = seq_no as u16;
        let request = Icmpv4Repr::EchoRequest { ident: 7, seq_no, data: &data };
        let peer = pair.sockets.get_mut::<icmp::Socket<'_>>(theirs);
        let payload = peer.send(request.buffer_len(), us).unwrap();
        request.emit(&mut Icmpv4Packet::new_unchecked(payload), &Default::default());
        pair.settle();
        let (reply, from) = pair.sockets.get_mut::<icmp::Socket<'_>>(theirs).recv().unwrap();
        assert_eq!(from, us);
        let reply = Icmpv4Repr::parse(&Icmpv4Packet::new_checked(reply).unwrap(), &Default::default());
        assert_eq!(reply, Ok(Icmpv4Repr::EchoReply { ident: 7, seq_no, data: &data }));
    }
}
