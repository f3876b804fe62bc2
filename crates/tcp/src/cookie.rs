//! SYN cookies: a half-open connection kept in nothing but our initial sequence number.
//!
//! The number is 29 bits of a keyed hash over flow, peer's initial number, MSS class and epoch, and
//! 3 bits that name the MSS class. The ACK of a handshake brings it back plus one. A blind ACK hits
//! with probability 2^-28, and only while cookies were handed out in the last two minutes. What does
//! not fit (window scale) is not used on such a connection.
//!
//! Source: RFC 4987 §3.6.

use swos_units::{Duration, Instant};
use swos_wire::SeqNumber;

use crate::isn::{Flow, low_word};

/// MSS classes: the largest that does not exceed the peer's is chosen.
const CLASSES: [u16; 8] = [216, 536, 1220, 1340, 1440, 1460, 4312, 8960];

/// How long an epoch lasts. A cookie counts in its epoch and the next.
const EPOCH: Duration = Duration::from_secs(64);

/// The cookies of one stack.
#[derive(Clone)]
pub(crate) struct Cookies {
    key: [u8; 16],
    issued: Option<Instant>,
}

impl Cookies {
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self { key, issued: None }
    }

    /// The initial number to answer a SYN with.
    pub(crate) fn issue(
        &mut self,
        now: Instant,
        flow: &Flow,
        peer_initial: SeqNumber,
        peer_mss: u16,
    ) -> SeqNumber {
        self.issued = Some(now);
        let class = CLASSES.iter().rposition(|&mss| mss <= peer_mss).unwrap_or(0);
        self.number(flow, peer_initial, epoch(now), low_word(class as u64))
    }

    /// The peer's MSS, if `cookie` is one that was issued for this flow not long ago.
    pub(crate) fn check(
        &self,
        now: Instant,
        flow: &Flow,
        peer_initial: SeqNumber,
        cookie: SeqNumber,
    ) -> Option<u16> {
        let recent = self.issued.is_some_and(|at| now.since(at) < EPOCH.saturating_mul(2));
        if !recent {
            return None;
        }
        let epochs = [Some(epoch(now)), epoch(now).checked_sub(1)];
        epochs.into_iter().flatten().find_map(|epoch| {
            let class = (cookie.0 ^ self.mask(flow, peer_initial, epoch)) & 7;
            let genuine = self.number(flow, peer_initial, epoch, class) == cookie;
            CLASSES.get(class as usize).copied().filter(|_| genuine)
        })
    }

    fn number(&self, flow: &Flow, peer_initial: SeqNumber, epoch: u64, class: u32) -> SeqNumber {
        let input = u64::from(peer_initial.0) << 32 | (epoch & 0x0fff_ffff) << 4 | (u64::from(class) + 1);
        let hash = low_word(flow.keyed_hash(&self.key, input));
        SeqNumber(hash & !7 | (class ^ self.mask(flow, peer_initial, epoch)) & 7)
    }

    /// Hides the class, so that the low bits are no pattern either. 0 is no class of `number`.
    fn mask(&self, flow: &Flow, peer_initial: SeqNumber, epoch: u64) -> u32 {
        let input = u64::from(peer_initial.0) << 32 | (epoch & 0x0fff_ffff) << 4;
        low_word(flow.keyed_hash(&self.key, input))
    }
}

const fn epoch(now: Instant) -> u64 {
    now.as_nanos() / EPOCH.as_nanos()
}

#[cfg(test)]
mod tests;
