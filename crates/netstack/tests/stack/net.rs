//! Two stacks, an in-memory link between them, and a virtual clock.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::ops::Range;
use std::collections::VecDeque;
use std::rc::Rc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use swos_netstack::{Config, Error, PageRef, Progress, Push, SocketId, Stack, State, Transmit};
use swos_units::{Duration, Instant};
use swos_wire::MacAddr;

use crate::without_memory::with_memory;

/// A page as the page cache has them: shared and immutable.
#[derive(Clone, Debug)]
pub(crate) struct Page(pub(crate) Rc<Vec<u8>>);

impl PageRef for Page {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The sending half of a device: frames until `capacity`.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) frames: VecDeque<Vec<u8>>,
    pub(crate) capacity: usize,
}

impl Transmit for Queue {
    fn has_room(&mut self) -> bool {
        self.frames.len() < self.capacity
    }

    fn transmit(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        assert!(self.frames.len() < self.capacity, "has_room was not asked");
        assert!((14..=1514).contains(&len), "{len}");
        // Whatever was in the buffer before must not get out.
        let mut frame = with_memory(|| vec![0xa5; len]);
        fill(&mut frame);
        with_memory(|| self.frames.push_back(frame));
    }
}

pub(crate) struct Host {
    pub(crate) stack: Stack<Page>,
    pub(crate) out: Queue,
}

pub(crate) fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

pub(crate) fn ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

pub(crate) fn at(number: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip(number), port)
}

pub(crate) fn config(number: u8) -> Config {
    let ipv4 = swos_ipv4::Config { address: ip(number), prefix_len: 24, gateway: Some(ip(254)) };
    Config::new(mac(number), Some(ipv4), [number; 32])
}

impl Host {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            stack: Stack::new(Instant::ZERO, config),
            out: Queue { frames: VecDeque::new(), capacity: 64 },
        }
    }

    pub(crate) fn poll(&mut self, now: Instant) -> Progress {
        loop {
            match self.stack.poll(now, &mut self.out) {
                Progress::More => {}
                other => return other,
            }
        }
    }

    pub(crate) fn frame(&mut self, now: Instant, frame: &[u8]) {
        self.stack.on_frame(now, frame, &mut self.out);
    }
}

/// Decides over a frame: `false` loses it.
pub(crate) type Filter = Box<dyn FnMut(&[u8]) -> bool>;

/// Host 1 and host 2.
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) hosts: [Host; 2],
    /// Called for each frame: `false` loses it.
    pub(crate) passes: Filter,
    pub(crate) frames: u64,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(config(1), config(2))
    }

    pub(crate) fn with(first: Config, second: Config) -> Self {
        Self {
            now: Instant::ZERO,
            hosts: [Host::new(first), Host::new(second)],
            passes: Box::new(|_| true),
            frames: 0,
        }
    }

    /// Exchanges frames until nobody has any; time stands still.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut quiet = true;
            for from in 0..2 {
                // Who is not done is called again, as the contract has it.
                quiet &= self.hosts[from].poll(self.now) != Progress::More;
                let batch: Vec<_> = self.hosts[from].out.frames.drain(..).collect();
                for frame in batch {
                    quiet = false;
                    self.frames += 1;
                    if (self.passes)(&frame) {
                        check_with_etherparse(&frame);
                        self.hosts[1 - from].frame(self.now, &frame);
                    }
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the link never falls silent");
    }

    /// Lets `span` pass, serving deadlines as they come.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.settle();
            let next = self.hosts.iter().filter_map(|host| host.stack.deadline()).min();
            match next {
                Some(next) if next <= end => {
                    // A deadline that stays in the past would hang a kernel.
                    self.now = next.max(self.now + Duration::from_nanos(1));
                }
                _ => break,
            }
        }
        self.now = end;
        self.settle();
    }

    /// A connection from host 0 to `port` of host 1, with its listener: (client, server, listener).
    pub(crate) fn connected(&mut self, port: u16) -> (SocketId, SocketId, SocketId) {
        let listener = self.hosts[1].stack.tcp_open().unwrap();
        self.hosts[1].stack.bind(listener, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).unwrap();
        self.hosts[1].stack.listen(listener, 16).unwrap();
        let (client, server) = self.connect_to(listener, port);
        (client, server, listener)
    }

    pub(crate) fn connect_to(&mut self, listener: SocketId, port: u16) -> (SocketId, SocketId) {
        let client = self.hosts[0].stack.tcp_open().unwrap();
        self.hosts[0].stack.connect(self.now, client, at(2, port)).unwrap();
        self.settle();
        let (server, peer) = self.hosts[1].stack.accept(listener).unwrap();
        assert_eq!(self.hosts[0].stack.local(client), Ok(peer));
        assert_eq!(self.hosts[0].stack.tcp_state(client), Ok(State::Established));
        (client, server)
    }

    /// Moves `data` from one host to the other, with time passing as needed; returns what arrived.
    pub(crate) fn transfer(
        &mut self,
        from: (usize, SocketId),
        to: (usize, SocketId),
        data: &[u8],
    ) -> Vec<u8> {
        let (mut sent, mut got) = (0, Vec::new());
        let mut buffer = [0; 3000];
        for _ in 0..200_000 {
            if sent < data.len() {
                match self.hosts[from.0].stack.send_bytes(self.now, from.1, &data[sent..], Push::Now) {
                    Ok(taken) => sent += taken,
                    Err(Error::WouldBlock) => {}
                    Err(error) => panic!("{error:?} after {sent}"),
                }
            }
            self.settle();
            loop {
                match self.hosts[to.0].stack.recv(to.1, &mut buffer) {
                    Ok(0) => return got,
                    Ok(len) => got.extend(&buffer[..len]),
                    Err(Error::WouldBlock) => break,
                    Err(error) => panic!("{error:?} after {}", got.len()),
                }
            }
            if got.len() == data.len() {
                return got;
            }
            self.settle();
            let next = self.hosts.iter().filter_map(|host| host.stack.deadline()).min();
            self.now = next.unwrap_or(self.now).max(self.now + Duration::from_micros(100));
        }
        panic!("no progress: {} of {} bytes", got.len(), data.len());
    }
}

/// Bytes that differ everywhere.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Every frame we emit is read by somebody else's parser, checksums included.
pub(crate) fn check_with_etherparse(frame: &[u8]) {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else { return };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(usize::from(header.total_len), frame.len() - 14);
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let sum = tcp.to_header().calc_checksum_ipv4(&header, tcp.payload()).unwrap();
            assert_eq!(tcp.checksum(), sum);
        }
        Some(TransportSlice::Udp(udp)) => {
            let sum = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
            assert_eq!(udp.checksum(), sum);
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            assert!(icmp.header().icmp_type.calc_checksum(icmp.payload()) == icmp.header().checksum);
        }
        _ => {}
    }
}

/// Repeatable randomness.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u8) -> Self {
        Self(ChaCha8Rng::from_seed([seed; 32]))
    }

    pub(crate) fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.word() as u8
    }

    pub(crate) fn within(&mut self, range: Range<usize>) -> usize {
        range.start + self.word() as usize % range.len()
    }

    pub(crate) fn percent(&mut self, chance: u32) -> bool {
        self.word() % 100 < chance
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.within(0..from.len())]
    }
}
