//! What happens once: one run, seen by all that ask or wait; and the end of a scope, which sees all its threads.

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};
use swos_rt::{once::OnceLock, running::Running};

use crate::explore;

#[test]
fn of_three_that_ask_one_runs_and_all_see_the_value() {
    explore(3, || {
        let shared = Arc::new((OnceLock::new(), AtomicU32::new(0)));
        let ask = |shared: &(OnceLock<u32>, AtomicU32), value| {
            *shared.0.get_or_init(|| {
                shared.1.fetch_add(1, Ordering::Relaxed);
                value
            })
        };
        let threads = [1, 2].map(|value| {
            let shared = shared.clone();
            thread::spawn(move || ask(&shared, value))
        });
        let own = ask(&shared, 3);
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), own));
        assert_eq!(shared.1.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_that_wait_see_the_value_whenever_it_comes() {
    explore(3, || {
        let value = Arc::new(OnceLock::new());
        let threads = [(); 2].map(|()| {
            let value = value.clone();
            thread::spawn(move || *value.wait())
        });
        assert_eq!(value.set(5), Ok(()));
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 5));
    });
}

#[test]
fn a_look_sees_nothing_or_the_whole_value() {
    explore(3, || {
        let value = Arc::new(OnceLock::new());
        let other = value.clone();
        let thread = thread::spawn(move || other.get().copied());
        let set = value.set(7);
        assert_eq!(set, Ok(()));
        assert!(matches!(thread.join().unwrap(), None | Some(7)));
    });
}

/// As `scope` and its threads: each writes its own part of what the scope borrows, one starts another.
#[test]
fn the_end_of_a_scope_sees_what_all_its_threads_did() {
    explore(3, || {
        let running = Arc::new(Running::new());
        let parts = Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]);
        running.enter();
        let (own, mine) = (running.clone(), parts.clone());
        let outer = thread::spawn(move || {
            own.enter();
            let (inner, its) = (own.clone(), mine.clone());
            let inner = thread::spawn(move || {
                its[1].with_mut(|_| ());
                inner.leave();
            });
            mine[0].with_mut(|_| ());
            own.leave();
            inner.join().unwrap();
        });
        running.wait();
        // loom's cell fails the model if a thread of the scope is not ordered before its end.
        parts.iter().for_each(|part| part.with_mut(|_| ()));
        outer.join().unwrap();
    });
}
