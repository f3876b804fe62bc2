//! What simulated programs do again and again.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "each test file uses its part"
)]

use swos_abi::*;
use swos_kernel_sim::User;

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
    use zerocopy::IntoBytes as _;
    let at = user.stack() - 8192;
    let args = format!("{path}\0{arg}\0");
    let handle_count = handles.len() as u32;
    let handles: Vec<u8> = (0..)
        .zip(handles)
        .flat_map(|(target, &source)| {
            SpawnHandle { source: Handle(source), target, rights: u32::MAX, flags: 0, reserved: 0 }
                .as_bytes()
                .to_vec()
        })
        .collect();
    user.store(at, path.as_bytes());
    user.store(at + 1024, args.as_bytes());
    user.store(at + 2048, &handles);
    let record = SpawnArgs {
        size: 104,
        flags: 0,
        program: Handle::NONE,
        path: at,
        path_len: path.len() as u64,
        args: at + 1024,
        args_len: args.len() as u64,
        env: 0,
        env_len: 0,
        handles: at + 2048,
        handle_count,
        reserved: 0,
        capabilities: u64::MAX,
        memory_limit: 0,
        handle_limit,
        thread_limit: 0,
    };
    user.store(at + 3072, record.as_bytes());
    user.call(NR_SPAWN, &[at + 3072, 104])
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

/// Figures of the system.
pub fn figures(user: &mut User) -> SystemInfo {
    use zerocopy::FromBytes as _;
    let at = user.stack() - 4096;
    user.call(NR_SYSTEM_INFO, &[at, 112]).unwrap();
    SystemInfo::read_from_bytes(&user.load(at, 112)).unwrap()
}
