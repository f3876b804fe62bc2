//! What of signals crosses a fork and an exec.

use alloc::string::String;

use swos_ulib::{
    abi::{Capabilities, SIG_DEFAULT, SIG_IGNORE},
    eprintln,
    process::{self, Command},
    signal::{self, ActionFlags, AltStack, SIGRTMIN, SIGUSR1, SIGUSR2, SignalSet},
    sys,
    testing::{equal, text},
};

use super::{count, counted, fresh, runs};
use crate::{UNKNOWN, processes::forked};

/// Blocked where the process is copied or replaced; one waits for the thread, the other for the process.
const WAITING: SignalSet = SignalSet::of(&[SIGUSR1, SIGRTMIN]);
const RIGHT: i32 = 9;

pub(super) fn child(deed: &str) -> i32 {
    match deed {
        "replaced" => match replaced() {
            Ok(()) => RIGHT,
            Err(why) => {
                eprintln!("after the exec: {why}");
                1
            }
        },
        _ => UNKNOWN,
    }
}

fn let_wait() -> Result<signal::Blocked, String> {
    signal::handle(SIGRTMIN, count, ActionFlags::empty()).map_err(text)?;
    counted(ActionFlags::empty())?;
    let guard = signal::block(WAITING).map_err(text)?;
    signal::raise(SIGUSR1).map_err(text)?;
    signal::kill(process::id(), SIGRTMIN).map_err(text)?;
    equal(signal::pending(), Ok(WAITING))?;
    Ok(guard)
}

pub(super) fn fork() -> Result<(), String> {
    let guard = let_wait()?;
    signal::ignore(SIGUSR2).map_err(text)?;
    let status = forked(|| {
        equal(signal::mask(), Ok(WAITING))?;
        equal(signal::pending(), Ok(SignalSet::EMPTY))?;
        equal(sys::signal_action(SIGUSR2).map(|action| action.handler), Ok(SIG_IGNORE))?;
        signal::unblock(WAITING).map_err(text)?;
        runs(0)?;
        signal::raise(SIGUSR1).map_err(text)?;
        runs(1)?;
        Ok(RIGHT)
    })?;
    equal(status, Some(RIGHT))?;
    equal(signal::pending(), Ok(WAITING))?;
    drop(guard);
    runs(2)
}

pub(super) fn exec() -> Result<(), String> {
    let status = forked(|| {
        let _guard = let_wait()?;
        signal::ignore(SIGUSR2).map_err(text)?;
        let _stack = AltStack::new(16 << 10).map_err(text)?;
        let mut program = Command::new("/bin/behave");
        program.args(["child", super::AREA.name, "replaced"]).capabilities(Capabilities::FS_READ);
        Err(text(program.exec()))
    })?;
    equal(status, Some(RIGHT))
}

fn replaced() -> Result<(), String> {
    let handler = |signal| sys::signal_action(signal).map(|action| action.handler);
    let handlers = [handler(SIGUSR1), handler(SIGRTMIN), handler(SIGUSR2)];
    equal(handlers, [Ok(SIG_DEFAULT), Ok(SIG_DEFAULT), Ok(SIG_IGNORE)])?;
    equal(signal::mask(), Ok(WAITING))?;
    equal(signal::pending(), Ok(WAITING))?;
    // The pages of the alternate stack are gone: a frame on it would end the process.
    fresh();
    for one in [SIGUSR1, SIGRTMIN] {
        signal::handle(one, count, ActionFlags::ONSTACK).map_err(text)?;
    }
    signal::unblock(WAITING).map_err(text)?;
    runs(2)
}
