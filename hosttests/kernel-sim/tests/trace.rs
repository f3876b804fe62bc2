//! Traces: each call of a traced process once, with its result; what is lost is counted; nobody else is heard.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::*;
use swos_abi::*;
use swos_kernel_sim::{ImageFile, Program, User};
use zerocopy::FromBytes as _;

const SIZE: u64 = size_of::<TraceRecord>() as u64;

fn all_well(programs: &[(&'static str, Program)], seeds: u64) {
    let files = [ImageFile { path: "etc/motd".into(), bytes: b"welcome".to_vec() }];
    all_well_with(programs, seeds, &files);
}

fn sink(source: u64) -> SpawnHandle {
    SpawnHandle {
        source: Handle(source),
        target: 0,
        rights: Rights::WRITE.bits(),
        flags: SPAWN_TRACE,
        reserved: 0,
    }
}

fn next(user: &mut User, reader: u64) -> Option<TraceRecord> {
    let at = user.stack() - 4096;
    match user.call(NR_READ, &[reader, at, SIZE]).unwrap() {
        0 => None,
        count => {
            assert_eq!(count, SIZE);
            Some(TraceRecord::read_from_bytes(&user.load(at, SIZE as usize)).unwrap())
        }
    }
}

/// Starts a traced program; its pid and where its trace is read.
fn traced(user: &mut User, path: &str, arg: &str) -> (u64, u64) {
    let (reader, writer) = pipe(user, 0);
    let pid = spawn_as(user, path, arg, &[sink(writer)], |_| {}).unwrap();
    user.call(NR_CLOSE, &[writer]).unwrap();
    (pid, reader)
}

#[test]
fn each_call_is_told_once_and_the_last_is_the_end() {
    fn init(user: &mut User) {
        let (pid, reader) = traced(user, "/bin/subject", "x");
        let mut told = Vec::new();
        while let Some(record) = next(user, reader) {
            told.push(record);
        }
        assert_eq!(wait(user, pid), (0, 9));
        let numbers: Vec<u64> = told.iter().map(|record| u64::from(record.number)).collect();
        let expected = [NR_GETPID, NR_OPEN, NR_OPEN, NR_SLEEP, NR_YIELD, 9_999, NR_FUTEX_WAIT, NR_EXIT];
        assert_eq!(numbers, expected);
        let result = |at: usize| result_from_raw(told[at].result);
        assert_eq!(result(0), Ok(pid));
        assert_eq!(result(2), Err(Errno::NOENT));
        assert_eq!((&told[2].path[..12], told[2].path_len), (&b"/etc/nothing"[..], 12));
        assert_eq!(&told[1].path[..9], b"/etc/motd");
        assert!(told[3].duration_ns >= 1_000_000 && result(3) == Ok(0));
        assert_eq!(result(4), Ok(0));
        assert_eq!(result(5), Err(Errno::NOSYS));
        assert_eq!(result(6), Err(Errno::TIMEDOUT));
        assert_eq!((told[7].flags, told[7].arguments[0]), (TRACE_UNFINISHED, 9));
        assert!(told.windows(2).all(|pair| pair[0].time_ns <= pair[1].time_ns));
        assert!(told.iter().all(|record| record.dropped == 0 && record.tid == told[0].tid));
        power_off(user);
    }
    fn subject(user: &mut User) {
        let word = user.stack() - 8192;
        user.store(word, &[0; 4]);
        user.call(NR_GETPID, &[]).unwrap();
        open(user, "/etc/motd").unwrap();
        let _ = open(user, "/etc/nothing");
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
        user.call(NR_YIELD, &[]).unwrap();
        let _ = user.call(9_999, &[]);
        let _ = user.call(NR_FUTEX_WAIT, &[word, 0, 50_000, 1]);
        user.call(NR_EXIT, &[9]).unwrap();
    }
    all_well(&[("init", init), ("subject", subject)], 3);
}

#[test]
fn an_exec_is_told_and_the_trace_goes_on_after_it() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            let (pid, reader) = traced(user, "/bin/first", "x");
            let mut told = Vec::new();
            while let Some(record) = next(user, reader) {
                told.push(record);
            }
            assert_eq!(wait(user, pid), (0, 9));
            user.call(NR_CLOSE, &[reader]).unwrap();
            // Of another thread of the first program; when it left is its own affair.
            let (slept, told): (Vec<_>, Vec<_>) =
                told.into_iter().partition(|record| u64::from(record.number) == NR_SLEEP);
            assert!(slept.iter().all(|record| record.flags == TRACE_UNFINISHED) && slept.len() == 1);
            let numbers: Vec<u64> = told.iter().map(|record| u64::from(record.number)).collect();
            assert_eq!(
                numbers,
                [NR_MMAP, NR_THREAD_CREATE, NR_FUTEX_WAIT, NR_EXEC, NR_EXEC, NR_GETPID, NR_EXIT]
            );
            let ends: Vec<_> =
                told[3..].iter().map(|record| (result_from_raw(record.result), record.flags)).collect();
            let expected = [(Err(Errno::NOENT), 0), (Ok(0), 0), (Ok(pid), 0), (Ok(0), TRACE_UNFINISHED)];
            assert_eq!(ends, expected);
            assert_eq!((&told[4].path[..11], told[4].path_len), (&b"/bin/second"[..], 11));
            assert_eq!(told[4].tid, told[0].tid);
        };
        round(user);
        let before = left(user);
        for _ in 0..3 {
            round(user);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn first(user: &mut User) {
        if user.argument() == 1 {
            user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
        }
        thread(user, 1);
        // Until the other sleeps.
        let word = user.stack() - 8192;
        user.store(word, &[0; 4]);
        assert_eq!(user.call(NR_FUTEX_WAIT, &[word, 0, 2_000_000, 1]), Err(Errno::TIMEDOUT));
        assert_eq!(exec(user, "/bin/none", "x", |_| {}), Errno::NOENT);
        exec(user, "/bin/second", "x", |_| {});
    }
    fn second(user: &mut User) {
        user.call(NR_GETPID, &[]).unwrap();
        user.call(NR_EXIT, &[9]).unwrap();
    }
    all_well(&[("init", init), ("first", first), ("second", second)], 4);
}

#[test]
fn a_full_pipe_loses_records_and_counts_them() {
    fn init(user: &mut User) {
        let (pid, reader) = traced(user, "/bin/talker", "2000");
        assert_eq!(wait(user, pid), (0, 0));
        let (mut told, mut lost) = (0, 0);
        while let Some(record) = next(user, reader) {
            told += 1;
            lost += record.dropped;
        }
        // Nobody read: what fits was told, the rest had no later record to say so.
        assert!((400..600).contains(&told) && lost == 0, "{told} told, {lost} lost");
        // With a reader that comes late, all are accounted for.
        let (pid, reader) = traced(user, "/bin/talker", "3000");
        user.call(NR_SLEEP, &[2_000_000]).unwrap();
        let (mut told, mut lost) = (0, 0);
        while let Some(record) = next(user, reader) {
            told += 1;
            lost += record.dropped;
        }
        wait(user, pid);
        assert!(told + lost <= 3_000 + 10 && told > 500, "{told} told, {lost} lost");
        // A reader that goes does not stop the program.
        let (pid, reader) = traced(user, "/bin/talker", "200");
        user.call(NR_CLOSE, &[reader]).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn talker(user: &mut User) {
        let count: u64 = user.args()[1].parse().unwrap();
        for _ in 0..count {
            user.call(NR_GETTID, &[]).unwrap();
        }
        user.call(NR_EXIT, &[0]).unwrap();
    }
    all_well(&[("init", init), ("talker", talker)], 1);
}

#[test]
fn traces_of_killed_and_many_threads_leave_nothing() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            for deed in ["sleep", "threads"] {
                let (pid, reader) = traced(user, "/bin/victim", deed);
                user.call(NR_SLEEP, &[500_000]).unwrap();
                user.call(NR_KILL, &[pid, 9]).unwrap();
                let mut unfinished = 0;
                while let Some(record) = next(user, reader) {
                    unfinished += record.flags & TRACE_UNFINISHED;
                }
                assert!(unfinished >= 1, "{deed}");
                assert_eq!(wait(user, pid), (1, 9));
                user.call(NR_CLOSE, &[reader]).unwrap();
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
    fn victim(user: &mut User) {
        if user.argument() > 10 && user.args()[1] == "threads" {
            thread(user, 1);
            thread(user, 2);
        }
        user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
    }
    all_well(&[("init", init), ("victim", victim)], 2);
}

#[test]
fn only_a_pipes_writer_of_ones_own_is_a_sink() {
    fn init(user: &mut User) {
        let (reader, writer) = pipe(user, 0);
        let file = open(user, "/etc/motd").unwrap();
        let lent = user.call(NR_HANDLE_LEND, &[writer, u64::from(u32::MAX)]).unwrap();
        let blind = user.call(NR_HANDLE_DUPLICATE, &[writer, u64::from(Rights::TRANSFER.bits())]).unwrap();
        for (handles, errno) in [
            (vec![sink(reader)], Errno::ACCES),
            (vec![sink(file)], Errno::ACCES),
            (vec![sink(lent)], Errno::PERM),
            (vec![sink(blind)], Errno::ACCES),
            (vec![sink(99 << 24)], Errno::BADF),
            (vec![sink(writer), sink(writer)], Errno::INVAL),
            (vec![SpawnHandle { target: 1, ..sink(writer) }], Errno::INVAL),
            (vec![SpawnHandle { flags: SPAWN_TRACE | SPAWN_LEND, ..sink(writer) }], Errno::INVAL),
        ] {
            assert_eq!(spawn_as(user, "/bin/idle", "x", &handles, |_| {}), Err(errno), "{handles:?}");
        }
        power_off(user);
    }
    fn idle(_user: &mut User) {}
    all_well(&[("init", init), ("idle", idle)], 1);
}
