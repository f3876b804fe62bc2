//! Signals between simulated programs: handlers, masks, restarts, faults, stops; storms and ends at any step; nothing lost or doubled.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, map, power_off, spawn, spawn_with, wait};
use core::mem::offset_of;
use swos_abi::*;
use swos_kernel_sim::{Handler, User};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Where programs and their handlers count: memory that every thread of the process knows.
const COUNTS: u64 = 0x7000_0000;

fn counts(user: &mut User) {
    let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits());
    assert_eq!(user.call(NR_MMAP, &[COUNTS, 4096, 3, flags, u64::from(u32::MAX), 0]), Ok(COUNTS));
}

fn count(user: &mut User, which: u64) -> u64 {
    user.load_u64(COUNTS + 8 * which)
}

fn set_count(user: &mut User, which: u64, value: u64) {
    user.store(COUNTS + 8 * which, &value.to_le_bytes());
}

fn bump(user: &mut User, signal: u64, _frame: u64) {
    let now = count(user, signal);
    set_count(user, signal, now + 1);
}

fn action(
    user: &mut User,
    signal: u32,
    handler: u64,
    flags: ActionFlags,
    mask: SignalSet,
) -> Result<u64, Errno> {
    let at = user.stack() - 10_000;
    let record = SignalAction { handler, restorer: 0x20_0000, mask, flags: flags.bits() };
    user.store(at, record.as_bytes());
    user.call(NR_SIGNAL_ACTION, &[u64::from(signal), at, 0, 32])
}

fn handle(user: &mut User, signal: u32, handler: Handler, flags: ActionFlags) {
    let handler = user.handler(handler);
    action(user, signal, handler, flags, SignalSet::EMPTY).unwrap();
}

fn mask(user: &mut User, how: u32, signals: &[u32]) -> u64 {
    user.call(NR_SIGNAL_MASK, &[u64::from(how), SignalSet::of(signals).0]).unwrap()
}

fn own_pid(user: &mut User) -> u64 {
    user.call(NR_GETPID, &[]).unwrap()
}

fn kill(user: &mut User, pid: u64, signal: u32) -> Result<u64, Errno> {
    user.call(NR_KILL, &[pid, u64::from(signal)])
}

fn wait_for(user: &mut User, pid: u64, flags: u32, timeout_ns: u64) -> Result<ExitRecord, Errno> {
    let at = user.stack() - 4096;
    user.call(NR_WAIT, &[pid, u64::from(flags), at, timeout_ns])?;
    Ok(ExitRecord::read_from_bytes(&user.load(at, 32)).unwrap())
}

fn sleep(user: &mut User, nanoseconds: u64) {
    user.call(NR_SLEEP, &[nanoseconds]).unwrap();
}

#[test]
fn a_handler_runs_before_the_call_that_sent_its_signal_returns() {
    fn init(user: &mut User) {
        counts(user);
        let own = own_pid(user);
        handle(user, SIGUSR1, bump, ActionFlags::empty());
        for round in 1..20 {
            assert_eq!(kill(user, own, SIGUSR1), Ok(0));
            assert_eq!(count(user, u64::from(SIGUSR1)), round);
        }
        // Blocked it waits, once, and runs before the call that unblocks it returns.
        assert_eq!(mask(user, SIG_BLOCK, &[SIGUSR1]), 0);
        for _ in 0..3 {
            kill(user, own, SIGUSR1).unwrap();
        }
        assert_eq!(user.call(NR_SIGNAL_PENDING, &[]), Ok(SignalSet::of(&[SIGUSR1]).0));
        assert_eq!(count(user, u64::from(SIGUSR1)), 19);
        assert_eq!(mask(user, SIG_SETMASK, &[]), SignalSet::of(&[SIGUSR1]).0);
        assert_eq!(count(user, u64::from(SIGUSR1)), 20);
        assert_eq!(user.call(NR_SIGNAL_PENDING, &[]), Ok(0));
        // To a thread by its number.
        let tid = user.call(NR_GETTID, &[]).unwrap();
        assert_eq!(user.call(NR_THREAD_KILL, &[tid, u64::from(SIGUSR1)]), Ok(0));
        assert_eq!(count(user, u64::from(SIGUSR1)), 21);
        assert_eq!(user.call(NR_THREAD_KILL, &[tid + 100, u64::from(SIGUSR1)]), Err(Errno::SRCH));
        assert_eq!(user.call(NR_THREAD_KILL, &[tid, 65]), Err(Errno::INVAL));
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}

#[test]
fn wrong_arguments_are_refused() {
    fn init(user: &mut User) {
        let own = own_pid(user);
        for (signal, handler, wanted) in [
            (0, 0, Errno::INVAL),
            (65, 0, Errno::INVAL),
            (9, 1, Errno::INVAL),
            (19, 64, Errno::INVAL),
            (10, u64::MAX, Errno::FAULT),
            (10, 6, Errno::INVAL),
        ] {
            assert_eq!(
                action(user, signal, handler, ActionFlags::empty(), SignalSet::EMPTY),
                Err(wanted),
                "{signal}"
            );
        }
        assert_eq!(
            action(user, 10, 64, ActionFlags::from_bits_retain(1 << 50), SignalSet::EMPTY),
            Err(Errno::INVAL)
        );
        assert_eq!(user.call(NR_SIGNAL_ACTION, &[10, 8, 0, 32]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_SIGNAL_ACTION, &[10, 0, 8, 32]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_SIGNAL_MASK, &[3, 0]), Err(Errno::INVAL));
        assert_eq!(user.call(NR_SIGNAL_STACK, &[8, 0, 24]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_SIGNAL_WAIT, &[2, 8, 40, 0]), Err(Errno::TIMEDOUT));
        assert_eq!(kill(user, own, 65), Err(Errno::INVAL));
        assert_eq!(kill(user, own, 0), Ok(0));
        for nobody in [4_000, PID_GROUP | 4_000, 1 << 33, u64::MAX] {
            assert_eq!(kill(user, nobody, 0), Err(Errno::SRCH), "{nobody}");
        }
        // The first process ends by its own will only.
        for signal in [SIGTERM, SIGKILL, SIGSTOP] {
            assert_eq!(kill(user, own, signal), Ok(0));
        }
        assert_eq!(user.call(NR_WAIT, &[WAIT_ANY, 16, 0]), Err(Errno::INVAL));
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn defaults_end_a_process_and_its_parent_is_told() {
    fn init(user: &mut User) {
        counts(user);
        handle(user, SIGCHLD, bump, ActionFlags::RESTART);
        for (round, signal) in [SIGTERM, SIGKILL, SIGUSR2, SIGRTMAX].into_iter().enumerate() {
            let pid = spawn(user, "/bin/sleeper", "x").unwrap();
            kill(user, pid, signal).unwrap();
            assert_eq!(wait(user, pid), (EXIT_FAULT, signal.cast_signed()));
            while count(user, u64::from(SIGCHLD)) <= round as u64 {}
        }
        // What is ignored ends nobody.
        let pid = spawn(user, "/bin/sleeper", "ignore").unwrap();
        sleep_through(user, 2_000_000);
        kill(user, pid, SIGTERM).unwrap();
        kill(user, pid, SIGCHLD).unwrap();
        assert_eq!(wait_for(user, pid, WAIT_TIMEOUT, 3_000_000), Err(Errno::TIMEDOUT));
        kill(user, pid, SIGUSR1).unwrap();
        assert_eq!(wait(user, pid), (EXIT_FAULT, SIGUSR1.cast_signed()));
        // Itself, from inside a call.
        let pid = spawn(user, "/bin/sleeper", "self").unwrap();
        assert_eq!(wait(user, pid), (EXIT_FAULT, SIGKILL.cast_signed()));
        power_off(user);
    }
    fn sleeper(user: &mut User) {
        match user.args()[1].as_str() {
            "ignore" => drop(action(user, SIGTERM, SIG_IGNORE, ActionFlags::empty(), SignalSet::EMPTY)),
            "self" => {
                let own = own_pid(user);
                let _ = kill(user, own, SIGKILL);
                panic!("it went on");
            }
            _ => {}
        }
        loop {
            sleep(user, 1 << 40);
        }
    }
    all_well(&[("init", init), ("sleeper", sleeper)], 4);
}

/// Sleeps so long although handlers run.
fn sleep_through(user: &mut User, nanoseconds: u64) {
    while user.call(NR_SLEEP, &[nanoseconds]) == Err(Errno::INTR) {}
}

#[test]
fn waits_are_interrupted_or_made_again_and_partial_work_is_told() {
    fn init(user: &mut User) {
        counts(user);
        let at = map(user, 1 << 18);
        user.store(at, &vec![7; 1 << 18]);
        let pipe = user.stack() - 2048;
        user.call(NR_PIPE, &[pipe, 16, 0]).unwrap();
        let (reader, writer) = (user.load_u64(pipe), user.load_u64(pipe + 8));
        let own = own_pid(user).to_string();
        let signaller = |user: &mut User, deed: &str| {
            spawn_with(user, "/bin/signaller", &format!("{own} {deed}"), &[reader, writer]).unwrap()
        };
        let interrupted: [(u64, [u64; 6]); 6] = [
            (NR_SLEEP, [1 << 40, 0, 0, 0, 0, 0]),
            (NR_POLL, [0, 0, TIMEOUT_NEVER, 0, 0, 0]),
            (NR_SIGNAL_SUSPEND, [0; 6]),
            (NR_SIGNAL_WAIT, [1 << 40, 0, 0, TIMEOUT_NEVER, 0, 0]),
            (NR_FUTEX_WAIT, [at + 200_000, 0x0707_0707, 1 << 40, 1, 0, 0]),
            (NR_WAIT, [WAIT_ANY, u64::from(WAIT_TIMEOUT), 0, 1 << 40, 0, 0]),
        ];
        for (flags, restarts) in [(ActionFlags::empty(), false), (ActionFlags::RESTART, true)] {
            handle(user, SIGUSR1, bump, flags);
            for (number, arguments) in interrupted {
                let pid = signaller(user, "signal");
                assert_eq!(user.call(number, &arguments), Err(Errno::INTR), "{number}");
                assert_eq!(wait(user, pid), (0, 0));
            }
            // A read without data.
            let pid = signaller(user, "write");
            let read = user.call(NR_READ, &[reader, at, 100]);
            assert_eq!(read, if restarts { Ok(5) } else { Err(Errno::INTR) });
            assert_eq!(wait(user, pid), (0, 0));
            if !restarts {
                assert_eq!(user.call(NR_READ, &[reader, at, 100]), Ok(5));
            }
            // A write that was partly taken: told, whether or not it may be made again.
            let pid = signaller(user, "signal");
            assert_eq!(user.call(NR_WRITE, &[writer, at, 200_000]), Ok(65_536));
            assert_eq!(wait(user, pid), (0, 0));
            assert_eq!(user.call(NR_READ, &[reader, at, 65_536]), Ok(65_536));
            // A wait without a time-out.
            let pid = signaller(user, "signal");
            let waited = user.call(NR_WAIT, &[pid, 0, 0]);
            assert_eq!(waited, if restarts { Ok(pid) } else { Err(Errno::INTR) });
            if !restarts {
                assert_eq!(wait(user, pid), (0, 0));
            }
        }
        // What is ignored interrupts nothing.
        action(user, SIGUSR1, SIG_IGNORE, ActionFlags::empty(), SignalSet::EMPTY).unwrap();
        let pid = signaller(user, "write");
        assert_eq!(user.call(NR_READ, &[reader, at, 100]), Ok(5));
        assert_eq!(wait(user, pid), (0, 0));
        assert_eq!(count(user, u64::from(SIGUSR1)), 18);
        power_off(user);
    }
    fn signaller(user: &mut User) {
        let args = user.args();
        let (pid, deed) = args[1].split_once(' ').unwrap();
        sleep(user, 2_000_000);
        kill(user, pid.parse().unwrap(), SIGUSR1).unwrap();
        sleep(user, 2_000_000);
        if deed == "write" {
            let at = map(user, 4096);
            assert_eq!(user.call(NR_WRITE, &[1, at, 5]), Ok(5));
        }
    }
    all_well(&[("init", init), ("signaller", signaller)], 3);
}

#[test]
fn masks_nest_and_come_back_and_frames_can_be_changed() {
    fn init(user: &mut User) {
        counts(user);
        let own = own_pid(user);
        let nested = user.handler(nested);
        let inner = user.handler(inner);
        action(user, SIGUSR1, nested, ActionFlags::empty(), SignalSet::of(&[SIGUSR2])).unwrap();
        action(user, SIGUSR2, inner, ActionFlags::empty(), SignalSet::EMPTY).unwrap();
        mask(user, SIG_BLOCK, &[SIGTERM]);
        assert_eq!(kill(user, own, SIGUSR1), Ok(0));
        // The inner one waited for the outer one's end.
        assert_eq!((count(user, 1), count(user, 2)), (1, 2));
        assert_eq!(mask(user, SIG_BLOCK, &[]), SignalSet::of(&[SIGTERM]).0);
        // A handler may change what comes back: x0, and the mask.
        let changes = user.handler(changes);
        action(user, SIGUSR1, changes, ActionFlags::empty(), SignalSet::EMPTY).unwrap();
        assert_eq!(kill(user, own, SIGUSR1), Ok(4_711));
        assert_eq!(
            mask(user, SIG_SETMASK, &[]),
            SignalSet::ALL.without(SignalSet::of(&[SIGKILL, SIGSTOP])).0
        );
        // Two that wait at once: both run, the one with the lower number on top of the other.
        mask(user, SIG_BLOCK, &[SIGUSR1, SIGUSR2]);
        handle(user, SIGUSR1, stamp, ActionFlags::empty());
        handle(user, SIGUSR2, stamp, ActionFlags::empty());
        set_count(user, 0, 100);
        kill(user, own, SIGUSR2).unwrap();
        kill(user, own, SIGUSR1).unwrap();
        mask(user, SIG_SETMASK, &[]);
        assert_eq!((count(user, u64::from(SIGUSR2)), count(user, u64::from(SIGUSR1))), (100, 101));
        // Once only.
        handle(user, SIGCHLD, bump, ActionFlags::RESETHAND | ActionFlags::NODEFER);
        kill(user, own, SIGCHLD).unwrap();
        kill(user, own, SIGCHLD).unwrap();
        assert_eq!(count(user, u64::from(SIGCHLD)), 1);
        power_off(user);
    }
    fn nested(user: &mut User, _: u64, _: u64) {
        let own = own_pid(user);
        assert_eq!(mask(user, SIG_BLOCK, &[]), SignalSet::of(&[SIGTERM, SIGUSR1, SIGUSR2]).0);
        kill(user, own, SIGUSR2).unwrap();
        kill(user, own, SIGUSR1).unwrap();
        // That one is the handler's own signal; it must not run for ever.
        assert_eq!(action(user, SIGUSR1, SIG_IGNORE, ActionFlags::empty(), SignalSet::EMPTY), Ok(0));
        set_count(user, 1, 1);
    }
    fn inner(user: &mut User, _: u64, frame: u64) {
        let earlier = count(user, 1);
        set_count(user, 2, earlier + 1);
        assert_eq!(user.load_u64(frame + offset_of!(SignalFrame, mask) as u64), SignalSet::of(&[SIGTERM]).0);
    }
    fn changes(user: &mut User, _: u64, frame: u64) {
        user.store(frame + offset_of!(SignalFrame, x) as u64, &4_711_u64.to_le_bytes());
        user.store(frame + offset_of!(SignalFrame, mask) as u64, &u64::MAX.to_le_bytes());
        user.store(frame + offset_of!(SignalFrame, pstate) as u64, &0x3C5_u64.to_le_bytes());
    }
    fn stamp(user: &mut User, signal: u64, _: u64) {
        let now = count(user, 0);
        set_count(user, signal, now);
        set_count(user, 0, now + 1);
    }
    all_well(&[("init", init)], 3);
}

#[test]
fn faults_reach_their_handler_or_end_the_process() {
    fn init(user: &mut User) {
        for (deed, wanted) in [
            ("skip", (0, 7)),
            ("twice", (EXIT_FAULT, 11)),
            ("blocked", (EXIT_FAULT, 11)),
            ("instruction", (0, 9)),
            ("no stack", (EXIT_FAULT, 11)),
            ("forged", (EXIT_FAULT, 11)),
            ("far", (EXIT_FAULT, 11)),
            ("kernel", (EXIT_FAULT, 11)),
            ("no frame", (EXIT_FAULT, 11)),
            ("size", (EXIT_FAULT, 11)),
        ] {
            let pid = spawn(user, "/bin/faulty", deed).unwrap();
            assert_eq!(wait(user, pid), wanted, "{deed}");
        }
        power_off(user);
    }
    fn faulty(user: &mut User) {
        counts(user);
        let deed = user.args()[1].clone();
        let own = own_pid(user);
        match deed.as_str() {
            "skip" => {
                handle(user, SIGSEGV, skip, ActionFlags::empty());
                user.store(24, &[1]);
                let code = count(user, 0);
                user.call(NR_EXIT, &[code]).unwrap();
            }
            "twice" => {
                handle(user, SIGSEGV, again, ActionFlags::empty());
                user.store(24, &[1]);
            }
            "blocked" => {
                handle(user, SIGSEGV, skip, ActionFlags::empty());
                mask(user, SIG_BLOCK, &[SIGSEGV]);
                user.store(24, &[1]);
            }
            "instruction" => {
                handle(user, SIGILL, leave, ActionFlags::empty());
                user.fault(swos_kernel_sim::ExceptionKind::Instruction);
            }
            "no stack" => {
                handle(user, SIGUSR1, no_stack, ActionFlags::empty());
                kill(user, own, SIGUSR1).unwrap();
                kill(user, own, SIGUSR1).unwrap();
            }
            "forged" | "far" => {
                set_count(user, 0, if deed == "far" { 0xFFFF_8000_0000_0000 } else { 0x6666_0000 });
                handle(user, SIGUSR1, forge, ActionFlags::empty());
                kill(user, own, SIGUSR1).unwrap();
            }
            "kernel" => drop(user.call(NR_SIGNAL_RETURN, &[0xFFFF_8000_0000_0000])),
            "no frame" => drop(user.call(NR_SIGNAL_RETURN, &[64])),
            _ => {
                let stack = user.stack();
                let _ = user.call(NR_SIGNAL_RETURN, &[stack - 20_000]);
            }
        }
        panic!("{deed} went on");
    }
    /// Behind the store, as if it had been done.
    fn skip(user: &mut User, signal: u64, frame: u64) {
        assert_eq!(signal, u64::from(SIGSEGV));
        let info = SignalInfo::read_from_bytes(&user.load(frame + 8, 40)).unwrap();
        assert_eq!((info.address, info.code, info.signal), (24, SEGV_MAPERR, SIGSEGV));
        let pc = frame + offset_of!(SignalFrame, pc) as u64;
        let old = user.load_u64(pc);
        user.store(pc, &(old + 4).to_le_bytes());
        set_count(user, 0, 7);
    }
    fn again(user: &mut User, _: u64, _: u64) {
        user.store(32, &[1]);
    }
    fn leave(user: &mut User, _: u64, _: u64) {
        user.call(NR_EXIT, &[9]).unwrap();
    }
    fn no_stack(user: &mut User, _: u64, frame: u64) {
        user.store(frame + offset_of!(SignalFrame, sp) as u64, &64_u64.to_le_bytes());
    }
    fn forge(user: &mut User, _: u64, frame: u64) {
        let to = count(user, 0);
        user.store(frame + offset_of!(SignalFrame, pc) as u64, &to.to_le_bytes());
    }
    all_well(&[("init", init), ("faulty", faulty)], 2);
}

#[test]
fn an_alternate_stack_is_used_where_it_is_wanted() {
    fn init(user: &mut User) {
        counts(user);
        let own = own_pid(user);
        let stack = map(user, 8192);
        let at = user.stack() - 2048;
        let record = |base, size, flags| SignalStack { base, size, flags, reserved: 0 };
        user.store(at, record(stack, 100, 0).as_bytes());
        assert_eq!(user.call(NR_SIGNAL_STACK, &[at, 0, 24]), Err(Errno::NOMEM));
        user.store(at, record(stack, 8192, 4).as_bytes());
        assert_eq!(user.call(NR_SIGNAL_STACK, &[at, 0, 24]), Err(Errno::INVAL));
        user.store(at, record(stack, 8192, 0).as_bytes());
        assert_eq!(user.call(NR_SIGNAL_STACK, &[at, 0, 24]), Ok(0));
        set_count(user, 0, stack);
        handle(user, SIGUSR1, on_it, ActionFlags::ONSTACK);
        handle(user, SIGUSR2, off_it, ActionFlags::empty());
        kill(user, own, SIGUSR1).unwrap();
        kill(user, own, SIGUSR2).unwrap();
        assert_eq!((count(user, 1), count(user, 2)), (1, 1));
        user.store(at, record(0, 0, STACK_DISABLE).as_bytes());
        assert_eq!(user.call(NR_SIGNAL_STACK, &[at, at + 32, 24]), Ok(0));
        let old = SignalStack::read_from_bytes(&user.load(at + 32, 24)).unwrap();
        assert_eq!((old.base, old.size, old.flags), (stack, 8192, 0));
        handle(user, SIGUSR1, off_it, ActionFlags::ONSTACK);
        kill(user, own, SIGUSR1).unwrap();
        assert_eq!(count(user, 2), 2);
        power_off(user);
    }
    fn on_it(user: &mut User, _: u64, frame: u64) {
        let stack = count(user, 0);
        assert_eq!(frame, stack + 8192 - 880);
        let at = user.stack() - 2048;
        assert_eq!(user.call(NR_SIGNAL_STACK, &[at, 0, 24]), Err(Errno::BUSY));
        user.call(NR_SIGNAL_STACK, &[0, at + 32, 24]).unwrap();
        assert_eq!(user.load_u32(at + 48), STACK_ACTIVE);
        set_count(user, 1, 1);
    }
    fn off_it(user: &mut User, _: u64, frame: u64) {
        let stack = count(user, 0);
        assert!(!(stack..stack + 8192).contains(&frame));
        let seen = count(user, 2);
        set_count(user, 2, seen + 1);
    }
    all_well(&[("init", init)], 2);
}

/// Every real-time signal that was taken for sending runs its handler exactly once, on whichever thread, amid calls that wait.
#[test]
fn nothing_is_lost_or_doubled_in_a_storm() {
    const EACH: u64 = 150;
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            // A second thread, which blocks half of the time.
            loop {
                mask(user, SIG_BLOCK, &[SIGRTMIN]);
                let _ = user.call(NR_SLEEP, &[50_000]);
                mask(user, SIG_UNBLOCK, &[SIGRTMIN]);
                let _ = user.call(NR_SLEEP, &[50_000]);
            }
        }
        counts(user);
        handle(user, SIGRTMIN, add, ActionFlags::RESTART);
        common::thread(user, 1);
        let own = own_pid(user).to_string();
        let pids = [1, 2].map(|seed| spawn(user, "/bin/sender", &format!("{own} {seed}")).unwrap());
        for pid in pids {
            while user.call(NR_WAIT, &[pid, 0, 0]) == Err(Errno::INTR) {}
        }
        for _ in 0..200 {
            let _ = user.call(NR_SLEEP, &[100_000]);
        }
        // The handler's own two words: how many, and the sum of what they brought.
        mask(user, SIG_BLOCK, &[SIGRTMIN]);
        let sum = |seed: u64| (0..EACH).map(|number| seed * 1_000 + number).sum::<u64>();
        let at = COUNTS + 256;
        let (mut runs, mut total) = (0, 0);
        for slot in 0..2 * EACH {
            let value = user.load_u64(at + 8 * slot);
            runs += u64::from(value != 0);
            total += value;
        }
        assert_eq!((runs, total), (2 * EACH, sum(1) + sum(2)));
        power_off(user);
    }
    /// Each value has its own slot, so that two threads may run this at once.
    fn add(user: &mut User, _: u64, frame: u64) {
        let value = user.load_u64(frame + 8 + offset_of!(SignalInfo, value) as u64);
        let slot = COUNTS + 256 + 8 * ((value / 1_000 - 1) * EACH + value % 1_000);
        assert_eq!(user.load_u64(slot), 0, "twice");
        user.store(slot, &value.to_le_bytes());
    }
    fn sender(user: &mut User) {
        let args = user.args();
        let (pid, seed) = args[1].split_once(' ').unwrap();
        let (pid, seed): (u64, u64) = (pid.parse().unwrap(), seed.parse().unwrap());
        for number in 0..EACH {
            while user.call(NR_SIGNAL_QUEUE, &[pid, u64::from(SIGRTMIN), seed * 1_000 + number])
                == Err(Errno::AGAIN)
            {
                sleep(user, 20_000);
            }
        }
    }
    all_well(&[("init", init), ("sender", sender)], 3);
}

/// A process that handles, waits, stops and goes on is ended at ever later moments; nothing of it is left.
#[test]
fn an_end_at_any_step_leaves_nothing() {
    fn init(user: &mut User) {
        let mut before = None;
        for step in 0..60_u64 {
            let pid = spawn(user, "/bin/busy", "x").unwrap();
            user.spin(step * 3_000);
            for signal in [SIGUSR1, SIGSTOP, SIGUSR2, SIGCONT].into_iter().take((step % 5) as usize) {
                kill(user, pid, signal).unwrap();
            }
            user.spin(step * 700);
            let _ = kill(user, pid, SIGKILL);
            // By the first of them if that came before there was a handler.
            let (cause, code) = wait(user, pid);
            let by = SignalSet::of(&[SIGUSR1, SIGUSR2, SIGKILL]);
            assert!(cause == EXIT_FAULT && by.contains(code.cast_unsigned()), "step {step}: {code}");
            sleep(user, 200_000);
            let info = common::figures(user);
            let left = (info.memory_free + info.memory_cached, info.objects, info.processes, info.threads);
            if step >= 5 {
                assert_eq!(*before.get_or_insert(left), left, "step {step}");
            }
        }
        power_off(user);
    }
    fn busy(user: &mut User) {
        if user.argument() == user.stack() {
            counts(user);
            handle(user, SIGUSR1, work, ActionFlags::RESTART);
            handle(user, SIGUSR2, work, ActionFlags::NODEFER);
            common::thread(user, 1);
        }
        let own = own_pid(user);
        loop {
            let _ = kill(user, own, SIGUSR1);
            let _ = user.call(NR_SLEEP, &[1_000]);
            let _ = user.call(NR_SIGNAL_WAIT, &[SignalSet::of(&[SIGTERM]).0, 0, 0, 1_000]);
        }
    }
    fn work(user: &mut User, _: u64, _: u64) {
        user.spin(500);
        let own = own_pid(user);
        let _ = kill(user, own, 0);
    }
    all_well(&[("init", init), ("busy", busy)], 2);
}

#[test]
fn stops_halt_every_thread_and_are_told() {
    fn init(user: &mut User) {
        for by in [SIGSTOP, SIGTSTP, SIGTTIN] {
            let pid = spawn(user, "/bin/pair", "x").unwrap();
            sleep(user, 1_000_000);
            kill(user, pid, by).unwrap();
            let told = wait_for(user, pid, WAIT_UNTRACED, 0).unwrap();
            assert_eq!((told.cause, told.code), (EXIT_STOPPED, by.cast_signed()));
            assert_eq!(user.call(NR_WAIT, &[pid, u64::from(WAIT_UNTRACED | WAIT_NO_HANG), 0]), Ok(0));
            // A signal that would end it waits; one that lets it go on is told.
            kill(user, pid, SIGUSR1).unwrap();
            assert_eq!(wait_for(user, pid, WAIT_TIMEOUT, 2_000_000), Err(Errno::TIMEDOUT));
            kill(user, pid, SIGCONT).unwrap();
            let told = wait_for(user, pid, WAIT_CONTINUED, 0).unwrap();
            let ended = (EXIT_FAULT, SIGUSR1.cast_signed());
            if told.cause == EXIT_CONTINUED {
                assert_eq!(wait(user, pid), ended);
            } else {
                assert_eq!((told.cause, told.code), ended);
            }
        }
        power_off(user);
    }
    fn pair(user: &mut User) {
        if user.argument() == user.stack() {
            common::thread(user, 1);
        }
        loop {
            user.spin(10_000);
            sleep(user, 10_000);
        }
    }
    all_well(&[("init", init), ("pair", pair)], 4);
}
