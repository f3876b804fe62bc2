//! One half-open connection of a listener: what must be remembered between SYN and its ACK.

use swos_units::Instant;
use swos_wire::{SeqNumber, TcpFlags, TcpOptions, TcpTimestamp};

use crate::config::{Config, Path};
use crate::segment::{Header, Transmit};
use crate::stamps::clock;

/// A SYN that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfOpen {
    /// Our initial number.
    pub(crate) initial: SeqNumber,
    /// The peer's SYN: number, window, options.
    pub(crate) peer_initial: SeqNumber,
    pub(crate) peer_window: u16,
    pub(crate) peer_mss: Option<u16>,
    pub(crate) peer_shift: Option<u8>,
    pub(crate) peer_sack: bool,
    pub(crate) peer_timestamp: Option<u32>,
    /// When the SYN-ACK left last, and how many did.
    pub(crate) sent: Instant,
    pub(crate) transmissions: u8,
}

impl HalfOpen {
    pub(crate) const fn of_syn(now: Instant, initial: SeqNumber, syn: &Header) -> Self {
        Self {
            initial,
            peer_initial: syn.seq,
            peer_window: syn.window,
            peer_mss: syn.options.mss,
            peer_shift: syn.options.window_scale,
            peer_sack: syn.options.sack_permitted,
            peer_timestamp: match syn.options.timestamp {
                Some(stamp) => Some(stamp.value),
                None => None,
            },
            sent: now,
            transmissions: 1,
        }
    }

    /// SYN-ACKs sent after the first.
    pub(crate) const fn repetitions(&self) -> u8 {
        self.transmissions.saturating_sub(1)
    }

    /// The peer's SYN as it came, as far as anyone still cares.
    pub(crate) const fn syn_header(&self) -> Header {
        Header {
            seq: self.peer_initial,
            ack: SeqNumber(0),
            flags: TcpFlags::SYN,
            window: self.peer_window,
            urgent: 0,
            options: TcpOptions {
                mss: self.peer_mss,
                window_scale: self.peer_shift,
                sack_permitted: self.peer_sack,
                timestamp: match self.peer_timestamp {
                    Some(value) => Some(TcpTimestamp { value, echo: 0 }),
                    None => None,
                },
                ..TcpOptions::NONE
            },
        }
    }

    /// The answer to the SYN.
    pub(crate) fn syn_ack(&self, now: Instant, config: &Config, path: Path) -> Transmit {
        let shift = config.offered_shift().filter(|_| self.peer_shift.is_some());
        let options = TcpOptions {
            mss: Some(path.mss),
            window_scale: shift,
            sack_permitted: self.peer_sack && config.sack.is_on(),
            timestamp: self.timestamp(now, config),
            ..TcpOptions::NONE
        };
        let flags = TcpFlags::SYN | TcpFlags::ACK;
        Transmit::bare(self.initial, self.peer_initial + 1, flags, window(config), options)
    }

    /// Tells the peer where we are.
    pub(crate) fn challenge(&self, now: Instant, config: &Config) -> Transmit {
        let (seq, ack) = (self.initial + 1, self.peer_initial + 1);
        let options = TcpOptions { timestamp: self.timestamp(now, config), ..TcpOptions::NONE };
        Transmit::bare(seq, ack, TcpFlags::ACK, window(config), options)
    }

    fn timestamp(&self, now: Instant, config: &Config) -> Option<TcpTimestamp> {
        let echo = self.peer_timestamp.filter(|_| config.timestamps.is_on())?;
        Some(TcpTimestamp { value: clock(now, self.initial), echo })
    }

    /// Whether the number lies in the window that the SYN-ACK opened.
    pub(crate) fn accepts(&self, config: &Config, seq: SeqNumber) -> bool {
        seq.since(self.peer_initial + 1) < u32::from(window(config))
    }
}

fn window(config: &Config) -> u16 {
    u16::try_from(config.receive_capacity).unwrap_or(u16::MAX)
}
