//! Threads that hand the CPU to each other in calls on endpoints, while the world interferes.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, call, close, endpoint, left, map, mint, power_off, receive, reply, reply_receive};
use common::{spawn_with, wait};
use swos_abi::*;
use swos_kernel_sim::User;
use zerocopy::IntoBytes as _;

const EVER: u64 = TIMEOUT_NEVER;

/// Calls that each client makes.
const CALLS: u64 = 60;

/// Answers each call with its own bytes. Of each client it hears in order, each number once. Every few times it receives into memory that
/// is not there yet, and now and then into memory that never will be: then the call is not answered, and no message lost.
fn server(user: &mut User) {
    let mut next = [0_u64; 3];
    let mut turn = 0_u64;
    let mut got = receive(user, 0, EVER);
    loop {
        let message = match got {
            Ok(message) => message,
            Err(errno) => return assert_eq!(errno, Errno::PIPE),
        };
        let number = u64::from_le_bytes(message.bytes[..8].try_into().unwrap());
        let seen = &mut next[message.badge as usize];
        assert!(number >= *seen, "{number} after {seen} of {}", message.badge);
        *seen = number + 1;
        turn += 1;
        if turn.is_multiple_of(7) {
            let at = user.stack() - 8192;
            user.store(at, MessageOut { bytes: at, length: 8, ..MessageOut::default() }.as_bytes());
            let bad = user.call(NR_ENDPOINT_REPLY_RECEIVE, &[0, message.token, at, 8, EVER]);
            assert_eq!(bad, Err(Errno::FAULT));
        }
        if turn.is_multiple_of(5) {
            got = fresh_reply_receive(user, message.token, &message.bytes);
        } else {
            let timeout = if turn.is_multiple_of(4) { 1 + turn * turn * 41 % 60_000 } else { EVER };
            got = reply_receive(user, 0, message.token, &message.bytes, timeout);
        }
        if let Err(Errno::PIPE | Errno::TIMEDOUT) = got {
            // Its caller gave up, or nobody calls for a while; or nobody is left, which it hears once more.
            got = receive(user, 0, EVER);
        }
    }
}

/// The same as `reply_receive` into a page that was never touched.
fn fresh_reply_receive(user: &mut User, token: u64, bytes: &[u8]) -> Result<common::Got, Errno> {
    let page = map(user, 4096);
    let at = user.stack() - 8192;
    user.store(at + 1024, bytes);
    let out = MessageOut { bytes: at + 1024, length: bytes.len() as u32, ..MessageOut::default() };
    user.store(at, out.as_bytes());
    let into = MessageIn { bytes: page, capacity: 256, ..MessageIn::default() };
    user.store(at + 64, into.as_bytes());
    let counts = user.call(NR_ENDPOINT_REPLY_RECEIVE, &[0, token, at, at + 64, EVER]);
    let got = counts.map(|length| common::Got {
        bytes: user.load(page, length as usize),
        handles: Vec::new(),
        badge: user.load_u64(at + 64 + 32),
        token: user.load_u64(at + 64 + 40),
    });
    assert_eq!(user.call(NR_MUNMAP, &[page, 4096]), Ok(0));
    got
}

/// Calls, with time-outs of all lengths and without; an answer is to its own question.
fn client(user: &mut User) {
    for number in 0..CALLS {
        let mut bytes = vec![number as u8; 8 + number as usize];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let timeout = if number % 3 == 0 { EVER } else { 1 + number * number * 37 % 90_000 };
        match call(user, 0, &bytes, &[], timeout) {
            Ok(answer) => assert_eq!(answer.bytes, bytes),
            Err(errno) => assert_eq!(errno, Errno::TIMEDOUT, "at {number}"),
        }
    }
}

#[test]
fn each_hears_its_own_whoever_is_stopped_or_killed_whenever() {
    fn init(user: &mut User) {
        let round = |user: &mut User, turn: u64| {
            let (sender, receiver) = endpoint(user);
            let mut pids = vec![spawn_with(user, "/bin/server", "x", &[receiver]).unwrap()];
            for badge in [1, 2] {
                let sender = mint(user, sender, badge).unwrap();
                pids.push(spawn_with(user, "/bin/client", "x", &[sender]).unwrap());
                close(user, &[sender]);
            }
            close(user, &[sender, receiver]);
            for step in 0..6 {
                user.call(NR_SLEEP, &[11_000 + 7_000 * (turn + step)]).unwrap();
                let pid = pids[((turn + step) % 3) as usize];
                let _ = user.call(NR_KILL, &[pid, u64::from(SIGSTOP)]);
                user.call(NR_SLEEP, &[5_000 * step]).unwrap();
                let _ = user.call(NR_KILL, &[pid, u64::from(SIGCONT)]);
            }
            // In some rounds a client is killed in the midst of it, in some nobody.
            if turn % 2 == 1 {
                let _ = user.call(NR_KILL, &[pids[1 + (turn / 2 % 2) as usize], u64::from(SIGKILL)]);
            }
            for (index, pid) in pids.into_iter().enumerate() {
                let ended = wait(user, pid);
                let killed = turn % 2 == 1 && index > 0 && ended == (1, 9);
                assert!(ended == (0, 0) || killed, "{ended:?} of {index} in {turn}");
            }
        };
        round(user, 0);
        round(user, 1);
        let before = left(user);
        for turn in 2..8 {
            round(user, turn);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    all_well(&[("init", init), ("server", server), ("client", client)], 3);
}

#[test]
fn who_has_no_room_for_the_next_message_has_not_answered_the_last() {
    fn init(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        let pid = spawn_with(user, "/bin/asker", "x", &[sender]).unwrap();
        close(user, &[sender]);
        let got = receive(user, receiver, EVER).unwrap();
        let at = user.stack() - 8192;
        user.store(at, MessageOut::default().as_bytes());
        assert_eq!(
            user.call(NR_ENDPOINT_REPLY_RECEIVE, &[receiver, got.token, at, 8, EVER]),
            Err(Errno::FAULT)
        );
        assert_eq!(reply(user, receiver, got.token, b"now", &[]), Ok(0));
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn asker(user: &mut User) {
        assert_eq!(call(user, 0, b"when?", &[], EVER).unwrap().bytes, b"now");
    }
    all_well(&[("init", init), ("asker", asker)], 2);
}
