//! Threads, and what they wait for.

use super::*;

/// What a further thread of a deed does; its number is in the memory that it shares with the deed.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// Wakes who waits for the first word until it is told to end.
    Waker,
    /// Waits for the second word to change.
    Waiter,
    /// Answers calls.
    Server,
    /// Makes calls.
    Client,
}

/// Places in the memory of a thread and its deed: the words that they wait for, the thread's role, what it is given; whether it
/// shall end and has ended.
const FIRST: u64 = 0;
const SECOND: u64 = 64;
const ROLE: u64 = 128;
const GIVEN: u64 = 136;
const STOP: u64 = 144;
const DONE: u64 = 192;
/// Where it has its messages: records and short ones, and in the further pages long ones. All of them are there, so that it needs nothing
/// while something is short.
const MESSAGES: u64 = 1024;
const PAGES: u64 = 3;

const EVERYBODY: u64 = u32::MAX as u64;

pub(super) struct Helper {
    memory: u64,
    stack: u64,
}

impl Helper {
    fn prepare(user: &mut User, role: Role, given: u64) -> Self {
        let (memory, stack) = (full(user, PAGES), full(user, 4));
        user.store(memory, &[0; 64]);
        user.store(memory + ROLE, &(role as u64).to_le_bytes());
        user.store(memory + GIVEN, &given.to_le_bytes());
        Self { memory, stack }
    }

    fn arguments(&self, user: &User) -> [u64; 4] {
        [user.entry(), self.stack + 4 * PAGE - 64, self.memory, 0]
    }

    pub(super) fn start(user: &mut User, role: Role, given: u64) -> Self {
        let helper = Self::prepare(user, role, given);
        let arguments = helper.arguments(user);
        user.call(NR_THREAD_CREATE, &arguments).unwrap();
        helper
    }

    fn wake(&self, user: &mut User) {
        user.store(self.memory + SECOND, &1_u32.to_le_bytes());
        user.call(NR_FUTEX_WAKE, &[self.memory + SECOND, 1, EVERYBODY]).unwrap();
    }

    fn stop(&self, user: &mut User) {
        user.store(self.memory + STOP, &1_u64.to_le_bytes());
    }

    /// Waits for its end.
    pub(super) fn join(self, user: &mut User) {
        while user.load_u32(self.memory + DONE) == 0 {
            user.call(NR_FUTEX_WAIT, &[self.memory + DONE, 0, 1_000_000, EVERYBODY]).ok();
        }
        // Its last instructions are on no memory of ours.
        user.call(NR_SLEEP, &[100_000]).unwrap();
        unmap(user, self.memory, PAGES);
        unmap(user, self.stack, 4);
    }
}

/// Whether this is a further thread of a deed; then its work is done.
pub(crate) fn is_thread(user: &mut User) -> bool {
    let memory = user.argument();
    if memory == user.stack() {
        return false;
    }
    let given = user.load_u64(memory + GIVEN);
    match user.load_u64(memory + ROLE) {
        role if role == Role::Waker as u64 => {
            while user.load_u64(memory + STOP) == 0 {
                user.call(NR_FUTEX_WAKE, &[memory + FIRST, 1, EVERYBODY]).unwrap();
                user.call(NR_SLEEP, &[10_000]).unwrap();
            }
        }
        role if role == Role::Waiter as u64 => {
            // Unless it is late and the word has changed.
            user.call(NR_FUTEX_WAIT, &[memory + SECOND, 0, TIMEOUT_NEVER, EVERYBODY]).ok();
        }
        role if role == Role::Server as u64 => {
            store_records(user, memory);
            let (out, into) = (memory + MESSAGES, memory + MESSAGES + 64);
            while user.call(NR_ENDPOINT_RECEIVE, &[given, into, TIMEOUT_NEVER]).is_ok() {
                let token = user.load_u64(into + 40);
                user.call(NR_ENDPOINT_REPLY, &[given, token, out]).ok();
            }
        }
        role if role == Role::Client as u64 => {
            store_records(user, memory);
            let (out, into) = (memory + MESSAGES, memory + MESSAGES + 64);
            while user.call(NR_ENDPOINT_CALL, &[given, out, into, TIMEOUT_NEVER]).is_ok() {}
        }
        _ => {}
    }
    user.store(memory + DONE, &1_u32.to_le_bytes());
    user.call(NR_FUTEX_WAKE, &[memory + DONE, 1, EVERYBODY]).unwrap();
    true
}

fn store_records(user: &mut User, memory: u64) {
    let at = memory + MESSAGES;
    let out = MessageOut { bytes: at + 256, length: 10, ..MessageOut::default() };
    let into = MessageIn { bytes: memory + PAGE, capacity: 2 * PAGE as u32, ..MessageIn::default() };
    user.store(at, out.as_bytes());
    user.store(at + 64, into.as_bytes());
}

pub(super) fn threads(user: &mut User, attempt: &Try) {
    // More than a process has room for at first.
    let helpers = [(); 5].map(|()| {
        let helper = Helper::prepare(user, Role::Waiter, 0);
        let arguments = helper.arguments(user);
        attempt.call(user, NR_THREAD_CREATE, &arguments);
        helper
    });
    let at = records(user);
    let (pid, own) = (attempt.call(user, NR_GETPID, &[]), attempt.call(user, NR_GETTID, &[]));
    attempt.call(user, NR_THREAD_INFO, &[pid, own, at, size_of::<ThreadInfo>() as u64]);
    attempt.call(user, NR_THREAD_KILL, &[own, 0]);
    user.store(at, b"a name");
    attempt.call(user, NR_THREAD_NAME, &[at, 6]);
    attempt.call(user, NR_YIELD, &[]);
    let normal = u64::from(THREAD_PRIORITY_NORMAL);
    assert_eq!(attempt.call(user, NR_THREAD_PRIORITY, &[normal]), normal);
    for helper in helpers {
        helper.wake(user);
        helper.join(user);
    }
}

pub(super) fn futexes(user: &mut User, attempt: &Try) {
    let waker = Helper::start(user, Role::Waker, 0);
    let waiter = Helper::start(user, Role::Waiter, 0);
    let (first, second) = (waker.memory + FIRST, waiter.memory + SECOND);
    attempt.call(user, NR_FUTEX_WAIT, &[first, 0, TIMEOUT_NEVER, EVERYBODY]);
    attempt.call(user, NR_FUTEX_WAIT_UNTIL, &[first, 0, TIMEOUT_NEVER, EVERYBODY]);
    waker.stop(user);
    // It waits by now; then for another word.
    user.call(NR_SLEEP, &[200_000]).unwrap();
    attempt.call(user, NR_FUTEX_REQUEUE, &[second, 0, 0, first, 1]);
    attempt.call(user, NR_FUTEX_WAKE, &[first, 1, EVERYBODY]);
    // If it was refused in between, it may still wait.
    user.call(NR_FUTEX_WAKE, &[first, 1, EVERYBODY]).unwrap();
    waiter.wake(user);
    waiter.join(user);
    waker.join(user);
}
