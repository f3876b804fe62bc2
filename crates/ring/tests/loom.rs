//! Every interleaving of small exchanges: no record is torn, and no end sleeps unless the other was told to wake it.

#![cfg(loom)]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "what can't be ends the model")]

use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use swos_ring::{Consumer, Error, HEADER_WORDS, Producer, Wake};

fn region(words: usize) -> Arc<Vec<AtomicU32>> {
    Arc::new((0..HEADER_WORDS + words).map(|_| AtomicU32::new(0)).collect())
}

/// The next record must be this one.
fn expect(consumer: &mut Consumer<'_>, expected: &[u8]) -> Wake {
    let mut record = [0; 8];
    let (length, wake) = consumer.pop(&mut record).unwrap().unwrap();
    assert_eq!(&record[..length], expected);
    wake
}

#[test]
fn a_consumer_that_sleeps_is_told_to_the_producer() {
    loom::model(|| {
        let region = region(8);
        let theirs = region.clone();
        let other = thread::spawn(move || {
            let mut producer = Producer::new(&theirs).unwrap();
            [producer.push(b"first").unwrap(), producer.push(b"2").unwrap()]
        });
        let mut consumer = Consumer::new(&region).unwrap();
        let mut record = [0; 8];
        let mut seen = 0;
        let slept = loop {
            match consumer.pop(&mut record).unwrap() {
                Some((length, _)) => {
                    assert_eq!(&record[..length], [b"first".as_slice(), b"2"][seen]);
                    seen += 1;
                    if seen == 2 {
                        break false;
                    }
                }
                // Either it sleeps, or there is something now.
                None if consumer.may_sleep().unwrap() => break true,
                None => {}
            }
        };
        let wakes = other.join().unwrap();
        if slept {
            // Perhaps for a record that it has seen already: the doorbell stays rung, so it looks again.
            assert!(wakes.contains(&Wake::Other), "asleep after {seen}: {wakes:?}");
            for expected in [b"first".as_slice(), b"2"].iter().skip(seen) {
                let _wake = expect(&mut consumer, expected);
            }
        }
    });
}

#[test]
fn a_producer_that_sleeps_is_told_to_the_consumer() {
    loom::model(|| {
        let region = region(2);
        let mut producer = Producer::new(&region).unwrap();
        let _wake = producer.push(b"full").unwrap();
        let theirs = region.clone();
        let other = thread::spawn(move || expect(&mut Consumer::new(&theirs).unwrap(), b"full"));
        match producer.push(b"more") {
            Ok(_) => drop(other.join().unwrap()),
            Err(error) => {
                assert_eq!(error, Error::Full);
                let slept = producer.may_sleep(4).unwrap();
                let wake = other.join().unwrap();
                assert!(!slept || wake == Wake::Other);
                let _wake = producer.push(b"more").unwrap();
            }
        }
    });
}
