//! What simulations leave on the host. By itself, since the host's threads are counted for the whole process.

#![cfg(target_os = "linux")]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "what can't be ends a test")]

mod common;

use core::time::Duration;
use std::{fs, thread};

use common::{power_off, spawn};
use swos_abi::NR_SLEEP;
use swos_kernel_sim::{Plan, Simulation, User};

#[test]
fn a_machine_that_is_off_leaves_no_thread() {
    fn init(user: &mut User) {
        for _ in 0..5 {
            spawn(user, "/bin/sleeper", "").unwrap();
        }
        power_off(user);
    }
    fn sleeper(user: &mut User) {
        let _ = user.call(NR_SLEEP, &[u64::MAX]);
    }
    let count = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = count();
    for seed in 1..=50 {
        let programs: [(_, fn(&mut User)); 2] = [("init", init), ("sleeper", sleeper)];
        Simulation::new(&Plan { cpus: 2, frames: 4096, seed, programs: &programs, files: &[] })
            .run(1_000_000);
    }
    // They end by themselves, a little later.
    for _ in 0..1_000 {
        if count() <= before {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{} threads more than before", count() - before);
}
