//! Every call with everything that can go wrong in it: without a frame, an object or room in the heap at each place where it might need
//! one, with addresses that are no good, and with a kill after each turn of the kernel. It succeeds, in part perhaps, or says what is
//! missing; and nothing of it is left.
//!
//! `spawn`, `exec` and `fork` have further such tests beside what else they promise.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod attempt;
#[path = "../common/mod.rs"]
mod common;
mod deeds;

use std::collections::BTreeSet;

use attempt::{ADDRESSES_MAX, EVERY, MADE, PAGE, STRAYS, Try};
use common::*;
use deeds::{DEEDS, Deed, ELSEWHERE, NAMES, WAITS, is_successor, is_thread, unlink};
use swos_abi::*;
use swos_kernel_sim::{Plan, Program, ScarceHeap, Simulation, Supply, User};

#[global_allocator]
static HEAP: ScarceHeap = ScarceHeap;

/// Runs a test on machines with so many CPUs. At its end nothing is left of any thread but the one that ends it.
fn run(machines: &[usize], seed: u64, init: Program) {
    let programs = [("init", init), ("doer", doer as Program)];
    for &cpus in machines {
        let plan = Plan { cpus, frames: 8192, seed, programs: &programs, files: &[] };
        let mut simulation = Simulation::new(&plan);
        simulation.run(20_000_000);
        let text = simulation.machine().console_text();
        assert!(text.contains("all is well"), "{cpus} CPUs: {text}");
        assert_eq!(simulation.machine().contexts(), 1, "{cpus} CPUs");
    }
}

/// Does a deed, or waits.
fn doer(user: &mut User) {
    if is_thread(user) || is_successor(user) {
        return;
    }
    let wanted = user.args().pop().unwrap();
    if let Some((_, wait)) = WAITS.iter().find(|(name, _)| *name == wanted) {
        return wait(user);
    }
    let (_, deed) = DEEDS.iter().find(|(name, _)| *name == wanted).unwrap();
    deed(user, &Try::plain());
}

/// So that all of the stack that deeds use is there.
fn touch_stack(user: &mut User) {
    (1..=3).for_each(|page| user.store(user.stack() - page * PAGE, &[0]));
}

/// Does all deeds with something running out ever later in one of their calls until it does not any more, and then in the next. Before that
/// in all of them at once, each time in a new process, whose lists in the kernel are as short as they can be and grow in these calls.
fn run_short(user: &mut User, supply: Supply) {
    if is_thread(user) {
        return;
    }
    let mut refused = 0;
    touch_stack(user);
    for (index, &(name, deed)) in DEEDS.iter().enumerate() {
        let before = left(user);
        until_enough(|countdown| {
            let attempt = Try::short(supply, countdown, EVERY);
            user.store(user.stack() - 3 * PAGE, &index.to_le_bytes());
            attempt.child(user, |user| {
                let attempt = Try::of_parent(user);
                let index = user.load_u64(user.stack() - 3 * PAGE);
                DEEDS[index as usize].1(user, &attempt);
                attempt.leave(user);
            });
            // Its own children, if it was ended: they end by themselves.
            while user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).is_ok() {}
            attempt
        });
        assert_eq!(left(user), before, "{name} in new processes without {supply:?}");
        deed(user, &Try::plain());
        let before = left(user);
        for target in 0.. {
            let last = until_enough(|countdown| {
                let attempt = Try::short(supply, countdown, target);
                deed(user, &attempt);
                refused += u32::from(attempt.refused.get());
                attempt
            });
            if last.made.get() <= target {
                break;
            }
        }
        assert_eq!(left(user), before, "{name} without {supply:?}");
    }
    assert!(refused > 50, "{refused} calls were refused");
    power_off(user);
}

/// Tries with ever more of something, until it does not run out; the last try.
fn until_enough(run: impl FnMut(u64) -> Try) -> Try {
    (1..2000).map(run).find(|attempt| !attempt.reached.get()).unwrap()
}

#[test]
fn every_call_is_among_the_deeds() {
    fn init(user: &mut User) {
        if is_thread(user) {
            return;
        }
        for (_, deed) in DEEDS {
            deed(user, &Try::plain());
        }
        power_off(user);
    }
    run(&[1, 2, 4], 1, init);
    let made = MADE.lock().unwrap().clone();
    let elsewhere: BTreeSet<u64> = ELSEWHERE.iter().map(|(number, _)| *number).collect();
    assert_eq!(made.intersection(&elsewhere).next(), None);
    let names = |numbers: &mut dyn Iterator<Item = u64>| {
        numbers
            .map(|number| CALLS.iter().find(|entry| entry.number == number).unwrap().name)
            .collect::<Vec<_>>()
    };
    let all: BTreeSet<u64> = CALLS.iter().map(|entry| entry.number).collect();
    let missing = all.iter().copied().filter(|number| !made.contains(number) && !elsewhere.contains(number));
    assert_eq!(names(&mut missing.into_iter()), [""; 0]);
}

#[test]
fn a_call_without_frames_says_so_and_leaves_nothing() {
    run(&[1, 2, 4], 1, |user| run_short(user, Supply::Frames));
}

#[test]
fn a_call_without_objects_says_so_and_leaves_nothing() {
    run(&[1, 2, 4], 1, |user| run_short(user, Supply::Objects));
}

#[test]
fn a_call_without_heap_says_so_and_leaves_nothing() {
    run(&[1, 2, 4], 1, |user| run_short(user, Supply::Heap));
}

#[test]
fn a_call_with_an_address_that_is_no_good_says_so_and_leaves_nothing() {
    fn init(user: &mut User) {
        if is_thread(user) {
            return;
        }
        let traps = Try::traps(user);
        touch_stack(user);
        let go_astray = |user: &mut User, deed: Deed, astray| {
            (0..ADDRESSES_MAX).for_each(|which| deed(user, &Try::astray(astray, traps, which)));
        };
        // All traps have been used once.
        STRAYS.iter().for_each(|&astray| go_astray(user, DEEDS[0].1, astray));
        for &(name, deed) in DEEDS {
            deed(user, &Try::plain());
            let before = left(user);
            for astray in STRAYS {
                go_astray(user, deed, astray);
                assert_eq!(left(user), before, "{name}, {astray:?}");
            }
        }
        power_off(user);
    }
    // It is the same on one CPU and on many.
    run(&[2], 1, init);
}

/// Starts a deed and kills it at some moment; whether it was still there.
fn kill(user: &mut User, deed: &str, moment: impl FnOnce(&mut User)) -> bool {
    let pid = spawn(user, "/bin/doer", deed).unwrap();
    moment(user);
    let _gone = user.call(NR_KILL, &[pid, u64::from(SIGKILL)]);
    let ended = wait(user, pid);
    assert!(matches!(ended, (0, 0) | (1, 9)), "{deed}: {ended:?}");
    // Its children are ours now, each once; they end by themselves.
    while user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).is_ok() {}
    NAMES.iter().for_each(|name| unlink(user, name));
    ended == (1, 9)
}

/// Kills each deed at ever later moments, until it was over before.
fn kill_later_and_later(user: &mut User, moment: fn(&mut User, u64)) {
    if is_thread(user) {
        return;
    }
    for (name, _) in DEEDS {
        kill(user, name, |user| user.spin(5_000_000));
        let before = left(user);
        let moments = (1..).find(|&count| !kill(user, name, |user| moment(user, count)));
        assert!(moments.is_some());
        assert_eq!(left(user), before, "{name}");
    }
    power_off(user);
}

#[test]
fn who_is_killed_between_any_two_parts_of_a_call_leaves_nothing() {
    let init = |user: &mut User| kill_later_and_later(user, User::spin_turns);
    run(&[2, 4], 5, init);
}

#[test]
fn who_is_killed_where_it_waits_leaves_nothing() {
    let init = |user: &mut User| {
        kill_later_and_later(user, |user, count| {
            // Some sleep for seconds, most are over soon.
            let nanoseconds = 10_000.0 * 1.1_f64.powi(count as i32);
            user.call(NR_SLEEP, &[nanoseconds as u64]).unwrap();
        });
    };
    run(&[1], 5, init);
}

#[test]
fn who_is_killed_while_it_waits_for_what_never_comes_leaves_nothing() {
    fn init(user: &mut User) {
        for (name, _) in WAITS {
            kill(user, name, |user| user.spin_turns(u64::MAX));
            let before = left(user);
            // At the last ones it waits.
            for count in 1..=TURNS {
                assert!(kill(user, name, |user| user.spin_turns(count)), "{name} ended by itself");
            }
            assert_eq!(left(user), before, "{name}");
        }
        power_off(user);
    }
    const TURNS: u64 = 40;
    run(&[2, 4], 7, init);
}
