//! `/sys`: what is told, to whom, and that a text is one text.

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

/// Reads a text in pieces of so many bytes.
fn read(user: &mut User, path: &str, piece: u64) -> Result<String, Errno> {
    let file = open(user, path)?;
    let at = user.stack() - 4096;
    let mut all = Vec::new();
    loop {
        let count = user.call(NR_READ, &[file, at, piece])?;
        if count == 0 {
            break;
        }
        all.extend(user.load(at, count as usize));
    }
    user.call(NR_CLOSE, &[file]).unwrap();
    Ok(String::from_utf8(all).unwrap())
}

fn value(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.split(' ').next() == Some(key));
    line.unwrap_or_else(|| panic!("no {key} in {text}"))[key.len() + 1..].to_owned()
}

fn names(user: &mut User, path: &str) -> Vec<String> {
    let directory = open_at(user, Handle::CWD, path, OpenFlags::READ | OpenFlags::DIRECTORY).unwrap();
    let at = user.stack() - 4096;
    let mut names = Vec::new();
    loop {
        // Room for one or two, so that the position counts.
        let count = user.call(NR_READDIR, &[directory, at, 72]).unwrap() as usize;
        if count == 0 {
            user.call(NR_CLOSE, &[directory]).unwrap();
            return names;
        }
        let bytes = user.load(at, count);
        let mut from = 0;
        while from < count {
            let record = usize::from(u16::from_le_bytes([bytes[from + 16], bytes[from + 17]]));
            let len = usize::from(u16::from_le_bytes([bytes[from + 18], bytes[from + 19]]));
            let name = &bytes[from + DIRENT_HEADER..from + DIRENT_HEADER + len];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            from += record;
        }
    }
}

#[test]
fn every_text_is_there_and_says_what_it_must() {
    fn init(user: &mut User) {
        let top = names(user, "/sys");
        assert_eq!(top, ["counters", "cpus", "log", "memory", "mounts", "processes", "sockets", "version"]);
        for (path, keys) in [
            ("version", &["name", "version", "abi"][..]),
            ("memory", &["total_bytes", "free_bytes", "cached_bytes", "kernel_bytes"]),
            ("cpus", &["count", "cpu.0.online", "cpu.0.calls", "cpu.0.idle_ns", "cpu.0.queued"]),
            ("mounts", &["/", "/sys"]),
            ("sockets", &["sockets"]),
            ("processes/1/status", &["pid", "parent", "name", "state", "principal", "session", "threads"]),
            ("processes/1/limits", &["memory_bytes", "handles", "threads", "cpu_ns", "processes"]),
            ("processes/1/memory", &["mapped_bytes", "resident_bytes", "faults"]),
            ("processes/1/handles", &["0", "1", "2", "handles"]),
            ("counters/calls", &["calls", "processes", "threads", "objects"]),
            ("counters/disk", &["verified", "refused"]),
            ("counters/log", &["capacity_bytes", "available", "written", "overwritten"]),
            ("counters/network", &["segments_received", "segments_sent", "sockets", "receive_bytes"]),
            ("counters/pages", &["pages", "hits", "misses"]),
            ("counters/waits", &["registered"]),
        ] {
            let text = read(user, &format!("/sys/{path}"), 512).unwrap();
            for key in keys {
                assert!(!value(&text, key).is_empty(), "{path}: {key}");
            }
        }
        let status = read(user, "/sys/processes/1/status", 512).unwrap();
        assert_eq!((value(&status, "name").as_str(), value(&status, "state").as_str()), ("init", "alive"));
        assert!(status.lines().any(|line| line == "capability PROCESS_INSPECT"));
        assert_eq!(value(&read(user, "/sys/processes/1/handles", 512).unwrap(), "0"), "console rw--dtg-");
        assert_eq!(value(&read(user, "/sys/counters/log", 512).unwrap(), "overwritten"), "0");
        assert!(read(user, "/sys/log", 512).unwrap().contains("] boot: base image version 1"));
        let total = figures(user).memory_total.to_string();
        assert_eq!(value(&read(user, "/sys/memory", 512).unwrap(), "total_bytes"), total);
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn others_are_absent_without_the_capability_to_see_them() {
    fn init(user: &mut User) {
        let bystander = spawn(user, "/bin/bystander", "x").unwrap();
        assert_eq!(names(user, "/sys/processes"), ["1", &bystander.to_string()]);
        assert!(read(user, &format!("/sys/processes/{bystander}/status"), 64).is_ok());
        for present in [bystander, 1, 77] {
            let arg = present.to_string();
            let without = Capabilities::all() - Capabilities::PROCESS_INSPECT;
            let lacking = |record: &mut SpawnArgs| record.capabilities = without.bits();
            let pid = spawn_as(user, "/bin/blind", &arg, &[], lacking).unwrap();
            assert_eq!(wait(user, pid), (0, 0), "of {present}");
        }
        user.call(NR_KILL, &[bystander, 9]).unwrap();
        // Ended, and not waited for: it is there, and that is all.
        for _ in 0..100 {
            user.call(NR_SLEEP, &[1_000_000]).unwrap();
        }
        let status = read(user, &format!("/sys/processes/{bystander}/status"), 64).unwrap();
        assert_eq!(value(&status, "state"), "ended");
        assert_eq!(read(user, &format!("/sys/processes/{bystander}/handles"), 64).unwrap(), "");
        let held = open(user, &format!("/sys/processes/{bystander}/status")).unwrap();
        wait(user, bystander);
        assert_eq!(user.call(NR_READ, &[held, user.stack() - 4096, 8]), Err(Errno::NOENT));
        assert_eq!(read(user, &format!("/sys/processes/{bystander}/status"), 64), Err(Errno::NOENT));
        assert_eq!(names(user, "/sys/processes"), ["1"]);
        power_off(user);
    }
    fn bystander(user: &mut User) {
        user.call(NR_SLEEP, &[TIMEOUT_NEVER - 1]).unwrap();
    }
    fn blind(user: &mut User) {
        let own = user.call(NR_GETPID, &[]).unwrap().to_string();
        let other = user.args()[1].clone();
        assert_eq!(names(user, "/sys/processes"), [own.as_str()]);
        assert!(read(user, &format!("/sys/processes/{own}/status"), 64).is_ok());
        for name in ["", "/status", "/handles", "/memory", "/limits"] {
            let path = format!("/sys/processes/{other}{name}");
            assert_eq!(open(user, &path), Err(Errno::NOENT), "{path}");
            assert_eq!(at_path(user, NR_STAT, Handle::CWD, &path), Err(Errno::NOENT), "{path}");
            assert_eq!(at_path(user, NR_CHDIR, Handle::CWD, &path), Err(Errno::NOENT), "{path}");
        }
    }
    all_well(&[("init", init), ("bystander", bystander), ("blind", blind)], 1);
}

#[test]
fn log_and_sockets_need_their_capabilities() {
    fn init(user: &mut User) {
        for (capabilities, log, sockets) in [
            (Capabilities::FS_READ, Err(Errno::ACCES), Err(Errno::ACCES)),
            (Capabilities::FS_READ | Capabilities::LOG_EXPORT, Ok(()), Err(Errno::ACCES)),
            (Capabilities::FS_READ | Capabilities::NET, Err(Errno::ACCES), Ok(())),
            (Capabilities::FS_READ | Capabilities::PROCESS_INSPECT, Err(Errno::ACCES), Ok(())),
        ] {
            let arg = u32::from(log.is_ok()) + 2 * u32::from(sockets.is_ok());
            let given = |record: &mut SpawnArgs| record.capabilities = capabilities.bits();
            let pid = spawn_as(user, "/bin/reader", "x", &[], given).unwrap();
            assert_eq!(wait(user, pid), (0, arg as i32), "{capabilities:?}: {log:?} {sockets:?}");
        }
        power_off(user);
    }
    fn reader(user: &mut User) {
        let mut status = 0;
        for (path, bit) in [("/sys/log", 1), ("/sys/sockets", 2)] {
            match read(user, path, 512) {
                Ok(_) => status |= bit,
                Err(errno) => assert_eq!(errno, Errno::ACCES),
            }
        }
        assert!(read(user, "/sys/memory", 512).is_ok());
        user.call(NR_EXIT, &[status]).unwrap();
    }
    all_well(&[("init", init), ("reader", reader)], 1);
}

#[test]
fn a_text_is_one_text_and_nothing_can_be_changed() {
    fn init(user: &mut User) {
        let whole = |user: &mut User| read(user, "/sys/counters/calls", 4096).unwrap();
        // Read byte by byte, each call changing what a new text would say.
        let slow = read(user, "/sys/counters/calls", 1).unwrap();
        assert_eq!(slow.lines().count(), whole(user).lines().count());
        let calls: u64 = value(&slow, "calls").parse().unwrap();
        assert!(calls < value(&whole(user), "calls").parse().unwrap());
        // From the start on it is made anew.
        let file = open(user, "/sys/counters/calls").unwrap();
        let at = user.stack() - 4096;
        let mut last = 0;
        for _ in 0..3 {
            let count = user.call(NR_PREAD, &[file, at, 512, 0]).unwrap();
            let text = String::from_utf8(user.load(at, count as usize)).unwrap();
            let calls: u64 = value(&text, "calls").parse().unwrap();
            assert!(calls > last);
            last = calls;
            assert_eq!(user.call(NR_PREAD, &[file, at, 512, 3]), Ok(count - 3));
        }
        assert_eq!(user.call(NR_PREAD, &[file, at, 512, 1 << 40]), Ok(0));
        assert_eq!(user.call(NR_PREAD, &[file, 8, 512, 0]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_PREAD, &[file, at, 512, 2]).map(|count| count > 10), Ok(true));
        for flags in [OpenFlags::WRITE, OpenFlags::WRITE | OpenFlags::CREATE] {
            assert_eq!(open_at(user, Handle::CWD, "/sys/memory", flags), Err(Errno::ROFS));
        }
        assert_eq!(open_at(user, Handle::CWD, "/sys/memory", OpenFlags::EXECUTE), Err(Errno::ACCES));
        assert_eq!(spawn(user, "/sys/memory", "x"), Err(Errno::ACCES));
        assert_eq!(read(user, "/sys/processes", 64), Err(Errno::ISDIR));
        for path in ["/sys/nothing", "/sys/processes/01", "/sys/processes/x", "/sys/processes/1/x"] {
            assert_eq!(open(user, path), Err(Errno::NOENT), "{path}");
        }
        let flags = u64::from(MapFlags::PRIVATE.bits());
        assert_eq!(user.call(NR_MMAP, &[0, 4096, 1, flags, file, 0]), Err(Errno::NODEV));
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn texts_are_held_within_a_bound_and_given_back() {
    fn init(user: &mut User) {
        for number in 0..60 {
            let at = user.stack() - 4096;
            user.store(at, &[b'x'; 200]);
            user.call(NR_LOG_WRITE, &[0, at, 200 - number % 7]).unwrap();
        }
        let round = |user: &mut User| {
            let at = user.stack() - 4096;
            let mut files = Vec::new();
            loop {
                let file = open(user, "/sys/log").unwrap();
                files.push(file);
                match user.call(NR_READ, &[file, at, 10]) {
                    Ok(count) => assert_eq!(count, 10),
                    Err(errno) => {
                        assert_eq!(errno, Errno::NOMEM);
                        break;
                    }
                }
            }
            assert!((200..500).contains(&files.len()), "{} texts of 3 KiB in 1 MiB", files.len());
            // One that is read to its end gives its text back.
            while user.call(NR_READ, &[files[0], at, 4000]).unwrap() > 0 {}
            assert_eq!(user.call(NR_READ, &[*files.last().unwrap(), at, 10]), Ok(10));
            for file in files {
                user.call(NR_CLOSE, &[file]).unwrap();
            }
        };
        round(user);
        let before = left(user);
        round(user);
        round(user);
        assert_eq!(left(user), before);
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}
