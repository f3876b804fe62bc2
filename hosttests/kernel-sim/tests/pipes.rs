//! Pipes between threads and processes: order, exactly once, atomic records, both ends, waiting, faults, nothing left.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, figures, map, power_off, simulate, spawn_limited, spawn_with, thread, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, Program, User};

/// A new pipe: reader, writer.
fn pipe(user: &mut User, flags: u32) -> (u64, u64) {
    let at = user.stack() - 2048;
    assert_eq!(user.call(NR_PIPE, &[at, 16, u64::from(flags)]), Ok(0));
    (user.load_u64(at), user.load_u64(at + 8))
}

/// Closes what is given.
fn close(user: &mut User, handles: &[u64]) {
    for &handle in handles {
        user.call(NR_CLOSE, &[handle]).unwrap();
    }
}

/// What must be as before: free frames, open objects, processes, threads.
fn left(user: &mut User) -> (u64, u32, u32, u32) {
    for _ in 0..50 {
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
    }
    let info = figures(user);
    (info.memory_free + info.memory_cached, info.objects, info.processes, info.threads)
}

fn byte(at: u64) -> u8 {
    (at * 31 % 251) as u8
}

/// Writes so many bytes in portions of changing size, all but the first of a portion's pages untouched before.
fn produce(user: &mut User, writer: u64, total: u64) {
    let buffer = map(user, 1 << 18);
    let mut sent = 0;
    while sent < total {
        let portion = [1, 511, 4096, 4097, 9_000, 70_000, 150_000][(sent % 7) as usize].min(total - sent);
        let bytes: Vec<u8> = (sent..sent + portion).map(byte).collect();
        user.store(buffer, &bytes);
        assert_eq!(user.call(NR_WRITE, &[writer, buffer, portion]), Ok(portion));
        sent += portion;
    }
}

/// Reads to the end into pages that fault; returns how many bytes came.
fn consume(user: &mut User, reader: u64) -> u64 {
    let mut received = 0;
    loop {
        let portion = [1, 100, 512, 513, 8_192, 100_000][(received % 6) as usize];
        let buffer = map(user, 1 << 17);
        let count = user.call(NR_READ, &[reader, buffer + 4_000, portion]).unwrap();
        let bytes = user.load(buffer + 4_000, count as usize);
        user.call(NR_MUNMAP, &[buffer, 1 << 17]).unwrap();
        assert!((received..received + count).map(byte).eq(bytes), "at {received}");
        if count == 0 {
            return received;
        }
        received += count;
    }
}

const MUCH: u64 = 300_000;

fn producer(user: &mut User) {
    produce(user, 0, MUCH);
}

fn consumer(user: &mut User) {
    assert_eq!(consume(user, 0), MUCH);
}

/// A producer and a consumer, and this process holds neither end.
fn exchange(user: &mut User) {
    let (reader, writer) = pipe(user, 0);
    let pids = [
        spawn_with(user, "/bin/producer", "x", &[writer]).unwrap(),
        spawn_with(user, "/bin/consumer", "x", &[reader]).unwrap(),
    ];
    close(user, &[reader, writer]);
    for pid in pids {
        assert_eq!(wait(user, pid), (0, 0));
    }
}

#[test]
fn every_byte_arrives_once_and_in_order() {
    fn init(user: &mut User) {
        exchange(user);
        power_off(user);
    }
    all_well(&[("init", init), ("producer", producer), ("consumer", consumer)], 6);
}

#[test]
fn nothing_is_left_of_a_pipe() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            exchange(user);
            // Full ones, whichever end goes first, and one that dies with its process.
            let buffer = map(user, 1 << 16);
            for first in [0, 1] {
                let (reader, writer) = pipe(user, 0);
                assert_eq!(user.call(NR_WRITE, &[writer, buffer, 1 << 16]), Ok(1 << 16));
                let ends = [reader, writer];
                close(user, &[ends[first], ends[1 - first]]);
            }
            user.call(NR_MUNMAP, &[buffer, 1 << 16]).unwrap();
            let pid = spawn_with(user, "/bin/leaver", "x", &[]).unwrap();
            assert_eq!(wait(user, pid), (0, 5));
        };
        round(user);
        let before = left(user);
        for _ in 0..3 {
            round(user);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn leaver(user: &mut User) {
        let buffer = map(user, 1 << 16);
        let (_, writer) = pipe(user, 0);
        user.call(NR_WRITE, &[writer, buffer, 40_000]).unwrap();
        user.call(NR_EXIT, &[5]).unwrap();
    }
    let programs: &[(&'static str, Program)] =
        &[("init", init), ("producer", producer), ("consumer", consumer), ("leaver", leaver)];
    all_well(programs, 2);
}

#[test]
fn records_of_two_writers_never_mix() {
    const RECORDS: u64 = 60;
    fn init(user: &mut User) {
        let (reader, writer) = pipe(user, 0);
        let pids = ["1", "2"].map(|who| spawn_with(user, "/bin/recorder", who, &[writer]).unwrap());
        close(user, &[writer]);
        let buffer = map(user, 1 << 17);
        let mut bytes = Vec::new();
        loop {
            let count = user.call(NR_READ, &[reader, buffer, 3_000 + bytes.len() as u64 % 7_000]).unwrap();
            if count == 0 {
                break;
            }
            bytes.extend(user.load(buffer, count as usize));
        }
        let (mut numbers, mut rest) = ([0; 3], bytes.as_slice());
        while let [who, number, low, high, ..] = *rest {
            assert_eq!(number, numbers[usize::from(who)], "out of order");
            numbers[usize::from(who)] += 1;
            let (record, others) = rest.split_at(usize::from(u16::from_le_bytes([low, high])));
            assert!(record[4..].iter().all(|&byte| byte == who), "mixed");
            rest = others;
        }
        assert_eq!(numbers.map(u64::from), [0, RECORDS, RECORDS]);
        for pid in pids {
            assert_eq!(wait(user, pid), (0, 0));
        }
        power_off(user);
    }
    fn recorder(user: &mut User) {
        let who: u8 = user.args()[1].parse().unwrap();
        let buffer = map(user, 1 << 14);
        for number in 0..RECORDS {
            let length = [4_096, 5, 600, 4_095, 1_000][((number + u64::from(who)) % 5) as usize];
            let mut record = vec![who; length];
            record[1] = number as u8;
            record[2..4].copy_from_slice(&(length as u16).to_le_bytes());
            // Over the border of a page, which may not be there yet.
            let at = buffer + 4_096 * (number % 2) + 50;
            user.store(at, &record);
            assert_eq!(user.call(NR_WRITE, &[0, at, length as u64]), Ok(length as u64));
        }
    }
    all_well(&[("init", init), ("recorder", recorder)], 6);
}

#[test]
fn each_end_hears_of_the_end_of_the_other() {
    fn init(user: &mut User) {
        let buffer = map(user, 1 << 17);
        // What was written comes before the end.
        let (reader, writer) = pipe(user, 0);
        user.store(buffer, b"last words");
        assert_eq!(user.call(NR_WRITE, &[writer, buffer, 10]), Ok(10));
        close(user, &[writer]);
        assert_eq!(user.call(NR_READ, &[reader, buffer + 100, 100]), Ok(10));
        assert_eq!(user.load(buffer + 100, 10), b"last words");
        assert_eq!(user.call(NR_READ, &[reader, buffer, 100]), Ok(0));
        close(user, &[reader]);
        let (reader, writer) = pipe(user, 0);
        close(user, &[reader]);
        assert_eq!(user.call(NR_WRITE, &[writer, buffer, 1]), Err(Errno::PIPE));
        close(user, &[writer]);
        // Each waits for the other, who goes.
        for (role, code) in [("read", 0), ("write", 0)] {
            let (reader, writer) = pipe(user, 0);
            let (given, kept) = if role == "read" { (reader, writer) } else { (writer, reader) };
            let pid = spawn_with(user, "/bin/waiter", role, &[given]).unwrap();
            close(user, &[given]);
            user.call(NR_SLEEP, &[2_000_000]).unwrap();
            close(user, &[kept]);
            assert_eq!(wait(user, pid), (0, code), "{role}");
        }
        power_off(user);
    }
    fn waiter(user: &mut User) {
        let buffer = map(user, 1 << 17);
        if user.args()[1] == "read" {
            assert_eq!(user.call(NR_READ, &[0, buffer, 10]), Ok(0));
        } else {
            // As much as fitted was taken; then nobody reads.
            assert_eq!(user.call(NR_WRITE, &[0, buffer, 100_000]), Ok(1 << 16));
            assert_eq!(user.call(NR_WRITE, &[0, buffer, 100_000]), Err(Errno::PIPE));
        }
    }
    all_well(&[("init", init), ("waiter", waiter)], 5);
}

#[test]
fn either_side_can_be_killed_while_it_or_the_other_waits() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            for victim in ["reader", "writer"] {
                // The victim waits; then the other end is usable, and hears of it.
                let (reader, writer) = pipe(user, 0);
                let (given, kept) = if victim == "reader" { (reader, writer) } else { (writer, reader) };
                let pid = spawn_with(user, "/bin/side", victim, &[given]).unwrap();
                close(user, &[given]);
                user.call(NR_SLEEP, &[1_000_000]).unwrap();
                user.call(NR_KILL, &[pid, 9]).unwrap();
                assert_eq!(wait(user, pid), (1, 9));
                let at = map(user, 1 << 17);
                if victim == "reader" {
                    // Its handles go in the kernel's own time.
                    while user.call(NR_WRITE, &[kept, at, 1]) != Err(Errno::PIPE) {}
                } else {
                    let mut received = 0;
                    loop {
                        match user.call(NR_READ, &[kept, at, 1 << 17]).unwrap() {
                            0 => break,
                            count => received += count,
                        }
                    }
                    assert!(received >= 1 << 16, "{received}");
                }
                user.call(NR_MUNMAP, &[at, 1 << 17]).unwrap();
                close(user, &[kept]);
                // The other waits while the one that holds the victim's end, idle, is killed.
                let (reader, writer) = pipe(user, 0);
                let (first, second) = if victim == "reader" { (writer, reader) } else { (reader, writer) };
                let waits = if victim == "reader" { "writer-ends" } else { "reader-ends" };
                let waiter = spawn_with(user, "/bin/side", waits, &[first]).unwrap();
                let holder = spawn_with(user, "/bin/side", "holder", &[second]).unwrap();
                close(user, &[reader, writer]);
                user.call(NR_SLEEP, &[1_000_000]).unwrap();
                user.call(NR_KILL, &[holder, 9]).unwrap();
                assert_eq!(wait(user, holder), (1, 9));
                assert_eq!(wait(user, waiter), (0, 0), "{waits}");
            }
        };
        round(user);
        let before = left(user);
        round(user);
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn side(user: &mut User) {
        let at = map(user, 1 << 18);
        match user.args()[1].as_str() {
            "reader" => drop(user.call(NR_READ, &[0, at, 10])),
            "writer" => drop(user.call(NR_WRITE, &[0, at, 200_000])),
            "reader-ends" => assert_eq!(user.call(NR_READ, &[0, at, 10]), Ok(0)),
            "writer-ends" => {
                let taken = user.call(NR_WRITE, &[0, at, 200_000]);
                assert!(taken == Ok(1 << 16) || taken == Err(Errno::PIPE), "{taken:?}");
            }
            _ => drop(user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1])),
        }
    }
    all_well(&[("init", init), ("side", side)], 3);
}

/// Several wait in reads and polls of one empty pipe. Whichever of them is killed, each byte finds one of those that are left, and
/// nothing is kept of the one that is gone.
#[test]
fn bytes_find_those_that_are_left_at_an_empty_pipe() {
    const WAITERS: [&str; 5] = ["read", "poll", "read", "poll", "read"];
    fn init(user: &mut User) {
        let at = map(user, 4096);
        let round = |user: &mut User, victim: usize| {
            let (reader, writer) = pipe(user, 0);
            let before = left(user);
            let mut waiters: Vec<u64> = Vec::new();
            for way in WAITERS {
                waiters.push(spawn_with(user, "/bin/waiter", way, &[reader]).unwrap());
                // They come to wait in this order.
                user.call(NR_SLEEP, &[1_000_000]).unwrap();
            }
            let gone = waiters.remove(victim);
            user.call(NR_KILL, &[gone, 9]).unwrap();
            assert_eq!(wait(user, gone), (1, 9));
            for _ in &waiters {
                assert_eq!(user.call(NR_WRITE, &[writer, at, 1]), Ok(1));
                user.call(NR_SLEEP, &[1_000_000]).unwrap();
            }
            for pid in waiters {
                assert_eq!(wait(user, pid), (0, 0));
            }
            let after = left(user);
            close(user, &[reader, writer]);
            (before, after)
        };
        // What is made once for all is there then.
        round(user, 0);
        for victim in 0..WAITERS.len() {
            let (before, after) = round(user, victim);
            assert_eq!(after, before, "{victim}");
        }
        power_off(user);
    }
    fn waiter(user: &mut User) {
        let at = map(user, 4096);
        if user.args()[1] == "poll" {
            assert_eq!(poll(user, at, 0, POLL_IN, TIMEOUT_NEVER), POLL_IN);
        }
        assert_eq!(user.call(NR_READ, &[0, at, 10]), Ok(1));
    }
    all_well(&[("init", init), ("waiter", waiter)], 2);
}

#[test]
fn what_may_not_wait_answers_at_once() {
    fn init(user: &mut User) {
        let at = map(user, 1 << 18);
        // All pages are there: a read that finds one missing on the way returns what it has so far.
        user.store(at, &vec![0; 1 << 18]);
        let (reader, writer) = pipe(user, PIPE_NONBLOCK);
        assert_eq!(user.call(NR_READ, &[reader, at, 10]), Err(Errno::AGAIN));
        // More than fits is cut; a record is not.
        assert_eq!(user.call(NR_WRITE, &[writer, at, 60_000]), Ok(60_000));
        assert_eq!(user.call(NR_WRITE, &[writer, at, 4_096]), Ok(4_096));
        assert_eq!(user.call(NR_WRITE, &[writer, at, 4_096]), Err(Errno::AGAIN));
        assert_eq!(user.call(NR_WRITE, &[writer, at, 5_000]), Ok(1_440));
        assert_eq!(user.call(NR_WRITE, &[writer, at, 5_000]), Err(Errno::AGAIN));
        assert_eq!(user.call(NR_READ, &[reader, at, 1 << 18]), Ok(1 << 16));
        assert_eq!(user.call(NR_READ, &[reader, at, 1]), Err(Errno::AGAIN));
        assert_eq!(user.call(NR_READ, &[reader, at, 0]), Ok(0));
        // Bad addresses cost neither bytes nor a pipe.
        assert_eq!(user.call(NR_WRITE, &[writer, at, 5]), Ok(5));
        assert_eq!(user.call(NR_READ, &[reader, 8, 10]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_WRITE, &[writer, 8, 10]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_READ, &[reader, at, 10]), Ok(5));
        let before = figures(user).objects;
        assert_eq!(user.call(NR_PIPE, &[8, 16, 0]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_PIPE, &[at, 8, 0]), Err(Errno::INVAL));
        assert_eq!(user.call(NR_PIPE, &[at, 16, 1]), Err(Errno::INVAL));
        assert_eq!(figures(user).objects, before);
        // Rights: each end its own direction, and no position.
        assert_eq!(user.call(NR_WRITE, &[reader, at, 1]), Err(Errno::ACCES));
        assert_eq!(user.call(NR_READ, &[writer, at, 1]), Err(Errno::ACCES));
        assert_eq!(user.call(NR_PREAD, &[reader, at, 1, 0]), Err(Errno::SPIPE));
        assert_eq!(user.call(NR_SEEK, &[reader, 0, 0]), Err(Errno::SPIPE));
        let rights = Rights::GETATTR | Rights::DUPLICATE | Rights::TRANSFER;
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[reader]), Ok(u64::from((rights | Rights::READ).bits())));
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[writer]), Ok(u64::from((rights | Rights::WRITE).bits())));
        user.call(NR_FSTAT, &[reader, at, 80]).unwrap();
        assert_eq!(Node::of_mode(user.load_u32(at)), Node::FIFO);
        // In a process that may have few handles.
        let pid = spawn_limited(user, "/bin/poor", "x", &[], 16).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        close(user, &[reader, writer]);
        assert_eq!(figures(user).objects, before - 2);
        power_off(user);
    }
    /// No handle left: no pipe, and nothing kept of it, also when there is one for the first end only.
    fn poor(user: &mut User) {
        let at = map(user, 4096);
        let (reader, _) = pipe(user, 0);
        let before = figures(user).objects;
        for spare in [0, 1] {
            let mut taken = Vec::new();
            while let Ok(copy) = user.call(NR_HANDLE_DUPLICATE, &[reader, u64::from(u32::MAX)]) {
                taken.push(copy);
            }
            assert_eq!(taken.len(), 14);
            close(user, &taken[..spare]);
            assert_eq!(user.call(NR_PIPE, &[at, 16, 0]), Err(Errno::MFILE));
            close(user, &taken[spare..]);
            assert_eq!(figures(user).objects, before);
        }
    }
    all_well(&[("init", init), ("poor", poor)], 1);
}

/// An item for `poll` at `at`, and what it found ready.
fn poll(user: &mut User, at: u64, handle: u64, events: u16, timeout: u64) -> u16 {
    user.store(at, &handle.to_le_bytes());
    user.store(at + 8, &u64::from(events).to_le_bytes());
    let count = user.call(NR_POLL, &[at, 1, timeout]).unwrap();
    let ready = (user.load_u32(at + 8) >> 16) as u16;
    assert_eq!(count, u64::from(ready != 0));
    ready
}

#[test]
fn poll_and_readiness_sets_wake_for_pipes() {
    fn init(user: &mut User) {
        let at = map(user, 1 << 18);
        let data = at + 4096;
        let (reader, writer) = pipe(user, 0);
        assert_eq!(poll(user, at, reader, POLL_IN, 1_000), 0);
        assert_eq!(poll(user, at, writer, POLL_OUT, TIMEOUT_NEVER), POLL_OUT);
        // A byte wakes who polls for it.
        let pid = spawn_with(user, "/bin/actor", "byte", &[reader, writer]).unwrap();
        assert_eq!(poll(user, at, reader, POLL_IN, TIMEOUT_NEVER), POLL_IN);
        assert_eq!(user.call(NR_READ, &[reader, data, 10]), Ok(1));
        assert_eq!(wait(user, pid), (0, 0));
        // Room wakes who polls for it.
        assert_eq!(user.call(NR_WRITE, &[writer, data, 1 << 16]), Ok(1 << 16));
        assert_eq!(poll(user, at, writer, POLL_OUT, 1_000), 0);
        let pid = spawn_with(user, "/bin/actor", "drain", &[reader, writer]).unwrap();
        assert_eq!(poll(user, at, writer, POLL_OUT, TIMEOUT_NEVER), POLL_OUT);
        assert_eq!(wait(user, pid), (0, 0));
        assert_eq!(user.call(NR_READ, &[reader, data, 1 << 17]), Ok((1 << 16) - 4_500));
        // Both in a readiness set, level for the reader, edge for the writer.
        let set = user.call(NR_READY_CREATE, &[]).unwrap();
        for (handle, events) in [(reader, u32::from(POLL_IN)), (writer, u32::from(POLL_OUT) | READY_EDGE)] {
            user.store(at, &handle.to_le_bytes());
            user.store(at + 8, &u64::from(events).to_le_bytes());
            user.call(NR_READY_CONTROL, &[set, u64::from(READY_ADD), handle, at]).unwrap();
        }
        let ready = |user: &mut User, timeout: u64| {
            let count = user.call(NR_READY_WAIT, &[set, at, 8, timeout]).unwrap();
            (0..count)
                .map(|index| (user.load_u64(at + 16 * index), user.load_u32(at + 16 * index + 8) as u16))
                .collect::<Vec<_>>()
        };
        assert_eq!(ready(user, 1_000), [(writer, POLL_OUT)]);
        assert_eq!(ready(user, 1_000), []);
        let pid = spawn_with(user, "/bin/actor", "byte", &[reader, writer]).unwrap();
        assert_eq!(ready(user, TIMEOUT_NEVER), [(reader, POLL_IN)]);
        assert_eq!(wait(user, pid), (0, 0));
        assert_eq!(ready(user, 1_000), [(reader, POLL_IN)]);
        assert_eq!(user.call(NR_READ, &[reader, data, 10]), Ok(1));
        let _ = ready(user, 1_000);
        assert_eq!(ready(user, 1_000), []);
        // The end of one side, for either way to ask.
        let (other_reader, other_writer) = pipe(user, 0);
        let pid = spawn_with(user, "/bin/actor", "leave", &[other_reader]).unwrap();
        close(user, &[other_reader]);
        let found = poll(user, at, other_writer, 0, TIMEOUT_NEVER);
        assert_eq!(found, POLL_ERR);
        assert_eq!(wait(user, pid), (0, 0));
        let pid = spawn_with(user, "/bin/actor", "leave", &[writer]).unwrap();
        close(user, &[writer]);
        assert_eq!(ready(user, TIMEOUT_NEVER), [(reader, POLL_IN | POLL_HUP)]);
        assert_eq!(wait(user, pid), (0, 0));
        close(user, &[reader, other_writer]);
        assert_eq!(ready(user, 1_000), []);
        close(user, &[set]);
        power_off(user);
    }
    fn actor(user: &mut User) {
        let at = map(user, 1 << 17);
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
        match user.args()[1].as_str() {
            "byte" => assert_eq!(user.call(NR_WRITE, &[1, at, 1]), Ok(1)),
            "drain" => {
                // Less than what `POLL_OUT` promises, then more.
                assert_eq!(user.call(NR_READ, &[0, at, 500]), Ok(500));
                user.call(NR_SLEEP, &[1_000_000]).unwrap();
                assert_eq!(user.call(NR_READ, &[0, at, 4_000]), Ok(4_000));
            }
            _ => {}
        }
    }
    all_well(&[("init", init), ("actor", actor)], 4);
}

/// A thread waits at a handle that another closes: it must not wait for ever.
#[test]
fn a_handle_closed_under_a_waiter_wakes_it() {
    fn init(user: &mut User) {
        let argument = user.argument();
        if argument != user.stack() {
            // The thread: what x0 points at holds the reader; the answer goes next to it.
            let reader = user.load_u64(argument);
            let answer = user.call(NR_READ, &[reader, argument + 100, 10]).unwrap_err();
            user.store(
                argument + 8,
                &[u8::from(answer == Errno::BADF), u8::from(answer != Errno::BADF), 0, 0],
            );
            return;
        }
        let at = map(user, 4096);
        let (reader, writer) = pipe(user, 0);
        user.store(at, &reader.to_le_bytes());
        thread(user, at);
        user.call(NR_SLEEP, &[2_000_000]).unwrap();
        close(user, &[reader]);
        while user.load_u32(at + 8) == 0 {
            user.call(NR_SLEEP, &[1_000_000]).unwrap();
        }
        assert_eq!(user.load_u32(at + 8), 1);
        close(user, &[writer]);
        power_off(user);
    }
    all_well(&[("init", init)], 4);
}

#[test]
fn short_memory_fails_calls_and_loses_no_byte() {
    fn init(user: &mut User) {
        let at = user.stack() - 4096;
        let (reader, writer) = pipe(user, 0);
        let Ok(producer) = spawn_with(user, "/bin/producer", "x", &[writer]) else { return power_off(user) };
        let consumer = spawn_with(user, "/bin/consumer", "x", &[reader]);
        close(user, &[reader, writer]);
        // Whoever got no page ended by that; whoever did not saw every byte, or the end of the other.
        let produced = wait(user, producer);
        if let Ok(consumer) = consumer {
            let consumed = wait(user, consumer);
            let text = format!("{produced:?} {consumed:?}\n");
            user.store(at, text.as_bytes());
            user.call(NR_WRITE, &[1, at, text.len() as u64]).unwrap();
        }
        power_off(user);
    }
    /// Writes numbers until done, or until nobody reads.
    fn producer(user: &mut User) {
        let mut sent = 0;
        while sent < 100_000 {
            let Ok(buffer) = anonymous(user) else { continue };
            let bytes: Vec<u8> = (sent..sent + 8_000).map(byte).collect();
            user.store(buffer, &bytes);
            match user.call(NR_WRITE, &[0, buffer, 8_000]) {
                Ok(count) => sent += count,
                Err(Errno::FAULT | Errno::NOMEM) => {}
                Err(Errno::PIPE) => return,
                Err(other) => panic!("{other:?}"),
            }
            let _ = user.call(NR_MUNMAP, &[buffer, 16_384]);
        }
    }
    fn consumer(user: &mut User) {
        let mut received = 0;
        loop {
            let Ok(buffer) = anonymous(user) else { continue };
            match user.call(NR_READ, &[0, buffer, 10_000]) {
                Ok(0) => return,
                Ok(count) => {
                    let bytes = user.load(buffer, count as usize);
                    assert!((received..received + count).map(byte).eq(bytes), "at {received}");
                    received += count;
                }
                // No page for the bytes: they are still there.
                Err(Errno::FAULT | Errno::NOMEM) => {}
                Err(other) => panic!("{other:?}"),
            }
            let _ = user.call(NR_MUNMAP, &[buffer, 16_384]);
        }
    }
    fn anonymous(user: &mut User) -> Result<u64, Errno> {
        let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
        user.call(NR_MMAP, &[0, 16_384, 3, flags, u64::from(u32::MAX), 0])
    }
    let (mut ended, mut whole) = (0, 0);
    for seed in 1..30 {
        for cpus in [1, 4] {
            let programs: &[(&'static str, Program)] =
                &[("init", init), ("producer", producer), ("consumer", consumer)];
            let text = simulate(cpus, seed, programs, Faults { frames: 100, ..Faults::default() });
            assert!(text.contains("all is well") || text.contains("init"), "seed {seed}: {text}");
            // An assertion that failed ends its program as a bad instruction does.
            assert!(!text.contains("(1, 4)"), "seed {seed}: {text}");
            ended += usize::from(text.contains("all is well"));
            whole += usize::from(text.contains("(0, 0) (0, 0)"));
        }
    }
    assert!(ended > 0 && whole > 0, "{ended} runs got through, {whole} of them whole");
}
