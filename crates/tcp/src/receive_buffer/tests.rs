use super::*;
use proptest::prelude::*;

fn octet(position: usize) -> u8 {
    u8::try_from((position * 7 + position / 256) % 251).unwrap()
}

proptest! {
    /// Octets written early or late are read in order, and storage follows use.
    #[test]
    fn reads_what_was_written(steps in prop::collection::vec((0..5000_usize, 1..4000_usize, 0..6000_usize), 1..40)) {
        let mut buffer = ReceiveBuffer::default();
        let (mut read, mut ready) = (0, 0);
        for (ahead, len, take) in steps {
            let write = |buffer: &mut ReceiveBuffer, from: usize, len: usize| {
                let data: Vec<u8> = (from..from + len).map(octet).collect();
                buffer.write(from - ready, &data).unwrap();
            };
            write(&mut buffer, ready + ahead, len);
            write(&mut buffer, ready, len);
            buffer.commit(len);
            ready += len;
            prop_assert_eq!(buffer.ready(), ready - read);
            let mut copy = vec![0; buffer.ready()];
            prop_assert_eq!(buffer.copy_to(0, &mut copy), copy.len());
            prop_assert!(copy.iter().enumerate().all(|(i, &b)| b == octet(read + i)));
            prop_assert!(buffer.peek().iter().enumerate().all(|(i, &b)| b == octet(read + i)));
            prop_assert_eq!(buffer.peek().is_empty(), buffer.ready() == 0);
            read += buffer.consume(take);
            prop_assert!(buffer.storage() <= (ready - read) + 5000 + 4000 + 3 * CHUNK);
        }
        buffer.consume(usize::MAX);
        buffer.settle();
        prop_assert_eq!(buffer.storage(), 0);
    }
}

#[test]
fn short_request_costs_a_small_chunk() {
    let mut buffer = ReceiveBuffer::default();
    buffer.write(0, &[1; 100]).unwrap();
    buffer.commit(100);
    assert!(buffer.storage() <= 512, "{}", buffer.storage());
    assert_eq!((buffer.consume(50), buffer.peek().len()), (50, 50));
    assert_eq!((buffer.consume(500), buffer.ready()), (50, 0));
}

#[test]
fn much_is_shed_in_steps() {
    let mut buffer = ReceiveBuffer::default();
    buffer.write(0, &vec![1; 100 * CHUNK]).unwrap();
    buffer.commit(90 * CHUNK);
    for chunks in (50..100).rev() {
        assert!(buffer.shed(1));
        assert_eq!((buffer.ready(), buffer.storage() / CHUNK), (0, chunks + 1), "{}", buffer.storage());
    }
    assert!(!buffer.shed(50));
    assert_eq!(buffer.storage(), 0);
    // What came early for nothing goes in steps, too.
    buffer.write(10 * CHUNK, &vec![1; 90 * CHUNK]).unwrap();
    buffer.settle();
    assert!(buffer.storage() > 70 * CHUNK, "{}", buffer.storage());
    // And does no harm meanwhile.
    buffer.write(0, &[2; 30 * CHUNK]).unwrap();
    buffer.commit(30 * CHUNK);
    let mut copy = vec![0; 31 * CHUNK];
    assert_eq!(buffer.copy_to(0, &mut copy), 30 * CHUNK);
    assert!(copy[..30 * CHUNK].iter().all(|&octet| octet == 2));
}
