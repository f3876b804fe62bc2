//! Time stamps: protection against wrapped numbers, and measurements that survive repetition.
//!
//! Source: RFC 7323 §3..5.

use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpTimestamp};

use crate::isn::low_word;
use crate::segment::Header;

/// After so long without a segment, any time stamp counts as new (RFC 7323 §5.5).
const STALE: Duration = Duration::from_secs(24 * 24 * 3600);

/// State of a connection whose ends agreed on time stamps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamps {
    /// `TS.Recent`: what to echo.
    recent: u32,
    recent_at: Instant,
    /// Our initial number: shifts our clock, so that it tells nobody how long the machine runs.
    offset: SeqNumber,
}

/// Our clock of one millisecond, as a connection with this initial number shows it.
pub(crate) const fn clock(now: Instant, offset: SeqNumber) -> u32 {
    low_word(now.as_millis()).wrapping_add(offset.0)
}

impl Stamps {
    pub(crate) const fn new(now: Instant, peer: TcpTimestamp, offset: SeqNumber) -> Self {
        Self { recent: peer.value, recent_at: now, offset }
    }

    /// The option for a segment that leaves now.
    pub(crate) const fn option(&self, now: Instant) -> TcpTimestamp {
        TcpTimestamp { value: clock(now, self.offset), echo: self.recent }
    }

    /// Whether a segment with this stamp may be of an earlier round of the number space (PAWS).
    pub(crate) const fn is_old(&self, now: Instant, stamp: TcpTimestamp) -> bool {
        stamp.value.wrapping_sub(self.recent).cast_signed() < 0
            && now.since(self.recent_at).as_nanos() < STALE.as_nanos()
    }

    /// Takes the stamp of an acceptable segment if that covers `last_ack`, the acknowledgment that
    /// we sent last (§4.3).
    pub(crate) fn update(&mut self, now: Instant, header: &Header, last_ack: SeqNumber) {
        if let Some(stamp) = header.options.timestamp
            && !header.seq.is_after(last_ack)
            && !self.is_old(now, stamp)
        {
            self.recent = stamp.value;
            self.recent_at = now;
        }
    }

    /// The round-trip time that an echo shows, unless it is not ours.
    pub(crate) fn measure(&self, now: Instant, stamp: TcpTimestamp) -> Option<Duration> {
        let millis = clock(now, self.offset).wrapping_sub(stamp.echo);
        (millis.cast_signed() >= 0).then(|| Duration::from_millis(u64::from(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn rfc_7323_5_old_stamps_are_recognised_until_they_are_stale() {
        let start = Instant::ZERO + HOUR;
        let stamps = Stamps::new(start, TcpTimestamp { value: 5, echo: 0 }, SeqNumber(9));
        let old = TcpTimestamp { value: u32::MAX, echo: 0 };
        assert!(stamps.is_old(start, old) && !stamps.is_old(start, TcpTimestamp { value: 5, echo: 0 }));
        assert!(stamps.is_old(start + HOUR, old));
        assert!(!stamps.is_old(start + STALE, old));
    }

    #[test]
    fn measures_its_own_echo_only() {
        let start = Instant::ZERO + HOUR;
        let stamps = Stamps::new(start, TcpTimestamp { value: 5, echo: 0 }, SeqNumber(u32::MAX));
        let echo = stamps.option(start).value;
        let later = start + Duration::from_millis(70);
        assert_eq!(stamps.measure(later, TcpTimestamp { value: 0, echo }), Some(Duration::from_millis(70)));
        assert_eq!(stamps.measure(start, TcpTimestamp { value: 0, echo: echo.wrapping_add(1) }), None);
    }
}
