//! Who waits for what, and how a thread stops and goes on.
//!
//! A call that can't finish registers its thread under [`WaitKey`]s, while it holds the lock under which the event
//! would happen, and returns [`Stop::WAIT`]. The event wakes all waiters of the key; the thread then *restarts* its call, which
//! looks again. A wake-up that comes between the registration and the stop is kept in the thread, so none is lost; one
//! that comes for nothing costs a look.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, num::NonZeroI64, sync::atomic::Ordering};

use arrayvec::ArrayVec;
use swos_abi::{Errno, result_from_raw, result_to_raw};
use swos_aspace::AccessKind;
use swos_futex::{ANY, FutexTable, SeededHash, WaitId};
use swos_handles::{Lease, LeaseId};
use swos_pipe::End;
use swos_units::{Instant, VirtAddr};
use swos_vfs::VnodeId;

use crate::{
    Kernel, Machine,
    machine::UserFault,
    thread::{Phase, Progress, Thread},
    work::{WAKES_PER_SLICE, Work},
};

/// Waiters with other bits that are passed over before interrupts have their turn, at some twenty instructions each.
const PASSED_PER_SLICE: usize = 1024;

/// What a thread may wait for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum WaitKey {
    /// A u32 in an address space.
    Futex { space: u64, address: u64 },
    /// A u32 in a memory object.
    SharedFutex { object: u64, offset: u64 },
    /// The end of a child of this process.
    Child { parent: u32 },
    /// A change of a socket's state.
    Socket { id: u64 },
    /// A block of the system disk to arrive or to fail.
    Block { number: u64 },
    /// A fork or a mapping call in this address space to be over.
    Space { space: u64 },
    /// Frames to be free.
    Frames,
    /// Input from the console.
    Console,
    /// A change of what holds of an end of a pipe.
    Pipe { id: u64 },
    /// Something to take from an event or a timer.
    Counter { id: u64 },
    /// A message, room, or a change of what holds of an end of an endpoint.
    Endpoint { id: u64 },
    /// Somebody at the other end of the pipe with this name.
    Fifo { vnode: VnodeId, end: End },
    /// An event in a readiness set.
    Ready { set: u64 },
    /// The end of a loan.
    Lease { id: LeaseId },
}

/// A [`WaitKey`] in two words: compared and hashed at every wait and every wake-up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct WaitPlace {
    /// Above, what it is; below, the space, object or mount that it is in, if any.
    what: u64,
    which: u64,
}

impl WaitKey {
    /// In two words. No two keys have the same: numbers of spaces, objects and mounts stay far below 2^56.
    #[inline(always)]
    pub(crate) const fn place(self) -> WaitPlace {
        let (kind, within, which) = match self {
            Self::Futex { space, address } => (0_u64, space, address),
            Self::SharedFutex { object, offset } => (1, object, offset),
            Self::Child { parent } => (2, 0, parent as u64),
            Self::Socket { id } => (3, 0, id),
            Self::Block { number } => (4, 0, number),
            Self::Space { space } => (5, 0, space),
            Self::Frames => (6, 0, 0),
            Self::Console => (7, 0, 0),
            Self::Pipe { id } => (8, 0, id),
            Self::Counter { id } => (9, 0, id),
            Self::Endpoint { id } => (10, 0, id),
            Self::Fifo { vnode, end: End::Reader } => (11, vnode.mount.get() as u64, vnode.node.0),
            Self::Fifo { vnode, end: End::Writer } => (12, vnode.mount.get() as u64, vnode.node.0),
            Self::Ready { set } => (13, 0, set),
            Self::Lease { id } => (14, 0, id.get()),
        };
        WaitPlace { what: kind << 56 | within, which }
    }
}

impl WaitPlace {
    /// Whether what is waited for comes soon, whatever programs do.
    const fn is_brief(self) -> bool {
        // A block of the disk, or the end of a fork or a mapping call.
        matches!(self.what >> 56, 4 | 5)
    }
}

/// Why a call did not return a value, in one word: so a result with it comes back in registers. Below zero it is what x0 gets, above a
/// kind, and behind that an address.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Stop(NonZeroI64);

/// What a [`Stop`] says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// It failed.
    Errno(Errno),
    /// It waits for what its thread registered for, and is restarted then.
    Wait,
    /// It needs a user page; it is restarted when that is there.
    Fault(Access),
    /// It did a bounded part of its work; it is restarted after interrupts had their turn.
    Again,
    /// It lets the other ready threads of this CPU run first, and returns 0 then.
    GiveWay,
    /// Its thread is at its end.
    Exit,
}

/// Bits of a [`Stop`]'s kind.
const KIND_BITS: u32 = 4;

impl Stop {
    /// [`Why::Wait`].
    pub(crate) const WAIT: Self = Self::kind(1);
    /// [`Why::Again`].
    pub(crate) const AGAIN: Self = Self::kind(2);
    /// [`Why::GiveWay`].
    pub(crate) const GIVE_WAY: Self = Self::kind(3);
    /// [`Why::Exit`].
    pub(crate) const EXIT: Self = Self::kind(4);
    /// From here on the kinds of access of [`Why::Fault`].
    const FAULT: i64 = 5;

    const fn kind(kind: i64) -> Self {
        match NonZeroI64::new(kind) {
            Some(kind) => Self(kind),
            None => Self(NonZeroI64::MAX),
        }
    }

    /// [`Why::Fault`], or [`Why::Errno`] at an address that no program has.
    #[inline]
    const fn fault(address: VirtAddr, kind: AccessKind) -> Self {
        if address.get() >> (i64::BITS - 1 - KIND_BITS) != 0 {
            return Self::errno(Errno::FAULT);
        }
        Self::kind((address.get() << KIND_BITS).cast_signed() | (Self::FAULT + kind as i64))
    }

    /// [`Why::Errno`].
    #[inline]
    pub(crate) const fn errno(errno: Errno) -> Self {
        Self::kind(result_to_raw(Err(errno)))
    }

    /// What x0 gets, if it failed.
    #[inline]
    pub(crate) const fn raw(self) -> Option<i64> {
        let raw = self.0.get();
        if raw < 0 { Some(raw) } else { None }
    }

    /// Whether it failed.
    #[inline]
    pub(crate) const fn is_errno(self) -> bool {
        self.0.get() < 0
    }

    /// What it says.
    #[inline]
    pub(crate) const fn why(self) -> Why {
        let word = match result_from_raw(self.0.get()) {
            Err(errno) => return Why::Errno(errno),
            Ok(word) => word,
        };
        let kind = match word & ((1 << KIND_BITS) - 1) {
            1 => return Why::Wait,
            2 => return Why::Again,
            3 => return Why::GiveWay,
            4 => return Why::Exit,
            5 => AccessKind::Read,
            6 => AccessKind::Write,
            _ => AccessKind::Execute,
        };
        Why::Fault(Access { address: VirtAddr::new(word >> KIND_BITS), kind })
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why().fmt(f)
    }
}

/// When a wait ends, if nothing ends it before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Until(pub(crate) Option<Instant>);

/// What came of waking threads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Woken {
    /// So many, and there are no others to wake.
    All(usize),
    /// So many, and the others may be woken after interrupts had their turn.
    Some(usize),
}

/// A user access that faulted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Access {
    pub(crate) address: VirtAddr,
    pub(crate) kind: AccessKind,
}

impl From<Errno> for Stop {
    #[inline]
    fn from(errno: Errno) -> Self {
        Self::errno(errno)
    }
}

/// Result of a call: what x0 gets, or why there is nothing yet.
pub(crate) type CallResult = Result<u64, Stop>;

/// Turns a failed read of user memory into the stop that resolves it.
pub(crate) const fn read_fault(fault: UserFault) -> Stop {
    Stop::fault(fault.address, AccessKind::Read)
}

/// Turns a failed write of user memory into the stop that resolves it.
pub(crate) const fn write_fault(fault: UserFault) -> Stop {
    Stop::fault(fault.address, AccessKind::Write)
}

/// The waiters of the whole system, by what they wait for.
pub(crate) type WaitTable<M> = FutexTable<WaitPlace, Arc<Thread<M>>, SeededHash>;

/// Registrations that are taken back at once. Only a poll of many has more.
const TAKEN_BACK_AT_ONCE: usize = 64;

/// Bits by which a waiter is chosen; everything but the futex calls waits for any.
pub(crate) const ANY_BITS: u32 = ANY;

impl<M: Machine> Kernel<M> {
    /// Registers the calling thread for `key`. The caller holds the lock under which `key` is woken.
    #[inline(always)]
    pub(crate) fn register(&self, thread: &Arc<Thread<M>>, key: WaitKey, bits: u32) -> Result<(), Stop> {
        self.register_at(thread, key.place(), bits)
    }

    #[inline(never)]
    fn register_at(&self, thread: &Arc<Thread<M>>, at: WaitPlace, bits: u32) -> Result<(), Stop> {
        let id = self.waits.lock().wait(at, thread.clone(), bits).map_err(|_| Errno::NOMEM)?;
        let mut progress = thread.progress.lock();
        progress.waits.push(id);
        progress.brief |= at.is_brief();
        Ok(())
    }

    /// Registers for `key` and stops.
    #[inline(always)]
    pub(crate) fn wait_for(&self, thread: &Arc<Thread<M>>, key: WaitKey) -> Stop {
        match self.register_at(thread, key.place(), ANY_BITS) {
            Ok(()) => Stop::WAIT,
            Err(stop) => stop,
        }
    }

    /// Registers a thread that is about to wait for the end of every loan by which its call has objects; returns until when it
    /// waits. `None` = a loan has ended: then the call is to find that out.
    #[inline]
    pub(crate) fn register_leases(&self, thread: &Arc<Thread<M>>) -> Result<Option<Until>, Stop> {
        if !thread.progress.is_used() {
            return Ok(Some(Until(None)));
        }
        let progress = thread.progress.lock();
        let until = Until(progress.deadline);
        if progress.leases.is_empty() {
            return Ok(Some(until));
        }
        drop(progress);
        Ok(self.register_each(thread)?.then_some(until))
    }

    #[cold]
    fn register_each(&self, thread: &Arc<Thread<M>>) -> Result<bool, Stop> {
        let leases = core::mem::take(&mut thread.progress.lock().leases);
        let mut alive = true;
        for lease in &leases {
            alive &= self.register_lease(thread, lease)?;
        }
        Ok(alive)
    }

    /// Registers a thread for the end of a loan; whether it has not ended yet.
    #[cold]
    pub(crate) fn register_lease(&self, thread: &Arc<Thread<M>>, lease: &Lease) -> Result<bool, Stop> {
        // Of all that descends from one loan the threads hear together, and those that it does not concern wait again.
        self.register(thread, WaitKey::Lease { id: lease.first() }, ANY_BITS)?;
        // Registered first: who revokes from here on wakes it.
        Ok(lease.is_alive())
    }

    /// Takes back all registrations of a thread that goes on, and notes in its progress whether all had fired: then it
    /// was woken by what it waited for, and not by a time-out or for nothing.
    #[inline]
    pub(crate) fn unregister(&self, thread: &Thread<M>) {
        if thread.progress.is_used() {
            self.take_back(&mut thread.progress.lock());
        }
    }

    /// The same, but for a call whose next slice goes on with what it registered for.
    #[inline]
    pub(crate) fn unregister_unless_it_stays(&self, thread: &Thread<M>) {
        if thread.progress.is_used() {
            let mut progress = thread.progress.lock();
            if !progress.stays_registered() {
                self.take_back(&mut progress);
            }
        }
    }

    #[inline]
    pub(crate) fn take_back(&self, progress: &mut Progress<M>) {
        progress.leases.clear();
        if !progress.waits.is_empty() {
            self.take_back_waits(progress);
        }
    }

    #[inline(never)]
    fn take_back_waits(&self, progress: &mut Progress<M>) {
        progress.brief = false;
        if progress.waits.len() > TAKEN_BACK_AT_ONCE {
            // A wake-up that still finds one of them is for nothing. Nobody else misses it: who registers for so much waits for
            // what all are woken for.
            progress.fired = false;
            return self.do_later(Work::TakeBack { waits: core::mem::take(&mut progress.waits) });
        }
        let mut fired = true;
        let mut table = self.waits.lock();
        while let Some(id) = progress.waits.pop() {
            fired &= table.remove(id).is_none();
        }
        progress.fired = fired;
    }

    /// An endpoint or a pipe that knows the thread as waiting forgets it: its call is over, or its life.
    pub(crate) fn leave_waiting(&self, thread: &Arc<Thread<M>>) {
        if let Some(ipc) = thread.progress.take_ipc() {
            self.leave_endpoint(thread, ipc);
        }
        if let Some(end) = thread.progress.take_reading() {
            end.shared.pipe.lock().leave(thread);
        }
    }

    /// Takes a few registrations back.
    pub(crate) fn take_back_some(&self, waits: &mut Vec<WaitId>) {
        let mut table = self.waits.lock();
        for id in waits.drain(waits.len().saturating_sub(2 * TAKEN_BACK_AT_ONCE)..) {
            table.remove(id);
        }
    }

    /// Wakes up to `count` threads that wait for `key`, whatever their bits; returns how many. Those beyond what one slice
    /// allows are counted, and woken later.
    #[inline(always)]
    pub(crate) fn wake(&self, key: WaitKey, count: usize) -> usize {
        self.wake_at(key.place(), count)
    }

    #[inline(never)]
    fn wake_at(&self, key: WaitPlace, count: usize) -> usize {
        match self.wake_some(key, count, ANY_BITS) {
            Woken::All(woken) => woken,
            Woken::Some(woken) => {
                // Who comes back while we are at it waits for the next time, or we might never end.
                let left = self.waits.lock().waiting(&key).min(count - woken);
                if left > 0 {
                    self.do_later(Work::Wake { key, left });
                }
                woken + left
            }
        }
    }

    /// Wakes as many of `count` threads that wait for `key` with one of `bits` as may be before interrupts have their turn.
    #[inline]
    pub(crate) fn wake_some(&self, key: WaitPlace, count: usize, bits: u32) -> Woken {
        let woken = &self.shared(self.machine.cpu_index()).flags.woken;
        let before = woken.load(Ordering::Relaxed);
        let now = count.min(WAKES_PER_SLICE.saturating_sub(before));
        if now == 0 {
            return if count == 0 { Woken::All(0) } else { Woken::Some(0) };
        }
        // The table's lock is free while they enter their run queues.
        let Some((first, left)) = self.waits.lock().wake_one(&key, bits) else { return Woken::All(0) };
        woken.store(before + 1, Ordering::Relaxed);
        self.make_ready(&first);
        if left == 0 || now == 1 {
            return if left == 0 || count == 1 { Woken::All(1) } else { Woken::Some(1) };
        }
        self.wake_others(key, (count, now), bits)
    }

    /// The first of `count` is woken; wakes others, up to `now` in all.
    #[inline(never)]
    fn wake_others(&self, key: WaitPlace, (count, now): (usize, usize), bits: u32) -> Woken {
        // Those with other bits are passed over once.
        let mut others = ArrayVec::<_, WAKES_PER_SLICE>::new();
        others.extend(self.waits.lock().wake(&key, now - 1, bits));
        let woken = 1 + others.len();
        self.count_wakes(others.len());
        for thread in &others {
            self.make_ready(thread);
        }
        if woken == count || woken < now { Woken::All(woken) } else { Woken::Some(woken) }
    }

    /// The same for threads that wait behind `after`, where others may be in between that have other bits: as many of those are
    /// passed over as may be before interrupts have their turn. Where to go on comes with [`Woken::Some`].
    pub(crate) fn wake_behind(
        &self,
        key: WaitPlace,
        after: Option<WaitId>,
        count: usize,
        bits: u32,
    ) -> (Woken, Option<WaitId>) {
        let now = count.min(self.wakes_left());
        let mut woken = ArrayVec::<_, WAKES_PER_SLICE>::new();
        let passed = {
            let mut waits = self.waits.lock();
            let mut wake = waits.wake_behind(&key, after, (now, PASSED_PER_SLICE), bits);
            woken.extend(&mut wake);
            wake.passed()
        };
        self.count_wakes(woken.len());
        for thread in &woken {
            self.make_ready(thread);
        }
        let done = woken.len() == count || passed.is_none() && woken.len() < now;
        (if done { Woken::All(woken.len()) } else { Woken::Some(woken.len()) }, passed)
    }

    /// Wakes all that wait for `key`.
    #[inline(always)]
    pub(crate) fn wake_all(&self, key: WaitKey) {
        self.wake_at(key.place(), usize::MAX);
    }

    /// Makes a waiting thread go on; one that runs or is ready looks once more before it waits.
    pub(crate) fn make_ready(&self, thread: &Arc<Thread<M>>) {
        let mut state = thread.state.lock();
        match state.phase {
            Phase::Waiting => {
                state.phase = Phase::Ready;
                self.enqueue(thread, state, swos_sched::Enter::Woken);
            }
            Phase::Ready | Phase::Running { .. } => state.woken = true,
            Phase::Ended => {}
        }
    }

    /// Sets the time at which the calling thread's wait ends, if nothing else ends it before. The first setting of a
    /// call holds; a restart does not prolong it. Whether that time has come.
    pub(crate) fn time_is_up(&self, thread: &Thread<M>, timeout_ns: u64) -> bool {
        if timeout_ns == swos_abi::TIMEOUT_NEVER {
            return false;
        }
        if timeout_ns == 0 {
            return true;
        }
        let now = self.machine.now();
        let mut progress = thread.progress.lock();
        let deadline = *progress
            .deadline
            .get_or_insert_with(|| Instant::from_nanos(now.as_nanos().saturating_add(timeout_ns)));
        deadline <= now
    }

    /// The same with the time itself.
    pub(crate) fn time_has_come(&self, thread: &Thread<M>, deadline_ns: u64) -> bool {
        if deadline_ns == swos_abi::TIMEOUT_NEVER {
            return false;
        }
        let deadline = Instant::from_nanos(deadline_ns);
        thread.progress.lock().deadline = Some(deadline);
        deadline <= self.machine.now()
    }
}
