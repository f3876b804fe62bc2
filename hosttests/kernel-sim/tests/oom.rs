//! No frame is left: who took them goes, the others go on, nothing leaks.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{left, map, power_off, simulate_with, spawn_with, thread, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, Plan, Program, User};
use zerocopy::IntoBytes as _;

const PAGE: u64 = 4096;
/// Little: a hog takes it in a moment.
const FRAMES: usize = 900;
const KILLED: (u32, i32) = (1, 9);

fn simulate(cpus: usize, seed: u64, programs: &[(&'static str, Program)], faults: Faults) -> String {
    simulate_with(&Plan { cpus, frames: FRAMES, seed, programs, files: &[] }, faults)
}

fn all_well(programs: &[(&'static str, Program)], seeds: u64, said: &str) {
    for cpus in [1, 2, 4] {
        for seed in 1..=seeds {
            let text = simulate(cpus, seed, programs, Faults::default());
            assert!(text.contains("all is well"), "{cpus} CPUs, seed {seed}: {text}");
            assert!(text.contains(said), "{cpus} CPUs, seed {seed}: {text}");
        }
    }
}

fn start(user: &mut User, deed: &str) -> u64 {
    spawn_with(user, "/bin/child", deed, &[]).unwrap()
}

/// Touches more pages than there are.
fn take_all(user: &mut User, at: u64) {
    for page in 0..4 * FRAMES as u64 {
        user.store(at + page * PAGE, &[1]);
    }
    panic!("there is no such machine");
}

fn child(user: &mut User) {
    let argument = user.argument();
    if argument != user.stack() {
        return take_all(user, argument);
    }
    let all = 4 * FRAMES as u64;
    match user.args()[1].as_str() {
        "hog" => {
            let at = map(user, all * PAGE);
            take_all(user, at);
        }
        "hogs" => {
            for _ in 0..3 {
                let at = map(user, all * PAGE);
                thread(user, at);
            }
            let at = map(user, all * PAGE);
            take_all(user, at);
        }
        "maker" => {
            let handle = user.call(NR_MEMORY_CREATE, &[all * PAGE, 0]).unwrap();
            let flags = u64::from(MapFlags::SHARED.bits());
            let at = user.call(NR_MMAP, &[0, all * PAGE, 3, flags, handle, 0]).unwrap();
            take_all(user, at);
        }
        // Nothing but areas.
        "lister" => {
            let at = map(user, 4000 * PAGE);
            for page in (0..4000).step_by(2) {
                user.call(NR_MPROTECT, &[at + page * PAGE, PAGE, 1]).unwrap();
            }
            user.call(NR_SLEEP, &[u64::MAX / 2]).unwrap();
        }
        "holder" => {
            let at = map(user, 40 * PAGE);
            (0..40).for_each(|page| user.store(at + page * PAGE, &[1]));
            user.call(NR_SLEEP, &[2_000_000_000]).unwrap();
            user.call(NR_EXIT, &[5]).unwrap();
        }
        // Takes what it needs, again and again, and never finds anything but its own.
        "innocent" => {
            for round in 0..12_u8 {
                let at = map(user, 40 * PAGE);
                for page in 0..40 {
                    assert_eq!(user.load(at + page * PAGE, 1), [0]);
                    user.store(at + page * PAGE, &[round + 1]);
                }
                for page in 0..40 {
                    assert_eq!(user.load(at + page * PAGE, 1), [round + 1]);
                }
                user.call(NR_MUNMAP, &[at, 40 * PAGE]).unwrap();
            }
            user.call(NR_EXIT, &[5]).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// Starts one that takes all among others that do not.
fn hog_among_innocents(user: &mut User, kind: &str) {
    let before = [start(user, "innocent"), start(user, "innocent")];
    let hog = start(user, kind);
    let after = start(user, "innocent");
    // Init itself needs pages all the time, and is never the one.
    let at = map(user, 30 * PAGE);
    for page in 0..30 {
        user.store(at + page * PAGE, &[9]);
        user.call(NR_SLEEP, &[100_000]).unwrap();
    }
    assert_eq!(wait(user, hog), KILLED);
    for pid in before.into_iter().chain([after]) {
        assert_eq!(wait(user, pid), (0, 5));
    }
    assert_eq!(user.load(at + 29 * PAGE, 1), [9]);
    user.call(NR_MUNMAP, &[at, 30 * PAGE]).unwrap();
}

fn scene(user: &mut User, kind: &str) {
    hog_among_innocents(user, kind);
    let before = left(user);
    hog_among_innocents(user, kind);
    assert_eq!(left(user), before);
    power_off(user);
}

#[test]
fn the_hog_goes_and_the_innocents_finish() {
    fn init(user: &mut User) {
        scene(user, "hog");
    }
    all_well(&[("init", init), ("child", child)], 5, "out of memory: child (");
}

#[test]
fn a_hog_with_many_threads_goes_as_one() {
    fn init(user: &mut User) {
        scene(user, "hogs");
    }
    all_well(&[("init", init), ("child", child)], 3, "out of memory: child (");
}

#[test]
fn what_an_object_holds_counts_for_its_maker() {
    fn init(user: &mut User) {
        scene(user, "maker");
    }
    all_well(&[("init", init), ("child", child)], 3, "out of memory: child (");
}

#[test]
fn the_list_of_its_areas_counts_for_a_process() {
    fn init(user: &mut User) {
        let (holder, lister) = (start(user, "holder"), start(user, "lister"));
        user.call(NR_SLEEP, &[500_000_000]).unwrap();
        let all = 4 * FRAMES as u64;
        let (at, record) = (map(user, all * PAGE), user.stack() - 4096);
        let ended = (0..all).find_map(|page| {
            user.store(at + page * PAGE, &[1]);
            let pid = user.call(NR_WAIT, &[WAIT_ANY, u64::from(WAIT_NO_HANG), record]).unwrap();
            (pid != 0).then_some(pid)
        });
        assert_eq!(ended, Some(lister));
        user.call(NR_MUNMAP, &[at, all * PAGE]).unwrap();
        assert_eq!(wait(user, holder), (0, 5));
        power_off(user);
    }
    all_well(&[("init", init), ("child", child)], 1, "out of memory: child (");
}

#[test]
fn init_alone_is_told_by_its_end() {
    fn init(user: &mut User) {
        let at = map(user, 4 * FRAMES as u64 * PAGE);
        take_all(user, at);
    }
    for cpus in [1, 2] {
        let text = simulate(cpus, 1, &[("init", init)], Faults::default());
        assert!(text.contains("init (1): out of memory"), "{text}");
    }
}

#[test]
fn a_call_without_memory_says_so_and_ends_nobody() {
    fn init(user: &mut User) {
        // The kernel touches the pages, on behalf of calls.
        let at = map(user, 4 * FRAMES as u64 * PAGE);
        let refused =
            (0..4 * FRAMES as u64).find_map(|page| user.call(NR_RANDOM, &[at + page * PAGE, 8]).err());
        assert_eq!(refused, Some(Errno::NOMEM));
        user.call(NR_MUNMAP, &[at, 4 * FRAMES as u64 * PAGE]).unwrap();
        power_off(user);
    }
    for cpus in [1, 2] {
        let text = simulate(cpus, 1, &[("init", init)], Faults::default());
        assert!(text.contains("all is well") && !text.contains("out of memory"), "{text}");
    }
}

/// Every call that leaves something of the program in the kernel's heap, by a name.
fn growing(user: &mut User, named: [u64; 4], at: u64) -> Vec<(&'static str, Result<u64, Errno>)> {
    let [reader, sender, set, text] = named;
    let (out, message) = (at + PAGE / 2, at + 3 * PAGE);
    let letter = MessageOut { bytes: at, handles: 0, length: 4, handle_count: 0 };
    user.store(message, letter.as_bytes());
    let path = "/bin/child";
    user.store(at, path.as_bytes());
    let (path, len) = (at, path.len() as u64);
    let flags = |flags: MapFlags| u64::from((flags | MapFlags::ANONYMOUS).bits());
    let rights = u64::from(Rights::READ.bits());
    let limits = at + PAGE / 4;
    let stack = user.stack() - 65_536;
    let calls: [(&'static str, u64, &[u64]); 21] = [
        ("shared memory", NR_MMAP, &[0, PAGE, 3, flags(MapFlags::SHARED), Handle::NONE.0, 0]),
        ("private memory", NR_MMAP, &[0, PAGE, 3, flags(MapFlags::PRIVATE), Handle::NONE.0, 0]),
        ("protection", NR_MPROTECT, &[at + 2 * PAGE, PAGE, 1]),
        ("memory object", NR_MEMORY_CREATE, &[PAGE, 0]),
        ("file", NR_OPEN, &[Handle::CWD.0, path, len, 1, 0]),
        ("pipe", NR_PIPE, &[out, 16, 0]),
        ("event", NR_EVENT_CREATE, &[0, 0]),
        ("timer", NR_TIMER_CREATE, &[0]),
        ("set", NR_READY_CREATE, &[]),
        ("watch", NR_READY_CONTROL, &[set, u64::from(READY_ADD), reader, limits + 64]),
        ("stream", NR_SOCKET, &[u64::from(DOMAIN_IPV4), u64::from(SOCKET_STREAM)]),
        ("pair", NR_SOCKET_PAIR, &[1, out, 16]),
        ("copy", NR_HANDLE_DUPLICATE, &[reader, rights]),
        ("copy to", NR_HANDLE_DUPLICATE_TO, &[reader, 900, rights, 0]),
        ("loan", NR_HANDLE_LEND, &[reader, rights]),
        ("badge", NR_ENDPOINT_MINT, &[sender, 7]),
        ("thread", NR_THREAD_CREATE, &[user.entry(), stack, 1, 0]),
        ("fork", NR_FORK, &[]),
        ("limits", NR_LIMITS_SET, &[limits, size_of::<ProcessLimits>() as u64]),
        ("message", NR_ENDPOINT_SEND, &[sender, message, u64::MAX]),
        ("text", NR_READ, &[text, out, 64]),
    ];
    calls.map(|(name, number, arguments)| (name, user.call(number, arguments))).to_vec()
}

#[test]
fn nothing_is_made_for_a_program_from_the_last_frames() {
    fn init(user: &mut User) {
        let at = map(user, 8 * PAGE);
        for page in 0..8 {
            user.store(at + page * PAGE, &[0; 1]);
        }
        user.store(at + PAGE / 2, &[0; 16]);
        let limits = ProcessLimits { processes: 9, size: 32, ..ProcessLimits::default() };
        user.store(at + PAGE / 4, limits.as_bytes());
        let (reader, _writer) = common::pipe(user, 0);
        let set = user.call(NR_READY_CREATE, &[]).unwrap();
        let config = EndpointConfig::default();
        user.store(at + PAGE, config.as_bytes());
        let ends = at + PAGE + 512;
        user.call(
            NR_ENDPOINT_CREATE,
            &[at + PAGE, size_of::<EndpointConfig>() as u64, ends, size_of::<EndpointEnds>() as u64],
        )
        .unwrap();
        let sender = user.load_u64(ends);
        let text = common::open(user, "/sys/memory").unwrap();
        let all = 4 * FRAMES as u64;
        let room = map(user, all * PAGE);
        let full = (0..all).find_map(|page| user.call(NR_RANDOM, &[room + page * PAGE, 8]).err());
        assert_eq!(full, Some(Errno::NOMEM));
        let made: Vec<_> = growing(user, [reader, sender, set, text], at)
            .into_iter()
            .filter(|(_, answer)| *answer != Err(Errno::NOMEM))
            .collect();
        assert_eq!(made, []);
        user.call(NR_MUNMAP, &[room, all * PAGE]).unwrap();
        power_off(user);
    }
    let text = simulate(1, 1, &[("init", init), ("child", child)], Faults::default());
    assert!(text.contains("all is well"), "{text}");
}

#[test]
fn an_allocation_that_fails_by_chance_ends_nobody() {
    fn init(user: &mut User) {
        for _ in 0..4 {
            let pid = loop {
                if let Ok(pid) = spawn_with(user, "/bin/child", "innocent", &[]) {
                    break pid;
                }
            };
            // Calls may be refused; faults are tried again.
            let at = user.stack() - 4096;
            while user.call(NR_WAIT, &[pid, 0, at]).is_err() {}
            assert_eq!(user.load_u32(at + 4), 0);
            assert_eq!(user.load_u32(at + 8), 5);
        }
        power_off(user);
    }
    for seed in 1..=4 {
        let faults = Faults { frames: 7, ..Faults::default() };
        let text = simulate(2, seed, &[("init", init), ("child", child)], faults);
        assert!(text.contains("all is well") && !text.contains("out of memory"), "seed {seed}: {text}");
    }
}
