use proptest::prelude::*;

use super::*;

fn load() -> impl Strategy<Value = Load> {
    prop_oneof![Just(Load::Closed), Just(Load::Idle), (1..6_usize).prop_map(Load::Busy)]
}

proptest! {
    #[test]
    fn the_choice_is_open_idle_if_possible_and_never_much_busier(
        loads in prop::collection::vec(load(), 0..9),
        last in 0..12_usize,
    ) {
        let mut looked = vec![0; loads.len()];
        let chosen = place(last, loads.len(), |cpu| {
            looked[cpu] += 1;
            loads[cpu]
        });
        prop_assert!(looked.iter().all(|&times| times <= 1));
        let Some(chosen) = chosen else {
            prop_assert!(loads.iter().all(|&load| load == Load::Closed));
            return Ok(());
        };
        prop_assert_ne!(loads[chosen], Load::Closed);
        prop_assert_eq!(loads.contains(&Load::Idle), loads[chosen] == Load::Idle);
        if let Load::Busy(threads) = loads[chosen] {
            let spare = usize::from(chosen == if last < loads.len() { last } else { 0 });
            prop_assert!(loads.iter().all(|&load| !matches!(load, Load::Busy(other) if other + spare < threads)));
        }
    }
}

#[test]
fn the_last_cpu_wins_unless_moving_helps() {
    use Load::{Busy, Closed, Idle};
    let at = |last, loads: &[Load]| place(last, loads.len(), |cpu| loads[cpu]);
    assert_eq!(at(1, &[Idle, Idle, Idle]), Some(1));
    assert_eq!(at(1, &[Idle, Busy(1), Idle]), Some(2)); // The first idle one after the last.
    assert_eq!(at(0, &[Busy(2), Busy(1)]), Some(0));
    assert_eq!(at(0, &[Busy(3), Busy(1)]), Some(1));
    assert_eq!(at(0, &[Closed, Busy(9)]), Some(1));
    assert_eq!(at(7, &[Busy(1), Idle]), Some(1)); // A CPU that is gone.
    assert_eq!(at(0, &[Closed]), None);
    assert_eq!(at(0, &[]), None);
}
