//! smoltcp as a host: a TCP by other hands, with which ours must get along.

use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{Socket, tcp};
use smoltcp::time::{Duration as SmolDuration, Instant as SmolInstant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use swos_units::{Duration, Instant};
use swos_wire::TcpFlags;

use crate::host::{Host, Received, SocketKey};
use crate::probe::Segment;

/// Sockets that wait at the listening port: smoltcp has no backlog, each takes one connection.
const LISTENING: usize = 32;

/// A smoltcp interface at 10.0.0.`number`/24.
pub struct Smoltcp {
    interface: Interface,
    sockets: SocketSet<'static>,
    device: Wire,
    number: u8,
    buffer: usize,
    port: Option<u16>,
    listening: Vec<SocketHandle>,
    open: Vec<Option<SocketHandle>>,
    /// Given up by the application, not yet closed.
    background: Vec<SocketHandle>,
    next_port: u16,
}

impl core::fmt::Debug for Smoltcp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Smoltcp").field("number", &self.number).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Wire {
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: SmolInstant) -> Option<(Frame, Outgoing<'_>)> {
        let frame = self.arrived.pop_front()?;
        Some((Frame(frame), Outgoing(&mut self.sent)))
    }

    fn transmit(&mut self, _: SmolInstant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

fn smol(now: Instant) -> SmolInstant {
    SmolInstant::from_micros(i64::try_from(now.as_nanos() / 1000).unwrap_or(i64::MAX))
}

impl Smoltcp {
    /// An interface whose sockets have buffers of `buffer` octets each way.
    #[must_use]
    pub fn new(seed: u64, number: u8, buffer: usize) -> Self {
        let mut device = Wire::default();
        let mac = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, number]));
        let mut config = Config::new(mac);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, SmolInstant::from_secs(1));
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, number), 24));
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            device,
            number,
            buffer,
            port: None,
            listening: Vec::new(),
            open: Vec::new(),
            background: Vec::new(),
            next_port: 49_152,
        }
    }

    fn new_socket(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; self.buffer]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_timeout(Some(SmolDuration::from_secs(300)));
        socket.set_keep_alive(Some(SmolDuration::from_secs(60)));
        self.sockets.add(socket)
    }

    fn key(&mut self, handle: SocketHandle) -> SocketKey {
        let free = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if free == self.open.len() {
            self.open.push(None);
        }
        if let Some(place) = self.open.get_mut(free) {
            *place = Some(handle);
        }
        free as u64
    }

    fn socket(&mut self, key: SocketKey) -> Option<&mut tcp::Socket<'static>> {
        let handle = (*self.open.get(usize::try_from(key).ok()?)?)?;
        Some(self.sockets.get_mut::<tcp::Socket<'_>>(handle))
    }

    /// smoltcp has no backlog: each listening socket takes one SYN, so one that arrives twice would
    /// occupy two of them, and the second one's reset would hit the connection of the first. A stack
    /// that looks for the connection before the listener drops it, and so do we on its behalf.
    fn is_repeated_syn(&self, now: Instant, frame: &[u8]) -> bool {
        let segment = frame.get(14..).and_then(|packet| Segment::decode(now, packet));
        let Some(segment) = segment.filter(|segment| segment.flags == TcpFlags::SYN) else { return false };
        self.sockets.iter().any(|(_, socket)| {
            let Socket::Tcp(socket) = socket else { return false };
            socket.state() != tcp::State::Closed
                && socket.remote_endpoint().is_some_and(|remote| {
                    remote.port == segment.src.port() && remote.addr == IpAddress::Ipv4(*segment.src.ip())
                })
        })
    }

    fn refill(&mut self) {
        let Some(port) = self.port else { return };
        while self.listening.len() < LISTENING {
            let handle = self.new_socket();
            let _ = self.sockets.get_mut::<tcp::Socket<'_>>(handle).listen(port);
            self.listening.push(handle);
        }
    }

    fn reap(&mut self) {
        let sockets = &mut self.sockets;
        self.background.retain(|&handle| {
            // TIME-WAIT stays: the peer may have missed the last acknowledgment.
            let over = sockets.get::<tcp::Socket<'_>>(handle).state() == tcp::State::Closed;
            if over {
                sockets.remove(handle);
            }
            !over
        });
    }
}

impl Host for Smoltcp {
    fn on_frame(&mut self, now: Instant, frame: &[u8]) {
        if !self.is_repeated_syn(now, frame) {
            self.device.arrived.push_back(frame.to_vec());
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        self.interface.poll(smol(now), &mut self.device, &mut self.sockets);
        self.reap();
        out.append(&mut self.device.sent);
    }

    fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(smol(now), &self.sockets)?;
        let at = Instant::from_nanos(u64::try_from(at.total_micros()).unwrap_or(0) * 1000);
        // What it says is due already was done by the poll before; give the clock a chance.
        Some(at.max(now + Duration::from_micros(10)))
    }

    fn connect(&mut self, _now: Instant, port: u16) -> Option<SocketKey> {
        let handle = self.new_socket();
        let local = self.next_port;
        self.next_port = local.checked_add(1).unwrap_or(49_152);
        let remote = (IpAddress::v4(10, 0, 0, 3 - self.number), port);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket.connect(self.interface.context(), remote, local).ok()?;
        Some(self.key(handle))
    }

    fn listen(&mut self, port: u16) {
        self.port = Some(port);
        self.refill();
    }

    fn accept(&mut self, _now: Instant) -> Option<SocketKey> {
        let sockets = &self.sockets;
        let ready = self.listening.iter().position(|&handle| {
            let state = sockets.get::<tcp::Socket<'_>>(handle).state();
            !matches!(state, tcp::State::Listen | tcp::State::SynReceived)
        })?;
        let handle = self.listening.swap_remove(ready);
        self.refill();
        Some(self.key(handle))
    }

    fn send(&mut self, _now: Instant, socket: SocketKey, octets: &[u8]) -> usize {
        self.socket(socket).map_or(0, |socket| socket.send_slice(octets).unwrap_or(0))
    }

    fn receive(&mut self, socket: SocketKey, into: &mut [u8]) -> Received {
        let Some(socket) = self.socket(socket) else { return Received::Aborted };
        match socket.recv_slice(into) {
            Ok(0) => Received::Nothing,
            Ok(n) => Received::Octets(n),
            Err(tcp::RecvError::Finished) => Received::End,
            Err(tcp::RecvError::InvalidState) => match socket.state() {
                tcp::State::SynSent | tcp::State::SynReceived => Received::Nothing,
                _ => Received::Aborted,
            },
        }
    }

    fn finish(&mut self, socket: SocketKey) {
        if let Some(socket) = self.socket(socket) {
            socket.close();
        }
    }

    fn release(&mut self, _now: Instant, socket: SocketKey) {
        let place = usize::try_from(socket).ok().and_then(|at| self.open.get_mut(at));
        if let Some(handle) = place.and_then(Option::take) {
            self.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
            self.background.push(handle);
        }
    }

    fn live(&self) -> usize {
        self.open.iter().flatten().count() + self.background.len()
    }
}
