//! Signals that were sent and not yet taken.

use alloc::vec::Vec;

use swos_abi::{SIGRTMIN, SignalInfo, SignalSet};

/// What `signal_queue` and `kill` may leave waiting of real-time signals at one process or thread.
pub const QUEUE_MAX: usize = 64;

/// Too many wait already, or memory is short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// Pending signals of one process or one thread, with what is known of each.
///
/// A standard signal is pending once, however often it was sent; the first sender is told of. Real-time signals are queued.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    set: SignalSet,
    /// In order of arrival. A standard signal may lack its entry when memory was short: it is pending all the same.
    queue: Vec<SignalInfo>,
}

impl Pending {
    pub(crate) const fn new() -> Self {
        Self { set: SignalSet::EMPTY, queue: Vec::new() }
    }

    pub(crate) const fn set(&self) -> SignalSet {
        self.set
    }

    pub(crate) fn add(&mut self, info: SignalInfo) -> Result<(), Full> {
        let signal = info.signal;
        if signal < SIGRTMIN {
            if !self.set.contains(signal) && self.queue.try_reserve(1).is_ok() {
                self.queue.push(info);
            }
        } else {
            let queued = self.queue.iter().filter(|info| info.signal >= SIGRTMIN).count();
            if queued >= QUEUE_MAX || self.queue.try_reserve(1).is_err() {
                return Err(Full);
            }
            self.queue.push(info);
        }
        self.set = self.set.union(SignalSet::of(&[signal]));
        Ok(())
    }

    /// What `take` would return.
    pub(crate) fn peek(&self, signal: u32) -> SignalInfo {
        let found = self.queue.iter().find(|info| info.signal == signal);
        found.copied().unwrap_or(SignalInfo { signal, ..SignalInfo::default() })
    }

    /// Takes the oldest `signal`, which is pending.
    pub(crate) fn take(&mut self, signal: u32) -> SignalInfo {
        let info = self.peek(signal);
        if let Some(at) = self.queue.iter().position(|info| info.signal == signal) {
            self.queue.remove(at);
        }
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set = self.set.without(SignalSet::of(&[signal]));
        }
        self.give_back();
        info
    }

    /// Forgets all of `signals`.
    pub(crate) fn discard(&mut self, signals: SignalSet) {
        if !self.set.and(signals).is_empty() {
            self.set = self.set.without(signals);
            self.queue.retain(|info| !signals.contains(info.signal));
            self.give_back();
        }
    }

    /// A process that gets no signals keeps no memory for them.
    fn give_back(&mut self) {
        if self.queue.is_empty() {
            self.queue = Vec::new();
        }
    }
}
