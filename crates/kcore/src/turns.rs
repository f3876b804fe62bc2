//! How long a thread may run, and the timer that ends it.

use core::sync::atomic::Ordering;

use swos_sync::CpuToken;
use swos_units::{Duration, Instant};

use crate::{Flags, Kernel, Machine, thread::Thread};

/// A process passes its limit of CPU time by so many nanoseconds on each CPU at most.
const CPU_LIMIT_STEP: u64 = 1_000_000;

impl<M: Machine> Kernel<M> {
    /// A thread runs on this CPU from `from` on for `slice`, or as long as it likes.
    #[inline]
    pub(crate) fn start_slice(&self, flags: &Flags, from: Instant, slice: Option<Duration>) {
        let end = slice.map_or(u64::MAX, |slice| (from + slice).as_nanos());
        flags.slice_end.store(end, Ordering::Relaxed);
        // A timer that is set too early costs an interrupt now and then; setting it anew would cost at each switch.
        self.arm_by(flags, end);
    }

    /// How long a thread may run with what is left of its process's CPU time.
    #[inline]
    pub(crate) fn within_limit(&self, thread: &Thread<M>, slice: Option<Duration>) -> Option<Duration> {
        let Some(left) = thread.process.cpu_left() else { return slice };
        // Its siblings may run at the same time. Such a slice ends when at least half of what was left still is, so
        // those under way when all is used are of the shortest kind.
        let share = left / (2 * self.cpus.len() as u64);
        let share = Duration::from_nanos(share.max(left.min(CPU_LIMIT_STEP)));
        Some(slice.map_or(share, |slice| slice.min(share)))
    }

    /// Whether the running thread's slice has ended.
    pub(crate) fn slice_over(&self, cpu: &CpuToken) -> bool {
        let end = self.shared(cpu.index()).flags.slice_end.load(Ordering::Relaxed);
        end != u64::MAX && end <= self.machine.now().as_nanos()
    }

    /// Sets this CPU's timer to the first of: end of the slice, a thread's time-out, the network's and the disk's deadline. A slice that is
    /// over already counts no more: whoever runs next gets one of its own.
    pub(crate) fn set_timer(&self, cpu: &CpuToken, now: Instant) {
        let shared = self.shared(cpu.index());
        let idle = shared.flags.idle.load(Ordering::Relaxed);
        let slice = shared.flags.slice_end.load(Ordering::Relaxed);
        let slice = if idle || slice <= now.as_nanos() { u64::MAX } else { slice };
        let timeout = shared.timers.lock().deadline().map_or(u64::MAX, Instant::as_nanos);
        let at = slice.min(timeout).min(self.net_deadline(cpu.index())).min(self.disk_deadline(cpu.index()));
        shared.flags.armed.store(at, Ordering::Relaxed);
        self.machine.set_deadline((at != u64::MAX).then(|| Instant::from_nanos(at)));
    }

    /// Sets the timer of `cpu`, which is the calling one, to `at` if that comes first.
    pub(crate) fn set_timer_by(&self, cpu: usize, at: u64) {
        self.arm_by(&self.shared(cpu).flags, at);
    }

    /// The same with the flags of this CPU at hand.
    #[inline]
    pub(crate) fn arm_by(&self, flags: &Flags, at: u64) {
        if at < flags.armed.load(Ordering::Relaxed) {
            flags.armed.store(at, Ordering::Relaxed);
            self.machine.set_deadline(Some(Instant::from_nanos(at)));
        }
    }
}
