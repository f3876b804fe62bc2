//! Work that is too long for the call or the interrupt that caused it: the rest is done later, a slice each time a CPU passes
//! by, and interrupts have their turn in between.
//!
//! Who leaves something behind marks its CPU, which then comes back before it returns to a program. So nothing waits for
//! long, and nothing that a program can do makes the queue grow: it does not get to run before the queue is empty.

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};

use swos_abi::SignalSet;
use swos_futex::WaitId;
use swos_slab::Spare;
use swos_sync::Lock;

use crate::{
    Kernel, Machine,
    endpoint::{SharedEndpoint, Side},
    exec::Launch,
    object::Object,
    process::Process,
    ranks,
    ready::ReadySet,
    wait::{ANY_BITS, WaitPlace, Woken},
};

/// Threads that are made ready between two chances for an interrupt, for whatever reason.
pub(crate) const WAKES_PER_SLICE: usize = 64;

/// Things to do for which there always is room, once there was one.
const LEAST: usize = 32;

/// First in, first out, with no more memory than it needs.
pub(crate) struct Queue<T> {
    list: VecDeque<T>,
    /// The least memory, while there is more.
    spare: Spare<VecDeque<T>>,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { list: VecDeque::new(), spare: Spare::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts something in, or gives it back if there is no memory.
    pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
        if self.spare.make_room(&mut self.list, 1, LEAST).is_err() {
            return Err(value);
        }
        self.list.push_back(value);
        Ok(())
    }

    /// Puts something in that can't be given back: without memory the kernel ends.
    pub(crate) fn push_always(&mut self, value: T) {
        let _or_the_list_asks_itself = self.spare.make_room(&mut self.list, 1, LEAST);
        self.list.push_back(value);
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let value = self.list.pop_front();
        let left = self.list.len();
        self.spare.give_back(&mut self.list, left, LEAST);
        value
    }
}

/// One thing that is not finished.
pub(crate) enum Work<M: Machine> {
    /// So many more of those that wait for a key are to be woken.
    Wake { key: WaitPlace, left: usize },
    /// A process is to get its first thread.
    Launch(Box<Launch<M>>),
    /// The first so many threads of a process that ends or goes on have not been told yet.
    Rouse { process: Arc<Process<M>>, left: usize },
    /// What a signal means for the first so many threads of a process: one is to be told of the first ones, at all the second
    /// ones are to be discarded.
    Concern { process: Arc<Process<M>>, told: SignalSet, discarded: SignalSet, left: usize },
    /// A readiness set is gone and still watches something.
    GiveUp { set: Arc<ReadySet<M>> },
    /// Sets that watch ends of an endpoint, from one of these on, have not heard yet of what changed.
    Tell { shared: Arc<SharedEndpoint<M>>, side: Side, from: usize },
    /// A handle is gone that came with a message, and the end of what it named takes its time.
    Close { object: Object<M> },
    /// A thread goes on that was registered for very much.
    TakeBack { waits: Vec<WaitId> },
}

/// All of it.
pub(crate) struct Works<M: Machine> {
    queue: Lock<Queue<Work<M>>>,
    count: AtomicUsize,
}

impl<M: Machine> Works<M> {
    pub(crate) const fn new() -> Self {
        Self { queue: Lock::new(ranks::WORK, Queue::new()), count: AtomicUsize::new(0) }
    }

    /// Whether there is any.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }
}

impl<M: Machine> Kernel<M> {
    /// Leaves work for later, or gives it back if there is no memory to note it.
    fn leave(&self, work: Work<M>) -> Result<(), Work<M>> {
        let mut queue = self.works.queue.lock();
        queue.push(work)?;
        self.works.count.store(queue.len(), Ordering::SeqCst);
        self.add_chore();
        drop(queue);
        // This CPU comes by before it runs a program again; interrupts have their turn first, as the call or the interrupt that
        // leaves the rest has done a slice already.
        let flags = &self.shared(self.machine.cpu_index()).flags;
        flags.breathe.store(true, Ordering::Relaxed);
        flags.reschedule.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Leaves work for later. Without memory to note it, it is done now, however long it takes.
    pub(crate) fn do_later(&self, work: Work<M>) {
        let mut rest = self.leave(work).err();
        while let Some(work) = rest {
            self.shared(self.machine.cpu_index()).flags.woken.store(0, Ordering::Relaxed);
            rest = self.slice_of(work);
        }
    }

    /// Does one slice of what was left. True = there was something.
    #[inline(never)]
    pub(crate) fn work_step(&self) -> bool {
        let work = {
            let mut queue = self.works.queue.lock();
            let work = queue.pop();
            self.works.count.store(queue.len(), Ordering::SeqCst);
            work
        };
        let Some(work) = work else { return false };
        if let Some(rest) = self.slice_of(work) {
            self.do_later(rest);
        }
        true
    }

    /// Does one slice, returns the rest.
    fn slice_of(&self, work: Work<M>) -> Option<Work<M>> {
        match work {
            Work::Wake { key, left } => match self.wake_some(key, left, ANY_BITS) {
                Woken::All(_) => None,
                Woken::Some(woken) => Some(Work::Wake { key, left: left - woken }),
            },
            Work::Launch(launch) => self.launch(launch).map(Work::Launch),
            Work::Concern { process, told, discarded, left } => {
                let (told, left) = self.concern_some(&process, told, discarded, left);
                (left > 0).then_some(Work::Concern { process, told, discarded, left })
            }
            Work::GiveUp { set } => self.give_up_sources(set),
            Work::Tell { shared, side, from } => {
                self.tell_some_sets(&shared, side, from).map(|from| Work::Tell { shared, side, from })
            }
            Work::Close { object } => {
                self.close_object(object);
                None
            }
            Work::TakeBack { mut waits } => {
                self.take_back_some(&mut waits);
                (!waits.is_empty()).then_some(Work::TakeBack { waits })
            }
            Work::Rouse { process, left } => {
                let left = self.rouse(&process, left);
                (left > 0).then_some(Work::Rouse { process, left })
            }
        }
    }

    /// How many more threads may be made ready before interrupts have their turn.
    pub(crate) fn wakes_left(&self) -> usize {
        let woken = self.shared(self.machine.cpu_index()).flags.woken.load(Ordering::Relaxed);
        WAKES_PER_SLICE.saturating_sub(woken)
    }

    /// Notes that threads were made ready.
    pub(crate) fn count_wakes(&self, count: usize) {
        let woken = &self.shared(self.machine.cpu_index()).flags.woken;
        woken.store(woken.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    /// Makes the threads of a process look at what became of it, of the first `left` the last ones; returns how many
    /// that leaves. From the end, because those that leave the list meanwhile move others only towards its front.
    fn rouse(&self, process: &Process<M>, left: usize) -> usize {
        let mut left = left;
        while left > 0 && self.wakes_left() > 0 {
            let thread = {
                let threads = process.threads.lock();
                left = left.min(threads.list.len());
                let Some(index) = left.checked_sub(1) else { break };
                left = index;
                threads.list.get(index).cloned()
            };
            let Some(thread) = thread else { break };
            self.count_wakes(1);
            self.attend(&thread);
        }
        left
    }

    /// Makes all threads of a process that ends or goes on pass by the dispatcher.
    pub(crate) fn rouse_all(&self, process: &Arc<Process<M>>) {
        let all = process.threads.lock().list.len();
        let left = self.rouse(process, all);
        if left > 0 {
            self.do_later(Work::Rouse { process: process.clone(), left });
        }
    }
}
