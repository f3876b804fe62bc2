//! Every interleaving of small exchanges: no record is lost or torn, and no end sleeps while there is something to do.

#![cfg(loom)]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "what can't be ends the model")]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use swos_ring::{Consumer, Error, HEADER_WORDS, Producer, Wake};

fn region(words: usize) -> Arc<Vec<AtomicU32>> {
    Arc::new((0..HEADER_WORDS + words).map(|_| AtomicU32::new(0)).collect())
}

/// A doorbell that stays rung.
fn wait(bell: &AtomicU32) {
    while bell.swap(0, Ordering::AcqRel) == 0 {
        thread::yield_now();
    }
}

#[test]
fn a_consumer_that_sleeps_is_woken_and_reads_what_was_written() {
    loom::model(|| {
        let (region, bell) = (region(4), Arc::new(AtomicU32::new(0)));
        let (theirs, rings) = (region.clone(), bell.clone());
        let other = thread::spawn(move || {
            let mut producer = Producer::new(&theirs).unwrap();
            for record in [[1_u8, 1], [2, 2]] {
                if producer.push(&record).unwrap() == Wake::Other {
                    rings.store(1, Ordering::Release);
                }
            }
        });
        let mut consumer = Consumer::new(&region).unwrap();
        let mut record = [0; 4];
        for expected in [1, 2] {
            loop {
                match consumer.pop(&mut record).unwrap() {
                    Some((2, _)) => break assert_eq!(record[..2], [expected; 2]),
                    Some(_) => unreachable!(),
                    None if consumer.may_sleep().unwrap() => wait(&bell),
                    None => {}
                }
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn a_producer_that_sleeps_is_woken_when_there_is_room() {
    loom::model(|| {
        let (region, bell) = (region(2), Arc::new(AtomicU32::new(0)));
        let (theirs, rings) = (region.clone(), bell.clone());
        let other = thread::spawn(move || {
            let mut consumer = Consumer::new(&theirs).unwrap();
            let mut record = [0; 4];
            for expected in [1, 2] {
                loop {
                    match consumer.pop(&mut record).unwrap() {
                        Some((1, wake)) => {
                            assert_eq!(record[0], expected);
                            if wake == Wake::Other {
                                rings.store(1, Ordering::Release);
                            }
                            break;
                        }
                        Some(_) => unreachable!(),
                        None => thread::yield_now(),
                    }
                }
            }
        });
        let mut producer = Producer::new(&region).unwrap();
        for record in [[1_u8], [2]] {
            loop {
                match producer.push(&record) {
                    Ok(_) => break,
                    Err(Error::Full) if producer.may_sleep(1).unwrap() => wait(&bell),
                    Err(error) => assert_eq!(error, Error::Full),
                }
            }
        }
        other.join().unwrap();
    });
}
