#![cfg(not(loom))]

use super::*;
use crate::Lock;

const LOW: &Rank = &Rank::new(10, "low");
const MIDDLE: &Rank = &Rank::new(20, "middle");
const HIGH: &Rank = &Rank::new(30, "high");

/// The message of the panic that `f` ends in.
fn panic_of(f: impl FnOnce() + core::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(f).expect_err("no panic");
    payload.downcast_ref::<String>().cloned().expect("a formatted message")
}

#[test]
fn rising_order_passes() {
    let (low, middle, high) = (Lock::new(LOW, ()), Lock::new(MIDDLE, ()), Lock::new(HIGH, ()));
    for _ in 0..3 {
        let first = low.lock();
        let second = middle.lock();
        drop(high.lock());
        drop(first); // Released out of order: what is still held counts.
        drop(high.lock());
        drop(second);
    }
    drop(low.lock());
}

#[test]
fn a_lower_or_equal_rank_panics_with_both_names() {
    for (taken, level) in [(LOW, 10), (HIGH, 30)] {
        let message = panic_of(move || {
            let high = Lock::new(HIGH, ());
            let other = Lock::new(taken, ());
            let _held = high.lock();
            drop(other.lock());
        });
        assert_eq!(
            message,
            format!("lock order: `{}` (rank {level}) taken while `high` (rank 30) is held", taken.name())
        );
    }
    // The panic released what it held.
    drop(Lock::new(LOW, ()).lock());
}

#[test]
fn the_highest_held_counts_whatever_the_order_of_release() {
    let message = panic_of(|| {
        let (low, high, middle) = (Lock::new(LOW, ()), Lock::new(HIGH, ()), Lock::new(MIDDLE, ()));
        let first = low.lock();
        let _second = high.lock();
        drop(first);
        drop(middle.lock());
    });
    assert!(message.contains("`middle`") && message.contains("`high`"), "{message}");
}

#[test]
fn trying_is_allowed_against_the_order_but_counts_as_held() {
    let (low, high) = (Lock::new(LOW, 1), Lock::new(HIGH, ()));
    let held = high.lock();
    let tried = low.try_lock().expect("free");
    assert!(low.try_lock().is_none());
    drop(held);
    let message = panic_of(|| drop(Lock::new(LOW, ()).lock()));
    assert!(message.contains("while `low`"), "{message}");
    drop(tried);
}

#[test]
fn ranks_are_held_per_thread() {
    let low = Lock::new(LOW, 0);
    let high = Lock::new(HIGH, ());
    let _held = high.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| *low.lock() += 1);
    });
}

#[test]
fn nesting_beyond_the_record_panics() {
    let message = panic_of(|| {
        let locks: Vec<_> = (0..20).map(|_| Lock::new(LOW, ())).collect();
        let _held: Vec<_> = locks.iter().map(Lock::try_lock).collect();
    });
    assert!(message.contains("16 locks held while taking `low`"), "{message}");
}
