//! Signals in crowds: whoever takes part sends as fast as the kernel takes them.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use swos_ulib::{
    abi::Errno,
    process::{self, Child, Fork, fork},
    signal::{self, ActionFlags, SIGRTMIN, SIGUSR1, SIGUSR2, SignalFrame, SignalInfo, SignalSet},
    sync::Barrier,
    system,
    testing::{equal, text},
    thread,
    time::Duration,
};

/// To oneself, to the process, to the next thread.
const KINDS: [u32; 3] = [SIGUSR1, SIGUSR2, SIGRTMIN];
const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);
/// How often the handler of each ran.
static HANDLED: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

extern "C" fn count(signal: u32, _: &SignalInfo, _: &SignalFrame) {
    if let Some(place) = KINDS.iter().position(|&kind| kind == signal) {
        HANDLED[place].fetch_add(1, SeqCst);
    }
}

/// Two threads for each CPU send `times` signals each to themselves, to the process and to the next thread. Those to oneself are
/// handled one by one, those to the next thread as often as they were taken, and those to the process, of which several may become
/// one, not more often than they were sent.
pub(crate) fn between_threads(times: u32) -> Result<(), String> {
    for (kind, handled) in KINDS.iter().zip(&HANDLED) {
        handled.store(0, SeqCst);
        signal::handle(*kind, count, ActionFlags::RESTART).map_err(text)?;
    }
    let threads = system::system_info().map_err(text)?.cpus * 2;
    let place = usize::try_from(threads).map_err(text)?;
    let ids: Vec<AtomicU32> = (0..threads).map(|_| AtomicU32::new(0)).collect();
    let (ids, all, taken) = (&ids, &Barrier::new(place), &AtomicU32::new(0));
    let run = move |number: usize| {
        ids[number].store(thread::current_id(), SeqCst);
        let _leads = all.wait();
        let next = ids[(number + 1) % ids.len()].load(SeqCst);
        let sent = (0..times).try_for_each(|_| {
            signal::raise(SIGUSR1)?;
            signal::kill(process::id(), SIGUSR2)?;
            match signal::kill_thread(next, SIGRTMIN) {
                Ok(()) => taken.fetch_add(1, SeqCst),
                Err(Errno::AGAIN) => 0,
                Err(errno) => return Err(errno),
            };
            Ok(())
        });
        // Nobody ends who is still sent to; and who comes back from a call has handled what waited for it.
        let _leads = all.wait();
        thread::yield_now();
        sent
    };
    thread::scope(|scope| {
        let running: Result<Vec<_>, Errno> =
            (0..place).map(|number| scope.spawn(move || run(number))).collect();
        running?.into_iter().try_for_each(thread::ScopedJoinHandle::join)
    })
    .map_err(text)?;
    let [own, process, next] = [0, 1, 2].map(|place: usize| HANDLED[place].load(SeqCst));
    KINDS.iter().try_for_each(|&kind| signal::restore(kind)).map_err(text)?;
    equal(own, threads * times)?;
    equal(next, taken.load(SeqCst))?;
    equal((1..=threads * times).contains(&process), true)
}

/// Children, two more than there are CPUs, and their parent queue `times` numbers to each other, with a plain signal before each.
/// Each number arrives once and in order.
pub(crate) fn between_processes(times: u32) -> Result<(), String> {
    let blocked = signal::block(SignalSet::of(&[SIGUSR1, SIGRTMIN])).map_err(text)?;
    let parent = process::id();
    let mut children: Vec<Child> = Vec::new();
    for _ in 0..system::system_info().map_err(text)?.cpus + 2 {
        match fork().map_err(text)? {
            Fork::Parent(child) => children.push(child),
            Fork::Child => process::exit(match exchange(&[parent], times) {
                Ok(()) => 0,
                Err(why) => {
                    swos_ulib::eprintln!("{why}");
                    1
                }
            }),
        }
    }
    let ids: Vec<u32> = children.iter().map(Child::id).collect();
    let outcome = exchange(&ids, times);
    if outcome.is_err() {
        // What still waits would end this process, and nobody would be told why.
        blocked.keep();
        children
            .iter()
            .try_for_each(|child| child.kill().and_then(|()| child.wait().map(drop)))
            .map_err(text)?;
        return outcome;
    }
    children.iter().try_for_each(|child| equal(child.wait().map_err(text)?.code(), Some(0)))?;
    equal(signal::pending(), Ok(SignalSet::EMPTY))
}

/// What went to a peer, and what came from it.
#[derive(Default)]
struct Traffic {
    sent: u32,
    received: u32,
}

/// Sends the numbers below `times` to each of `peers`, and takes as many from each.
fn exchange(peers: &[u32], times: u32) -> Result<(), String> {
    let set = SignalSet::of(&[SIGUSR1, SIGRTMIN]);
    let mut traffic: BTreeMap<u32, Traffic> = peers.iter().map(|&peer| (peer, Traffic::default())).collect();
    let mut plain = 0;
    while traffic.values().any(|one| one.sent < times || one.received < times) {
        let mut patience = LONG;
        for (&peer, one) in traffic.iter_mut().filter(|(_, one)| one.sent < times) {
            signal::kill(peer, SIGUSR1).map_err(text)?;
            match signal::queue(peer, SIGRTMIN, one.sent.into()) {
                Ok(()) => {
                    one.sent += 1;
                    patience = Duration::ZERO;
                }
                // Whoever has so many waiting needs the CPU more than we do.
                Err(Errno::AGAIN) => patience = patience.min(SHORT),
                Err(errno) => return Err(text(errno)),
            }
        }
        match signal::wait_timeout(set, patience) {
            Ok(info) if info.signal == SIGUSR1 => plain += 1,
            Ok(info) => {
                let one = traffic.get_mut(&info.pid).ok_or("a signal from a stranger")?;
                equal(info.value, one.received.into())?;
                one.received += 1;
            }
            Err(Errno::TIMEDOUT) if patience < LONG => {}
            Err(errno) => return Err(text(errno)),
        }
    }
    // The last ones may have become one, which is taken before the number that was sent after it.
    equal(plain > 0, true)
}
