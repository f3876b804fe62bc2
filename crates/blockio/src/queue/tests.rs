use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { depth: 4, pending: 64, timeout_ns: 100 };

fn queue() -> Queue<u64> {
    Queue::new(LIMITS).unwrap()
}

fn want(queue: &mut Queue<u64>, block: u64, priority: Priority) {
    queue.want(block, block * 10, priority).unwrap();
}

fn poll(queue: &mut Queue<u64>) -> Option<(u64, u32)> {
    queue.poll(Instant::ZERO).map(|submit| (submit.first_block, submit.count))
}

#[test]
fn neighbours_are_merged_whatever_their_order() {
    let mut queue = queue();
    for block in [10, 12, 11, 9, 20, 8] {
        want(&mut queue, block, Priority::Demand);
    }
    let submit = queue.poll(Instant::ZERO).unwrap();
    assert_eq!((submit.first_block, submit.count), (8, 5));
    assert_eq!(queue.targets(submit.id).copied().collect::<Vec<_>>(), [80, 90, 100, 110, 120]);
    assert_eq!(poll(&mut queue), Some((20, 1)));
    assert_eq!(poll(&mut queue), None);
    assert_eq!(queue.in_flight(), 2);
}

#[test]
fn a_read_has_at_most_32_blocks_and_holds_the_oldest() {
    let mut queue = queue();
    for block in (0..50).rev() {
        want(&mut queue, block, Priority::Demand);
    }
    assert_eq!(poll(&mut queue), Some((18, 32)));
    assert_eq!(poll(&mut queue), Some((0, 18)));
}

#[test]
fn demand_goes_first_in_order_and_takes_expected_neighbours_along() {
    let mut queue = queue();
    want(&mut queue, 100, Priority::ReadAhead);
    want(&mut queue, 50, Priority::Demand);
    want(&mut queue, 51, Priority::ReadAhead);
    want(&mut queue, 7, Priority::Demand);
    want(&mut queue, 101, Priority::ReadAhead);
    assert_eq!(poll(&mut queue), Some((50, 2)));
    assert_eq!(poll(&mut queue), Some((7, 1)));
    assert_eq!(poll(&mut queue), Some((100, 2)));
}

#[test]
fn what_is_expected_moves_up_when_it_is_demanded() {
    let mut queue = queue();
    want(&mut queue, 1, Priority::ReadAhead);
    want(&mut queue, 5, Priority::ReadAhead);
    let rejected = queue.want(5, 999, Priority::Demand);
    assert_eq!(rejected, Err(Rejected { target: 999, why: Why::AlreadyWanted }));
    assert_eq!(poll(&mut queue), Some((5, 1)));
    // In flight it can't move any more, and is still known.
    assert_eq!(queue.want(5, 999, Priority::Demand).unwrap_err().why, Why::AlreadyWanted);
    assert_eq!(poll(&mut queue), Some((1, 1)));
}

#[test]
fn depth_and_size_are_kept() {
    let mut queue = queue();
    for block in 0..64 {
        want(&mut queue, block * 2, Priority::Demand);
    }
    let full = queue.want(1, 1, Priority::Demand).unwrap_err();
    assert_eq!(full, Rejected { target: 1, why: Why::Full });
    let ids: Vec<_> = core::iter::from_fn(|| queue.poll(Instant::ZERO)).map(|submit| submit.id).collect();
    assert_eq!(ids.len(), 4);
    queue.on_complete(ids[2], Outcome::Done).unwrap();
    assert_eq!(queue.want(1, 1, Priority::Demand).unwrap_err().why, Why::Full, "not before it is collected");
    assert_eq!(queue.completed(), Some(Completed { block: 4, target: 40, outcome: Outcome::Done }));
    assert_eq!(queue.completed(), None);
    want(&mut queue, 1, Priority::Demand);
    let next = queue.poll(Instant::ZERO).unwrap();
    assert_eq!(next.id.slot(), ids[2].slot());
    assert_eq!(queue.on_complete(ids[2], Outcome::Done), Err(Error::NotInFlight), "an id of before");
}

/// One bad sector among many: one block fails, after two tries, and nobody else notices.
#[test]
fn an_error_hits_only_its_block() {
    let mut queue = queue();
    for block in 0..8 {
        want(&mut queue, block, Priority::Demand);
    }
    let bad = 3;
    let mut results = BTreeMap::new();
    let mut reads_of_bad = 0;
    while let Some(submit) = queue.poll(Instant::ZERO) {
        let hit = (submit.first_block..submit.first_block + u64::from(submit.count)).contains(&bad);
        reads_of_bad += u32::from(hit);
        queue.on_complete(submit.id, if hit { Outcome::Failed } else { Outcome::Done }).unwrap();
        while let Some(done) = queue.completed() {
            results.insert(done.block, done.outcome);
        }
    }
    assert_eq!(reads_of_bad, 2);
    for block in 0..8 {
        let expected = if block == bad { Outcome::Failed } else { Outcome::Done };
        assert_eq!(results.get(&block), Some(&expected), "block {block}");
    }
}

#[test]
fn an_overdue_device_is_reset_and_the_reads_are_tried_again() {
    let mut queue = queue();
    assert_eq!(queue.deadline(), None);
    want(&mut queue, 1, Priority::Demand);
    let first = queue.poll(Instant::from_nanos(5)).unwrap();
    want(&mut queue, 3, Priority::Demand);
    let second = queue.poll(Instant::from_nanos(50)).unwrap();
    assert_eq!(queue.deadline(), Some(Instant::from_nanos(105)));
    queue.on_reset();
    assert_eq!((queue.deadline(), queue.in_flight()), (None, 0));
    for id in [first.id, second.id] {
        assert_eq!(queue.on_complete(id, Outcome::Done), Err(Error::NotInFlight));
    }
    assert_eq!(poll(&mut queue), Some((1, 1)));
    assert_eq!(poll(&mut queue), Some((3, 1)));
    queue.on_reset();
    // Failed twice: given up.
    let failed: Vec<_> = core::iter::from_fn(|| queue.completed()).collect();
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|done| done.outcome == Outcome::Failed));
    assert_eq!(poll(&mut queue), None);
}

/// However much is queued: two time-outs, one if it is known.
#[test]
fn all_fail_when_a_device_stays_silent() {
    let mut queue = queue();
    for block in 0..40 {
        want(&mut queue, block * 2, if block < 20 { Priority::Demand } else { Priority::ReadAhead });
    }
    while poll(&mut queue).is_some() {}
    queue.on_reset();
    assert!(!queue.has_completed());
    while poll(&mut queue).is_some() {}
    queue.on_reset();
    let failed = core::iter::from_fn(|| queue.completed());
    assert_eq!(failed.filter(|done| done.outcome == Outcome::Failed).count(), 40);
    assert_eq!((poll(&mut queue), queue.deadline()), (None, None));
    want(&mut queue, 1, Priority::Demand);
    assert_eq!(poll(&mut queue), Some((1, 1)));
    queue.on_reset();
    assert_eq!(queue.completed().map(|done| done.outcome), Some(Outcome::Failed));
    // One answer, and it is as any other.
    want(&mut queue, 1, Priority::Demand);
    let id = queue.poll(Instant::ZERO).unwrap().id;
    queue.on_complete(id, Outcome::Done).unwrap();
    assert_eq!(queue.completed().map(|done| done.outcome), Some(Outcome::Done));
    want(&mut queue, 3, Priority::Demand);
    assert_eq!(poll(&mut queue), Some((3, 1)));
    queue.on_reset();
    assert_eq!(poll(&mut queue), Some((3, 1)), "it is tried again");
}

#[test]
fn a_closed_queue_takes_nothing() {
    let mut queue = queue();
    for block in [1, 3, 5, 7, 9] {
        want(&mut queue, block, Priority::Demand);
        let _ = poll(&mut queue);
    }
    let lent: Vec<u64> =
        queue.flights().flat_map(|id| queue.targets(id).copied().collect::<Vec<_>>()).collect();
    assert_eq!(lent, [10, 30, 50, 70]);
    queue.close();
    assert_eq!(core::iter::from_fn(|| queue.completed()).count(), 5);
    assert_eq!(queue.want(1, 10, Priority::Demand), Err(Rejected { target: 10, why: Why::Closed }));
    assert_eq!((poll(&mut queue), queue.flights().count()), (None, 0));
}

#[test]
fn the_ends_of_the_number_range() {
    let mut queue = queue();
    for block in [u64::MAX, 0, u64::MAX - 1] {
        queue.want(block, block, Priority::Demand).unwrap();
    }
    assert_eq!(poll(&mut queue), Some((u64::MAX - 1, 2)));
    assert_eq!(poll(&mut queue), Some((0, 1)));
}

#[test]
fn absurd_limits_are_refused() {
    for limits in [
        Limits { depth: 0, ..LIMITS },
        Limits { pending: 0, ..LIMITS },
        Limits { pending: (1 << 16) + 1, ..LIMITS },
    ] {
        assert_eq!(Queue::<()>::new(limits).map(drop), Err(Error::BadLimits));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Want { block: u64, demand: bool },
    Poll,
    Complete(prop::sample::Index),
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0_u64..48, any::<bool>()).prop_map(|(block, demand)| Step::Want { block, demand }),
        5 => Just(Step::Poll),
        4 => any::<prop::sample::Index>().prop_map(Step::Complete),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// A disk with bad blocks that answers in any order and is reset now and then: every target comes back once, bad blocks
    /// fail, good ones do not unless resets hit them twice, and nobody waits for ever.
    #[test]
    fn every_target_comes_back_once(steps in steps(), bad in prop::collection::btree_set(0_u64..48, 0..6), last in any::<prop::sample::Index>()) {
        let mut queue: Queue<u64> = Queue::new(Limits { pending: 20, ..LIMITS }).unwrap();
        let mut wanted: BTreeMap<u64, u64> = BTreeMap::new();
        let mut flights: Vec<Submit> = Vec::new();
        let mut resets = 0;
        let mut next = 0;
        let drain = core::iter::repeat_n([Step::Poll, Step::Complete(last)], 200).flatten();
        for step in steps.into_iter().chain(drain) {
            match step {
                Step::Want { block, demand } => {
                    let priority = if demand { Priority::Demand } else { Priority::ReadAhead };
                    next += 1;
                    match queue.want(block, next, priority) {
                        Ok(()) => prop_assert_eq!(wanted.insert(block, next), None),
                        Err(Rejected { target, why: Why::AlreadyWanted }) => {
                            prop_assert!(target == next && wanted.contains_key(&block));
                        }
                        Err(Rejected { target, why: Why::Full }) => {
                            prop_assert!(target == next && wanted.len() == 20);
                        }
                        Err(Rejected { why: Why::Closed, .. }) => prop_assert!(false, "nobody closed it"),
                    }
                }
                Step::Poll => if let Some(submit) = queue.poll(Instant::ZERO) {
                    prop_assert!(submit.count >= 1 && submit.count <= REQUEST_BLOCKS_MAX);
                    let blocks = submit.first_block..submit.first_block + u64::from(submit.count);
                    let targets: Vec<u64> = blocks.clone().map(|block| wanted[&block]).collect();
                    prop_assert_eq!(queue.targets(submit.id).copied().collect::<Vec<_>>(), targets);
                    for other in &flights {
                        let end = other.first_block + u64::from(other.count);
                        prop_assert!(blocks.end <= other.first_block || end <= blocks.start, "twice in flight");
                    }
                    flights.push(submit);
                    prop_assert!(flights.len() <= 4);
                },
                Step::Complete(nth) => if !flights.is_empty() {
                    let submit = flights.swap_remove(nth.index(flights.len()));
                    let mut blocks = submit.first_block..submit.first_block + u64::from(submit.count);
                    let outcome = if blocks.any(|block| bad.contains(&block)) { Outcome::Failed } else { Outcome::Done };
                    prop_assert_eq!(queue.on_complete(submit.id, outcome), Ok(()));
                    prop_assert_eq!(queue.on_complete(submit.id, outcome), Err(Error::NotInFlight));
                },
                Step::Reset => {
                    queue.on_reset();
                    flights.clear();
                    resets += 1;
                }
            }
            while let Some(done) = queue.completed() {
                prop_assert_eq!(wanted.remove(&done.block), Some(done.target));
                match done.outcome {
                    Outcome::Done => prop_assert!(!bad.contains(&done.block)),
                    Outcome::Failed => prop_assert!(bad.contains(&done.block) || resets > 0),
                }
            }
            prop_assert_eq!(usize::from(queue.in_flight()), flights.len());
            let known: BTreeSet<u64> = (0..48).filter(|&block| queue.is_wanted(block)).collect();
            prop_assert_eq!(known, wanted.keys().copied().collect::<BTreeSet<_>>());
        }
        prop_assert!(wanted.is_empty(), "still waiting: {:?}", wanted);
    }
}
