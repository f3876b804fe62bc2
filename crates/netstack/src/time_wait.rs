//! Connections in TIME-WAIT: a few words each, as many as the limit says, the oldest given up first.

use alloc::collections::{TryReserveError, VecDeque};
use alloc::vec::Vec;

use swos_tcp::TimeWait;
use swos_units::Instant;

use crate::flows::FlowKey;

/// Entries for which there is room also when there are none.
const KEPT: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: FlowKey,
    rest: TimeWait,
}

/// All connections in TIME-WAIT.
#[derive(Debug)]
pub(crate) struct TimeWaits {
    entries: Vec<Option<Entry>>,
    vacant: Vec<u32>,
    /// In the order in which they began; one that is restarted moves when its old time has come.
    order: VecDeque<(Instant, u32)>,
    limit: usize,
}

impl TimeWaits {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: Vec::new(), vacant: Vec::new(), order: VecDeque::new(), limit: limit.max(1) }
    }

    /// Makes room for one more, so that each has a place in all lists.
    fn reserve(&mut self) -> Result<(), TryReserveError> {
        let entries = self.entries.len() + 1;
        self.vacant.try_reserve(entries - self.vacant.len())?;
        self.order.try_reserve(entries - self.order.len())?;
        self.entries.try_reserve(1)
    }

    /// Adds a connection; the flow of the one that had to go for it comes back. `None` if there is no memory for any.
    pub(crate) fn insert(&mut self, flow: FlowKey, rest: TimeWait) -> Option<(u32, Option<(FlowKey, u32)>)> {
        let full = self.len() >= self.limit || self.vacant.is_empty() && self.reserve().is_err();
        let evicted = if full { self.pop_oldest() } else { None };
        if full && self.vacant.is_empty() {
            return None;
        }
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.entries.get_mut(index as usize) {
            *place = Some(Entry { flow, rest });
        }
        self.order.push_back((rest.deadline(), index));
        Some((index, evicted))
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut TimeWait> {
        self.entries.get_mut(index as usize)?.as_mut().map(|entry| &mut entry.rest)
    }

    /// Forgets a connection that a new one replaces.
    pub(crate) fn remove(&mut self, index: u32) {
        // Its place in the order stays and is skipped later; the number is not used again before that.
        if let Some(place) = self.entries.get_mut(index as usize) {
            *place = None;
        }
    }

    /// Takes one whose time is over.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(FlowKey, u32)> {
        if self.order.is_empty() && self.entries.capacity() > KEPT {
            *self = Self::new(self.limit);
        }
        while let Some(&(at, index)) = self.order.front() {
            match self.entries.get_mut(index as usize) {
                Some(None) => {
                    self.order.pop_front();
                    self.vacant.push(index);
                }
                Some(Some(_)) if at > now => return None,
                Some(Some(entry)) if entry.rest.deadline() > now => {
                    let later = entry.rest.deadline();
                    self.order.pop_front();
                    self.order.push_back((later, index));
                }
                Some(_) | None => return self.pop_oldest(),
            }
        }
        None
    }

    fn pop_oldest(&mut self) -> Option<(FlowKey, u32)> {
        while let Some((_, index)) = self.order.pop_front() {
            self.vacant.push(index);
            if let Some(entry) = self.entries.get_mut(index as usize).and_then(Option::take) {
                return Some((entry.flow, index));
            }
        }
        None
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.order.front().map(|entry| entry.0)
    }

    /// Connections in TIME-WAIT, and a few replaced ones whose number is still held.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests;
