//! The run queue of one CPU.

use swos_units::Duration;

use crate::{
    Entity, Mark, NoMemory, Weight,
    heap::{Heap, Waiting},
};

/// Within this time each of a few runnable threads gets its turn.
pub const LATENCY: Duration = Duration::from_millis(12);
/// Shortest slice, whatever the number of threads: below it, switching would cost more than it gives.
pub const SLICE_MIN: Duration = Duration::from_millis(1);
/// Longest slice while another thread waits.
pub const SLICE_MAX: Duration = Duration::from_millis(10);
/// What a thread that slept is ahead of those that ran, at most, in virtual time.
pub const WAKE_CREDIT: Duration = Duration::from_millis(6);
/// How far ahead a thread must be to take the CPU from a running one before its slice ends.
pub const WAKE_GRANULARITY: Duration = Duration::from_millis(1);

/// Entries looked at to find one worth stealing; bounds the work of a steal.
const STEAL_WINDOW: usize = 16;

/// Why a thread becomes runnable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enter {
    /// It was just made: behind those that wait, so that making threads is no way to more time.
    New,
    /// What it waited for came: ahead of those that ran meanwhile, by a bounded credit.
    Woken,
    /// Its slice ended or another went before it: keeps its place.
    Preempted,
    /// It let others go first: behind the first that waits.
    Yielded,
}

/// Runnable threads of one CPU, but not the one that runs.
#[derive(Debug)]
pub struct RunQueue<T> {
    id: u32,
    heap: Heap<T>,
    /// Virtual time of this CPU: no runnable thread is behind it. Never falls.
    now: u64,
    /// Sum of the weights in the heap.
    weight: u64,
    arrivals: u64,
}

/// Where a thread comes to stand in a queue.
#[derive(Debug)]
#[must_use = "the thread must enter the queue"]
pub struct Place {
    vruntime: u64,
    weight: u32,
}

/// A thread on its way from one queue to another.
#[derive(Debug)]
#[must_use = "a stolen thread must enter another queue"]
pub struct Stolen<T> {
    item: T,
    /// Virtual time of the queue it left.
    left_at: u64,
}

impl<T> Stolen<T> {
    /// The thread.
    pub const fn item(&self) -> &T {
        &self.item
    }
}

impl<T> RunQueue<T> {
    /// An empty queue. `id` tells queues apart: virtual times of different queues can't be compared.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self { id, heap: Heap::new(), now: 0, weight: 0, arrivals: 0 }
    }

    /// Makes room for `threads` in all, so that [`enqueue`](Self::enqueue) never allocates up to that number.
    ///
    /// # Errors
    ///
    /// [`NoMemory`]; then no thread should be made.
    pub fn reserve(&mut self, threads: usize) -> Result<(), NoMemory> {
        self.heap.reserve(threads)
    }

    /// Gives room back that is far more than so many threads need, which is how many there are now. It is worth a call when
    /// their number has halved.
    pub fn give_back(&mut self, threads: usize) {
        self.heap.give_back(threads);
    }

    /// Number of waiting threads.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Sum of the weights of the waiting threads, for load figures.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// Puts a thread in. O(log n). It must not be in a queue already.
    #[inline]
    pub fn enqueue(&mut self, entity: &mut Entity, item: T, why: Enter) {
        let place = self.place(entity, why);
        self.insert(place, item);
    }

    /// Where a thread comes to stand that is not in a queue; [`insert`](Self::insert) puts it there next. For who keeps the
    /// entity in the item, and so can't lend both at once.
    #[inline]
    pub fn place(&mut self, entity: &mut Entity, why: Enter) -> Place {
        let here = entity.queue == Some(self.id);
        let placed = match why {
            Enter::New => self.now.saturating_add(virtual_time(SLICE_MIN, entity.weight)),
            Enter::Woken | Enter::Preempted | Enter::Yielded if !here => self.rebased(entity),
            Enter::Woken => entity.vruntime.max(self.now.saturating_sub(WAKE_CREDIT.as_nanos())),
            Enter::Preempted => entity.vruntime,
            Enter::Yielded => {
                self.heap.first().map_or(entity.vruntime, |first| entity.vruntime.max(first.vruntime))
            }
        };
        self.settle(entity, placed)
    }

    /// Puts a thread in at the place that it was given last.
    #[inline]
    pub fn insert(&mut self, place: Place, item: T) {
        let Place { vruntime, weight } = place;
        self.weight += u64::from(weight);
        self.heap.push(Waiting { vruntime, arrival: self.arrivals, weight, item });
        self.arrivals += 1;
    }

    /// Puts a stolen thread in, as far ahead or behind as it was where it comes from.
    pub fn enqueue_stolen(&mut self, entity: &mut Entity, stolen: Stolen<T>) {
        entity.left_at = stolen.left_at;
        let placed = self.rebased(entity);
        let place = self.settle(entity, placed);
        self.insert(place, stolen.item);
    }

    /// Takes the thread to run next: the one of the smallest virtual run time. O(log n).
    #[must_use = "the thread is out of the queue"]
    #[inline]
    pub fn pick(&mut self) -> Option<T> {
        let waiting = self.heap.pop()?;
        self.weight -= u64::from(waiting.weight);
        self.now = self.now.max(waiting.vruntime);
        Some(waiting.item)
    }

    /// Puts a thread in at the place that it was given last, and takes the one out that runs next, if that is another: as both one after
    /// the other, but of two threads that give way to each other neither waits behind the other in between.
    #[must_use = "the thread is out of the queue"]
    #[inline]
    pub fn exchange(&mut self, place: Place, item: T) -> Option<(T, Option<Duration>)> {
        let first = self.heap.first().filter(|first| first.vruntime <= place.vruntime);
        let Some(weight) = first.map(|first| first.weight) else {
            self.insert(place, item);
            return None;
        };
        let next = self.pick();
        self.insert(place, item);
        next.map(|next| (next, self.slice_of(weight)))
    }

    /// Lets a thread through that would run next, because nobody waits here: as [`enqueue`](Self::enqueue) and [`pick`](Self::pick). False =
    /// somebody waits, and nothing was done.
    #[must_use = "the thread runs next, or must enter the queue"]
    #[inline]
    pub fn pass(&mut self, entity: &mut Entity, why: Enter) -> bool {
        if !self.is_empty() {
            return false;
        }
        let Place { vruntime, .. } = self.place(entity, why);
        self.now = self.now.max(vruntime);
        true
    }

    /// The same, and how long that thread may run, as [`slice`](Self::slice) says.
    #[must_use = "the thread is out of the queue"]
    #[inline]
    pub fn pick_with_slice(&mut self) -> Option<(T, Option<Duration>)> {
        let weight = self.heap.first()?.weight;
        let item = self.pick()?;
        Some((item, self.slice_of(weight)))
    }

    /// Accounts `ran` to the thread that runs or ran here. To be called when it stops, and before
    /// [`preempts`](Self::preempts) is asked.
    pub fn charge(&mut self, entity: &mut Entity, ran: Duration) {
        entity.add(ran);
        let behind = self.heap.first().map_or(entity.vruntime, |first| first.vruntime.min(entity.vruntime));
        self.now = self.now.max(behind);
        entity.left_at = self.now;
    }

    /// How long `current` may run before another is picked; `None` if none waits: then no tick is needed.
    #[must_use]
    #[inline]
    pub fn slice(&self, current: &Entity) -> Option<Duration> {
        self.slice_of(current.weight.get())
    }

    fn slice_of(&self, weight: u32) -> Option<Duration> {
        if self.is_empty() {
            return None;
        }
        let own = u64::from(weight);
        let share = LATENCY.as_nanos().saturating_mul(own) / self.weight.saturating_add(own);
        Some(Duration::from_nanos(share.clamp(SLICE_MIN.as_nanos(), SLICE_MAX.as_nanos())))
    }

    /// Whether the first waiting thread should take the CPU from `current`, charged up to now, at once.
    #[must_use]
    pub fn preempts(&self, current: &Entity) -> bool {
        self.heap.first().is_some_and(|first| {
            first.vruntime.saturating_add(WAKE_GRANULARITY.as_nanos()) < current.vruntime
        })
    }

    /// Lets the queue's time go on to where the thread is that runs here. For before somebody enters who is measured by that time.
    #[inline]
    pub fn catch_up(&mut self, current: Mark) {
        let at = current.vruntime;
        self.now = self.now.max(self.heap.first().map_or(at, |first| first.vruntime.min(at)));
    }

    /// The same as [`preempts`](Self::preempts) for a thread that is not at hand.
    #[must_use]
    #[inline]
    pub fn preempts_mark(&self, current: Mark) -> bool {
        self.heap.first().is_some_and(|first| {
            first.vruntime.saturating_add(WAKE_GRANULARITY.as_nanos()) < current.vruntime
        })
    }

    /// As [`slice`](Self::slice), by the mark.
    #[must_use]
    #[inline]
    pub fn slice_of_mark(&self, current: Mark) -> Option<Duration> {
        self.slice_of(current.weight.get())
    }

    /// Gives up a waiting thread for another CPU: of those furthest from their turn that `may_move` allows,
    /// the one that has waited longest, whose data is least likely still in this CPU's cache. O(log n).
    pub fn steal(&mut self, may_move: impl FnMut(&T) -> bool) -> Option<Stolen<T>> {
        let waiting = self.heap.take_leaf(STEAL_WINDOW, may_move)?;
        self.weight -= u64::from(waiting.weight);
        Some(Stolen { item: waiting.item, left_at: self.now })
    }

    /// Where a thread from another queue stands here: its lead or lag there, kept within the credit.
    fn rebased(&self, entity: &Entity) -> u64 {
        let credit = WAKE_CREDIT.as_nanos();
        if entity.queue.is_none() {
            return self.now;
        }
        if entity.vruntime >= entity.left_at {
            self.now.saturating_add((entity.vruntime - entity.left_at).min(credit))
        } else {
            self.now.saturating_sub((entity.left_at - entity.vruntime).min(credit))
        }
    }

    #[inline]
    const fn settle(&self, entity: &mut Entity, vruntime: u64) -> Place {
        entity.vruntime = vruntime;
        entity.queue = Some(self.id);
        Place { vruntime, weight: entity.weight.get() }
    }
}

/// Virtual time in which a thread of `weight` runs for `real`.
fn virtual_time(real: Duration, weight: Weight) -> u64 {
    real.as_nanos().saturating_mul(u64::from(Weight::NORMAL.get())) / u64::from(weight.get())
}

#[cfg(test)]
mod tests;
