//! The way in: frames, packets, and who gets them.

use core::net::{Ipv4Addr, SocketAddrV4};

use swos_ipv4::{Delivery, ErrorReport, Trouble, may_answer_with_error, quote};
use swos_units::Instant;
use swos_wire::{
    ArpRepr, ArpView, EtherType, EthernetView, Icmpv4Repr, Icmpv4View, IpProtocol, Ipv4View, MacAddr, Sum,
    Unreachable, checksum,
};

use crate::device::{PageRef, Transmit};
use crate::error::Error;
use crate::link::{Envelope, zeros};
use crate::ports::Space;
use crate::readiness::Readiness;
use crate::socket::Socket;
use crate::stack::Stack;

/// A packet whose header was checked: from whom to whom, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) payload: &'a [u8],
    pub(crate) delivery: Delivery,
}

impl<P: PageRef> Stack<P> {
    /// Takes a received frame. Answers that need no connection (ARP, echo, resets, ICMP errors) are sent at
    /// once, if the device has room; all else waits for [`Self::poll`].
    pub fn on_frame(&mut self, now: Instant, frame: &[u8], tx: &mut impl Transmit) {
        self.link.counters.frames_received += 1;
        let Ok(frame) = EthernetView::parse(frame) else { return self.drop_packet() };
        let to_us = frame.dst() == self.link.mac;
        if !(to_us || frame.dst() == MacAddr::BROADCAST) {
            return self.drop_packet();
        }
        match frame.ethertype() {
            EtherType::IPV4 => self.on_ipv4(now, &frame, to_us, tx),
            EtherType::ARP => self.on_arp(now, &frame, tx),
            _ => self.drop_packet(),
        }
    }

    fn drop_packet(&mut self) {
        self.link.counters.dropped += 1;
    }

    fn on_arp(&mut self, now: Instant, frame: &EthernetView<'_>, tx: &mut impl Transmit) {
        match ArpView::parse(frame.payload()) {
            // A packet that speaks for another station than the one that sent it is a lie or a proxy.
            Ok(view) if view.sender_mac() == frame.src() => {
                self.link.neighbors.on_packet(now, &ArpRepr::parse(&view));
                self.poll_neighbors(now, tx);
            }
            Ok(_) | Err(_) => self.drop_packet(),
        }
    }

    fn on_ipv4(&mut self, now: Instant, frame: &EthernetView<'_>, to_us: bool, tx: &mut impl Transmit) {
        let Some(host) = self.link.host else { return self.drop_packet() };
        let Ok(view) = Ipv4View::parse(frame.payload()) else { return self.drop_packet() };
        let delivery = match host.receive(&view) {
            // A link broadcast with a unicast address inside is a trick to get many answers (RFC 1122 §3.3.6).
            Ok(Delivery::Unicast) if to_us => Delivery::Unicast,
            Ok(Delivery::Broadcast) => Delivery::Broadcast,
            Ok(Delivery::Unicast) | Err(_) => return self.drop_packet(),
        };
        self.on_datagram(now, &view, delivery, tx);
    }

    pub(crate) fn on_loopback(&mut self, now: Instant, packet: &[u8], tx: &mut impl Transmit) {
        let Ok(view) = Ipv4View::parse(packet) else { return self.drop_packet() };
        self.on_datagram(now, &view, Delivery::Unicast, tx);
    }

    /// A packet that is for us, or the last fragment of one.
    fn on_datagram(&mut self, now: Instant, view: &Ipv4View<'_>, delivery: Delivery, tx: &mut impl Transmit) {
        if !view.is_fragment() {
            let packet = Packet { src: view.src(), dst: view.dst(), payload: view.payload(), delivery };
            self.on_packet(now, view.protocol(), packet, Some(view), tx);
        } else if self.scarce {
            self.drop_packet();
        } else if let Some(whole) = self.reassembly.on_fragment(now, view) {
            let packet = Packet { src: whole.src, dst: whole.dst, payload: &whole.payload, delivery };
            self.on_packet(now, whole.protocol, packet, None, tx);
        }
    }

    /// `view` is there to be quoted; a datagram that came in fragments is not.
    fn on_packet(
        &mut self,
        now: Instant,
        protocol: IpProtocol,
        packet: Packet<'_>,
        view: Option<&Ipv4View<'_>>,
        tx: &mut impl Transmit,
    ) {
        match (protocol, packet.delivery) {
            (IpProtocol::TCP, Delivery::Unicast) => self.on_tcp(now, packet, tx),
            (IpProtocol::TCP, Delivery::Broadcast) => self.drop_packet(),
            (IpProtocol::UDP, _) => self.on_udp(now, packet, view, tx),
            (IpProtocol::ICMP, _) => self.on_icmp(now, packet, tx),
            (_, _) => {
                self.drop_packet();
                self.send_unreachable(now, Unreachable::PROTOCOL, packet.delivery, view, tx);
            }
        }
    }

    fn on_icmp(&mut self, now: Instant, packet: Packet<'_>, tx: &mut impl Transmit) {
        let Ok(message) = Icmpv4View::parse(packet.payload) else { return self.drop_packet() };
        match Icmpv4Repr::parse(&message) {
            // To a broadcast we don't answer: it makes us part of an amplifier (RFC 1122 §3.2.2.6 lets us).
            Some(Icmpv4Repr::EchoRequest { .. }) if packet.delivery == Delivery::Broadcast => {}
            Some(Icmpv4Repr::EchoRequest { ident, seq }) => {
                let reply = Icmpv4Repr::EchoReply { ident, seq };
                self.send_icmp(now, packet.dst, packet.src, reply, message.data(), tx);
            }
            Some(Icmpv4Repr::EchoReply { .. }) => {}
            Some(
                Icmpv4Repr::Unreachable { .. }
                | Icmpv4Repr::TimeExceeded { .. }
                | Icmpv4Repr::ParameterProblem { .. },
            ) => {
                if let Some(report) = ErrorReport::parse(&message) {
                    self.on_error_report(&report);
                }
            }
            None => self.drop_packet(),
        }
    }

    /// An error about a packet that we may have sent.
    fn on_error_report(&mut self, report: &ErrorReport) {
        match report.protocol {
            IpProtocol::TCP => self.on_tcp_trouble(report),
            IpProtocol::UDP => {
                let remote = SocketAddrV4::new(report.remote, report.ports.remote);
                let found = self.find_udp(report.local, report.ports.local, remote);
                let failure = match report.trouble {
                    Trouble::NoPort | Trouble::NoProtocol => Error::Refused,
                    Trouble::Prohibited => Error::HostUnreachable,
                    Trouble::NoRoute | Trouble::TooBig { .. } | Trouble::Expired | Trouble::BadHeader => {
                        return;
                    }
                };
                // Only a connected socket can know which of its datagrams is meant.
                if let Some(index) = found
                    && let Some(Socket::Datagrams(socket)) = self.sockets.get_mut(index)
                    && socket.peer == Some(remote)
                {
                    socket.failure = Some(failure);
                    self.changes.raise(index, Readiness::IN | Readiness::ERR);
                }
            }
            _ => {}
        }
    }

    fn on_udp(
        &mut self,
        now: Instant,
        packet: Packet<'_>,
        view: Option<&Ipv4View<'_>>,
        tx: &mut impl Transmit,
    ) {
        let Ok(datagram) = swos_udp::check(packet.src, packet.dst, packet.payload) else {
            return self.drop_packet();
        };
        let from = SocketAddrV4::new(packet.src, datagram.src_port());
        let to = match packet.delivery {
            Delivery::Unicast => packet.dst,
            // Only sockets for all addresses get broadcasts.
            Delivery::Broadcast => Ipv4Addr::BROADCAST,
        };
        let Some(index) = self.find_udp(to, datagram.dst_port(), from) else {
            self.drop_packet();
            return self.send_unreachable(now, Unreachable::PORT, packet.delivery, view, tx);
        };
        if self.scarce {
            self.link.counters.datagrams_dropped += 1;
        } else if let Some(Socket::Datagrams(socket)) = self.sockets.get_mut(index) {
            match socket.queue.push(from, datagram.payload()) {
                swos_udp::Arrival::Queued => self.changes.raise(index, Readiness::IN),
                swos_udp::Arrival::Dropped => self.link.counters.datagrams_dropped += 1,
            }
        }
    }

    /// The socket for a datagram: a connected one before one for this address before one for all.
    fn find_udp(&self, local: Ipv4Addr, port: u16, remote: SocketAddrV4) -> Option<u32> {
        let candidates = self.ports.matching(Space::Udp, port, local).filter_map(|binding| {
            match self.sockets.get(binding.index)? {
                Socket::Datagrams(socket) => match socket.peer {
                    Some(peer) if peer != remote => None,
                    peer => Some((peer.is_some(), binding.address == local, binding.index)),
                },
                Socket::Fresh(_) | Socket::Listener(_) | Socket::Stream(_) => None,
            }
        });
        candidates.max().map(|best| best.2)
    }

    /// Sends an ICMP message with `data` behind its header.
    fn send_icmp(
        &mut self,
        now: Instant,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        repr: Icmpv4Repr,
        data: &[u8],
        tx: &mut impl Transmit,
    ) {
        let envelope = Envelope::new(src, dst, IpProtocol::ICMP);
        let len = Icmpv4Repr::LEN + data.len();
        let fill = |place: &mut [u8]| {
            if let Some((header, rest)) = place.split_at_mut_checked(Icmpv4Repr::LEN) {
                let sum = checksum::copy(rest, data);
                let _whole = repr.emit(header, sum);
            }
        };
        if len + swos_wire::Ipv4Repr::LEN <= usize::from(self.link.mtu) {
            self.link.send(now, tx, envelope, len, fill);
        } else {
            // Only the answer to an echo request that came in fragments is this long.
            let Some(mut message) = zeros(len) else { return self.drop_packet() };
            fill(&mut message);
            self.link.send_in_fragments(now, tx, envelope, &message);
        }
    }

    /// Says that a packet could not be delivered, where that is allowed.
    fn send_unreachable(
        &mut self,
        now: Instant,
        code: Unreachable,
        delivery: Delivery,
        view: Option<&Ipv4View<'_>>,
        tx: &mut impl Transmit,
    ) {
        let (Some(view), Some(host)) = (view, self.link.host) else { return };
        if !may_answer_with_error(&host, view, delivery) {
            return;
        }
        if !self.icmp_errors.allow(now) {
            self.link.counters.rate_limited += 1;
            return;
        }
        self.link.counters.icmp_errors_sent += 1;
        let repr = Icmpv4Repr::Unreachable { code, next_hop_mtu: 0 };
        let pieces = [view.header().as_slice(), view.options(), view.payload()];
        let whole = pieces.iter().map(|piece| piece.len()).sum();
        let quoted = quote(whole);
        let envelope = Envelope::new(view.dst(), view.src(), IpProtocol::ICMP);
        self.link.send(now, tx, envelope, Icmpv4Repr::LEN + quoted, |place| {
            let Some((header, mut rest)) = place.split_at_mut_checked(Icmpv4Repr::LEN) else { return };
            // Header and options have even lengths, so the sums simply add up.
            let mut sum = Sum::ZERO;
            for piece in pieces {
                let len = piece.len().min(rest.len());
                let (now, later) = core::mem::take(&mut rest).split_at_mut(len);
                sum = sum.add(checksum::copy(now, piece));
                rest = later;
            }
            let _whole = repr.emit(header, sum);
        });
    }
}
