//! `fork`: copies that are apart, handles by their rights, kills and short memory at every step.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, figures, left, power_off, simulate, spawn, thread, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, User};

/// Where parent and child of a test find what they must both know.
const SCRATCH: u64 = 0x10_0000;

/// Memory at [`SCRATCH`].
fn scratch(user: &mut User, pages: u64) {
    let flags = (MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits();
    user.call(NR_MMAP, &[SCRATCH, pages * 4096, 3, u64::from(flags), u64::from(u32::MAX), 0]).unwrap();
}

fn exit(user: &mut User, status: u64) {
    user.call(NR_EXIT, &[status]).unwrap();
}

#[test]
fn memory_is_as_at_the_fork_and_then_apart() {
    fn init(user: &mut User) {
        scratch(user, 40);
        for page in 0..30 {
            user.store(SCRATCH + page * 4096, &[page as u8 + 1]);
        }
        let pid = user.fork(child).unwrap();
        user.store(SCRATCH, b"changed");
        user.store(SCRATCH + 35 * 4096, &[9]);
        assert_eq!(wait(user, pid), (0, 7));
        assert_eq!(user.load(SCRATCH, 7), b"changed");
        for page in 1..30 {
            assert_eq!(user.load(SCRATCH + page * 4096, 1), [page as u8 + 1]);
        }
        assert_eq!(user.load(SCRATCH + 36 * 4096, 1), [0]);
        power_off(user);
    }
    fn child(user: &mut User) {
        for page in 0..30 {
            assert_eq!(user.load(SCRATCH + page * 4096, 1), [page as u8 + 1]);
            user.store(SCRATCH + page * 4096, &[200]);
        }
        for page in 30..40 {
            assert_eq!(user.load(SCRATCH + page * 4096, 1), [0]);
        }
        user.store(SCRATCH + 36 * 4096, &[5]);
        // What is protected stays so, and the parent's program text is there.
        user.call(NR_MPROTECT, &[SCRATCH, 4096, 1]).unwrap();
        assert_eq!(user.call(NR_RANDOM, &[SCRATCH, 16]), Err(Errno::FAULT));
        assert_eq!(user.load(user.entry(), 1), [0]);
        exit(user, 7);
    }
    all_well(&[("init", init)], 8);
}

#[test]
fn pages_without_access_are_there_again_when_they_are_allowed() {
    fn init(user: &mut User) {
        scratch(user, 4);
        user.store(SCRATCH, &[1]);
        user.call(NR_MPROTECT, &[SCRATCH, 4096, 0]).unwrap();
        let pid = user.fork(child).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        user.call(NR_MPROTECT, &[SCRATCH, 4096, 3]).unwrap();
        assert_eq!(user.load(SCRATCH, 1), [1]);
        user.store(SCRATCH, &[2]);
        power_off(user);
    }
    fn child(user: &mut User) {
        user.call(NR_MPROTECT, &[SCRATCH, 4096, 3]).unwrap();
        assert_eq!(user.load(SCRATCH, 1), [1]);
        user.store(SCRATCH, &[3]);
        assert_eq!(user.load(SCRATCH, 1), [3]);
    }
    all_well(&[("init", init)], 3);
}

#[test]
fn only_handles_that_may_be_duplicated_are_in_the_child() {
    fn init(user: &mut User) {
        scratch(user, 1);
        user.call(NR_PIPE, &[SCRATCH, 16, 0]).unwrap();
        let (reader, writer) = (user.load_u64(SCRATCH), user.load_u64(SCRATCH + 8));
        let bound = user.call(NR_HANDLE_DUPLICATE, &[writer, u64::from(u32::MAX)]).unwrap();
        user.call(NR_HANDLE_RESTRICT, &[bound, u64::from((Rights::WRITE | Rights::TRANSFER).bits())])
            .unwrap();
        user.store(SCRATCH + 16, &bound.to_le_bytes());
        let pid = user.fork(child).unwrap();
        user.call(NR_CLOSE, &[writer]).unwrap();
        user.call(NR_CLOSE, &[bound]).unwrap();
        // The child has the other end open until it ends: then the pipe is at its end.
        let mut got = Vec::new();
        loop {
            let count = user.call(NR_READ, &[reader, SCRATCH + 64, 64]).unwrap();
            if count == 0 {
                break;
            }
            got.extend(user.load(SCRATCH + 64, count as usize));
        }
        assert_eq!(got, b"from the child");
        assert_eq!(wait(user, pid), (0, 0));
        user.call(NR_CLOSE, &[reader]).unwrap();
        power_off(user);
    }
    fn child(user: &mut User) {
        let (reader, writer, bound) =
            (user.load_u64(SCRATCH), user.load_u64(SCRATCH + 8), user.load_u64(SCRATCH + 16));
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[bound]), Err(Errno::BADF));
        let parents = user.call(NR_HANDLE_RIGHTS, &[writer]).unwrap();
        assert_ne!(parents & u64::from(Rights::WRITE.bits()), 0);
        user.call(NR_CLOSE, &[reader]).unwrap();
        // A number of the parent's never comes to name something else.
        for _ in 0..5 {
            let new = user.call(NR_HANDLE_DUPLICATE, &[writer, u64::from(u32::MAX)]).unwrap();
            assert!(![reader, writer, bound].contains(&new));
        }
        user.store(SCRATCH + 32, b"from the child");
        user.call(NR_WRITE, &[writer, SCRATCH + 32, 14]).unwrap();
    }
    all_well(&[("init", init)], 4);
}

#[test]
fn identity_goes_along_and_a_process_without_the_capability_does_not_fork() {
    fn init(user: &mut User) {
        let own = user.call(NR_GETPID, &[]).unwrap();
        let pid = user.fork(child).unwrap();
        assert!(pid > own);
        assert_eq!(wait(user, pid), (0, 0));
        assert_eq!(user.call(NR_WAIT, &[WAIT_ANY, 0, 0]), Err(Errno::CHILD));
        user.call(NR_CAPABILITIES_DROP, &[!Capabilities::SPAWN.bits()]).unwrap();
        assert_eq!(user.fork(child), Err(Errno::ACCES));
        power_off(user);
    }
    fn child(user: &mut User) {
        assert_eq!(user.call(NR_WAIT, &[WAIT_ANY, 0, 0]), Err(Errno::CHILD));
        user.call(NR_CAPABILITIES_DROP, &[!Capabilities::CONSOLE.bits()]).unwrap();
        assert_eq!(user.call(NR_POWER, &[0]), Err(Errno::ACCES));
        // A grandchild that the child does not wait for goes to init, which is its grandparent here.
        let pid = user.fork(|user| exit(user, 3)).unwrap();
        assert_eq!(wait(user, pid), (0, 3));
    }
    all_well(&[("init", init)], 4);
}

/// A thread touches fresh pages here and there in a known order while others are copied: the child finds the first so and so many of
/// them, never a later one without an earlier one.
#[test]
fn no_order_of_writes_is_broken_in_the_child_of_a_process_whose_threads_run() {
    const PAGES: u64 = 300;
    const APART: u64 = 16;
    fn page(turn: u64) -> u64 {
        SCRATCH + turn * 97 % PAGES * APART * 4096
    }
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            for turn in 0..PAGES {
                user.store(page(turn), &[1]);
                user.store(SCRATCH + 4096, &(turn + 1).to_le_bytes());
                user.spin(2_000);
            }
            return;
        }
        scratch(user, PAGES * APART);
        thread(user, 1);
        while user.load_u64(SCRATCH + 4096) < PAGES {
            let pid = user.fork(child).unwrap();
            assert_eq!(wait(user, pid), (0, 0));
        }
        power_off(user);
    }
    fn child(user: &mut User) {
        let turn = user.load_u64(SCRATCH + 4096);
        let there = (0..PAGES).take_while(|&turn| user.load(page(turn), 1) == [1]).count() as u64;
        assert!(there == turn || there == turn + 1, "{there} pages, turn {turn}");
        for turn in there..PAGES {
            assert_eq!(user.load(page(turn), 1), [0], "{there} pages, then {turn}");
        }
    }
    all_well(&[("init", init)], 6);
}

#[test]
fn a_fork_during_a_long_unmapping_gets_all_or_nothing_of_it() {
    const PAGES: u64 = 500;
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            return mapper(user);
        }
        scratch(user, 1);
        thread(user, 1);
        for _ in 0..6 {
            let pid = user.fork(child).unwrap();
            assert_eq!(wait(user, pid), (0, 0));
        }
        power_off(user);
    }
    const AT: u64 = 0x4000_0000;
    fn mapper(user: &mut User) {
        let flags = (MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits();
        loop {
            user.call(NR_MMAP, &[AT, PAGES * 4096, 3, u64::from(flags), u64::from(u32::MAX), 0]).unwrap();
            for page in (0..PAGES).step_by(7) {
                user.store(AT + page * 4096, &[1]);
            }
            user.call(NR_MPROTECT, &[AT, PAGES * 4096, 1]).unwrap();
            user.call(NR_MUNMAP, &[AT, PAGES * 4096]).unwrap();
        }
    }
    fn child(user: &mut User) {
        // Nothing of the parent's work under way is left behind: the range is free, or it is a mapping in which every page is.
        let flags = (MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED_NOREPLACE).bits();
        let all = [AT, PAGES * 4096, 3, u64::from(flags), u64::from(u32::MAX), 0];
        match user.call(NR_MMAP, &all) {
            Ok(at) => assert_eq!(user.load(at + 7 * 4096, 1), [0]),
            Err(errno) => {
                assert_eq!(errno, Errno::EXIST);
                user.call(NR_MPROTECT, &[AT, PAGES * 4096, 3]).unwrap();
                for page in 0..PAGES {
                    user.store(AT + page * 4096, &[2]);
                }
            }
        }
    }
    all_well(&[("init", init)], 4);
}

#[test]
fn a_thousand_forks_leave_nothing_behind() {
    fn init(user: &mut User) {
        scratch(user, 20);
        let round = |user: &mut User| {
            let pids: Vec<u64> = (0..5).map(|_| user.fork(child).unwrap()).collect();
            for pid in pids {
                assert_eq!(wait(user, pid), (0, 4));
            }
        };
        round(user);
        let before = left(user);
        for _ in 0..12 {
            round(user);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn child(user: &mut User) {
        for page in 0..20 {
            user.store(SCRATCH + page * 4096, &[1]);
        }
        exit(user, 4);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn memory_that_runs_out_at_any_allocation_undoes_everything() {
    fn init(user: &mut User) {
        scratch(user, 8);
        // Far apart, so that the copy needs many tables.
        for at in [0x1_0000_0000, 0x80_0000_0000, 0x4000_0000_0000] {
            let flags = (MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits();
            user.call(NR_MMAP, &[at, 4096, 3, u64::from(flags), u64::from(u32::MAX), 0]).unwrap();
            user.store(at, &[1]);
        }
        user.call(NR_PIPE, &[SCRATCH, 16, 0]).unwrap();
        let pid = user.fork(child).unwrap();
        assert_eq!(wait(user, pid), (0, 5));
        let before = left(user);
        let (mut refused, mut failed) = (0, 0);
        for countdown in 1.. {
            user.fail_frame_after(countdown);
            let forked = user.fork(child);
            let pending = user.fail_frame_after(0);
            match forked {
                Ok(pid) => {
                    let (cause, code) = wait(user, pid);
                    // Or the child's own faults find no memory, which ends it.
                    assert!((cause, code) == (0, 5) || (cause, code) == (1, 9), "{cause} {code}");
                    failed += cause;
                    if pending > 1 {
                        break;
                    }
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::NOMEM);
                    refused += 1;
                }
            }
            let info = figures(user);
            assert_eq!((info.processes, info.threads), (before.2, before.3));
        }
        assert!(refused > 5, "{refused} refused, {failed} failed");
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn child(user: &mut User) {
        user.store(SCRATCH + 4096, &[1]);
        exit(user, 5);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn a_process_killed_while_it_forks_leaves_nothing_behind() {
    fn init(user: &mut User) {
        let pid = spawn(user, "/bin/forker", "x").unwrap();
        user.call(NR_SLEEP, &[3_000_000]).unwrap();
        kill(user, pid);
        let before = left(user);
        for delay in 0..60 {
            let pid = spawn(user, "/bin/forker", "x").unwrap();
            user.call(NR_SLEEP, &[100_000 + delay * 7_000]).unwrap();
            kill(user, pid);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn kill(user: &mut User, pid: u64) {
        user.call(NR_KILL, &[pid, 9]).unwrap();
        assert_eq!(wait(user, pid), (1, 9));
        // Its children are ours now, each once; they end by themselves.
        loop {
            match user.call(NR_WAIT, &[WAIT_ANY, 0, 0]) {
                Ok(_) => {}
                Err(errno) => break assert_eq!(errno, Errno::CHILD),
            }
        }
    }
    fn forker(user: &mut User) {
        scratch(user, 700);
        for page in 0..700 {
            user.store(SCRATCH + page * 4096, &[1]);
        }
        for _ in 0..3 {
            user.call(NR_PIPE, &[SCRATCH, 16, 0]).unwrap();
        }
        loop {
            let _ = user.fork(|user| user.store(SCRATCH, &[2]));
        }
    }
    for cpus in [1, 2, 4] {
        let text = simulate(cpus, 3, &[("init", init), ("forker", forker)], Faults::default());
        assert!(text.contains("all is well"), "{cpus} CPUs: {text}");
    }
}
