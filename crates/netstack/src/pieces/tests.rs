#![expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]

use std::rc::Rc;

use proptest::prelude::*;
use swos_tcp::SendQueue;
use swos_wire::Sum;

use super::{Borrowed, CHUNK, FREED_AT_ONCE, Pool, Queue};
use crate::device::PageRef;

#[derive(Clone)]
struct Page(Rc<[u8; 4096]>);

impl PageRef for Page {
    fn bytes(&self) -> &[u8] {
        &self.0[..]
    }
}

fn page() -> Page {
    Page(Rc::new(core::array::from_fn(|at| (at * 7) as u8)))
}

proptest! {
    #[test]
    fn two_queues_in_one_pool_agree_with_byte_strings(
        steps in prop::collection::vec((0..5u8, 0..2usize, 0..5_000usize, 0..5_000usize), 0..200)
    ) {
        let page = page();
        let mut pool = Pool::new();
        let mut queues = [Queue::EMPTY; 2];
        let mut models = [Vec::new(), Vec::new()];
        for (what, which, a, b) in steps {
            let (queue, model) = (&mut queues[which], &mut models[which]);
            match what {
                0 => {
                    let bytes: Vec<u8> = (0..a).map(|at| (at ^ b) as u8).collect();
                    let taken = pool.push_bytes(queue, &bytes, b % 3);
                    prop_assert!(taken == a || taken >= (b % 3) * CHUNK);
                    model.extend(&bytes[..taken]);
                }
                1 => {
                    let (start, end) = (a.min(b).min(4096), a.max(b).min(4096));
                    if start < end {
                        pool.push_page(queue, page.clone(), start..end);
                        model.extend(&page.bytes()[start..end]);
                    }
                }
                2 | 3 => {
                    let offset = a.min(model.len());
                    let len = b.min(model.len() - offset);
                    let mut out = vec![0; len];
                    let sum = Borrowed { pool: &mut pool, queue }.copy_on(offset, &mut out);
                    prop_assert_eq!(&out, &model[offset..offset + len]);
                    prop_assert_eq!(sum.finish(), Sum::of(&out).finish());
                    let again = Borrowed { pool: &mut pool, queue }.copy_checksum(offset, &mut out);
                    prop_assert_eq!(again.finish(), sum.finish());
                }
                _ => {
                    let before = pool.pieces_in_use();
                    Borrowed { pool: &mut pool, queue }.release(a);
                    prop_assert!(before - pool.pieces_in_use() <= FREED_AT_ONCE);
                    model.drain(..a.min(model.len()));
                }
            }
            prop_assert_eq!(queue.len(), model.len());
        }
        for queue in &mut queues {
            let before = pool.pieces_in_use();
            pool.clear(queue);
            prop_assert!(before - pool.pieces_in_use() <= FREED_AT_ONCE);
        }
        while pool.has_waste() {
            prop_assert!((1..=7).contains(&pool.sweep(7)));
        }
        prop_assert_eq!(pool.sweep(7), 0);
        prop_assert_eq!((pool.pieces_in_use(), pool.owned_chunks()), (0, 0));
        prop_assert_eq!(Rc::strong_count(&page.0), 1);
    }
}

#[test]
fn small_writes_share_a_chunk() {
    let mut pool = Pool::<Page>::new();
    let mut queue = Queue::EMPTY;
    for _ in 0..100 {
        assert_eq!(pool.push_bytes(&mut queue, b"line of text\n", usize::MAX), 13);
    }
    assert_eq!((pool.pieces_in_use(), queue.len()), (1, 1300));
    assert_eq!(pool.push_bytes(&mut queue, &[0; 5000], 0), CHUNK - 1300, "fills what is there");
}
