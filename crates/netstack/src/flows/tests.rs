#![expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]

use core::net::Ipv4Addr;
use std::collections::HashMap;

use proptest::prelude::*;

use super::{FlowKey, Flows, Holder, hash};

fn key(local: u8, port: u16, remote: u8, remote_port: u16) -> FlowKey {
    FlowKey::of(Ipv4Addr::new(192, 0, 2, local), port, Ipv4Addr::new(198, 51, 100, remote), remote_port)
}

#[test]
fn a_key_gives_back_its_parts() {
    let key = key(1, 80, 2, 50_000);
    assert_eq!(key.local_address(), "192.0.2.1:80".parse().unwrap());
    assert_eq!(key.remote_address(), "198.51.100.2:50000".parse().unwrap());
    assert_eq!(FlowKey::from_flow(&key.flow()), Some(key));
}

#[test]
fn neighbouring_flows_spread_over_all_buckets() {
    let mut buckets = [0u32; 1024];
    for port in 0..50_000 {
        buckets[hash([3, 5], &key(1, 80, 2, port)) as usize % 1024] += 1;
    }
    // 49 on average: a bucket with twice as many would be a sign of structure.
    assert!(buckets.iter().all(|count| (15..100).contains(count)), "{:?}", buckets.iter().max());
}

proptest! {
    #[test]
    fn agrees_with_a_map(steps in prop::collection::vec((0..4u8, 0..8u16, 0..3u32), 0..200)) {
        let mut flows = Flows::new([1, 2]);
        let mut model = HashMap::new();
        for (what, port, holder) in steps {
            let flow = key(1, 80, 2, port);
            let holder = if holder == 2 { Holder::TimeWait(0) } else { Holder::Connection(holder) };
            match what {
                0 | 1 => {
                    flows.set(flow, holder).unwrap();
                    model.insert(port, holder);
                }
                2 => {
                    flows.remove(&flow, holder);
                    if model.get(&port) == Some(&holder) {
                        model.remove(&port);
                    }
                }
                _ => prop_assert_eq!(flows.get(&flow), model.get(&port).copied()),
            }
            prop_assert_eq!(flows.len(), model.len());
        }
    }
}
