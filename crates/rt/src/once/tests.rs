//! On the host a futex never waits (`NOSYS`), so these loops spin.

use core::sync::atomic::{AtomicU32, Ordering};
use std::{sync::Arc, thread};

use super::*;

#[test]
fn of_many_that_call_one_runs_and_all_see_it() {
    for _ in 0..200 {
        let once = Arc::new((OnceLock::new(), AtomicU32::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let once = Arc::clone(&once);
                thread::spawn(move || {
                    *once.0.get_or_init(|| {
                        once.1.fetch_add(1, Ordering::Relaxed);
                        number
                    })
                })
            })
            .collect();
        let seen: Vec<i32> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(seen.iter().all(|&value| Some(&value) == once.0.get()));
        assert_eq!(once.1.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_wait_may_come_before_the_start() {
    let value = Arc::new(OnceLock::new());
    let other = Arc::clone(&value);
    let waiter = thread::spawn(move || *other.wait());
    while value.once.state.load(Relaxed) != AWAITED {
        thread::yield_now();
    }
    assert_eq!(value.get(), None);
    assert_eq!(value.set(3), Ok(()));
    assert_eq!(waiter.join().unwrap(), 3);
}

#[test]
fn a_value_stays() {
    let value = OnceLock::new();
    assert_eq!(value.set(1), Ok(()));
    assert_eq!(value.set(2), Err(2));
    assert_eq!(value.get_or_init(|| 3), &1);
    assert_eq!(value.into_inner(), Some(1));
    assert_eq!(OnceLock::<u8>::default().into_inner(), None);
}
