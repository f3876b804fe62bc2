use super::*;

#[test]
fn weights_follow_the_nice_values() {
    assert_eq!([0, 1, -1, 19, -20].map(|nice| Weight::from_nice(nice).get()), [1024, 819, 1280, 15, 88_818]);
    assert_eq!(Weight::from_nice(0), Weight::NORMAL);
    assert_eq!(
        (Weight::from_nice(-99), Weight::from_nice(99)),
        (Weight::from_nice(-20), Weight::from_nice(19))
    );
    assert!((-20..19).all(|nice| Weight::from_nice(nice) > Weight::from_nice(nice + 1)));
}

#[test]
fn short_runs_add_up_exactly() {
    for nice in [-20, -3, 0, 7, 19] {
        let (mut often, mut once) =
            (Entity::new(Weight::from_nice(nice)), Entity::new(Weight::from_nice(nice)));
        for _ in 0..10_000 {
            often.add(Duration::from_nanos(7));
        }
        once.add(Duration::from_nanos(70_000));
        assert_eq!((often.vruntime, often.remainder), (once.vruntime, once.remainder));
    }
}

#[test]
fn the_end_of_time_saturates() {
    let mut entity = Entity::new(Weight::from_nice(19));
    entity.add(Duration::from_nanos(u64::MAX));
    entity.add(Duration::from_nanos(u64::MAX));
    assert!(entity.vruntime > u64::MAX / 1024);
}
