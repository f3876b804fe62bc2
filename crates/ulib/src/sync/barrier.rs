//! Where threads wait until all are there.

use swos_rt::lock::{Condvar, Mutex};

/// Where a number of threads wait until all of them are there; then it serves the next round.
///
/// ```
/// use swos_ulib::sync::Barrier;
///
/// static START: Barrier = Barrier::new(2);
/// let other = std::thread::spawn(|| START.wait().is_leader());
/// // One of the two is told that it leads.
/// assert!(START.wait().is_leader() != other.join().unwrap());
/// ```
#[derive(Debug)]
pub struct Barrier {
    size: usize,
    round: Mutex<Round>,
    complete: Condvar,
}

#[derive(Debug)]
struct Round {
    number: u64,
    arrived: usize,
}

impl Barrier {
    /// A barrier for `size` threads. Of 0 or 1, it holds nobody up.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self { size, round: Mutex::new(Round { number: 0, arrived: 0 }), complete: Condvar::new() }
    }

    /// A barrier for `size` threads; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, round: Mutex::new(Round { number: 0, arrived: 0 }), complete: Condvar::new() }
    }

    /// Waits until all threads of this round have come. What each did before is seen by all after.
    pub fn wait(&self) -> BarrierWaitResult {
        let mut round = self.round.lock();
        round.arrived += 1;
        if round.arrived >= self.size {
            *round = Round { number: round.number.wrapping_add(1), arrived: 0 };
            drop(round);
            self.complete.notify_all();
            return BarrierWaitResult { leads: true };
        }
        let number = round.number;
        while round.number == number {
            round = self.complete.wait(round);
        }
        BarrierWaitResult { leads: false }
    }
}

/// How a thread passed a [`Barrier`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BarrierWaitResult {
    leads: bool,
}

impl BarrierWaitResult {
    /// Whether this is the one thread of the round that came last.
    #[must_use]
    pub const fn is_leader(self) -> bool {
        self.leads
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::thread;

    use super::*;

    #[test]
    fn nobody_passes_before_all_have_come_in_any_round() {
        const ROUNDS: usize = 10;
        static COME: AtomicUsize = AtomicUsize::new(0);
        static BARRIER: Barrier = Barrier::new(3);
        let threads = [(); 3].map(|()| {
            thread::spawn(|| {
                (1..=ROUNDS)
                    .filter(|round| {
                        COME.fetch_add(1, Relaxed);
                        let leads = BARRIER.wait().is_leader();
                        assert!(COME.load(Relaxed) >= 3 * round);
                        leads
                    })
                    .count()
            })
        });
        let led: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(led, ROUNDS);
    }

    #[test]
    fn of_one_it_holds_nobody_up() {
        let barrier = Barrier::new(1);
        assert!(barrier.wait().is_leader() && barrier.wait().is_leader());
    }
}
