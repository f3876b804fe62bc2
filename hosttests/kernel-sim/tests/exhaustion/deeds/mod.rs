//! What is done with which something goes wrong: calls with what they need before, and what is taken back after.

mod files;
mod memory;
mod messages;
mod names;
mod processes;
mod signals;
mod streams;
mod system;
mod threads;
mod waits;

use super::attempt::*;
use super::common::*;
use swos_abi::*;
use swos_kernel_sim::User;
use zerocopy::IntoBytes as _;

pub(crate) use processes::is_successor;
pub(crate) use threads::is_thread;
pub(crate) use waits::WAITS;

pub(crate) type Deed = fn(&mut User, &Try);

pub(crate) const DEEDS: &[(&str, Deed)] = &[
    ("memory", memory::memory),
    ("objects", memory::objects),
    ("files", files::files),
    ("mappings", files::mappings),
    ("reads", files::reads),
    ("handles", files::handles),
    ("names", names::names),
    ("attributes", names::attributes),
    ("directories", names::directories),
    ("pipes", streams::pipes),
    ("pairs", streams::pairs),
    ("sockets", streams::sockets),
    ("connections", streams::connections),
    ("datagrams", streams::datagrams),
    ("counters", streams::counters),
    ("crowd", streams::crowd),
    ("threads", threads::threads),
    ("messages", messages::messages),
    ("caller", messages::caller),
    ("callee", messages::callee),
    ("loans", messages::loans),
    ("futexes", threads::futexes),
    ("signals", signals::signals),
    ("handlers", signals::handlers),
    ("children", processes::children),
    ("traced", processes::traced),
    ("successors", processes::successors),
    ("groups", processes::groups),
    ("identity", processes::identity),
    ("limits", system::limits),
    ("texts", system::texts),
    ("system", system::system),
];

/// Calls that no deed makes, and where they are made with everything that can go wrong.
pub(crate) const ELSEWHERE: &[(u64, &str)] = &[
    (
        NR_EXIT,
        "does not return and asks for nothing: the children of `processes` end by it, and the kills meet them",
    ),
    (NR_THREAD_EXIT, "the same: the threads of `threads` end by it"),
    (
        NR_EXEC,
        "succeeds without returning: `successors` makes it, and what it became says how that went; and exec.rs",
    ),
    (
        NR_SIGNAL_RETURN,
        "never answers: the handlers of `signals` end by it; a frame that is no good ends the process (signals.rs)",
    ),
    (NR_POWER, "ends the machine: each test does"),
];

pub(crate) const NAMES: [&str; 2] = ["/tmp/one", "/tmp/two"];
const NOBODY: u64 = u32::MAX as u64;
const ALL: u64 = u32::MAX as u64;

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

pub(crate) fn unlink(user: &mut User, path: &str) {
    if at_path(user, NR_UNLINK, Handle::CWD, path) == Err(Errno::ISDIR) {
        let at = user.stack() - 4096;
        let flags = u64::from(UNLINK_DIRECTORY);
        user.call(NR_UNLINK, &[Handle::CWD.0, at, path.len() as u64, flags]).unwrap();
    }
}

/// A pair of handles that a call stored.
fn two(user: &mut User, at: u64) -> [u64; 2] {
    [0, 8].map(|offset| user.load_u64(at + offset))
}

/// Where a deed has its records, below what paths and figures use.
fn records(user: &User) -> u64 {
    user.stack() - 2048
}
