//! Roots: what a confined process can name, what it is told of the rest, and that nothing widens a root again.

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

const CWD: Handle = Handle::CWD;

fn all_well(programs: &[(&'static str, Program)], seeds: u64) {
    let file = |path: &str| ImageFile { path: path.into(), bytes: path.into() };
    let files = [file("etc/motd"), file("www/page"), file("www/sub/deep/leaf"), file("www/bin/none")];
    all_well_with(programs, seeds, &files);
}

fn directory(user: &mut User, path: &str) -> u64 {
    open_at(user, CWD, path, OpenFlags::READ | OpenFlags::DIRECTORY).unwrap()
}

fn confine(user: &mut User, path: &str) -> Result<u64, Errno> {
    at_path(user, NR_CONFINE, CWD, path)
}

fn chdir(user: &mut User, path: &str) -> Result<u64, Errno> {
    at_path(user, NR_CHDIR, CWD, path)
}

fn exists(user: &mut User, path: &str) -> Result<(), Errno> {
    at_path_with_flags(user, CWD, path)
}

fn at_path_with_flags(user: &mut User, directory: Handle, path: &str) -> Result<(), Errno> {
    at_path(user, NR_STAT, directory, path).map(drop)
}

/// Paths that lead out of `/www`, or nowhere: all answers are the same.
const OUTSIDE: [&str; 9] = [
    "/etc/motd",
    "/etc/nothing",
    "/www/page",
    "/../etc/motd",
    "../etc/motd",
    "/sub/../../etc/motd",
    "sub/deep/../../../../etc/motd",
    "/bin/init",
    "/nothing",
];

#[test]
fn a_confined_process_names_nothing_outside() {
    fn init(user: &mut User) {
        let pid = spawn(user, "/bin/inmate", "own").unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        // Set at the start, by a handle of the parent; the program need not lie inside.
        let root = directory(user, "/www");
        let pid = spawn_as(user, "/bin/inmate", "given", &[], |record| {
            (record.flags, record.root) = (SPAWN_ROOT, Handle(root));
        })
        .unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        assert_eq!(exists(user, "/etc/motd"), Ok(()));
        power_off(user);
    }
    fn inmate(user: &mut User) {
        let deed = user.args()[1].clone();
        if deed == "own" {
            assert_eq!(confine(user, "www"), Ok(0));
        }
        for round in 0..2 {
            for path in OUTSIDE {
                assert_eq!(open(user, path), Err(Errno::NOENT), "{path}");
                assert_eq!(exists(user, path), Err(Errno::NOENT), "{path}");
                assert_eq!(chdir(user, path), Err(Errno::NOENT), "{path}");
                assert_eq!(confine(user, path), Err(Errno::NOENT), "{path}");
                assert_eq!(at_path(user, NR_READLINK, CWD, path), Err(Errno::NOENT), "{path}");
                assert_eq!(spawn_with(user, path, "x", &[]), Err(Errno::NOENT), "{path}");
            }
            // `/` and `..` at it are the new root.
            for inside in ["/page", "/../page", "/sub/../page", "/sub/deep/leaf"] {
                assert_eq!(exists(user, inside), Ok(()), "{inside}");
            }
            if round == 0 {
                assert_eq!(exists(user, "page"), Ok(()));
                assert_eq!(chdir(user, "/sub"), Ok(0));
                assert_eq!(exists(user, "deep/leaf"), Ok(()));
            }
        }
    }
    all_well(&[("init", init), ("inmate", inmate)], 2);
}

#[test]
fn a_root_only_narrows_and_is_inherited() {
    fn init(user: &mut User) {
        let own = directory(user, "/bin");
        let pid = spawn_as(user, "/bin/inmate", "x", &[], |_| {}).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        let program = open_at(user, CWD, "/bin/heir", OpenFlags::EXECUTE).unwrap();
        chdir(user, "/www/sub").unwrap();
        assert_eq!(confine(user, "/www"), Ok(0));
        // The current directory was inside and stays; what is open stays open.
        assert_eq!(exists(user, "deep/leaf"), Ok(()));
        assert_eq!(at_path_with_flags(user, Handle(own), "init"), Ok(()));
        // A handle to outside makes no root and no current directory, here or in a child.
        for number in [NR_CHDIR, NR_CONFINE] {
            assert_eq!(at_path(user, number, Handle(own), "."), Err(Errno::NOENT));
        }
        let widened = spawn_as(user, "/", "x", &[], |record| {
            (record.flags, record.root, record.program) = (SPAWN_ROOT, Handle(own), Handle(program));
        });
        assert_eq!(widened, Err(Errno::NOENT));
        let pid = spawn_as(user, "heir", "x", &[], |record| record.program = Handle(program)).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        // From a handle outside, the way up leads nowhere, and `/` is the root of the process.
        for path in ["..", "../etc/motd", "../www/page", "../bin/init", "/bin/init", "nothing"] {
            assert_eq!(at_path_with_flags(user, Handle(own), path), Err(Errno::NOENT), "{path}");
        }
        assert_eq!(at_path_with_flags(user, Handle(own), "/page"), Ok(()));
        assert_eq!(confine(user, "/sub/deep"), Ok(0));
        assert_eq!(exists(user, "leaf"), Ok(()));
        assert_eq!(exists(user, "/leaf"), Ok(()));
        assert_eq!(exists(user, "/page"), Err(Errno::NOENT));
        power_off(user);
    }
    fn inmate(user: &mut User) {
        for (path, errno) in [("/www/page", Errno::NOTDIR), ("/none", Errno::NOENT), ("", Errno::NOENT)] {
            assert_eq!(confine(user, path), Err(errno), "{path}");
        }
        let file = open(user, "/www/page").unwrap();
        let refused = spawn_as(user, "/bin/heir", "x", &[], |record| {
            (record.flags, record.root) = (SPAWN_ROOT, Handle(file));
        });
        assert_eq!(refused, Err(Errno::NOTDIR));
        let refused = spawn_as(user, "/bin/heir", "x", &[], |record| {
            (record.flags, record.root) = (SPAWN_ROOT, Handle(99 << 24));
        });
        assert_eq!(refused, Err(Errno::BADF));
        assert_eq!(exists(user, "/etc/motd"), Ok(()));
    }
    fn heir(user: &mut User) {
        assert_eq!(exists(user, "/page"), Ok(()));
        assert_eq!(exists(user, "deep/leaf"), Ok(()));
        assert_eq!(exists(user, "/etc/motd"), Err(Errno::NOENT));
        assert_eq!(exists(user, "../../etc/motd"), Err(Errno::NOENT));
    }
    all_well(&[("init", init), ("inmate", inmate), ("heir", heir)], 2);
}

#[test]
fn two_threads_at_it_never_widen_a_root() {
    fn init(user: &mut User) {
        for _ in 0..6 {
            let pid = spawn(user, "/bin/racer", "x").unwrap();
            assert_eq!(wait(user, pid), (0, 0));
        }
        power_off(user);
    }
    fn racer(user: &mut User) {
        match user.argument() {
            1 => {
                // Out, as long as that is possible.
                for _ in 0..40 {
                    let _ = at_path_from(user, NR_CHDIR, "/etc", 8192);
                    let _ = at_path_from(user, NR_CHDIR, "/", 8192);
                }
            }
            2 => {
                for _ in 0..10 {
                    let _ = at_path_from(user, NR_CONFINE, "/www", 12288);
                    let _ = at_path_from(user, NR_CONFINE, "/", 12288);
                }
            }
            _ => {
                thread(user, 1);
                thread(user, 2);
                user.spin(user.argument() / 4096 % 64 * 1_000);
                assert_eq!(confine(user, "/www/sub").or_else(|_| confine(user, "/sub")), Ok(0));
                for _ in 0..20 {
                    assert_eq!(exists(user, "/page"), Err(Errno::NOENT));
                    assert_eq!(exists(user, "motd"), Err(Errno::NOENT));
                    assert_eq!(exists(user, "/deep/leaf"), Ok(()));
                }
                user.call(NR_EXIT, &[0]).unwrap();
            }
        }
    }
    /// Each thread has its own place for the path; its stack is a page.
    fn at_path_from(user: &mut User, number: u64, path: &str, below: u64) -> Result<u64, Errno> {
        let at = user.stack() - below;
        user.store(at, path.as_bytes());
        user.call(number, &[CWD.0, at, path.len() as u64])
    }
    all_well(&[("init", init), ("racer", racer)], 8);
}
