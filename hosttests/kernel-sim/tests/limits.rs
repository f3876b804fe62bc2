//! Limits of processes, threads and CPU time; what is counted.

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
use swos_kernel_sim::User;
use zerocopy::{FromBytes as _, IntoBytes as _};

fn ended(user: &mut User, pid: u64) -> ExitRecord {
    let at = user.stack() - 4096;
    user.call(NR_WAIT, &[pid, 0, at]).unwrap();
    ExitRecord::read_from_bytes(&user.load(at, 32)).unwrap()
}

#[test]
fn cpu_time_ends_at_its_limit_and_hardly_later() {
    const LIMIT: u64 = 20_000_000;
    fn init(user: &mut User) {
        for (deed, threads) in [("alone", 1), ("together", 4), ("yielding", 1), ("becoming", 1)] {
            let limited = |args: &mut SpawnArgs| args.cpu_limit_ns = LIMIT;
            let pid = spawn_as(user, "/bin/spinner", deed, &[], limited).unwrap();
            let record = ended(user, pid);
            assert_eq!((record.cause, record.code), (1, 24), "{deed}");
            let most = LIMIT + threads * 2_500_000;
            assert!((LIMIT..most).contains(&record.cpu_ns), "{deed}: {}", record.cpu_ns);
        }
        power_off(user);
    }
    fn spinner(user: &mut User) {
        if user.argument() == user.stack() {
            match user.args()[1].as_str() {
                "together" => {
                    for _ in 0..3 {
                        thread(user, 1);
                    }
                }
                "yielding" => loop {
                    user.spin(5_000);
                    user.call(NR_YIELD, &[]).unwrap();
                },
                // The time of all its programs counts.
                "becoming" => {
                    user.spin(3_000_000);
                    let errno = exec(user, "/bin/spinner", "becoming", |_| {});
                    panic!("{errno:?}");
                }
                _ => {}
            }
        }
        loop {
            user.spin(10_000_000);
        }
    }
    all_well(&[("init", init), ("spinner", spinner)], 4);
}

#[test]
fn all_time_of_children_that_were_waited_for_is_counted() {
    fn init(user: &mut User) {
        let before = usage(user);
        let pid = user.fork(child).unwrap();
        let record = ended(user, pid);
        let after = usage(user);
        // The child's own, also the last of it, and what its own child used.
        let spun = 6_000_000..7_000_000;
        assert!(spun.contains(&record.cpu_ns), "{}", record.cpu_ns);
        let below = after.children_cpu_ns - before.children_cpu_ns - record.cpu_ns;
        assert!((2_000_000..3_000_000).contains(&below), "{below}");
        assert!(after.children_faults >= before.children_faults + 10 + 20);
        assert!(after.cpu_ns - before.cpu_ns < 3_000_000);
        power_off(user);
    }
    fn child(user: &mut User) {
        touch(user, 10);
        user.spin(3_000_000);
        let pid = user.fork(grandchild).unwrap();
        wait(user, pid);
        user.spin(3_000_000);
    }
    fn grandchild(user: &mut User) {
        touch(user, 20);
        user.spin(2_000_000);
    }
    fn touch(user: &mut User, pages: u64) {
        let before = usage(user).faults;
        let at = map(user, pages * 4096);
        for page in 0..pages {
            user.store(at + page * 4096, &[1]);
        }
        assert_eq!(usage(user).faults, before + pages);
    }
    all_well(&[("init", init)], 6);
}

#[test]
fn a_bomb_stops_at_its_limit_and_everything_comes_back() {
    const LIMIT: u32 = 12;
    fn init(user: &mut User) {
        let before = left(user);
        let limited = |args: &mut SpawnArgs| args.process_limit = LIMIT;
        let pid = spawn_as(user, "/bin/bomb", "x", &[], limited).unwrap();
        for _ in 0..40 {
            user.call(NR_SLEEP, &[200_000]).unwrap();
            let info = figures(user);
            assert!(info.processes <= LIMIT + 1, "{}", info.processes);
        }
        user.call(NR_KILL, &[pid, 9]).unwrap();
        while user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).is_ok() {}
        let after = left(user);
        assert_eq!((after.1, after.2, after.3), (before.1, before.2, before.3));
        power_off(user);
    }
    fn bomb(user: &mut User) {
        let until = user.call(NR_CLOCK_GET, &[0]).unwrap() + 6_000_000;
        user.store(user.stack() - 64, &until.to_le_bytes());
        explode(user);
    }
    fn explode(user: &mut User) {
        let until = user.load_u64(user.stack() - 64);
        while user.call(NR_CLOCK_GET, &[0]).unwrap() < until {
            match user.fork(explode) {
                Ok(_) => {}
                Err(Errno::AGAIN) => drop(user.call(NR_SLEEP, &[100_000])),
                Err(errno) => panic!("{errno:?}"),
            }
        }
    }
    all_well(&[("init", init), ("bomb", bomb)], 2);
}

#[test]
fn limits_sink_and_are_read_back() {
    fn init(user: &mut User) {
        let before = limits(user);
        set(user, ProcessLimits { size: 32, ..ProcessLimits::default() }).unwrap();
        assert_eq!(limits(user), before);
        let to = ProcessLimits {
            size: 32,
            processes: 2,
            memory: 8 << 20,
            handles: 4,
            threads: 2,
            cpu_ns: 1 << 50,
        };
        set(user, to).unwrap();
        assert_eq!(limits(user), to);
        set(user, before).unwrap();
        assert_eq!(limits(user), to);
        assert_eq!(set(user, ProcessLimits { size: 31, ..to }), Err(Errno::INVAL));
        let at = user.stack() - 4096;
        assert_eq!(user.call(NR_LIMITS_GET, &[8, 32]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_LIMITS_GET, &[at, 8]), Ok(32));
        // The mapped stack alone is 8 MiB.
        let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
        assert_eq!(user.call(NR_MMAP, &[0, 4096, 3, flags, u64::from(u32::MAX), 0]), Err(Errno::NOMEM));
        user.call(NR_HANDLE_DUPLICATE, &[1, u64::from(u32::MAX)]).unwrap();
        assert_eq!(user.call(NR_HANDLE_DUPLICATE, &[1, u64::from(u32::MAX)]), Err(Errno::MFILE));
        let pid = user.fork(|user| assert_eq!(user.fork(|_| {}), Err(Errno::AGAIN))).unwrap();
        assert_eq!(user.fork(|_| {}), Err(Errno::AGAIN));
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn limits(user: &mut User) -> ProcessLimits {
        let at = user.stack() - 4096;
        user.call(NR_LIMITS_GET, &[at, 32]).unwrap();
        ProcessLimits::read_from_bytes(&user.load(at, 32)).unwrap()
    }
    fn set(user: &mut User, to: ProcessLimits) -> Result<u64, Errno> {
        let at = user.stack() - 4096;
        user.store(at, to.as_bytes());
        user.call(NR_LIMITS_SET, &[at, 32])
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn threads_are_listed_by_their_ids_with_their_names() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            let name = format!("worker {}", user.argument());
            let at = user.argument() * 4096 + 0x10_0000;
            user.store(at, name.as_bytes());
            user.call(NR_THREAD_NAME, &[at, name.len() as u64]).unwrap();
            assert_eq!(user.call(NR_THREAD_NAME, &[at, 17]), Err(Errno::NAMETOOLONG));
            user.call(NR_SLEEP, &[u64::MAX / 2]).unwrap();
        }
        let flags = (MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits();
        user.call(NR_MMAP, &[0x10_0000, 64 * 4096, 3, u64::from(flags), u64::from(u32::MAX), 0]).unwrap();
        let own = user.call(NR_GETTID, &[]).unwrap();
        let mut ids = vec![own];
        ids.extend((1..6).map(|number| thread(user, number)));
        user.call(NR_SLEEP, &[3_000_000]).unwrap();
        let at = user.stack() - 4096;
        let (mut next, mut found) = (0, Vec::new());
        while user.call(NR_THREAD_INFO, &[1, next, at, 40]).unwrap() != 0 {
            let info = ThreadInfo::read_from_bytes(&user.load(at, 40)).unwrap();
            next = u64::from(info.tid) + 1;
            let state = if u64::from(info.tid) == own { THREAD_RUNNING } else { THREAD_WAITING };
            assert_eq!((info.pid, info.state), (1, state));
            let number = found.len();
            let name = if number == 0 { String::new() } else { format!("worker {number}") };
            assert_eq!(String::from_utf8_lossy(&info.name).trim_end_matches('\0'), name);
            found.push(u64::from(info.tid));
        }
        assert_eq!(found, ids);
        assert_eq!(user.call(NR_THREAD_INFO, &[77, 0, at, 40]), Err(Errno::SRCH));
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}
