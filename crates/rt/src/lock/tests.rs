//! On the host a futex never waits (`NOSYS`), so these loops spin; what they check is mutual exclusion.

use std::{sync::Arc, thread};

use super::*;

#[test]
fn a_counter_under_the_lock_is_exact() {
    let counter = Arc::new(Mutex::new(0_u64));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let counter = Arc::clone(&counter);
            thread::spawn(move || (0..20_000).for_each(|_| *counter.lock() += 1))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*counter.lock(), 80_000);
}

#[test]
fn a_held_lock_is_not_taken_twice() {
    let lock = Mutex::new(5);
    let guard = lock.lock();
    assert!(lock.try_lock().is_none());
    drop(guard);
    assert_eq!(lock.try_lock().map(|guard| *guard), Some(5));
}

#[test]
fn a_condition_passes_from_thread_to_thread() {
    let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        for turn in 0..50 {
            let mut value = other.0.lock();
            while *value != turn * 2 + 1 {
                value = other.1.wait(value);
            }
            *value += 1;
            other.1.notify_one();
        }
    });
    for turn in 0..50 {
        let mut value = shared.0.lock();
        *value += 1;
        shared.1.notify_one();
        while *value != turn * 2 + 2 {
            value = shared.1.wait(value);
        }
    }
    thread.join().unwrap();
}
