//! The lock for readers and writers: exclusion, hand-over in both directions, no wake-up that is lost, writers first.

use loom::{sync::Arc, thread};
use swos_rt::rwlock::RwLock;

use crate::explore;

fn start<T: 'static>(
    lock: &Arc<RwLock<i32>>,
    act: impl FnOnce(&RwLock<i32>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let lock = lock.clone();
    thread::spawn(move || act(&lock))
}

fn add_one(lock: &RwLock<i32>) {
    *lock.write() += 1;
}

/// loom's cell fails the model if this is not ordered against all writes.
fn look(lock: &RwLock<i32>) -> i32 {
    *lock.read()
}

#[test]
fn writers_exclude_each_other_and_hand_over_what_they_wrote() {
    explore(3, || {
        let lock = Arc::new(RwLock::new(0));
        let other = start(&lock, |lock| (0..2).for_each(|_| add_one(lock)));
        (0..2).for_each(|_| add_one(&lock));
        other.join().unwrap();
        assert_eq!(look(&lock), 4);
    });
}

#[test]
fn a_reader_is_ordered_before_and_after_a_writer() {
    explore(3, || {
        let lock = Arc::new(RwLock::new(0));
        let reader = start(&lock, |lock| (look(lock), look(lock)));
        add_one(&lock);
        let (first, second) = reader.join().unwrap();
        assert!(first <= second);
        assert_eq!(look(&lock), 1);
    });
}

#[test]
fn of_two_readers_and_a_writer_none_sleeps_for_ever() {
    explore(2, || {
        let lock = Arc::new(RwLock::new(0));
        let readers = [start(&lock, look), start(&lock, look)];
        add_one(&lock);
        readers.into_iter().for_each(|reader| assert!(reader.join().unwrap() <= 1));
    });
}

#[test]
fn of_two_writers_and_a_reader_none_sleeps_for_ever() {
    explore(3, || {
        let lock = Arc::new(RwLock::new(0));
        let (writer, reader) = (start(&lock, add_one), start(&lock, look));
        add_one(&lock);
        assert!(reader.join().unwrap() <= 2);
        writer.join().unwrap();
        assert_eq!(look(&lock), 2);
    });
}

#[test]
fn of_three_writers_none_sleeps_for_ever() {
    explore(2, || {
        let lock = Arc::new(RwLock::new(0));
        let writers = [start(&lock, add_one), start(&lock, add_one)];
        add_one(&lock);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(look(&lock), 3);
    });
}

/// Both stay until the other is in, too.
#[test]
fn readers_are_in_together() {
    explore(3, || {
        let lock = Arc::new(RwLock::new(0));
        let own = lock.read();
        let other = start(&lock, look);
        assert_eq!(other.join().unwrap(), 0);
        drop(own);
    });
}

#[test]
fn trying_never_enters_a_held_section() {
    explore(3, || {
        let lock = Arc::new(RwLock::new(0));
        let writer = start(&lock, |lock| lock.try_write().map(|mut value| *value += 1).is_some());
        let reader = start(&lock, |lock| lock.try_read().map(|value| *value));
        add_one(&lock);
        let entered = writer.join().unwrap();
        assert!(reader.join().unwrap().is_none_or(|value| value <= 2));
        assert_eq!(look(&lock), 1 + i32::from(entered));
    });
}
