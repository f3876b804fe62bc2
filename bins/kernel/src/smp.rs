//! The CPUs: their blocks, their stacks, how they start.

use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use swos_arch::context::PerCpu;
use swos_arch::power::{self, Conduit, SecondaryStart};
use swos_arch::{cpu, image, translation};
use swos_platform::{MAX_CPUS, Platform};
use swos_sync::OnceCell;
use swos_units::VirtAddr;

use crate::console::say;
use crate::{layout, memory};

static CONDUIT: OnceCell<Conduit> = OnceCell::new();
static AFFINITIES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static ONLINE: AtomicUsize = AtomicUsize::new(0);

/// How PSCI is called, if there is PSCI.
pub(crate) fn conduit() -> Option<Conduit> {
    CONDUIT.get().copied()
}

/// Affinity of CPU `index`.
pub(crate) fn affinity(index: usize) -> u64 {
    AFFINITIES.get(index).map_or(0, |affinity| affinity.load(Ordering::Relaxed))
}

/// Number of this CPU; 0 before it has a block.
pub(crate) fn index() -> usize {
    let block = cpu::block();
    // SAFETY: null until the CPU has its block, which stays for ever; `index` never changes.
    if block.is_null() { 0 } else { unsafe { (*block).index as usize } }
}

/// A stack on which an overflow of another is reported. One for all CPUs: whoever comes here does not return.
#[repr(align(16))]
struct EmergencyStack(#[expect(dead_code, reason = "used as a stack")] [u8; 8192]);
static EMERGENCY: Shared = Shared(core::cell::UnsafeCell::new(EmergencyStack([0; 8192])));
struct Shared(core::cell::UnsafeCell<EmergencyStack>);
// SAFETY: reached through a stack pointer only, by a CPU that reports its end.
unsafe impl Sync for Shared {}

/// Makes the block of CPU `index` with a stack of its own. `None` if memory is short.
fn new_block(index: usize) -> Option<&'static mut PerCpu> {
    let stack_top = memory::map_stack(index as u64)?.get();
    let emergency_top = EMERGENCY.0.get().addr() as u64 + size_of::<EmergencyStack>() as u64;
    Some(Box::leak(Box::new(PerCpu {
        context: ptr::null_mut(),
        stack_top,
        emergency_top,
        index: index as u64,
        fp_owner: ptr::null_mut(),
        fp_open: false,
    })))
}

/// Sets up the first CPU's block and the table of CPUs. The CPU that runs this becomes number 0.
///
/// Returns the top of its own stack.
pub(crate) fn start_first(platform: &Platform) -> Option<VirtAddr> {
    if let Some(conduit) = platform.psci {
        let _ = CONDUIT.set(match conduit {
            swos_platform::Conduit::Hvc => Conduit::Hvc,
            swos_platform::Conduit::Smc => Conduit::Smc,
        });
    }
    let own = cpu::affinity();
    let others = platform.cpus.iter().map(|cpu| cpu.mpidr).filter(|&affinity| affinity != own);
    for (slot, affinity) in AFFINITIES.iter().zip(core::iter::once(own).chain(others)) {
        slot.store(affinity, Ordering::Relaxed);
    }
    let block = new_block(0)?;
    let top = VirtAddr::new(block.stack_top);
    // SAFETY: leaked, and this CPU's alone.
    unsafe { cpu::set_block(block) };
    ONLINE.store(1, Ordering::Relaxed);
    Some(top)
}

/// How many CPUs the platform has that we can start, with the first.
pub(crate) fn count(platform: &Platform) -> usize {
    if platform.psci.is_some() { platform.cpus.len() } else { 1 }
}

/// Starts CPUs 1 and up. Each goes to `swos_secondary_main` on its own.
pub(crate) fn start_others(platform: &Platform) {
    let Some(conduit) = conduit() else { return };
    let image = layout::image_phys(VirtAddr::new(image::IMAGE_BASE)).get();
    let entry = power::secondary_entry(image);
    for index in 1..platform.cpus.len() {
        let Some(block) = new_block(index) else {
            say!("cpu {index}: no memory for its stack");
            return;
        };
        let start = SecondaryStart {
            root: memory::kernel_root(),
            stack_top: block.stack_top,
            block: ptr::from_mut(block).addr() as u64,
        };
        let start = Box::leak(Box::new(start));
        let bytes = ptr::from_mut(start).cast::<u8>();
        translation::clean_to_memory(bytes, size_of::<SecondaryStart>());
        // The heap lies in the linear map.
        let phys = bytes.addr() as u64 & (image::LINEAR_LIMIT - 1);
        // SAFETY: the entry of this image; a record of this CPU's own tables, stack and block, cleaned above.
        if let Err(refused) = unsafe { conduit.cpu_on(affinity(index), entry, phys) } {
            say!("cpu {index}: not started, PSCI says {}", refused.code);
        }
    }
}

/// Counts this CPU as running.
pub(crate) fn mark_online() {
    ONLINE.fetch_add(1, Ordering::Relaxed);
}

/// CPUs that run.
pub(crate) fn online() -> usize {
    ONLINE.load(Ordering::Relaxed)
}
