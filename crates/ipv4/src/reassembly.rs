//! Fragments become datagrams again.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use swos_units::{Duration, Instant};
use swos_wire::{IpProtocol, Ipv4View};

/// Ranges that one datagram may be scattered over before it is given up: more only come from
/// someone who wants to cost us time.
const MAX_PIECES: usize = 64;

/// What reassembly may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReassemblyLimits {
    /// Datagrams in the making at a time; beyond them the oldest is dropped.
    pub datagrams: usize,
    /// Longest datagram, without header; at least 556 (RFC 791 asks for 576 with header).
    pub datagram_bytes: usize,
    /// How long after the first fragment to arrive a datagram is kept; RFC 1122 asks for 60 to 120 s.
    pub lifetime: Duration,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self { datagrams: 8, datagram_bytes: 16 << 10, lifetime: Duration::from_secs(60) }
    }
}

/// A datagram that was whole at last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datagram {
    /// The sender.
    pub src: Ipv4Addr,
    /// The receiver.
    pub dst: Ipv4Addr,
    /// What the payload is.
    pub protocol: IpProtocol,
    /// The bytes after the IP header.
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Key {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: IpProtocol,
    ident: u16,
}

#[derive(Debug)]
struct Partial {
    key: Key,
    expires: Instant,
    bytes: Vec<u8>,
    /// Received ranges, ordered, disjoint, neighbours merged.
    pieces: Vec<(usize, usize)>,
    /// Known once the last fragment came.
    total: Option<usize>,
    /// Fragments disagreed: what still comes is swallowed until the datagram expires.
    poisoned: bool,
}

/// Datagrams in the making.
///
/// **Overlap policy:** a fragment that repeats bytes exactly as a whole earlier range is ignored; one that
/// overlaps in any other way drops the datagram and all its fragments to come (RFC 5722 §4), so that no
/// order of arrival can smuggle bytes past a filter.
#[derive(Debug)]
pub struct Reassembly {
    limits: ReassemblyLimits,
    partials: Vec<Partial>,
}

impl Reassembly {
    /// Nothing in the making.
    #[must_use]
    pub const fn new(limits: ReassemblyLimits) -> Self {
        Self { limits, partials: Vec::new() }
    }

    /// Takes a fragment; returns the datagram if that was the last piece. Work is bounded by the number of
    /// datagrams in the making, the ranges of one and one copy of the fragment.
    pub fn on_fragment(&mut self, now: Instant, packet: &Ipv4View<'_>) -> Option<Datagram> {
        self.on_timeout(now);
        let offset = usize::from(packet.fragment_offset());
        let payload = packet.payload();
        let end = offset + payload.len();
        // All but the last carry a multiple of 8 bytes; a packet beyond the limit is nothing we can answer
        // (the "ping of death" ends here).
        let ragged = packet.more_fragments() && payload.len() % 8 != 0;
        if payload.is_empty() || ragged || end > self.limits.datagram_bytes {
            return None;
        }
        let key =
            Key { src: packet.src(), dst: packet.dst(), protocol: packet.protocol(), ident: packet.ident() };
        let at =
            self.partials.iter().position(|partial| partial.key == key).or_else(|| self.begin(now, key))?;
        let partial = self.partials.get_mut(at)?;
        if !partial.place(offset, payload, packet.more_fragments()) {
            partial.poison();
            return None;
        }
        if !partial.is_whole() {
            return None;
        }
        let Partial { key, bytes, .. } = self.partials.swap_remove(at);
        Some(Datagram { src: key.src, dst: key.dst, protocol: key.protocol, payload: bytes })
    }

    /// Drops what is too old.
    pub fn on_timeout(&mut self, now: Instant) {
        self.partials.retain(|partial| partial.expires > now);
    }

    /// When [`Self::on_timeout`] has something to drop.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.partials.iter().map(|partial| partial.expires).min()
    }

    /// Bytes held.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.partials.iter().map(|partial| partial.bytes.capacity()).sum()
    }

    /// The place of a new one; `None` if there is no memory for it.
    fn begin(&mut self, now: Instant, key: Key) -> Option<usize> {
        if self.partials.len() >= self.limits.datagrams.max(1) {
            let oldest = (0..self.partials.len()).min_by_key(|at| self.partials[*at].expires).unwrap_or(0);
            self.partials.swap_remove(oldest);
        }
        self.partials.try_reserve(1).ok()?;
        self.partials.push(Partial {
            key,
            expires: now + self.limits.lifetime,
            bytes: Vec::new(),
            pieces: Vec::new(),
            total: None,
            poisoned: false,
        });
        Some(self.partials.len() - 1)
    }
}

impl Partial {
    /// Puts a fragment into its place; `false` if it contradicts what came before, or there is no memory for it.
    fn place(&mut self, offset: usize, payload: &[u8], more: bool) -> bool {
        let end = offset + payload.len();
        if self.poisoned {
            return false;
        }
        if !more && self.total.is_some_and(|total| total != end) {
            return false;
        }
        if self.total.is_some_and(|total| end > total) {
            return false;
        }
        if !more && self.pieces.last().is_some_and(|last| last.1 > end) {
            return false;
        }
        // The first range that ends after our begin.
        let at = self.pieces.partition_point(|piece| piece.1 <= offset);
        if let Some(&(begin, stop)) = self.pieces.get(at).filter(|piece| piece.0 < end) {
            // A repetition is harmless when it lies within what came and says the same.
            return begin <= offset && end <= stop && self.bytes.get(offset..end) == Some(payload);
        }
        let more_bytes = end.saturating_sub(self.bytes.len());
        if self.bytes.try_reserve(more_bytes).is_err() || self.pieces.try_reserve(1).is_err() {
            return false;
        }
        if more_bytes > 0 {
            self.bytes.resize(end, 0);
        }
        let Some(place) = self.bytes.get_mut(offset..end) else { return false };
        place.copy_from_slice(payload);
        if !more {
            self.total = Some(end);
        }
        self.insert(at, offset, end)
    }

    /// Records a range before piece `at`, merging neighbours.
    fn insert(&mut self, at: usize, offset: usize, end: usize) -> bool {
        let joins_left = at > 0 && self.pieces[at - 1].1 == offset;
        let joins_right = self.pieces.get(at).is_some_and(|right| right.0 == end);
        match (joins_left, joins_right) {
            (true, true) => {
                self.pieces[at - 1].1 = self.pieces[at].1;
                self.pieces.remove(at);
            }
            (true, false) => self.pieces[at - 1].1 = end,
            (false, true) => self.pieces[at].0 = offset,
            (false, false) if self.pieces.len() >= MAX_PIECES => return false,
            (false, false) => self.pieces.insert(at, (offset, end)),
        }
        true
    }

    fn is_whole(&self) -> bool {
        matches!((self.total, self.pieces.as_slice()), (Some(total), [(0, end)]) if *end == total)
    }

    fn poison(&mut self) {
        self.poisoned = true;
        self.bytes = Vec::new();
        self.pieces = Vec::new();
    }
}

#[cfg(test)]
mod tests;
