#![cfg(not(loom))]

use super::*;

const RANK: &Rank = &Rank::new(1, "test");

#[test]
fn no_increment_is_lost() {
    static COUNT: Lock<[u64; 2]> = Lock::new(RANK, [0; 2]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let mut count = COUNT.lock();
                    assert_eq!(count[0], count[1]);
                    count[0] += 1;
                    if count[0].is_multiple_of(64) {
                        std::thread::yield_now();
                    }
                    count[1] += 1;
                }
            });
        }
    });
    assert_eq!(*COUNT.lock(), [20_000; 2]);
}

#[test]
fn every_waiter_gets_in_once_the_holder_leaves() {
    let order = Lock::new(RANK, Vec::new());
    let order = &order;
    std::thread::scope(|scope| {
        let held = order.lock();
        for turn in 0..4 {
            scope.spawn(move || order.lock().push(turn));
        }
        std::thread::yield_now();
        assert!(held.is_empty());
        drop(held);
    });
    let mut order = order.lock().clone();
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3]);
}

#[test]
fn trying_takes_only_a_free_lock() {
    let lock = Lock::new(RANK, 7);
    for _ in 0..3 {
        let held = lock.try_lock().expect("free");
        assert!(lock.try_lock().is_none());
        assert_eq!(format!("{lock:?} {held:?}"), "Lock(<held>) 7");
        drop(held);
        drop(lock.lock());
    }
    assert_eq!(format!("{lock:?}"), "Lock(7)");
    assert_eq!(lock.into_inner(), 7);
}

#[test]
fn both_of_two_in_any_order_never_deadlocks() {
    let locks = [Lock::new(RANK, 0_u32), Lock::new(RANK, 0)];
    std::thread::scope(|scope| {
        for turn in 0..4 {
            let (one, other) = (&locks[turn % 2], &locks[1 - turn % 2]);
            scope.spawn(move || {
                for _ in 0..2_000 {
                    let (mut first, second) = one.lock_both(other);
                    let mut second = second.expect("two locks");
                    *first += 1;
                    *second += 1;
                }
            });
        }
    });
    assert_eq!(*locks[0].lock(), 8_000);
    let (mut first, second) = locks[1].lock_both(&locks[1]);
    assert!(second.is_none());
    *first += 1;
    drop((first, second));
    assert_eq!(locks.map(Lock::into_inner), [8_000, 8_001]);
}

#[test]
fn both_gives_the_guards_in_the_order_of_the_arguments() {
    let (mut a, mut b) = (Lock::new(RANK, 'a'), Lock::new(RANK, 'b'));
    for _ in 0..2 {
        let (first, second) = a.lock_both(&b);
        let names = (*first, second.map(|second| *second));
        drop(first);
        assert_eq!(names, (*a.get_mut(), Some(*b.get_mut())));
        core::mem::swap(&mut a, &mut b);
    }
}

#[test]
fn a_panic_releases_the_lock() {
    let lock = Lock::new(RANK, 0);
    let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let _held = lock.lock();
        panic!("in the section");
    }));
    assert!(outcome.is_err() && lock.try_lock().is_some());
}

#[test]
fn unsized_values_are_locked_too() {
    let lock: &Lock<[u8]> = &Lock::new(RANK, [1, 2, 3]);
    lock.lock()[1] = 9;
    assert_eq!(&*lock.lock(), [1, 9, 3]);
}
