//! Counted beside the areas of a space, through everything that splits and merges them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_units::Page;
use swos_vm::{Access, PageRange};

use super::Objects;
use crate::{
    AddressSpace, Backing, FileWindow, Limits, ObjectId, ObjectWindow, Permitted, Placement, Request,
};

const LOW: u64 = 0x100;

#[derive(Clone, Debug)]
enum Op {
    Map(u64, u64, Backing),
    Unmap(u64, u64),
    Protect(u64, u64),
}

fn backing() -> impl Strategy<Value = Backing> {
    (0..4_u64, 0..3_u64, 0..3).prop_map(|(object, first, kind)| match kind {
        0 => Backing::Anonymous,
        1 => Backing::Shared(ObjectWindow { object: ObjectId(object), first }),
        _ => Backing::File(FileWindow { object: ObjectId(object), first, bytes: u64::MAX }),
    })
}

fn op() -> impl Strategy<Value = Op> {
    let place = || (0..40_u64, 1..16_u64);
    prop_oneof![
        4 => (place(), backing()).prop_map(|((at, count), backing)| Op::Map(at, count, backing)),
        2 => place().prop_map(|(at, count)| Op::Unmap(at, count)),
        2 => place().prop_map(|(at, count)| Op::Protect(at, count)),
    ]
}

fn range(at: u64, count: u64) -> PageRange {
    PageRange::with_len(Page::from_number(LOW + at).unwrap(), count).unwrap()
}

proptest! {
    #[test]
    fn an_object_is_there_as_long_as_a_page_of_it(ops in prop::collection::vec(op(), 1..60)) {
        let mut space = AddressSpace::new(Page::from_number(1 << 20).unwrap(), Limits::default());
        let mut objects = Objects::new();
        for op in ops {
            match op {
                Op::Map(at, count, backing) => {
                    let pages = range(at, count);
                    let request = Request {
                        placement: Placement::At(pages.start()),
                        pages: count,
                        access: Access::ReadWrite,
                        permitted: Permitted::ALL,
                        backing,
                    };
                    objects.reserve().unwrap();
                    space.map_over(request, |gone| {
                        let _forgotten = objects.remove(&gone);
                    }).unwrap();
                    if let Some(id) = backing.object() {
                        objects.add(id, count, id.0);
                    }
                }
                Op::Unmap(at, count) => {
                    space.unmap(range(at, count), |gone| {
                        let _forgotten = objects.remove(&gone);
                    }).unwrap();
                }
                // Splits areas or not, as it may.
                Op::Protect(at, count) => drop(space.protect(range(at, count), Access::ReadOnly)),
            }
            let mut counted = BTreeMap::new();
            for area in space.areas() {
                if let Some(id) = area.backing.object() {
                    *counted.entry(id.0).or_insert(0) += area.pages.count();
                }
            }
            let known: BTreeMap<u64, u64> = objects.entries.iter().map(|entry| (entry.id.0, entry.pages)).collect();
            prop_assert_eq!(&known, &counted);
            for id in 0..4 {
                prop_assert_eq!(objects.get(ObjectId(id)).copied(), counted.get(&id).map(|_| id));
            }
        }
        let copy = objects.duplicate().unwrap();
        prop_assert_eq!(copy.iter().count(), objects.iter().count());
        while let Some(id) = objects.pop() {
            prop_assert!(space.areas().any(|area| area.backing.object() == Some(ObjectId(id))));
        }
        prop_assert!(objects.iter().next().is_none());
    }
}
