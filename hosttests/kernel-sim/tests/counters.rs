//! Events, timers and socket pairs: nothing is lost, nobody waits for ever, nothing is left whoever dies.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, close, left, map, power_off, spawn_with, thread, wait};
use swos_abi::*;
use swos_kernel_sim::User;

const EVER: u64 = TIMEOUT_NEVER;

fn event(user: &mut User, flags: u32) -> u64 {
    user.call(NR_EVENT_CREATE, &[0, u64::from(flags)]).unwrap()
}

fn pair(user: &mut User) -> (u64, u64) {
    let at = user.stack() - 2048;
    user.call(NR_SOCKET_PAIR, &[u64::from(SOCKET_STREAM), at, 16]).unwrap();
    (user.load_u64(at), user.load_u64(at + 8))
}

/// A writer in another process, and messages of all lengths: each is read as it was written.
#[test]
fn messages_of_a_pair_stay_whole() {
    fn init(user: &mut User) {
        let at = map(user, 8192);
        user.call(NR_SOCKET_PAIR, &[u64::from(SOCKET_DATAGRAM), at, 16]).unwrap();
        let (mine, theirs) = (user.load_u64(at), user.load_u64(at + 8));
        let pid = spawn_with(user, "/bin/writer", "go", &[theirs]).unwrap();
        user.call(NR_CLOSE, &[theirs]).unwrap();
        for number in 0..60_u64 {
            let length = number * 977 % 4093;
            assert_eq!(user.call(NR_READ, &[mine, at, 8192]), Ok(length));
            assert_eq!(user.load(at, length as usize), vec![number as u8; length as usize]);
        }
        assert_eq!(user.call(NR_READ, &[mine, at, 8192]), Ok(0), "the writer is gone");
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn writer(user: &mut User) {
        let at = map(user, 8192);
        for number in 0..60_u64 {
            let length = number * 977 % 4093;
            user.store(at, &vec![number as u8; 4092]);
            assert_eq!(user.call(NR_WRITE, &[0, at, length]), Ok(length));
        }
        assert_eq!(user.call(NR_WRITE, &[0, at, 4093]), Err(Errno::MSGSIZE));
    }
    all_well(&[("init", init), ("writer", writer)], 3);
}

/// `send_to` and `receive_from` are `write` and `read` there, whatever is at hand; no end has an address.
#[test]
fn a_pair_sends_and_receives_as_sockets_do() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            // More than goes in: it waits, and its handle is closed meanwhile.
            let (one, buffer) = (user.argument(), map(user, 100_000));
            assert_eq!(user.call(NR_SEND_TO, &[one, buffer, 100_000, 0, 0, 0]), Ok(1 << 16));
            user.call(NR_THREAD_EXIT, &[0]).unwrap();
        }
        let at = map(user, 8192);
        let (text, address, size) = (at + 64, at + 128, size_of::<SocketAddress>() as u64);
        for kind in [SOCKET_STREAM, SOCKET_DATAGRAM] {
            user.call(NR_SOCKET_PAIR, &[u64::from(kind), at, 16]).unwrap();
            let (one, two) = (user.load_u64(at), user.load_u64(at + 8));
            user.store(text, b"hello");
            user.store(address, &[0; 24]);
            assert_eq!(user.call(NR_SEND_TO, &[one, text, 5, address, size, 0]), Err(Errno::ISCONN));
            assert_eq!(user.call(NR_SEND_TO, &[one, text, 5, 0, 0, 1 << 9]), Err(Errno::INVAL));
            assert_eq!(user.call(NR_SEND_TO, &[one, 8, 5, 0, 0, 0]), Err(Errno::FAULT));
            assert_eq!(user.call(NR_SEND_TO, &[one, text, 5, 0, 0, u64::from(SEND_MORE)]), Ok(5));
            // A bad pointer costs nothing.
            for (buffer, address) in [(8, address), (at + 512, 8)] {
                let asked = [two, buffer, 64, address, size, 0];
                assert_eq!(user.call(NR_RECEIVE_FROM, &asked), Err(Errno::FAULT));
            }
            user.store(address, &[9; 24]);
            assert_eq!(user.call(NR_RECEIVE_FROM, &[two, at + 512, 64, address, size, 1]), Err(Errno::INVAL));
            assert_eq!(user.call(NR_RECEIVE_FROM, &[two, at + 512, 64, address, size, 0]), Ok(5));
            assert_eq!(user.load(at + 512, 5), b"hello");
            assert_eq!(user.load(address, 24), [0; 24]);
            user.call(NR_CLOSE, &[one]).unwrap();
            assert_eq!(user.call(NR_RECEIVE_FROM, &[two, at + 512, 64, 0, 0, 0]), Ok(0));
            assert_eq!(user.call(NR_SEND_TO, &[two, text, 5, 0, 0, 0]), Err(Errno::PIPE));
            user.call(NR_CLOSE, &[two]).unwrap();
        }
        let (one, two) = pair(user);
        thread(user, one);
        user.call(NR_SLEEP, &[20_000_000]).unwrap();
        user.call(NR_CLOSE, &[one]).unwrap();
        let mut received = 0;
        while let Ok(count @ 1..) = user.call(NR_RECEIVE_FROM, &[two, at, 8192, 0, 0, 0]) {
            received += count;
        }
        assert_eq!(received, 1 << 16);
        power_off(user);
    }
    all_well(&[("init", init)], 4);
}

/// Givers and takers in other processes: what is given is what is taken.
#[test]
fn what_is_added_is_taken_once() {
    fn init(user: &mut User) {
        for flags in [0, EVENT_SEMAPHORE] {
            let (work, done) = (event(user, flags), event(user, 0));
            let mut pids = Vec::new();
            for role in ["give", "give", "take", "take"] {
                pids.push(spawn_with(user, "/bin/party", role, &[work, done]).unwrap());
            }
            // The takers tell how much they took.
            let mut sum = 0;
            while sum < 2 * 55 {
                sum += user.call(NR_COUNTER_TAKE, &[done, EVER]).unwrap();
            }
            assert_eq!(sum, 2 * 55);
            for (pid, role) in pids.into_iter().zip(["give", "give", "take", "take"]) {
                if role == "take" {
                    user.call(NR_KILL, &[pid, 9]).unwrap();
                }
                let ended = wait(user, pid);
                assert_eq!(ended, if role == "take" { (1, 9) } else { (0, 0) });
            }
            assert_eq!(user.call(NR_COUNTER_TAKE, &[work, 0]), Err(Errno::TIMEDOUT));
            close(user, &[work, done]);
        }
        power_off(user);
    }
    fn party(user: &mut User) {
        if user.args()[1] == "give" {
            for value in 1..=10 {
                user.call(NR_EVENT_ADD, &[0, value]).unwrap();
                user.spin(3_000);
            }
        } else {
            loop {
                let count = user.call(NR_COUNTER_TAKE, &[0, EVER]).unwrap();
                user.call(NR_EVENT_ADD, &[1, count]).unwrap();
            }
        }
    }
    all_well(&[("init", init), ("party", party)], 5);
}

#[test]
fn timers_come_in_time_and_periods_are_not_lost() {
    fn init(user: &mut User) {
        let timer = user.call(NR_TIMER_CREATE, &[0]).unwrap();
        let now = |user: &mut User| user.call(NR_CLOCK_GET, &[u64::from(CLOCK_MONOTONIC)]).unwrap();
        let start = now(user);
        user.call(NR_TIMER_SET, &[timer, 1_000_000, 500_000, 0]).unwrap();
        let mut count = 0;
        while count < 20 {
            count += user.call(NR_COUNTER_TAKE, &[timer, EVER]).unwrap();
            user.spin(700_000);
        }
        let passed = now(user) - start;
        assert!(passed >= 1_000_000 + 500_000 * (count - 1), "{passed} ns for {count}");
        // Waited for beside a time-out, by a poll, and never.
        user.call(NR_TIMER_SET, &[timer, 5_000_000, 0, 0]).unwrap();
        assert_eq!(user.call(NR_COUNTER_TAKE, &[timer, 1_000_000]), Err(Errno::TIMEDOUT));
        let at = map(user, 4096);
        user.store(at, &timer.to_le_bytes());
        user.store(at + 8, &u64::from(POLL_IN).to_le_bytes());
        assert_eq!(user.call(NR_POLL, &[at, 1, EVER]), Ok(1));
        assert_eq!(user.call(NR_COUNTER_TAKE, &[timer, EVER]), Ok(1));
        user.call(NR_TIMER_SET, &[timer, u64::MAX, 0, 0]).unwrap();
        assert_eq!(user.call(NR_COUNTER_TAKE, &[timer, 1_000]), Err(Errno::TIMEDOUT));
        close(user, &[timer]);
        power_off(user);
    }
    all_well(&[("init", init)], 4);
}

#[test]
fn nothing_is_left_of_those_who_die() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            for role in ["take", "timer", "read", "write", "armed"] {
                let (kept, given) = pair(user);
                let pid = spawn_with(user, "/bin/party", role, &[given]).unwrap();
                close(user, &[given]);
                user.call(NR_SLEEP, &[700_000]).unwrap();
                user.call(NR_KILL, &[pid, 9]).unwrap();
                assert_eq!(wait(user, pid), if role == "armed" { (0, 0) } else { (1, 9) }, "{role}");
                // The other end hears of it.
                let at = user.stack() - 4096;
                while user.call(NR_READ, &[kept, at, 1000]).unwrap() > 0 {}
                close(user, &[kept]);
            }
        };
        round(user);
        let before = left(user);
        for _ in 0..3 {
            round(user);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn party(user: &mut User) {
        let at = map(user, 1 << 17);
        let timer = user.call(NR_TIMER_CREATE, &[0]).unwrap();
        match user.args()[1].as_str() {
            "take" => drop(
                user.call(NR_EVENT_CREATE, &[0, 0]).and_then(|it| user.call(NR_COUNTER_TAKE, &[it, EVER])),
            ),
            "timer" => {
                user.call(NR_TIMER_SET, &[timer, 1_000_000_000_000, 0, 0]).unwrap();
                let _ = user.call(NR_COUNTER_TAKE, &[timer, EVER]);
            }
            "read" => drop(user.call(NR_READ, &[0, at, 10])),
            "write" => drop(user.call(NR_WRITE, &[0, at, 1 << 17])),
            _ => {
                // It ends while its timer is armed, here and again in the far future.
                user.call(NR_TIMER_SET, &[timer, 1_000_000, 1_000_000, 0]).unwrap();
                let other = user.call(NR_TIMER_CREATE, &[0]).unwrap();
                user.call(NR_TIMER_SET, &[other, u64::MAX / 2, 0, 0]).unwrap();
            }
        }
    }
    all_well(&[("init", init), ("party", party)], 3);
}

#[test]
fn a_pair_carries_bytes_both_ways_at_once() {
    fn init(user: &mut User) {
        let (one, other) = pair(user);
        let pid = spawn_with(user, "/bin/echo", "x", &[other]).unwrap();
        close(user, &[other]);
        let at = map(user, 1 << 16);
        let (mut sent, mut back) = (0_u64, 0_u64);
        while back < 60_000 {
            if sent < 60_000 {
                let bytes: Vec<u8> = (sent..sent + 3_000).map(|at| (at % 251) as u8).collect();
                user.store(at, &bytes);
                assert_eq!(user.call(NR_WRITE, &[one, at, 3_000]), Ok(3_000));
                sent += 3_000;
            }
            if sent - back > 20_000 || sent == 60_000 {
                let count = user.call(NR_READ, &[one, at, 8_000]).unwrap();
                let bytes = user.load(at, count as usize);
                assert!((back..back + count).map(|at| (at % 251) as u8).eq(bytes));
                back += count;
            }
        }
        user.call(NR_SHUTDOWN, &[one, u64::from(SHUTDOWN_WRITE)]).unwrap();
        assert_eq!(user.call(NR_READ, &[one, at, 10]), Ok(0));
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn echo(user: &mut User) {
        let at = map(user, 1 << 16);
        loop {
            match user.call(NR_READ, &[0, at, 5_000]).unwrap() {
                0 => return,
                count => assert_eq!(user.call(NR_WRITE, &[0, at, count]), Ok(count)),
            }
        }
    }
    all_well(&[("init", init), ("echo", echo)], 4);
}

#[test]
fn a_handle_closed_under_a_taker_ends_its_wait() {
    fn init(user: &mut User) {
        let argument = user.argument();
        if argument != user.stack() {
            let event = user.load_u64(argument);
            let answer = user.call(NR_COUNTER_TAKE, &[event, EVER]);
            user.store(argument + 8, &u32::from(answer == Err(Errno::BADF)).wrapping_add(1).to_le_bytes());
            return;
        }
        let at = map(user, 4096);
        let event = event(user, 0);
        user.store(at, &event.to_le_bytes());
        thread(user, at);
        user.call(NR_SLEEP, &[2_000_000]).unwrap();
        close(user, &[event]);
        while user.load_u32(at + 8) == 0 {
            user.call(NR_SLEEP, &[1_000_000]).unwrap();
        }
        assert_eq!(user.load_u32(at + 8), 2);
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}
