//! The log of the kernel: who said what, filters, the tail for a panic.

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
use swos_kernel_sim::{Plan, Program, Simulation, User};

fn run(programs: &[(&'static str, Program)], cpus: usize, seed: u64) -> Simulation {
    let mut simulation = Simulation::new(&Plan { cpus, frames: 8192, seed, programs, files: &[] });
    simulation.run(4_000_000);
    let text = simulation.machine().console_text();
    assert!(text.contains("all is well"), "{cpus} CPUs, seed {seed}: {text}");
    simulation
}

fn record(user: &mut User, level: u32, text: &str, fields: &[u8]) -> Result<u64, Errno> {
    let at = user.stack() - 4096;
    user.store(at, text.as_bytes());
    user.store(at + 1024, fields);
    let (len, fields_len) = (text.len() as u64, fields.len() as u64);
    user.call(NR_LOG_RECORD, &[u64::from(level), at, len, at + 1024, fields_len])
}

fn export(user: &mut User, format: u32) -> String {
    let at = map(user, 16384);
    let mut all = Vec::new();
    loop {
        let count = user.call(NR_LOG_EXPORT, &[at, at + 8, 8192, u64::from(format)]).unwrap();
        if count == 0 {
            return String::from_utf8(all).unwrap();
        }
        all.extend(user.load(at + 8, count as usize));
    }
}

#[test]
fn a_record_names_who_made_it_under_every_identity() {
    fn init(user: &mut User) {
        record(user, LOG_INFO, "first", &[]).unwrap();
        let pid = spawn(user, "/bin/other", "x").unwrap();
        wait(user, pid);
        let lines = export(user, LOG_JSON);
        let find = |text: &str| lines.lines().find(|line| line.contains(text)).unwrap().to_owned();
        assert!(find("first").contains("\"source\":\"init\",\"pid\":1,\"principal\":1,"));
        let own = format!("\"source\":\"other\",\"pid\":{pid},\"principal\":");
        assert!(find("before").contains(&format!("{own}1,")));
        assert!(find("after").contains(&format!("{own}9,")));
        assert!(find("after").ends_with("\"fields\":{\"source\":\"init\"}}"), "{lines}");
        power_off(user);
    }
    fn other(user: &mut User) {
        record(user, LOG_INFO, "before", &[]).unwrap();
        user.call(NR_LOGIN, &[9, 0]).unwrap();
        let fields = [&[0, 6, 4, 0][..], b"source", b"init"].concat();
        record(user, LOG_INFO, "after", &fields).unwrap();
        assert_eq!(record(user, LOG_INFO, "bad", &[0; 3]), Err(Errno::INVAL));
        assert_eq!(record(user, LOG_INFO, "bad", &[0; 600]), Err(Errno::TOOBIG));
    }
    for cpus in [1, 2, 4] {
        run(&[("init", init), ("other", other)], cpus, 1);
    }
}

#[test]
fn the_oldest_make_room_and_all_that_is_told_is_whole() {
    fn init(user: &mut User) {
        let text = "x".repeat(400);
        for number in 0..400 {
            record(user, LOG_DEBUG, &format!("{number} {text} end"), &[]).unwrap();
        }
        let lines = export(user, LOG_TEXT);
        let numbers: Vec<u64> = lines
            .lines()
            .inspect(|line| assert!(line.starts_with('[') && line.ends_with(" end"), "{line}"))
            .map(|line| line.split(' ').rev().nth(2).unwrap().parse().unwrap())
            .collect();
        assert!((100..200).contains(&numbers.len()), "{} lines in 64 KiB", numbers.len());
        assert!(numbers.iter().copied().eq(400 - numbers.len() as u64..400));
        power_off(user);
    }
    let simulation = run(&[("init", init)], 2, 1);
    // What a panic would show: exactly the newest, the last of them the power-off's.
    for count in [0, 1, 7, 10_000] {
        let mut lines = Vec::new();
        simulation.kernel().log_tail(count, |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
        assert!(lines.len() as u64 == count || count == 10_000 && lines.len() > 100);
        if count > 0 {
            assert!(lines.last().unwrap().ends_with("power: power off\n"));
        }
        assert_eq!(lines.iter().filter(|line| line.ends_with('\n')).count(), lines.len());
    }
}

#[test]
fn what_is_filtered_reaches_neither_ring_nor_console() {
    fn init(user: &mut User) {
        let at = user.stack() - 2048;
        user.store(at, b"init");
        user.call(NR_LOG_FILTER, &[u64::from(LOG_ERROR), at, 4]).unwrap();
        record(user, LOG_WARNING, "a secret", &[]).unwrap();
        record(user, LOG_ERROR, "a failure", &[]).unwrap();
        let lines = export(user, LOG_TEXT);
        assert!(!lines.contains("secret") && lines.contains("a failure"));
        power_off(user);
    }
    let text = run(&[("init", init)], 1, 1).machine().console_text();
    assert!(!text.contains("secret") && text.contains("[E] init: a failure"), "{text}");
}

#[test]
fn buffers_that_fault_lose_no_record() {
    fn init(user: &mut User) {
        record(user, LOG_INFO, "kept", &[]).unwrap();
        let cursor = user.stack() - 4096;
        user.store(cursor, &[0; 8]);
        assert_eq!(user.call(NR_LOG_EXPORT, &[cursor, 8, 512, 0]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_LOG_EXPORT, &[8, cursor, 512, 0]), Err(Errno::FAULT));
        assert_eq!(user.load_u64(cursor), 0);
        assert!(export(user, LOG_TEXT).contains("kept"));
        power_off(user);
    }
    run(&[("init", init)], 1, 1);
}
