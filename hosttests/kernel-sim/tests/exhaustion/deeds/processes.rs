//! Processes: their beginning, their end, whom they belong to.

use super::{signals::handle, *};
use swos_kernel_sim::Program;

/// What a program that a deed starts is told, and one that a deed becomes.
const CHILD: &str = "child";
const SUCCESSOR: &str = "successor";

/// Whether this program was started by a deed; then it has ended.
pub(crate) fn is_successor(user: &mut User) -> bool {
    match user.args().pop().as_deref() {
        Some(CHILD) => true,
        Some(SUCCESSOR) => {
            Try::leave_after_exec(user);
            true
        }
        _ => false,
    }
}

/// Stores how `/bin/doer` is started and returns the arguments for that, and where the record has further addresses.
fn order(user: &mut User, arg: &str, handles: &[SpawnHandle]) -> ([u64; 2], Vec<u64>) {
    let place = crate::common::order(user, "/bin/doer", arg, handles, |_| ());
    let mut inner = vec![place + 16, place + 32];
    if !handles.is_empty() {
        inner.push(place + 64);
    }
    ([place, size_of::<SpawnArgs>() as u64], inner)
}

/// A handle that a child gets as its output.
fn given(handle: u64, flags: u32) -> SpawnHandle {
    SpawnHandle { source: Handle(handle), target: 1, rights: u32::MAX, flags, reserved: 0 }
}

pub(super) fn children(user: &mut User, attempt: &Try) {
    let at = records(user);
    let (arguments, inner) = order(user, CHILD, &[given(1, 0)]);
    let pid = attempt.call_with(user, NR_SPAWN, &arguments, &inner);
    attempt.call(user, NR_WAIT, &[pid, 0, at, 0]);
    // With a handler, so that there is something to copy.
    let handler = user.handler(|_, _, _| {});
    handle(user, &Try::plain(), SIGUSR2, handler);
    let pid = attempt.fork(user, |_| {});
    attempt.join(user, pid);
    handle(user, &Try::plain(), SIGUSR2, SIG_DEFAULT);
}

/// A child that gets a loan, and whose calls are told.
pub(super) fn traced(user: &mut User, attempt: &Try) {
    let at = records(user);
    let (reader, writer) = pipe(user, 0);
    let trace = SpawnHandle { target: 0, rights: Rights::WRITE.bits(), ..given(writer, SPAWN_TRACE) };
    let (arguments, inner) = order(user, CHILD, &[given(1, SPAWN_LEND), trace]);
    let pid = attempt.call_with(user, NR_SPAWN, &arguments, &inner);
    close(user, &[writer]);
    while attempt.call(user, NR_READ, &[reader, at, size_of::<TraceRecord>() as u64]) > 0 {}
    wait(user, pid);
    close(user, &[reader]);
}

/// Becomes another program, which says how that went.
pub(super) fn successors(user: &mut User, attempt: &Try) {
    let child = |user: &mut User| {
        let attempt = Try::of_parent(user);
        let (arguments, inner) = order(user, SUCCESSOR, &[]);
        attempt.exec(user, &arguments, &inner);
        attempt.leave(user);
    };
    attempt.child(user, child);
}

pub(super) fn groups(user: &mut User, attempt: &Try) {
    let child = |user: &mut User| {
        let attempt = Try::of_parent(user);
        attempt.call(user, NR_SETPGID, &[0, 0]);
        attempt.call(user, NR_GETPGID, &[0]);
        attempt.call(user, NR_GETSID, &[0]);
        attempt.leave(user);
    };
    let leader = |user: &mut User| {
        let attempt = Try::of_parent(user);
        attempt.call(user, NR_SETSID, &[]);
        attempt.leave(user);
    };
    for program in [child as Program, leader] {
        attempt.child(user, program);
    }
}

pub(super) fn identity(user: &mut User, attempt: &Try) {
    let at = records(user);
    attempt.call(user, NR_SECURITY_INFO, &[at, size_of::<SecurityInfo>() as u64]);
    attempt.call(user, NR_CAPABILITIES_DROP, &[u64::MAX]);
    attempt.call(user, NR_LOGIN, &[1, u64::MAX]);
}
