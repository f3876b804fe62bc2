//! Paths that take several slices: the answer is that of a short one, whoever changes what meanwhile, and nothing is left.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, figures, map, power_off, spawn_with, wait};
use swos_abi::*;
use swos_kernel_sim::User;

const CWD: u64 = Handle::CWD.0;

/// `path` in almost as many bytes as a path may have, by ways that lead back.
fn long(back: &str, path: &str) -> String {
    format!("{}{path}", back.repeat((PATH_MAX - path.len()) / back.len()))
}

/// Writes a path where there is room for it; returns what a call is told of it.
fn put(user: &mut User, at: u64, path: &str) -> [u64; 2] {
    user.store(at, path.as_bytes());
    [at, path.len() as u64]
}

fn on(user: &mut User, number: u64, at: u64, path: &str, more: &[u64]) -> Result<u64, Errno> {
    let path = put(user, at, path);
    let arguments = [&[CWD], &path[..], more].concat();
    user.call(number, &arguments)
}

/// Which node a path names.
fn inode(user: &mut User, at: u64, path: &str) -> Result<u64, Errno> {
    on(user, NR_STAT, at, path, &[0, at + 8192, size_of::<Stat>() as u64])?;
    let known = core::mem::offset_of!(Stat, inode) as u64;
    Ok(user.load_u64(at + 8192 + known))
}

#[test]
fn long_paths_lead_where_short_ones_do() {
    fn init(user: &mut User) {
        let at = map(user, 1 << 16);
        for name in ["/tmp/d", "/tmp/d/e", "/tmp/x"] {
            on(user, NR_MKDIR, at, name, &[0o700]).unwrap();
        }
        let [from, length] = put(user, at, "d/e");
        let to = put(user, at + 4096, "/tmp/link");
        user.call(NR_SYMLINK, &[from, length, CWD, to[0], to[1]]).unwrap();
        let back = "tmp/d/e/..//.././../";
        // Made where the long path says, and found there by the short one, and the other way round.
        let file = long(back, "tmp/link/../../x/file");
        let create = (OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::WRITE).bits();
        let handle = on(user, NR_OPEN, at, &file, &[u64::from(create), 0o600]).unwrap();
        user.call(NR_CLOSE, &[handle]).unwrap();
        assert_eq!(on(user, NR_OPEN, at, &file, &[u64::from(create), 0o600]), Err(Errno::EXIST));
        let known = inode(user, at, "/tmp/x/file").unwrap();
        assert_eq!(inode(user, at, &file), Ok(known));
        // Both of a call's paths at once.
        let other = long(back, "tmp/link/other");
        let from = put(user, at, &file);
        let to = put(user, at + 4096, &other);
        user.call(NR_LINK, &[CWD, from[0], from[1], CWD, to[0], to[1]]).unwrap();
        assert_eq!(inode(user, at, "/tmp/link/other"), Ok(known));
        let from = put(user, at, &other);
        let to = put(user, at + 4096, &long(back, "tmp/x/moved"));
        user.call(NR_RENAME, &[CWD, from[0], from[1], CWD, to[0], to[1]]).unwrap();
        on(user, NR_UNLINK, at, &long(back, "tmp/x/file"), &[0]).unwrap();
        assert_eq!(inode(user, at, "/tmp/x/moved"), Ok(known));
        assert_eq!(inode(user, at, "/tmp/x/file"), Err(Errno::NOENT));
        assert_eq!(inode(user, at, "/tmp/d/e/other"), Err(Errno::NOENT));
        on(user, NR_CHDIR, at, &long(back, "tmp/d"), &[]).unwrap();
        assert_eq!(inode(user, at, &long("e/../", "../x/moved")), Ok(known));
        assert_eq!(inode(user, at, &long("e/../", "none/..")), Err(Errno::NOENT));
        assert_eq!(inode(user, at, &long("e/../", "../x/moved/..")), Err(Errno::NOTDIR));
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

/// What must be as before.
fn left(user: &mut User) -> (u64, u32, u32) {
    for _ in 0..20 {
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
    }
    let info = figures(user);
    (info.memory_free + info.memory_cached, info.objects, info.processes)
}

/// Ended after each slice in turn, and in between.
#[test]
fn who_is_ended_on_the_way_leaves_nothing() {
    fn init(user: &mut User) {
        let at = map(user, 1 << 16);
        on(user, NR_MKDIR, at, "/tmp/d", &[0o777]).unwrap();
        let round = |user: &mut User, number: u64| {
            let pids = ["1", "2"].map(|who| spawn_with(user, "/bin/walker", who, &[]).unwrap());
            user.call(NR_SLEEP, &[50_000 + number * 1_300]).unwrap();
            for pid in pids {
                user.call(NR_KILL, &[pid, 9]).unwrap();
                wait(user, pid);
            }
        };
        round(user, 0);
        let before = left(user);
        for number in 1..60 {
            round(user, number);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn walker(user: &mut User) {
        let at = map(user, 1 << 16);
        let path = long("tmp/d/../../", "tmp/d");
        loop {
            assert!(inode(user, at, &path).is_ok());
        }
    }
    all_well(&[("init", init), ("walker", walker)], 2);
}

/// A thread walks to and fro across a directory that another one moves out of the root of both, and back.
#[test]
fn nobody_is_led_out_of_the_root() {
    const WALKS: u64 = 60;
    fn init(user: &mut User) {
        let at = map(user, 1 << 16);
        for name in ["/tmp/jail", "/tmp/jail/d", "/tmp/jail/d/e", "/tmp/secret"] {
            on(user, NR_MKDIR, at, name, &[0o777]).unwrap();
        }
        let walker = spawn_with(user, "/bin/walker", "", &[]).unwrap();
        loop {
            for (from, to) in [("/tmp/jail/d", "/tmp/d"), ("/tmp/d", "/tmp/jail/d")] {
                let from = put(user, at, from);
                let to = put(user, at + 4096, to);
                user.call(NR_RENAME, &[CWD, from[0], from[1], CWD, to[0], to[1]]).unwrap();
                user.call(NR_YIELD, &[]).unwrap();
            }
            let record = at + 8192;
            if user.call(NR_WAIT, &[walker, u64::from(WAIT_NO_HANG), record, 0]) == Ok(walker) {
                break;
            }
        }
        power_off(user);
    }
    fn walker(user: &mut User) {
        let at = map(user, 1 << 16);
        on(user, NR_CONFINE, at, "/tmp/jail", &[]).unwrap();
        let path = long("/d/e/./../..//", "/d/e/../../secret");
        for _ in 0..WALKS {
            assert_eq!(inode(user, at, &path), Err(Errno::NOENT));
        }
    }
    all_well(&[("init", init), ("walker", walker)], 2);
}

/// Far below its root, where ways up take several slices, a process finds its path, or that it is outside, and never anything in
/// between: a directory half way is moved out of its root and back, and one of another name is moved about in it.
#[test]
fn deep_down_the_way_up_is_one_way() {
    const LEVELS: usize = 700;
    const ROUNDS: u64 = 40;
    fn moves(user: &mut User, at: u64, from: &str, to: &str) {
        let from = put(user, at, from);
        let to = put(user, at + 4096, to);
        user.call(NR_RENAME, &[CWD, from[0], from[1], CWD, to[0], to[1]]).unwrap();
    }
    fn init(user: &mut User) {
        let at = map(user, 1 << 16);
        for name in ["/tmp/jail", "/tmp/secret", "/tmp/jail/other"] {
            on(user, NR_MKDIR, at, name, &[0o777]).unwrap();
        }
        let mut path = "/tmp/jail".to_owned();
        for _ in 0..LEVELS {
            path.push_str("/d");
            on(user, NR_MKDIR, at, &path, &[0o777]).unwrap();
        }
        let (_, objects, processes) = left(user);
        let walker = spawn_with(user, "/bin/walker", "", &[]).unwrap();
        let half = format!("/tmp/jail{}", "/d".repeat(LEVELS / 2));
        loop {
            moves(user, at, "/tmp/jail/other", "/tmp/other");
            user.call(NR_SLEEP, &[300_000]).unwrap();
            moves(user, at, "/tmp/other", "/tmp/jail/other");
            moves(user, at, &half, "/tmp/half");
            user.call(NR_SLEEP, &[300_000]).unwrap();
            moves(user, at, "/tmp/half", &half);
            user.call(NR_SLEEP, &[300_000]).unwrap();
            if user.call(NR_WAIT, &[walker, u64::from(WAIT_NO_HANG), at + 8192, 0]) == Ok(walker) {
                break;
            }
        }
        // Entries that come and go cost memory, but nothing else is left.
        let (_, objects_after, processes_after) = left(user);
        assert_eq!((objects_after, processes_after), (objects, processes));
        power_off(user);
    }
    fn walker(user: &mut User) {
        let at = map(user, 1 << 16);
        on(user, NR_CONFINE, at, "/tmp/jail", &[]).unwrap();
        let whole = "/d".repeat(LEVELS);
        while on(user, NR_CHDIR, at, &whole, &[]).is_err() {}
        let (mut found, mut lost) = (0, 0);
        while found < ROUNDS || lost < 3 {
            match user.call(NR_GETCWD, &[at + 8192, 4096]) {
                Ok(length) => {
                    assert_eq!(user.load(at + 8192, length as usize), whole.as_bytes());
                    found += 1;
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::NOENT);
                    lost += 1;
                }
            }
            for path in ["../".repeat(LEVELS) + "../secret", "../".repeat(LEVELS / 2 + 1) + "secret"] {
                assert_eq!(inode(user, at, &path), Err(Errno::NOENT));
            }
            if on(user, NR_CHDIR, at, ".", &[]) == Ok(0) {
                found += 1;
            }
        }
    }
    all_well(&[("init", init), ("walker", walker)], 2);
}
