//! Parameters of the machine: everything that a standard leaves open or a test wants to vary.

use swos_units::Duration;

/// Parameters shared by all connections of a stack. Passed by reference to each call, so that a
/// connection does not carry a copy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Octets a connection buffers for its reader, hence its largest window. Default 256 KiB.
    pub receive_capacity: usize,
    /// Window scaling (RFC 7323 §2). Default [`WindowScale::Auto`].
    pub window_scale: WindowScale,
    /// Out-of-order ranges kept per connection; a segment that needs one more is dropped. Default 64.
    pub reassembly_ranges: usize,
    /// Retransmission time-out before the first measurement (RFC 6298 §2.1). Default 1 s.
    pub rto_initial: Duration,
    /// Floor of the retransmission time-out. Default 200 ms: RFC 6298 §2.4 asks for 1 s, which made
    /// sense with coarse clocks; ours ticks in nanoseconds, and the variance term covers peers that
    /// delay their ACKs.
    pub rto_min: Duration,
    /// Ceiling of the retransmission time-out and of probe intervals, at least 60 s. Default 60 s.
    pub rto_max: Duration,
    /// Time-out used once data flows if the SYN had to be repeated (RFC 6298 §5.7). Default 3 s.
    pub rto_after_syn_loss: Duration,
    /// Granularity `G` in the variance term (RFC 6298 §2). Default 1 ms.
    pub clock_granularity: Duration,
    /// Retransmissions of one segment after which the path is reported suspect, R1. Default 3.
    pub r1_retransmissions: u8,
    /// Time without progress after which a connection is given up, R2. Default 300 s.
    pub user_timeout: Duration,
    /// R2 for the handshake, at least 3 min (RFC 9293 §3.8.3). Default 180 s.
    pub syn_timeout: Duration,
    /// SYN-ACKs sent for a half-open connection before it is dropped, at most 15. Default 8, which
    /// takes 183 s: RFC 9293's 3 min hold for them too.
    pub syn_ack_transmissions: u8,
    /// How long an ACK may wait for data or a second segment, below 500 ms. Default 40 ms.
    pub delayed_ack: Duration,
    /// How long the sender waits for a larger window before it sends a small segment (0.1..1 s,
    /// RFC 9293 §3.8.6.2.1). Default 200 ms.
    pub sws_override: Duration,
    /// Initial congestion window in segments (RFC 6928). Default 10.
    pub initial_window: u32,
    /// Upper bound of the congestion window in octets. Default 1 GiB.
    pub congestion_window_max: u32,
    /// Maximum segment lifetime; TIME-WAIT lasts twice as long. Default 30 s: RFC 9293's 2 min is
    /// an engineering choice of 1981, and 60 s of TIME-WAIT is what deployed stacks use.
    pub msl: Duration,
    /// How long a fully closed connection waits in FIN-WAIT-2 for a peer that never closes.
    /// Default 60 s.
    pub fin_wait_2: Duration,
    /// Challenge ACKs per second and connection (RFC 5961 §7). Counted per connection: a shared
    /// counter would be a side channel (CVE-2016-5696). Default 10.
    pub challenge_acks: u8,
    /// Selective acknowledgments (RFC 2018, RFC 6675). Default on.
    pub sack: Extension,
    /// Time stamps (RFC 7323 §3..5). Default off: they cost 12 octets a segment, and wrapped numbers
    /// within the lifetime of a segment need more than 1 Gbit/s.
    pub timestamps: Extension,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            receive_capacity: 256 * 1024,
            window_scale: WindowScale::Auto,
            reassembly_ranges: 64,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(60),
            rto_after_syn_loss: Duration::from_secs(3),
            clock_granularity: Duration::from_millis(1),
            r1_retransmissions: 3,
            user_timeout: Duration::from_secs(300),
            syn_timeout: Duration::from_secs(180),
            syn_ack_transmissions: 8,
            delayed_ack: Duration::from_millis(40),
            sws_override: Duration::from_millis(200),
            initial_window: 10,
            congestion_window_max: 1 << 30,
            msl: Duration::from_secs(30),
            fin_wait_2: Duration::from_secs(60),
            challenge_acks: 10,
            sack: Extension::On,
            timestamps: Extension::Off,
        }
    }
}

impl Config {
    /// The shift to offer: the smallest with which a window field can express `receive_capacity`.
    /// `None` if scaling is off.
    #[must_use]
    pub fn offered_shift(&self) -> Option<u8> {
        match self.window_scale {
            WindowScale::Off => None,
            WindowScale::Shift(shift) => Some(shift.min(MAX_SHIFT)),
            WindowScale::Auto => Some(WindowScale::least_shift(self.receive_capacity)),
        }
    }
}

/// Largest window shift that counts (RFC 7323 §2.3).
pub(crate) const MAX_SHIFT: u8 = 14;

/// How the window shift is chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WindowScale {
    /// Not offered and not accepted.
    Off,
    /// The smallest that expresses the receive capacity.
    Auto,
    /// This one, at most 14.
    Shift(u8),
}

impl WindowScale {
    /// The smallest that expresses a window of `octets`: for connections whose buffers may become as large.
    #[must_use]
    pub const fn for_window(octets: usize) -> Self {
        Self::Shift(Self::least_shift(octets))
    }

    const fn least_shift(octets: usize) -> u8 {
        let mut shift = 0;
        while shift < MAX_SHIFT && (u16::MAX as usize) << shift < octets {
            shift += 1;
        }
        shift
    }
}

/// Whether an extension is offered and accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extension {
    /// Never.
    Off,
    /// If the peer has it too.
    On,
}

impl Extension {
    pub(crate) const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

/// What the path to the peer allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Path {
    /// Largest payload that fits a datagram beside the IP and TCP headers without options.
    pub mss: u16,
    /// What a peer that names no MSS is taken to accept.
    pub default_mss: u16,
}

impl Path {
    /// An IPv4 path with this MTU. A peer that names no MSS accepts 536.
    ///
    /// Source: RFC 9293 §3.7.1.
    #[must_use]
    pub const fn ipv4(mtu: u16) -> Self {
        Self { mss: mtu.saturating_sub(40), default_mss: 536 }
    }

    /// An IPv6 path with this MTU. A peer that names no MSS accepts 1220.
    ///
    /// Source: RFC 9293 §3.7.1.
    #[must_use]
    pub const fn ipv6(mtu: u16) -> Self {
        Self { mss: mtu.saturating_sub(60), default_mss: 1220 }
    }
}

/// Whether small segments wait for the acknowledgment of an earlier small one (RFC 9293 §3.7.4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Nagle {
    /// They wait.
    #[default]
    On,
    /// They are sent at once.
    Off,
}

/// Probing of a silent peer (RFC 9293 §3.8.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepAlive {
    /// Silence before the first probe, 2 h or more unless the application knows better.
    pub idle: Duration,
    /// Time between unanswered probes.
    pub interval: Duration,
    /// Unanswered probes after which the peer is taken for dead; at least 2 are sent.
    pub probes: u8,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(7_200), interval: Duration::from_secs(75), probes: 9 }
    }
}
