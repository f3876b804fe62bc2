use super::*;

fn room(groups: &Groups) -> [usize; 4] {
    [&groups.group_of, &groups.session_of, &groups.in_group, &groups.in_session]
        .map(|index| index.0.capacity())
}

#[test]
fn room_is_the_same_again_when_a_crowd_has_gone() {
    for crowd in [40, 100, 1_000, 5_000] {
        let mut groups = Groups::new();
        groups.add(1, 0, None).unwrap();
        let before = room(&groups);
        (2..crowd).for_each(|pid| groups.add(pid, 1, None).unwrap());
        (2..crowd).filter(|pid| pid % 3 == 0).for_each(|pid| groups.enter(pid, 0).unwrap());
        assert!(room(&groups).iter().all(|&room| room + 1 >= crowd as usize));
        for pid in (2..crowd).rev() {
            groups.remove(pid);
        }
        assert_eq!(room(&groups), before, "{crowd}");
        assert_eq!((groups.group_of(1), groups.session_of(1)), (Some(1), Some(1)));
    }
}

#[test]
fn who_changes_its_group_moves_no_other() {
    let mut groups = Groups::new();
    (1..=1_000).for_each(|pid| groups.add(pid, 1, None).unwrap());
    let full = room(&groups);
    let mut last = 1_000;
    while room(&groups) == full {
        groups.remove(last);
        last -= 1;
    }
    let less = room(&groups);
    for _ in 0..100 {
        groups.enter(last, 0).unwrap();
        groups.enter(last, 1).unwrap();
        groups.add(last + 1, 1, None).unwrap();
        groups.remove(last + 1);
        assert_eq!(room(&groups), less);
    }
}
