//! Futexes between processes, moved waiters, deadlines, kills: nobody is lost, nobody is woken twice.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, map, power_off, spawn_with, thread, wait};
use swos_abi::*;
use swos_kernel_sim::{ImageFile, Plan, Simulation, User};

const ANY: u64 = u32::MAX as u64;

fn map_shared(user: &mut User, handle: u64, first: u64) -> u64 {
    let flags = u64::from(MapFlags::SHARED.bits());
    user.call(NR_MMAP, &[0, 4096, 3, flags, handle, first * 4096]).unwrap()
}

/// Takes turns with another one who counts the same word.
fn take_turns(user: &mut User, word: u64, me: u32, rounds: u32) {
    for _ in 0..rounds {
        loop {
            let now = user.load_u32(word);
            if now % 2 == me {
                break;
            }
            match user.call(NR_FUTEX_WAIT, &[word, u64::from(now), TIMEOUT_NEVER, ANY]) {
                Ok(_) | Err(Errno::AGAIN) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        let next = user.load_u32(word) + 1;
        user.store(word, &next.to_le_bytes());
        user.call(NR_FUTEX_WAKE, &[word, 1, ANY]).unwrap();
    }
}

#[test]
fn two_processes_meet_at_a_place_of_an_object_wherever_they_map_it() {
    fn init(user: &mut User) {
        let handle = user.call(NR_MEMORY_CREATE, &[4 * 4096, 0]).unwrap();
        let pid = spawn_with(user, "/bin/other", "x", &[handle]).unwrap();
        let at = map_shared(user, handle, 2);
        take_turns(user, at + 16, 0, 50);
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn other(user: &mut User) {
        // Elsewhere, and without its handle.
        map(user, 5 * 4096);
        let at = map_shared(user, 0, 2);
        user.call(NR_CLOSE, &[0]).unwrap();
        take_turns(user, at + 16, 1, 50);
    }
    all_well(&[("init", init), ("other", other)], 5);
}

#[test]
fn the_same_address_in_two_processes_is_two_futexes() {
    fn init(user: &mut User) {
        let handle = user.call(NR_MEMORY_CREATE, &[4096, 0]).unwrap();
        let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits());
        user.call(NR_MMAP, &[1 << 30, 4096, 3, flags, u64::MAX, 0]).unwrap();
        let pid = spawn_with(user, "/bin/other", "x", &[handle]).unwrap();
        let at = map_shared(user, handle, 0);
        while user.load(at, 1) == [0] {
            user.call(NR_YIELD, &[]).unwrap();
        }
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
        assert_eq!(user.call(NR_FUTEX_WAKE, &[1 << 30, 9, ANY]), Ok(0));
        // A private mapping of the object is private.
        let private = u64::from(MapFlags::PRIVATE.bits());
        let copy = user.call(NR_MMAP, &[0, 4096, 3, private, handle, 0]).unwrap();
        assert_eq!(user.call(NR_FUTEX_WAKE, &[copy + 4, 9, ANY]), Ok(0));
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn other(user: &mut User) {
        let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits());
        user.call(NR_MMAP, &[1 << 30, 4096, 3, flags, u64::MAX, 0]).unwrap();
        let at = map_shared(user, 0, 0);
        user.store(at, &[1]);
        let late = user.call(NR_FUTEX_WAIT, &[1 << 30, 0, 10_000_000, ANY]);
        assert_eq!(late, Err(Errno::TIMEDOUT));
    }
    all_well(&[("init", init), ("other", other)], 3);
}

/// Where the threads of a test meet: a gate, a second gate, how many wait, how many are through.
const GATE: u64 = 0;
const SECOND: u64 = 4;
const WAITING: u64 = 64;
const THROUGH: u64 = 128;

fn pass(user: &mut User, block: u64, number: u64) {
    user.store(block + WAITING + number, &[1]);
    assert_eq!(user.call(NR_FUTEX_WAIT, &[block + GATE, 0, TIMEOUT_NEVER, 1 << number]), Ok(0));
    user.store(block + THROUGH + number, &[1]);
}

fn through(user: &mut User, block: u64) -> usize {
    user.load(block + THROUGH, 32).into_iter().filter(|&byte| byte == 1).count()
}

/// So many threads wait at the gate of the block that is returned; thread n is `block + n << 32`.
fn crowd(user: &mut User, count: u64) -> u64 {
    let block = map(user, 4096);
    for number in 0..count {
        thread(user, block | number << 56);
    }
    while user.load(block + WAITING, count as usize).contains(&0) {
        user.call(NR_YIELD, &[]).unwrap();
    }
    // They are about to wait, or do.
    user.call(NR_SLEEP, &[2_000_000]).unwrap();
    block
}

/// What a thread of a crowd does: true = it was one.
fn crowded(user: &mut User) -> bool {
    let argument = user.argument();
    if argument == user.stack() {
        return false;
    }
    pass(user, argument & ((1 << 56) - 1), argument >> 56);
    true
}

fn requeue(user: &mut User, from: u64, expected: u64, wake: u64, to: u64, count: u64) -> Result<u64, Errno> {
    user.call(NR_FUTEX_REQUEUE, &[from, expected, wake, to, count])
}

#[test]
fn moved_waiters_wait_at_the_other_place() {
    fn init(user: &mut User) {
        if crowded(user) {
            return;
        }
        let block = crowd(user, 10);
        assert_eq!(requeue(user, block + GATE, 1, 1, block + SECOND, 9), Err(Errno::AGAIN));
        assert_eq!(requeue(user, block + GATE, 0, 2, block + SECOND, 5), Ok(7));
        user.call(NR_SLEEP, &[2_000_000]).unwrap();
        assert_eq!(through(user, block), 2);
        // Three are still at the gate.
        assert_eq!(user.call(NR_FUTEX_WAKE, &[block + GATE, 99, ANY]), Ok(3));
        assert_eq!(user.call(NR_FUTEX_WAKE, &[block + GATE, 99, ANY]), Ok(0));
        // The bits of a moved waiter still count.
        let moved: u64 =
            (0..10).map(|number| user.call(NR_FUTEX_WAKE, &[block + SECOND, 9, 1 << number]).unwrap()).sum();
        assert_eq!(moved, 5);
        user.call(NR_SLEEP, &[2_000_000]).unwrap();
        assert_eq!(through(user, block), 10);
        // Onto itself is nowhere, and bad words are refused.
        assert_eq!(requeue(user, block, 0, 1, block, 9), Ok(0));
        assert_eq!(requeue(user, block + 2, 0, 1, block, 9), Err(Errno::INVAL));
        assert_eq!(requeue(user, block, 0, 1, block + 1, 9), Err(Errno::INVAL));
        assert_eq!(requeue(user, 1 << 40, 0, 1, block, 9), Err(Errno::FAULT));
        assert_eq!(requeue(user, block, 0, 1, 1 << 63, 9), Err(Errno::FAULT));
        power_off(user);
    }
    all_well(&[("init", init)], 4);
}

#[test]
fn waiters_can_be_moved_from_one_process_to_where_another_wakes() {
    fn init(user: &mut User) {
        let handle = user.call(NR_MEMORY_CREATE, &[4096, 0]).unwrap();
        let pid = spawn_with(user, "/bin/other", "x", &[handle]).unwrap();
        let at = map_shared(user, handle, 0);
        while user.call(NR_FUTEX_WAKE, &[at + 8, 1, ANY]) == Ok(0) {
            user.call(NR_SLEEP, &[100_000]).unwrap();
        }
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn other(user: &mut User) {
        if crowded(user) {
            return;
        }
        let block = crowd(user, 1);
        let at = map_shared(user, 0, 0);
        assert_eq!(requeue(user, block + GATE, 0, 0, at + 8, 1), Ok(1));
    }
    all_well(&[("init", init), ("other", other)], 3);
}

#[test]
fn a_moved_waiter_can_still_be_late_or_killed() {
    fn init(user: &mut User) {
        let handle = user.call(NR_MEMORY_CREATE, &[4096, 0]).unwrap();
        let at = map_shared(user, handle, 0);
        let pid = spawn_with(user, "/bin/other", "x", &[handle]).unwrap();
        while user.load_u32(at) == 0 {
            user.call(NR_YIELD, &[]).unwrap();
        }
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
        assert_eq!(requeue(user, at + 4, 0, 0, at + 8, 9), Ok(2));
        user.call(NR_SLEEP, &[20_000_000]).unwrap();
        // One of the two is late by now.
        user.call(NR_KILL, &[pid, 9]).unwrap();
        assert_eq!(wait(user, pid), (1, 9));
        assert_eq!(user.load_u32(at + 12), 1);
        assert_eq!(user.call(NR_FUTEX_WAKE, &[at + 8, 9, ANY]), Ok(0));
        power_off(user);
    }
    fn other(user: &mut User) {
        let argument = user.argument();
        if argument != user.stack() {
            user.call(NR_FUTEX_WAIT, &[argument + 4, 0, TIMEOUT_NEVER, ANY]).unwrap();
            panic!("nobody wakes it");
        }
        let at = map_shared(user, 0, 0);
        thread(user, at);
        user.call(NR_SLEEP, &[500_000]).unwrap();
        user.store(at, &[1]);
        assert_eq!(user.call(NR_FUTEX_WAIT, &[at + 4, 0, 10_000_000, ANY]), Err(Errno::TIMEDOUT));
        user.store(at + 12, &[1]);
        user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
    }
    all_well(&[("init", init), ("other", other)], 4);
}

#[test]
fn a_deadline_is_a_moment_and_not_a_length() {
    fn init(user: &mut User) {
        let word = map(user, 4096);
        let now = user.call(NR_CLOCK_GET, &[0]).unwrap();
        for deadline in [0, now, now + 3_000_000] {
            let waited = user.call(NR_FUTEX_WAIT_UNTIL, &[word, 0, deadline, 1]);
            assert_eq!(waited, Err(Errno::TIMEDOUT));
            assert!(user.call(NR_CLOCK_GET, &[0]).unwrap() >= deadline);
        }
        assert_eq!(user.call(NR_FUTEX_WAIT_UNTIL, &[word, 1, TIMEOUT_NEVER, 1]), Err(Errno::AGAIN));
        assert_eq!(user.call(NR_FUTEX_WAIT_UNTIL, &[word, 0, TIMEOUT_NEVER, 0]), Err(Errno::INVAL));
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}

#[test]
fn a_crowd_is_moved_in_slices() {
    fn init(user: &mut User) {
        let argument = user.argument();
        if argument != user.stack() {
            user.call(NR_FUTEX_WAIT, &[argument, 0, TIMEOUT_NEVER, ANY]).unwrap();
            user.call(NR_THREAD_EXIT, &[0]).unwrap();
        }
        let block = map(user, 4096);
        for _ in 0..600 {
            thread(user, block);
        }
        let mut moved = 0;
        while moved < 600 {
            moved += requeue(user, block, 0, 0, block + 4, u64::from(u32::MAX)).unwrap();
            user.call(NR_YIELD, &[]).unwrap();
        }
        assert_eq!(user.call(NR_FUTEX_WAKE, &[block + 4, ANY, ANY]), Ok(600));
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn a_page_that_came_is_no_wake_up() {
    fn init(user: &mut User) {
        let word = map(user, 4096);
        let path = user.stack() - 4096;
        user.store(path, b"/data/file");
        let flags = u64::from(OpenFlags::READ.bits());
        let file = user.call(NR_OPEN, &[Handle::CWD.0, path, 10, flags, 0]).unwrap();
        let private = u64::from(MapFlags::PRIVATE.bits());
        let at = user.call(NR_MMAP, &[0, 64 * 4096, 1, private, file, 0]).unwrap();
        for page in [0, 20, 40, 60] {
            // It waits for the disk, and then for nobody.
            assert_eq!(user.load(at + page * 4096, 1), [7]);
            let waited = user.call(NR_FUTEX_WAIT, &[word, 0, 1_000, ANY]);
            assert_eq!(waited, Err(Errno::TIMEDOUT), "page {page}");
        }
        power_off(user);
    }
    let file = ImageFile { path: "data/file".into(), bytes: vec![7; 64 * 4096] };
    for cpus in [1, 2] {
        let plan = Plan {
            cpus,
            frames: 8192,
            seed: 1,
            programs: &[("init", init)],
            files: core::slice::from_ref(&file),
        };
        let mut simulation = Simulation::new(&plan);
        simulation.run(4_000_000);
        assert!(simulation.machine().console_text().contains("all is well"));
    }
}
