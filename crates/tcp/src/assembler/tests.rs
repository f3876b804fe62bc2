use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const BASE: SeqNumber = SeqNumber(u32::MAX - 50);

proptest! {
    /// Against a set of octets.
    #[test]
    fn agrees_with_a_set(steps in prop::collection::vec((1..150_u32, 1..30_u32), 1..60), limit in 1..12_usize) {
        let (mut assembler, mut model) = (Assembler::default(), BTreeSet::new());
        let mut next = 0;
        for (i, (start, len)) in steps.into_iter().enumerate() {
            let (start, end) = (next + start, next + start + len);
            match assembler.insert(BASE + start, BASE + end, limit) {
                Ok(()) => model.extend(start..end),
                Err(Full) => {
                    prop_assert_eq!(assembler.len(), limit);
                    // It would have been a range of its own.
                    prop_assert!((start - 1..=end).all(|octet| !model.contains(&octet)));
                }
            }
            if i % 5 == 4 {
                // The next octet comes, and what follows it.
                next += 1 + len / 3;
                while model.contains(&next) {
                    next += 1;
                }
                model = model.split_off(&next);
                prop_assert_eq!(assembler.advance(BASE + next), BASE + next);
            }
            let mut ranges = Vec::new();
            for &octet in &model {
                match ranges.last_mut() {
                    Some((_, end)) if *end == octet => *end += 1,
                    _ => ranges.push((octet, octet + 1)),
                }
            }
            let ours: Vec<_> =
                assembler.ranges.iter().map(|r| (r.start.since(BASE), r.end.since(BASE))).collect();
            prop_assert_eq!(ours, ranges);
        }
    }
}

#[test]
fn advance_reaches_through_touching_ranges_and_frees_memory() {
    let mut assembler = Assembler::default();
    assembler.insert(BASE + 10, BASE + 20, 8).unwrap();
    assembler.insert(BASE + 30, BASE + 40, 8).unwrap();
    assert_eq!(assembler.advance(BASE + 9), BASE + 9);
    assert_eq!(assembler.advance(BASE + 15), BASE + 20);
    assert_eq!(assembler.advance(BASE + 50), BASE + 50);
    assert_eq!(assembler.storage(), 0);
}
