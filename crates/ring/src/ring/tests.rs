use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn region(words: usize) -> Vec<AtomicU32> {
    (0..HEADER_WORDS + words).map(|_| AtomicU32::new(0)).collect()
}

#[test]
fn a_ring_needs_a_word() {
    assert_eq!(Consumer::new(&region(64)[..HEADER_WORDS]).unwrap_err(), Error::Region);
    assert_eq!(Producer::new(&[]).unwrap_err(), Error::Region);
    // A page has no power of two of words after the header.
    for (words, capacity) in [(1, 1), (2, 2), (3, 2), (992, 512)] {
        assert_eq!(Producer::new(&region(words)).unwrap().ring.capacity, capacity);
    }
}

#[test]
fn full_empty_short_and_long() {
    let region = region(8);
    let (mut producer, mut consumer) = (Producer::new(&region).unwrap(), Consumer::new(&region).unwrap());
    assert_eq!(consumer.pop(&mut []), Ok(None));
    assert_eq!(producer.push(&[1; 29]), Err(Error::TooLong));
    assert_eq!(producer.push(&[1; 13]), Ok(Wake::Nobody));
    assert_eq!(producer.push(&[2; 9]), Err(Error::Full));
    assert_eq!(producer.push(&[2; 8]), Ok(Wake::Nobody));
    assert_eq!(producer.push(&[]), Err(Error::Full));
    assert!(producer.may_sleep(0).unwrap());
    assert_eq!(consumer.pop(&mut [0; 12]), Err(Error::Short(13)));
    let mut buffer = [0; 28];
    assert_eq!(consumer.pop(&mut buffer), Ok(Some((13, Wake::Other))));
    assert_eq!(buffer[..14], [[1; 13].as_slice(), &[0]].concat());
    assert_eq!(consumer.pop(&mut buffer), Ok(Some((8, Wake::Nobody))));
    assert_eq!(producer.push(&[3; 28]), Ok(Wake::Nobody));
    assert_eq!(consumer.pop(&mut buffer), Ok(Some((28, Wake::Nobody))));
    // Who finds something to do does not sleep.
    assert_eq!(producer.may_sleep(28), Ok(false));
    assert_eq!(producer.push(&[]), Ok(Wake::Nobody));
    assert_eq!(consumer.may_sleep(), Ok(false));
    assert_eq!(consumer.pop(&mut buffer), Ok(Some((0, Wake::Nobody))));
    assert_eq!(consumer.may_sleep(), Ok(true));
    assert_eq!(producer.push(&[]), Ok(Wake::Other));
}

#[test]
fn what_cant_be_breaks_the_ring_for_good() {
    let mut buffer = [0; 64];
    for (produced, length) in [(9, 0), (u32::MAX, 0), (1, 1), (8, 29), (8, u32::MAX)] {
        let region = region(8);
        region[PRODUCED].store(produced, Ordering::Relaxed);
        region[HEADER_WORDS].store(length, Ordering::Relaxed);
        let mut consumer = Consumer::new(&region).unwrap();
        assert_eq!(consumer.pop(&mut buffer), Err(Error::Broken), "{produced} {length}");
        region[PRODUCED].store(0, Ordering::Relaxed);
        assert_eq!(consumer.pop(&mut buffer), Err(Error::Broken));
        assert_eq!(consumer.may_sleep(), Err(Error::Broken));
    }
    // More consumed than produced, or taken back.
    let region = region(8);
    let mut producer = Producer::new(&region).unwrap();
    let _wake = producer.push(&[0; 28]).unwrap();
    region[CONSUMED].store(9, Ordering::Relaxed);
    assert_eq!(producer.push(&[]), Err(Error::Broken));
    region[CONSUMED].store(8, Ordering::Relaxed);
    assert_eq!(producer.push(&[]), Err(Error::Broken));
}

proptest! {
    /// Beside a queue; indices wrap round many times.
    #[test]
    fn records_come_once_whole_and_in_order(steps in prop::collection::vec((any::<bool>(), 0_usize..40), 1..400)) {
        let region = region(16);
        let (mut producer, mut consumer) = (Producer::new(&region).unwrap(), Consumer::new(&region).unwrap());
        // Near the end of the numbers, so that they wrap.
        for start in [&mut producer.produced, &mut producer.consumed, &mut consumer.produced, &mut consumer.consumed] {
            *start = u32::MAX - 20;
        }
        region[PRODUCED].store(u32::MAX - 20, Ordering::Relaxed);
        region[CONSUMED].store(u32::MAX - 20, Ordering::Relaxed);
        let mut queue: VecDeque<Vec<u8>> = VecDeque::new();
        for (number, (push, length)) in (0_u8..=255).cycle().zip(steps) {
            if push {
                let used: u32 = queue.iter().map(|record| words_of(record.len())).sum();
                let record = vec![number; length];
                match producer.push(&record) {
                    Ok(_) => {
                        prop_assert!(used + words_of(length) <= 16);
                        queue.push_back(record);
                    }
                    Err(error) => prop_assert_eq!(error, if length <= 60 { Error::Full } else { Error::TooLong }),
                }
            } else {
                let mut buffer = [0; 60];
                let popped = consumer.pop(&mut buffer).unwrap();
                let record = popped.map(|(length, _)| buffer[..length].to_vec());
                prop_assert_eq!(record, queue.pop_front());
            }
        }
    }

    /// Whatever the other end writes whenever: an answer, and no panic.
    #[test]
    fn nonsense_is_harmless(writes in prop::collection::vec((0_usize..HEADER_WORDS + 16, any::<u32>(), 0_u8..4), 1..200)) {
        let region = region(16);
        let (mut producer, mut consumer) = (Producer::new(&region).unwrap(), Consumer::new(&region).unwrap());
        let mut buffer = [0; 64];
        for (word, value, act) in writes {
            // Small values are the more dangerous ones.
            region[word].store(if act % 2 == 0 { value % 40 } else { value }, Ordering::Relaxed);
            let _ = match act {
                0 | 1 => consumer.pop(&mut buffer).map(drop),
                2 => producer.push(&buffer[..20]).map(drop),
                _ => producer.may_sleep(20).and_then(|_| consumer.may_sleep()).map(drop),
            };
        }
    }
}
