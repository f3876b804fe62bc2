//! Every interleaving of small models, with loom's weak-memory semantics. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p swos-ulib --release --test loom`.
#![cfg(loom)]

use core::time::Duration;
use std::sync::Arc;

use loom::{cell::UnsafeCell, thread};
use swos_ulib::sync::{
    Barrier, LazyLock, Semaphore,
    mpsc::{RecvError, RecvTimeoutError, SendError, channel, sync_channel},
};

/// Explores the model, but for schedules with more than `preemptions` forced switches. A thread that sleeps for ever
/// fails it.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn of_three_that_want_two_permits_all_get_one_and_see_each_other() {
    explore(2, || {
        let shared = Arc::new((Semaphore::new(2), Semaphore::new(1), UnsafeCell::new(0)));
        let act = |shared: &(Semaphore, Semaphore, UnsafeCell<i32>)| {
            let _one_of_two = shared.0.acquire();
            let _alone = shared.1.acquire();
            // loom's cell fails the model if two are in.
            shared.2.with_mut(|_| ());
        };
        let threads = [(); 2].map(|()| {
            let shared = shared.clone();
            thread::spawn(move || act(&shared))
        });
        act(&shared);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.0.available_permits(), 2);
    });
}

#[test]
fn two_permits_added_at_once_serve_two() {
    explore(2, || {
        let shared = Arc::new(Semaphore::new(0));
        let threads = [(); 2].map(|()| {
            let shared = shared.clone();
            thread::spawn(move || shared.acquire().forget())
        });
        shared.add_permits(2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.available_permits(), 0);
    });
}

#[test]
fn a_permit_is_not_lost_with_who_gave_up() {
    explore(2, || {
        let shared = Arc::new(Semaphore::new(0));
        let (hasty, patient) = (shared.clone(), shared.clone());
        let hasty = thread::spawn(move || hasty.acquire_timeout(Duration::from_nanos(1)).is_some());
        let patient = thread::spawn(move || drop(patient.acquire()));
        shared.add_permits(1);
        let _in_time = hasty.join().unwrap();
        patient.join().unwrap();
        assert_eq!(shared.available_permits(), 1);
    });
}

#[test]
fn behind_a_barrier_all_see_what_all_did() {
    explore(2, || {
        let shared = Arc::new((Barrier::new(2), [UnsafeCell::new(0), UnsafeCell::new(0)]));
        let act = |shared: &(Barrier, [UnsafeCell<i32>; 2]), own: usize| {
            shared.1[own].with_mut(|_| ());
            let first = shared.0.wait().is_leader();
            shared.1[1 - own].with(|_| ());
            let _second = shared.0.wait();
            shared.1[own].with_mut(|_| ());
            first
        };
        let other = shared.clone();
        let thread = thread::spawn(move || act(&other, 1));
        let led = act(&shared, 0);
        assert!(led != thread.join().unwrap());
    });
}

#[test]
fn a_lazy_value_is_made_once() {
    explore(2, || {
        let lazy = Arc::new(LazyLock::new(|| UnsafeCell::new(5)));
        let other = lazy.clone();
        let thread = thread::spawn(move || other.with(<*const i32>::addr));
        let own = lazy.with(<*const i32>::addr);
        assert_eq!(own, thread.join().unwrap());
    });
}

#[test]
fn all_that_two_send_is_received_and_then_the_end_is_seen() {
    explore(2, || {
        let (sender, receiver) = channel();
        let threads = [1, 2].map(|message| {
            let sender = sender.clone();
            thread::spawn(move || assert!(sender.send(message).is_ok()))
        });
        drop(sender);
        assert_eq!(receiver.iter().sum::<i32>(), 3);
        assert_eq!(receiver.recv(), Err(RecvError));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn who_waits_for_room_gets_it() {
    explore(2, || {
        let (sender, receiver) = sync_channel(1);
        let threads = [1, 2].map(|message| {
            let sender = sender.clone();
            thread::spawn(move || assert!(sender.send(message).is_ok()))
        });
        drop(sender);
        assert_eq!(receiver.iter().sum::<i32>(), 3);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn the_end_of_the_receiver_frees_who_waits_for_room() {
    explore(2, || {
        let (sender, receiver) = sync_channel(1);
        let thread = thread::spawn(move || (sender.send(1), sender.send(2)));
        let first = receiver.try_recv();
        drop(receiver);
        match (first, thread.join().unwrap()) {
            (Ok(1), (Ok(()), _)) | (Err(_), (Ok(()), Err(SendError(2)))) => {}
            (Err(_), (Err(SendError(1)), Err(SendError(2)))) => {}
            other => unreachable!("{other:?}"),
        }
    });
}

#[test]
fn a_rendezvous_ends_with_the_message_on_one_side() {
    explore(2, || {
        let (sender, receiver) = sync_channel(0);
        let other = sender.clone();
        let threads = [(sender, 1), (other, 2)]
            .map(|(sender, message)| thread::spawn(move || sender.send(message).map_err(|error| error.0)));
        let received = receiver.recv().unwrap();
        drop(receiver);
        let outcomes = threads.map(|thread| thread.join().unwrap());
        assert_eq!(outcomes, if received == 1 { [Ok(()), Err(2)] } else { [Err(1), Ok(())] });
    });
}

#[test]
fn a_receiver_that_gives_up_loses_no_message() {
    explore(2, || {
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || assert!(sender.send(1).is_ok()));
        match receiver.recv_timeout(Duration::from_nanos(1)) {
            Ok(message) => assert_eq!(message, 1),
            Err(RecvTimeoutError::Timeout) => assert_eq!(receiver.recv(), Ok(1)),
            Err(RecvTimeoutError::Disconnected) => unreachable!("the message is there"),
        }
        assert_eq!(receiver.recv(), Err(RecvError));
        thread.join().unwrap();
    });
}
