//! Each call without a frame at each place where it might need one, and with a kill at many moments: it succeeds, in part perhaps, or says that
//! memory is out; and nothing of it is left.
//!
//! `spawn`, `exec` and `fork` have their own such tests beside what else they promise.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use core::cell::Cell;

use common::*;
use swos_abi::*;
use swos_kernel_sim::{Faults, User};
use zerocopy::IntoBytes as _;

const PAGE: u64 = 4096;
const NOBODY: u64 = u32::MAX as u64;
const READ_WRITE: u64 = 3;
/// Where deeds make files.
const NAMES: [&str; 2] = ["/tmp/one", "/tmp/two"];

/// How the calls of a deed are made.
#[derive(Default)]
struct Try {
    /// From which allocation of a frame on all of them fail, during each call; 0 = none does.
    countdown: u64,
    /// A call came so far.
    reached: Cell<bool>,
    refused: Cell<u32>,
}

impl Try {
    fn call(&self, user: &mut User, number: u64, arguments: &[u64]) -> Option<u64> {
        if self.countdown == 0 {
            return Some(user.call(number, arguments).unwrap_or_else(|errno| panic!("{number}: {errno}")));
        }
        user.fail_frame_after(self.countdown);
        let result = user.call(number, arguments);
        if user.fail_frame_after(0) == 1 {
            self.reached.set(true);
        }
        match result {
            Ok(value) => Some(value),
            Err(Errno::NOMEM | Errno::NOSPC | Errno::NOBUFS) => {
                self.refused.set(self.refused.get() + 1);
                None
            }
            Err(errno) => panic!("call {number} without frame {}: {errno}", self.countdown),
        }
    }

    /// A call that is given a path, which lies in memory already.
    fn at_path(&self, user: &mut User, number: u64, path: &str, rest: &[u64]) -> Option<u64> {
        let at = user.stack() - 4096;
        user.store(at, path.as_bytes());
        let arguments = [&[Handle::CWD.0, at, path.len() as u64], rest].concat();
        self.call(user, number, &arguments)
    }

    fn open(&self, user: &mut User, path: &str, flags: OpenFlags) -> Option<u64> {
        self.at_path(user, NR_OPEN, path, &[u64::from(flags.bits()), 0o600])
    }
}

/// Calls with what they need before, and what is taken back after.
type Deed = fn(&mut User, &Try);

const DEEDS: &[(&str, Deed)] = &[
    ("memory", memory),
    ("objects", objects),
    ("files", files),
    ("names", names),
    ("reads", reads),
    ("pipes", pipes),
    ("pairs", pairs),
    ("sockets", sockets),
    ("counters", counters),
    ("messages", messages),
    ("loans", loans),
    ("threads", threads),
    ("texts", texts),
];

fn new_file() -> OpenFlags {
    OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE
}

/// Fresh memory, no page of which is there yet.
fn fresh(user: &mut User, pages: u64) -> u64 {
    map(user, pages * PAGE)
}

fn unmap(user: &mut User, at: u64, pages: u64) {
    user.call(NR_MUNMAP, &[at, pages * PAGE]).unwrap();
}

/// Bytes that a call can take from without a fault.
fn full(user: &mut User, pages: u64) -> u64 {
    let at = fresh(user, pages);
    (0..pages).for_each(|page| user.store(at + page * PAGE, &[7; 64]));
    at
}

fn unlink(user: &mut User, path: &str) {
    if at_path(user, NR_UNLINK, Handle::CWD, path) == Err(Errno::ISDIR) {
        let at = user.stack() - 4096;
        let flags = u64::from(UNLINK_DIRECTORY);
        user.call(NR_UNLINK, &[Handle::CWD.0, at, path.len() as u64, flags]).unwrap();
    }
}

fn close_all(user: &mut User, handles: &[Option<u64>]) {
    handles.iter().flatten().for_each(|&handle| close(user, &[handle]));
}

/// A pair of handles that a call stored, if it did.
fn two(user: &mut User, made: Option<u64>, at: u64) -> [Option<u64>; 2] {
    [0, 8].map(|offset| made.map(|_| user.load_u64(at + offset)))
}

fn memory(user: &mut User, attempt: &Try) {
    let zero = open(user, "/dev/zero").unwrap();
    let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
    let far = 1_u64 << 40;
    // With tables of its own, far from all else.
    if let Some(at) = attempt.call(user, NR_MMAP, &[far, 8 * PAGE, READ_WRITE, flags, NOBODY, 0]) {
        attempt.call(user, NR_READ, &[zero, at, 3 * PAGE]);
        attempt.call(user, NR_MPROTECT, &[at + PAGE, PAGE, 1]);
        attempt.call(user, NR_MEMORY_ADVISE, &[at, PAGE, u64::from(ADVISE_DISCARD)]);
        attempt.call(user, NR_MUNMAP, &[at + 2 * PAGE, PAGE]);
        unmap(user, at, 8);
    }
    if let Some(at) = attempt.call(user, NR_MMAP, &[0, 1 << 30, 0, flags, NOBODY, 0]) {
        if attempt.call(user, NR_MPROTECT, &[at + (1 << 29), 2 * PAGE, READ_WRITE]).is_some() {
            attempt.call(user, NR_READ, &[zero, at + (1 << 29), 2 * PAGE]);
        }
        user.call(NR_MUNMAP, &[at, 1 << 30]).unwrap();
    }
    close(user, &[zero]);
}

fn objects(user: &mut User, attempt: &Try) {
    let zero = open(user, "/dev/zero").unwrap();
    let object = attempt.call(user, NR_MEMORY_CREATE, &[8 * PAGE, 0]);
    if let Some(object) = object {
        let shared = u64::from(MapFlags::SHARED.bits());
        if let Some(at) = attempt.call(user, NR_MMAP, &[0, 8 * PAGE, READ_WRITE, shared, object, 0]) {
            attempt.call(user, NR_READ, &[zero, at, 5 * PAGE]);
            attempt.call(user, NR_MEMORY_ADVISE, &[at, PAGE, u64::from(ADVISE_DISCARD)]);
            attempt.call(user, NR_MEMORY_RESIZE, &[object, 2 * PAGE]);
            attempt.call(user, NR_MEMORY_RESIZE, &[object, 1 << 20]);
            unmap(user, at, 8);
        }
    }
    close_all(user, &[object, Some(zero)]);
}

fn files(user: &mut User, attempt: &Try) {
    let from = full(user, 5);
    let file = attempt.open(user, NAMES[0], new_file());
    if let Some(file) = file {
        attempt.call(user, NR_WRITE, &[file, from, 3 * PAGE + 5]);
        // Far behind its end.
        attempt.call(user, NR_PWRITE, &[file, from, PAGE, 1 << 24]);
        attempt.call(user, NR_SET_SIZE, &[file, 5]);
        attempt.call(user, NR_SET_SIZE, &[file, 1 << 30]);
        attempt.call(user, NR_PREAD, &[file, from, 2 * PAGE, 0]);
        let pieces = user.stack() - 2048;
        let piece = |index| MemoryPiece { address: from + index * PAGE, length: PAGE };
        user.store(pieces, [piece(0), piece(2)].as_bytes());
        attempt.call(user, NR_WRITEV, &[file, pieces, 2]);
        attempt.call(user, NR_SYNC, &[file]);
    }
    close_all(user, &[file]);
    unlink(user, NAMES[0]);
    unmap(user, from, 5);
}

fn names(user: &mut User, attempt: &Try) {
    let at = user.stack() - 8192;
    let (one, two) = (at, at + 256);
    user.store(one, NAMES[0].as_bytes());
    user.store(two, NAMES[1].as_bytes());
    let pair = [Handle::CWD.0, one, NAMES[0].len() as u64, Handle::CWD.0, two, NAMES[1].len() as u64];
    for (number, mode) in [(NR_MKDIR, 0o700), (NR_MKFIFO, 0o600)] {
        if attempt.at_path(user, number, NAMES[0], &[mode]).is_some() {
            attempt.call(user, NR_RENAME, &pair);
        }
        NAMES.iter().for_each(|name| unlink(user, name));
    }
    attempt.call(user, NR_SYMLINK, &[two, NAMES[1].len() as u64, pair[0], pair[1], pair[2]]);
    unlink(user, NAMES[0]);
    let file = attempt.open(user, NAMES[0], new_file());
    if file.is_some() {
        attempt.call(user, NR_LINK, &pair);
        attempt.at_path(user, NR_SET_MODE, NAMES[0], &[0, 0o640]);
    }
    close_all(user, &[file]);
    NAMES.iter().for_each(|name| unlink(user, name));
}

fn reads(user: &mut User, attempt: &Try) {
    let into = fresh(user, 8);
    let program = attempt.open(user, "/bin/init", OpenFlags::READ);
    if let Some(program) = program {
        attempt.call(user, NR_PREAD, &[program, into, PAGE, 0]);
        let private = u64::from(MapFlags::PRIVATE.bits());
        if let Some(at) = attempt.call(user, NR_MMAP, &[0, PAGE, 1, private, program, 0]) {
            let null = open_at(user, Handle::CWD, "/dev/null", OpenFlags::WRITE).unwrap();
            attempt.call(user, NR_WRITE, &[null, at, 64]);
            close(user, &[null]);
            unmap(user, at, 1);
        }
        attempt.call(user, NR_FSTAT, &[program, into + PAGE, 64]);
    }
    let directory = attempt.open(user, "/bin", OpenFlags::READ | OpenFlags::DIRECTORY);
    if let Some(directory) = directory {
        attempt.call(user, NR_READDIR, &[directory, into + 2 * PAGE, PAGE]);
    }
    attempt.at_path(user, NR_STAT, "/bin/init", &[0, into + 3 * PAGE, 64]);
    attempt.call(user, NR_GETCWD, &[into + 4 * PAGE, 64]);
    attempt.call(user, NR_RANDOM, &[into + 5 * PAGE, 64]);
    attempt.call(user, NR_SYSTEM_INFO, &[into + 6 * PAGE, 64]);
    close_all(user, &[program, directory]);
    unmap(user, into, 8);
}

fn pipes(user: &mut User, attempt: &Try) {
    let (from, into) = (full(user, 12), fresh(user, 12));
    let ends = user.stack() - 2048;
    let made = attempt.call(user, NR_PIPE, &[ends, 16, u64::from(PIPE_NONBLOCK)]);
    let [reader, writer] = two(user, made, ends);
    if let (Some(reader), Some(writer)) = (reader, writer) {
        let written = attempt.call(user, NR_WRITE, &[writer, from, 10 * PAGE + 9]);
        if written.is_some() {
            attempt.call(user, NR_READ, &[reader, into, 12 * PAGE]);
        }
        let file = open(user, "/bin/init").unwrap();
        attempt.call(user, NR_SENDFILE, &[writer, file, 0, PAGE, 0, 0]);
        close(user, &[file]);
    }
    close_all(user, &[reader, writer]);
    unmap(user, from, 12);
    unmap(user, into, 12);
}

fn pairs(user: &mut User, attempt: &Try) {
    let (from, into) = (full(user, 3), fresh(user, 3));
    let ends = user.stack() - 2048;
    let kind = u64::from(SOCKET_STREAM | SOCKET_NONBLOCK);
    let made = attempt.call(user, NR_SOCKET_PAIR, &[kind, ends, 16]);
    let [one, other] = two(user, made, ends);
    if let (Some(one), Some(other)) = (one, other)
        && attempt.call(user, NR_WRITE, &[one, from, 3 * PAGE]).is_some()
    {
        attempt.call(user, NR_READ, &[other, into, 3 * PAGE]);
        attempt.call(user, NR_SHUTDOWN, &[one, u64::from(SHUTDOWN_WRITE)]);
    }
    close_all(user, &[one, other]);
    unmap(user, from, 3);
    unmap(user, into, 3);
}

fn sockets(user: &mut User, attempt: &Try) {
    let address = user.stack() - 2048;
    user.store(address, SocketAddress::ipv4([0; 4], 0).as_bytes());
    let size = size_of::<SocketAddress>() as u64;
    let stream = attempt.call(user, NR_SOCKET, &[u64::from(DOMAIN_IPV4), u64::from(SOCKET_STREAM)]);
    if let Some(stream) = stream
        && attempt.call(user, NR_BIND, &[stream, address, size]).is_some()
    {
        attempt.call(user, NR_LISTEN, &[stream, 8]);
        attempt.call(user, NR_SOCKET_ADDRESS, &[stream, 0, address, size]);
    }
    user.store(address, SocketAddress::ipv4([0; 4], 0).as_bytes());
    let datagram = attempt.call(user, NR_SOCKET, &[u64::from(DOMAIN_IPV4), u64::from(SOCKET_DATAGRAM)]);
    if let Some(datagram) = datagram {
        attempt.call(user, NR_BIND, &[datagram, address, size]);
    }
    close_all(user, &[stream, datagram]);
}

fn counters(user: &mut User, attempt: &Try) {
    let at = user.stack() - 2048;
    let into = fresh(user, 1);
    let event = attempt.call(user, NR_EVENT_CREATE, &[3, 0]);
    let timer = attempt.call(user, NR_TIMER_CREATE, &[0]);
    let set = attempt.call(user, NR_READY_CREATE, &[]);
    if let Some(timer) = timer {
        attempt.call(user, NR_TIMER_SET, &[timer, 1, 1000, 0]);
    }
    if let (Some(event), Some(set)) = (event, set) {
        let watched = ReadyEvent { events: POLL_IN.into(), reserved: 0, token: 5 };
        user.store(at, watched.as_bytes());
        if attempt.call(user, NR_READY_CONTROL, &[set, u64::from(READY_ADD), event, at]).is_some() {
            attempt.call(user, NR_READY_WAIT, &[set, into, 4, 1_000_000]);
        }
        let item = PollItem { handle: Handle(event), events: POLL_IN, ready: 0, reserved: 0 };
        user.store(at, item.as_bytes());
        attempt.call(user, NR_POLL, &[at, 1, 1_000_000]);
        attempt.call(user, NR_COUNTER_TAKE, &[event, 1_000_000]);
    }
    attempt.call(user, NR_SLEEP, &[1000]);
    close_all(user, &[event, timer, set]);
    unmap(user, into, 1);
}

fn messages(user: &mut User, attempt: &Try) {
    let at = user.stack() - 2048;
    let (from, into) = (full(user, 4), fresh(user, 6));
    user.store(at, EndpointConfig::default().as_bytes());
    let made = attempt.call(user, NR_ENDPOINT_CREATE, &[at, 16, at + 16, 16]);
    let [sender, receiver] = two(user, made, at + 16);
    if let (Some(sender), Some(receiver)) = (sender, receiver) {
        let badged = attempt.call(user, NR_ENDPOINT_MINT, &[sender, 9]);
        let event = user.call(NR_EVENT_CREATE, &[0, 0]).unwrap();
        let taken = MessageHandle { handle: Handle(event), rights: u32::MAX, reserved: 0 };
        let slots = at + 512;
        user.store(slots, taken.as_bytes());
        let length = 3 * PAGE as u32;
        let message = MessageOut { bytes: from, length, handles: slots, handle_count: 1 };
        user.store(at, message.as_bytes());
        if attempt.call(user, NR_ENDPOINT_SEND, &[badged.unwrap_or(sender), at, 0]).is_some() {
            let room = MessageIn {
                bytes: into,
                capacity: 4 * PAGE as u32,
                handles: into + 5 * PAGE,
                handle_capacity: 4,
                ..MessageIn::default()
            };
            user.store(at, room.as_bytes());
            if attempt.call(user, NR_ENDPOINT_RECEIVE, &[receiver, at, 0]).is_some() {
                let came = user.load_u64(into + 5 * PAGE);
                close(user, &[came]);
            }
        } else {
            close(user, &[event]);
        }
        close_all(user, &[badged]);
    }
    close_all(user, &[sender, receiver]);
    unmap(user, from, 4);
    unmap(user, into, 6);
}

fn loans(user: &mut User, attempt: &Try) {
    let file = open(user, "/bin/init").unwrap();
    let all = u64::from(u32::MAX);
    let lent = attempt.call(user, NR_HANDLE_LEND, &[file, all]);
    let further = lent.and_then(|lent| attempt.call(user, NR_HANDLE_LEND, &[lent, all]));
    let copy = attempt.call(user, NR_HANDLE_DUPLICATE, &[file, all]);
    attempt.call(user, NR_HANDLE_REVOKE, &[file]);
    close_all(user, &[lent, further, copy, Some(file)]);
}

fn threads(user: &mut User, attempt: &Try) {
    let word = fresh(user, 1);
    let stack = full(user, 4);
    user.store(word, &0_u32.to_le_bytes());
    let entry = user.entry();
    if attempt.call(user, NR_THREAD_CREATE, &[entry, stack + 4 * PAGE - 64, word, 0]).is_some() {
        while user.load_u32(word) == 0 {
            user.call(NR_FUTEX_WAIT, &[word, 0, 1_000_000, u64::from(u32::MAX)]).ok();
        }
    }
    // Its last instructions are on no memory of ours.
    user.call(NR_SLEEP, &[100_000]).unwrap();
    unmap(user, word, 1);
    unmap(user, stack, 4);
}

fn texts(user: &mut User, attempt: &Try) {
    let into = fresh(user, 6);
    let at = user.stack() - 2048;
    user.store(at, b"exhausted");
    attempt.call(user, NR_LOG_WRITE, &[u64::from(LOG_DEBUG), at, 9]);
    user.store(at + 64, &0_u64.to_le_bytes());
    attempt.call(user, NR_LOG_EXPORT, &[at + 64, into, 2 * PAGE, u64::from(LOG_JSON)]);
    for (index, path) in (2..).zip(["/sys/cpus", "/sys/memory"]) {
        let file = attempt.open(user, path, OpenFlags::READ);
        if let Some(file) = file {
            attempt.call(user, NR_READ, &[file, into + index * PAGE, PAGE]);
        }
        close_all(user, &[file]);
    }
    attempt.call(user, NR_PROCESS_INFO, &[1, into + 4 * PAGE, size_of::<ProcessInfo>() as u64]);
    unmap(user, into, 6);
}

/// What threads of `threads` do.
fn is_thread(user: &mut User) -> bool {
    let word = user.argument();
    if word == user.stack() {
        return false;
    }
    user.store(word, &1_u32.to_le_bytes());
    user.call(NR_FUTEX_WAKE, &[word, 1, u64::from(u32::MAX)]).unwrap();
    true
}

#[test]
fn a_call_without_memory_says_so_and_leaves_nothing() {
    fn init(user: &mut User) {
        if is_thread(user) {
            return;
        }
        let mut refused = 0;
        for (name, deed) in DEEDS {
            deed(user, &Try::default());
            let before = left(user);
            for countdown in 1.. {
                assert!(countdown < 200, "{name} has no end");
                let attempt = Try { countdown, ..Try::default() };
                deed(user, &attempt);
                refused += attempt.refused.get();
                if !attempt.reached.get() {
                    break;
                }
            }
            assert_eq!(left(user), before, "{name}");
        }
        assert!(refused > 30, "{refused} calls were refused");
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn who_is_killed_in_a_call_leaves_nothing() {
    fn init(user: &mut User) {
        for (name, _) in DEEDS {
            for _ in 0..3 {
                run(user, name, 2_000_000);
            }
            let before = left(user);
            for delay in 0..30 {
                run(user, name, 40_000 + delay * 13_700);
            }
            assert_eq!(left(user), before, "{name}");
        }
        power_off(user);
    }
    fn run(user: &mut User, deed: &str, nanoseconds: u64) {
        let pid = spawn(user, "/bin/doer", deed).unwrap();
        user.call(NR_SLEEP, &[nanoseconds]).unwrap();
        user.call(NR_KILL, &[pid, 9]).unwrap();
        assert_eq!(wait(user, pid), (1, 9));
        NAMES.iter().for_each(|name| unlink(user, name));
    }
    fn doer(user: &mut User) {
        if is_thread(user) {
            return;
        }
        let wanted = user.args().pop().unwrap();
        let (_, deed) = DEEDS.iter().find(|(name, _)| *name == wanted).unwrap();
        loop {
            deed(user, &Try::default());
        }
    }
    for cpus in [1, 2, 4] {
        let programs = [("init", init as swos_kernel_sim::Program), ("doer", doer)];
        let text = simulate(cpus, 5, &programs, Faults::default());
        assert!(text.contains("all is well"), "{cpus} CPUs: {text}");
    }
}
