//! Endpoints when somebody dies, leaves, or has no memory: it is seen at once, no message is lost, nothing is left.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{
    all_well, close, endpoint, left, map, pipe, power_off, say, simulate, spawn_with, thread, wait,
};
use common::{call, endpoint_of_calls, mint, receive, reply, send};
use swos_abi::*;
use swos_kernel_sim::{Faults, Program, User};

const EVER: u64 = TIMEOUT_NEVER;

#[test]
fn deaths_are_seen_at_once() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            // Senders gone: what was sent comes first.
            let (sender, receiver) = endpoint(user);
            let other = mint(user, sender, 1).unwrap();
            assert_eq!(send(user, sender, b"last words", &[], EVER), Ok(0));
            close(user, &[sender, other]);
            assert_eq!(receive(user, receiver, EVER).unwrap().bytes, b"last words");
            assert_eq!(receive(user, receiver, EVER), Err(Errno::PIPE));
            close(user, &[receiver]);
            // The receiver gone.
            let (sender, receiver) = endpoint(user);
            close(user, &[receiver]);
            assert_eq!(send(user, sender, b"", &[], EVER), Err(Errno::PIPE));
            assert_eq!(call(user, sender, b"", &[], EVER), Err(Errno::PIPE));
            close(user, &[sender]);
            // One waits, and the other side goes: by itself or killed.
            for (role, killed) in
                [("receive", false), ("receive", true), ("full", false), ("full", true), ("call", false)]
            {
                let (sender, receiver) = endpoint(user);
                let (theirs, mine) = if role == "receive" { (receiver, sender) } else { (sender, receiver) };
                if role == "full" {
                    for _ in 0..64 {
                        assert_eq!(send(user, sender, b"x", &[], EVER), Ok(0));
                    }
                }
                let pid = spawn_with(user, "/bin/waiter", role, &[theirs]).unwrap();
                let holder = killed.then(|| spawn_with(user, "/bin/waiter", "hold", &[mine]).unwrap());
                close(user, &[theirs]);
                user.call(NR_SLEEP, &[2_000_000]).unwrap();
                close(user, &[mine]);
                if let Some(holder) = holder {
                    user.call(NR_KILL, &[holder, 9]).unwrap();
                    assert_eq!(wait(user, holder), (1, 9));
                }
                assert_eq!(wait(user, pid), (0, 0), "{role}");
            }
            // A server that took the call, and ends before it answers.
            let (sender, receiver) = endpoint(user);
            let server = spawn_with(user, "/bin/waiter", "take", &[receiver]).unwrap();
            close(user, &[receiver]);
            assert_eq!(call(user, sender, b"?", &[], EVER), Err(Errno::PIPE));
            assert_eq!(wait(user, server), (0, 0));
            close(user, &[sender]);
            // A caller that is killed: its answer is refused and moves nothing, and the next call is served.
            let (sender, receiver) = endpoint(user);
            let caller = spawn_with(user, "/bin/waiter", "call", &[sender]).unwrap();
            let token = receive(user, receiver, EVER).unwrap().token;
            user.call(NR_KILL, &[caller, 9]).unwrap();
            assert_eq!(wait(user, caller), (1, 9));
            let (reader, writer) = pipe(user, 0);
            assert_eq!(reply(user, receiver, token, b"", &[(reader, u32::MAX)]), Err(Errno::PIPE));
            assert_eq!(reply(user, receiver, token, b"", &[(reader, u32::MAX)]), Err(Errno::INVAL));
            close(user, &[reader, writer, sender, receiver]);
            // A caller that does not wait so long.
            let (sender, receiver) = endpoint(user);
            assert_eq!(call(user, sender, b"", &[], 1_000_000), Err(Errno::TIMEDOUT));
            let token = receive(user, receiver, EVER).unwrap().token;
            assert_eq!(reply(user, receiver, token, b"", &[]), Err(Errno::PIPE));
            close(user, &[sender, receiver]);
        };
        round(user);
        let before = left(user);
        round(user);
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn waiter(user: &mut User) {
        match user.args()[1].as_str() {
            "receive" => assert_eq!(receive(user, 0, EVER), Err(Errno::PIPE)),
            "full" => assert_eq!(send(user, 0, b"x", &[], EVER), Err(Errno::PIPE)),
            "call" => assert_eq!(call(user, 0, b"x", &[], EVER), Err(Errno::PIPE)),
            "take" => assert_ne!(receive(user, 0, EVER).unwrap().token, 0),
            _ => drop(user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1])),
        }
    }
    all_well(&[("init", init), ("waiter", waiter)], 3);
}

/// Pipes, endpoints within endpoints, more than one slice of work disposes of: all goes with the last receiver.
#[test]
fn what_lies_in_a_dead_endpoint_is_closed() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            let (sender, receiver) = endpoint(user);
            let (inner_sender, inner_receiver) = endpoint(user);
            let (reader, writer) = pipe(user, 0);
            for _ in 0..40 {
                let copy = user.call(NR_HANDLE_DUPLICATE, &[reader, u64::from(u32::MAX)]).unwrap();
                assert_eq!(send(user, inner_sender, b"a copy", &[(copy, u32::MAX)], EVER), Ok(0));
            }
            assert_eq!(send(user, inner_sender, b"the reader", &[(reader, u32::MAX)], EVER), Ok(0));
            let waiting = spawn_with(user, "/bin/caller", "x", &[inner_sender]).unwrap();
            user.call(NR_SLEEP, &[1_000_000]).unwrap();
            assert_eq!(send(user, sender, b"", &[(inner_receiver, u32::MAX)], EVER), Ok(0));
            assert_eq!(user.call(NR_WRITE, &[writer, user.stack() - 2048, 1]), Ok(1));
            // The outer receiver takes the inner one along, that the pipe's reader and the caller.
            close(user, &[receiver]);
            assert_eq!(user.call(NR_WRITE, &[writer, user.stack() - 2048, 1]), Err(Errno::PIPE));
            assert_eq!(send(user, inner_sender, b"", &[], EVER), Err(Errno::PIPE));
            assert_eq!(wait(user, waiting), (0, 0));
            close(user, &[sender, inner_sender, writer]);
            // The same by the end of a process.
            let pid = spawn_with(user, "/bin/hoarder", "x", &[]).unwrap();
            assert_eq!(wait(user, pid), (0, 3));
        };
        round(user);
        let before = left(user);
        for _ in 0..3 {
            round(user);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn caller(user: &mut User) {
        assert_eq!(call(user, 0, b"?", &[], EVER), Err(Errno::PIPE));
    }
    fn hoarder(user: &mut User) {
        let (sender, _receiver) = endpoint(user);
        for _ in 0..20 {
            let (reader, writer) = pipe(user, 0);
            let (inner_sender, inner_receiver) = endpoint(user);
            assert_eq!(send(user, inner_sender, &[5; 900], &[(reader, u32::MAX)], EVER), Ok(0));
            let with = [(writer, u32::MAX), (inner_receiver, u32::MAX), (inner_sender, u32::MAX)];
            assert_eq!(send(user, sender, b"", &with, EVER), Ok(0));
        }
        user.call(NR_EXIT, &[3]).unwrap();
    }
    all_well(&[("init", init), ("caller", caller), ("hoarder", hoarder)], 2);
}

/// Several threads receive; some are killed just as a message may have woken them. None is left lying.
#[test]
fn a_message_is_not_lost_with_the_receiver_that_it_woke() {
    fn init(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        for turn in 0..12 {
            let servers: Vec<u64> =
                (0..3).map(|_| spawn_with(user, "/bin/server", "x", &[receiver]).unwrap()).collect();
            user.call(NR_SLEEP, &[300_000 + turn * 7_000]).unwrap();
            for number in 0..3_u64 {
                assert_eq!(send(user, sender, &number.to_le_bytes(), &[], EVER), Ok(0));
                if number < 2 {
                    user.call(NR_KILL, &[servers[number as usize], 9]).unwrap();
                }
            }
            // The third takes what the others left. A message that a victim had taken is gone with it.
            assert_eq!(wait(user, servers[2]), (0, 0));
            for &victim in &servers[..2] {
                let ended = wait(user, victim);
                assert!(ended == (1, 9) || ended == (0, 0), "{ended:?}");
            }
            while receive(user, receiver, 0).is_ok() {}
        }
        power_off(user);
    }
    /// Takes one message; the simulation fails if it waits for ever.
    fn server(user: &mut User) {
        assert_eq!(receive(user, 0, EVER).unwrap().bytes.len(), 8);
    }
    // Three messages and at most two that end with a victim: one is always left for the third.
    all_well(&[("init", init), ("server", server)], 8);
}

/// Who holds the receiver of a dead server hangs up: calls that it took are over, those that wait are served, and places of calls whose
/// callers gave up are free again.
#[test]
fn a_receiver_hangs_up_on_those_whose_calls_it_took() {
    const CALLERS: usize = 90;
    const TAKEN: usize = 70;
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            let (sender, receiver) = endpoint(user);
            let (tally, tallies) = endpoint(user);
            assert_eq!(user.call(NR_ENDPOINT_HANG_UP, &[receiver]), Ok(0));
            let callers = spawn_with(user, "/bin/callers", "x", &[sender, tally]).unwrap();
            let tokens: Vec<u64> = (0..TAKEN).map(|_| receive(user, receiver, EVER).unwrap().token).collect();
            assert_eq!(user.call(NR_ENDPOINT_HANG_UP, &[receiver]), Ok(0));
            assert_eq!(reply(user, receiver, tokens[0], b"late", &[]), Err(Errno::INVAL));
            for _ in TAKEN..CALLERS {
                let token = receive(user, receiver, EVER).unwrap().token;
                assert_eq!(reply(user, receiver, token, b"", &[]), Ok(0));
            }
            let mut answered = 0;
            for _ in 0..CALLERS {
                answered += receive(user, tallies, EVER).unwrap().bytes.len();
            }
            assert_eq!(answered, CALLERS - TAKEN);
            assert_eq!(wait(user, callers), (0, 0));
            close(user, &[sender, receiver, tally, tallies]);
            // Two calls at most: both callers gave up after they were received, and a third waits for a place.
            let (sender, receiver) = endpoint_of_calls(user, 2);
            let waiting: Vec<u64> = ["brief", "brief", "patient"]
                .into_iter()
                .map(|role| {
                    let pid = spawn_with(user, "/bin/callers", role, &[sender]).unwrap();
                    if role == "brief" {
                        receive(user, receiver, EVER).unwrap();
                    }
                    pid
                })
                .collect();
            user.call(NR_SLEEP, &[3_000_000]).unwrap();
            assert_eq!(receive(user, receiver, 0), Err(Errno::TIMEDOUT));
            assert_eq!(user.call(NR_ENDPOINT_HANG_UP, &[receiver]), Ok(0));
            let token = receive(user, receiver, EVER).unwrap().token;
            assert_eq!(reply(user, receiver, token, b"", &[]), Ok(0));
            for pid in waiting {
                assert_eq!(wait(user, pid), (0, 0));
            }
            close(user, &[sender, receiver]);
        };
        round(user);
        let before = left(user);
        round(user);
        assert_eq!(left(user), before);
        let (sender, receiver) = endpoint(user);
        let blind = user.call(NR_HANDLE_DUPLICATE, &[receiver, u64::from(Rights::TRANSFER.bits())]).unwrap();
        let refused = [sender, blind, 77 << 24].map(|handle| user.call(NR_ENDPOINT_HANG_UP, &[handle]));
        assert_eq!(refused, [Err(Errno::ACCES), Err(Errno::ACCES), Err(Errno::BADF)]);
        power_off(user);
    }
    fn callers(user: &mut User) {
        if user.argument() == 1 {
            let answer = call(user, 0, b"?", &[], EVER);
            let tally: &[u8] = match answer {
                Ok(_) => b"a",
                Err(errno) => {
                    assert_eq!(errno, Errno::PIPE);
                    b""
                }
            };
            assert_eq!(send(user, 1, tally, &[], EVER), Ok(0));
            let _ = user.call(NR_THREAD_EXIT, &[0]);
        }
        match user.args()[1].as_str() {
            "brief" => assert_eq!(call(user, 0, b"?", &[], 1_000_000), Err(Errno::TIMEDOUT)),
            "patient" => assert!(call(user, 0, b"?", &[], EVER).is_ok()),
            _ => {
                for _ in 0..CALLERS {
                    thread(user, 1);
                }
                let _ = user.call(NR_THREAD_EXIT, &[0]);
            }
        }
    }
    all_well(&[("init", init), ("callers", callers)], 2);
}

#[test]
fn a_handle_closed_under_a_receiver_wakes_it() {
    fn init(user: &mut User) {
        let argument = user.argument();
        if argument != user.stack() {
            let receiver = user.load_u64(argument);
            let answer = receive(user, receiver, EVER);
            let word: u32 = if answer == Err(Errno::BADF) { 1 } else { 2 };
            user.store(argument + 8, &word.to_le_bytes());
            return;
        }
        let at = map(user, 4096);
        let (sender, receiver) = endpoint(user);
        user.store(at, &receiver.to_le_bytes());
        thread(user, at);
        user.call(NR_SLEEP, &[2_000_000]).unwrap();
        close(user, &[receiver]);
        while user.load_u32(at + 8) == 0 {
            user.call(NR_SLEEP, &[1_000_000]).unwrap();
        }
        assert_eq!(user.load_u32(at + 8), 1);
        close(user, &[sender]);
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}

/// Clients and servers that call each other and pass pipes to and fro, killed at every moment: nothing is left of any.
#[test]
fn whoever_is_killed_whenever_leaves_nothing() {
    fn init(user: &mut User) {
        let round = |user: &mut User, pause: u64, victim: usize| {
            let (sender, receiver) = endpoint(user);
            let mut pids = vec![spawn_with(user, "/bin/server", "x", &[receiver]).unwrap()];
            for _ in 0..2 {
                pids.push(spawn_with(user, "/bin/client", "x", &[sender]).unwrap());
            }
            close(user, &[sender, receiver]);
            user.call(NR_SLEEP, &[pause]).unwrap();
            let _ = user.call(NR_KILL, &[pids[victim], 9]);
            if victim > 0 {
                user.call(NR_SLEEP, &[pause / 3]).unwrap();
                for &pid in &pids {
                    let _ = user.call(NR_KILL, &[pid, 9]);
                }
            }
            for pid in pids {
                let ended = wait(user, pid);
                assert!(ended == (1, 9) || ended == (0, 0), "{ended:?}");
            }
        };
        round(user, 400_000, 0);
        round(user, 400_000, 1);
        let before = left(user);
        for turn in 0..10 {
            round(user, 150_000 + 23_000 * turn, (turn % 3) as usize);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    /// Calls with a pipe's end, gets one back, until nobody answers.
    fn client(user: &mut User) {
        loop {
            let (reader, writer) = pipe(user, 0);
            match call(user, 0, &[9; 300], &[(reader, u32::MAX)], 3_000_000) {
                Ok(answer) => {
                    for (handle, _) in answer.handles {
                        user.call(NR_CLOSE, &[handle]).unwrap();
                    }
                }
                Err(Errno::PIPE) => return,
                Err(errno) => assert_eq!(errno, Errno::TIMEDOUT),
            }
            user.call(NR_CLOSE, &[writer]).unwrap();
        }
    }
    fn server(user: &mut User) {
        let mut got = receive(user, 0, EVER);
        loop {
            match got {
                Ok(message) => {
                    let (mine, theirs) = pipe(user, 0);
                    let answered =
                        reply(user, 0, message.token, &[8; 200], &[(theirs, u32::MAX), message.handles[0]]);
                    if answered.is_err() {
                        assert_eq!(answered, Err(Errno::PIPE));
                        close(user, &[theirs, message.handles[0].0]);
                    }
                    close(user, &[mine]);
                    got = receive(user, 0, EVER);
                }
                Err(errno) => return assert_eq!(errno, Errno::PIPE),
            }
        }
    }
    all_well(&[("init", init), ("server", server), ("client", client)], 3);
}

#[test]
fn short_memory_fails_calls_and_loses_no_message() {
    fn init(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        let Ok(server) = spawn_with(user, "/bin/server", "x", &[receiver]) else { return power_off(user) };
        let client = spawn_with(user, "/bin/client", "x", &[sender]);
        close(user, &[sender, receiver]);
        let served = wait(user, server);
        if let Ok(client) = client {
            let called = wait(user, client);
            say(user, &format!("{served:?} {called:?}\n"));
        }
        power_off(user);
    }
    fn client(user: &mut User) {
        let (mut number, mut failures) = (0_u64, 0);
        while number < 60 {
            let mut question = vec![1; 1_500];
            question[..8].copy_from_slice(&number.to_le_bytes());
            match call(user, 0, &question, &[], EVER) {
                Ok(answer) => {
                    assert_eq!(answer.bytes[..8], number.to_le_bytes());
                    number += 1;
                }
                Err(Errno::NOMEM) if failures < 1_000 => failures += 1,
                Err(Errno::PIPE) => return,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    fn server(user: &mut User) {
        let mut failures = 0;
        loop {
            match receive(user, 0, EVER) {
                Ok(got) => {
                    while let Err(errno) = reply(user, 0, got.token, &got.bytes, &[]) {
                        if errno == Errno::PIPE {
                            break;
                        }
                        assert_eq!(errno, Errno::NOMEM);
                        failures += 1;
                        assert!(failures < 1_000);
                    }
                }
                Err(Errno::NOMEM) if failures < 1_000 => failures += 1,
                Err(errno) => return assert_eq!(errno, Errno::PIPE),
            }
        }
    }
    let (mut ended, mut whole) = (0, 0);
    for seed in 1..20 {
        for cpus in [1, 4] {
            let programs: &[(&'static str, Program)] =
                &[("init", init), ("server", server), ("client", client)];
            let text = simulate(cpus, seed, programs, Faults { frames: 100, ..Faults::default() });
            assert!(text.contains("all is well") || text.contains("init"), "seed {seed}: {text}");
            assert!(!text.contains("(1, 4)"), "seed {seed}: {text}");
            ended += usize::from(text.contains("all is well"));
            whole += usize::from(text.contains("(0, 0) (0, 0)"));
        }
    }
    assert!(ended > 0 && whole > 0, "{ended} runs got through, {whole} of them whole");
}

/// Who waits at an end that was lent to it stops when the loan ends: in a receipt, and in a call.
#[test]
fn a_loan_that_ends_ends_the_wait() {
    fn init(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        for (role, end) in [("receive", receiver), ("call", sender)] {
            let lent = user.call(NR_HANDLE_LEND, &[end, u64::from(u32::MAX)]).unwrap();
            let pid = spawn_with(user, "/bin/waiter", role, &[lent]).unwrap();
            user.call(NR_SLEEP, &[2_000_000]).unwrap();
            user.call(NR_HANDLE_REVOKE, &[end]).unwrap();
            assert_eq!(wait(user, pid), (0, 0), "{role}");
            user.call(NR_CLOSE, &[lent]).unwrap();
        }
        // The call was given up: its answer is refused. The message that was not taken is still there.
        let got = receive(user, receiver, EVER).unwrap();
        assert_eq!(reply(user, receiver, got.token, b"", &[]), Err(Errno::PIPE));
        // What is minted from a loan ends with it.
        let lent = user.call(NR_HANDLE_LEND, &[sender, u64::from(u32::MAX)]).unwrap();
        let minted = mint(user, lent, 5).unwrap();
        assert_eq!(send(user, minted, b"", &[], EVER), Ok(0));
        user.call(NR_HANDLE_REVOKE, &[sender]).unwrap();
        assert_eq!(send(user, minted, b"", &[], EVER), Err(Errno::ACCES));
        power_off(user);
    }
    fn waiter(user: &mut User) {
        let ended = if user.args()[1] == "call" {
            call(user, 0, b"?", &[], EVER).map(drop)
        } else {
            receive(user, 0, EVER).map(drop)
        };
        assert_eq!(ended, Err(Errno::ACCES));
    }
    all_well(&[("init", init), ("waiter", waiter)], 4);
}

/// The one receiver that a message woke is killed before it took it: the one that waits beside it takes it, though nothing more is sent.
#[test]
fn a_message_does_not_lie_there_while_somebody_waits() {
    fn init(user: &mut User) {
        let at = map(user, 4096);
        let (sender, receiver) = endpoint(user);
        let mut left_lying = 0;
        for turn in 0..12 {
            let servers: Vec<u64> =
                (0..2).map(|_| spawn_with(user, "/bin/server", "x", &[receiver]).unwrap()).collect();
            user.call(NR_SLEEP, &[300_000 + turn * 7_000]).unwrap();
            assert_eq!(send(user, sender, b"only one", &[], EVER), Ok(0));
            user.call(NR_KILL, &[servers[(turn % 2) as usize], 9]).unwrap();
            for _ in 0..100 {
                user.store(at, &receiver.to_le_bytes());
                user.store(at + 8, &u64::from(POLL_IN).to_le_bytes());
                if user.call(NR_POLL, &[at, 1, 0]).unwrap() == 0 {
                    break;
                }
                left_lying += 1;
                user.call(NR_SLEEP, &[100_000]).unwrap();
            }
            assert_eq!(receive(user, receiver, 0), Err(Errno::TIMEDOUT));
            for pid in servers {
                let _ = user.call(NR_KILL, &[pid, 9]);
                wait(user, pid);
            }
        }
        say(user, &format!("{left_lying} times\n"));
        power_off(user);
    }
    fn server(user: &mut User) {
        assert_eq!(receive(user, 0, EVER).unwrap().bytes, b"only one");
    }
    all_well(&[("init", init), ("server", server)], 4);
}
