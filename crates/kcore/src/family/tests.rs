use super::*;

#[test]
fn an_id_does_not_come_again_for_two_thousand_million_others() {
    let mut ids = Ids::default();
    let first: Vec<u32> = (0..1000).map(|_| ids.next(|_| false)).collect();
    assert!(first.is_sorted_by(|one, next| one < next), "each is new");
    assert_eq!((first[0], first[999]), (INIT_PID, 1000));
    // All others up to the last were given meanwhile.
    ids = Ids(PID_MAX - 1);
    assert_eq!(ids.next(|_| false), PID_MAX);
    assert!(i32::try_from(PID_MAX).is_ok());
    // Whoever still lives keeps its id.
    assert_eq!(ids.next(|pid| pid == INIT_PID || pid == 2), 3);
}
