//! When no frame is left for a fault: who has to go.
//!
//! A call that finds no frame answers `ENOMEM`. A fault has nobody to answer, and the thread that happens to fault is seldom the one
//! who took the memory. So the process that holds most is ended, with a word in the log, and the thread tries again when
//! its frames are back. Init stays, whatever it holds: without it the system is over.
//!
//! The search looks at a few processes at a time. In between the thread returns to its program, which faults again and
//! goes on searching; so interrupts have their turn.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use swos_abi::SIGKILL;
use swos_sync::Lock;
use swos_units::{Duration, Instant, PAGE_SIZE};

use crate::{
    Kernel, Machine,
    family::{INIT_PID, Life},
    log::Level,
    process::Process,
    ranks,
    signals::ended_by,
    thread::Thread,
    wait::{ANY_BITS, WaitKey},
};

/// Processes looked at in one step of a search.
const LOOKED_AT: usize = 64;
/// How long a thread waits before it tries again, should nobody say that there are frames.
const PATIENCE: Duration = Duration::from_millis(20);

/// The search for who holds most.
pub(crate) struct Oom {
    search: Lock<Search>,
    /// Somebody waits for frames.
    waiting: AtomicBool,
}

#[derive(Debug)]
struct Search {
    /// Processes below this id were looked at.
    next: u32,
    /// Who holds most so far, and how many frames.
    most: Option<(u64, u32)>,
}

/// What becomes of a thread that needs a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Relief {
    /// There may be one now.
    Retry,
    /// There will be: it is registered.
    Wait,
    /// There is nobody to take one from.
    None,
}

impl Oom {
    pub(crate) const fn new() -> Self {
        let search = Search { next: 0, most: None };
        Self { search: Lock::new(ranks::OOM, search), waiting: AtomicBool::new(false) }
    }
}

impl<M: Machine> Kernel<M> {
    /// A fault of `thread` found no frame, also not among cached pages.
    #[cold]
    pub(crate) fn relieve(&self, thread: &Arc<Thread<M>>) -> Relief {
        // An allocation may fail while there are frames: by chance, or because others came back just now.
        if self.free_dead_memory() || !self.machine.is_short() || !self.is_cache_barren() {
            return Relief::Retry;
        }
        let mut search = self.oom.search.lock();
        for _ in 0..LOOKED_AT {
            let Some((pid, process)) = self.next_alive(search.next) else {
                let most = search.most.take();
                search.next = 0;
                drop(search);
                return self.end_for_memory(thread, most);
            };
            search.next = pid + 1;
            if process.is_ending() {
                // What it holds comes without anybody's doing.
                *search = Search { next: 0, most: None };
                drop(search);
                return self.wait_for_frames(thread);
            }
            let held = held_by(&process);
            if pid != INIT_PID && search.most.is_none_or(|(most, _)| held > most) {
                search.most = Some((held, pid));
            }
        }
        Relief::Retry
    }

    fn next_alive(&self, from: u32) -> Option<(u32, Arc<Process<M>>)> {
        let processes = self.processes.lock();
        processes.table.range(from..).find_map(|(&pid, entry)| match &entry.life {
            Life::Alive(process) => Some((pid, process.clone())),
            Life::Ended(..) => None,
        })
    }

    /// Ends the process that holds most.
    fn end_for_memory(&self, thread: &Arc<Thread<M>>, most: Option<(u64, u32)>) -> Relief {
        let Some((held, pid)) = most else { return Relief::None };
        let victim = self.processes.lock().alive(pid).cloned();
        // It may have gone meanwhile: so much the better.
        let Some(victim) = victim else { return Relief::Retry };
        self.log(
            Level::Error,
            "memory",
            format_args!(
                "out of memory: {} ({pid}) is ended, it holds {} KiB; {} ({}) needed a page",
                victim.name(),
                held * 4,
                thread.process.name(),
                thread.process.pid
            ),
        );
        self.end_pid(pid, ended_by(SIGKILL));
        self.wait_for_frames(thread)
    }

    /// Waits for the end of a process, or a little.
    fn wait_for_frames(&self, thread: &Arc<Thread<M>>) -> Relief {
        self.oom.waiting.store(true, Ordering::SeqCst);
        if self.register(thread, WaitKey::Frames, ANY_BITS).is_err() {
            // Not even that can be noted: then it looks again and again.
            return Relief::Retry;
        }
        let at = self.machine.now().as_nanos().saturating_add(PATIENCE.as_nanos());
        thread.progress.lock().deadline = Some(Instant::from_nanos(at));
        Relief::Wait
    }

    /// Frames of a process are back.
    pub(crate) fn frames_are_back(&self) {
        if self.oom.waiting.load(Ordering::SeqCst) {
            self.oom.waiting.store(false, Ordering::SeqCst);
            self.wake_all(WaitKey::Frames);
        }
    }
}

/// Frames that would be free without a process, as far as that can be said: pages that it maps, but for those that objects
/// lend; the list of its areas; and what the objects that it made hold.
fn held_by<M: Machine>(process: &Process<M>) -> u64 {
    let inner = process.space.inner.lock();
    let list = inner.areas.memory_bytes() as u64 / PAGE_SIZE as u64;
    inner.resident.saturating_sub(inner.shared) + list + process.memory.frames()
}
