//! Our stack as a host.

use core::net::{Ipv4Addr, SocketAddrV4};

use swos_netstack::{
    Config, Direction, Error, Limits, NoPages, Push, SocketId, SocketOption, Stack, Transmit,
};
use swos_units::{Duration, Instant};
use swos_wire::MacAddr;

use crate::host::{Host, Received, SocketKey};

/// A `swos-netstack` at 10.0.0.`number`/24, whose peer is at the other of 1 and 2.
pub struct Ours {
    /// The stack itself, for whatever the [`Host`] interface does not offer.
    pub stack: Stack<NoPages>,
    number: u8,
    listener: Option<SocketId>,
    /// Frames made outside of a poll.
    waiting: Frames,
}

impl core::fmt::Debug for Ours {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ours").field("usage", &self.stack.usage()).finish_non_exhaustive()
    }
}

/// A device that is never full.
#[derive(Debug, Default)]
pub(crate) struct Frames(pub(crate) Vec<Vec<u8>>);

impl Transmit for Frames {
    fn has_room(&mut self) -> bool {
        true
    }

    fn transmit(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        let mut frame = vec![0; len];
        fill(&mut frame);
        self.0.push(frame);
    }
}

impl Ours {
    /// A stack with these parameters. Secrets come from `seed`.
    #[must_use]
    pub fn new(seed: u64, number: u8, tcp: swos_tcp::Config, limits: Limits) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let address = Ipv4Addr::new(10, 0, 0, number);
        let ipv4 = swos_ipv4::Config { address, prefix_len: 24, gateway: None };
        let mut secret = [number; 32];
        for (place, octet) in secret.iter_mut().zip(seed.to_be_bytes()) {
            *place ^= octet;
        }
        let mac = MacAddr([2, 0, 0, 0, 0, number]);
        let config = Config { tcp, limits, ..Config::new(mac, Some(ipv4), secret) };
        Self { stack: Stack::new(now, config), number, listener: None, waiting: Frames::default() }
    }

    /// A side that only waits learns of its peer's end by probing, should the reset get lost.
    fn watch(&mut self, now: Instant, id: SocketId) {
        let probing = SocketOption::KeepAlive(Some(Duration::from_secs(60)));
        let _ = self.stack.set_option(now, id, probing);
    }

    fn peer(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, 3 - self.number)
    }
}

impl Host for Ours {
    fn on_frame(&mut self, now: Instant, frame: &[u8]) {
        self.stack.on_frame(now, frame, &mut self.waiting);
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        while self.stack.poll(now, &mut self.waiting) != swos_netstack::Progress::Done {}
        while self.stack.poll_event().is_some() {}
        out.append(&mut self.waiting.0);
    }

    fn deadline(&mut self, _now: Instant) -> Option<Instant> {
        self.stack.deadline()
    }

    fn connect(&mut self, now: Instant, port: u16) -> Option<SocketKey> {
        let id = self.stack.tcp_open().ok()?;
        match self.stack.connect(now, id, SocketAddrV4::new(self.peer(), port)) {
            Ok(()) | Err(Error::InProgress) => {
                self.watch(now, id);
                Some(id.to_bits())
            }
            Err(_) => {
                let _ = self.stack.close(now, id);
                None
            }
        }
    }

    fn listen(&mut self, port: u16) {
        let Ok(id) = self.stack.tcp_open() else { return };
        let bound = self.stack.bind(id, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
        if bound.and_then(|()| self.stack.listen(id, 1024)).is_ok() {
            self.listener = Some(id);
        }
    }

    fn accept(&mut self, now: Instant) -> Option<SocketKey> {
        let (id, _) = self.stack.accept(self.listener?).ok()?;
        self.watch(now, id);
        Some(id.to_bits())
    }

    fn send(&mut self, now: Instant, socket: SocketKey, octets: &[u8]) -> usize {
        self.stack.send_bytes(now, SocketId::from_bits(socket), octets, Push::Now).unwrap_or(0)
    }

    fn receive(&mut self, socket: SocketKey, into: &mut [u8]) -> Received {
        match self.stack.recv(SocketId::from_bits(socket), into) {
            Ok(0) => Received::End,
            Ok(n) => Received::Octets(n),
            Err(Error::WouldBlock | Error::InProgress) => Received::Nothing,
            Err(_) => Received::Aborted,
        }
    }

    fn finish(&mut self, socket: SocketKey) {
        let _ = self.stack.shutdown(SocketId::from_bits(socket), Direction::Write);
    }

    fn release(&mut self, now: Instant, socket: SocketKey) {
        let _ = self.stack.close(now, SocketId::from_bits(socket));
    }

    fn live(&self) -> usize {
        let usage = self.stack.usage();
        usage.flows + usage.half_open
    }
}
