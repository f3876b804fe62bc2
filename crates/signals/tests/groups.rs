//! Process groups and sessions beside a plain map.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_signals::{Groups, Refused};

#[test]
fn a_shell_makes_a_job_and_a_daemon_its_session() {
    let mut groups = Groups::new();
    groups.add(1, 0, None).unwrap();
    groups.add(10, 1, None).unwrap();
    assert_eq!((groups.group_of(10), groups.session_of(10)), (Some(1), Some(1)));
    groups.start_session(10).unwrap();
    assert_eq!(groups.start_session(10), Err(Refused::NotAllowed), "it leads a group");
    groups.add(11, 10, None).unwrap();
    groups.add(12, 10, None).unwrap();
    groups.enter(11, 0).unwrap();
    groups.enter(12, 11).unwrap();
    assert!(groups.members(11, 0).eq([11, 12]) && groups.members(11, 12).eq([12]));
    assert_eq!(groups.enter(12, 1), Err(Refused::NotAllowed), "another session's");
    assert_eq!(groups.enter(12, 99), Err(Refused::NotAllowed), "there is none");
    assert_eq!(groups.enter(10, 11), Err(Refused::NotAllowed), "it leads its session");
    assert_eq!(groups.enter(99, 0), Err(Refused::NoProcess));
    assert_eq!(groups.add(14, 1, Some(11)), Err(Refused::NotAllowed));
    assert_eq!(groups.group_of(14), None);
    groups.add(14, 10, Some(11)).unwrap();
    groups.add(15, 10, Some(0)).unwrap();
    assert_eq!(
        (groups.group_of(14), groups.group_of(15), groups.session_of(15)),
        (Some(11), Some(15), Some(10))
    );
    groups.remove(14);
    groups.remove(11);
    assert!(groups.is_taken(11), "a member is left");
    groups.remove(12);
    assert!(!groups.is_taken(11));
    groups.add(13, 10, None).unwrap();
    groups.enter(13, 0).unwrap();
    groups.remove(10);
    assert!(groups.is_taken(10), "the session has a member in another group");
}

proptest! {
    #[test]
    fn agrees_with_a_map(ops in prop::collection::vec((0..4_u8, 1..8_u32, 0..8_u32), 0..100)) {
        let mut groups = Groups::new();
        let mut model: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for (op, pid, other) in ops {
            match op {
                0 if !model.contains_key(&pid) && !groups.is_taken(pid) => {
                    groups.add(pid, other, None).unwrap();
                    let place = model.get(&other).copied().unwrap_or((pid, pid));
                    model.insert(pid, place);
                }
                1 => {
                    groups.remove(pid);
                    model.remove(&pid);
                }
                2 => {
                    let allowed = model.get(&pid).is_some_and(|&(_, session)| {
                        session != pid
                            && (other == 0 || other == pid || model.values().any(|&place| place == (other, session)))
                    });
                    prop_assert_eq!(groups.enter(pid, other).is_ok(), allowed);
                    if allowed && let Some(place) = model.get_mut(&pid) {
                        place.0 = if other == 0 { pid } else { other };
                    }
                }
                3 => {
                    let allowed = model.contains_key(&pid) && model.values().all(|&(group, _)| group != pid);
                    prop_assert_eq!(groups.start_session(pid).is_ok(), allowed);
                    if allowed {
                        model.insert(pid, (pid, pid));
                    }
                }
                _ => {}
            }
            for id in 0..8 {
                let members: Vec<u32> = model.iter().filter(|(_, place)| place.0 == id).map(|(&pid, _)| pid).collect();
                prop_assert_eq!(groups.members(id, 0).collect::<Vec<_>>(), members);
                let taken = model.values().any(|&(group, session)| group == id || session == id);
                prop_assert_eq!(groups.is_taken(id), taken);
                prop_assert_eq!(groups.group_of(id).zip(groups.session_of(id)), model.get(&id).copied());
            }
        }
    }
}
