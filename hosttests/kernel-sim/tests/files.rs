//! Writable files under the kernel: what is read is what was written, whoever is ended meanwhile, and nothing is left.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use std::collections::BTreeMap;

use common::{figures, map, on, pipe, power_off, spawn_with, thread, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, Plan, Program, User};

const CWD: u64 = Handle::CWD.0;
const BOTH: u32 = OpenFlags::READ.bits() | OpenFlags::WRITE.bits();
const CREATE: u32 = OpenFlags::CREATE.bits();
const APPEND: u32 = OpenFlags::APPEND.bits();

fn simulate(
    cpus: usize,
    seed: u64,
    frames: usize,
    programs: &[(&'static str, Program)],
    faults: Faults,
) -> String {
    common::simulate_with(&Plan { cpus, frames, seed, programs, files: &[] }, faults)
}

fn all_well(programs: &[(&'static str, Program)], seeds: u64) {
    for cpus in [1, 2, 4] {
        for seed in 1..=seeds {
            let text = simulate(cpus, seed, 4096, programs, Faults::default());
            assert!(text.contains("all is well"), "{cpus} CPUs, seed {seed}: {text}");
        }
    }
}

fn open(user: &mut User, path: &str, flags: u32) -> Result<u64, Errno> {
    on(user, NR_OPEN, path, &[u64::from(flags), 0o600])
}

fn rename(user: &mut User, from: &str, to: &str) -> Result<u64, Errno> {
    let at = user.stack() - 2048;
    user.store(at, to.as_bytes());
    on(user, NR_RENAME, from, &[CWD, at, to.len() as u64])
}

fn write(user: &mut User, handle: u64, at: u64, bytes: &[u8]) -> Result<u64, Errno> {
    user.store(at, bytes);
    user.call(NR_WRITE, &[handle, at, bytes.len() as u64])
}

fn close(user: &mut User, handle: u64) {
    assert_eq!(user.call(NR_CLOSE, &[handle]), Ok(0));
}

/// The names in a directory.
fn names(user: &mut User, path: &str) -> Vec<String> {
    let directory = open(user, path, OpenFlags::READ.bits()).unwrap();
    let at = user.stack() - 2048;
    let mut names = Vec::new();
    loop {
        let count = user.call(NR_READDIR, &[directory, at, 512]).unwrap();
        if count == 0 {
            break;
        }
        let bytes = user.load(at, count as usize);
        let mut rest = bytes.as_slice();
        while let [.., _] = rest {
            let record = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            let length = usize::from(u16::from_le_bytes([rest[18], rest[19]]));
            names.push(String::from_utf8(rest[DIRENT_HEADER..DIRENT_HEADER + length].to_vec()).unwrap());
            rest = &rest[record..];
        }
    }
    close(user, directory);
    names
}

/// Removes all that is in `/tmp`; nothing there is a directory.
fn clear(user: &mut User) {
    for name in names(user, "/tmp") {
        on(user, NR_UNLINK, &format!("/tmp/{name}"), &[0]).unwrap();
    }
}

/// What must be as before: free frames, open objects, processes; and pages and nodes of `/tmp`.
fn left(user: &mut User) -> (u64, u32, u32, [u64; 2]) {
    for _ in 0..20 {
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
    }
    let at = user.stack() - 2048;
    on(user, NR_FILE_SYSTEM_INFO, "/tmp", &[at, 48]).unwrap();
    let held = [user.load_u64(at + 24), user.load_u64(at + 40)];
    let info = figures(user);
    (info.memory_free + info.memory_cached, info.objects, info.processes, held)
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 8
}

/// Random operations beside a map from names to bytes.
#[test]
fn files_are_what_was_written() {
    fn init(user: &mut User) {
        map(user, 1 << 16);
        let mut before = None;
        for round in 1..4 {
            churn(user, round * 77);
            clear(user);
            let now = left(user);
            // The first round fills the page cache, and the kernel's lists grow.
            if round > 1 {
                assert_eq!(*before.get_or_insert(now), now);
            }
            assert_eq!(now.3, [0, 0]);
        }
        power_off(user);
    }
    fn churn(user: &mut User, seed: u64) {
        let buffer = map(user, 1 << 16);
        let (mut state, mut model) = (seed, BTreeMap::<u64, Vec<u8>>::new());
        for _ in 0..120 {
            let (what, name) = (random(&mut state) % 10, random(&mut state) % 5);
            let path = format!("/tmp/{name}");
            let offset = random(&mut state) % 20_000;
            match what {
                0..4 => {
                    let handle = open(user, &path, BOTH | CREATE).unwrap();
                    let length = [1, 512, 513, 4096, 5000, 9000][(random(&mut state) % 6) as usize];
                    let bytes = vec![state as u8 | 1; length];
                    user.store(buffer + 4090, &bytes);
                    assert_eq!(
                        user.call(NR_PWRITE, &[handle, buffer + 4090, length as u64, offset]),
                        Ok(length as u64)
                    );
                    let file = model.entry(name).or_default();
                    let end = offset as usize + length;
                    file.resize(file.len().max(end), 0);
                    file[offset as usize..end].copy_from_slice(&bytes);
                    close(user, handle);
                }
                4 => {
                    let known = model.get_mut(&name);
                    match (open(user, &path, BOTH), known) {
                        (Ok(handle), Some(file)) => {
                            assert_eq!(user.call(NR_SET_SIZE, &[handle, offset]), Ok(0));
                            file.resize(offset as usize, 0);
                            close(user, handle);
                        }
                        (Err(Errno::NOENT), None) => {}
                        other => panic!("{other:?}"),
                    }
                }
                5 => {
                    let gone = on(user, NR_UNLINK, &path, &[0]).map(drop);
                    assert_eq!(gone, model.remove(&name).map(drop).ok_or(Errno::NOENT));
                }
                6 => {
                    let to = random(&mut state) % 5;
                    let renamed = rename(user, &path, &format!("/tmp/{to}")).map(drop);
                    let moved = model.get(&name).cloned().ok_or(Errno::NOENT);
                    assert_eq!(renamed, moved.as_ref().map(|_| ()).map_err(|errno| *errno));
                    if let Ok(moved) = moved {
                        model.remove(&name);
                        model.insert(to, moved);
                    }
                }
                _ => {
                    let Ok(handle) = open(user, &path, OpenFlags::READ.bits()) else {
                        assert!(!model.contains_key(&name));
                        continue;
                    };
                    let count = user.call(NR_READ, &[handle, buffer, 1 << 16]).unwrap();
                    assert!(user.load(buffer, count as usize) == model[&name], "{path}");
                    close(user, handle);
                }
            }
        }
        user.call(NR_MUNMAP, &[buffer, 1 << 16]).unwrap();
    }
    all_well(&[("init", init)], 1);
}

/// Records of several processes and threads, each as long as goes in at once.
#[test]
fn records_that_are_appended_stay_whole() {
    const RECORDS: u64 = 12;
    fn init(user: &mut User) {
        let pids: Vec<u64> =
            ["1", "2", "3"].map(|who| spawn_with(user, "/bin/writer", who, &[]).unwrap()).to_vec();
        for pid in pids {
            assert_eq!(wait(user, pid), (0, 0));
        }
        let handle = open(user, "/tmp/log", OpenFlags::READ.bits()).unwrap();
        let buffer = map(user, 1 << 18);
        let count = user.call(NR_READ, &[handle, buffer, 1 << 18]).unwrap();
        let bytes = user.load(buffer, count as usize);
        let (mut seen, mut rest) = ([0; 4], bytes.as_slice());
        while let [who, low, high, ..] = *rest {
            let (record, others) = rest.split_at(usize::from(u16::from_le_bytes([low, high])));
            assert!(record[3..].iter().all(|&byte| byte == who), "mixed");
            seen[usize::from(who)] += 1;
            rest = others;
        }
        assert_eq!(seen, [0, RECORDS, RECORDS, RECORDS]);
        power_off(user);
    }
    fn writer(user: &mut User) {
        let who: u8 = user.args()[1].parse().unwrap();
        let handle = open(user, "/tmp/log", OpenFlags::WRITE.bits() | CREATE | APPEND).unwrap();
        let buffer = map(user, 1 << 14);
        for round in 0..RECORDS {
            let length = [10, 511, 513, 4096, 1000][((round + u64::from(who)) % 5) as usize];
            let mut record = vec![who; length];
            record[1..3].copy_from_slice(&(length as u16).to_le_bytes());
            assert_eq!(write(user, handle, buffer + 3000, &record), Ok(length as u64));
        }
    }
    all_well(&[("init", init), ("writer", writer)], 2);
}

/// Whoever is ended in the middle of a call leaves whole pages or none, and no frame, node or handle.
#[test]
fn those_who_are_ended_leave_nothing() {
    fn init(user: &mut User) {
        let round = |user: &mut User, number: u64| {
            let pids: Vec<u64> = (0..3)
                .map(|who| spawn_with(user, "/bin/busy", &(number * 3 + who).to_string(), &[]).unwrap())
                .collect();
            user.call(NR_SLEEP, &[100_000 + number * 37_000]).unwrap();
            for pid in pids {
                user.call(NR_KILL, &[pid, 9]).unwrap();
                wait(user, pid);
            }
            clear(user);
        };
        round(user, 1);
        let before = left(user);
        for number in 2..7 {
            round(user, number);
            assert_eq!(left(user), before, "round {number}");
        }
        assert_eq!(before.3, [0, 0]);
        power_off(user);
    }
    fn busy(user: &mut User) {
        let mut state: u64 = user.args()[1].parse::<u64>().unwrap() + 99;
        let buffer = map(user, 1 << 20);
        loop {
            let path = format!("/tmp/{}", random(&mut state) % 4);
            let handle = open(user, &path, BOTH | CREATE).unwrap();
            // Another one may have removed it already; it lives on in this handle.
            let _ = user.call(NR_WRITE, &[handle, buffer, random(&mut state) % 200_000]);
            match random(&mut state) % 4 {
                0 => drop(on(user, NR_UNLINK, &path, &[0])),
                1 => drop(rename(user, &path, "/tmp/other")),
                2 => drop(user.call(NR_SET_SIZE, &[handle, random(&mut state) % 100_000])),
                _ => drop(user.call(NR_SENDFILE, &[handle, handle, 0, 50_000])),
            }
            close(user, handle);
        }
    }
    all_well(&[("init", init), ("busy", busy)], 2);
}

#[test]
fn a_file_that_is_cut_while_it_is_copied_ends_there() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            let shared = user.argument();
            let (from, to) = (user.load_u64(shared), user.load_u64(shared + 8));
            while user.load_u64(shared + 16) == 0 {
                let copied = user.call(NR_SENDFILE, &[to, from, 0, 200_000]).unwrap();
                assert!(copied <= 200_000);
                user.call(NR_SEEK, &[to, 0, 0]).unwrap();
            }
            user.store(shared + 24, &1_u64.to_le_bytes());
            return;
        }
        let (from, to) = (open(user, "/tmp/from", BOTH | CREATE), open(user, "/tmp/to", BOTH | CREATE));
        let (from, to) = (from.unwrap(), to.unwrap());
        let shared = map(user, 4096);
        user.store(shared, &from.to_le_bytes());
        user.store(shared + 8, &to.to_le_bytes());
        thread(user, shared);
        for turn in 0..60_u64 {
            user.call(NR_SET_SIZE, &[from, 200_000]).unwrap();
            user.call(NR_SLEEP, &[20_000 + turn * 3_100]).unwrap();
            user.call(NR_SET_SIZE, &[from, turn * 100]).unwrap();
            user.call(NR_SLEEP, &[30_000]).unwrap();
        }
        user.store(shared + 16, &1_u64.to_le_bytes());
        while user.load_u64(shared + 24) == 0 {
            user.call(NR_SLEEP, &[100_000]).unwrap();
        }
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

/// Pages of `/tmp` that are in use, at once.
fn pages(user: &mut User) -> u64 {
    let at = user.stack() - 2048;
    on(user, NR_FILE_SYSTEM_INFO, "/tmp", &[at, 48]).unwrap();
    user.load_u64(at + 24)
}

/// A file of so many pages that it goes in several slices, closed.
fn large(user: &mut User, path: &str) {
    let handle = open(user, path, OpenFlags::WRITE.bits() | CREATE).unwrap();
    let buffer = map(user, 1 << 20);
    for _ in 0..3 {
        assert_eq!(user.call(NR_WRITE, &[handle, buffer, 1 << 20]), Ok(1 << 20));
    }
    user.call(NR_MUNMAP, &[buffer, 1 << 20]).unwrap();
    close(user, handle);
}

/// Each way to remove something, and the end of a process that had it open.
#[test]
fn what_is_removed_is_back_when_the_call_returns() {
    fn init(user: &mut User) {
        let pages_of_one = 3 << 8;
        for way in 0..5 {
            large(user, "/tmp/a");
            assert_eq!(pages(user), pages_of_one, "{way}");
            match way {
                0 => drop(on(user, NR_UNLINK, "/tmp/a", &[0]).unwrap()),
                1 => {
                    let empty = open(user, "/tmp/b", OpenFlags::WRITE.bits() | CREATE).unwrap();
                    close(user, empty);
                    rename(user, "/tmp/b", "/tmp/a").unwrap();
                }
                2 => {
                    let handle = open(user, "/tmp/a", OpenFlags::WRITE.bits()).unwrap();
                    assert_eq!(user.call(NR_SET_SIZE, &[handle, 0]), Ok(0));
                    assert_eq!(pages(user), 0);
                    close(user, handle);
                }
                3 => {
                    let flags = OpenFlags::WRITE.bits() | OpenFlags::TRUNCATE.bits();
                    let handle = open(user, "/tmp/a", flags).unwrap();
                    assert_eq!(pages(user), 0);
                    close(user, handle);
                }
                _ => {
                    let handle = open(user, "/tmp/a", OpenFlags::WRITE.bits()).unwrap();
                    on(user, NR_UNLINK, "/tmp/a", &[0]).unwrap();
                    assert_eq!(pages(user), pages_of_one);
                    close(user, handle);
                }
            }
            assert_eq!(pages(user), 0, "{way}");
        }
        // The last handle goes with its process, a little later than the process.
        let pid = spawn_with(user, "/bin/keeper", "x", &[]).unwrap();
        while pages(user) == 0 || names(user, "/tmp").contains(&"kept".into()) {
            user.call(NR_SLEEP, &[100_000]).unwrap();
        }
        user.call(NR_KILL, &[pid, 9]).unwrap();
        wait(user, pid);
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
        assert_eq!(pages(user), 0);
        power_off(user);
    }
    fn keeper(user: &mut User) {
        large(user, "/tmp/kept");
        open(user, "/tmp/kept", OpenFlags::READ.bits()).unwrap();
        on(user, NR_UNLINK, "/tmp/kept", &[0]).unwrap();
        user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
    }
    all_well(&[("init", init), ("keeper", keeper)], 1);
}

/// With the memory full of files, programs still start; and what is removed can be used at once.
#[test]
fn files_never_take_the_last_memory() {
    fn init(user: &mut User) {
        let fill = |user: &mut User| {
            let handle = open(user, "/tmp/all", OpenFlags::WRITE.bits() | CREATE).unwrap();
            let buffer = map(user, 1 << 16);
            let mut total = 0;
            let last = loop {
                match user.call(NR_WRITE, &[handle, buffer, 1 << 16]) {
                    Ok(count) => total += count,
                    Err(errno) => break errno,
                }
            };
            // Less than its quota: memory is short, and the last frames are not for files.
            let free = figures(user).memory_free / 4096;
            assert!(free >= 15, "{free}");
            user.call(NR_MUNMAP, &[buffer, 1 << 16]).unwrap();
            (handle, total, last)
        };
        // Most of the memory is the program's.
        let free = figures(user).memory_free / 4096;
        let mine = map(user, (free - 80) * 4096);
        for page in 0..free - 80 {
            user.store(mine + page * 4096, &[1]);
        }
        let mut first = None;
        for _ in 0..3 {
            let (handle, total, last) = fill(user);
            assert_eq!(last, Errno::NOSPC);
            assert!(total > 20 * 4096, "{total}");
            let pid = spawn_with(user, "/bin/child", "x", &[]).unwrap();
            assert_eq!(wait(user, pid), (0, 7));
            // Removed, but open: it is still there.
            on(user, NR_UNLINK, "/tmp/all", &[0]).unwrap();
            assert!(open(user, "/tmp/all", OpenFlags::READ.bits()).is_err());
            close(user, handle);
            let (handle, again, _) = fill(user);
            assert!(again + 64 * 4096 > total, "{again} after {total}");
            assert_eq!(user.call(NR_SET_SIZE, &[handle, 0]), Ok(0));
            on(user, NR_UNLINK, "/tmp/all", &[0]).unwrap();
            close(user, handle);
            let now = left(user);
            assert_eq!(*first.get_or_insert(now), now);
        }
        power_off(user);
    }
    fn child(user: &mut User) {
        map(user, 4096);
        user.call(NR_EXIT, &[7]).unwrap();
    }
    for frames in [500, 900] {
        for cpus in [1, 2] {
            for seed in 1..4 {
                let text =
                    simulate(cpus, seed, frames, &[("init", init), ("child", child)], Faults::default());
                assert!(text.contains("all is well"), "{frames} frames, {cpus} CPUs, seed {seed}: {text}");
            }
        }
    }
}

/// When a frame can't be had, the call says so or is short; what was there stays, and nothing is lost.
#[test]
fn a_frame_that_is_missing_costs_one_write() {
    fn init(user: &mut User) {
        let buffer = map(user, 1 << 14);
        user.store(buffer, &[7; 1 << 14]);
        for round in 0..30 {
            let path = format!("/tmp/{round}");
            let Ok(handle) = open(user, &path, BOTH | CREATE) else { continue };
            let written = user.call(NR_WRITE, &[handle, buffer, 1 << 14]).unwrap_or(0);
            let count = user.call(NR_PREAD, &[handle, buffer, 1 << 14, 0]);
            assert!(count == Ok(written) || count == Err(Errno::NOMEM), "{count:?} of {written}");
            let _ = user.call(NR_SET_SIZE, &[handle, 100]);
            let _ = user.call(NR_CLOSE, &[handle]);
        }
        clear(user);
        let (.., held) = left(user);
        assert_eq!(held, [0, 0]);
        power_off(user);
    }
    let mut ended = 0;
    for seed in 1..25 {
        let faults = Faults { frames: 40, ..Faults::default() };
        let text = simulate(2, seed, 2048, &[("init", init)], faults);
        assert!(!text.contains("(1, 4)"), "seed {seed}: {text}");
        ended += usize::from(text.contains("all is well"));
    }
    assert!(ended > 0, "no seed got through");
}

/// A bad pointer is a fault, and changes nothing; memory that is not there yet is no bad pointer.
#[test]
fn a_fault_in_the_middle_of_a_write_leaves_whole_steps() {
    fn init(user: &mut User) {
        let handle = open(user, "/tmp/file", BOTH | CREATE).unwrap();
        let buffer = map(user, 1 << 15);
        assert_eq!(user.call(NR_WRITE, &[handle, 0x1000, 100]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_WRITE, &[handle, u64::MAX - 5, 100]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_SEEK, &[handle, 0, u64::from(SEEK_END)]), Ok(0));
        user.call(NR_MUNMAP, &[buffer + (1 << 14), 1 << 14]).unwrap();
        // Whole steps before the hole are written, and the position is behind them.
        assert_eq!(user.call(NR_WRITE, &[handle, buffer, 1 << 15]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_SEEK, &[handle, 0, u64::from(SEEK_CUR)]), Ok(1 << 14));
        assert_eq!(user.call(NR_SEEK, &[handle, 0, u64::from(SEEK_END)]), Ok(1 << 14));
        let path = user.stack() - 4096;
        for (number, arguments) in [
            (NR_MKDIR, vec![CWD, 0x1000, 10, 0o700]),
            (NR_RENAME, vec![CWD, path, 4, CWD, 0x1000, 4]),
            (NR_SET_TIMES, vec![CWD, path, 4, 0, 0x1000, 16]),
            (NR_GETCWD, vec![0x1000, 100]),
            (NR_WRITEV, vec![handle, 0x1000, 2]),
            (NR_READV, vec![handle, 0x1000, 2]),
            (NR_FILE_SYSTEM_INFO, vec![CWD, path, 4, 0x1000, 48]),
        ] {
            user.store(path, b"/tmp");
            assert_eq!(user.call(number, &arguments), Err(Errno::FAULT), "{number}");
        }
        assert_eq!(names(user, "/tmp"), ["file"]);
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

/// Two who open a named pipe meet, whoever comes first, and every byte arrives however soon the writer is done.
#[test]
fn those_who_open_a_named_pipe_meet() {
    const ROUNDS: u64 = 6;
    fn init(user: &mut User) {
        on(user, NR_MKFIFO, "/tmp/pipe", &[0o600]).unwrap();
        meet(user);
        let before = left(user);
        meet(user);
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn meet(user: &mut User) {
        let pid = spawn_with(user, "/bin/writer", "x", &[]).unwrap();
        let buffer = map(user, 4096);
        for round in 0..ROUNDS {
            if round % 3 == 1 {
                user.call(NR_SLEEP, &[300_000]).unwrap();
            }
            let reader = open(user, "/tmp/pipe", OpenFlags::READ.bits()).unwrap();
            let mut bytes = Vec::new();
            loop {
                match user.call(NR_READ, &[reader, buffer, 4096]).unwrap() {
                    0 => break,
                    count => bytes.extend(user.load(buffer, count as usize)),
                }
            }
            assert_eq!(bytes, [round as u8; 10]);
            close(user, reader);
            // The writer must not find this round's reader again.
            user.call(NR_SLEEP, &[2_000_000]).unwrap();
        }
        assert_eq!(wait(user, pid), (0, 0));
        user.call(NR_MUNMAP, &[buffer, 4096]).unwrap();
    }
    fn writer(user: &mut User) {
        let buffer = map(user, 4096);
        for round in 0..ROUNDS {
            if round % 2 == 1 {
                user.call(NR_SLEEP, &[400_000]).unwrap();
            }
            let handle = open(user, "/tmp/pipe", OpenFlags::WRITE.bits()).unwrap();
            write(user, handle, buffer, &[round as u8; 10]).unwrap();
            close(user, handle);
            user.call(NR_SLEEP, &[2_500_000]).unwrap();
        }
    }
    all_well(&[("init", init), ("writer", writer)], 3);
}

/// Those who wait for the other end of a named pipe can be ended, by the process or by the loss of the name.
#[test]
fn those_who_wait_at_a_named_pipe_can_be_ended() {
    fn init(user: &mut User) {
        on(user, NR_MKFIFO, "/tmp/pipe", &[0o600]).unwrap();
        let round = |user: &mut User, way: &str| {
            let pids: Vec<u64> = (0..2).map(|_| spawn_with(user, "/bin/waiter", way, &[]).unwrap()).collect();
            user.call(NR_SLEEP, &[500_000]).unwrap();
            for pid in pids {
                user.call(NR_KILL, &[pid, 9]).unwrap();
                assert_eq!(wait(user, pid), (1, 9));
            }
        };
        round(user, "1");
        round(user, "2");
        let before = left(user);
        for way in ["1", "2", "2", "1"] {
            round(user, way);
            assert_eq!(left(user), before);
        }
        // Nobody is left who could be met.
        let nonblock = OpenFlags::WRITE.bits() | OpenFlags::NONBLOCK.bits();
        assert_eq!(open(user, "/tmp/pipe", nonblock), Err(Errno::NXIO));
        power_off(user);
    }
    fn waiter(user: &mut User) {
        let way: u32 = user.args()[1].parse().unwrap();
        let met = open(user, "/tmp/pipe", way);
        panic!("{met:?}");
    }
    all_well(&[("init", init), ("waiter", waiter)], 2);
}

/// A frame that another one reads or sends is not changed under it.
#[test]
fn readers_and_writers_of_one_page_do_not_tear_it() {
    const ROUNDS: u64 = 40;
    fn init(user: &mut User) {
        let handle = open(user, "/tmp/page", BOTH | CREATE).unwrap();
        let buffer = map(user, 4096);
        write(user, handle, buffer, &[1; 4096]).unwrap();
        thread(user, handle);
        let (reader, writer) = pipe(user, 0);
        let back = map(user, 8192);
        for _ in 0..ROUNDS {
            // Reads and writes of up to a page are one each: never half of two.
            assert_eq!(user.call(NR_PREAD, &[handle, back, 4096, 0]), Ok(4096));
            let bytes = user.load(back, 4096);
            assert!(bytes.iter().all(|&byte| byte == bytes[0]), "torn");
            assert_eq!(user.call(NR_SENDFILE, &[writer, handle, 0, 4096]), Ok(4096));
            assert_eq!(user.call(NR_READ, &[reader, back, 8192]), Ok(4096));
            let bytes = user.load(back, 4096);
            assert!(bytes.iter().all(|&byte| byte == bytes[0]), "torn in the pipe");
        }
        power_off(user);
    }
    fn other(user: &mut User) {
        let handle = user.argument();
        let buffer = map(user, 4096);
        for round in 0..ROUNDS * 2 {
            user.store(buffer, &[round as u8; 4096]);
            assert_eq!(user.call(NR_PWRITE, &[handle, buffer, 4096, 0]), Ok(4096));
        }
        user.call(NR_THREAD_EXIT, &[0]).unwrap();
    }
    fn program(user: &mut User) {
        if user.argument() == user.stack() { init(user) } else { other(user) }
    }
    all_well(&[("init", program)], 2);
}
