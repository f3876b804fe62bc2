//! Signals within a process: handlers, masks, waits, interrupted calls.

pub(crate) mod children;
mod inherit;

use alloc::{string::String, vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
};

use swos_ulib::{
    abi::{Errno, SIG_IGNORE, SIG_SETMASK, THREAD_WAITING},
    io::{self, Read as _, Write as _},
    pipe::pipe,
    process,
    signal::{
        self, ActionFlags, SIGKILL, SIGRTMIN, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2, SignalFrame, SignalInfo,
        SignalSet,
    },
    sys,
    testing::{equal, text},
    thread,
    time::{Duration, Instant},
};

use crate::Area;

pub(crate) const AREA: Area = Area {
    name: "signals",
    checks: &[
        ("a handler has run when raise returns", raised),
        ("a blocked signal waits and comes once", blocked),
        ("a handler is told who sent the signal", told),
        ("a signal is blocked while its handler runs", nested),
        ("a mask of the action holds while the handler runs", masked),
        ("a handler that is reset runs once", reset),
        ("what is ignored does nothing", ignored),
        ("nothing can be done about two signals", absolute),
        ("numbers that are no signals are refused", refused),
        ("an action is read back", read_back),
        ("a signal that is waited for runs no handler", waited),
        ("a wait for a signal ends in time", wait_in_time),
        ("real time signals are queued in order", queued),
        ("a full queue refuses", full),
        ("suspend misses nothing", suspended),
        ("a sleep is interrupted and a whole sleep is not", sleeps),
        ("a read is interrupted", read_interrupted),
        ("a read is made again if the handler says so", read_again),
        ("a write tells what was taken", partial_write),
        ("whole reads go on", whole_read),
        ("a signal reaches a thread that does not block it", open_thread),
        ("a thread is signalled by its number", by_number),
        ("floating point survives handlers", floating),
        ("a fork keeps mask and handlers, and nothing waits in it", inherit::fork),
        ("an exec keeps mask, what is ignored and what waits", inherit::exec),
    ],
    child: inherit::child,
};

static RUNS: AtomicU32 = AtomicU32::new(0);
static DEPTH: AtomicU32 = AtomicU32::new(0);
static DEEPEST: AtomicU32 = AtomicU32::new(0);
static SENDER: AtomicU32 = AtomicU32::new(0);
static VALUE: AtomicU64 = AtomicU64::new(0);
static THREAD: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: u32, info: &SignalInfo, _: &SignalFrame) {
    RUNS.fetch_add(1, SeqCst);
    SENDER.store(info.pid, SeqCst);
    VALUE.store(info.value, SeqCst);
    THREAD.store(sys::gettid().unwrap_or(0), SeqCst);
}

/// Raises both while it runs, and notes how deep they nest.
extern "C" fn nest(signal: u32, _: &SignalInfo, _: &SignalFrame) {
    let depth = DEPTH.fetch_add(1, SeqCst) + 1;
    DEEPEST.fetch_max(depth, SeqCst);
    if RUNS.fetch_add(1, SeqCst) < 2 {
        let _sent = signal::raise(signal);
        let _sent = signal::raise(SIGUSR2);
    }
    DEPTH.fetch_sub(1, SeqCst);
}

fn fresh() {
    RUNS.store(0, SeqCst);
    DEPTH.store(0, SeqCst);
    DEEPEST.store(0, SeqCst);
}

fn runs(expected: u32) -> Result<(), String> {
    equal(RUNS.load(SeqCst), expected)
}

fn counted(flags: ActionFlags) -> Result<(), String> {
    fresh();
    signal::handle(SIGUSR1, count, flags).map_err(text)
}

fn raised() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    for round in 1..=100 {
        signal::raise(SIGUSR1).map_err(text)?;
        runs(round)?;
    }
    signal::kill(process::id(), SIGUSR1).map_err(text)?;
    runs(101)
}

fn blocked() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    let set = SignalSet::of(&[SIGUSR1]);
    let guard = signal::block(set).map_err(text)?;
    for _ in 0..3 {
        signal::raise(SIGUSR1).map_err(text)?;
    }
    runs(0)?;
    equal(signal::pending(), Ok(set))?;
    drop(guard);
    runs(1)?;
    equal(signal::pending(), Ok(SignalSet::EMPTY))
}

fn told() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    signal::queue(process::id(), SIGUSR1, 0x1234_5678_9ABC).map_err(text)?;
    runs(1)?;
    equal((SENDER.load(SeqCst), VALUE.load(SeqCst)), (process::id(), 0x1234_5678_9ABC))
}

fn nested() -> Result<(), String> {
    fresh();
    signal::handle(SIGUSR1, nest, ActionFlags::empty()).map_err(text)?;
    signal::handle(SIGUSR2, nest, ActionFlags::empty()).map_err(text)?;
    signal::raise(SIGUSR1).map_err(text)?;
    // The second one runs inside the first, but neither inside itself.
    equal(DEEPEST.load(SeqCst), 2)?;
    equal(DEPTH.load(SeqCst), 0)?;
    equal(signal::mask(), Ok(SignalSet::EMPTY))
}

fn masked() -> Result<(), String> {
    fresh();
    let both = SignalSet::of(&[SIGUSR1, SIGUSR2]);
    for one in [SIGUSR1, SIGUSR2] {
        signal::handle_masking(one, nest, both, ActionFlags::empty()).map_err(text)?;
    }
    signal::raise(SIGUSR1).map_err(text)?;
    equal(DEEPEST.load(SeqCst), 1)?;
    equal(RUNS.load(SeqCst) > 1, true)
}

fn reset() -> Result<(), String> {
    counted(ActionFlags::RESETHAND)?;
    signal::raise(SIGUSR1).map_err(text)?;
    runs(1)?;
    equal(sys::signal_action(SIGUSR1).map(|action| action.handler), Ok(0))
}

fn ignored() -> Result<(), String> {
    signal::ignore(SIGUSR1).map_err(text)?;
    signal::raise(SIGUSR1).map_err(text)?;
    equal(signal::pending(), Ok(SignalSet::EMPTY))
}

fn absolute() -> Result<(), String> {
    for one in [SIGKILL, SIGSTOP] {
        equal(signal::handle(one, count, ActionFlags::empty()), Err(Errno::INVAL))?;
        equal(signal::ignore(one), Err(Errno::INVAL))?;
    }
    let guard = signal::block(SignalSet::ALL).map_err(text)?;
    let open = SignalSet::ALL.without(signal::mask().map_err(text)?);
    drop(guard);
    equal(open, SignalSet::of(&[SIGKILL, SIGSTOP]))
}

fn refused() -> Result<(), String> {
    for wrong in [65, 1000] {
        equal(signal::raise(wrong), Err(Errno::INVAL))?;
        equal(signal::ignore(wrong), Err(Errno::INVAL))?;
        equal(signal::kill(process::id(), wrong), Err(Errno::INVAL))?;
    }
    equal(signal::ignore(0), Err(Errno::INVAL))?;
    equal(signal::raise(0), Ok(()))?;
    equal(signal::kill_thread(0xFFFF_FFF0, SIGUSR1), Err(Errno::SRCH))?;
    equal(sys::signal_mask(SIG_SETMASK + 1, SignalSet::EMPTY), Err(Errno::INVAL))
}

fn read_back() -> Result<(), String> {
    let mask = SignalSet::of(&[SIGTERM]);
    let flags = ActionFlags::RESTART | ActionFlags::ONSTACK;
    signal::handle_masking(SIGUSR1, count, mask, flags).map_err(text)?;
    let action = sys::signal_action(SIGUSR1).map_err(text)?;
    equal((action.mask, action.flags), (mask, flags.bits()))?;
    equal(action.handler > SIG_IGNORE, true)?;
    signal::ignore(SIGUSR1).map_err(text)?;
    equal(sys::signal_action(SIGUSR1).map(|action| action.handler), Ok(SIG_IGNORE))
}

fn waited() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    let _guard = signal::block(SignalSet::of(&[SIGUSR1])).map_err(text)?;
    signal::queue(process::id(), SIGUSR1, 9).map_err(text)?;
    let info = signal::wait(SignalSet::of(&[SIGUSR1])).map_err(text)?;
    equal((info.signal, info.value, info.pid), (SIGUSR1, 9, process::id()))?;
    runs(0)
}

fn wait_in_time() -> Result<(), String> {
    let _guard = signal::block(SignalSet::of(&[SIGUSR1])).map_err(text)?;
    let set = SignalSet::of(&[SIGUSR1]);
    equal(signal::wait_timeout(set, Duration::from_millis(2)), Err(Errno::TIMEDOUT))?;
    equal(signal::wait_timeout(set, Duration::ZERO), Err(Errno::TIMEDOUT))
}

fn queued() -> Result<(), String> {
    let set = SignalSet::of(&[SIGRTMIN, SIGRTMIN + 1]);
    let _guard = signal::block(set).map_err(text)?;
    for value in 0..20 {
        let which = SIGRTMIN + u32::from(value % 2 == 0);
        signal::queue(process::id(), which, value).map_err(text)?;
    }
    // By number, and those of one number as they were sent.
    for value in (1..20).step_by(2).chain((0..20).step_by(2)) {
        let info = signal::wait_timeout(set, Duration::ZERO).map_err(text)?;
        equal(info.value, value)?;
    }
    equal(signal::wait_timeout(set, Duration::ZERO).err(), Some(Errno::TIMEDOUT))
}

fn full() -> Result<(), String> {
    let set = SignalSet::of(&[SIGRTMIN]);
    let _guard = signal::block(set).map_err(text)?;
    let mut sent = 0_u64;
    while signal::queue(process::id(), SIGRTMIN, sent) == Ok(()) {
        sent += 1;
    }
    equal(signal::queue(process::id(), SIGRTMIN, sent), Err(Errno::AGAIN))?;
    equal((16..1000).contains(&sent), true)?;
    for value in 0..sent {
        equal(signal::wait_timeout(set, Duration::ZERO).map(|info| info.value), Ok(value))?;
    }
    Ok(())
}

fn suspended() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    let guard = signal::block(SignalSet::of(&[SIGUSR1])).map_err(text)?;
    signal::raise(SIGUSR1).map_err(text)?;
    guard.suspend();
    runs(1)?;
    equal(signal::mask(), Ok(SignalSet::of(&[SIGUSR1])))
}

/// Sends `SIGUSR1` to the calling thread when it waits, so often.
fn signal_me(times: u32) -> Result<thread::JoinHandle<()>, String> {
    let target = sys::gettid().map_err(text)?;
    thread::spawn(move || {
        let waits = || {
            let found = thread::thread_info(process::id(), target);
            matches!(found, Ok(Some(found)) if found.state == THREAD_WAITING)
        };
        for _ in 0..times {
            // It is in its call, and not on its way there: a wait on that way is short.
            let mut seen = 0;
            while seen < 3 {
                thread::sleep(Duration::from_millis(5));
                seen = if waits() { seen + 1 } else { 0 };
            }
            let _sent = signal::kill_thread(target, SIGUSR1);
        }
    })
    .map_err(text)
}

fn sleeps() -> Result<(), String> {
    counted(ActionFlags::RESTART)?;
    let helper = signal_me(1)?;
    equal(sys::sleep(2_000_000_000), Err(Errno::INTR))?;
    helper.join();
    runs(1)?;
    let (helper, before) = (signal_me(3)?, Instant::now());
    thread::sleep(Duration::from_millis(40));
    equal(before.elapsed() >= Duration::from_millis(40), true)?;
    helper.join();
    equal(RUNS.load(SeqCst) > 1, true)
}

fn read_interrupted() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    let (mut reader, _writer) = pipe().map_err(text)?;
    let helper = signal_me(1)?;
    let read = reader.read(&mut [0; 8]);
    helper.join();
    equal(read, Err(io::Error::Os(Errno::INTR)))
}

fn read_again() -> Result<(), String> {
    counted(ActionFlags::RESTART)?;
    let (mut reader, mut writer) = pipe().map_err(text)?;
    let target = sys::gettid().map_err(text)?;
    let helper = thread::spawn(move || {
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(3));
            let _sent = signal::kill_thread(target, SIGUSR1);
        }
        thread::sleep(Duration::from_millis(3));
        let _written = writer.write_all(b"later");
    })
    .map_err(text)?;
    let mut buffer = [0; 8];
    let read = reader.read(&mut buffer);
    helper.join();
    equal(read, Ok(5))?;
    equal(buffer.get(..5), Some(b"later".as_slice()))?;
    equal(RUNS.load(SeqCst) > 0, true)
}

fn partial_write() -> Result<(), String> {
    counted(ActionFlags::RESTART)?;
    let (_reader, mut writer) = pipe().map_err(text)?;
    let helper = signal_me(1)?;
    let written = writer.write(&vec![7; 200_000]);
    helper.join();
    equal(written, Ok(65_536))
}

fn whole_read() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    let (mut reader, mut writer) = pipe().map_err(text)?;
    let target = sys::gettid().map_err(text)?;
    let helper = thread::spawn(move || {
        for byte in 0..10_u8 {
            let _sent = signal::kill_thread(target, SIGUSR1);
            thread::sleep(Duration::from_millis(1));
            let _written = writer.write_all(&[byte]);
        }
    })
    .map_err(text)?;
    let mut bytes = vec![];
    reader.read_to_end(&mut bytes).map_err(text)?;
    helper.join();
    equal(bytes.as_slice(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].as_slice())
}

fn open_thread() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    let other = thread::spawn(|| {
        let tid = sys::gettid().unwrap_or(0);
        let end = Instant::now();
        while RUNS.load(SeqCst) == 0 && end.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        tid
    })
    .map_err(text)?;
    let guard = signal::block(SignalSet::of(&[SIGUSR1])).map_err(text)?;
    signal::kill(process::id(), SIGUSR1).map_err(text)?;
    let tid = other.join();
    drop(guard);
    runs(1)?;
    equal(THREAD.load(SeqCst), tid)
}

fn by_number() -> Result<(), String> {
    counted(ActionFlags::empty())?;
    let me = sys::gettid().map_err(text)?;
    signal::kill_thread(me, SIGUSR1).map_err(text)?;
    runs(1)?;
    equal(THREAD.load(SeqCst), me)
}

/// Computes with many values in registers.
fn compute(rounds: u32) -> f64 {
    let mut values: [f64; 12] =
        core::array::from_fn(|index| f64::from(u32::try_from(index).unwrap_or(0)) + 0.5);
    for _ in 0..rounds {
        for index in 0..12 {
            values[index] = values[index] * 0.999 + values[(index + 5) % 12] * 0.001 + 1e-9;
        }
    }
    values.iter().sum()
}

extern "C" fn compute_too(_: u32, _: &SignalInfo, _: &SignalFrame) {
    RUNS.fetch_add(1, SeqCst);
    black_box(compute(black_box(3)));
}

fn floating() -> Result<(), String> {
    fresh();
    signal::handle(SIGUSR1, compute_too, ActionFlags::empty()).map_err(text)?;
    let expected = compute(black_box(20_000));
    let target = sys::gettid().map_err(text)?;
    let helper = thread::spawn(move || {
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(2));
            let _sent = signal::kill_thread(target, SIGUSR1);
        }
        DEPTH.store(1, SeqCst);
    })
    .map_err(text)?;
    while DEPTH.load(SeqCst) == 0 {
        equal(compute(black_box(20_000)).to_bits(), expected.to_bits())?;
    }
    helper.join();
    equal(RUNS.load(SeqCst) > 0, true)
}
