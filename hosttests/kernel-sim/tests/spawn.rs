//! `spawn` and `exec` with as much as they take: it arrives whole, and whatever ends it between two slices leaves nothing behind.

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
use swos_kernel_sim::{Faults, User};
use zerocopy::IntoBytes as _;

/// Arguments that the caller of `much` adds, each of its number's length in a way that both can tell.
const ARGS: u64 = 2000;
/// Handles that it passes on, from 3 on.
const HANDLES: u64 = 300;
const PAGE: u64 = 4096;

fn text(number: u64) -> Vec<u8> {
    let length = if number == 700 { 9000 } else { number % 17 };
    vec![b'a' + (number % 26) as u8; length as usize]
}

fn texts(count: u64) -> Vec<u8> {
    (0..count).flat_map(|number| [text(number), vec![0]].concat()).collect()
}

fn grants(source: u64) -> Vec<SpawnHandle> {
    (0..HANDLES)
        .map(|number| SpawnHandle {
            source: Handle(source),
            target: 3 + number as u32,
            rights: Rights::all().bits(),
            flags: if number % 3 == 0 { SPAWN_LEND } else { 0 },
            reserved: 0,
        })
        .collect()
}

/// What a `spawn` or an `exec` with much is told, in memory of its own. The strings begin within a page and end within another.
fn much(user: &mut User, source: u64) -> impl Fn(&mut SpawnArgs) + use<> {
    let (args, env, grants) = (texts(ARGS), texts(701), grants(source));
    let at = map(user, 1 << 18);
    let (env_at, grants_at) = (at + 900 + args.len() as u64, at + (1 << 17));
    user.store(at + 900, &args);
    user.store(env_at, &env);
    user.store(grants_at, grants.as_bytes());
    let (args_len, env_len) = (args.len() as u64, env.len() as u64);
    move |record| {
        (record.args, record.args_len, record.env, record.env_len) = (at + 900, args_len, env_at, env_len);
        (record.handles, record.handle_count) = (grants_at, HANDLES as u32);
    }
}

/// Checks that the program was given all of it.
fn check_strings(user: &mut User) {
    let mut at = user.stack();
    assert_eq!(user.load_u64(at), ARGS);
    at += 8;
    for count in [ARGS, 701] {
        let pointers = user.load(at, count as usize * 8);
        let pointers: Vec<u64> =
            pointers.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let all = user.load(pointers[0], texts(count).len());
        assert!(all == texts(count));
        for (number, pointer) in (0..).zip(&pointers) {
            assert_eq!(pointer - pointers[0], texts(number).len() as u64);
        }
        assert_eq!(user.load_u64(at + count * 8), 0);
        at += count * 8 + 8;
    }
}

#[test]
fn all_that_is_passed_on_arrives() {
    fn init(user: &mut User) {
        let (reader, writer) = pipe(user, 0);
        let before = {
            let change = much(user, writer);
            let pid = spawn_as(user, "/bin/child", "", &[], &change).unwrap();
            assert_eq!(wait(user, pid), (0, 3));
            let before = left(user);
            let pid = spawn_as(user, "/bin/child", "", &[], &change).unwrap();
            assert_eq!(wait(user, pid), (0, 3));
            before
        };
        assert_eq!(left(user), before);
        let at = map(user, PAGE);
        assert_eq!(user.call(NR_READ, &[reader, at, 8]), Ok(4));
        close(user, &[writer]);
        assert_eq!(user.call(NR_READ, &[reader, at, 8]), Ok(0), "no child has it open any more");
        power_off(user);
    }
    fn child(user: &mut User) {
        check_strings(user);
        assert_eq!(usage(user).handles, HANDLES as u32);
        let at = map(user, PAGE);
        for handle in [3, 2 + HANDLES] {
            assert_eq!(user.call(NR_WRITE, &[handle, at, 1]), Ok(1));
        }
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[3 + HANDLES]), Err(Errno::BADF));
        // Once more by way of `exec`, which keeps the handles.
        let change = much(user, 3);
        let errno = exec(user, "/bin/other", "", |record| {
            change(record);
            record.handle_count = 0;
        });
        panic!("{errno:?}");
    }
    fn other(user: &mut User) {
        check_strings(user);
        assert_eq!(usage(user).handles, HANDLES as u32);
        user.call(NR_EXIT, &[3]).unwrap();
    }
    all_well(&[("init", init), ("child", child), ("other", other)], 2);
}

#[test]
fn what_is_refused_late_leaves_nothing() {
    fn init(user: &mut User) {
        let (_, writer) = pipe(user, 0);
        let change = much(user, writer);
        let hole = map(user, 64 * PAGE);
        user.store(hole, &texts(ARGS));
        user.call(NR_MUNMAP, &[hole + 3 * PAGE, PAGE]).unwrap();
        let bad = map(user, 8 * PAGE);
        all_refused(user, &change, writer, (hole, bad));
        let before = left(user);
        all_refused(user, &change, writer, (hole, bad));
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn all_refused(user: &mut User, change: &dyn Fn(&mut SpawnArgs), writer: u64, (hole, bad): (u64, u64)) {
        let length = texts(ARGS).len() as u64;
        let last = |target: u32, source: u64, flags: u32| {
            let mut grants = grants(writer);
            *grants.last_mut().unwrap() =
                SpawnHandle { source: Handle(source), target, rights: u32::MAX, flags, reserved: 0 };
            grants
        };
        let lists = [
            (last(3, writer, 0), Errno::INVAL),
            (last(1024, writer, 0), Errno::INVAL),
            (last(1023, 999, 0), Errno::BADF),
            (last(1023, writer, 16), Errno::INVAL),
        ];
        for (grants, errno) in lists {
            user.store(bad, grants.as_bytes());
            let refused = spawn_as(user, "/bin/child", "", &[], |record| {
                change(record);
                record.handles = bad;
            });
            assert_eq!(refused, Err(errno));
        }
        let refused = spawn_as(user, "/bin/child", "", &[], |record| {
            change(record);
            record.handle_limit = 200;
        });
        assert_eq!(refused, Err(Errno::MFILE));
        for (args, args_len, errno) in
            [(hole, length, Errno::FAULT), (hole, length - 1, Errno::FAULT), (hole, 8191, Errno::INVAL)]
        {
            let change = |record: &mut SpawnArgs| (record.args, record.args_len) = (args, args_len);
            assert_eq!(spawn_as(user, "/bin/child", "", &[], change), Err(errno));
            assert_eq!(exec(user, "/bin/child", "", change), errno);
        }
        // After a call that was given up, the next one begins anew.
        assert_eq!(spawn(user, "/bin/none", "x"), Err(Errno::NOENT));
        let pid = spawn(user, "/bin/child", "x").unwrap();
        assert_eq!(wait(user, pid), (0, 0));
    }
    fn child(user: &mut User) {
        assert_eq!(user.args(), ["/bin/child", "x"]);
    }
    all_well(&[("init", init), ("child", child)], 2);
}

#[test]
fn memory_that_runs_out_at_any_allocation_undoes_everything() {
    fn init(user: &mut User) {
        let (_, writer) = pipe(user, 0);
        let change = much(user, writer);
        let pid = spawn_as(user, "/bin/child", "", &[], &change).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        let before = left(user);
        let mut refused = 0;
        for countdown in 1.. {
            user.fail_frame_after(countdown);
            let spawned = spawn_as(user, "/bin/child", "", &[], &change);
            let pending = user.fail_frame_after(0);
            match spawned {
                Ok(pid) => {
                    wait(user, pid);
                    if pending > 1 {
                        break;
                    }
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::NOMEM);
                    refused += 1;
                }
            }
            let info = figures(user);
            assert_eq!((info.processes, info.threads), (before.2, before.3));
        }
        assert!(refused > 12, "{refused} refused");
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn child(_: &mut User) {}
    all_well(&[("init", init), ("child", child)], 2);
}

#[test]
fn a_process_killed_while_it_makes_another_leaves_nothing_behind() {
    fn init(user: &mut User) {
        for deed in ["spawn", "exec"] {
            run(user, deed, 3_000_000);
            let before = left(user);
            for delay in 0..80 {
                run(user, deed, 100_000 + delay * 5_000);
            }
            assert_eq!(left(user), before);
        }
        power_off(user);
    }
    fn run(user: &mut User, deed: &str, nanoseconds: u64) {
        let pid = spawn(user, "/bin/maker", deed).unwrap();
        user.call(NR_SLEEP, &[nanoseconds]).unwrap();
        user.call(NR_KILL, &[pid, 9]).unwrap();
        assert_eq!(wait(user, pid), (1, 9));
        loop {
            match user.call(NR_WAIT, &[WAIT_ANY, 0, 0]) {
                Ok(_) => {}
                Err(errno) => break assert_eq!(errno, Errno::CHILD),
            }
        }
    }
    fn maker(user: &mut User) {
        let (_, writer) = pipe(user, 0);
        let change = much(user, writer);
        if user.args().get(1).is_some_and(|deed| deed == "spawn") {
            loop {
                let _ = spawn_as(user, "/bin/child", "", &[], &change);
            }
        }
        let errno = exec(user, "/bin/again", "", |record| {
            change(record);
            record.handle_count = 0;
        });
        panic!("{errno:?}");
    }
    fn again(user: &mut User) {
        let change = much(user, 0);
        let errno = exec(user, "/bin/again", "", |record| {
            change(record);
            record.handle_count = 0;
        });
        panic!("{errno:?}");
    }
    fn child(_: &mut User) {}
    for cpus in [1, 2, 4] {
        let programs = [
            ("init", init as swos_kernel_sim::Program),
            ("maker", maker),
            ("again", again),
            ("child", child),
        ];
        let text = simulate(cpus, 3, &programs, Faults::default());
        assert!(text.contains("all is well"), "{cpus} CPUs: {text}");
    }
}

/// Another thread opens and closes what is passed on: all is passed, or nothing.
#[test]
fn a_handle_that_is_closed_meanwhile_is_missing_for_good() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            let shared = user.argument();
            while user.load(shared, 1) == [0] {
                let writer = user.load_u64(shared + 8);
                user.spin(30_000);
                let next = user.call(NR_HANDLE_DUPLICATE, &[writer, u64::from(u32::MAX)]).unwrap();
                close(user, &[writer]);
                user.store(shared + 8, &next.to_le_bytes());
                user.spin(9_000_000);
            }
            user.store(shared + 16, &[1]);
            return;
        }
        let (reader, writer) = pipe(user, 0);
        let shared = map(user, PAGE);
        user.store(shared + 8, &writer.to_le_bytes());
        let grants_at = map(user, 8 * PAGE);
        thread(user, shared);
        let (mut passed, mut missing) = (0, 0);
        for _ in 0..60 {
            let writer = user.load_u64(shared + 8);
            user.store(grants_at, grants(writer).as_bytes());
            let spawned = spawn_as(user, "/bin/child", "", &[], |record| {
                (record.handles, record.handle_count) = (grants_at, HANDLES as u32);
            });
            match spawned {
                Ok(pid) => {
                    assert_eq!(wait(user, pid), (0, 0));
                    passed += 1;
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::BADF);
                    missing += 1;
                }
            }
        }
        assert!(passed > 0, "{passed} passed, {missing} missing");
        user.store(shared, &[1]);
        while user.load(shared + 16, 1) == [0] {
            user.call(NR_SLEEP, &[100_000]).unwrap();
        }
        let writer = user.load_u64(shared + 8);
        close(user, &[writer]);
        assert_eq!(user.call(NR_READ, &[reader, shared, 8]), Ok(0));
        power_off(user);
    }
    fn child(user: &mut User) {
        assert_eq!(usage(user).handles, HANDLES as u32);
    }
    all_well(&[("init", init), ("child", child)], 3);
}
