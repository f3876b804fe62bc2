//! Half-open connections of all listeners: bounded, and a flood can't keep anybody out.
//!
//! Up to a limit, a SYN gets an entry, which keeps all options and repeats its SYN-ACK. Beyond that,
//! SYNs are answered with cookies. The alternative, evicting a random entry, was rejected: with 1,024
//! entries, 100,000 SYNs a second and a round trip of 50 ms, an honest client's entry survives with
//! probability e^-5; with cookies it always gets in.
//!
//! Source: RFC 4987 §3.6, §3.7; RFC 9293 §3.10.7.2, §3.10.7.4 (SYN-RECEIVED).

use alloc::vec::Vec;

use hashbrown::HashTable;
use swos_units::{Duration, Instant};
use swos_wire::TcpFlags;

use crate::config::{Config, Path};
use crate::connection::Connection;
use crate::cookie::Cookies;
use crate::half_open::HalfOpen;
use crate::isn::Flow;
use crate::segment::{Header, Transmit, answer_closed};

/// Whether the listener can take one more finished handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AcceptQueue {
    /// Yes.
    Room,
    /// No: the last segment of a handshake is ignored, and the peer repeats it.
    Full,
}

/// What to do with a segment for a listener.
#[must_use]
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, straight to where connections are kept")]
pub enum SynVerdict {
    /// Nothing.
    Ignore,
    /// Send this.
    Reply(Transmit),
    /// The handshake is complete. Give the connection the same segment
    /// ([`Connection::on_segment`]), which makes it ESTABLISHED.
    Established(Connection),
}

/// No slot.
const NONE: u32 = u32::MAX;

/// Levels of repetition: entries that sent equally many SYN-ACKs wait equally long, so each level is
/// a list in order of its deadlines.
const LEVELS: usize = 16;

/// Entries that one call drops.
const DROPPED_AT_ONCE: usize = 64;

/// As many SYN-ACKs as have a level of their own.
const TRANSMISSIONS_MAX: u8 = 15;

#[derive(Debug)]
struct Slot {
    flow: Flow,
    /// Of the flow: kept, for the index is moved in one piece when it grows.
    hash: u64,
    path: Path,
    half: HalfOpen,
    due: Instant,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

/// Half-open connections. One per stack.
///
/// **Invariant:** at most `limit` entries, whatever comes in; every operation is constant time, and
/// so is [`SynQueue::poll_transmit`].
pub struct SynQueue {
    slots: Vec<Slot>,
    free: u32,
    index: HashTable<u32>,
    levels: [List; LEVELS],
    limit: usize,
    key: [u8; 16],
    cookies: Cookies,
}

impl core::fmt::Debug for SynQueue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SynQueue")
            .field("len", &self.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl SynQueue {
    /// An empty queue for `limit` entries. `key` is secret and drawn at each boot.
    #[must_use]
    pub fn new(limit: usize, key: [u8; 16]) -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            index: HashTable::new(),
            levels: [List { first: NONE, last: NONE }; LEVELS],
            limit: limit.min(NONE as usize),
            key,
            cookies: Cookies::new(key),
        }
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Takes a SYN without ACK or RST for a listener, and returns the SYN-ACK to send. `isn` is our
    /// initial number, should a new entry need one.
    #[must_use]
    pub fn on_syn(
        &mut self,
        now: Instant,
        config: &Config,
        path: Path,
        flow: &Flow,
        isn: swos_wire::SeqNumber,
        syn: &Header,
    ) -> Option<Transmit> {
        if let Some((at, half)) = self.find(flow).and_then(|at| Some((at, self.slots.get(at as usize)?.half)))
        {
            if half.peer_initial != syn.seq {
                return Some(half.challenge(now, config));
            }
            // The peer is still there: wait for it anew, or the entry could go just when it answers.
            self.postpone(at, now, config);
            return Some(half.syn_ack(now, config, path));
        }
        let half = HalfOpen::of_syn(now, isn, syn);
        if self.insert(now, config, path, flow, half) {
            return Some(half.syn_ack(now, config, path));
        }
        let mss = syn.options.mss.unwrap_or(path.default_mss);
        let initial = self.cookies.issue(now, flow, syn.seq, mss);
        Some(
            HalfOpen { initial, peer_shift: None, peer_sack: false, peer_timestamp: None, ..half }
                .syn_ack(now, config, path),
        )
    }

    /// Takes any other segment for a listener that belongs to no connection.
    #[expect(
        clippy::too_many_arguments,
        reason = "context of every input, the segment, and the listener's room"
    )]
    pub fn on_segment(
        &mut self,
        now: Instant,
        config: &Config,
        path: Path,
        flow: &Flow,
        header: &Header,
        payload: usize,
        room: AcceptQueue,
    ) -> SynVerdict {
        let found = self.find(flow);
        let Some((at, half)) = found.and_then(|at| Some((at, self.slots.get(at as usize)?.half))) else {
            return self.on_stray(now, config, path, flow, header, payload, room);
        };
        if !half.accepts(config, header.seq) {
            let reset = header.has(TcpFlags::RST);
            return if reset { SynVerdict::Ignore } else { SynVerdict::Reply(half.challenge(now, config)) };
        }
        if header.has(TcpFlags::RST) {
            if header.seq == half.peer_initial + 1 {
                self.remove(at);
                return SynVerdict::Ignore;
            }
            return SynVerdict::Reply(half.challenge(now, config));
        }
        if header.has(TcpFlags::SYN) {
            return SynVerdict::Reply(half.challenge(now, config));
        }
        if !header.has(TcpFlags::ACK) {
            return SynVerdict::Ignore;
        }
        if header.ack != half.initial + 1 {
            return answer_closed(header, payload).map_or(SynVerdict::Ignore, SynVerdict::Reply);
        }
        match room {
            AcceptQueue::Full => SynVerdict::Ignore,
            AcceptQueue::Room => {
                self.remove(at);
                SynVerdict::Established(Connection::from_half_open(now, config, path, &half))
            }
        }
    }

    /// A segment without an entry: perhaps the ACK of a cookie.
    #[expect(clippy::too_many_arguments, reason = "the tail of on_segment")]
    fn on_stray(
        &self,
        now: Instant,
        config: &Config,
        path: Path,
        flow: &Flow,
        header: &Header,
        payload: usize,
        room: AcceptQueue,
    ) -> SynVerdict {
        if header.has(TcpFlags::RST) || !header.has(TcpFlags::ACK) {
            return SynVerdict::Ignore;
        }
        let (initial, peer_initial) = (header.ack - 1, header.seq - 1);
        let mss = if header.has(TcpFlags::SYN) {
            None
        } else {
            self.cookies.check(now, flow, peer_initial, initial)
        };
        let Some(mss) = mss else {
            return answer_closed(header, payload).map_or(SynVerdict::Ignore, SynVerdict::Reply);
        };
        if room == AcceptQueue::Full {
            return SynVerdict::Ignore;
        }
        let half = HalfOpen {
            initial,
            peer_initial,
            peer_window: header.window,
            peer_mss: Some(mss),
            peer_shift: None,
            peer_sack: false,
            peer_timestamp: None,
            sent: now,
            // When the cookie left is not known, so this handshake measures nothing.
            transmissions: 0,
        };
        SynVerdict::Established(Connection::from_half_open(now, config, path, &half))
    }

    /// When [`Self::poll_transmit`] has something to do, if nothing comes in.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let firsts = self.levels.iter().filter_map(|list| self.slots.get(list.first as usize));
        firsts.map(|slot| slot.due).min()
    }

    /// The next SYN-ACK to repeat; call until `None` at each [`Self::deadline`]. Drops entries whose
    /// peer never answered, at most 64 in one call: if there are more, the deadline stays in the past.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, config: &Config) -> Option<(Flow, Transmit)> {
        for _ in 0..DROPPED_AT_ONCE {
            let overdue =
                |list: &&List| self.slots.get(list.first as usize).is_some_and(|slot| slot.due <= now);
            let at = self.levels.iter().find(overdue)?.first;
            let level = self.level_of(at);
            self.unlink(at, level);
            let slot = self.slots.get_mut(at as usize)?;
            if slot.half.transmissions >= config.syn_ack_transmissions.min(TRANSMISSIONS_MAX) {
                self.forget(at);
                continue;
            }
            slot.half.transmissions = slot.half.transmissions.saturating_add(1);
            slot.half.sent = now;
            slot.due = now + interval(config, slot.half.transmissions);
            let result = (slot.flow, slot.half.syn_ack(now, config, slot.path));
            self.link(at);
            return Some(result);
        }
        None
    }

    fn hash(&self, flow: &Flow) -> u64 {
        flow.keyed_hash(&self.key, u64::MAX)
    }

    fn find(&self, flow: &Flow) -> Option<u32> {
        if self.index.is_empty() {
            return None;
        }
        let same = |at: &u32| self.slots.get(*at as usize).is_some_and(|slot| slot.flow == *flow);
        self.index.find(self.hash(flow), same).copied()
    }

    /// Whether there was room.
    fn insert(&mut self, now: Instant, config: &Config, path: Path, flow: &Flow, half: HalfOpen) -> bool {
        if self.len() >= self.limit {
            return false;
        }
        let due = now + interval(config, half.transmissions);
        let hash = self.hash(flow);
        let slot = Slot { flow: *flow, hash, path, half, due, previous: NONE, next: NONE };
        let slots = &self.slots;
        let rehash = |at: &u32| slots.get(*at as usize).map_or(0, |slot| slot.hash);
        if self.index.try_reserve(1, rehash).is_err() {
            return false;
        }
        let at = if let Some(old) = self.slots.get_mut(self.free as usize) {
            let at = self.free;
            self.free = old.next;
            *old = slot;
            at
        } else {
            let Ok(at) = u32::try_from(self.slots.len()) else { return false };
            if self.slots.try_reserve(1).is_err() {
                return false;
            }
            self.slots.push(slot);
            at
        };
        // Room was reserved, so nothing is rehashed here.
        self.index.insert_unique(hash, at, |_| 0);
        self.link(at);
        true
    }

    /// Lets the slot wait from now on.
    fn postpone(&mut self, at: u32, now: Instant, config: &Config) {
        let level = self.level_of(at);
        self.unlink(at, level);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.due = now + interval(config, slot.half.transmissions);
        }
        self.link(at);
    }

    fn remove(&mut self, at: u32) {
        let level = self.level_of(at);
        self.unlink(at, level);
        self.forget(at);
    }

    /// Gives the slot, which is in no list, back.
    fn forget(&mut self, at: u32) {
        let Some(hash) = self.slots.get(at as usize).map(|slot| slot.hash) else { return };
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == at) {
            entry.remove();
        }
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.next = self.free;
            self.free = at;
        }
    }

    fn level_of(&self, at: u32) -> usize {
        let transmissions = self.slots.get(at as usize).map_or(0, |slot| slot.half.transmissions);
        usize::from(transmissions).min(LEVELS - 1)
    }

    /// Appends the slot to the list of its level.
    fn link(&mut self, at: u32) {
        let level = self.level_of(at);
        let Some(list) = self.levels.get_mut(level) else { return };
        let last = list.last;
        list.last = at;
        if last == NONE {
            list.first = at;
        } else if let Some(slot) = self.slots.get_mut(last as usize) {
            slot.next = at;
        }
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.previous = last;
            slot.next = NONE;
        }
    }

    fn unlink(&mut self, at: u32, level: usize) {
        let Some((previous, next)) = self.slots.get(at as usize).map(|slot| (slot.previous, slot.next))
        else {
            return;
        };
        let Some(list) = self.levels.get_mut(level) else { return };
        match self.slots.get_mut(previous as usize) {
            Some(slot) => slot.next = next,
            None => list.first = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.previous = previous,
            None => list.last = previous,
        }
    }
}

/// How long to wait after `transmissions` SYN-ACKs.
fn interval(config: &Config, transmissions: u8) -> Duration {
    let doublings = u32::from(transmissions.saturating_sub(1)).min(16);
    let doubled = config.rto_initial.saturating_mul(1 << doublings);
    Duration::from_nanos(doubled.as_nanos().min(config.rto_max.as_nanos()))
}

#[cfg(test)]
mod tests;
