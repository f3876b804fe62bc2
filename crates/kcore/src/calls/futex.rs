//! Futexes.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use swos_abi::Errno;
use swos_aspace::Backing;
use swos_units::{PAGE_SIZE, Page, VirtAddr};

use crate::{
    Kernel, Machine,
    thread::Thread,
    user::user_range,
    wait::{ANY_BITS, CallResult, Stop, WaitKey, Woken, read_fault},
};

/// Waiters moved in one step of a call; then interrupts get their turn.
const MOVED_PER_STEP: u64 = 256;

impl<M: Machine> Kernel<M> {
    /// What waits and wakes at an address meet under: the address in its space, or the place in the memory object that is
    /// mapped there, which is the same for all who map it.
    pub(crate) fn futex_key(&self, thread: &Thread<M>, address: u64) -> WaitKey {
        let space = &thread.process.space;
        // Most programs share nothing: for them the areas need not be asked.
        if space.shares.load(Ordering::Acquire) != 0 {
            let at = VirtAddr::new(address);
            if let Some(area) = space.inner.lock().areas.find(at)
                && let Backing::Shared(window) = area.backing
            {
                let page = window.first + (Page::containing(at).number() - area.pages.start().number());
                let offset = page * PAGE_SIZE as u64 + at.page_offset() as u64;
                return WaitKey::SharedFutex { object: window.object.0, offset };
            }
        }
        WaitKey::Futex { space: space.id, address }
    }

    pub(super) fn futex_wait(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        expected: u32,
        timeout_ns: u64,
        bitset: u32,
    ) -> CallResult {
        self.futex_wait_for(thread, address, expected, bitset, || self.time_is_up(thread, timeout_ns))
    }

    pub(super) fn futex_wait_until(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        expected: u32,
        deadline_ns: u64,
        bitset: u32,
    ) -> CallResult {
        self.futex_wait_for(thread, address, expected, bitset, || self.time_has_come(thread, deadline_ns))
    }

    fn futex_wait_for(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        expected: u32,
        bitset: u32,
        is_late: impl FnOnce() -> bool,
    ) -> CallResult {
        let at = futex_word(address)?;
        if bitset == 0 {
            return Err(Errno::INVAL.into());
        }
        // Woken, not just restarted: the waker took the registration away.
        if thread.progress.fired() {
            return Ok(0);
        }
        if is_late() {
            return Err(Errno::TIMEDOUT.into());
        }
        // First in the queue, then the look: a waker changes the value before it looks at the queue.
        self.register(thread, self.futex_key(thread, address), bitset)?;
        let value = self.machine.load_u32(at).map_err(read_fault)?;
        if value != expected {
            return Err(Errno::AGAIN.into());
        }
        Err(Stop::WAIT)
    }

    pub(super) fn futex_wake(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        count: u32,
        bitset: u32,
    ) -> CallResult {
        futex_word(address)?;
        if bitset == 0 {
            return Err(Errno::INVAL.into());
        }
        let key = self.futex_key(thread, address).place();
        // How many are to be woken is settled at the first try, or those who come back meanwhile might keep this up for ever.
        let (limit, done) = match thread.progress.done() {
            // One is one: who comes back can't prolong that, and the table is searched once.
            0 if count == 1 => (1, 0),
            0 => (self.waits.lock().waiting(&key).min(count as usize) as u64, 0),
            kept => (kept >> 32, kept & u64::from(u32::MAX)),
        };
        let count = usize::try_from(limit - done).unwrap_or(0);
        let (woken, passed) = if bitset == ANY_BITS {
            (self.wake_some(key, count, bitset), None)
        } else {
            let after = if thread.progress.is_used() { thread.progress.lock().behind } else { None };
            self.wake_behind(key, after, count, bitset)
        };
        match woken {
            Woken::All(woken) => Ok(done + woken as u64),
            Woken::Some(woken) => {
                let mut progress = thread.progress.lock();
                (progress.done, progress.behind) = (limit << 32 | (done + woken as u64), passed);
                Err(Stop::AGAIN)
            }
        }
    }

    /// Wakes some waiters and lets others wait elsewhere. Who comes to wait between the look at the value and the move is
    /// moved as well: it is woken later than it might be, by whoever wakes the target, and not lost.
    pub(super) fn futex_requeue(
        &self,
        thread: &Arc<Thread<M>>,
        address: u64,
        expected: u32,
        (wake, requeue): (u32, u32),
        target: u64,
    ) -> CallResult {
        let at = futex_word(address)?;
        futex_word(target)?;
        let (from, to) = (self.futex_key(thread, address).place(), self.futex_key(thread, target).place());
        let (limit, mut done) = match thread.progress.done() {
            0 => {
                let value = self.machine.load_u32(at).map_err(read_fault)?;
                if value != expected {
                    return Err(Errno::AGAIN.into());
                }
                let all = u64::from(wake) + u64::from(requeue);
                ((self.waits.lock().waiting(&from) as u64).min(all).min(u64::from(u32::MAX)), 0)
            }
            kept => (kept >> 32, kept & u64::from(u32::MAX)),
        };
        let wake = u64::from(wake).min(limit);
        let more = |done: u64| {
            thread.progress.lock().done = limit << 32 | done;
            Err(Stop::AGAIN)
        };
        if done < wake {
            match self.wake_some(from, usize::try_from(wake - done).unwrap_or(0), ANY_BITS) {
                Woken::Some(woken) => return more(done + woken as u64),
                Woken::All(woken) => done += woken as u64,
            }
            if done < wake {
                return Ok(done);
            }
        }
        let step = (limit - done).min(MOVED_PER_STEP);
        let count = usize::try_from(step).unwrap_or(0);
        let moved = self.waits.lock().requeue(&from, &to, count) as u64;
        done += moved;
        if moved == step && done < limit { more(done) } else { Ok(done) }
    }
}

/// Checks the address of a futex.
fn futex_word(address: u64) -> Result<VirtAddr, Stop> {
    if !address.is_multiple_of(4) {
        return Err(Errno::INVAL.into());
    }
    user_range(address, 4)
}
