//! Initial sequence numbers and SYN cookies: keyed functions of who talks to whom.
//!
//! SipHash-2-4 is the function: a pseudo-random function with a 128-bit key, made for short inputs.
//! RFC 6528 asks for no more, and it costs a tenth of SHA-256 without instructions for it, which
//! matters because a SYN flood makes the victim compute it for every segment.

use core::hash::Hasher as _;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;
use swos_units::Instant;
use swos_wire::SeqNumber;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Flow {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
}

impl Flow {
    /// A keyed hash of the flow and `extra`; unpredictable to whoever does not know the key.
    #[must_use]
    pub fn keyed_hash(&self, key: &[u8; 16], extra: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(key);
        write_address(&mut hasher, self.local.ip());
        write_address(&mut hasher, self.remote.ip());
        hasher.write_u32(u32::from(self.local.port()) << 16 | u32::from(self.remote.port()));
        hasher.write_u64(extra);
        hasher.finish()
    }
}

fn write_address(hasher: &mut SipHasher24, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => hasher.write_u32(v4.to_bits()),
        IpAddr::V6(v6) => hasher.write(&v6.octets()),
    }
}

/// Makes initial sequence numbers: a 4 µs clock plus a keyed function of the flow. Numbers of one
/// flow rise with time, so that old segments of an earlier incarnation are recognised; those of
/// different flows have nothing to do with each other.
///
/// Source: RFC 6528 §3, RFC 9293 §3.4.1 (MUST-8, MUST-9).
#[derive(Clone)]
pub struct IsnGenerator {
    key: [u8; 16],
}

impl core::fmt::Debug for IsnGenerator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("IsnGenerator")
    }
}

impl IsnGenerator {
    /// A generator with a secret `key` from the system's random source, drawn anew at each boot.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The initial sequence number of a connection that begins now.
    #[must_use]
    pub fn isn(&self, now: Instant, flow: &Flow) -> SeqNumber {
        let clock = low_word(now.as_nanos() / 4_000);
        SeqNumber(low_word(flow.keyed_hash(&self.key, 0)).wrapping_add(clock))
    }

    /// The same for a flow whose last incarnation, still in TIME-WAIT, ended at `last`: a number
    /// that also lies after that.
    ///
    /// Source: RFC 1122 §4.2.2.13 (b).
    #[must_use]
    pub fn isn_after(&self, now: Instant, flow: &Flow, last: SeqNumber) -> SeqNumber {
        /// A gap as wide as the largest unscaled window.
        const GAP: u32 = 0x1_0000;
        self.isn(now, flow).max(last + GAP)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
pub(crate) const fn low_word(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests;
