use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

proptest! {
    #[test]
    fn copies_and_sums_any_range(pieces in prop::collection::vec((1..300_usize, 0..200_usize), 1..20), from in 0..400_usize, len in 0..400_usize) {
        let (mut queue, mut model) = (ByteQueue::new(), Vec::new());
        let mut value = 0_u8;
        for (push, release) in pieces {
            let data: Vec<u8> = (0..push).map(|_| { value = value.wrapping_mul(5).wrapping_add(3); value }).collect();
            queue.push(&data);
            model.extend_from_slice(&data);
            queue.release(release);
            model.drain(..release.min(model.len()));
        }
        prop_assert_eq!(queue.len(), model.len());
        let from = from.min(model.len());
        let len = len.min(model.len() - from);
        let mut copy = vec![0; len];
        let sum = queue.copy_checksum(from, &mut copy);
        prop_assert_eq!(&copy, &model[from..from + len]);
        prop_assert_eq!(sum.finish(), Sum::of(&copy).finish());
    }
}
