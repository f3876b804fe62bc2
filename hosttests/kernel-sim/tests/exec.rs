//! `exec`: another program under the same id, whatever happens meanwhile.

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

fn exit(user: &mut User, status: u64) {
    user.call(NR_EXIT, &[status]).unwrap();
}

#[test]
fn the_program_is_another_and_the_process_the_same() {
    fn init(user: &mut User) {
        let pid = spawn(user, "/bin/first", "one").unwrap();
        assert_eq!(wait(user, pid), (0, 9));
        power_off(user);
    }
    fn first(user: &mut User) {
        let pid = user.call(NR_GETPID, &[]).unwrap();
        // A child that the next program waits for, memory that is gone then, time that is counted on.
        let child = user.fork(|user| exit(user, 6)).unwrap();
        map(user, 1 << 20);
        user.spin(3_000_000);
        exec(user, "/bin/second", &format!("{pid} {child}"), |_| {});
    }
    fn second(user: &mut User) {
        let args = user.args();
        assert_eq!((args.len(), args[0].as_str()), (2, "/bin/second"));
        let (pid, child) = args[1].split_once(' ').unwrap();
        assert_eq!(user.call(NR_GETPID, &[]).unwrap().to_string(), pid);
        assert_eq!(wait(user, child.parse().unwrap()), (0, 6));
        let used = usage(user);
        assert!(used.cpu_ns >= 3_000_000 && used.threads == 1, "{used:?}");
        assert!(used.resident < 1 << 16, "{used:?}");
        exit(user, 9);
    }
    all_well(&[("init", init), ("first", first), ("second", second)], 8);
}

#[test]
fn what_fails_changes_nothing() {
    fn init(user: &mut User) {
        assert_eq!(exec(user, "/bin/none", "x", |_| {}), Errno::NOENT);
        let before = left(user);
        for (path, errno) in [("/bin/none", Errno::NOENT), ("/bin", Errno::ACCES)] {
            assert_eq!(exec(user, path, "x", |_| {}), errno, "{path}");
        }
        assert_eq!(exec(user, "/bin/second", "x", |args| args.flags = 1), Errno::INVAL);
        assert_eq!(exec(user, "/bin/second", "x", |args| args.handle_count = 1), Errno::INVAL);
        assert_eq!(exec(user, "/bin/second", "x", |args| args.args_len = 1 << 30), Errno::TOOBIG);
        assert_eq!(exec(user, "/bin/second", "x", |args| args.args = 8), Errno::FAULT);
        for countdown in 1..6 {
            user.fail_frame_after(countdown);
            let errno = exec(user, "/bin/second", "x", |_| {});
            user.fail_frame_after(0);
            assert_eq!(errno, Errno::NOMEM);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    all_well(&[("init", init), ("second", power_off)], 4);
}

#[test]
fn marked_handles_are_closed_and_the_others_stay() {
    fn init(user: &mut User) {
        let at = map(user, 4096);
        user.call(NR_PIPE, &[at, 16, 0]).unwrap();
        let (reader, writer) = (user.load_u64(at), user.load_u64(at + 8));
        let mut last = writer;
        // More than one slice of slots.
        for _ in 0..150 {
            last = user.call(NR_HANDLE_DUPLICATE, &[writer, u64::from(u32::MAX)]).unwrap();
            let marked = u64::from(OpenFlags::CLOSE_ON_EXEC.bits());
            user.call(NR_HANDLE_SET_FLAGS, &[last, marked, marked]).unwrap();
        }
        exec(user, "/bin/second", &format!("{reader} {writer} {last}"), |_| {});
    }
    fn second(user: &mut User) {
        let args = user.args();
        let numbers: Vec<u64> = args[1].split(' ').map(|text| text.parse().unwrap()).collect();
        let &[reader, writer, last] = numbers.as_slice() else { panic!() };
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[last]), Err(Errno::BADF));
        // 0 to 2, and the two ends.
        assert_eq!(usage(user).handles, 5);
        let at = user.stack() - 4096;
        user.store(at, b"!");
        user.call(NR_WRITE, &[writer, at, 1]).unwrap();
        user.call(NR_CLOSE, &[writer]).unwrap();
        assert_eq!(user.call(NR_READ, &[reader, at, 8]), Ok(1));
        assert_eq!(user.call(NR_READ, &[reader, at, 8]), Ok(0), "the marked writers are gone");
        power_off(user);
    }
    all_well(&[("init", init), ("second", second)], 4);
}

#[test]
fn each_call_that_makes_handles_can_mark_them() {
    const MARK: u64 = CLOSE_ON_EXEC as u64;
    const ALL: u64 = u32::MAX as u64;
    /// One handle or two of each kind.
    fn make(user: &mut User, mark: u64) -> Vec<u64> {
        use zerocopy::IntoBytes as _;
        let at = map(user, 4096);
        let config = EndpointConfig { flags: mark as u32, ..EndpointConfig::default() };
        user.store(at + 64, config.as_bytes());
        let size = config.as_bytes().len() as u64;
        let stream = u64::from(SOCKET_STREAM);
        let mut made = vec![
            user.call(NR_EVENT_CREATE, &[0, mark]).unwrap(),
            user.call(NR_TIMER_CREATE, &[mark]).unwrap(),
            user.call(NR_MEMORY_CREATE, &[4096, mark]).unwrap(),
            user.call(NR_SOCKET, &[u64::from(DOMAIN_IPV4), stream | mark]).unwrap(),
            user.call(NR_READY_CREATE, &[mark]).unwrap(),
            user.call(NR_HANDLE_DUPLICATE, &[1, ALL, mark]).unwrap(),
            user.call(NR_HANDLE_LEND, &[1, ALL, mark]).unwrap(),
        ];
        for (number, arguments) in [
            (NR_PIPE, vec![at, 16, mark]),
            (NR_SOCKET_PAIR, vec![stream | mark, at, 16]),
            (NR_ENDPOINT_CREATE, vec![at + 64, size, at, 16]),
        ] {
            user.call(number, &arguments).unwrap();
            made.extend([user.load_u64(at), user.load_u64(at + 8)]);
        }
        // The last was an endpoint: its sender first.
        let sender = user.load_u64(at);
        made.push(user.call(NR_ENDPOINT_MINT, &[sender, 7, mark]).unwrap());
        made
    }
    fn init(user: &mut User) {
        let (marked, kept) = (make(user, MARK), make(user, 0));
        for (number, arguments) in [
            (NR_EVENT_CREATE, vec![0, MARK << 1]),
            (NR_TIMER_CREATE, vec![MARK << 1]),
            (NR_READY_CREATE, vec![MARK << 1]),
            (NR_HANDLE_DUPLICATE, vec![1, ALL, MARK << 1]),
            (NR_HANDLE_LEND, vec![1, ALL, MARK << 1]),
            (NR_ENDPOINT_MINT, vec![marked[marked.len() - 3], 7, MARK << 1]),
        ] {
            assert_eq!(user.call(number, &arguments), Err(Errno::INVAL));
        }
        for handle in marked.iter().chain(&kept) {
            let flags = user.call(NR_HANDLE_FLAGS, &[*handle]).unwrap();
            assert_eq!(flags & MARK != 0, marked.contains(handle), "{handle:#x}");
            // A marked one waits as any other.
            assert_eq!(flags & u64::from(OpenFlags::NONBLOCK.bits()), 0);
        }
        let numbers: Vec<String> = marked.iter().chain(&kept).map(u64::to_string).collect();
        exec(user, "/bin/second", &numbers.join(" "), |_| {});
    }
    fn second(user: &mut User) {
        let args = user.args();
        let numbers: Vec<u64> = args[1].split(' ').map(|text| text.parse().unwrap()).collect();
        let (marked, kept) = numbers.split_at(numbers.len() / 2);
        assert!(marked.iter().all(|&handle| user.call(NR_HANDLE_RIGHTS, &[handle]) == Err(Errno::BADF)));
        assert!(kept.iter().all(|&handle| user.call(NR_HANDLE_RIGHTS, &[handle]).is_ok()));
        power_off(user);
    }
    all_well(&[("init", init), ("second", second)], 1);
}

#[test]
fn capabilities_and_limits_sink_for_good() {
    fn init(user: &mut User) {
        let pid = spawn(user, "/bin/first", "x").unwrap();
        assert_eq!(wait(user, pid), (0, 2));
        power_off(user);
    }
    fn first(user: &mut User) {
        exec(user, "/bin/second", "x", |args| {
            args.capabilities = (Capabilities::SPAWN | Capabilities::FS_READ).bits();
            (args.thread_limit, args.process_limit, args.handle_limit) = (2, 2, 4);
        });
    }
    fn second(user: &mut User) {
        assert_eq!(user.call(NR_POWER, &[0]), Err(Errno::ACCES));
        thread(user, user.entry());
        assert_eq!(user.call(NR_THREAD_CREATE, &[user.entry(), user.stack(), 0, 0]), Err(Errno::AGAIN));
        let child = user.fork(|user| {
            assert_eq!(user.fork(|_| {}), Err(Errno::AGAIN));
            exit(user, 1);
        });
        assert_eq!(wait(user, child.unwrap()), (0, 1));
        assert_eq!(user.call(NR_HANDLE_DUPLICATE, &[1, u64::from(u32::MAX)]), Ok(3));
        assert_eq!(user.call(NR_HANDLE_DUPLICATE, &[1, u64::from(u32::MAX)]), Err(Errno::MFILE));
        let errno = exec(user, "/bin/third", "x", |args| args.process_limit = 1000);
        panic!("{errno:?}");
    }
    fn third(user: &mut User) {
        assert_eq!(user.call(NR_HANDLE_DUPLICATE, &[1, u64::from(u32::MAX)]), Err(Errno::MFILE));
        assert!(user.fork(|user| exit(user, 1)).is_ok());
        assert_eq!(user.fork(|user| exit(user, 1)), Err(Errno::AGAIN));
        exit(user, 2);
    }
    fn second_or_thread(user: &mut User) {
        if user.argument() == user.stack() {
            return second(user);
        }
        user.call(NR_SLEEP, &[u64::MAX / 2]).unwrap();
    }
    all_well(&[("init", init), ("first", first), ("second", second_or_thread), ("third", third)], 4);
}

/// A process with threads in every kind of wait becomes another program, is killed at any moment, and nothing is left.
#[test]
fn a_kill_at_any_step_ends_one_of_the_two_programs() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            return;
        }
        let round = |user: &mut User, delay| {
            let pid = spawn(user, "/bin/first", "x").unwrap();
            user.call(NR_SLEEP, &[delay]).unwrap();
            user.call(NR_KILL, &[pid, 9]).unwrap();
            // Neither program ends by itself: the kill must not be lost between them.
            assert_eq!(wait(user, pid), (1, 9));
            // Its children are ours now.
            while user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).is_ok() {}
        };
        round(user, 2_000_000);
        let before = left(user);
        for step in 0..60 {
            round(user, 150_000 + step * 7_000);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn first(user: &mut User) {
        let word = 0x10_0000;
        match user.argument() {
            1 => {
                user.call(NR_FUTEX_WAIT, &[word, 0, TIMEOUT_NEVER, 1]).unwrap();
            }
            2 => loop {
                user.store(word + 8, &[1]);
            },
            3 => loop {
                let at = map(user, 300 * 4096);
                user.call(NR_MUNMAP, &[at, 300 * 4096]).unwrap();
            },
            4 => loop {
                let _ = user.fork(|user| exit(user, 0));
            },
            _ => {
                let flags = (MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits();
                user.call(NR_MMAP, &[word, 4096, 3, u64::from(flags), u64::from(u32::MAX), 0]).unwrap();
                for deed in 1..=4 {
                    thread(user, deed);
                }
                let errno = exec(user, "/bin/second", "x", |_| {});
                panic!("{errno:?}");
            }
        }
    }
    fn second(user: &mut User) {
        // A wake-up of one goes to the one who waits here, and not to a thread of the old program.
        if user.argument() != user.stack() {
            let word = user.argument();
            user.store(word + 4, &[1]);
            user.call(NR_FUTEX_WAKE, &[word, 1, u64::from(u32::MAX)]).unwrap();
            return;
        }
        let word = map(user, 4096);
        thread(user, word);
        while user.load(word + 4, 1) == [0] {
            match user.call(NR_FUTEX_WAIT, &[word + 4, 0, 400_000, u64::from(u32::MAX)]) {
                Ok(_) | Err(Errno::AGAIN | Errno::TIMEDOUT) => {}
                Err(errno) => panic!("{errno:?}"),
            }
        }
        user.call(NR_SLEEP, &[u64::MAX / 2]).unwrap();
    }
    all_well(&[("init", init), ("first", first), ("second", second)], 2);
}

#[test]
fn orphans_go_to_init_once_also_when_their_parent_became_another() {
    fn init(user: &mut User) {
        let mut before = None;
        for _ in 0..5 {
            let pid = spawn(user, "/bin/first", "x").unwrap();
            assert_eq!(wait(user, pid), (0, 8));
            let mut orphans = 0;
            loop {
                match user.call(NR_WAIT, &[WAIT_ANY, 0, 0]) {
                    Ok(_) => orphans += 1,
                    Err(errno) => break assert_eq!(errno, Errno::CHILD),
                }
            }
            // More than one slice, some ended before their parent and some after.
            assert_eq!(orphans, 70);
            let now = left(user);
            assert_eq!(now, *before.get_or_insert(now));
        }
        power_off(user);
    }
    fn first(user: &mut User) {
        for _ in 0..35 {
            user.fork(|user| exit(user, 0)).unwrap();
        }
        exec(user, "/bin/second", "x", |_| {});
    }
    fn second(user: &mut User) {
        for _ in 0..35 {
            user.fork(|user| {
                user.call(NR_SLEEP, &[2_000_000]).unwrap();
            })
            .unwrap();
        }
        exit(user, 8);
    }
    all_well(&[("init", init), ("first", first), ("second", second)], 2);
}
