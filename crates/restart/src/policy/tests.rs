use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// Lets the instance end at `now` and returns the wait before the next.
fn wait_after(machine: &mut Restart, now: u64, outcome: Outcome) -> Option<u64> {
    machine.on_exit(at(now), outcome).unwrap();
    machine.deadline().map(|due| due.since(at(now)).as_millis())
}

#[test]
fn waits_double_to_the_cap_and_start_over_after_a_stable_run() {
    let policy = Policy { failures: 16, window: Duration::ZERO, ..Policy::SERVICE };
    let mut machine = Restart::new(policy, Instant::ZERO);
    let mut now = 0;
    for expected in [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000] {
        assert_eq!(machine.poll(), Some(Action::Spawn));
        now += 1;
        assert_eq!(wait_after(&mut machine, now, Outcome::Failure), Some(expected));
        machine.on_timeout(at(now + expected - 1));
        assert_eq!(machine.poll(), None);
        now += expected;
        machine.on_timeout(at(now));
        machine.on_timeout(at(now));
    }
    assert_eq!(machine.poll(), Some(Action::Spawn));
    assert_eq!(wait_after(&mut machine, now + 10_000, Outcome::Failure), Some(100));
}

#[test]
fn which_ends_call_for_another_instance() {
    use Outcome::{Failure, Success};
    let cases = [
        (When::Always, Success, true),
        (When::Always, Failure, true),
        (When::OnFailure, Success, false),
        (When::OnFailure, Failure, true),
        (When::Never, Success, false),
        (When::Never, Failure, false),
    ];
    for (when, outcome, again) in cases {
        let mut machine = Restart::new(Policy { when, ..Policy::SERVICE }, Instant::ZERO);
        assert_eq!(machine.poll(), Some(Action::Spawn));
        assert_eq!(wait_after(&mut machine, 99_999, outcome).is_some(), again);
        assert_eq!(machine.poll(), (!again).then_some(Action::Finish));
        assert_eq!(machine.poll(), None);
    }
}

#[test]
fn too_many_failures_in_the_window_hold_until_resumed() {
    let second = Duration::from_secs(1);
    let policy =
        Policy { failures: 3, window: second, longest_wait: Duration::from_millis(100), ..Policy::SERVICE };
    let mut machine = Restart::new(policy, Instant::ZERO);
    for _ in 0..2 {
        // At 0, 300 and 1,001 ms: no three within a second. With 1,300 there are.
        let start = machine.now.as_millis();
        for (after, held) in [(0, false), (300, false), (1_001, false), (1_300, true)] {
            if let Some(due) = machine.deadline() {
                machine.on_timeout(due.max(at(start + after)));
            }
            assert_eq!(machine.poll(), Some(Action::Spawn));
            machine.on_exit(at(start + after), Outcome::Failure).unwrap();
            assert_eq!(machine.deadline().is_none(), held, "{after}");
        }
        assert_eq!(machine.resume(machine.now), Err(Error::NotDown));
        assert_eq!((machine.poll(), machine.poll()), (Some(Action::Hold), None));
        machine.on_timeout(Instant::FAR_FUTURE.min(at(50_000)));
        assert_eq!(machine.poll(), None);
        assert_eq!(machine.on_exit(at(50_000), Outcome::Failure), Err(Error::NotRunning));
        assert_eq!(machine.resume(at(60_000)), Ok(()));
        assert_eq!(machine.resume(at(60_000)), Err(Error::NotDown));
    }
}

#[test]
fn exiting_at_once_with_success_counts_as_failing() {
    let mut machine = Restart::new(Policy { failures: 2, ..Policy::SERVICE }, Instant::ZERO);
    for held in [false, true] {
        assert_eq!(machine.poll(), Some(Action::Spawn));
        let now = machine.now.as_millis();
        assert_eq!(wait_after(&mut machine, now, Outcome::Success).is_none(), held);
        machine.on_timeout(at(now + 100));
    }
    assert_eq!(machine.poll(), Some(Action::Hold));
    // Ten stable runs are no reason to hold.
    let mut machine = Restart::new(Policy { failures: 2, ..Policy::SERVICE }, Instant::ZERO);
    for n in 1..11 {
        assert_eq!(machine.poll(), Some(Action::Spawn));
        machine.on_exit(at(n * 20_000), Outcome::Success).unwrap();
        machine.on_timeout(at(n * 20_000 + 100));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Exit(Outcome),
    Advance(u64),
    Resume,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![1 => Just(Outcome::Success), 3 => Just(Outcome::Failure)];
    let step = prop_oneof![
        3 => outcome.prop_map(Step::Exit),
        4 => (0..3_000_u64).prop_map(Step::Advance),
        1 => Just(Step::Resume),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn one_instance_and_bounded_failures_whatever_happens(
        steps in steps(),
        failures in 0..20_usize,
        window in 0..20_000_u64,
        stable in 0..2_000_u64,
    ) {
        let policy = Policy {
            failures,
            window: Duration::from_millis(window),
            stable_after: Duration::from_millis(stable),
            longest_wait: Duration::from_millis(5_000),
            ..Policy::SERVICE
        };
        let mut machine = Restart::new(policy, Instant::ZERO);
        let (limit, mut now, mut alive, mut down) = (failures.clamp(1, FAILURES_MAX), 0, None, false);
        let mut failed: Vec<u64> = Vec::new();
        for step in steps {
            // Held exactly when so many failures lie within the window.
            let due = failed.len() >= limit && now - failed[failed.len() - limit] <= window;
            while let Some(action) = machine.poll() {
                prop_assert!(alive.is_none() && !down);
                match action {
                    Action::Spawn => alive = Some(now),
                    Action::Hold => {
                        prop_assert!(due);
                        down = true;
                    }
                    Action::Finish => prop_assert!(false, "this one restarts always"),
                }
            }
            // Alive, waiting for a deadline, or down: never stuck.
            let states = [alive.is_some(), down, machine.deadline().is_some()];
            prop_assert_eq!(states.iter().filter(|&&state| state).count(), 1);
            match step {
                Step::Exit(outcome) => {
                    prop_assert_eq!(machine.on_exit(at(now), outcome).is_ok(), alive.is_some());
                    if let Some(since) = alive.take() {
                        if outcome == Outcome::Failure || now - since < stable {
                            failed.push(now);
                            let within = failed.len() >= limit && now - failed[failed.len() - limit] <= window;
                            prop_assert_eq!(machine.deadline().is_none(), within);
                        }
                        if let Some(due) = machine.deadline() {
                            prop_assert!((100..=5_000).contains(&due.since(at(now)).as_millis()));
                        }
                    }
                }
                Step::Advance(by) => {
                    now += by;
                    machine.on_timeout(at(now));
                }
                Step::Resume => {
                    prop_assert_eq!(machine.resume(at(now)).is_ok(), down);
                    if down {
                        down = false;
                        failed.clear();
                    }
                }
            }
        }
    }
}
