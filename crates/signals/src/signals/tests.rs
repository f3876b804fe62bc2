use proptest::prelude::*;
use swos_abi::{SIGHUP, SIGINT, SIGRTMIN, SIGTERM, SIGUSR1, SIGUSR2};

use super::*;
use crate::{QUEUE_MAX, Wanted};

fn info(signal: u32) -> SignalInfo {
    SignalInfo { signal, ..SignalInfo::default() }
}

fn handler(flags: ActionFlags) -> SignalAction {
    SignalAction { handler: 0x1000, flags: flags.bits(), ..SignalAction::default() }
}

fn pair() -> (ProcessSignals, ThreadSignals) {
    (ProcessSignals::new(), ThreadSignals::new(SignalSet::EMPTY))
}

#[test]
fn defaults_ignore_end_stop_and_go_on() {
    for signal in (1..=SIGRTMAX).filter(|&signal| signal != SIGKILL) {
        let (mut process, mut thread) = pair();
        let pending = process.send(None, info(signal), Taker::Open).unwrap();
        let next = process.next(&mut thread);
        if IGNORED.contains(signal) {
            assert_eq!((pending, next), (false, Next::GoOn), "{signal}");
        } else if STOPPING.contains(signal) {
            assert_eq!((pending, next), (true, Next::Stop(signal)), "{signal}");
            assert_eq!(process.next(&mut thread), Next::Halt);
            assert!(process.resume() && !process.resume());
            assert_eq!(process.next(&mut thread), Next::GoOn);
        } else {
            assert_eq!((pending, next), (true, Next::Terminate(info(signal))), "{signal}");
        }
    }
}

#[test]
fn the_absolute_ones_have_no_action_and_no_mask() {
    let (mut process, mut thread) = pair();
    for signal in [SIGKILL, SIGSTOP, 0, 65, u32::MAX] {
        assert_eq!(process.set_action(signal, handler(ActionFlags::empty())), Err(Error::BadSignal));
    }
    thread.set_mask(SignalSet::ALL);
    assert_eq!(SignalSet::ALL.without(thread.mask()), ABSOLUTE);
    thread.want(SignalSet::ALL);
    assert!(!thread.wants(SIGSTOP));
}

#[test]
fn a_handler_runs_with_its_mask_and_once_if_reset() {
    let (mut process, mut thread) = pair();
    let mask = SignalSet::of(&[SIGUSR2]);
    process.set_action(SIGUSR1, SignalAction { mask, ..handler(ActionFlags::RESETHAND) }).unwrap();
    thread.set_mask(SignalSet::of(&[SIGINT]));
    process.send(None, info(SIGUSR1), Taker::Open).unwrap();
    assert_eq!(process.next(&mut thread), Next::Handle);
    // Asked again, as after a page of the frame was read from disk: the same answer.
    assert_eq!(process.next(&mut thread), Next::Handle);
    assert_eq!(thread.delivery().unwrap().mask, SignalSet::of(&[SIGINT]));
    assert_eq!(process.action(SIGUSR1), SignalAction::default());
    thread.entered();
    assert_eq!(thread.mask(), SignalSet::of(&[SIGINT, SIGUSR1, SIGUSR2]));
    assert_eq!(process.next(&mut thread), Next::GoOn);
    let (mut process, mut thread) = pair();
    process.set_action(SIGUSR1, handler(ActionFlags::NODEFER)).unwrap();
    process.send(None, info(SIGUSR1), Taker::Open).unwrap();
    assert_eq!(process.next(&mut thread), Next::Handle);
    thread.entered();
    assert!(thread.mask().is_empty());
}

#[test]
fn another_mask_holds_until_a_handler_runs() {
    let (mut process, mut thread) = pair();
    process.set_action(SIGUSR1, handler(ActionFlags::empty())).unwrap();
    thread.set_mask(SignalSet::of(&[SIGUSR1]));
    process.send(None, info(SIGUSR1), Taker::Nobody).unwrap();
    assert_eq!(process.next(&mut thread), Next::GoOn);
    thread.suspend(SignalSet::of(&[SIGUSR2]));
    thread.suspend(SignalSet::ALL);
    assert_eq!(process.next(&mut thread), Next::Handle);
    assert_eq!(thread.delivery().unwrap().mask, SignalSet::of(&[SIGUSR1]));
    thread.entered();
    assert_eq!(thread.mask(), SignalSet::of(&[SIGUSR1, SIGUSR2]));
    thread.set_mask(SignalSet::EMPTY);
    thread.suspend(SignalSet::ALL);
    thread.unsuspend();
    thread.unsuspend();
    assert!(thread.mask().is_empty());
}

#[test]
fn stops_and_going_on_cancel_each_other() {
    let (mut process, mut thread) = pair();
    thread.set_mask(STOPPING);
    process.send(None, info(SIGTSTP), Taker::Nobody).unwrap();
    process.send(None, info(SIGCONT), Taker::Open).unwrap();
    assert!(process.pending().is_empty());
    process.set_action(SIGCONT, handler(ActionFlags::empty())).unwrap();
    process.send(None, info(SIGCONT), Taker::Open).unwrap();
    process.send(None, info(SIGSTOP), Taker::Open).unwrap();
    assert_eq!(process.pending(), SignalSet::of(&[SIGSTOP]));
    assert_eq!(process.next(&mut thread), Next::Stop(SIGSTOP));
}

#[test]
fn a_signal_that_is_waited_for_is_taken_without_its_handler() {
    let (mut process, mut thread) = pair();
    thread.set_mask(SignalSet::ALL);
    thread.want(SignalSet::of(&[SIGCHLD, SIGUSR1]));
    assert_eq!(thread.blocked().and(SignalSet::of(&[SIGCHLD, SIGUSR1, SIGINT])), SignalSet::of(&[SIGINT]));
    let sent = SignalInfo { value: 5, ..info(SIGCHLD) };
    // Ignored by default, but somebody waits.
    assert_eq!(process.send(None, sent, Taker::Waits), Ok(true));
    assert_eq!(process.next(&mut thread), Next::GoOn);
    let shown = process.peek(&thread, SignalSet::of(&[SIGCHLD])).unwrap();
    assert_eq!(shown, sent);
    assert!(process.take(&mut thread, shown));
    assert!(!process.take(&mut thread, shown));
}

#[test]
fn real_time_signals_are_queued_up_to_a_bound_and_others_merged() {
    let (mut process, mut thread) = pair();
    thread.set_mask(SignalSet::ALL);
    for value in 0..3 {
        process.send(None, SignalInfo { value, ..info(SIGTERM) }, Taker::Nobody).unwrap();
    }
    for value in 0..QUEUE_MAX as u64 {
        process.send(None, SignalInfo { value, ..info(SIGRTMIN) }, Taker::Nobody).unwrap();
    }
    assert_eq!(process.send(None, info(SIGRTMIN + 1), Taker::Nobody), Err(Full));
    assert_eq!(process.send(None, info(SIGUSR1), Taker::Nobody), Ok(false));
    let mut values = Vec::new();
    while let Some(shown) = process.peek(&thread, SignalSet::of(&[SIGRTMIN, SIGTERM])) {
        assert!(process.take(&mut thread, shown));
        values.push((shown.signal, shown.value));
    }
    assert_eq!(values[0], (SIGTERM, 0));
    assert!(values[1..].iter().copied().eq((0..QUEUE_MAX as u64).map(|value| (SIGRTMIN, value))));
    assert_eq!(process.pending(), SignalSet::of(&[SIGUSR1]));
}

#[test]
fn a_fault_needs_a_handler_that_is_not_blocked() {
    let (mut process, mut thread) = pair();
    let fault = SignalInfo { address: 7, ..info(SIGSEGV) };
    assert!(!thread.fault(&process, fault));
    process.set_action(SIGSEGV, SignalAction { handler: SIG_IGNORE, ..SignalAction::default() }).unwrap();
    assert!(!thread.fault(&process, fault));
    process.set_action(SIGSEGV, handler(ActionFlags::empty())).unwrap();
    process.set_action(SIGHUP, handler(ActionFlags::empty())).unwrap();
    process.send(Some(&mut thread), info(SIGSEGV), Taker::Open).unwrap();
    process.send(Some(&mut thread), info(SIGHUP), Taker::Open).unwrap();
    assert!(thread.fault(&process, fault));
    assert_eq!(process.next(&mut thread), Next::Handle);
    assert_eq!(thread.delivery().unwrap().info, fault, "before the others, and with its address");
    thread.entered();
    assert!(!thread.fault(&process, fault), "a fault of its handler ends the process");
}

#[test]
fn copies_keep_what_posix_says() {
    let (mut process, mut thread) = pair();
    process.set_action(SIGUSR1, handler(ActionFlags::empty())).unwrap();
    process.set_action(SIGUSR2, SignalAction { handler: SIG_IGNORE, ..SignalAction::default() }).unwrap();
    thread.set_mask(SignalSet::of(&[SIGTERM]));
    thread.set_stack(AltStack { base: 0x1000, size: 0x1000 });
    process.send(None, info(SIGTERM), Taker::Nobody).unwrap();
    process.send(Some(&mut thread), info(SIGTERM), Taker::Nobody).unwrap();
    let (child, own) = (process.fork().unwrap(), thread.fork());
    assert!(child.pending().is_empty() && own.pending().is_empty());
    assert!(child.handles(SIGUSR1) && child.ignores(SIGUSR2));
    assert_eq!((own.mask(), own.stack()), (thread.mask(), thread.stack()));
    let (process, thread) = (process.exec(), thread.exec());
    assert!(!process.handles(SIGUSR1) && process.ignores(SIGUSR2));
    assert_eq!((process.pending(), thread.pending()), (thread.mask(), thread.mask()));
    assert_eq!(thread.stack(), AltStack::default());
}

#[test]
fn the_first_process_is_ended_by_its_own_will_only() {
    let (mut process, mut thread) = (ProcessSignals::shielded(), ThreadSignals::default());
    for signal in [SIGTERM, SIGSTOP, SIGINT, SIGRTMIN] {
        assert_eq!(process.send(None, info(signal), Taker::Open), Ok(false));
    }
    process.set_action(SIGTERM, handler(ActionFlags::empty())).unwrap();
    assert_eq!(process.send(None, info(SIGTERM), Taker::Open), Ok(true));
    assert_eq!(process.next(&mut thread), Next::Handle);
    assert!(!process.fork().unwrap().is_shielded());
}

#[test]
fn children_are_forgotten_if_ignored_or_flagged() {
    let (mut process, _) = pair();
    assert!(!process.forgets_children() && process.hears_of_stops());
    for (handler, flags, forgets, hears) in [
        (SIG_IGNORE, ActionFlags::empty(), true, true),
        (SIG_DEFAULT, ActionFlags::NOCLDWAIT, true, true),
        (0x1000, ActionFlags::NOCLDWAIT | ActionFlags::NOCLDSTOP, true, false),
        (0x1000, ActionFlags::empty(), false, true),
        (SIG_DEFAULT, ActionFlags::empty(), false, true),
    ] {
        process
            .set_action(SIGCHLD, SignalAction { handler, flags: flags.bits(), ..SignalAction::default() })
            .unwrap();
        assert_eq!((process.forgets_children(), process.hears_of_stops()), (forgets, hears));
    }
}

#[test]
fn frames_go_where_they_are_wanted_and_fit() {
    let stack = AltStack { base: 0x1000, size: 0x1000 };
    let none = AltStack::default();
    assert_eq!(none.place(0x9008, Wanted::Alternate, 0x370), Some(0x8c90));
    assert_eq!(stack.place(0x9008, Wanted::Current, 0x370), Some(0x8c90));
    assert_eq!(stack.place(0x9008, Wanted::Alternate, 0x370), Some(0x1c90));
    // Nested, it goes on where it is, down to the end and no further.
    assert_eq!(stack.place(0x1c90, Wanted::Alternate, 0x370), Some(0x1920));
    assert_eq!(stack.place(0x1370, Wanted::Current, 0x370), Some(0x1000));
    assert_eq!(stack.place(0x1360, Wanted::Current, 0x370), None);
    assert_eq!(none.place(0x100, Wanted::Current, 0x370), None);
    assert_eq!(AltStack { base: u64::MAX, size: 9 }.place(64, Wanted::Alternate, 16), None);
}

const THREADS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Send { target: usize, signal: u32 },
    Action { signal: u32, handler: u64 },
    Mask { thread: usize, mask: u64 },
    Next { thread: usize },
    Return { thread: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let signal = prop_oneof![
        Just(SIGINT),
        Just(SIGTSTP),
        Just(SIGCONT),
        Just(SIGCHLD),
        Just(SIGUSR1),
        Just(40_u32),
        Just(41)
    ];
    prop_oneof![
        4 => (0..=THREADS, signal.clone()).prop_map(|(target, signal)| Op::Send { target, signal }),
        1 => (signal.clone(), 0..4_u64).prop_map(|(signal, handler)| Op::Action { signal, handler }),
        2 => (0..THREADS, prop::collection::vec(signal, 0..5))
            .prop_map(|(thread, set)| Op::Mask { thread, mask: SignalSet::of(&set).0 }),
        4 => (0..THREADS).prop_map(|thread| Op::Next { thread }),
        3 => (0..THREADS).prop_map(|thread| Op::Return { thread }),
    ]
}

/// What the state machine must agree with: lists of what waits where, and nothing clever.
#[derive(Default)]
struct Model {
    waiting: Vec<(usize, u32, u64)>,
    masks: [SignalSet; THREADS],
    handlers: std::collections::BTreeMap<u32, u64>,
    stopped: bool,
}

impl Model {
    fn handler(&self, signal: u32) -> u64 {
        self.handlers.get(&signal).copied().unwrap_or(SIG_DEFAULT)
    }

    fn ignores(&self, signal: u32) -> bool {
        let handler = self.handler(signal);
        handler == SIG_IGNORE || handler == SIG_DEFAULT && IGNORED.contains(signal)
    }

    /// What a thread takes next: by number, what waits for the thread itself before what waits for any, the oldest first.
    fn next(&self, thread: usize) -> Option<usize> {
        let may = |&(at, signal, _): &(usize, u32, u64)| {
            (at == thread || at == THREADS) && !self.masks[thread].contains(signal)
        };
        let all = self.waiting.iter().enumerate().filter(|(_, waiting)| may(waiting));
        all.min_by_key(|(_, (at, signal, stamp))| (*signal, *at == THREADS, *stamp)).map(|(index, _)| index)
    }
}

proptest! {
    #[test]
    fn each_signal_is_taken_once_by_a_thread_that_may(ops in prop::collection::vec(op(), 0..200)) {
        let mut process = ProcessSignals::new();
        let mut threads: [ThreadSignals; THREADS] = Default::default();
        let mut frames: [Vec<SignalSet>; THREADS] = Default::default();
        let mut model = Model::default();
        let mut stamp = 0;
        for op in ops {
            match op {
                Op::Send { target, signal } => {
                    stamp += 1;
                    let sent = SignalInfo { value: stamp, ..info(signal) };
                    let cancelled = ProcessSignals::cancels(signal);
                    model.waiting.retain(|&(_, waits, _)| !cancelled.contains(waits));
                    threads.iter_mut().for_each(|thread| thread.discard(cancelled));
                    if signal == SIGCONT {
                        prop_assert_eq!(process.resume(), core::mem::take(&mut model.stopped));
                    }
                    let open = |thread: usize| !model.masks[thread].contains(signal);
                    let takes = if target < THREADS { open(target) } else { (0..THREADS).any(open) };
                    let taker = if takes { Taker::Open } else { Taker::Nobody };
                    let result = process.send(threads.get_mut(target), sent, taker);
                    if takes && model.ignores(signal) {
                        prop_assert_eq!(result, Ok(false));
                        continue;
                    }
                    let same = model.waiting.iter().filter(|&&(at, waits, _)| at == target && waits == signal).count();
                    let queued = model.waiting.iter().filter(|&&(at, waits, _)| at == target && waits >= 32).count();
                    if signal >= 32 && queued == QUEUE_MAX {
                        prop_assert_eq!(result, Err(Full));
                    } else {
                        prop_assert_eq!(result, Ok(takes));
                        if signal >= 32 || same == 0 {
                            model.waiting.push((target, signal, stamp));
                        }
                    }
                }
                Op::Action { signal, handler } => {
                    let discards = process.set_action(signal, SignalAction { handler, ..SignalAction::default() }).unwrap();
                    model.handlers.insert(signal, handler);
                    if discards {
                        threads.iter_mut().for_each(|thread| thread.discard(SignalSet::of(&[signal])));
                        model.waiting.retain(|&(_, waits, _)| waits != signal);
                    }
                }
                Op::Mask { thread, mask } => {
                    threads[thread].set_mask(SignalSet(mask));
                    model.masks[thread] = SignalSet(mask);
                }
                Op::Next { thread } => {
                    let concerned = model.stopped || model.next(thread).is_some();
                    prop_assert_eq!(process.concerns(&threads[thread]), concerned);
                    let found = process.next(&mut threads[thread]);
                    if model.stopped {
                        prop_assert_eq!(found, Next::Halt);
                        continue;
                    }
                    // What is ignored by now is dropped on the way.
                    while let Some(index) = model.next(thread)
                        && model.ignores(model.waiting[index].1)
                    {
                        model.waiting.remove(index);
                    }
                    let Some(index) = model.next(thread) else {
                        prop_assert_eq!(found, Next::GoOn);
                        continue;
                    };
                    let (_, signal, stamp) = model.waiting.remove(index);
                    let taken = SignalInfo { value: stamp, ..info(signal) };
                    match model.handler(signal) {
                        SIG_DEFAULT if STOPPING.contains(signal) => {
                            prop_assert_eq!(found, Next::Stop(signal));
                            model.stopped = true;
                        }
                        SIG_DEFAULT => prop_assert_eq!(found, Next::Terminate(taken)),
                        handler => {
                            prop_assert_eq!(found, Next::Handle);
                            let delivery = *threads[thread].delivery().unwrap();
                            prop_assert_eq!((delivery.info, delivery.action.handler), (taken, handler));
                            prop_assert_eq!(delivery.mask, model.masks[thread]);
                            frames[thread].push(delivery.mask);
                            threads[thread].entered();
                            model.masks[thread] = threads[thread].mask();
                            prop_assert!(model.masks[thread].contains(signal));
                        }
                    }
                }
                Op::Return { thread } => if let Some(mask) = frames[thread].pop() {
                    threads[thread].set_mask(mask);
                    model.masks[thread] = mask;
                },
            }
            let all = |at: usize| SignalSet::of(&model.waiting.iter().filter(|waiting| waiting.0 == at).map(|waiting| waiting.1).collect::<Vec<_>>());
            prop_assert_eq!(process.pending(), all(THREADS));
            for (index, thread) in threads.iter().enumerate() {
                prop_assert_eq!(thread.pending(), all(index));
            }
        }
    }
}
