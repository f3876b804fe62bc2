#![expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]

use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;

use proptest::prelude::*;

use super::{Arrival, KEEP_BYTES, Limits, Queue, Received};

fn from(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

proptest! {
    #[test]
    fn agrees_with_a_list_of_datagrams(steps in prop::collection::vec((any::<bool>(), 0..300usize), 0..200)) {
        let limits = Limits { bytes: 1_000, datagrams: 6 };
        let mut queue = Queue::new(limits);
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        for (index, (push, size)) in steps.into_iter().enumerate() {
            if push {
                let data: Vec<u8> = (0..size).map(|at| (at + index) as u8).collect();
                let fits = model.len() < 6 && model.iter().map(Vec::len).sum::<usize>() + size <= 1_000;
                let expected = if fits { Arrival::Queued } else { Arrival::Dropped };
                prop_assert_eq!(queue.push(from(size as u16), &data), expected);
                if fits {
                    model.push_back(data);
                }
            } else {
                let mut buffer = vec![0xa5; size];
                let front = queue.front();
                let whole = queue.front_bytes().concat();
                prop_assert_eq!(&whole, &model.front().cloned().unwrap_or_default());
                let got = if size % 3 == 0 {
                    buffer.iter_mut().zip(&whole).for_each(|(to, from)| *to = *from);
                    queue.drop_front()
                } else {
                    queue.pop(&mut buffer)
                };
                prop_assert_eq!(front, got);
                let expected = model.pop_front();
                prop_assert_eq!(got.map(|got| got.len), expected.as_ref().map(Vec::len));
                if let (Some(got), Some(expected)) = (got, expected) {
                    let len = size.min(expected.len());
                    prop_assert_eq!(&buffer[..len], &expected[..len]);
                    prop_assert_eq!(got, Received { len: expected.len(), from: from(expected.len() as u16) });
                }
            }
            prop_assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
        }
    }
}

#[test]
fn memory_comes_and_goes() {
    let mut queue = Queue::new(Limits::default());
    assert_eq!(queue.memory_bytes(), 0);
    for _ in 0..50 {
        queue.push(from(1), &[0; 1000]);
    }
    assert!(queue.memory_bytes() >= 50_000);
    while queue.pop(&mut []).is_some() {}
    assert_eq!(queue.memory_bytes(), 0);
    queue.push(from(1), &[0; 100]);
    queue.pop(&mut []);
    assert!(queue.memory_bytes() > 0, "a little is kept");
    assert!(queue.memory_bytes() < 2 * KEEP_BYTES);
}

#[test]
fn limits_can_change_and_what_waits_stays() {
    let mut queue = Queue::new(Limits { bytes: 10, datagrams: 1 });
    assert_eq!(queue.push(from(1), b"0123456789"), Arrival::Queued);
    queue.set_limits(Limits { bytes: 5, datagrams: 9 });
    assert_eq!(queue.push(from(1), b""), Arrival::Dropped);
    assert_eq!(queue.limits().bytes, 5);
    assert_eq!(queue.pop(&mut [0; 20]).map(|got| got.len), Some(10));
    assert_eq!(queue.push(from(1), b""), Arrival::Queued);
}
