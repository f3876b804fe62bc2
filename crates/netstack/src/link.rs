//! The way out: route, neighbour, headers, device. The way to ourselves: the loopback queue.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use swos_arp::{Action, Neighbors, Resolution};
use swos_ipv4::{Host, NextHop, NoRoute};
use swos_units::Instant;
use swos_wire::{EtherType, EthernetRepr, IpProtocol, Ipv4Repr, MacAddr};

use crate::counters::Counters;
use crate::device::Transmit;
use crate::entropy::Entropy;

/// Packets to ourselves that may wait; a sender that is faster loses them as on a link.
const LOOPBACK_PACKETS: usize = 64;
/// Buffers that are kept for them.
const LOOPBACK_SPARE: usize = 16;
/// Packets held for one neighbour whose address is asked for.
const HELD_FOR_ONE: usize = 4;
const ETHERNET: usize = EthernetRepr::LEN;
const IP: usize = Ipv4Repr::LEN;

/// Where a packet goes, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hop {
    /// Into the loopback queue.
    Local,
    /// To this station.
    Station(MacAddr),
    /// The neighbour was asked for its address.
    Pending(Ipv4Addr),
    /// The neighbour does not answer.
    Silent,
    /// There is no way, or we have no address.
    None(NoRoute),
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sent {
    /// It is on its way, or held until the neighbour answers.
    Yes,
    /// The device is full.
    DeviceFull,
    /// There is no way there.
    Nowhere(NoRoute),
    /// The neighbour does not answer.
    Silent,
}

/// The parts of an IP header that vary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: IpProtocol,
    pub(crate) ttl: u8,
    pub(crate) traffic_class: u8,
}

impl Envelope {
    pub(crate) const fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol) -> Self {
        Self { src, dst, protocol, ttl: 64, traffic_class: 0 }
    }
}

/// An IP packet that waits for its neighbour's link address.
#[derive(Debug)]
struct Held {
    neighbor: Ipv4Addr,
    packet: Vec<u8>,
}

/// One link with one address on it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) mac: MacAddr,
    pub(crate) host: Option<Host>,
    pub(crate) mtu: u16,
    pub(crate) neighbors: Neighbors,
    pub(crate) entropy: Entropy,
    pub(crate) counters: Counters,
    held: VecDeque<Held>,
    held_limit: usize,
    loopback: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Link {
    pub(crate) fn new(
        mac: MacAddr,
        mtu: u16,
        neighbors: Neighbors,
        entropy: Entropy,
        held_limit: usize,
    ) -> Self {
        Self {
            mac,
            host: None,
            mtu: mtu.max(576),
            neighbors,
            entropy,
            counters: Counters::default(),
            held: VecDeque::new(),
            held_limit,
            loopback: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// The address that packets to `dst` carry as their source.
    pub(crate) fn source_for(&self, dst: Ipv4Addr) -> Option<Ipv4Addr> {
        if dst.is_loopback() { Some(dst) } else { self.host.map(|host| host.address()) }
    }

    /// Whether a socket may have `address`.
    pub(crate) fn is_ours(&self, address: Ipv4Addr) -> bool {
        address.is_loopback() || self.host.is_some_and(|host| host.address() == address)
    }

    pub(crate) fn route(&self, dst: Ipv4Addr) -> Result<NextHop, NoRoute> {
        match &self.host {
            Some(host) => host.route(dst),
            None if dst.is_loopback() => Ok(NextHop::Local),
            None => Err(NoRoute::Unreachable),
        }
    }

    /// Finds the way to `dst` and asks for the neighbour's address if need be.
    pub(crate) fn hop(&mut self, now: Instant, dst: Ipv4Addr) -> Hop {
        match self.route(dst) {
            Ok(NextHop::Local) => Hop::Local,
            Ok(NextHop::Broadcast) => Hop::Station(MacAddr::BROADCAST),
            Ok(NextHop::Link(neighbor)) => match self.neighbors.resolve(now, neighbor) {
                Resolution::Known(mac) => Hop::Station(mac),
                Resolution::Pending => Hop::Pending(neighbor),
                Resolution::Unreachable => Hop::Silent,
            },
            Err(reason) => Hop::None(reason),
        }
    }

    /// Sends one packet of `len` payload bytes by a hop that is known; `fill` writes the payload in place.
    /// The device must have room. Packets carry "don't fragment": nothing we send is longer than the MTU.
    pub(crate) fn put(
        &mut self,
        tx: &mut impl Transmit,
        hop: Hop,
        envelope: Envelope,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let header = Ipv4Repr {
            src: envelope.src,
            dst: envelope.dst,
            protocol: envelope.protocol,
            payload_len: u16::try_from(len).unwrap_or(Ipv4Repr::MAX_PAYLOAD),
            ident: self.entropy.atomic_ident(),
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: envelope.ttl,
            traffic_class: envelope.traffic_class,
        };
        self.put_packet(tx, hop, header, fill);
    }

    fn put_packet(
        &mut self,
        tx: &mut impl Transmit,
        hop: Hop,
        header: Ipv4Repr,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let len = usize::from(header.payload_len);
        match hop {
            Hop::Local => {
                if let Some(packet) = self.loopback_buffer(IP + len) {
                    write_packet(packet, header, fill);
                }
            }
            Hop::Station(mac) => {
                let ethernet = EthernetRepr { dst: mac, src: self.mac, ethertype: EtherType::IPV4 };
                self.counters.frames_sent += 1;
                tx.transmit(ETHERNET + IP + len, |frame| {
                    if ethernet.emit(frame).is_ok()
                        && let Some(packet) = frame.get_mut(ETHERNET..)
                    {
                        write_packet(packet, header, fill);
                    }
                });
            }
            Hop::Pending(neighbor) => {
                if let Some(packet) = self.held_buffer(neighbor, IP + len) {
                    write_packet(packet, header, fill);
                }
            }
            Hop::Silent | Hop::None(_) => {}
        }
    }

    /// Sends a packet that nobody will repeat for us: an answer, a datagram. If the neighbour is still to be
    /// found, the packet is held with the newest others for it (RFC 1122 §2.3.2.2 asks for one at least; a browser opens
    /// several connections at once).
    pub(crate) fn send(
        &mut self,
        now: Instant,
        tx: &mut impl Transmit,
        envelope: Envelope,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Sent {
        match self.hop(now, envelope.dst) {
            Hop::Station(_) if !tx.has_room() => Sent::DeviceFull,
            Hop::Silent => Sent::Silent,
            Hop::None(reason) => Sent::Nowhere(reason),
            hop @ (Hop::Local | Hop::Station(_) | Hop::Pending(_)) => {
                self.put(tx, hop, envelope, len, fill);
                Sent::Yes
            }
        }
    }

    /// Sends a payload that may need several packets; whole or not at all, as far as the device tells.
    pub(crate) fn send_in_fragments(
        &mut self,
        now: Instant,
        tx: &mut impl Transmit,
        envelope: Envelope,
        payload: &[u8],
    ) {
        let hop = self.hop(now, envelope.dst);
        let step = (usize::from(self.mtu) - IP) & !7;
        let ident = self.entropy.word();
        let mut offset = 0;
        while offset < payload.len() {
            if matches!(hop, Hop::Station(_)) && !tx.has_room() {
                return;
            }
            let end = payload.len().min(offset + step);
            let Some(piece) = payload.get(offset..end) else { return };
            let header = Ipv4Repr {
                src: envelope.src,
                dst: envelope.dst,
                protocol: envelope.protocol,
                payload_len: u16::try_from(piece.len()).unwrap_or(0),
                ident,
                dont_fragment: false,
                more_fragments: end < payload.len(),
                fragment_offset: u16::try_from(offset).unwrap_or(0),
                ttl: envelope.ttl,
                traffic_class: envelope.traffic_class,
            };
            self.put_packet(tx, hop, header, |place| place.copy_from_slice(piece));
            offset = end;
        }
    }

    /// Gives what is held for it to a neighbour that was found.
    pub(crate) fn release_held(&mut self, now: Instant, tx: &mut impl Transmit, neighbor: Ipv4Addr) {
        let Resolution::Known(mac) = self.neighbors.resolve(now, neighbor) else { return };
        let ethernet = EthernetRepr { dst: mac, src: self.mac, ethertype: EtherType::IPV4 };
        let counters = &mut self.counters;
        self.held.retain(|held| {
            if held.neighbor != neighbor {
                return true;
            }
            // A device that is full loses it, as a link may.
            if tx.has_room() {
                counters.frames_sent += 1;
                tx.transmit(ETHERNET + held.packet.len(), |frame| {
                    if ethernet.emit(frame).is_ok()
                        && let Some(place) = frame.get_mut(ETHERNET..)
                    {
                        place.copy_from_slice(&held.packet);
                    }
                });
            }
            false
        });
    }

    /// Drops what is held for a neighbour that does not answer.
    pub(crate) fn drop_held(&mut self, neighbor: Ipv4Addr) {
        self.held.retain(|held| held.neighbor != neighbor);
    }

    /// Drops everything held: the address changed.
    pub(crate) fn drop_all_held(&mut self) {
        self.held.clear();
    }

    /// Sends what the neighbour table wants to send; `None` when it wants no more, or the device is full.
    pub(crate) fn poll_neighbors(&mut self, now: Instant, tx: &mut impl Transmit) -> Option<Action> {
        while self.neighbors.deadline().is_some_and(|due| due <= now) && tx.has_room() {
            match self.neighbors.poll(now)? {
                Action::Send { to, packet } => {
                    let ethernet = EthernetRepr { dst: to, src: self.mac, ethertype: EtherType::ARP };
                    self.counters.frames_sent += 1;
                    tx.transmit(ETHERNET + swos_wire::ArpRepr::LEN, |frame| {
                        if ethernet.emit(frame).is_ok()
                            && let Some(place) = frame.get_mut(ETHERNET..)
                        {
                            let _whole = packet.emit(place);
                        }
                    });
                }
                other @ (Action::Resolved { .. } | Action::Failed { .. } | Action::Conflict { .. }) => {
                    return Some(other);
                }
            }
        }
        None
    }

    /// The next packet that we sent to ourselves; give it back when it was read.
    pub(crate) fn pop_loopback(&mut self) -> Option<Vec<u8>> {
        self.loopback.pop_front()
    }

    pub(crate) fn recycle(&mut self, packet: Vec<u8>) {
        if self.spare.len() < LOOPBACK_SPARE && self.spare.try_reserve(1).is_ok() {
            self.spare.push(packet);
        }
    }

    pub(crate) fn has_loopback(&self) -> bool {
        !self.loopback.is_empty()
    }

    pub(crate) fn loopback_has_room(&self) -> bool {
        self.loopback.len() < LOOPBACK_PACKETS
    }

    fn loopback_buffer(&mut self, len: usize) -> Option<&mut [u8]> {
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.clear();
        let full = self.loopback.len() >= LOOPBACK_PACKETS || self.loopback.try_reserve(1).is_err();
        if full || packet.try_reserve(len).is_err() {
            self.counters.loopback_dropped += 1;
            return None;
        }
        packet.resize(len, 0);
        self.loopback.push_back(packet);
        self.loopback.back_mut().map(Vec::as_mut_slice)
    }

    fn held_buffer(&mut self, neighbor: Ipv4Addr, len: usize) -> Option<&mut [u8]> {
        if self.held_limit == 0 {
            return None;
        }
        let of_it = |held: &Held| held.neighbor == neighbor;
        let oldest = if self.held.iter().filter(|held| of_it(held)).count() >= HELD_FOR_ONE {
            self.held.iter().position(of_it)
        } else {
            (self.held.len() >= self.held_limit).then_some(0)
        };
        if let Some(oldest) = oldest {
            self.held.remove(oldest);
        }
        let packet = zeros(len)?;
        self.held.try_reserve(1).ok()?;
        self.held.push_back(Held { neighbor, packet });
        self.held.back_mut().map(|held| held.packet.as_mut_slice())
    }
}

/// So many zeros, if there is memory for them.
pub(crate) fn zeros(len: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    Some(bytes)
}

fn write_packet(packet: &mut [u8], header: Ipv4Repr, fill: impl FnOnce(&mut [u8])) {
    if header.emit(packet).is_ok()
        && let Some(payload) = packet.get_mut(IP..)
    {
        fill(payload);
    }
}
