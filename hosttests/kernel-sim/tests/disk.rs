//! A disk that does not answer: its readers get an error in bounded time, everybody else goes on, and when it answers again it is read.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{power_off, say, spawn, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, ImageFile, Plan, Program, Simulation, User};

/// Two time-outs of the disk, and what it takes to notice them.
const BOUND_NS: u64 = 2 * 30_000_000_000 + 1_000_000_000;
const PROGRAMS: &[(&str, Program)] = &[("init", init), ("busy", busy)];

/// Goes on whatever the disk does, once it runs.
fn busy(user: &mut User) {
    for _ in 0..50 {
        user.call(NR_SLEEP, &[10_000_000]).unwrap();
    }
    say(user, "busy to its end\n");
    user.call(NR_EXIT, &[0]).unwrap();
}

/// Reads a file until it has it; each error comes in bounded time. Gives up after five.
fn init(user: &mut User) {
    let busy = spawn(user, "/bin/busy", "").unwrap();
    // It has its pages now.
    user.call(NR_SLEEP, &[20_000_000]).unwrap();
    let path = user.stack() - 4096;
    user.store(path, b"/data/big");
    let handle = user.call(NR_OPEN, &[Handle::CWD.0, path, 9, 1, 0]).unwrap();
    say(user, "reads\n");
    let (mut done, mut errors) = (0, 0);
    while errors < 5 {
        let before = user.call(NR_CLOCK_GET, &[0]).unwrap();
        let read = user.call(NR_READ, &[handle, path, 4000]);
        assert!(user.call(NR_CLOCK_GET, &[0]).unwrap() - before < BOUND_NS);
        match read {
            Ok(0) => break,
            Ok(count) => {
                assert_eq!(user.load(path, count as usize), big()[done..done + count as usize]);
                done += count as usize;
            }
            Err(errno) => {
                assert_eq!(errno, Errno::IO);
                errors += 1;
            }
        }
    }
    assert!(done == big().len() || errors == 5, "{done} bytes, {errors} errors");
    if errors > 0 {
        say(user, "errors\n");
    }
    if done == big().len() {
        say(user, "whole\n");
    }
    assert_eq!(wait(user, busy), (0, 0));
    power_off(user);
}

fn big() -> Vec<u8> {
    (0..700_003_u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

fn boot(cpus: usize, seed: u64, faults: Faults) -> Simulation {
    let files = [ImageFile { path: "data/big".into(), bytes: big() }];
    let mut simulation =
        Simulation::new(&Plan { cpus, frames: 4096, seed, programs: PROGRAMS, files: &files });
    simulation.machine().set_faults(faults);
    simulation.run(2_000_000);
    simulation
}

/// Reads before init's of the file, and all.
fn reads(cpus: usize, seed: u64) -> (u64, u64) {
    let all = boot(cpus, seed, Faults::default()).machine().reads_started();
    // What reading a file needs is found by trying: with nothing but silence from there on the file is not reached.
    let first = (0..all).find(|&first| {
        let silent = (first, u64::MAX);
        boot(cpus, seed, Faults { silent, ..Faults::default() }).machine().console_text().contains("reads\n")
    });
    (first.unwrap(), all)
}

#[test]
fn a_read_that_is_not_answered_is_asked_for_again() {
    for cpus in [1, 4] {
        let all = boot(cpus, 1, Faults::default()).machine().reads_started();
        // Of the mount, of a program, of a file.
        for number in 0..all {
            let simulation = boot(cpus, 1, Faults { silent: (number, 1), ..Faults::default() });
            let text = simulation.machine().console_text();
            assert!(
                text.contains("whole\n") && !text.contains("errors"),
                "{cpus} CPUs, read {number}: {text}"
            );
            assert!(
                text.contains("no answer to") && text.contains("busy to its end"),
                "read {number}: {text}"
            );
        }
    }
}

#[test]
fn a_disk_that_stays_silent_gives_errors_and_nothing_else_waits() {
    for cpus in [1, 2, 4] {
        let (first, all) = reads(cpus, 2);
        for number in first..all {
            let simulation = boot(cpus, 2, Faults { silent: (number, u64::MAX), ..Faults::default() });
            let text = simulation.machine().console_text();
            assert!(text.contains("errors\n") && text.contains("all is well"), "read {number}: {text}");
            assert!(text.contains("busy to its end"), "read {number}: {text}");
        }
        // It comes back: so does the file, for whoever asks long enough.
        let back = (1..60).map(|count| {
            let simulation = boot(cpus, 2, Faults { silent: (first, count), ..Faults::default() });
            let text = simulation.machine().console_text();
            assert!(text.contains("all is well"), "{count} reads: {text}");
            text.contains("errors\n") && text.contains("whole\n")
        });
        assert!(back.filter(|&back| back).count() > 3);
        // Nothing at all: that is said, and the machine ends.
        let mut nothing = Faults { silent: (0, u64::MAX), ..Faults::default() };
        let text = boot(cpus, 2, nothing).machine().console_text();
        assert!(text.contains("disk: block 0 can't be read"), "{text}");
        nothing.no_reset = true;
        let text = boot(cpus, 2, nothing).machine().console_text();
        assert!(text.contains("nor to a reset") && text.contains("disk: block 0 can't be read"), "{text}");
    }
}

/// Then its frames stay its own, and reads fail at once.
#[test]
fn a_disk_that_does_not_reset_is_given_up() {
    for cpus in [1, 2, 4] {
        let (first, all) = reads(cpus, 3);
        for number in first..all {
            let faults = Faults { silent: (number, u64::MAX), no_reset: true, ..Faults::default() };
            let simulation = boot(cpus, 3, faults);
            let text = simulation.machine().console_text();
            assert!(text.contains("errors\n") && text.contains("all is well"), "read {number}: {text}");
            assert_eq!(text.matches("given up").count(), 1, "{text}");
            assert!(simulation.machine().lent_frames_are_kept(), "read {number}");
        }
    }
}
