//! Signals between processes: defaults, handlers of children, news of them, faults, a storm.

use alloc::string::String;
use core::hint::black_box;

use swos_ulib::{
    abi::{CLD_EXITED, CLD_KILLED, Capabilities, Errno, Rights},
    io::{self, Read as _, Write as _},
    pipe::pipe,
    process::{self, Child},
    signal::{
        self, ActionFlags, AltStack, SIGABRT, SIGCHLD, SIGKILL, SIGRTMIN, SIGSEGV, SIGTERM, SIGUSR1,
        SignalFrame, SignalInfo, SignalSet,
    },
    testing::{equal, text},
    thread,
    time::Duration,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "signalled",
    checks: &[
        ("defaults end a process", defaults),
        ("a handler in a child runs", child_handler),
        ("a parent hears of its child", child_news),
        ("children are forgotten if that is wanted", forgotten),
        ("an overflow is handled on another stack", overflow),
        ("an overflow without another stack ends the process", overflow_ends),
        ("a process aborts", aborts),
        ("ten thousand signals to and fro", storm),
    ],
    child,
};

extern "C" fn leave(_: u32, _: &SignalInfo, _: &SignalFrame) {
    process::exit(7);
}

fn child(deed: &str) -> i32 {
    match deed {
        "pause" => loop {
            thread::sleep(Duration::from_secs(1));
        },
        "handle" => {
            let _set = signal::handle(SIGTERM, leave, ActionFlags::empty());
            let _ready = io::stdout().write_all(b"!");
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
        "ignore" => {
            let _set = signal::ignore(SIGTERM);
            let _ready = io::stdout().write_all(b"!");
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
        "exit" => 3,
        "overflow" | "overflow-no-stack" => {
            let _set = signal::handle(SIGSEGV, leave, ActionFlags::ONSTACK);
            let stack = (deed == "overflow").then(|| AltStack::new(16 << 10));
            let deep = deeper(1);
            drop(stack);
            i32::try_from(deep % 2).unwrap_or(0)
        }
        "abort" => signal::abort(),
        "echo" => echo(),
        _ => UNKNOWN,
    }
}

/// Until the stack is used up.
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { deeper(depth + 1) ^ black_box(room)[7] }
}

fn started(deed: &str) -> Result<Child, String> {
    crate::child(AREA.name, deed).spawn().map_err(text)
}

fn defaults() -> Result<(), String> {
    for one in [SIGTERM, SIGKILL, SIGUSR1, SIGABRT, SIGRTMIN] {
        let running = started("pause")?;
        running.signal(one).map_err(text)?;
        equal(running.wait().map_err(text)?.signal(), Some(one.cast_signed()))?;
    }
    Ok(())
}

/// Starts a child and waits for its first byte.
fn ready(deed: &str) -> Result<Child, String> {
    let (mut reader, writer) = pipe().map_err(text)?;
    let mut command = crate::child(AREA.name, deed);
    let running = command.handle(1, writer.handle(), Rights::WRITE).spawn().map_err(text)?;
    drop(writer);
    reader.read_exact(&mut [0]).map_err(text)?;
    Ok(running)
}

fn child_handler() -> Result<(), String> {
    let running = ready("handle")?;
    running.signal(SIGTERM).map_err(text)?;
    equal(running.wait().map_err(text)?.code(), Some(7))?;
    let running = ready("ignore")?;
    running.signal(SIGTERM).map_err(text)?;
    equal(running.wait_timeout(Duration::from_millis(10)), Err(Errno::TIMEDOUT))?;
    running.kill().map_err(text)?;
    equal(running.wait().map_err(text)?.signal(), Some(9))
}

fn child_news() -> Result<(), String> {
    let set = SignalSet::of(&[SIGCHLD]);
    let _guard = signal::block(set).map_err(text)?;
    let running = started("exit")?;
    let info = signal::wait(set).map_err(text)?;
    equal((info.pid, info.code, info.status), (running.id(), CLD_EXITED, 3))?;
    equal(running.wait().map_err(text)?.code(), Some(3))?;
    let running = started("pause")?;
    running.kill().map_err(text)?;
    let info = signal::wait(set).map_err(text)?;
    equal((info.pid, info.code, info.status), (running.id(), CLD_KILLED, 9))?;
    running.wait().map(drop).map_err(text)
}

fn forgotten() -> Result<(), String> {
    signal::ignore(SIGCHLD).map_err(text)?;
    let running = started("exit")?;
    let waited = running.wait();
    signal::restore(SIGCHLD).map_err(text)?;
    equal(waited.err(), Some(Errno::CHILD))
}

fn overflow() -> Result<(), String> {
    let running = started("overflow")?;
    equal(running.wait().map_err(text)?.code(), Some(7))
}

fn overflow_ends() -> Result<(), String> {
    let running = started("overflow-no-stack")?;
    equal(running.wait().map_err(text)?.signal(), Some(SIGSEGV.cast_signed()))
}

fn aborts() -> Result<(), String> {
    let running = started("abort")?;
    equal(running.wait().map_err(text)?.signal(), Some(SIGABRT.cast_signed()))
}

const STORM: u32 = 10_000;

/// Answers each signal; the first from its parent, whose number it has from that.
fn echo() -> i32 {
    let set = SignalSet::of(&[SIGUSR1]);
    let Ok(_guard) = signal::block(set) else { return 1 };
    let _ready = io::stdout().write_all(b"!");
    for _ in 0..STORM / 2 {
        let Ok(info) = signal::wait(set) else { return 2 };
        if signal::kill(info.pid, SIGUSR1).is_err() {
            return 3;
        }
    }
    0
}

fn storm() -> Result<(), String> {
    let set = SignalSet::of(&[SIGUSR1]);
    let _guard = signal::block(set).map_err(text)?;
    let (mut reader, writer) = pipe().map_err(text)?;
    let mut command = crate::child(AREA.name, "echo");
    command.capabilities(Capabilities::FS_READ | Capabilities::PROCESS_INSPECT);
    let running = command.handle(1, writer.handle(), Rights::WRITE).spawn().map_err(text)?;
    drop(writer);
    reader.read_exact(&mut [0]).map_err(text)?;
    for _ in 0..STORM / 2 {
        running.signal(SIGUSR1).map_err(text)?;
        equal(signal::wait_timeout(set, Duration::from_secs(10)).map(|info| info.pid), Ok(running.id()))?;
    }
    equal(running.wait().map_err(text)?.code(), Some(0))
}
