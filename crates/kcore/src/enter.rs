//! Threads that become ready: which CPU runs them, and whether that makes room for them at once.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use swos_sched::{Enter, Load, Mark, place};
use swos_sync::LockGuard;
use swos_units::Instant;

use crate::{
    Kernel, Machine,
    dispatch::{Own, Shared},
    thread::{Phase, State, Thread},
};

impl<M: Machine> Kernel<M> {
    /// Enters a ready thread into the run queue of the CPU that suits it, and tells that CPU. Releases the thread first:
    /// the interrupt may take long to send, and the other CPU wants the thread.
    pub(crate) fn enqueue(&self, thread: &Arc<Thread<M>>, mut state: LockGuard<'_, State>, why: Enter) {
        if let Some((cpu, timer)) = state.timer.take() {
            // The timer queue is below the thread's state; one that fired is no longer there.
            self.shared(cpu).timers.lock().cancel(timer);
        }
        let target = match self.cpus.len() {
            1 => 0,
            cpus => place(state.cpu, cpus, |cpu| self.load_of(cpu)).unwrap_or(0),
        };
        state.cpu = target;
        let shared = self.shared(target);
        let here = target == self.machine.cpu_index();
        if here && let Some((mark, since)) = shared.flags.running() {
            self.enqueue_here(thread, &mut state, shared, why, mark, since);
            return;
        }
        {
            let mut queue = shared.queue.lock();
            queue.enqueue(&mut state.entity, thread.clone(), why);
            shared.flags.queued.store(queue.len(), Ordering::Relaxed);
        }
        // A CPU says that it is idle before it looks at this flag, so either it sees the flag or the kick reaches it.
        shared.flags.reschedule.store(true, Ordering::SeqCst);
        drop(state);
        if !here || shared.flags.idle.load(Ordering::SeqCst) {
            self.machine.kick(target);
        }
    }

    /// Enters a thread into this CPU's run queue while another runs: whether that makes room is found out at once, by what is
    /// published of it. So a wake-up after which it goes on costs no look at its end.
    fn enqueue_here(
        &self,
        thread: &Arc<Thread<M>>,
        state: &mut State,
        shared: &Shared<M>,
        why: Enter,
        mark: Mark,
        since: Instant,
    ) {
        let flags = &shared.flags;
        let now = self.machine.now();
        let mark = mark.after(now.since(since));
        let alone = flags.slice_end.load(Ordering::Relaxed) == u64::MAX;
        let slice = {
            let mut queue = shared.queue.lock();
            queue.catch_up(mark);
            queue.enqueue(&mut state.entity, thread.clone(), why);
            flags.queued.store(queue.len(), Ordering::Relaxed);
            if queue.preempts_mark(mark) {
                flags.reschedule.store(true, Ordering::Relaxed);
                return;
            }
            if alone { queue.slice_of_mark(mark) } else { None }
        };
        if let Some(slice) = slice {
            let end = (now + slice).as_nanos();
            flags.slice_end.store(end, Ordering::Relaxed);
            self.arm_by(flags, end);
        }
    }

    /// Makes a thread ready that is handed this CPU, which nobody has now. Where nobody else waits for the CPU either, the thread runs next
    /// without having been in the queue; otherwise it is woken as any other.
    #[inline]
    pub(crate) fn pass_to(&self, index: usize, own: &mut Own<M>, thread: Arc<Thread<M>>) {
        let mut state = thread.state.lock();
        if state.phase != Phase::Waiting || state.cpu != index || !self.passes(index, &mut state) {
            drop(state);
            return self.make_ready(&thread);
        }
        state.phase = Phase::Ready;
        if let Some((cpu, timer)) = state.timer.take() {
            self.shared(cpu).timers.lock().cancel(timer);
        }
        drop(state);
        own.next = Some((thread, None));
    }

    #[inline]
    fn passes(&self, cpu: usize, state: &mut State) -> bool {
        self.shared(cpu).queue.lock().pass(&mut state.entity, Enter::Woken)
    }

    fn load_of(&self, cpu: usize) -> Load {
        let flags = &self.shared(cpu).flags;
        if !flags.online.load(Ordering::Relaxed) {
            Load::Closed
        } else if flags.idle.load(Ordering::Relaxed) && !flags.reschedule.load(Ordering::Relaxed) {
            Load::Idle
        } else {
            // Those that wait, and the one that runs.
            Load::Busy(flags.queued.load(Ordering::Relaxed) + 1)
        }
    }
}
