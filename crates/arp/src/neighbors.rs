//! The table and its rules.

use alloc::boxed::Box;
use alloc::vec;
use core::net::Ipv4Addr;

use swos_units::{Duration, Instant};
use swos_wire::{ArpOperation, ArpRepr, MacAddr};

/// Entries that share a hash value; a new one replaces the least recently used of its set.
const WAYS: usize = 4;
/// RFC 1122 §2.3.2.1: no more than one request a second to a destination.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 5227 §2.4: how often we answer a conflict with an announcement.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Sizes and times of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// Most entries; rounded up to a power of two, at least 4.
    pub entries: usize,
    /// How long an entry is used without a sign of life.
    pub lifetime: Duration,
    /// When an entry in use is verified with a unicast request, before it expires.
    pub verify_after: Duration,
    /// How long an entry that has just been confirmed does not change its link address.
    pub lock: Duration,
    /// Requests before a neighbour counts as unreachable.
    pub attempts: u8,
    /// How long it then does before it is asked for again.
    pub hold_down: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            entries: 256,
            lifetime: Duration::from_secs(120),
            verify_after: Duration::from_secs(90),
            lock: Duration::from_secs(1),
            attempts: 3,
            hold_down: Duration::from_secs(2),
        }
    }
}

/// What is known about a neighbour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// Its link address.
    Known(MacAddr),
    /// It was asked; [`Action::Resolved`] or [`Action::Failed`] will tell.
    Pending,
    /// It did not answer a moment ago.
    Unreachable,
}

/// What to do next.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send this packet.
    Send {
        /// Receiver of the frame.
        to: MacAddr,
        /// The packet.
        packet: ArpRepr,
    },
    /// The neighbour's link address is known now.
    Resolved {
        /// The neighbour.
        address: Ipv4Addr,
    },
    /// The neighbour does not answer.
    Failed {
        /// The neighbour.
        address: Ipv4Addr,
    },
    /// Another station uses our address: an operator has to know.
    Conflict {
        /// The other station.
        mac: MacAddr,
    },
}

#[derive(Clone, Copy, Debug)]
enum State {
    Vacant,
    /// Asked `sent` times; the next request (or giving up) is due at `next`.
    Asking {
        sent: u8,
        next: Instant,
    },
    /// `verify_at`: earliest moment of the next unicast request. `told`: [`Action::Resolved`] was given.
    Known {
        mac: MacAddr,
        confirmed: Instant,
        verify_at: Instant,
        told: bool,
    },
    /// Not asked again before `until`.
    Failed {
        until: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: Ipv4Addr,
    used: Instant,
    state: State,
}

const VACANT: Entry = Entry { address: Ipv4Addr::UNSPECIFIED, used: Instant::ZERO, state: State::Vacant };

/// The neighbours of one interface.
#[derive(Debug)]
pub struct Neighbors {
    config: Config,
    mac: MacAddr,
    address: Option<Ipv4Addr>,
    key: u64,
    sets: Box<[[Entry; WAYS]]>,
    /// Earliest moment at which there is something to do, zero for now. Never later than the truth.
    due: Instant,
    reply: Option<ArpRepr>,
    /// A unicast request to verify an entry in use.
    verify: Option<(MacAddr, Ipv4Addr)>,
    announce: bool,
    conflict: Option<MacAddr>,
    defended: Option<Instant>,
}

impl Neighbors {
    /// An empty table for the station `mac`. `key` is secret: who does not know it can't aim at one
    /// set of the table.
    #[must_use]
    pub fn new(config: Config, mac: MacAddr, key: u64) -> Self {
        let sets = config.entries.next_power_of_two().div_ceil(WAYS).max(1);
        Self {
            config,
            mac,
            address: None,
            key,
            sets: vec![[VACANT; WAYS]; sets].into_boxed_slice(),
            due: Instant::FAR_FUTURE,
            reply: None,
            verify: None,
            announce: false,
            conflict: None,
            defended: None,
        }
    }

    /// Takes or gives up an address. What was learned is forgotten; a new address is announced once
    /// (RFC 5227 §2.3).
    pub fn set_address(&mut self, now: Instant, address: Option<Ipv4Addr>) {
        self.address = address;
        self.sets.fill([VACANT; WAYS]);
        self.due = Instant::FAR_FUTURE;
        self.reply = None;
        self.verify = None;
        self.conflict = None;
        self.announce = address.is_some();
        if self.announce {
            self.due = Instant::ZERO;
        }
        self.defended = address.map(|_| now);
    }

    /// Asks for the link address of `address`, a unicast address on this link. Who has no address can't ask.
    pub fn resolve(&mut self, now: Instant, address: Ipv4Addr) -> Resolution {
        if self.address.is_none() {
            return Resolution::Unreachable;
        }
        let set = self.set_of(address);
        let entries = &mut self.sets[set];
        let Some(entry) = entries.iter_mut().find(|entry| entry.address == address && entry.is_live()) else {
            return self.ask(now, set, address);
        };
        entry.used = now;
        match &mut entry.state {
            State::Known { mac, confirmed, verify_at, .. } => {
                let mac = *mac;
                if *verify_at > now {
                    return Resolution::Known(mac);
                }
                if now.since(*confirmed) < self.config.lifetime {
                    *verify_at = now + REQUEST_INTERVAL;
                    self.verify = Some((mac, address));
                    self.due = Instant::ZERO;
                    return Resolution::Known(mac);
                }
                entry.state = State::Asking { sent: 0, next: now };
                self.due = Instant::ZERO;
                Resolution::Pending
            }
            State::Asking { .. } => Resolution::Pending,
            State::Failed { until } if *until <= now => {
                entry.state = State::Asking { sent: 0, next: now };
                self.due = Instant::ZERO;
                Resolution::Pending
            }
            State::Failed { .. } => Resolution::Unreachable,
            // Unreachable by `is_live`; a vacant entry has nothing to say.
            State::Vacant => Resolution::Pending,
        }
    }

    /// Takes a received packet. Its sender must be the sender of the frame; the caller has checked.
    ///
    /// Source: RFC 826 "Packet Reception".
    pub fn on_packet(&mut self, now: Instant, packet: &ArpRepr) {
        let Some(own) = self.address else { return };
        if packet.sender_mac == self.mac || !packet.sender_mac.is_station() {
            return;
        }
        if packet.sender_ip == own {
            self.on_conflict(now, packet.sender_mac);
            return;
        }
        self.refresh(now, packet.sender_ip, packet.sender_mac);
        if packet.operation == ArpOperation::Request && packet.target_ip == own {
            self.due = Instant::ZERO;
            self.reply = Some(ArpRepr {
                operation: ArpOperation::Reply,
                sender_mac: self.mac,
                sender_ip: own,
                target_mac: packet.sender_mac,
                target_ip: packet.sender_ip,
            });
        }
    }

    /// The next thing to do at `now`; ask until there is none. At most `attempts` + 2 a neighbour.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        // Asked for every batch of frames, and mostly in vain.
        if self.due > now { None } else { self.act(now) }
    }

    fn act(&mut self, now: Instant) -> Option<Action> {
        let Some(own) = self.address else {
            self.due = Instant::FAR_FUTURE;
            return None;
        };
        if let Some(packet) = self.reply.take() {
            return Some(Action::Send { to: packet.target_mac, packet });
        }
        if let Some(mac) = self.conflict.take() {
            return Some(Action::Conflict { mac });
        }
        if core::mem::take(&mut self.announce) {
            return Some(Action::Send { to: MacAddr::BROADCAST, packet: self.request(own, own) });
        }
        if let Some((to, address)) = self.verify.take() {
            return Some(Action::Send { to, packet: self.request(own, address) });
        }
        self.scan(now, own)
    }

    /// When [`Self::poll`] has something to do without any other input.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        (self.due != Instant::FAR_FUTURE).then_some(self.due)
    }

    /// Entries in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.iter().flatten().filter(|entry| entry.is_live()).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn scan(&mut self, now: Instant, own: Ipv4Addr) -> Option<Action> {
        let mut due = Instant::FAR_FUTURE;
        let mut action = None;
        for entry in self.sets.iter_mut().flatten() {
            if action.is_none() {
                action = entry.act(now, &self.config);
            }
            due = due.min(entry.due());
        }
        self.due = due;
        action.map(|act| match act {
            Act::Ask(address) => Action::Send { to: MacAddr::BROADCAST, packet: self.request(own, address) },
            Act::Resolved(address) => Action::Resolved { address },
            Act::Failed(address) => Action::Failed { address },
        })
    }

    fn request(&self, own: Ipv4Addr, target: Ipv4Addr) -> ArpRepr {
        ArpRepr {
            operation: ArpOperation::Request,
            sender_mac: self.mac,
            sender_ip: own,
            target_mac: MacAddr::UNSPECIFIED,
            target_ip: target,
        }
    }

    /// Starts to ask for an address that has no entry. A set full of neighbours that are being asked
    /// takes no other: then the sender has to try again.
    fn ask(&mut self, now: Instant, set: usize, address: Ipv4Addr) -> Resolution {
        let victim = self.sets[set]
            .iter_mut()
            .filter(|entry| !matches!(entry.state, State::Asking { .. }))
            .min_by_key(
                |entry| if entry.is_live() { entry.used.max(Instant::from_nanos(1)) } else { Instant::ZERO },
            );
        let Some(victim) = victim else { return Resolution::Unreachable };
        *victim = Entry { address, used: now, state: State::Asking { sent: 0, next: now } };
        self.due = Instant::ZERO;
        Resolution::Pending
    }

    /// Updates an entry that exists; creates none (RFC 826's "merge flag" without its second half).
    fn refresh(&mut self, now: Instant, address: Ipv4Addr, mac: MacAddr) {
        let set = self.set_of(address);
        let Some(entry) = self.sets[set].iter_mut().find(|entry| entry.address == address && entry.is_live())
        else {
            return;
        };
        let verify_at = now + self.config.verify_after;
        match &mut entry.state {
            State::Known { mac: known, confirmed, .. } if *known != mac => {
                // Two stations answer, or someone lies: the first answer stands for a while.
                if now.since(*confirmed) < self.config.lock {
                    return;
                }
                entry.state = State::Known { mac, confirmed: now, verify_at, told: true };
            }
            State::Known { confirmed, verify_at: verify, .. } => {
                *confirmed = now;
                *verify = verify_at;
            }
            State::Asking { .. } | State::Failed { .. } => {
                entry.state = State::Known { mac, confirmed: now, verify_at, told: false };
                self.due = Instant::ZERO;
            }
            State::Vacant => {}
        }
    }

    fn on_conflict(&mut self, now: Instant, mac: MacAddr) {
        self.conflict = Some(mac);
        self.due = Instant::ZERO;
        if self.defended.is_none_or(|last| now.since(last) >= DEFEND_INTERVAL) {
            self.defended = Some(now);
            self.announce = true;
        }
    }

    fn set_of(&self, address: Ipv4Addr) -> usize {
        let mixed = (u64::from(address.to_bits()) ^ self.key).wrapping_mul(self.key | 1);
        let index = (mixed >> 32) as usize;
        index & (self.sets.len() - 1)
    }
}

/// What an entry has to do.
enum Act {
    Ask(Ipv4Addr),
    Resolved(Ipv4Addr),
    Failed(Ipv4Addr),
}

impl Entry {
    const fn is_live(&self) -> bool {
        !matches!(self.state, State::Vacant)
    }

    fn due(&self) -> Instant {
        match self.state {
            State::Asking { next, .. } => next,
            State::Known { told: false, .. } => Instant::ZERO,
            State::Vacant | State::Known { .. } | State::Failed { .. } => Instant::FAR_FUTURE,
        }
    }

    fn act(&mut self, now: Instant, config: &Config) -> Option<Act> {
        match &mut self.state {
            State::Asking { sent, next } if *next <= now => {
                if *sent >= config.attempts {
                    self.state = State::Failed { until: now + config.hold_down };
                    return Some(Act::Failed(self.address));
                }
                *sent += 1;
                *next = now + REQUEST_INTERVAL;
                Some(Act::Ask(self.address))
            }
            State::Known { told: told @ false, .. } => {
                *told = true;
                Some(Act::Resolved(self.address))
            }
            State::Vacant | State::Asking { .. } | State::Known { .. } | State::Failed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
