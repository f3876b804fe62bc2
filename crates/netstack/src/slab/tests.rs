use proptest::prelude::*;

use super::{Slab, SlotQueue, SocketId};

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

proptest! {
    #[test]
    fn a_queue_keeps_order_and_holds_each_once(steps in prop::collection::vec(0..40u32, 0..200)) {
        let mut queue = SlotQueue::new();
        let mut model = std::collections::VecDeque::new();
        for step in steps {
            if step < 30 {
                queue.push(step);
                if !model.contains(&step) {
                    model.push_back(step);
                }
            } else {
                prop_assert_eq!(queue.pop(), model.pop_front());
            }
            prop_assert_eq!(queue.is_empty(), model.is_empty());
        }
    }
}
