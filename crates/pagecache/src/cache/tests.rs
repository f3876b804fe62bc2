use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn key(page: u64) -> Key {
    Key { object: ObjectId(u32::try_from(page % 3).unwrap()), page }
}

fn frame(number: u64) -> Frame {
    Frame::from_number(number).unwrap()
}

fn miss(cache: &mut Cache, page: u64) -> FillTicket {
    match cache.get(key(page)) {
        Lookup::Miss(ticket) => ticket,
        other => panic!("page {page}: {other:?}"),
    }
}

fn unverified(cache: &mut Cache, page: u64) -> PageRef {
    match cache.get(key(page)) {
        Lookup::Unverified(found) => found,
        other => panic!("page {page}: {other:?}"),
    }
}

#[test]
fn a_page_that_fails_verification_is_read_again() {
    let mut cache = Cache::new(1);
    let ticket = miss(&mut cache, 5);
    assert_eq!(ticket.key(), key(5));
    cache.filled(ticket, frame(1), Trust::Unverified);
    // Two CPUs find it at once; the second to reject does not free the frame again.
    let (a, b) = (unverified(&mut cache, 5), unverified(&mut cache, 5));
    assert_eq!(cache.rejected(a), Some(frame(1)));
    assert_eq!(cache.rejected(b), None);
    cache.verified(b);
    let again = miss(&mut cache, 5);
    cache.filled(again, frame(2), Trust::Unverified);
    // What is known of the old bytes says nothing about the new ones.
    cache.verified(a);
    assert_eq!(cache.rejected(a), None);
    let fresh = unverified(&mut cache, 5);
    cache.verified(fresh);
    assert_eq!(cache.get(key(5)), Lookup::Hit(frame(2)));
    assert_eq!(cache.rejected(fresh), None, "what was verified stays");
    assert_eq!(cache.counts().rejected, 1);
}

#[test]
fn a_failed_read_is_told_to_each_waiter_and_then_tried_again() {
    let mut cache = Cache::new(1);
    let ticket = miss(&mut cache, 9);
    assert_eq!(cache.get(key(9)), Lookup::Filling);
    cache.failed(ticket, ReadError::Device, 2);
    assert_eq!(cache.get(key(9)), Lookup::Failed(ReadError::Device));
    assert_eq!(cache.get(key(9)), Lookup::Failed(ReadError::Device));
    let ticket = miss(&mut cache, 9);
    cache.failed(ticket, ReadError::NoMemory, 0);
    drop(miss(&mut cache, 9));
}

#[test]
fn used_and_pinned_pages_outlive_the_others() {
    let mut cache = Cache::new(7);
    for page in 0..8 {
        let ticket = miss(&mut cache, page);
        cache.filled(ticket, frame(page), Trust::Verified);
    }
    drop(miss(&mut cache, 100));
    for page in [1, 2] {
        assert_eq!(cache.get(key(page)), Lookup::Hit(frame(page)));
    }
    let pinned = |at: Frame| if at.number() == 3 { Pinned::Yes } else { Pinned::No };
    let mut gone = Vec::new();
    assert_eq!(cache.shrink(5, 100, pinned, |key, at| gone.push((key.page, at.number()))), 5);
    gone.sort_unstable();
    assert_eq!(gone, [0, 4, 5, 6, 7].map(|page| (page, page)));
    // In the second round the used ones have lost their mark.
    assert_eq!(cache.shrink(5, 100, pinned, |_, _| ()), 2);
    assert_eq!(cache.shrink(5, 100, pinned, |_, _| ()), 0);
    assert_eq!(cache.counts().pages, 1);
    assert_eq!(cache.get(key(100)), Lookup::Filling);
    assert_eq!(cache.get(key(3)), Lookup::Hit(frame(3)));
}

#[test]
fn a_scan_is_bounded() {
    let mut cache = Cache::new(7);
    for page in 0..100 {
        let ticket = miss(&mut cache, page);
        cache.filled(ticket, frame(page), Trust::Verified);
    }
    let mut looked = 0;
    cache.shrink(
        50,
        10,
        |_| {
            looked += 1;
            Pinned::Yes
        },
        |_, _| (),
    );
    assert_eq!(looked, 10);
}

/// However many pages there are, and however unlucky the keys, chains stay short.
#[test]
fn chains_stay_short_while_the_table_grows() {
    for (seed, stride) in [(3, 1), (0, 4096), (u64::MAX, 1 << 20), (0xDEAD_BEEF, 3), (12_345, 1)] {
        let mut cache = Cache::new(seed);
        for page in 0..20_000 {
            let key = Key { object: ObjectId(0), page: page * stride };
            let Lookup::Miss(ticket) = cache.get(key) else { panic!() };
            cache.filled(ticket, frame(page), Trust::Verified);
        }
        let (mut longest, mut total) = (0, 0_u64);
        for page in 0..20_000 {
            let mut at = cache.table.head(cache.table.hash(0, page * stride));
            let mut length = 0;
            while let Some(slot) = cache.slots.get(at) {
                length += 1;
                if slot.page == page * stride {
                    break;
                }
                at = slot.next;
            }
            longest = longest.max(length);
            total += length;
        }
        assert!(
            longest < 12 && total < 20_000 * 7 / 4,
            "seed {seed} stride {stride}: longest {longest}, all {total}"
        );
    }
}

#[derive(Clone, Debug)]
enum Step {
    Get(u64),
    Fill { nth: prop::sample::Index, trusted: bool },
    Fail { nth: prop::sample::Index, waiters: u32 },
    Judge { nth: prop::sample::Index, good: bool },
    Shrink { wanted: u32, scan: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u64..40).prop_map(Step::Get),
        4 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(nth, trusted)| Step::Fill { nth, trusted }),
        1 => (any::<prop::sample::Index>(), 0_u32..3).prop_map(|(nth, waiters)| Step::Fail { nth, waiters }),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(nth, good)| Step::Judge { nth, good }),
        1 => (0_u32..6, 0_u32..60).prop_map(|(wanted, scan)| Step::Shrink { wanted, scan }),
    ];
    prop::collection::vec(step, 1..300)
}

/// What the cache should know of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Filling,
    Unverified(Frame),
    Ready(Frame),
    Failed(u32),
}

proptest! {
    /// Against a map: same answers, no frame lost or given back twice, no unverified page handed out as good.
    #[test]
    fn agrees_with_a_map(seed in any::<u64>(), steps in steps()) {
        let mut cache = Cache::new(seed);
        let mut model: BTreeMap<u64, Known> = BTreeMap::new();
        let mut tickets: Vec<FillTicket> = Vec::new();
        let mut refs: Vec<(u64, PageRef)> = Vec::new();
        let mut next_frame = 0;
        let mut held: BTreeSet<u64> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Get(page) => {
                    let known = model.get(&page).copied();
                    match cache.get(key(page)) {
                        Lookup::Hit(at) => prop_assert_eq!(known, Some(Known::Ready(at))),
                        Lookup::Unverified(found) => {
                            prop_assert_eq!(known, Some(Known::Unverified(found.frame())));
                            refs.push((page, found));
                        }
                        Lookup::Filling => prop_assert_eq!(known, Some(Known::Filling)),
                        Lookup::Miss(ticket) => {
                            prop_assert_eq!(known, None);
                            prop_assert_eq!(ticket.key(), key(page));
                            model.insert(page, Known::Filling);
                            tickets.push(ticket);
                        }
                        Lookup::Failed(ReadError::Device) => {
                            let Some(Known::Failed(left)) = known else { panic!("{known:?}") };
                            if left == 1 { model.remove(&page); } else { model.insert(page, Known::Failed(left - 1)); }
                        }
                        other => panic!("{other:?}"),
                    }
                }
                Step::Fill { nth, trusted } if !tickets.is_empty() => {
                    let ticket = tickets.swap_remove(nth.index(tickets.len()));
                    let page = ticket.key().page;
                    next_frame += 1;
                    held.insert(next_frame);
                    let at = frame(next_frame);
                    if trusted {
                        cache.filled(ticket, at, Trust::Verified);
                        model.insert(page, Known::Ready(at));
                    } else {
                        cache.filled(ticket, at, Trust::Unverified);
                        model.insert(page, Known::Unverified(at));
                    }
                }
                Step::Fail { nth, waiters } if !tickets.is_empty() => {
                    let ticket = tickets.swap_remove(nth.index(tickets.len()));
                    let page = ticket.key().page;
                    cache.failed(ticket, ReadError::Device, waiters);
                    if waiters == 0 { model.remove(&page); } else { model.insert(page, Known::Failed(waiters)); }
                }
                Step::Judge { nth, good } if !refs.is_empty() => {
                    // References are kept and used again long after their page went away.
                    let (page, found) = refs[nth.index(refs.len())];
                    let current = model.get(&page) == Some(&Known::Unverified(found.frame()));
                    if good {
                        cache.verified(found);
                        if current { model.insert(page, Known::Ready(found.frame())); }
                    } else {
                        let freed = cache.rejected(found);
                        prop_assert_eq!(freed, current.then_some(found.frame()));
                        if current {
                            model.remove(&page);
                            prop_assert!(held.remove(&found.frame().number()));
                        }
                    }
                }
                Step::Shrink { wanted, scan } => {
                    let mut evicted = Vec::new();
                    let pinned = |at: Frame| if at.number().is_multiple_of(4) { Pinned::Yes } else { Pinned::No };
                    let given = cache.shrink(wanted, scan, pinned, |key, at| evicted.push((key.page, at)));
                    prop_assert!(given <= wanted && given as usize == evicted.len());
                    for (page, at) in evicted {
                        let known = model.remove(&page);
                        prop_assert!(known == Some(Known::Ready(at)) || known == Some(Known::Unverified(at)));
                        prop_assert!(held.remove(&at.number()) && at.number() % 4 != 0);
                    }
                }
                Step::Fill { .. } | Step::Fail { .. } | Step::Judge { .. } => {}
            }
            prop_assert_eq!(cache.counts().pages, held.len() as u64);
            for page in 0..40 {
                prop_assert_eq!(cache.contains(key(page)), model.contains_key(&page));
            }
        }
    }
}
