//! The locks over futexes: mutual exclusion, hand-over, and no wake-up that is lost.

use loom::{sync::Arc, thread};
use swos_rt::lock::{Condvar, Mutex, WaitOutcome};

use crate::explore;

#[test]
fn sections_exclude_each_other_and_hand_over_what_they_wrote() {
    explore(3, || {
        let lock = Arc::new(Mutex::new(0));
        let other = lock.clone();
        let add_two = |lock: &Mutex<i32>| {
            for _ in 0..2 {
                // loom's cell fails the model if this access is not ordered after all others.
                *lock.lock() += 1;
            }
        };
        let thread = thread::spawn(move || add_two(&other));
        add_two(&lock);
        thread.join().unwrap();
        assert_eq!(*lock.lock(), 4);
    });
}

#[test]
fn of_three_that_want_the_lock_none_sleeps_for_ever() {
    explore(2, || {
        let lock = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || *lock.lock() += 1)
            })
            .collect();
        *lock.lock() += 1;
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*lock.lock(), 3);
    });
}

#[test]
fn trying_never_enters_a_held_section() {
    explore(3, || {
        let lock = Arc::new(Mutex::new(0));
        let other = lock.clone();
        let thread = thread::spawn(move || other.try_lock().map(|mut value| *value += 1).is_some());
        *lock.lock() += 1;
        let entered = thread.join().unwrap();
        assert_eq!(*lock.lock(), 1 + i32::from(entered));
    });
}

/// A condition and those that wait for it.
#[derive(Default)]
struct Gate {
    value: Mutex<u32>,
    changed: Condvar,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(0), changed: Condvar::new() })
    }

    /// Waits for one, and takes it.
    fn take_one(&self) {
        let mut value = self.value.lock();
        while *value == 0 {
            value = self.changed.wait(value);
        }
        *value -= 1;
    }
}

#[test]
fn a_notification_under_the_lock_is_not_lost() {
    explore(3, || {
        let gate = Gate::new();
        let other = gate.clone();
        let thread = thread::spawn(move || {
            let mut value = other.value.lock();
            *value += 1;
            other.changed.notify_one();
            drop(value);
        });
        gate.take_one();
        thread.join().unwrap();
    });
}

#[test]
fn a_notification_after_the_lock_is_not_lost() {
    explore(3, || {
        let gate = Gate::new();
        let other = gate.clone();
        let thread = thread::spawn(move || {
            *other.value.lock() += 1;
            other.changed.notify_one();
        });
        gate.take_one();
        thread.join().unwrap();
    });
}

#[test]
fn two_notifications_serve_two_waiters() {
    explore(2, || {
        let gate = Gate::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let gate = gate.clone();
                thread::spawn(move || gate.take_one())
            })
            .collect();
        for _ in 0..2 {
            *gate.value.lock() += 1;
            gate.changed.notify_one();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*gate.value.lock(), 0);
    });
}

#[test]
fn a_notification_of_all_serves_two_waiters() {
    explore(2, || {
        let gate = Gate::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let gate = gate.clone();
                thread::spawn(move || gate.take_one())
            })
            .collect();
        *gate.value.lock() += 2;
        gate.changed.notify_all();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*gate.value.lock(), 0);
    });
}

#[test]
fn a_wait_whose_time_runs_out_holds_the_lock_and_takes_no_notification_along() {
    explore(2, || {
        let gate = Gate::new();
        let other = gate.clone();
        let waiter = thread::spawn(move || {
            let (value, outcome) = other.changed.wait_timeout(other.value.lock(), 1);
            drop(value);
            outcome
        });
        let (notifier, waiting) = (gate.clone(), gate.clone());
        let second = thread::spawn(move || waiting.take_one());
        *notifier.value.lock() += 1;
        notifier.changed.notify_all();
        let outcome = waiter.join().unwrap();
        assert!(matches!(outcome, WaitOutcome::TimedOut | WaitOutcome::Notified));
        second.join().unwrap();
        assert_eq!(*gate.value.lock(), 0);
    });
}
