//! Booting, processes, memory, files: one behaviour each, over 1, 2 and 4 CPUs and several seeds.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{power_off, spawn, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, ImageFile, Plan, Program, Simulation, User};

fn simulate(programs: &[(&'static str, Program)], files: &[ImageFile]) {
    simulate_saying(programs, files, &["all is well"]);
}

/// The same, and each of these is said on the console.
fn simulate_saying(programs: &[(&'static str, Program)], files: &[ImageFile], said: &[&str]) {
    for cpus in [1, 2, 4] {
        for seed in 1..6 {
            let plan = Plan { cpus, frames: 4096, seed, programs, files };
            let text = common::simulate_with(&plan, Faults::default());
            for part in said {
                assert!(text.contains(part), "{cpus} CPUs, seed {seed}, no {part:?}: {text}");
            }
        }
    }
}

#[test]
fn init_runs_and_switches_off() {
    simulate(&[("init", power_off)], &[]);
}

#[test]
fn children_are_waited_for_with_their_status() {
    fn init(user: &mut User) {
        for code in [0, 7, 255] {
            let pid = spawn(user, "/bin/child", &code.to_string()).unwrap();
            assert_eq!(wait(user, pid), (0, code));
        }
        assert_eq!(user.call(NR_WAIT, &[WAIT_ANY, 0, 0]), Err(Errno::CHILD));
        power_off(user);
    }
    fn child(user: &mut User) {
        let code = user.args()[1].parse::<u64>().unwrap();
        user.call(NR_EXIT, &[code]).unwrap();
    }
    simulate(&[("init", init), ("child", child)], &[]);
}

#[test]
fn a_call_that_does_not_exist_ends_with_its_process() {
    fn init(user: &mut User) {
        for _ in 0..10 {
            let pid = spawn(user, "/bin/caller", "").unwrap();
            user.call(NR_SLEEP, &[20_000]).unwrap();
            user.call(NR_KILL, &[pid, 9]).unwrap();
            assert_eq!(wait(user, pid), (1, 9));
        }
        power_off(user);
    }
    fn caller(user: &mut User) {
        loop {
            // The process may end at any moment before the number is looked at.
            assert_eq!(user.call(1 << 40, &[0; 6]), Err(Errno::NOSYS));
            assert_eq!(user.call(NR_HANDLE_DUPLICATE, &[u64::MAX, u64::MAX]), Err(Errno::INVAL));
        }
    }
    simulate(&[("init", init), ("caller", caller)], &[]);
}

#[test]
fn what_goes_wrong_ends_the_program_and_nothing_else() {
    fn init(user: &mut User) {
        for (name, cause, code) in [("null", 1, 11), ("text", 1, 11), ("kernel", 1, 11), ("stack", 1, 11)] {
            let pid = spawn(user, "/bin/bad", name).unwrap();
            assert_eq!(wait(user, pid), (cause, code), "{name}");
        }
        power_off(user);
    }
    fn bad(user: &mut User) {
        match user.args()[1].as_str() {
            "null" => drop(user.load(8, 8)),
            "text" => user.store(user.entry(), &[0]),
            "kernel" => drop(user.load(0xFFFF_0000_0000_1000, 8)),
            "stack" => {
                let mut at = user.stack();
                loop {
                    at -= 4096;
                    user.store(at, &[1]);
                }
            }
            other => panic!("{other}"),
        }
    }
    let said = [
        "): read of unmapped memory at 0x8, pc 0x",
        "): write to read-only memory at 0x",
        "): read of unmapped memory at 0xffff000000001000, pc 0x",
        "): stack overflow at 0x",
        "all is well",
    ];
    simulate_saying(&[("init", init), ("bad", bad)], &[], &said);
}

#[test]
fn fresh_memory_is_zero_and_mappings_come_and_go() {
    fn init(user: &mut User) {
        let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
        let rw = u64::from((Protection::READ | Protection::WRITE).bits());
        for pages in [1, 3, 64] {
            let at = user.call(NR_MMAP, &[0, pages * 4096, rw, flags, u64::from(u32::MAX), 0]).unwrap();
            for page in 0..pages {
                assert_eq!(user.load_u64(at + page * 4096 + 8), 0);
                user.store(at + page * 4096, &[1, 2, 3]);
            }
            assert_eq!(user.call(NR_MPROTECT, &[at, 4096, 7]), Err(Errno::ACCES));
            user.call(NR_MPROTECT, &[at, 4096, 1]).unwrap();
            assert_eq!(user.call(NR_RANDOM, &[at, 16]), Err(Errno::FAULT));
            user.call(NR_MUNMAP, &[at, pages * 4096]).unwrap();
            assert_eq!(user.call(NR_RANDOM, &[at, 16]), Err(Errno::FAULT));
        }
        power_off(user);
    }
    simulate(&[("init", init)], &[]);
}

/// Reads `/data/big`, maps it, can't write it.
fn read_big(user: &mut User) {
    let path = user.stack() - 4096;
    user.store(path, b"/data/big");
    let handle = user.call(NR_OPEN, &[Handle::CWD.0, path, 9, 1, 0]).unwrap();
    let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
    let buffer = user.call(NR_MMAP, &[0, 1 << 20, 3, flags, u64::from(u32::MAX), 0]).unwrap();
    let mut read = Vec::new();
    loop {
        let count = user.call(NR_READ, &[handle, buffer, 30_000]).unwrap();
        if count == 0 {
            break;
        }
        read.extend(user.load(buffer, usize::try_from(count).unwrap()));
    }
    assert_eq!(read, big());
    let private = u64::from(MapFlags::PRIVATE.bits());
    let mapped = user.call(NR_MMAP, &[0, read.len() as u64, 1, private, handle, 0]).unwrap();
    assert_eq!(user.load(mapped + 5000, 9000), read[5000..14000]);
    assert_eq!(user.call(NR_WRITE, &[handle, buffer, 1]), Err(Errno::ACCES));
    user.call(NR_CLOSE, &[handle]).unwrap();
    assert_eq!(user.call(NR_READ, &[handle, buffer, 1]), Err(Errno::BADF));
    power_off(user);
}

#[test]
fn files_are_read_as_they_were_packed() {
    simulate(&[("init", read_big)], &[ImageFile { path: "data/big".into(), bytes: big() }]);
}

/// An image of version 3 is there as a whole before its first byte is used, or not at all.
#[test]
fn an_image_of_version_3_is_verified_as_a_whole_and_kept() {
    let files = [
        ImageFile { path: "data/big".into(), bytes: big() },
        ImageFile { path: "data/empty".into(), bytes: Vec::new() },
        ImageFile { path: "a-file-before-its-directory".into(), bytes: vec![7; 2 << 20 | 1] },
    ];
    let boot = |disk: Vec<u8>, frames, cpus, seed| {
        let programs: &[(&'static str, Program)] = &[("init", read_big)];
        let plan = Plan { cpus, frames, seed, programs, files: &files };
        let mut simulation = Simulation::with_disk(&plan, disk);
        simulation.run(2_000_000);
        simulation.machine().console_text()
    };
    let plan = Plan { cpus: 1, frames: 4096, seed: 1, programs: &[("init", read_big)], files: &files };
    let disk = Simulation::disk_of_version_3(&plan);
    for cpus in [1, 2, 4] {
        for seed in 1..4 {
            let text = boot(disk.clone(), 4096, cpus, seed);
            assert!(text.contains("all is well"), "{cpus} CPUs, seed {seed}: {text}");
        }
    }
    // Header, an entry, the last file, and what fills the last block up.
    let last_file = disk.iter().rposition(|&byte| byte != 0).unwrap();
    for at in [16, 100, last_file, disk.len() - 1] {
        let mut changed = disk.clone();
        changed[at] ^= 1;
        let text = boot(changed, 4096, 2, 1);
        assert!(text.contains("base image refused") && !text.contains("all is well"), "byte {at}: {text}");
    }
    let text = boot(disk[..disk.len() - 4096].to_vec(), 4096, 2, 1);
    assert!(text.contains("base image refused"), "{text}");
    // Not twice its size in memory: what was read is given back for what is kept.
    let pages = disk.len() / 4096;
    let text = boot(disk.clone(), pages - 14, 2, 1);
    assert!(text.contains("base image refused: out of memory"), "{text}");
    let text = boot(disk, pages + 150, 2, 1);
    assert!(text.contains("all is well"), "{text}");
}

fn big() -> Vec<u8> {
    (0..100_003_u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

#[test]
fn the_system_disk_is_known_by_what_is_on_it() {
    let plan = Plan { cpus: 2, frames: 4096, seed: 1, programs: &[("init", power_off)], files: &[] };
    let foreign = || [vec![], vec![0x5A; 3 * 4096], vec![0; 4096]];
    let image = Simulation::disk_of(&plan);
    let mut simulation = Simulation::with_disk(&plan, vec![0; 100]);
    foreign().into_iter().chain([image]).for_each(|disk| simulation.add_disk(disk));
    simulation.run(2_000_000);
    assert!(simulation.machine().console_text().contains("all is well"));
    // Nobody's: it says so and ends.
    let mut simulation = Simulation::with_disk(&plan, vec![1; 8192]);
    foreign().into_iter().for_each(|disk| simulation.add_disk(disk));
    assert_eq!(simulation.run(2_000_000), 1);
    assert!(simulation.machine().console_text().contains("base image refused"));
}
