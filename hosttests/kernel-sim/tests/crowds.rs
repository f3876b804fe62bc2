//! Searches through many that take several slices: they find what is there, and what comes meanwhile.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, figures, is_thread, map, pipe, power_off, spawn_as, spawn_with, until_threads, wait};
use swos_abi::*;
use swos_kernel_sim::User;

fn sleep(user: &mut User, ns: u64) {
    user.call(NR_SLEEP, &[ns]).unwrap();
}

/// The end of a loan from which the one that is polled was made.
#[test]
fn a_poll_of_many_lent_handles_hears_of_the_end_of_each() {
    const ITEMS: u64 = 100;
    fn init(user: &mut User) {
        let lend =
            |user: &mut User, from: u64| user.call(NR_HANDLE_LEND, &[from, u64::from(u32::MAX)]).unwrap();
        if let Some(shared) = is_thread(user) {
            sleep(user, 300_000);
            let handle = user.load_u64(shared);
            user.call(NR_HANDLE_REVOKE, &[handle]).unwrap();
            return;
        }
        let shared = map(user, 8192);
        let list = shared + 4096;
        let stacks = map(user, 4096);
        let before = figures(user).threads;
        let (reader, _writer) = pipe(user, 0);
        for ended in [0, ITEMS / 2, ITEMS - 1] {
            let first: Vec<u64> = (0..ITEMS).map(|_| lend(user, reader)).collect();
            let last: Vec<u64> = first.iter().map(|&from| lend(user, from)).collect();
            let items =
                last.iter().flat_map(|handle| [*handle, u64::from(POLL_IN)]).flat_map(u64::to_le_bytes);
            user.store(list, &items.collect::<Vec<u8>>());
            assert_eq!(user.call(NR_POLL, &[list, ITEMS, 100_000]), Ok(0));
            user.store(shared, &first[ended as usize].to_le_bytes());
            let entry = user.entry();
            user.call(NR_THREAD_CREATE, &[entry, stacks + 2048, shared, 0]).unwrap();
            assert_eq!(user.call(NR_POLL, &[list, ITEMS, TIMEOUT_NEVER]), Ok(1));
            let ready = u16::from_le_bytes(user.load(list + ended * 16 + 10, 2).try_into().unwrap());
            assert_eq!(ready, POLL_INVALID);
            for handle in first.into_iter().chain(last) {
                user.call(NR_CLOSE, &[handle]).unwrap();
            }
            until_threads(user, before);
        }
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}

#[test]
fn who_waits_for_a_group_passes_by_many_that_have_ended() {
    const ENDED: usize = 150;
    fn init(user: &mut User) {
        let apart = |user: &mut User, deed: &str| {
            let own = |record: &mut SpawnArgs| record.flags |= SPAWN_GROUP;
            spawn_as(user, "/bin/child", deed, &[], own).unwrap()
        };
        let ended: Vec<u64> = (0..ENDED).map(|_| apart(user, "0")).collect();
        sleep(user, 20_000_000);
        for turn in 0..40_u64 {
            let child = apart(user, &(turn * 400).to_string());
            if turn % 8 == 0 {
                let now = user.call(NR_WAIT, &[child | PID_GROUP, u64::from(WAIT_NO_HANG), 0, 0]);
                if now == Ok(child) {
                    continue;
                }
                assert_eq!(now, Ok(0));
            }
            // It ends before the search, while it goes on, or after it.
            assert_eq!(user.call(NR_WAIT, &[child | PID_GROUP, 0, 0, 0]), Ok(child));
            assert_eq!(user.call(NR_WAIT, &[child | PID_GROUP, 0, 0, 0]), Err(Errno::CHILD));
        }
        for pid in ended {
            assert_eq!(user.call(NR_WAIT, &[pid | PID_GROUP, 0, 0, 0]), Ok(pid));
        }
        power_off(user);
    }
    fn child(user: &mut User) {
        let turns = user.args()[1].parse().unwrap();
        user.spin(turns);
    }
    all_well(&[("init", init), ("child", child)], 2);
}

/// More threads than are looked at when a signal comes; only the last one takes it.
#[test]
fn a_signal_finds_the_only_one_of_many_threads_that_takes_it() {
    const THREADS: u64 = 700;
    fn init(user: &mut User) {
        if let Some(shared) = is_thread(user) {
            if user.load_u64(shared + 8) == user.stack() {
                assert_eq!(
                    user.call(NR_SIGNAL_WAIT, &[1 << (SIGUSR1 - 1), 0, 0, TIMEOUT_NEVER]),
                    Ok(u64::from(SIGUSR1))
                );
                user.store(shared, &1_u32.to_le_bytes());
                while user.call(NR_FUTEX_WAKE, &[shared, u64::from(u32::MAX), u64::from(u32::MAX)]).unwrap()
                    > 0
                {}
            } else {
                while user.load(shared, 4) == [0; 4] {
                    let _ = user.call(NR_FUTEX_WAIT, &[shared, 0, TIMEOUT_NEVER, u64::from(u32::MAX)]);
                }
            }
            return;
        }
        let before = figures(user).threads;
        user.call(NR_SIGNAL_MASK, &[u64::from(SIG_BLOCK), SignalSet::of(&[SIGUSR1]).0]).unwrap();
        let shared = map(user, 4096);
        let stacks = map(user, THREADS * 256);
        user.store(shared + 8, &(stacks + THREADS * 256).to_le_bytes());
        for number in 1..=THREADS {
            let entry = user.entry();
            user.call(NR_THREAD_CREATE, &[entry, stacks + number * 256, shared, 0]).unwrap();
        }
        sleep(user, 20_000_000);
        let own = user.call(NR_GETPID, &[]).unwrap();
        user.call(NR_KILL, &[own, u64::from(SIGUSR1)]).unwrap();
        until_threads(user, before);
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

/// So many generations that the search for whose descendant somebody is takes more than one slice.
#[test]
fn a_far_descendant_is_reached_and_a_far_ancestor_is_not() {
    const GENERATIONS: u64 = 320;
    fn init(user: &mut User) {
        let (reader, writer) = pipe(user, 0);
        let child = spawn_with(user, "/bin/link", &GENERATIONS.to_string(), &[writer]).unwrap();
        let at = map(user, 4096);
        assert_eq!(user.call(NR_READ, &[reader, at, 8]), Ok(8));
        let last = user.load_u64(at);
        user.call(NR_CAPABILITIES_DROP, &[(Capabilities::all() - Capabilities::PROCESS_INSPECT).bits()])
            .unwrap();
        for signal in [0, 9] {
            assert_eq!(user.call(NR_KILL, &[last, signal]), Ok(0));
        }
        assert_eq!(wait(user, child), (0, 0));
        assert_eq!(user.call(NR_KILL, &[last, 0]), Err(Errno::SRCH));
        power_off(user);
    }
    fn link(user: &mut User) {
        let left: u64 = user.args()[1].parse().unwrap();
        let own = user.call(NR_GETPID, &[]).unwrap();
        if left > 0 {
            let child = spawn_with(user, "/bin/link", &(left - 1).to_string(), &[0]).unwrap();
            let _ = wait(user, child);
            return;
        }
        user.call(NR_CAPABILITIES_DROP, &[Capabilities::SPAWN.bits()]).unwrap();
        for other in [1, own - 1, own - GENERATIONS / 2] {
            assert_eq!(user.call(NR_KILL, &[other, 0]), Err(Errno::SRCH));
        }
        let at = map(user, 4096);
        user.store(at, &own.to_le_bytes());
        user.call(NR_WRITE, &[0, at, 8]).unwrap();
        sleep(user, TIMEOUT_NEVER - 1);
    }
    all_well(&[("init", init), ("link", link)], 1);
}
