//! The kernel on a simulated machine: a program that makes any calls with any arguments.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use swos_abi::{
    CALLS, Capabilities, EXIT_FAULT, ExitRecord, FileSystemInfo, Handle, MapFlags, NR_CLOSE, NR_EXIT,
    NR_FILE_SYSTEM_INFO, NR_FORK, NR_GETPID, NR_KILL, NR_LINK, NR_MEMORY_ADVISE, NR_MKDIR, NR_MKFIFO,
    NR_MMAP, NR_MUNMAP, NR_OPEN, NR_POWER, NR_PROCESS_INFO, NR_READ, NR_RENAME, NR_SENDFILE, NR_SET_SIZE,
    NR_SLEEP, NR_SPAWN, NR_STAT, NR_SYMLINK, NR_SYSTEM_INFO, NR_THREAD_CREATE, NR_UNLINK, NR_WAIT, NR_WRITE,
    POWER_OFF, ProcessInfo, SocketAddress, SpawnArgs, SpawnHandle, Stat, SystemInfo, WAIT_ANY, WAIT_NO_HANG,
};
use swos_kernel_sim::{ImageFile, Plan, Program, Simulation, User};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::input::Input;

/// A script chooses a call by one byte, of which 255 stands for a number of its own.
const _: () = assert!(CALLS.len() <= 255, "some calls would never be made");
/// Steps of a script.
const MOST_STEPS: usize = 512;
/// The memory that a script works on.
const ROOM: u64 = 64 << 10;
/// Where in it records with something sensible in them lie.
const PATHS: u64 = 0x8000;
const RECORDS: u64 = 0x9000;
const PATH_TEXTS: [&str; 16] = [
    "/",
    "/bin/leaf",
    "/bin/sleeper",
    "/script",
    "data/file",
    "/data/../data/./file",
    "/nothing",
    "/data",
    "/tmp/a",
    "/tmp/b",
    "/tmp/a/b",
    "/tmp/b/c",
    "/run/c",
    "/tmp",
    "/dev/zero",
    "/dev/full",
];

/// What init found in the end.
const VERDICT: &str = "nothing is left behind";

/// Processes that follow a script, one after the other, as long as there is something left of it.
const MOST_PROCESSES: u64 = 40;
/// Up to where a script was followed in this run: a process that dies of its call leaves the rest to the next.
static FOLLOWED: AtomicUsize = AtomicUsize::new(0);
/// Calls that scripts made, in all runs.
static MADE: AtomicU64 = AtomicU64::new(0);
/// Which calls of the table scripts made in this run, and what came of them: 0 or the errno.
static ANSWERS: Mutex<BTreeSet<Answer>> = Mutex::new(BTreeSet::new());

/// A call by its number, and what came of it: 0 if it succeeded, else the errno.
pub type Answer = (u64, i64);

/// How many calls the scripts of [`system_calls`](crate::find) made in all runs of this process.
#[must_use]
pub fn calls_made() -> u64 {
    MADE.load(Ordering::Relaxed)
}

/// Takes what came of the calls of the last run: it tells scripts apart that do something new. Empty after runs of other targets.
#[must_use]
pub fn take_answers() -> BTreeSet<Answer> {
    core::mem::take(&mut told())
}

fn told() -> MutexGuard<'static, BTreeSet<Answer>> {
    ANSWERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A script for a program: the kernel never panics, loses no wake-up, and after the program's end every frame is back.
/// The first byte chooses processors and interleaving.
pub(super) fn system_calls(data: &[u8]) {
    told().clear();
    FOLLOWED.store(0, Ordering::Relaxed);
    let mut input = Input::new(data);
    let choice = input.u8();
    let script = input.rest();
    let files = [
        ImageFile { path: "script".into(), bytes: script.iter().copied().take(4000).collect() },
        ImageFile {
            path: "data/file".into(),
            bytes: (0..10_000_u32).map(|at| at.to_le_bytes()[0]).collect(),
        },
    ];
    let programs: [(&'static str, Program); 4] =
        [("init", init), ("leaf", |_| {}), ("sleeper", sleeper), ("caller", caller)];
    let plan = Plan {
        cpus: if choice & 1 == 0 { 1 } else { 2 },
        frames: 4096,
        seed: u64::from(choice >> 1) + 1,
        programs: &programs,
        files: &files,
    };
    let mut simulation = Simulation::new(&plan);
    simulation.run(20_000_000);
    let text = simulation.machine().console_text();
    assert!(text.contains(VERDICT), "{text}");
}

/// Runs the script's process and looks whether anything of it is left.
fn init(user: &mut User) {
    if user.call(NR_GETPID, &[]) != Ok(1) {
        // A script started the wrong program.
        return;
    }
    // Once for what stays: pages of programs and files.
    for path in ["/bin/leaf", "/bin/sleeper", "/bin/caller"] {
        let pid = spawn(user, path, "idle").expect("the first processes start");
        reap(user, pid, 5);
    }
    let before = free_frames(user);
    let (length, mut last) = (script_length(user), None);
    for _ in 0..MOST_PROCESSES {
        let at = FOLLOWED.load(Ordering::Relaxed);
        if last.replace(at) == Some(at) || at >= length {
            break;
        }
        let pid = spawn(user, "/bin/caller", "go").expect("the script's process starts");
        reap(user, pid, 20);
        end_everybody(user);
    }
    let after = free_frames(user);
    // What it left in files it may leave. The target of a link counts as a page there, but takes no frame.
    let (pages, nodes) = ["/tmp", "/run"]
        .map(|path| held(user, path))
        .iter()
        .fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1));
    let missing = before.wrapping_sub(after).cast_signed() / 4096;
    let (files, links) = (i64::try_from(pages).unwrap(), i64::try_from(nodes).unwrap());
    let possible = files - links..=files;
    assert!(possible.contains(&missing), "frames were lost or made up: {missing}, {files} in {links} files");
    say(user, VERDICT);
    let _ = user.call(NR_POWER, &[u64::from(POWER_OFF)]);
}

fn script_length(user: &mut User) -> usize {
    let at = user.stack() - 4096;
    user.store(at, b"/script");
    let record = at + 64;
    let size = size_of::<Stat>() as u64;
    user.call(NR_STAT, &[Handle::CWD.0, at, 7, 0, record, size]).expect("the script is there");
    let stat = Stat::read_from_bytes(&user.load(record, size_of::<Stat>())).unwrap();
    usize::try_from(stat.size).unwrap()
}

fn sleeper(user: &mut User) {
    let _ = user.call(NR_SLEEP, &[u64::MAX / 4]);
}

/// Waits for a child, so many hundredths of a second; then kills it.
fn reap(user: &mut User, pid: u64, patience: u32) {
    for _ in 0..patience {
        let at = user.stack() - 4096;
        match user.call(NR_WAIT, &[pid, u64::from(WAIT_NO_HANG), at]) {
            Ok(0) => {}
            Ok(_) => return,
            Err(errno) => panic!("wait: {errno:?}"),
        }
        user.call(NR_SLEEP, &[10_000_000]).expect("sleeping works");
    }
    user.call(NR_KILL, &[pid, 9]).expect("a child can be killed");
    let at = user.stack() - 4096;
    assert_eq!(user.call(NR_WAIT, &[pid, 0, at]), Ok(pid));
    let record = ExitRecord::read_from_bytes(&user.load(at, size_of::<ExitRecord>())).unwrap();
    // Either of the kill, or by itself just before.
    assert!(u64::from(record.pid) == pid && record.cause <= EXIT_FAULT, "{record:?}");
}

/// Ends what the script left: orphans belong to init.
fn end_everybody(user: &mut User) {
    let at = user.stack() - 4096;
    let mut next = 2;
    while let Ok(pid @ 2..) = user.call(NR_PROCESS_INFO, &[next, at, size_of::<ProcessInfo>() as u64]) {
        let _ = user.call(NR_KILL, &[pid, 9]);
        next = pid + 1;
    }
    while user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).is_ok() {}
    assert_eq!(figures(user).processes, 1, "a process that can't be ended");
}

fn figures(user: &mut User) -> SystemInfo {
    let at = user.stack() - 4096;
    user.call(NR_SYSTEM_INFO, &[at, size_of::<SystemInfo>() as u64]).expect("figures are there");
    SystemInfo::read_from_bytes(&user.load(at, size_of::<SystemInfo>())).unwrap()
}

/// Free frames once teardown has caught up, cached pages counted in.
fn free_frames(user: &mut User) -> u64 {
    for _ in 0..50 {
        user.call(NR_SLEEP, &[1_000_000]).expect("sleeping works");
    }
    let figures = figures(user);
    figures.memory_free + figures.memory_cached
}

/// Pages and nodes in a file system.
fn held(user: &mut User, path: &str) -> (u64, u64) {
    let at = user.stack() - 4096;
    user.store(at, path.as_bytes());
    let arguments = [Handle::CWD.0, at, path.len() as u64, at + 64, size_of::<FileSystemInfo>() as u64];
    user.call(NR_FILE_SYSTEM_INFO, &arguments).expect("it is mounted");
    (user.load_u64(at + 64 + 24), user.load_u64(at + 64 + 40))
}

fn say(user: &mut User, text: &str) {
    let at = user.stack() - 4096;
    user.store(at, text.as_bytes());
    let _ = user.call(swos_abi::NR_WRITE, &[1, at, text.len() as u64]);
}

fn spawn_record(at: u64, path: u64, path_len: u64) -> SpawnArgs {
    SpawnArgs {
        path,
        path_len,
        args: at + 1024,
        handles: at + 512,
        handle_count: 3,
        // All but to switch the machine off: init has the last word.
        capabilities: !Capabilities::CONSOLE.bits(),
        ..SpawnArgs::EMPTY
    }
}

fn spawn(user: &mut User, path: &str, arg: &str) -> Result<u64, swos_abi::Errno> {
    let at = user.stack() - 8192;
    store_handles(user, at + 512);
    user.store(at + 2048, path.as_bytes());
    let args = format!("{path}\0{arg}\0");
    user.store(at + 1024, args.as_bytes());
    let mut record = spawn_record(at, at + 2048, path.len() as u64);
    record.args_len = args.len() as u64;
    user.store(at, record.as_bytes());
    user.call(NR_SPAWN, &[at, size_of::<SpawnArgs>() as u64])
}

fn store_handles(user: &mut User, at: u64) {
    for slot in 0..3_u32 {
        let source = Handle(slot.into());
        let handle = SpawnHandle { source, target: slot, rights: u32::MAX, flags: 0, reserved: 0 };
        let size = size_of::<SpawnHandle>() as u64;
        user.store(at + u64::from(slot) * size, handle.as_bytes());
    }
}

/// The program of the script.
fn caller(user: &mut User) {
    if user.argument() != user.stack() {
        // A thread of the script: a piece of it, without further threads.
        let seed = user.argument().to_le_bytes();
        let mut interpreter =
            Interpreter { room: user.stack() & !0xffff, results: [0; 8], threads: 0, length: None };
        let mut input = Input::new(&seed);
        for _ in 0..4 {
            interpreter.step(user, &mut input);
        }
        return;
    }
    if user.args().get(1).map(String::as_str) != Some("go") {
        return;
    }
    let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
    let room = user.call(NR_MMAP, &[0, ROOM, 3, flags, Handle::NONE.0, 0]).expect("memory for the script");
    let path = b"/script";
    user.store(room, path);
    let cwd = Handle::CWD.0;
    let file = user.call(NR_OPEN, &[cwd, room, path.len() as u64, 1, 0]).expect("the script is there");
    let len = user.call(NR_READ, &[file, room, 4096]).expect("the script can be read");
    let script = user.load(room, usize::try_from(len).unwrap());
    let mut texts = [0; 64 * PATH_TEXTS.len()];
    for (place, text) in texts.chunks_mut(64).zip(PATH_TEXTS) {
        place[..text.len()].copy_from_slice(text.as_bytes());
    }
    user.store(room + PATHS, &texts);
    let mut interpreter = Interpreter { room, results: [file; 8], threads: 3, length: Some(script.len()) };
    let mut input = Input::new(&script);
    input.bytes(FOLLOWED.load(Ordering::Relaxed));
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        interpreter.step(user, &mut input);
    }
    let _ = user.call(NR_EXIT, &[0]);
}

struct Interpreter {
    room: u64,
    results: [u64; 8],
    /// Threads that may still be made.
    threads: u32,
    /// That of the whole script, for who follows it.
    length: Option<usize>,
}

impl Interpreter {
    /// Notes how far the script was followed: what comes next may be the end of the process.
    fn pass(&self, input: Input<'_>) {
        if let Some(length) = self.length {
            FOLLOWED.store(length - input.rest().len(), Ordering::Relaxed);
        }
    }

    fn step(&mut self, user: &mut User, input: &mut Input<'_>) {
        let op = input.u8();
        self.pass(*input);
        match op % 16 {
            0 => {
                let at = self.place(input);
                let len = usize::from(input.u8());
                let bytes = input.bytes(len);
                self.pass(*input);
                user.store(at, bytes);
            }
            1 => {
                let at = self.place(input);
                let len = usize::from(input.u8()) + 1;
                self.pass(*input);
                user.load(at, len);
            }
            2 => user.spin(u64::from(input.u16()) << 8),
            3 => self.record(user, input),
            _ => {
                let number = match input.u8() {
                    255 => input.u64(),
                    at => CALLS[usize::from(at) % CALLS.len()].number,
                };
                let row = CALLS.iter().find(|row| row.number == number);
                let takes = row.map_or(6, |row| row.arguments.len());
                let mut arguments = [0; 6];
                arguments[..takes].fill_with(|| self.value(input));
                if number == NR_THREAD_CREATE {
                    if self.threads == 0 {
                        return;
                    }
                    self.threads -= 1;
                }
                self.pass(*input);
                // Before it: an exit has no answer.
                MADE.fetch_add(1, Ordering::Relaxed);
                let result = user.call(number, &arguments);
                if row.is_some() {
                    told().insert((number, result.err().map_or(0, |errno| i64::from(errno.get()))));
                }
                self.results[usize::from(op >> 5)] = result.unwrap_or(u64::MAX);
            }
        }
    }

    /// A record with something sensible in it.
    fn record(&self, user: &mut User, input: &mut Input<'_>) {
        let at = self.room + RECORDS;
        let path = u64::from(input.u8() % 16);
        let len = PATH_TEXTS[usize::try_from(path).unwrap()].len() as u64;
        store_handles(user, at + 512);
        user.store(at, spawn_record(at, self.room + PATHS + 64 * path, len).as_bytes());
        let address = SocketAddress::ipv4([127, 0, 0, 1], 80 + u16::from(input.u8() % 2));
        user.store(at + 0x200, address.as_bytes());
    }

    /// Where to load or store: seldom where that is the end of the process.
    fn place(&self, input: &mut Input<'_>) -> u64 {
        match input.u8() {
            0..8 => self.value(input),
            at => self.room + 256 * u64::from(at - 8),
        }
    }

    /// An argument: what programs pass, what they should not, and what they know.
    fn value(&self, input: &mut Input<'_>) -> u64 {
        match input.u8() % 20 {
            0 => 0,
            1 | 2 => u64::from(input.u8()),
            3 => u64::from(input.u16()),
            4 => input.u64(),
            5..=7 => self.room + u64::from(input.u16()),
            8 => self.room + PATHS + 64 * u64::from(input.u8() % 16),
            9 => self.room + RECORDS,
            10 => self.room + ROOM - u64::from(input.u8()),
            11 | 12 => self.results[usize::from(input.u8() % 8)],
            13 => Handle::CWD.0,
            14 => Handle::NONE.0,
            15 => 1 << (input.u8() % 64),
            16 => (1_u64 << (input.u8() % 64)).wrapping_neg(),
            17 => 0xffff_0000_0000_0000 | u64::from(input.u32()),
            18 => u64::from(input.u16()) << 12,
            _ => self.room + RECORDS + 0x200,
        }
    }
}

pub(super) fn system_calls_seeds() -> Vec<Vec<u8>> {
    let number = |wanted: u64| {
        let at = CALLS.iter().position(|row| row.number == wanted).unwrap();
        u8::try_from(at).unwrap()
    };
    // Each call once: with zeros, with the script's file and memory, and with nonsense.
    let with = |argument: [u8; 2]| {
        let calls = CALLS.iter().filter(|row| ![NR_EXIT, NR_POWER].contains(&row.number));
        let calls = calls
            .flat_map(|row| [&[4, number(row.number)][..], &argument.repeat(row.arguments.len())].concat());
        calls.collect::<Vec<u8>>()
    };
    let chunks = |bytes: Vec<u8>| bytes.chunks(200).map(|chunk| [&[0], chunk].concat()).collect::<Vec<_>>();
    let mut seeds = [with([1, 0]), with([1, 3]), with([11, 0]), with([5, 0])].map(chunks).concat();
    // A child that sleeps, a child that ends, two threads, a wait.
    let spawn = |path| [3, path, 0, 4, number(NR_SPAWN), 9, 1, 104];
    let thread = [4, number(NR_THREAD_CREATE), 18, 0, 0, 10, 64, 15, 40, 0];
    // Files: made, written, cut, sent, renamed, linked, removed while they are open.
    let path = |at: u8| [13, 8, at, 1, u8::try_from(PATH_TEXTS[usize::from(at)].len()).unwrap()];
    let two = |wanted, from, to| [&[4, number(wanted)][..], &path(from), &path(to)].concat();
    let open =
        |at, flags: u8| [&[4 | 1 << 5, number(NR_OPEN)][..], &path(at), &[1, flags, 3, 0x80, 1]].concat();
    let write = [4, number(NR_WRITE), 11, 1, 5, 0, 0, 3, 0, 0x70];
    let files = [
        open(8, 0x43),
        write.to_vec(),
        vec![4, number(NR_SET_SIZE), 11, 1, 3, 99, 9],
        two(NR_LINK, 8, 9),
        two(NR_RENAME, 9, 8),
        two(NR_RENAME, 8, 9),
        vec![4, number(NR_SENDFILE), 11, 1, 11, 1, 0, 3, 0, 0x20, 0, 0],
        [&[4, number(NR_UNLINK)][..], &path(9), &[0]].concat(),
        write.to_vec(),
        [&[4, number(NR_MKDIR)][..], &path(8), &[3, 0xC0, 1]].concat(),
        open(10, 0x43),
        write.to_vec(),
        [&[4, number(NR_SYMLINK)][..], &path(3)[1..], &path(9)].concat(),
        [&[4, number(NR_MKFIFO)][..], &path(12), &[3, 0x80, 1]].concat(),
        open(12, 1),
    ];
    seeds.push([vec![0], files.concat()].concat());
    // A file that is mapped, shared and private: stored into, written from itself, copied with the process, cut, removed.
    let mmap = |slot: u8, flags| [4 | slot << 5, number(NR_MMAP), 0, 3, 0, 0x50, 1, 3, 1, flags, 11, 1, 0];
    let store = |slot| [0, 11, slot, 4, 1, 2, 3, 4];
    let mapped = [
        open(8, 0x43),
        vec![4, number(NR_SET_SIZE), 11, 1, 3, 9, 0x50],
        mmap(2, 1).to_vec(),
        mmap(3, 2).to_vec(),
        store(2).to_vec(),
        store(3).to_vec(),
        vec![4, number(NR_WRITE), 11, 1, 11, 2, 3, 0, 0x40],
        vec![4, number(NR_FORK)],
        vec![4, number(NR_SET_SIZE), 11, 1, 3, 9, 0x10],
        store(2).to_vec(),
        vec![4, number(NR_MEMORY_ADVISE), 11, 3, 3, 0, 0x50, 1, 4],
        [&[4, number(NR_UNLINK)][..], &path(8), &[0]].concat(),
        vec![4, number(NR_CLOSE), 11, 1],
        store(3).to_vec(),
        vec![4, number(NR_MUNMAP), 11, 2, 3, 0, 0x30],
    ];
    for start in 0..4 {
        seeds.push([vec![start], mapped.concat()].concat());
    }
    seeds.push([&[1][..], &spawn(2), &spawn(1), &thread, &[4, number(NR_WAIT), 0, 0, 0]].concat());
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_make_every_call() {
        let drawn: BTreeSet<u64> = (0..255).map(|byte| CALLS[byte % CALLS.len()].number).collect();
        assert!(CALLS.iter().all(|row| drawn.contains(&row.number)), "one is never drawn");
    }

    #[test]
    fn the_seeds_make_every_call_that_has_an_answer() {
        let mut made = BTreeSet::new();
        for seed in system_calls_seeds() {
            system_calls(&seed);
            made.extend(take_answers().into_iter().map(|(number, _)| number));
        }
        // They end the process, or wait for what does not come.
        let without = [
            NR_EXIT,
            NR_POWER,
            swos_abi::NR_THREAD_EXIT,
            swos_abi::NR_SIGNAL_RETURN,
            swos_abi::NR_SIGNAL_SUSPEND,
        ];
        let missing: Vec<_> = CALLS.iter().filter(|row| !made.contains(&row.number)).collect();
        assert!(missing.iter().all(|row| without.contains(&row.number)), "{missing:?}");
    }
}
