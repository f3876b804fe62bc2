use proptest::prelude::*;

use super::{CHUNK, CHUNKS_AT_ONCE, SPENT, Slab, SlotQueue, SocketId};

#[test]
fn an_old_id_reaches_nothing() {
    let mut slab = Slab::new(2);
    let first = slab.insert('a').unwrap();
    let second = slab.insert('b').unwrap();
    assert_eq!(slab.insert('c'), None, "full");
    assert_eq!(slab.remove(first.index), Some('a'));
    assert_eq!(slab.remove(first.index), None);
    let third = slab.insert('c').unwrap();
    assert_eq!((third.index(), slab.check(first), slab.check(third)), (0, None, Some(0)));
    assert_eq!(slab.id_of(0), Some(third));
    slab.orphan(second.index);
    assert_eq!((slab.check(second), slab.get(second.index)), (None, Some(&'b')));
    assert_eq!(SocketId::from_bits(third.to_bits()), third);
}

#[test]
fn a_slot_whose_generations_ran_out_is_not_used_again() {
    let mut slab = Slab::new(9);
    for (before, way) in [(u32::MAX - 1, "removed"), (u32::MAX - 1, "orphaned")] {
        let id = slab.insert(()).unwrap();
        slab.slot_mut(id.index).unwrap().generation = before;
        let id = slab.id_of(id.index).unwrap();
        assert_eq!(slab.check(id), Some(id.index));
        if way == "orphaned" {
            slab.orphan(id.index);
            assert_eq!(slab.check(slab.id_of(id.index).unwrap()), None);
        }
        slab.remove(id.index);
        assert_ne!(slab.insert(()).unwrap().index, id.index, "{way}");
    }
}

#[test]
fn many_slots_keep_their_values() {
    let mut slab = Slab::new(1_000);
    let ids: Vec<_> = (0..1_000).map(|value| slab.insert(value).unwrap()).collect();
    assert_eq!((slab.insert(0), slab.len(), slab.bound()), (None, 1_000, 1_000));
    for (value, id) in ids.iter().enumerate() {
        assert_eq!(slab.get(slab.check(*id).unwrap()), Some(&value));
    }
}

#[test]
fn chunks_are_given_back_and_no_id_comes_again() {
    let mut slab = Slab::new(10_000);
    let mut ids = std::collections::HashSet::new();
    let resting = slab.insert(7).unwrap();
    for round in 1..4 {
        let crowd: Vec<_> = (0..1_000).map(|value| slab.insert(value).unwrap()).collect();
        assert!(slab.chunks.len() > 1_000 / CHUNK);
        // In an order that is neither that of coming nor its reverse.
        let mut order = crowd.clone();
        order.sort_by_key(|id| id.index.wrapping_mul(0x9E37_79B1));
        for id in order {
            assert!(ids.insert(id.to_bits()), "round {round}: {id:?} came again");
            assert!(slab.remove(id.index).is_some());
        }
        for _ in 0..1_000 / CHUNK / CHUNKS_AT_ONCE {
            let id = slab.insert(0).unwrap();
            assert_eq!(id.index, 1, "low numbers first");
            slab.remove(1);
        }
        assert_eq!((slab.chunks.len(), slab.free.len(), slab.bound()), (1, 1, 32), "round {round}");
        assert!(crowd.iter().all(|&id| slab.check(id).is_none()));
    }
    assert_eq!(slab.get(slab.check(resting).unwrap()), Some(&7));
}

#[test]
fn a_socket_to_and_fro_moves_nothing() {
    let mut slab = Slab::new(100);
    let ids: Vec<_> = (0..33).map(|value| slab.insert(value).unwrap()).collect();
    assert_eq!(slab.chunks.len(), 2);
    for _ in 0..100 {
        slab.remove(32);
        assert_eq!((slab.chunks.len(), slab.insert(1).unwrap().index), (2, 32));
    }
    ids.iter().skip(10).for_each(|id| assert!(slab.remove(id.index).is_some()));
    assert_eq!(slab.chunks.len(), 1);
}

#[test]
fn a_chunk_with_few_generations_left_stays() {
    let mut slab = Slab::new(100);
    let ids: Vec<_> = (0..64).map(|value| slab.insert(value).unwrap()).collect();
    slab.slot_mut(40).unwrap().generation = SPENT / 2;
    ids.iter().for_each(|id| assert!(slab.remove(id.index).is_some()));
    assert_eq!(slab.chunks.len(), 2);
}

proptest! {
    #[test]
    fn a_queue_keeps_order_and_holds_each_once(steps in prop::collection::vec(0..40u32, 0..200)) {
        let mut queue = SlotQueue::new();
        let mut model = std::collections::VecDeque::new();
        for step in steps {
            if step < 30 {
                let index = 11 * step;
                queue.reserve(index).unwrap();
                queue.push(index);
                if !model.contains(&index) {
                    model.push_back(index);
                }
            } else if step < 34 {
                // Nothing is lost while something is inside.
                queue.fit(0);
            } else {
                prop_assert_eq!(queue.pop(), model.pop_front());
            }
            prop_assert_eq!(queue.is_empty(), model.is_empty());
        }
    }
}
