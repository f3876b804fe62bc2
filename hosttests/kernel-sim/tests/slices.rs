//! Work that is too long for one piece: the rest is done, once, and nobody is forgotten.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, figures, is_thread, map, power_off, spawn, spawn_with, thread, until_threads, wait};
use swos_abi::*;
use swos_kernel_sim::User;

/// More than three slices of wake-ups.
const THREADS: u64 = 200;

/// Starts threads that share a page: each finds it as its argument.
fn crowd(user: &mut User) -> u64 {
    let shared = map(user, 4096);
    let stacks = map(user, THREADS * 256);
    for number in 1..=THREADS {
        let entry = user.entry();
        user.call(NR_THREAD_CREATE, &[entry, stacks + number * 256, shared, 0]).unwrap();
    }
    shared
}

fn futex_wait(user: &mut User, at: u64, bits: u64) -> Result<u64, Errno> {
    user.call(NR_FUTEX_WAIT, &[at, 0, TIMEOUT_NEVER, bits])
}

#[test]
fn a_wake_of_many_is_counted_exactly_and_misses_nobody() {
    fn init(user: &mut User) {
        if let Some(shared) = is_thread(user) {
            // Every second one waits with another bit.
            let odd = user.stack() / 256 % 2;
            assert_eq!(futex_wait(user, shared, 1 << odd), Ok(0));
            return;
        }
        let before = figures(user).threads;
        let shared = crowd(user);
        user.call(NR_SLEEP, &[5_000_000]).unwrap();
        assert_eq!(user.call(NR_FUTEX_WAKE, &[shared, 70, 2]), Ok(70));
        until_threads(user, before + THREADS as u32 - 70);
        assert_eq!(user.call(NR_FUTEX_WAKE, &[shared, u64::from(u32::MAX), 2]), Ok(THREADS / 2 - 70));
        assert_eq!(user.call(NR_FUTEX_WAKE, &[shared, 99, 3]), Ok(99));
        assert_eq!(user.call(NR_FUTEX_WAKE, &[shared, 99, 3]), Ok(1));
        until_threads(user, before);
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn all_that_poll_one_pipe_hear_of_a_byte() {
    fn init(user: &mut User) {
        if let Some(shared) = is_thread(user) {
            let at = user.stack() - 64;
            let reader = user.load(shared, 8);
            user.store(at, &reader);
            user.store(at + 8, &u64::from(POLL_IN).to_le_bytes());
            assert_eq!(user.call(NR_POLL, &[at, 1, TIMEOUT_NEVER]), Ok(1));
            return;
        }
        let before = figures(user).threads;
        let at = user.stack() - 2048;
        user.call(NR_PIPE, &[at, 16, 0]).unwrap();
        let ends = user.load(at, 16);
        let shared = map(user, 4096);
        user.store(shared, &ends);
        let stacks = map(user, THREADS * 256);
        for number in 1..=THREADS {
            let entry = user.entry();
            user.call(NR_THREAD_CREATE, &[entry, stacks + number * 256, shared, 0]).unwrap();
        }
        user.call(NR_SLEEP, &[5_000_000]).unwrap();
        let writer = user.load_u64(shared + 8);
        assert_eq!(user.call(NR_WRITE, &[writer, shared, 1]), Ok(1));
        until_threads(user, before);
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn time_outs_that_come_together_all_come() {
    fn init(user: &mut User) {
        if is_thread(user).is_some() {
            user.call(NR_SLEEP, &[3_000_000]).unwrap();
            return;
        }
        let before = figures(user).threads;
        crowd(user);
        until_threads(user, before);
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn a_process_of_many_threads_ends_by_itself_and_by_another() {
    fn init(user: &mut User) {
        let before = figures(user);
        for deed in ["exit", "wait"] {
            let pid = spawn(user, "/bin/crowd", deed).unwrap();
            if deed == "wait" {
                user.call(NR_SLEEP, &[9_000_000]).unwrap();
                user.call(NR_KILL, &[pid, 9]).unwrap();
            }
            assert_eq!(wait(user, pid), if deed == "exit" { (0, 7) } else { (1, 9) });
        }
        let after = figures(user);
        assert_eq!((after.threads, after.processes), (before.threads, before.processes));
        power_off(user);
    }
    fn program(user: &mut User) {
        if is_thread(user).is_some() {
            user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
            return;
        }
        let ends = user.args()[1] == "exit";
        crowd(user);
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
        if ends {
            user.call(NR_EXIT, &[7]).unwrap();
        }
        user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
    }
    all_well(&[("init", init), ("crowd", program)], 2);
}

#[test]
fn a_poll_of_many_hears_of_one_whenever_it_comes() {
    const ITEMS: u64 = 300;
    fn init(user: &mut User) {
        let ends = user.stack() - 2048;
        let list = map(user, 8192);
        let mut pipe = || {
            user.call(NR_PIPE, &[ends, 16, 0]).unwrap();
            (user.load_u64(ends), user.load_u64(ends + 8))
        };
        let ((silent, _), (reader, writer)) = (pipe(), pipe());
        let fill = |user: &mut User, place: u64, handle: u64| {
            let mut items = Vec::new();
            for number in 1..=ITEMS {
                items.extend((if number == place { handle } else { silent }).to_le_bytes());
                items.extend(u64::from(POLL_IN).to_le_bytes());
            }
            user.store(list, &items);
        };
        let ready = |user: &mut User| -> Vec<u64> {
            let bytes = user.load(list, ITEMS as usize * 16);
            let ready = |item: &[u8]| u16::from_le_bytes([item[10], item[11]]);
            (1..)
                .zip(bytes.chunks(16))
                .filter(|(_, item)| ready(item) != 0)
                .map(|(number, _)| number)
                .collect()
        };
        fill(user, 1, silent);
        assert_eq!(user.call(NR_POLL, &[list, ITEMS, 0]), Ok(0));
        assert_eq!(user.call(NR_POLL, &[list, ITEMS, 2_000_000]), Ok(0));
        assert_eq!(ready(user), []);
        assert_eq!(user.call(NR_POLL, &[list, 1025, 0]), Err(Errno::INVAL));
        for round in 0_usize..30 {
            // Registered for in the first slice of the second pass, in the middle, in the last.
            let place = [1, ITEMS / 2, ITEMS][round % 3];
            fill(user, place, reader);
            let pid = spawn_with(user, "/bin/writer", &(round * 700).to_string(), &[writer]).unwrap();
            assert_eq!(user.call(NR_POLL, &[list, ITEMS, TIMEOUT_NEVER]), Ok(1));
            assert_eq!(ready(user), [place]);
            assert_eq!(user.call(NR_READ, &[reader, ends, 10]), Ok(1));
            assert_eq!(wait(user, pid), (0, 0));
        }
        // A handle that is none is found in the first pass.
        fill(user, ITEMS, 12_345);
        assert_eq!(user.call(NR_POLL, &[list, ITEMS, TIMEOUT_NEVER]), Ok(1));
        assert_eq!(ready(user), [ITEMS]);
        power_off(user);
    }
    fn writer(user: &mut User) {
        let wait: u64 = user.args()[1].parse().unwrap();
        user.spin(wait * 4);
        let at = user.stack() - 64;
        user.store(at, b"x");
        user.call(NR_WRITE, &[0, at, 1]).unwrap();
    }
    all_well(&[("init", init), ("writer", writer)], 2);
}

const PAGE: u64 = 4096;

/// Pages that were written, with the first one for what threads share.
fn touched(user: &mut User, pages: u64) -> u64 {
    let at = map(user, (pages + 1) * PAGE) + PAGE;
    user.store(at - PAGE, &[1]);
    for page in 0..pages {
        user.store(at + page * PAGE, &[7]);
    }
    at
}

/// Lets the other threads know that they are not needed any more, and waits for their end.
fn dismiss(user: &mut User, at: u64, threads: u32) {
    user.store(at - PAGE, &[0]);
    until_threads(user, threads);
}

#[test]
fn who_touches_what_is_mapped_over_finds_the_old_page_or_the_new_one() {
    const PAGES: u64 = 1300;
    fn init(user: &mut User) {
        if let Some(at) = is_thread(user) {
            for turn in 0.. {
                if user.load(at - PAGE, 1) == [0] {
                    break;
                }
                let page = at + turn * 37 % PAGES * PAGE;
                assert!(matches!(user.load(page, 1)[0], 0 | 7 | 8));
                user.store(page, &[8]);
            }
            return;
        }
        let before = figures(user).threads;
        let at = touched(user, PAGES);
        common::thread(user, at);
        common::thread(user, at);
        for round in 0..3 {
            let fixed = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits());
            let none = u64::from(u32::MAX);
            assert_eq!(user.call(NR_MMAP, &[at, PAGES * PAGE, 3, fixed, none, 0]), Ok(at));
            for page in 0..PAGES {
                let found = user.load(at + page * PAGE, 1);
                assert!(found == [0] || found == [8], "round {round}, page {page}: {found:?}");
                user.store(at + page * PAGE, &[7]);
            }
        }
        dismiss(user, at, before);
        user.call(NR_MUNMAP, &[at - PAGE, (PAGES + 1) * PAGE]).unwrap();
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn many_areas_change_as_one_though_others_map_meanwhile() {
    const AREAS: u64 = 700;
    fn init(user: &mut User) {
        if let Some(at) = is_thread(user) {
            while user.load(at - PAGE, 1) != [0] {
                // In the hole, where it must stay until this thread itself takes it away.
                let own = map(user, PAGE);
                user.store(own, &[5]);
                assert_eq!(user.load(own, 1), [5]);
                user.call(NR_MUNMAP, &[own, PAGE]).unwrap();
            }
            return;
        }
        let before = figures(user).threads;
        let (fixed, none) = (MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED, u64::from(u32::MAX));
        for deed in 0..4 {
            let at = touched(user, AREAS);
            for page in (0..AREAS).step_by(2) {
                user.call(NR_MPROTECT, &[at + page * PAGE, PAGE, 1]).unwrap();
            }
            let frames = figures(user).memory_free / PAGE;
            if deed != 1 {
                // They would map where a page is missing.
                common::thread(user, at);
                common::thread(user, at);
            }
            match deed {
                0 => {
                    assert_eq!(user.call(NR_MPROTECT, &[at, AREAS * PAGE, 3]), Ok(0));
                    for page in 0..AREAS {
                        assert_eq!(user.load(at + page * PAGE, 1), [7]);
                        user.store(at + page * PAGE, &[8]);
                    }
                }
                1 => {
                    // One page is missing: nothing changes, also not what lies above it.
                    user.call(NR_MUNMAP, &[at + PAGE, PAGE]).unwrap();
                    assert_eq!(user.call(NR_MPROTECT, &[at, AREAS * PAGE, 0]), Err(Errno::NOMEM));
                    user.store(at + (AREAS - 1) * PAGE, &[8]);
                }
                2 => {
                    let length = AREAS * PAGE;
                    let mapped = user.call(NR_MMAP, &[at, length, 3, u64::from(fixed.bits()), none, 0]);
                    assert_eq!(mapped, Ok(at));
                    for page in 0..AREAS {
                        assert_eq!(user.load(at + page * PAGE, 1), [0]);
                    }
                }
                _ => {}
            }
            dismiss(user, at, before);
            user.call(NR_MUNMAP, &[at, AREAS * PAGE]).unwrap();
            let after = figures(user).memory_free / PAGE;
            assert!(after >= frames + AREAS - 20, "{deed}: {frames}, then {after}");
            user.call(NR_MUNMAP, &[at - PAGE, PAGE]).unwrap();
        }
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

/// Two threads look for free pages among many areas, a part at a time, and never get the same ones.
#[test]
fn free_pages_among_many_areas_are_found_once() {
    const AREAS: u64 = 1300;
    fn work(user: &mut User, mark: u8) {
        for turn in 0..40 {
            let at = map(user, 4096 * (1 + turn % 3));
            assert_eq!(user.load(at, 1), [0]);
            user.store(at, &[mark]);
            user.spin(20_000);
            assert_eq!(user.load(at, 1), [mark]);
            user.call(NR_MUNMAP, &[at, 4096 * (1 + turn % 3)]).unwrap();
        }
    }
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            let shared = user.argument();
            work(user, 2);
            user.store(shared, &[1]);
            return;
        }
        let shared = map(user, 4096);
        let start = map(user, AREAS * 4096);
        for page in (0..AREAS).step_by(2) {
            user.call(NR_MPROTECT, &[start + page * 4096, 4096, 1]).unwrap();
        }
        // Holes of a page: too small for most.
        for page in (1..AREAS / 2).step_by(4) {
            user.call(NR_MUNMAP, &[start + page * 4096, 4096]).unwrap();
        }
        thread(user, shared);
        work(user, 1);
        while user.load(shared, 1) == [0] {
            user.call(NR_SLEEP, &[100_000]).unwrap();
        }
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}
