//! What each CPU has of its own.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use swos_arch::context::PerCpu;
use swos_kcore::{Kernel, Thread};
use swos_platform::MAX_CPUS;
use swos_pmm::{FrameCache, Pmm};
use swos_sync::CpuToken;

#[cfg(debug_assertions)]
use crate::ledger;
use crate::machine::Metal;
use crate::memory;

/// Frames in each CPU's cache at most: what small machines can spare.
pub(crate) const CACHED: usize = 16;

/// One CPU's own data. The trap entry knows the first field by TPIDR_EL1.
///
/// Reached by raw pointer, field by field: the trap code uses `token` and `running` while the machine's methods, which the
/// kernel calls below it, use the others.
#[repr(C)]
pub(crate) struct Cpu {
    pub(crate) entry: PerCpu,
    /// Set when the kernel starts.
    pub(crate) kernel: Option<&'static Kernel<Metal>>,
    pub(crate) token: Option<CpuToken>,
    /// The thread whose context the trap entry writes to.
    pub(crate) running: Option<Arc<Thread<Metal>>>,
    /// What the timer is set to, in ticks; `u64::MAX` = off.
    pub(crate) deadline: u64,
    frames: FrameCache<CACHED>,
}

/// Frames in each CPU's cache, for those who count.
static CACHED_NOW: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

impl Cpu {
    /// The data of CPU `index`, for ever.
    pub(crate) fn new(index: usize, stack_top: u64, emergency_top: u64) -> &'static mut Self {
        Box::leak(Box::new(Self {
            entry: PerCpu {
                context: ptr::null_mut(),
                stack_top,
                emergency_top,
                index: index as u64,
                fp_owner: ptr::null_mut(),
                fp_open: false,
            },
            kernel: None,
            token: None,
            running: None,
            deadline: u64::MAX,
            frames: FrameCache::new(),
        }))
    }

    /// This CPU's.
    #[inline]
    pub(crate) fn this() -> *mut Self {
        swos_arch::cpu::block().cast()
    }
}

fn note(frames: &FrameCache<CACHED>) {
    let index = crate::smp::index();
    if let Some(count) = CACHED_NOW.get(index) {
        count.store(frames.len() as u64, Ordering::Relaxed);
    }
}

/// Takes a frame, from this CPU's cache if it has one.
#[inline]
pub(crate) fn alloc_frame() -> Option<swos_units::Frame> {
    // SAFETY: this CPU's own field, which only these two functions touch; interrupts are masked.
    let frames = unsafe { &mut (*Cpu::this()).frames };
    let frame = frames.take();
    if frame.is_some() {
        note(frames);
    }
    let frame = frame.or_else(|| refill(frames))?;
    #[cfg(debug_assertions)]
    ledger::take(frame, ledger::Owner::Pages);
    Some(frame)
}

/// Whether programs get no more frames.
pub(crate) fn is_short() -> bool {
    memory::frames().is_some_and(|pmm| {
        let pmm = pmm.lock();
        pmm.free_frames() <= memory::reserve(&pmm)
    })
}

fn refill_above_reserve(frames: &mut FrameCache<CACHED>, pmm: &mut Pmm<'_>) -> bool {
    pmm.free_frames() > memory::reserve(pmm) && frames.refill(pmm) > 0
}

#[cold]
fn refill(frames: &mut FrameCache<CACHED>) -> Option<swos_units::Frame> {
    let pmm = memory::frames()?;
    if !refill_above_reserve(frames, &mut pmm.lock()) && crate::heap::trim() > 0 {
        refill_above_reserve(frames, &mut pmm.lock());
    }
    let frame = frames.take();
    note(frames);
    frame
}

/// Drops a reference to a frame; the last one puts it into this CPU's cache.
#[inline]
pub(crate) fn release_frame(frame: swos_units::Frame) {
    let Some(pmm) = memory::frames() else { return };
    let mut pmm = pmm.lock();
    #[cfg(debug_assertions)]
    ledger::expect(frame, ledger::Owner::Pages);
    match pmm.release_shared(frame) {
        Ok(true) => return,
        Ok(false) => {
            #[cfg(debug_assertions)]
            ledger::give_back(frame, ledger::Owner::Pages);
            // SAFETY: as above.
            let frames = unsafe { &mut (*Cpu::this()).frames };
            if frames.put(frame).is_ok() {
                note(frames);
                return;
            }
        }
        Err(_) => {}
    }
    let released = pmm.release(frame);
    debug_assert!(released.is_ok(), "{released:?}");
}

/// Frames in all CPUs' caches.
pub(crate) fn cached_frames() -> u64 {
    CACHED_NOW.iter().map(|count| count.load(Ordering::Relaxed)).sum()
}
