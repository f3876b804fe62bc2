//! A moment that comes once or again and again.

use swos_units::{Duration, Instant};

/// Counts how often its moment has come since it was last asked. It has no clock: the time is an argument.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Alarm {
    next: Option<Instant>,
    /// Zero = once.
    period: Duration,
}

impl Alarm {
    /// An alarm that is not set.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: None, period: Duration::ZERO }
    }

    /// Sets it to `first`, and every `period` after that unless that is zero; `None` = never. What it counted before is forgotten.
    pub const fn set(&mut self, first: Option<Instant>, period: Duration) {
        (self.next, self.period) = (first, period);
    }

    /// From when on there is something to take.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        self.next
    }

    /// How often its moment has come up to `now`, since it was set or taken from.
    #[must_use]
    pub fn expirations(&self, now: Instant) -> u64 {
        match self.next {
            Some(next) if next <= now => {
                let further = now.since(next).as_nanos().checked_div(self.period.as_nanos()).unwrap_or(0);
                further.saturating_add(1)
            }
            Some(_) | None => 0,
        }
    }

    /// The same, and counts from 0 again.
    pub fn take(&mut self, now: Instant) -> u64 {
        let count = self.expirations(now);
        if count > 0 {
            self.next = match (self.next, self.period.as_nanos()) {
                (Some(next), period) if period > 0 => {
                    Some(Instant::from_nanos(next.as_nanos().saturating_add(period.saturating_mul(count))))
                }
                _ => None,
            };
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn once_is_once() {
        let mut alarm = Alarm::new();
        assert_eq!((alarm.take(at(100)), alarm.due()), (0, None));
        alarm.set(Some(at(50)), Duration::ZERO);
        assert_eq!((alarm.expirations(at(49)), alarm.expirations(at(50))), (0, 1));
        assert_eq!((alarm.take(at(1_000_000)), alarm.take(at(2_000_000)), alarm.due()), (1, 0, None));
    }

    #[test]
    fn periods_are_counted_from_the_first_moment_and_none_is_lost() {
        let mut alarm = Alarm::new();
        alarm.set(Some(at(10)), Duration::from_nanos(7));
        // 10, 17, 24 | 31, 38
        assert_eq!((alarm.take(at(30)), alarm.due()), (3, Some(at(31))));
        assert_eq!((alarm.take(at(30)), alarm.take(at(31)), alarm.take(at(44))), (0, 1, 1));
        let mut sum = 0;
        for now in (44..1_000).step_by(5) {
            sum += alarm.take(at(now));
        }
        assert_eq!(sum + 5, (999 - 10) / 7 + 1);
    }

    #[test]
    fn the_end_of_time_is_the_end() {
        let mut alarm = Alarm::new();
        alarm.set(Some(at(u64::MAX - 1)), Duration::from_nanos(u64::MAX));
        assert_eq!((alarm.take(at(u64::MAX)), alarm.due()), (1, Some(at(u64::MAX))));
        alarm.set(Some(at(0)), Duration::from_nanos(1));
        assert_eq!(alarm.take(at(u64::MAX - 1)), u64::MAX);
    }
}
