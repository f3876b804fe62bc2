//! The link between two hosts.

use std::collections::BTreeMap;

use swos_units::{Duration, Instant};
use swos_wire::{EtherType, EthernetView};

use crate::dice::Dice;

/// What the link does to frames, each in percent of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Faults {
    /// Frames that vanish.
    pub loss: u8,
    /// Frames that arrive twice.
    pub duplicate: u8,
    /// Frames that are overtaken by others.
    pub reorder: u8,
    /// Frames in which bits are flipped. Only behind the Ethernet header and not in ARP: there the
    /// frame check sequence, which is not simulated, is the only guard.
    pub corrupt: u8,
    /// Frames held up for many times the normal delay.
    pub delay: u8,
    /// Time from one end to the other.
    pub latency: Duration,
}

impl Faults {
    /// A perfect link.
    #[must_use]
    pub const fn none(latency: Duration) -> Self {
        Self { loss: 0, duplicate: 0, reorder: 0, corrupt: 0, delay: 0, latency }
    }

    /// Every fault with `percent`.
    #[must_use]
    pub const fn all(percent: u8, latency: Duration) -> Self {
        Self {
            loss: percent,
            duplicate: percent,
            reorder: percent,
            corrupt: percent,
            delay: percent,
            latency,
        }
    }

    /// Faults of up to `percent` each, and a latency up to 100 ms, by chance.
    pub fn random(dice: &mut Dice, percent: u8) -> Self {
        let mut some = || u8::try_from(dice.below(u64::from(percent) + 1)).unwrap_or(0);
        let (loss, duplicate, reorder, corrupt, delay) = (some(), some(), some(), some(), some());
        let latency = Duration::from_micros(1 + dice.below(100_000));
        Self { loss, duplicate, reorder, corrupt, delay, latency }
    }
}

/// Frames under way. The order of arrival depends only on the seed.
#[derive(Debug)]
pub struct Link {
    faults: Faults,
    dice: Dice,
    /// By arrival, then by number, so that equal times keep their order.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    serial: u64,
}

impl Link {
    /// An empty link.
    #[must_use]
    pub const fn new(seed: u64, faults: Faults) -> Self {
        Self { faults, dice: Dice::new(seed), flying: BTreeMap::new(), serial: 0 }
    }

    /// Changes what happens to frames sent from now on.
    pub const fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Sends a frame to end `to`.
    pub fn send(&mut self, now: Instant, to: usize, mut frame: Vec<u8>) {
        let faults = self.faults;
        if self.dice.percent(faults.loss) {
            return;
        }
        if self.dice.percent(faults.duplicate) {
            self.launch(now, to, frame.clone());
        }
        let is_ip = EthernetView::parse(&frame).is_ok_and(|view| view.ethertype() == EtherType::IPV4);
        if is_ip && self.dice.percent(faults.corrupt) {
            let at = 14 + self.dice.index(frame.len() - 14);
            if let Some(octet) = frame.get_mut(at) {
                *octet ^= 1 << self.dice.below(8);
            }
        }
        self.launch(now, to, frame);
    }

    fn launch(&mut self, now: Instant, to: usize, frame: Vec<u8>) {
        let latency = self.faults.latency;
        let mut at = now + latency;
        if self.dice.percent(self.faults.reorder) {
            at = at + Duration::from_nanos(self.dice.below(2 * latency.as_nanos() + 1));
        }
        if self.dice.percent(self.faults.delay) {
            at = at + Duration::from_nanos(self.dice.below(20 * latency.as_nanos() + 1));
        }
        self.serial += 1;
        self.flying.insert((at, self.serial), (to, frame));
    }

    /// When the next frame arrives.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.flying.keys().next().map(|(at, _)| *at)
    }

    /// The next frame that has arrived, and at which end.
    pub fn arrived(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let entry = self.flying.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}
