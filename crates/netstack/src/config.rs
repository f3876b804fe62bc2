//! What a stack is made from.

use core::ops::RangeInclusive;

use swos_units::Duration;
use swos_wire::MacAddr;

/// Longest IP packet that Ethernet carries, in bytes (RFC 894).
pub const ETHERNET_MTU: u16 = 1500;

/// Parameters of a [`Stack`](crate::Stack).
#[derive(Clone, Debug)]
pub struct Config {
    /// Our link address.
    pub mac: MacAddr,
    /// Address, network and gateway; without them only loopback works.
    pub ipv4: Option<swos_ipv4::Config>,
    /// Longest IP packet that the link takes, in bytes; at least 576.
    pub mtu: u16,
    /// Windows, time-outs and buffers of TCP.
    pub tcp: swos_tcp::Config,
    /// Unpredictable bytes: the seed of the generator from which ports, identifications, sequence numbers
    /// and hash keys come. Never a constant outside of tests.
    pub secret: [u8; 32],
    /// How much the stack may hold.
    pub limits: Limits,
}

impl Config {
    /// Usual values for a station.
    #[must_use]
    pub fn new(mac: MacAddr, ipv4: Option<swos_ipv4::Config>, secret: [u8; 32]) -> Self {
        Self {
            mac,
            ipv4,
            mtu: ETHERNET_MTU,
            tcp: swos_tcp::Config::default(),
            secret,
            limits: Limits::default(),
        }
    }
}

/// How much a stack may hold. Whatever arrives, it stays within this.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sockets, those included that only finish their connection. Default 65,536.
    pub sockets: usize,
    /// Connections in TIME-WAIT; the oldest goes for a new one. Default 16,384.
    pub time_wait: usize,
    /// Half-open connections of all listeners together. Default 1,024.
    pub half_open: usize,
    /// Largest backlog that a listener gets. Default 4,096.
    pub backlog: usize,
    /// Bytes that may wait in one connection's send queue, unless its socket says otherwise. Default 256 KiB.
    pub send_buffer: usize,
    /// Bytes for copied data in all send queues together. A connection whose queue is empty may always queue
    /// a little, so that none waits for another. Default 8 MiB.
    pub send_memory: usize,
    /// Bytes in the receive buffers of all connections together. Beyond it a connection takes data only while its
    /// own buffer is empty, so that each makes progress. Default 8 MiB.
    pub receive_memory: usize,
    /// What may wait in one UDP socket, unless it says otherwise.
    pub udp: swos_udp::Limits,
    /// Datagrams in reassembly.
    pub reassembly: swos_ipv4::ReassemblyLimits,
    /// Neighbours and their times.
    pub neighbors: swos_arp::Config,
    /// Packets that wait for a neighbour's address, at most four for each neighbour. Default 16.
    pub held_packets: usize,
    /// ICMP errors sent at once, and then a second. Default 50.
    pub icmp_errors: u32,
    /// Resets for segments of nobody, at once and then a second. Default 200.
    pub resets: u32,
    /// Ports given to sockets that ask for none. Default the upper half: IANA's own range has only 2¹⁴ to guess
    /// from, and RFC 6056 §3.2 recommends to take more.
    pub ephemeral_ports: RangeInclusive<u16>,
    /// How long bytes sent with [`Push::More`](crate::Push) wait for the rest. Default 200 ms.
    pub more_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets: 65_536,
            time_wait: 16_384,
            half_open: 1_024,
            backlog: 4_096,
            send_buffer: 256 << 10,
            send_memory: 8 << 20,
            receive_memory: 8 << 20,
            udp: swos_udp::Limits::default(),
            reassembly: swos_ipv4::ReassemblyLimits::default(),
            neighbors: swos_arp::Config::default(),
            held_packets: 16,
            icmp_errors: 50,
            resets: 200,
            ephemeral_ports: 32_768..=65_535,
            more_timeout: Duration::from_millis(200),
        }
    }
}
