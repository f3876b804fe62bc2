//! Capabilities, identities, rights: every call refuses whoever lacks what its row of the table names.

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
use zerocopy::IntoBytes as _;

fn all_well(programs: &[(&'static str, Program)], seeds: u64) {
    let files = [ImageFile { path: "etc/motd".into(), bytes: b"welcome".to_vec() }];
    all_well_with(programs, seeds, &files);
}

/// The capabilities that a row of the table names.
fn named(needs: &str) -> Capabilities {
    needs
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .filter_map(Capabilities::from_name)
        .fold(Capabilities::empty(), |all, one| all | one)
}

/// The words of the table that are no capability.
const OTHER_WORDS: [&str; 10] =
    ["READ", "WRITE", "EXECUTE", "MAP", "DUPLICATE", "TRANSFER", "GETATTR", "SETATTR", "APPEND", ""];

/// Makes a call as well as it can be made, on what there is (`present`) or on what there is not.
type Attempt = fn(&mut User, present: bool) -> Result<u64, Errno>;

fn path(present: bool) -> &'static str {
    if present { "/etc/motd" } else { "/etc/nothing" }
}

/// How each call whose row names a capability is made; and the capability without which it is refused.
const ATTEMPTS: &[(u64, Capabilities, Attempt)] = &[
    (NR_SPAWN, Capabilities::SPAWN, |user, present| {
        spawn(user, if present { "/bin/idle" } else { "/bin/nothing" }, "x")
    }),
    (NR_SPAWN, Capabilities::FS_READ, |user, present| {
        spawn(user, if present { "/bin/idle" } else { "/bin/nothing" }, "x")
    }),
    (NR_EXEC, Capabilities::FS_READ, |user, present| {
        Err(exec(user, if present { "/bin/idle" } else { "/bin/nothing" }, "x", |_| {}))
    }),
    (NR_FORK, Capabilities::SPAWN, |user, _| user.fork(|_| {})),
    (NR_OPEN, Capabilities::FS_READ, |user, present| open(user, path(present))),
    (NR_OPEN, Capabilities::FS_READ, |user, present| {
        let path = if present { "/bin/init" } else { path(present) };
        open_at(user, Handle::CWD, path, OpenFlags::EXECUTE)
    }),
    (NR_OPEN, Capabilities::TMP_WRITE, |user, present| {
        open_at(user, Handle::CWD, path(present), OpenFlags::WRITE)
    }),
    (NR_OPEN, Capabilities::TMP_WRITE, |user, present| {
        open_at(user, Handle::CWD, path(present), OpenFlags::WRITE | OpenFlags::CREATE)
    }),
    (NR_STAT, Capabilities::FS_READ, |user, present| at_path(user, NR_STAT, Handle::CWD, path(present))),
    (NR_CHDIR, Capabilities::FS_READ, |user, present| {
        at_path(user, NR_CHDIR, Handle::CWD, if present { "/etc" } else { "/nothing" })
    }),
    (NR_READLINK, Capabilities::FS_READ, |user, present| {
        let at = user.stack() - 4096;
        user.store(at, path(present).as_bytes());
        user.call(NR_READLINK, &[Handle::CWD.0, at, path(present).len() as u64, at + 2048, 512])
    }),
    (NR_SOCKET, Capabilities::NET, |user, present| user.call(NR_SOCKET, &[2, if present { 1 } else { 9 }])),
    (NR_LOG_READ, Capabilities::LOG_EXPORT, |user, present| {
        let at = user.stack() - 4096;
        user.store(at, &if present { 0_u64 } else { 1 << 40 }.to_le_bytes());
        user.call(NR_LOG_READ, &[at, at + 8, 1024])
    }),
    (NR_PROCESS_INFO, Capabilities::PROCESS_INSPECT, |user, present| {
        let at = user.stack() - 4096;
        user.call(NR_PROCESS_INFO, &[if present { 1 } else { 1 << 20 }, at, 80])
    }),
    (NR_THREAD_INFO, Capabilities::PROCESS_INSPECT, |user, present| {
        let at = user.stack() - 4096;
        user.call(NR_THREAD_INFO, &[if present { 1 } else { 1 << 20 }, 0, at, 40])
    }),
    (NR_NET_CONFIGURE, Capabilities::NET_ADMIN, |user, _| {
        let at = user.stack() - 4096;
        let config = NetworkConfig { size: 16, prefix: 8, address: [10, 9, 9, 9], gateway: [0; 4] };
        user.store(at, config.as_bytes());
        user.call(NR_NET_CONFIGURE, &[at, 16])
    }),
    (NR_POWER, Capabilities::CONSOLE, |user, present| {
        user.call(NR_POWER, &[if present { u64::from(POWER_OFF) } else { 77 }])
    }),
    (NR_LOGIN, Capabilities::LOGIN, |user, present| user.call(NR_LOGIN, &[u64::from(present) * 7, u64::MAX])),
    (NR_LOG_EXPORT, Capabilities::LOG_EXPORT, |user, present| {
        let at = user.stack() - 4096;
        user.store(at, &if present { 0_u64 } else { 1 << 40 }.to_le_bytes());
        user.call(NR_LOG_EXPORT, &[at, at + 8, 1024, u64::from(LOG_JSON)])
    }),
    (NR_LOG_FILTER, Capabilities::CONSOLE, |user, present| {
        let at = user.stack() - 4096;
        user.store(at, if present { b"boot" } else { b"none" });
        user.call(NR_LOG_FILTER, &[u64::from(LOG_INHERIT), at, 4])
    }),
    (NR_CONFINE, Capabilities::FS_READ, |user, present| {
        at_path(user, NR_CONFINE, Handle::CWD, if present { "/etc" } else { "/nothing" })
    }),
    (NR_SET_MODE, Capabilities::TMP_WRITE, |user, present| changed(user, NR_SET_MODE, path(present), 0o644)),
    (NR_SET_OWNER, Capabilities::TMP_WRITE, |user, present| changed(user, NR_SET_OWNER, path(present), 1)),
    (NR_SET_OWNER, Capabilities::LOGIN, |user, present| changed(user, NR_SET_OWNER, path(present), 7)),
    (NR_SET_TIMES, Capabilities::TMP_WRITE, |user, present| {
        at_path(user, NR_SET_TIMES, Handle::CWD, path(present))
    }),
    (NR_MKDIR, Capabilities::TMP_WRITE, |user, present| at_path(user, NR_MKDIR, Handle::CWD, path(present))),
    (NR_UNLINK, Capabilities::TMP_WRITE, |user, present| {
        at_path(user, NR_UNLINK, Handle::CWD, path(present))
    }),
    (NR_RENAME, Capabilities::TMP_WRITE, |user, present| two_paths(user, NR_RENAME, path(present))),
    (NR_LINK, Capabilities::TMP_WRITE, |user, present| two_paths(user, NR_LINK, path(present))),
    (NR_SYMLINK, Capabilities::TMP_WRITE, |user, present| {
        let at = user.stack() - 4096;
        user.store(at, path(present).as_bytes());
        let length = path(present).len() as u64;
        user.call(NR_SYMLINK, &[at, length, Handle::CWD.0, at, length])
    }),
    (NR_MKFIFO, Capabilities::TMP_WRITE, |user, present| {
        at_path(user, NR_MKFIFO, Handle::CWD, path(present))
    }),
    (NR_FILE_SYSTEM_INFO, Capabilities::FS_READ, |user, present| {
        let at = user.stack() - 4096;
        user.store(at, path(present).as_bytes());
        user.call(NR_FILE_SYSTEM_INFO, &[Handle::CWD.0, at, path(present).len() as u64, at + 2048, 48])
    }),
];

/// A call on a path with no flags and a number.
fn changed(user: &mut User, number: u64, path: &str, value: u64) -> Result<u64, Errno> {
    let at = user.stack() - 4096;
    user.store(at, path.as_bytes());
    user.call(number, &[Handle::CWD.0, at, path.len() as u64, 0, value])
}

/// A call on a path and a new one.
fn two_paths(user: &mut User, number: u64, path: &str) -> Result<u64, Errno> {
    let at = user.stack() - 4096;
    user.store(at, path.as_bytes());
    user.store(at + 1024, b"/etc/other");
    user.call(number, &[Handle::CWD.0, at, path.len() as u64, Handle::CWD.0, at + 1024, 10])
}

#[test]
fn every_row_that_names_a_capability_is_attempted_and_nothing_else_is() {
    for call in CALLS {
        for word in call.needs.split(|c: char| !(c.is_ascii_uppercase() || c == '_')) {
            let known = OTHER_WORDS.contains(&word) || Capabilities::from_name(word).is_some();
            assert!(known, "{}: {word} is neither a right nor a capability", call.name);
        }
        let attempted = ATTEMPTS
            .iter()
            .filter(|(number, ..)| *number == call.number)
            .fold(Capabilities::empty(), |all, (_, one, _)| all | *one);
        assert_eq!(attempted, named(call.needs), "{}: {}", call.name, call.needs);
    }
    let missing = Capabilities::all()
        - ATTEMPTS.iter().fold(Capabilities::empty(), |all, (_, capability, _)| all | *capability);
    assert!(missing.is_empty(), "{missing:?} is needed by no call");
}

#[test]
fn without_its_capability_a_call_is_refused_and_does_nothing() {
    fn init(user: &mut User) {
        for (index, (number, capability, attempt)) in ATTEMPTS.iter().enumerate() {
            let record = |record: &mut SpawnArgs| record.capabilities = !capability.bits();
            let pid = spawn_as(user, "/bin/lacking", &index.to_string(), &[], record).unwrap();
            assert_eq!(wait(user, pid), (0, 0), "call {number} without {capability:?}");
            // Whoever has the capability is not refused for the lack of it.
            if ![NR_POWER, NR_LOGIN, NR_CONFINE, NR_EXEC].contains(number) {
                let done = attempt(user, true);
                assert_ne!(done, Err(Errno::ACCES), "call {number} with {capability:?}");
                if *number == NR_SPAWN || *number == NR_FORK {
                    wait(user, done.unwrap());
                }
            }
        }
        power_off(user);
    }
    fn lacking(user: &mut User) {
        let index: usize = user.args()[1].parse().unwrap();
        let (number, _, attempt) = ATTEMPTS[index];
        let state = |user: &mut User| {
            let info = figures(user);
            let cwd = at_path(user, NR_STAT, Handle::CWD, "bin");
            (security(user), info.objects, info.sockets, info.processes, info.threads, cwd)
        };
        let before = state(user);
        // The same for what exists and for what does not.
        for present in [true, false] {
            assert_eq!(attempt(user, present), Err(Errno::ACCES), "call {number}, present: {present}");
        }
        assert_eq!(state(user), before, "call {number} had an effect");
        user.call(NR_EXIT, &[0]).unwrap();
    }
    fn idle(_user: &mut User) {}
    all_well(&[("init", init), ("lacking", lacking), ("idle", idle)], 1);
}

#[test]
fn what_is_not_the_callers_is_as_if_it_were_not() {
    fn init(user: &mut User) {
        let bystander = spawn(user, "/bin/bystander", "x").unwrap();
        // Whoever may see the others of its principal and session may signal them; the others may nothing.
        for (who, capabilities) in [("stranger", !Capabilities::PROCESS_INSPECT.bits()), ("other", u64::MAX)]
        {
            let record = |record: &mut SpawnArgs| record.capabilities = capabilities;
            let pid = spawn_as(user, "/bin/stranger", &format!("{bystander} {who}"), &[], record).unwrap();
            assert_eq!(wait(user, pid), (0, 0));
        }
        user.call(NR_KILL, &[bystander, 9]).unwrap();
        assert_eq!(wait(user, bystander), (1, 9));
        power_off(user);
    }
    fn bystander(user: &mut User) {
        user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
    }
    fn stranger(user: &mut User) {
        let args = user.args();
        let (other, who) = args[1].split_once(' ').unwrap();
        let other: u64 = other.parse().unwrap();
        if who == "other" {
            assert_eq!(user.call(NR_KILL, &[other, 0]), Ok(0));
            user.call(NR_LOGIN, &[7, u64::MAX]).unwrap();
        }
        for pid in [1, other, 1 << 20] {
            assert_eq!(user.call(NR_KILL, &[pid, 9]), Err(Errno::SRCH));
            assert_eq!(user.call(NR_WAIT, &[pid, 0, 0]), Err(Errno::CHILD));
        }
        user.call(NR_EXIT, &[0]).unwrap();
    }
    all_well(&[("init", init), ("bystander", bystander), ("stranger", stranger)], 1);
}

#[test]
fn capabilities_only_ever_go_down() {
    fn init(user: &mut User) {
        let all = Capabilities::all();
        assert_eq!(security(user).capabilities, all.bits());
        let some = (Capabilities::SPAWN | Capabilities::FS_READ | Capabilities::CONSOLE).bits();
        assert_eq!(user.call(NR_CAPABILITIES_DROP, &[some]), Ok(some));
        // Neither a drop, nor a child, brings one back.
        assert_eq!(user.call(NR_CAPABILITIES_DROP, &[u64::MAX]), Ok(some));
        let pid = spawn(user, "/bin/child", "x").unwrap();
        assert_eq!(wait(user, pid), (0, some as i32));
        power_off(user);
    }
    fn child(user: &mut User) {
        let status = security(user).capabilities;
        user.call(NR_EXIT, &[status]).unwrap();
    }
    all_well(&[("init", init), ("child", child)], 1);
}

#[test]
fn a_login_is_bounded_by_the_mask_of_who_may() {
    fn init(user: &mut User) {
        let before = security(user);
        assert_eq!((before.principal, before.session), (1, 1));
        assert_eq!(user.call(NR_LOGIN, &[0, u64::MAX]), Err(Errno::INVAL));
        assert_eq!(security(user), before);
        let mut sessions = vec![1];
        for (deed, status) in [("bounded", 0), ("keeps", 0), ("inherits", 0)] {
            let pid = spawn(user, "/bin/service", deed).unwrap();
            assert_eq!(wait(user, pid), (0, status), "{deed}");
        }
        for _ in 0..20 {
            let pid = spawn(user, "/bin/service", "session").unwrap();
            let (_, session) = wait(user, pid);
            assert!(!sessions.contains(&session), "session {session} came twice");
            sessions.push(session);
        }
        assert_eq!(security(user), before);
        power_off(user);
    }
    fn service(user: &mut User) {
        let wanted = Capabilities::FS_READ | Capabilities::NET | Capabilities::SPAWN;
        match user.args()[1].as_str() {
            "bounded" => {
                let own = (Capabilities::LOGIN | wanted) - Capabilities::NET;
                user.call(NR_CAPABILITIES_DROP, &[own.bits()]).unwrap();
                let session = user.call(NR_LOGIN, &[7, wanted.bits()]).unwrap();
                let now = security(user);
                let expected = wanted - Capabilities::NET;
                assert_eq!((now.principal, u64::from(now.session)), (7, session));
                assert_eq!(now.capabilities, expected.bits());
                assert_eq!(user.call(NR_LOGIN, &[1, u64::MAX]), Err(Errno::ACCES));
                assert_eq!(security(user), now);
            }
            "keeps" => {
                let first = user.call(NR_LOGIN, &[7, u64::MAX]).unwrap();
                let second = user.call(NR_LOGIN, &[8, 0]).unwrap();
                assert!(second > first);
                assert_eq!(security(user).principal, 8);
                assert_eq!(user.call(NR_LOGIN, &[8, 0]), Err(Errno::ACCES));
            }
            "inherits" => {
                let session = user.call(NR_LOGIN, &[9, wanted.bits()]).unwrap();
                let pids = [
                    spawn_with(user, "/bin/service", "who", &[]).unwrap(),
                    user.fork(who).unwrap(),
                    user.fork(another).unwrap(),
                ];
                for pid in pids {
                    assert_eq!(wait(user, pid), (0, 9_000 + session as i32));
                }
            }
            "session" => {
                let session = user.call(NR_LOGIN, &[7, 0]).unwrap();
                user.call(NR_EXIT, &[session]).unwrap();
            }
            _ => who(user),
        }
        user.call(NR_EXIT, &[0]).unwrap();
    }
    fn another(user: &mut User) {
        exec(user, "/bin/service", "who", |_| {});
    }
    fn who(user: &mut User) {
        let now = security(user);
        user.call(NR_EXIT, &[u64::from(now.principal * 1_000 + now.session)]).unwrap();
    }
    all_well(&[("init", init), ("service", service)], 1);
}

#[test]
fn each_kind_of_object_has_the_rights_that_are_written_down() {
    fn init(user: &mut User) {
        let common = Rights::DUPLICATE | Rights::TRANSFER | Rights::GETATTR;
        let rights = |user: &mut User, handle| {
            Rights::from_bits_retain(user.call(NR_HANDLE_RIGHTS, &[handle]).unwrap() as u32)
        };
        let readable = open(user, "/etc/motd").unwrap();
        let directory = open_at(user, Handle::CWD, "/etc", OpenFlags::READ | OpenFlags::DIRECTORY).unwrap();
        let program = open_at(user, Handle::CWD, "/bin/init", OpenFlags::EXECUTE).unwrap();
        let (reader, writer) = pipe(user, 0);
        let stream = user.call(NR_SOCKET, &[2, 1]).unwrap();
        let datagrams = user.call(NR_SOCKET, &[2, 2]).unwrap();
        let set = user.call(NR_READY_CREATE, &[]).unwrap();
        let lent = user.call(NR_HANDLE_LEND, &[readable, u64::from(Rights::READ.bits())]).unwrap();
        let socket = common | Rights::READ | Rights::WRITE | Rights::SETATTR;
        for (what, handle, expected) in [
            ("console", 0, common | Rights::READ | Rights::WRITE),
            ("file", readable, common | Rights::READ | Rights::MAP),
            ("directory", directory, common | Rights::READ | Rights::MAP),
            ("program", program, common | Rights::EXECUTE),
            ("reader", reader, common | Rights::READ),
            ("writer", writer, common | Rights::WRITE),
            ("stream", stream, socket),
            ("datagrams", datagrams, socket),
            ("set", set, Rights::READ | Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER),
            ("loan", lent, Rights::READ),
        ] {
            assert_eq!(rights(user, handle), expected, "{what}");
            // What is taken away stays away.
            let masked = user.call(NR_HANDLE_RESTRICT, &[handle, u64::from(Rights::READ.bits())]).unwrap();
            assert_eq!(masked as u32, (expected & Rights::READ).bits(), "{what}");
            if handle != 0 {
                assert_eq!(user.call(NR_HANDLE_RESTRICT, &[handle, u64::from(u32::MAX)]), Ok(masked));
                assert_eq!(user.call(NR_HANDLE_DUPLICATE, &[handle, 1]), Err(Errno::ACCES), "{what}");
                assert_eq!(user.call(NR_HANDLE_LEND, &[handle, 1]), Err(Errno::ACCES), "{what}");
            }
        }
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn a_stale_handle_is_never_valid() {
    fn init(user: &mut User) {
        let first = open(user, "/etc/motd").unwrap();
        user.call(NR_CLOSE, &[first]).unwrap();
        let mut stale = vec![first];
        for round in 1_u64..=1 << 9 {
            let next = open(user, "/etc/motd").unwrap();
            assert!(!stale.contains(&next), "{next:#x} came twice");
            if round.is_power_of_two() {
                for &old in &stale {
                    assert_eq!(user.call(NR_HANDLE_RIGHTS, &[old]), Err(Errno::BADF));
                    assert_eq!(user.call(NR_CLOSE, &[old]), Err(Errno::BADF));
                }
            }
            user.call(NR_CLOSE, &[next]).unwrap();
            stale.push(next);
        }
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}
