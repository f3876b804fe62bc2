//! The locks and cells themselves.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use swos_sync::{Lock, OnceCell, Rank};

use crate::explore;

const RANK: &Rank = &Rank::new(1, "model");

#[test]
fn sections_exclude_each_other_and_hand_over_what_they_wrote() {
    explore(3, || {
        let lock = Arc::new(Lock::new(RANK, 0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        // loom's cell fails the model if this access is not ordered after all others.
                        *lock.lock() += 1;
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*lock.lock(), 4);
    });
}

#[test]
fn a_waiter_gets_its_turn_whatever_a_third_cpu_tries() {
    // Two waiters at once are beyond loom (each yields to the other for ever); `src/lock/tests.rs` runs them on threads.
    explore(3, || {
        let lock = Arc::new(Lock::new(RANK, 0));
        let held = lock.lock();
        let (waiting, trying) = (lock.clone(), lock.clone());
        let waiter = thread::spawn(move || *waiting.lock() += 1);
        let third = thread::spawn(move || trying.try_lock().map(|mut value| *value += 1).is_some());
        drop(held);
        waiter.join().unwrap();
        let entered = third.join().unwrap();
        assert_eq!(*lock.lock(), 1 + i32::from(entered));
    });
}

#[test]
fn trying_never_enters_a_held_section() {
    explore(3, || {
        let lock = Arc::new(Lock::new(RANK, 0));
        let other = lock.clone();
        let thread = thread::spawn(move || other.try_lock().map(|mut value| *value += 1).is_some());
        *lock.lock() += 1;
        let entered = thread.join().unwrap();
        assert_eq!(*lock.lock(), 1 + i32::from(entered));
        assert!(lock.try_lock().is_some());
    });
}

#[test]
fn both_of_two_from_both_sides_ends() {
    explore(2, || {
        let locks = Arc::new([Lock::new(RANK, 0), Lock::new(RANK, 0)]);
        let other = locks.clone();
        let thread = thread::spawn(move || {
            let (mut a, b) = other[1].lock_both(&other[0]);
            *a += 1;
            *b.unwrap() += 1;
        });
        let (mut a, b) = locks[0].lock_both(&locks[1]);
        *a += 1;
        *b.unwrap() += 1;
        drop(a);
        thread.join().unwrap();
        assert_eq!((*locks[0].lock(), *locks[1].lock()), (2, 2));
    });
}

#[test]
fn a_cell_is_initialised_exactly_once() {
    explore(3, || {
        let (cell, runs) = (Arc::new(OnceCell::new()), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|value| {
                let (cell, runs) = (cell.clone(), runs.clone());
                thread::spawn(move || {
                    *cell.get_or_init(|| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        value
                    })
                })
            })
            .collect();
        let early = cell.get().copied();
        let seen: Vec<i32> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        assert!(seen[0] == seen[1] && early.is_none_or(|early| early == seen[0]));
    });
}

#[test]
fn of_two_writers_one_is_refused() {
    explore(3, || {
        let cell = Arc::new(OnceCell::new());
        let other = cell.clone();
        let thread = thread::spawn(move || other.set(1).is_ok());
        let (mine, theirs) = (cell.set(2).is_ok(), thread.join().unwrap());
        assert!(mine != theirs);
        assert_eq!(cell.get(), Some(&if mine { 2 } else { 1 }));
    });
}
