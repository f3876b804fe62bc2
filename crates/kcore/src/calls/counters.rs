//! Events, timers, socket pairs: the calls.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use swos_abi::{
    CLOSE_ON_EXEC, EVENT_MAX, EVENT_NONBLOCK, EVENT_SEMAPHORE, Errno, Handle, PairEnds, Rights,
    SHUTDOWN_BOTH, SHUTDOWN_READ, SHUTDOWN_WRITE, SOCKET_DATAGRAM, SOCKET_NONBLOCK, SOCKET_STREAM,
    TIMER_ABSOLUTE, TIMER_NONBLOCK, TIMER_PERIOD_MIN_NS,
};
use swos_pipe::End;
use swos_timers::Alarm;
use swos_units::{Duration, Instant};
use zerocopy::IntoBytes as _;

use super::on_exec_of;
use crate::{
    Kernel, Machine,
    counter::{Counted, Counter, Takes},
    object::Object,
    pipe::{Borders, PairEnd},
    thread::Thread,
    wait::CallResult,
};

/// What a new counter may be used for.
const RIGHTS: Rights = Rights::READ.union(Rights::WRITE).union(Rights::DUPLICATE).union(Rights::TRANSFER);

impl<M: Machine> Kernel<M> {
    pub(super) fn event_create(&self, thread: &Thread<M>, initial: u64, flags: u32) -> CallResult {
        if flags & !(EVENT_SEMAPHORE | EVENT_NONBLOCK | CLOSE_ON_EXEC) != 0 || initial > EVENT_MAX {
            return Err(Errno::INVAL.into());
        }
        let takes = if flags & EVENT_SEMAPHORE == 0 { Takes::All } else { Takes::One };
        let event = self.new_counter(Counted::Event { count: initial, takes }, flags & EVENT_NONBLOCK != 0);
        self.install_as(thread, Object::Counter(event), RIGHTS, None, on_exec_of(flags))
    }

    pub(super) fn timer_create(&self, thread: &Thread<M>, flags: u32) -> CallResult {
        if flags & !(TIMER_NONBLOCK | CLOSE_ON_EXEC) != 0 {
            return Err(Errno::INVAL.into());
        }
        let counted = Counted::Timer { alarm: Alarm::new(), armed: None };
        let timer = self.new_counter(counted, flags & TIMER_NONBLOCK != 0);
        self.install_as(thread, Object::Counter(timer), RIGHTS, None, on_exec_of(flags))
    }

    fn counter_of(
        thread: &Thread<M>,
        handle: Handle,
        needed: Rights,
    ) -> Result<Arc<Counter<M>>, crate::wait::Stop> {
        match Self::object(thread, handle, needed)? {
            Object::Counter(counter) => Ok(counter),
            _ => Err(Errno::NOTTY.into()),
        }
    }

    pub(super) fn event_add(&self, thread: &Thread<M>, event: Handle, value: u64) -> CallResult {
        let event = Self::counter_of(thread, event, Rights::WRITE)?;
        self.add_event(&event, value)?;
        Ok(0)
    }

    pub(super) fn timer_set(
        &self,
        thread: &Thread<M>,
        timer: Handle,
        first_ns: u64,
        period_ns: u64,
        flags: u32,
    ) -> CallResult {
        if flags & !TIMER_ABSOLUTE != 0 || (period_ns != 0 && period_ns < TIMER_PERIOD_MIN_NS) {
            return Err(Errno::INVAL.into());
        }
        let timer = Self::counter_of(thread, timer, Rights::WRITE)?;
        let first = if first_ns == 0 && period_ns == 0 {
            None
        } else if flags & TIMER_ABSOLUTE != 0 {
            Some(Instant::from_nanos(first_ns))
        } else {
            Some(Instant::from_nanos(self.machine.now().as_nanos().saturating_add(first_ns)))
        };
        self.set_timer_of(&timer, first, Duration::from_nanos(period_ns))?;
        Ok(0)
    }

    pub(super) fn counter_take(
        &self,
        thread: &Arc<Thread<M>>,
        handle: Handle,
        timeout_ns: u64,
    ) -> CallResult {
        let counter = Self::counter_of(thread, handle, Rights::READ)?;
        let taken = self.take_counter(&counter)?;
        if taken > 0 {
            return Ok(taken);
        }
        if counter.nonblock.load(Ordering::Relaxed) {
            return Err(Errno::AGAIN.into());
        }
        if self.time_is_up(thread, timeout_ns) {
            return Err(Errno::TIMEDOUT.into());
        }
        // Registered first, looked at once more after that: nothing falls between.
        let wait = self.wait_for(thread, counter.wait_key());
        match self.take_counter(&counter)? {
            0 => Err(wait),
            taken => Ok(taken),
        }
    }

    pub(super) fn socket_pair(&self, thread: &Thread<M>, kind: u32, ends: u64, size: u64) -> CallResult {
        if size < size_of::<PairEnds>() as u64 {
            return Err(Errno::INVAL.into());
        }
        let borders = match kind & !(SOCKET_NONBLOCK | CLOSE_ON_EXEC) {
            SOCKET_STREAM => Borders::None,
            SOCKET_DATAGRAM => Borders::Kept,
            _ => return Err(Errno::PROTONOSUPPORT.into()),
        };
        // A bad pointer must not cost a pair: it is tried before there is one.
        self.copy_out(ends, PairEnds::NONE.as_bytes())?;
        let pair = self.new_pair(kind & SOCKET_NONBLOCK != 0, borders);
        let rights = Rights::GETATTR | Rights::DUPLICATE | Rights::TRANSFER | Rights::READ | Rights::WRITE;
        let pair = pair.map(|end| (Object::Pair(end), rights));
        self.install_two(thread, pair, on_exec_of(kind), |[first, second]| {
            self.copy_out(ends, PairEnds { first, second }.as_bytes())
        })
    }

    /// Ends one direction of a pair, or both, for all who hold this end.
    pub(super) fn shutdown_pair(&self, end: &PairEnd<M>, how: u32) -> CallResult {
        if how == SHUTDOWN_READ || how == SHUTDOWN_BOTH {
            self.hang_up(&end.incoming.shared, End::Reader);
        }
        if how == SHUTDOWN_WRITE || how == SHUTDOWN_BOTH {
            self.hang_up(&end.outgoing.shared, End::Writer);
        }
        Ok(0)
    }
}
