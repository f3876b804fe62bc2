//! What simulated programs do again and again.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    unused_imports,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "each test file uses its part"
)]

mod ipc;

use swos_abi::*;
use swos_kernel_sim::{Faults, ImageFile, Plan, Program, Simulation, User};

pub use ipc::{Got, call, endpoint, endpoint_of_calls, mint, receive, reply, reply_receive, send};

pub fn say(user: &mut User, text: &str) {
    let at = user.stack() - 4096;
    user.store(at, text.as_bytes());
    user.call(NR_WRITE, &[1, at, text.len() as u64]).unwrap();
}

pub fn power_off(user: &mut User) {
    say(user, "all is well\n");
    user.call(NR_POWER, &[u64::from(POWER_OFF)]).unwrap();
}

pub fn spawn(user: &mut User, path: &str, arg: &str) -> Result<u64, Errno> {
    spawn_with(user, path, arg, &[0, 1, 2])
}

/// Starts a program that gets these handles as its first.
pub fn spawn_with(user: &mut User, path: &str, arg: &str, handles: &[u64]) -> Result<u64, Errno> {
    spawn_limited(user, path, arg, handles, 0)
}

/// The same, with at most so many handles open; 0 = as many as its parent.
pub fn spawn_limited(
    user: &mut User,
    path: &str,
    arg: &str,
    handles: &[u64],
    handle_limit: u32,
) -> Result<u64, Errno> {
    let handles: Vec<SpawnHandle> = (0..)
        .zip(handles)
        .map(|(target, &source)| SpawnHandle {
            source: Handle(source),
            target,
            rights: u32::MAX,
            flags: 0,
            reserved: 0,
        })
        .collect();
    spawn_as(user, path, arg, &handles, |record| record.handle_limit = handle_limit)
}

/// Starts a program with at most so many bytes of memory, and no handles.
pub fn spawn_small(user: &mut User, path: &str, arg: &str, memory_limit: u64) -> Result<u64, Errno> {
    spawn_as(user, path, arg, &[], |record| record.memory_limit = memory_limit)
}

/// Starts a program with all that `change` leaves of the caller's authority.
pub fn spawn_as(
    user: &mut User,
    path: &str,
    arg: &str,
    handles: &[SpawnHandle],
    change: impl FnOnce(&mut SpawnArgs),
) -> Result<u64, Errno> {
    start(user, NR_SPAWN, path, arg, handles, change)
}

/// Becomes another program; returns only if that can't be.
pub fn exec(user: &mut User, path: &str, arg: &str, change: impl FnOnce(&mut SpawnArgs)) -> Errno {
    start(user, NR_EXEC, path, arg, &[], change).unwrap_err()
}

fn start(
    user: &mut User,
    number: u64,
    path: &str,
    arg: &str,
    handles: &[SpawnHandle],
    change: impl FnOnce(&mut SpawnArgs),
) -> Result<u64, Errno> {
    let record = order(user, path, arg, handles, change);
    user.call(number, &[record, size_of::<SpawnArgs>() as u64])
}

/// Stores how a program is to be started, and returns where the record is.
pub fn order(
    user: &mut User,
    path: &str,
    arg: &str,
    handles: &[SpawnHandle],
    change: impl FnOnce(&mut SpawnArgs),
) -> u64 {
    use zerocopy::IntoBytes as _;
    let at = user.stack() - 8192;
    let args = format!("{path}\0{arg}\0");
    user.store(at, path.as_bytes());
    user.store(at + 1024, args.as_bytes());
    user.store(at + 2048, handles.as_bytes());
    let mut record = SpawnArgs {
        path: at,
        path_len: path.len() as u64,
        args: at + 1024,
        args_len: args.len() as u64,
        handles: at + 2048,
        handle_count: handles.len() as u32,
        capabilities: u64::MAX,
        ..SpawnArgs::EMPTY
    };
    change(&mut record);
    user.store(at + 3072, record.as_bytes());
    at + 3072
}

pub fn wait(user: &mut User, pid: u64) -> (u32, i32) {
    use zerocopy::FromBytes as _;
    let at = user.stack() - 4096;
    user.call(NR_WAIT, &[pid, 0, at]).unwrap();
    let record = ExitRecord::read_from_bytes(&user.load(at, 32)).unwrap();
    (record.cause, record.code)
}

/// Anonymous memory.
pub fn map(user: &mut User, bytes: u64) -> u64 {
    let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
    user.call(NR_MMAP, &[0, bytes, 3, flags, u64::from(u32::MAX), 0]).unwrap()
}

/// Starts a thread whose x0 is `argument`, on a stack of its own.
pub fn thread(user: &mut User, argument: u64) -> u64 {
    let stack = map(user, 16384);
    let entry = user.entry();
    user.call(NR_THREAD_CREATE, &[entry, stack + 16384 - 64, argument, 0]).unwrap()
}

/// Whether this is a further thread, and what it was given.
pub fn is_thread(user: &User) -> Option<u64> {
    (user.argument() != user.stack()).then(|| user.argument())
}

/// Waits until so many threads are left in the system.
pub fn until_threads(user: &mut User, threads: u32) {
    while figures(user).threads != threads {
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
    }
}

/// What the calling process uses.
pub fn usage(user: &mut User) -> ProcessUsage {
    use zerocopy::FromBytes as _;
    let at = user.stack() - 4096;
    user.call(NR_USAGE, &[at, size_of::<ProcessUsage>() as u64]).unwrap();
    ProcessUsage::read_from_bytes(&user.load(at, size_of::<ProcessUsage>())).unwrap()
}

/// Figures of the system.
pub fn figures(user: &mut User) -> SystemInfo {
    use zerocopy::FromBytes as _;
    let at = user.stack() - 4096;
    user.call(NR_SYSTEM_INFO, &[at, 112]).unwrap();
    SystemInfo::read_from_bytes(&user.load(at, 112)).unwrap()
}

/// Opens a path, relative to `directory`.
pub fn open_at(user: &mut User, directory: Handle, path: &str, flags: OpenFlags) -> Result<u64, Errno> {
    let at = user.stack() - 4096;
    user.store(at, path.as_bytes());
    user.call(NR_OPEN, &[directory.0, at, path.len() as u64, u64::from(flags.bits()), 0])
}

/// Opens a path for reading.
pub fn open(user: &mut User, path: &str) -> Result<u64, Errno> {
    open_at(user, Handle::CWD, path, OpenFlags::READ)
}

/// A call on a path, which is put on the stack, and further arguments.
pub fn on(user: &mut User, number: u64, path: &str, more: &[u64]) -> Result<u64, Errno> {
    let at = user.stack() - 4096;
    user.store(at, path.as_bytes());
    user.call(number, &[&[Handle::CWD.0, at, path.len() as u64], more].concat())
}

/// Makes a call that takes a directory and a path first.
pub fn at_path(user: &mut User, number: u64, directory: Handle, path: &str) -> Result<u64, Errno> {
    let at = user.stack() - 4096;
    user.store(at, path.as_bytes());
    user.call(number, &[directory.0, at, path.len() as u64, 0, at + 2048, 512])
}

/// A new pipe: reader, writer.
pub fn pipe(user: &mut User, flags: u32) -> (u64, u64) {
    let at = user.stack() - 2048;
    user.call(NR_PIPE, &[at, 16, u64::from(flags)]).unwrap();
    (user.load_u64(at), user.load_u64(at + 8))
}

/// What a process may do and for whom.
pub fn security(user: &mut User) -> SecurityInfo {
    use zerocopy::FromBytes as _;
    let at = user.stack() - 4096;
    user.call(NR_SECURITY_INFO, &[at, 16]).unwrap();
    SecurityInfo::read_from_bytes(&user.load(at, 16)).unwrap()
}

/// Closes what is given.
pub fn close(user: &mut User, handles: &[u64]) {
    for &handle in handles {
        user.call(NR_CLOSE, &[handle]).unwrap();
    }
}

/// What must be as before: free frames, open objects, processes, threads.
pub fn left(user: &mut User) -> (u64, u32, u32, u32) {
    for _ in 0..50 {
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
    }
    let info = figures(user);
    (info.memory_free + info.memory_cached, info.objects, info.processes, info.threads)
}

/// Runs programs until the machine is switched off; what the console says then.
pub fn simulate(cpus: usize, seed: u64, programs: &[(&'static str, Program)], faults: Faults) -> String {
    simulate_with(&Plan { cpus, frames: 8192, seed, programs, files: &[] }, faults)
}

/// The same with a plan of one's own.
pub fn simulate_with(plan: &Plan<'_>, faults: Faults) -> String {
    let mut simulation = Simulation::new(plan);
    simulation.machine().set_faults(faults);
    simulation.run(20_000_000);
    simulation.machine().console_text()
}

/// Runs programs on 1, 2 and 4 CPUs with several seeds; they end well.
pub fn all_well(programs: &[(&'static str, Program)], seeds: u64) {
    all_well_with(programs, seeds, &[]);
}

/// The same with these files in the image.
pub fn all_well_with(programs: &[(&'static str, Program)], seeds: u64, files: &[ImageFile]) {
    for cpus in [1, 2, 4] {
        for seed in 1..=seeds {
            let plan = Plan { cpus, frames: 8192, seed, programs, files };
            let text = simulate_with(&plan, Faults::default());
            assert!(text.contains("all is well"), "{cpus} CPUs, seed {seed}: {text}");
        }
    }
}
