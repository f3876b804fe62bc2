//! Signals: what they do, what waits, what a handler leaves.

use super::*;

const OLD: u64 = 256;

pub(super) fn signals(user: &mut User, attempt: &Try) {
    let at = records(user);
    let own = user.call(NR_GETPID, &[]).unwrap();
    let set = SignalSet::of(&[SIGUSR1, SIGRTMIN]).0;
    attempt.call(user, NR_SIGNAL_MASK, &[u64::from(SIG_BLOCK), set]);
    attempt.call(user, NR_SIGNAL_QUEUE, &[own, u64::from(SIGRTMIN), 7]);
    attempt.call(user, NR_KILL, &[own, u64::from(SIGUSR1)]);
    attempt.call(user, NR_SIGNAL_PENDING, &[]);
    attempt.call(user, NR_SIGNAL_WAIT, &[set, at, size_of::<SignalInfo>() as u64, TIMEOUT_NEVER]);
    // One was taken, whatever else it met with.
    assert_eq!(user.call(NR_SIGNAL_PENDING, &[]).unwrap().count_ones(), 1);
    while user.call(NR_SIGNAL_WAIT, &[set, at, size_of::<SignalInfo>() as u64, 0]).is_ok() {}
    user.call(NR_SIGNAL_MASK, &[u64::from(SIG_UNBLOCK), set]).unwrap();
}

pub(super) fn handle(user: &mut User, attempt: &Try, signal: u32, handler: u64) {
    let at = records(user);
    let flags = ActionFlags::ONSTACK.bits();
    let record = SignalAction { handler, restorer: 0x20_0000, mask: SignalSet::EMPTY, flags };
    user.store(at, record.as_bytes());
    attempt.call(user, NR_SIGNAL_ACTION, &[u64::from(signal), at, at + OLD, 32]);
}

pub(super) fn handlers(user: &mut User, attempt: &Try) {
    let at = records(user);
    let stack = full(user, 4);
    let alternate = SignalStack { base: stack, size: 4 * PAGE, flags: 0, reserved: 0 };
    user.store(at, alternate.as_bytes());
    attempt.call(user, NR_SIGNAL_STACK, &[at, at + OLD, 24]);
    let handler = user.handler(|_, _, _| {});
    let own = user.call(NR_GETPID, &[]).unwrap();
    handle(user, attempt, SIGUSR1, handler);
    attempt.call(user, NR_KILL, &[own, u64::from(SIGUSR1)]);
    let set = SignalSet::of(&[SIGUSR1]).0;
    user.call(NR_SIGNAL_MASK, &[u64::from(SIG_BLOCK), set]).unwrap();
    user.call(NR_KILL, &[own, u64::from(SIGUSR1)]).unwrap();
    attempt.interrupted(user, NR_SIGNAL_SUSPEND, &[0]);
    user.call(NR_SIGNAL_MASK, &[u64::from(SIG_UNBLOCK), set]).unwrap();
    handle(user, &Try::plain(), SIGUSR1, SIG_DEFAULT);
    user.store(at, SignalStack { flags: STACK_DISABLE, ..SignalStack::default() }.as_bytes());
    user.call(NR_SIGNAL_STACK, &[at, 0, 24]).unwrap();
    unmap(user, stack, 4);
}
