//! Deadlines of many connections, at no cost while they move into the future.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use swos_units::{Duration, Instant};

/// Ordered looks at connections: each has one entry, which is early rather than late.
///
/// A deadline moves with each request, and most never come. So an entry is not moved along: when it is due, the driver looks whether
/// the connection's deadline is, and enters it again if not. No entry lies further ahead than the shortest
/// time-out, so none is late.
#[derive(Debug)]
pub struct Expiry {
    shortest: Duration,
    entries: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Expiry {
    /// No entries; `shortest` is the shortest time-out that any connection has.
    #[must_use]
    pub const fn new(shortest: Duration) -> Self {
        Self { shortest, entries: BinaryHeap::new() }
    }

    /// Enters `token`, whose deadline is `deadline` at present.
    pub fn enter(&mut self, now: Instant, deadline: Option<Instant>, token: u64) {
        let latest = now + self.shortest;
        let look = deadline.map_or(latest, |deadline| deadline.min(latest));
        self.entries.push(Reverse((look, token)));
    }

    /// Takes a token whose connection is to be looked at now.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        let Reverse((look, _)) = self.entries.peek()?;
        if *look > now {
            return None;
        }
        self.entries.pop().map(|Reverse((_, token))| token)
    }

    /// When the next look is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse((look, _))| *look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_in_order_and_never_late() {
        let at = Instant::from_nanos;
        let mut expiry = Expiry::new(Duration::from_nanos(10));
        expiry.enter(at(0), Some(at(100)), 1);
        expiry.enter(at(0), Some(at(4)), 2);
        expiry.enter(at(2), None, 3);
        assert_eq!((expiry.next(), expiry.due(at(3))), (Some(at(4)), None));
        assert_eq!((expiry.due(at(10)), expiry.due(at(10)), expiry.due(at(10))), (Some(2), Some(1), None));
        expiry.enter(at(10), Some(at(100)), 1);
        assert_eq!((expiry.due(at(12)), expiry.due(at(19)), expiry.next()), (Some(3), None, Some(at(20))));
    }
}
