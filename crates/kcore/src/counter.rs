//! Counters that handles name: events that programs count, and timers that count how often their moment came.

use alloc::sync::Arc;
use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use swos_abi::{EVENT_MAX, Errno, POLL_IN, POLL_OUT};
use swos_sync::Lock;
use swos_timers::{Alarm, TimerId};
use swos_units::{Duration, Instant};

use crate::{Kernel, Machine, object::OpenCount, ranks, ready::Watchers, thread::Thread, wait::WaitKey};

/// A counter that handles name.
pub(crate) struct Counter<M: Machine> {
    id: u64,
    pub(crate) nonblock: AtomicBool,
    pub(crate) count: OpenCount,
    pub(crate) watchers: Lock<Watchers<M>>,
    pub(crate) state: Lock<Counted>,
}

/// What it counts.
#[derive(Debug)]
pub(crate) enum Counted {
    /// What programs add.
    Event { count: u64, takes: Takes },
    /// How often a moment came. Where its end is armed, until that comes.
    Timer { alarm: Alarm, armed: Option<(usize, TimerId)> },
}

/// What is taken from an event at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Takes {
    All,
    One,
}

/// What the timers of a CPU wait for.
pub(crate) enum Due<M: Machine> {
    /// The end of a thread's wait.
    Thread(Arc<Thread<M>>),
    /// The moment of a timer.
    Timer(Arc<Counter<M>>),
}

impl Counted {
    /// What can be taken now.
    fn ready(&self, now: Instant) -> u64 {
        match self {
            Self::Event { count, .. } => *count,
            Self::Timer { alarm, .. } => alarm.expirations(now),
        }
    }

    /// Takes it.
    fn take(&mut self, now: Instant) -> u64 {
        match self {
            Self::Event { count, takes: Takes::All } => core::mem::take(count),
            Self::Event { count, takes: Takes::One } => {
                let one = (*count).min(1);
                *count -= one;
                one
            }
            Self::Timer { alarm, .. } => alarm.take(now),
        }
    }
}

impl<M: Machine> Counter<M> {
    pub(crate) const fn wait_key(&self) -> WaitKey {
        WaitKey::Counter { id: self.id }
    }

    pub(crate) fn readiness(&self, now: Instant) -> u16 {
        let state = self.state.lock();
        let room = match &*state {
            Counted::Event { count, .. } if *count < EVENT_MAX => POLL_OUT,
            Counted::Event { .. } | Counted::Timer { .. } => 0,
        };
        room | if state.ready(now) > 0 { POLL_IN } else { 0 }
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn new_counter(&self, counted: Counted, nonblock: bool) -> Arc<Counter<M>> {
        self.objects_open.fetch_add(1, Ordering::Relaxed);
        Arc::new(Counter {
            id: self.last_counter.fetch_add(1, Ordering::Relaxed) + 1,
            nonblock: AtomicBool::new(nonblock),
            count: OpenCount::one(),
            watchers: Lock::new(ranks::WATCHERS, Watchers::new()),
            state: Lock::new(ranks::COUNTER, counted),
        })
    }

    /// All who wait for a counter or look at it hear of it. Its lock is not held.
    pub(crate) fn tell_counter(&self, counter: &Counter<M>) {
        self.wake_all(counter.wait_key());
        if !counter.watchers.lock().is_empty() {
            self.notify(&counter.watchers, counter.readiness(self.machine.now()));
        }
    }

    /// Adds to an event.
    pub(crate) fn add_event(&self, counter: &Counter<M>, value: u64) -> Result<(), Errno> {
        {
            let mut state = counter.state.lock();
            let Counted::Event { count, .. } = &mut *state else { return Err(Errno::NOTTY) };
            let sum = count.checked_add(value).filter(|&sum| sum <= EVENT_MAX).ok_or(Errno::OVERFLOW)?;
            *count = sum;
        }
        // Also if there was something before: a set that watches for changes is to hear of each.
        if value > 0 {
            self.tell_counter(counter);
        }
        Ok(())
    }

    /// Takes what was counted; 0 = nothing yet. A timer that comes again is armed for its next moment.
    pub(crate) fn take_counter(&self, counter: &Arc<Counter<M>>) -> Result<u64, Errno> {
        let now = self.machine.now();
        let mut state = counter.state.lock();
        if state.ready(now) == 0 {
            return Ok(0);
        }
        if let Counted::Timer { alarm, armed } = &mut *state {
            let mut next = *alarm;
            next.take(now);
            // First what can fail: a count that was taken is told.
            self.arm_timer(counter, armed, next.due())?;
        }
        Ok(state.take(now))
    }

    /// Sets a timer.
    pub(crate) fn set_timer_of(
        &self,
        counter: &Arc<Counter<M>>,
        first: Option<Instant>,
        period: Duration,
    ) -> Result<(), Errno> {
        let mut state = counter.state.lock();
        let Counted::Timer { alarm, armed } = &mut *state else { return Err(Errno::NOTTY) };
        self.arm_timer(counter, armed, first)?;
        alarm.set(first, period);
        Ok(())
    }

    /// Arms a timer on this CPU in place of where it was. The counter is locked.
    fn arm_timer(
        &self,
        counter: &Arc<Counter<M>>,
        armed: &mut Option<(usize, TimerId)>,
        at: Option<Instant>,
    ) -> Result<(), Errno> {
        let cpu = self.machine.cpu_index();
        let new = match at {
            None => None,
            Some(at) => {
                let due = Due::Timer(counter.clone());
                let id = self.shared(cpu).timers.lock().arm(at, due).map_err(|_| Errno::NOMEM)?;
                self.set_timer_by(cpu, at.as_nanos());
                Some((cpu, id))
            }
        };
        if let Some((cpu, old)) = core::mem::replace(armed, new) {
            self.shared(cpu).timers.lock().cancel(old);
        }
        Ok(())
    }

    /// The moment of a timer has come.
    pub(crate) fn timer_came(&self, counter: &Counter<M>, now: Instant) {
        if let Counted::Timer { alarm, armed } = &mut *counter.state.lock()
            && alarm.due().is_some_and(|due| due <= now)
        {
            *armed = None;
        }
        self.tell_counter(counter);
    }

    /// The last handle is gone.
    pub(crate) fn close_counter(&self, counter: &Counter<M>) {
        self.objects_open.fetch_sub(1, Ordering::Relaxed);
        self.unwatch(&counter.watchers);
        let armed = match &mut *counter.state.lock() {
            Counted::Timer { armed, .. } => armed.take(),
            Counted::Event { .. } => None,
        };
        if let Some((cpu, id)) = armed {
            let due = self.shared(cpu).timers.lock().cancel(id);
            drop(due);
        }
        // Another thread may wait at the handle that was closed.
        self.wake_all(counter.wait_key());
    }
}

impl<M: Machine> fmt::Debug for Counter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("id", &self.id).finish_non_exhaustive()
    }
}
