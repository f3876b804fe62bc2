//! Many threads, many processes, sockets, faults: nothing is lost and nothing leaks.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well_with, figures, map, power_off, spawn, thread, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, ImageFile, Plan, Program, Simulation, User};
use zerocopy::IntoBytes as _;

fn files() -> [ImageFile; 1] {
    [ImageFile { path: "data/file".into(), bytes: (0..50_000_u32).map(|at| (at % 253) as u8).collect() }]
}

fn simulate(
    cpus: usize,
    seed: u64,
    programs: &[(&'static str, Program)],
    faults: Faults,
    limit: u64,
) -> String {
    let mut simulation = Simulation::new(&Plan { cpus, frames: 8192, seed, programs, files: &files() });
    simulation.machine().set_faults(faults);
    simulation.run(limit);
    simulation.machine().console_text()
}

fn all_well(programs: &[(&'static str, Program)], seeds: u64) {
    all_well_with(programs, seeds, &files());
}

/// Frames that are free once teardown has caught up and cached pages are counted in.
fn settled_free(user: &mut User) -> u64 {
    for _ in 0..50 {
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
    }
    let info = figures(user);
    info.memory_free + info.memory_cached
}

#[test]
fn a_futex_hands_a_token_round_and_round() {
    const ROUNDS: u32 = 100;
    fn init(user: &mut User) {
        let word = user.argument();
        if word != user.stack() {
            // A thread: x0 is the address of the word, and the one after it says who it is.
            return player(user, word, 1);
        }
        let word = map(user, 4096);
        thread(user, word);
        player(user, word, 0);
        while user.load_u32(word + 8) == 0 {
            user.call(NR_YIELD, &[]).unwrap();
        }
        power_off(user);
    }
    fn player(user: &mut User, word: u64, me: u32) {
        for _ in 0..ROUNDS {
            loop {
                let now = user.load_u32(word);
                if now % 2 == me {
                    break;
                }
                match user.call(NR_FUTEX_WAIT, &[word, u64::from(now), TIMEOUT_NEVER, u64::from(u32::MAX)]) {
                    Ok(_) | Err(Errno::AGAIN) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            let next = user.load_u32(word) + 1;
            user.store(word, &next.to_le_bytes());
            user.call(NR_FUTEX_WAKE, &[word, 1, u64::from(u32::MAX)]).unwrap();
        }
        if me == 1 {
            user.store(word + 8, &[1, 0, 0, 0]);
        }
    }
    all_well(&[("init", init)], 8);
}

#[test]
fn time_outs_come_and_nothing_is_woken_early() {
    fn init(user: &mut User) {
        let word = map(user, 4096);
        for timeout in [0, 1_000, 5_000_000] {
            let before = user.call(NR_CLOCK_GET, &[0]).unwrap();
            let waited = user.call(NR_FUTEX_WAIT, &[word, 0, timeout, 1]);
            assert_eq!(waited, Err(Errno::TIMEDOUT));
            user.call(NR_SLEEP, &[timeout]).unwrap();
            let after = user.call(NR_CLOCK_GET, &[0]).unwrap();
            assert!(after - before >= 2 * timeout, "{timeout}: {before} {after}");
        }
        power_off(user);
    }
    all_well(&[("init", init)], 5);
}

#[test]
fn processes_leave_no_frame_behind() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            let pids: Vec<u64> = (0..5).map(|_| spawn(user, "/bin/child", "x").unwrap()).collect();
            for pid in pids {
                assert_eq!(wait(user, pid), (0, 3));
            }
        };
        round(user);
        let before = settled_free(user);
        for _ in 0..20 {
            round(user);
        }
        assert_eq!(settled_free(user), before);
        power_off(user);
    }
    all_well(&[("init", init), ("child", child)], 3);
}

fn child(user: &mut User) {
    let at = map(user, 100 * 4096);
    for page in 0..100 {
        user.store(at + page * 4096, &[1]);
    }
    user.store(user.entry() - 0x200 + 0x1000, &[9]);
    user.call(NR_EXIT, &[3]).unwrap();
}

#[test]
#[ignore = "long: 10,000 processes in sequence; run with --ignored"]
fn ten_thousand_processes_leave_no_frame_behind() {
    fn init(user: &mut User) {
        for _ in 0..100 {
            let pid = spawn(user, "/bin/child", "x").unwrap();
            assert_eq!(wait(user, pid), (0, 3));
        }
        let before = settled_free(user);
        for _ in 0..10_000 {
            let pid = spawn(user, "/bin/child", "x").unwrap();
            assert_eq!(wait(user, pid), (0, 3));
        }
        assert_eq!(settled_free(user), before);
        power_off(user);
    }
    let text = simulate(2, 1, &[("init", init), ("child", child)], Faults::default(), 1 << 40);
    assert!(text.contains("all is well"), "{text}");
}

#[test]
fn whoever_waits_can_be_killed_and_leaves_nothing() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            let kinds = ["sleep", "futex", "console", "socket", "spin", "threads", "child"];
            let pids: Vec<u64> = kinds.iter().map(|kind| spawn(user, "/bin/waiter", kind).unwrap()).collect();
            user.call(NR_SLEEP, &[3_000_000]).unwrap();
            for (pid, kind) in pids.into_iter().zip(kinds) {
                user.call(NR_KILL, &[pid, 9]).unwrap();
                assert_eq!(wait(user, pid), (1, 9), "{kind}");
            }
            // The orphan of "child" comes to us.
            while user.call(NR_WAIT, &[WAIT_ANY, 1, 0]).is_ok_and(|pid| pid == 0) {
                let mut killed = false;
                for pid in 2..200 {
                    killed |= user.call(NR_KILL, &[pid, 9]).is_ok();
                }
                assert!(killed);
                user.call(NR_SLEEP, &[1_000_000]).unwrap();
            }
        };
        round(user);
        let before = settled_free(user);
        for _ in 0..3 {
            round(user);
        }
        assert_eq!(settled_free(user), before);
        let info = figures(user);
        assert_eq!((info.processes, info.threads, info.sockets), (1, 1, 0));
        power_off(user);
    }
    fn waiter(user: &mut User) {
        if user.argument() != user.stack() {
            loop {
                user.call(NR_SLEEP, &[1_000_000_000]).unwrap();
            }
        }
        match user.args()[1].as_str() {
            "sleep" => drop(user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1])),
            "futex" => {
                let word = map(user, 4096);
                user.call(NR_FUTEX_WAIT, &[word, 0, TIMEOUT_NEVER, 1]).unwrap();
            }
            "console" => {
                let at = map(user, 4096);
                user.call(NR_READ, &[0, at, 10]).unwrap();
            }
            "socket" => {
                let socket = user.call(NR_SOCKET, &[2, 1]).unwrap();
                let at = map(user, 4096);
                user.store(at, &[2, 0, 80, 0]);
                user.call(NR_BIND, &[socket, at, 24]).unwrap();
                user.call(NR_LISTEN, &[socket, 10]).unwrap();
                user.call(NR_ACCEPT, &[socket, 0, 0, 0]).unwrap();
            }
            "spin" => loop {
                user.spin(10_000_000);
            },
            "threads" => {
                for _ in 0..5 {
                    thread(user, 1);
                }
                user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
            }
            _ => {
                spawn(user, "/bin/waiter", "sleep").unwrap();
                user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).unwrap();
            }
        }
    }
    all_well(&[("init", init), ("waiter", waiter)], 4);
}

#[test]
fn the_end_of_a_process_does_not_wait_for_one_that_yields() {
    fn init(user: &mut User) {
        let pids: Vec<u64> = (0..3).map(|_| spawn(user, "/bin/yielder", "x").unwrap()).collect();
        user.call(NR_SLEEP, &[3_000_000]).unwrap();
        for pid in pids {
            user.call(NR_KILL, &[pid, 9]).unwrap();
            assert_eq!(wait(user, pid), (1, 9));
        }
        power_off(user);
    }
    fn yielder(user: &mut User) {
        loop {
            user.call(NR_YIELD, &[]).unwrap();
        }
    }
    all_well(&[("init", init), ("yielder", yielder)], 4);
}

fn address(user: &mut User, at: u64, port: u16) {
    let mut bytes = [0; 24];
    bytes[0] = 2;
    bytes[2..4].copy_from_slice(&port.to_le_bytes());
    bytes[8..12].copy_from_slice(&[127, 0, 0, 1]);
    user.store(at, &bytes);
}

#[test]
fn bytes_cross_a_connection_whole_and_in_order() {
    const LEN: u64 = 60_000;
    fn init(user: &mut User) {
        let socket = user.call(NR_SOCKET, &[2, 1]).unwrap();
        let at = map(user, 1 << 17);
        address(user, at, 7);
        user.call(NR_BIND, &[socket, at, 24]).unwrap();
        user.call(NR_LISTEN, &[socket, 10]).unwrap();
        let pids: Vec<u64> = (0..3).map(|_| spawn(user, "/bin/client", "x").unwrap()).collect();
        for _ in 0..3 {
            let peer = user.call(NR_ACCEPT, &[socket, at, 24, 0]).unwrap();
            let mut echoed = 0;
            loop {
                let count = user.call(NR_READ, &[peer, at, 20_000]).unwrap();
                if count == 0 {
                    break;
                }
                let mut sent = 0;
                while sent < count {
                    sent += user.call(NR_WRITE, &[peer, at + sent, count - sent]).unwrap();
                }
                echoed += count;
            }
            assert_eq!(echoed, LEN);
            user.call(NR_CLOSE, &[peer]).unwrap();
        }
        for pid in pids {
            assert_eq!(wait(user, pid), (0, 0));
        }
        power_off(user);
    }
    fn client(user: &mut User) {
        let socket = user.call(NR_SOCKET, &[2, 1]).unwrap();
        let at = map(user, 1 << 18);
        address(user, at, 7);
        user.call(NR_CONNECT, &[socket, at, 24]).unwrap();
        let data: Vec<u8> = (0..LEN).map(|index| (index * 31 % 255) as u8).collect();
        user.store(at + 4096, &data);
        let back = at + (1 << 17);
        let (mut sent, mut received) = (0, 0);
        while received < LEN {
            if sent < LEN {
                let part = (LEN - sent).min(10_000);
                sent += user.call(NR_WRITE, &[socket, at + 4096 + sent, part]).unwrap();
                if sent == LEN {
                    user.call(NR_SHUTDOWN, &[socket, u64::from(SHUTDOWN_WRITE)]).unwrap();
                }
            }
            let count = user.call(NR_READ, &[socket, back + received, LEN - received]).unwrap();
            assert!(count > 0);
            received += count;
        }
        assert_eq!(user.call(NR_READ, &[socket, back, 1]), Ok(0));
        assert_eq!(user.load(back, LEN as usize), data);
    }
    all_well(&[("init", init), ("client", client)], 2);
}

#[test]
fn a_disk_that_fails_costs_the_reader_an_error() {
    fn init(user: &mut User) {
        let path = map(user, 1 << 17);
        user.store(path, b"/data/file");
        let handle = user.call(NR_OPEN, &[Handle::CWD.0, path, 10, 1, 0]).unwrap();
        for round in 0..30_u64 {
            match user.call(NR_PREAD, &[handle, path + 4096, 5_000, round * 1_500 % 45_000]) {
                Ok(count) => assert!(count > 0 && count <= 5_000),
                Err(errno) => assert_eq!(errno, Errno::IO),
            }
        }
        power_off(user);
    }
    let mut ended = 0;
    for seed in 1..30 {
        let text = simulate(2, seed, &[("init", init)], Faults { disk: 4, ..Faults::default() }, 2_000_000);
        // A program whose own page can't be read ends; a system whose image can't be read says so.
        let reasons = ["all is well", "can't be read", "no page behind", "base image refused"];
        assert!(reasons.iter().any(|reason| text.contains(reason)), "seed {seed}: {text}");
        ended += usize::from(text.contains("all is well"));
    }
    assert!(ended > 0, "no seed got through");
}

#[test]
fn a_bad_block_costs_what_lies_there() {
    const PAGES: u64 = 13;
    fn init(user: &mut User) {
        let at = map(user, 1 << 17);
        user.store(at, b"/data/file");
        let handle = user.call(NR_OPEN, &[Handle::CWD.0, at, 10, 1, 0]).unwrap();
        for page in 0..PAGES {
            match user.call(NR_PREAD, &[handle, at + 4096, 4096, page * 4096]) {
                Ok(_) => {}
                Err(errno) => {
                    assert_eq!(errno, Errno::IO);
                    let text = format!("page {page} refused\n");
                    user.store(at, text.as_bytes());
                    user.call(NR_WRITE, &[1, at, text.len() as u64]).unwrap();
                }
            }
        }
        power_off(user);
    }
    // Superblock, metadata, hashes, two blocks of the program, of which the second is not used, then the file: a mount reads on
    // over all of them at once.
    let (unused, first) = (4, 5);
    for bad in 0..first + PAGES {
        for cpus in [1, 2] {
            let faults = Faults { bad_block: Some(bad), ..Faults::default() };
            let text = simulate(cpus, bad + 1, &[("init", init)], faults, 2_000_000);
            assert!(text.contains(&format!("block {bad} can't be read")), "{bad}: {text}");
            let refused = bad.checked_sub(first).map(|page| format!("page {page} refused\n"));
            match refused {
                Some(refused) => {
                    assert!(text.contains(&refused) && text.contains("all is well"), "{bad}: {text}");
                    assert_eq!(text.matches("refused").count(), 1, "{bad}: {text}");
                }
                None => assert_eq!(text.contains("all is well"), bad == unused, "{bad}: {text}"),
            }
        }
    }
}

#[test]
fn short_memory_fails_calls_and_loses_nothing() {
    fn init(user: &mut User) {
        for _ in 0..40 {
            match spawn(user, "/bin/child", "x") {
                Ok(pid) => {
                    let (cause, code) = wait(user, pid);
                    assert!((cause, code) == (0, 3) || cause == 1, "{cause} {code}");
                }
                Err(errno) => assert!([Errno::NOMEM, Errno::IO].contains(&errno), "{errno:?}"),
            }
        }
        power_off(user);
    }
    let mut ended = 0;
    for seed in 1..20 {
        let text = simulate(
            2,
            seed,
            &[("init", init), ("child", child)],
            Faults { frames: 150, ..Faults::default() },
            4_000_000,
        );
        ended += usize::from(text.contains("all is well"));
        assert!(text.contains("all is well") || text.contains("init"), "seed {seed}: {text}");
    }
    assert!(ended > 0, "no seed got through");
}

#[test]
fn a_readiness_set_tells_who_is_ready() {
    fn init(user: &mut User) {
        let socket = user.call(NR_SOCKET, &[2, 1]).unwrap();
        let at = map(user, 1 << 16);
        address(user, at, 9);
        user.call(NR_BIND, &[socket, at, 24]).unwrap();
        user.call(NR_LISTEN, &[socket, 50]).unwrap();
        let set = user.call(NR_READY_CREATE, &[]).unwrap();
        let event = |user: &mut User, token: u64, events: u32| {
            user.store(at + 100, &token.to_le_bytes());
            user.store(at + 108, &u64::from(events).to_le_bytes());
        };
        event(user, socket, u32::from(POLL_IN));
        user.call(NR_READY_CONTROL, &[set, u64::from(READY_ADD), socket, at + 100]).unwrap();
        assert_eq!(user.call(NR_READY_WAIT, &[set, at + 200, 8, 1000]), Ok(0));
        for _ in 0..4 {
            spawn(user, "/bin/client", "x").unwrap();
        }
        let (mut accepted, mut ended) = (0, 0);
        while ended < 4 {
            let count = user.call(NR_READY_WAIT, &[set, at + 200, 8, TIMEOUT_NEVER]).unwrap();
            assert!(count > 0);
            for index in 0..count {
                let token = user.load_u64(at + 200 + 16 * index);
                if token == socket {
                    let peer = user.call(NR_ACCEPT, &[socket, 0, 0, u64::from(SOCKET_NONBLOCK)]).unwrap();
                    event(user, peer, u32::from(POLL_IN));
                    user.call(NR_READY_CONTROL, &[set, u64::from(READY_ADD), peer, at + 100]).unwrap();
                    accepted += 1;
                } else if user.call(NR_READ, &[token, at + 1000, 100]).unwrap() == 0 {
                    user.call(NR_CLOSE, &[token]).unwrap();
                    ended += 1;
                }
            }
        }
        assert_eq!(accepted, 4);
        power_off(user);
    }
    fn client(user: &mut User) {
        let socket = user.call(NR_SOCKET, &[2, 1]).unwrap();
        let at = map(user, 4096);
        address(user, at, 9);
        user.call(NR_CONNECT, &[socket, at, 24]).unwrap();
        for _ in 0..3 {
            user.call(NR_WRITE, &[socket, at, 10]).unwrap();
            user.call(NR_SLEEP, &[2_000_000]).unwrap();
        }
    }
    all_well(&[("init", init), ("client", client)], 3);
}

#[test]
fn a_program_that_only_computes_does_not_hold_up_the_network() {
    fn init(user: &mut User) {
        let stream = u64::from(SOCKET_STREAM | SOCKET_NONBLOCK);
        let socket = user.call(NR_SOCKET, &[2, stream]).unwrap();
        let at = map(user, 4096);
        let config = NetworkConfig { size: 16, prefix: 24, address: [10, 0, 2, 15], gateway: [0; 4] };
        user.store(at, config.as_bytes());
        user.call(NR_NET_CONFIGURE, &[at, 16]).unwrap();
        // Nobody answers there: who has this address is asked again and again.
        user.store(at, &[2, 0, 80, 0, 0, 0, 0, 0, 10, 0, 2, 77]);
        assert_eq!(user.call(NR_CONNECT, &[socket, at, 24]), Err(Errno::INPROGRESS));
        let before = figures(user).frames_sent;
        user.spin(2_500_000_000);
        assert!(figures(user).frames_sent > before, "nothing was sent in 2.5 s");
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}
