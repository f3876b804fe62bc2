//! The CPUs: their blocks, their stacks, how they start.

use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use swos_arch::context::PerCpu;
use swos_arch::power::{self, Conduit, SecondaryStart};
use swos_arch::{cpu, image, translation};
use swos_platform::{MAX_CPUS, Platform};
use swos_sync::{HeldRanks, OnceCell, install_held_ranks};
use swos_units::VirtAddr;

use crate::console::say;
use crate::cpu::Cpu;
use crate::{layout, memory};

static CONDUIT: OnceCell<Conduit> = OnceCell::new();
static AFFINITIES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

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
    if block.is_null() { 0 } else { unsafe { image::bytes((*block).index) } }
}

/// The locks that each CPU holds, in builds that check their order; else nothing.
static HELD: [HeldRanks; MAX_CPUS] = [const { HeldRanks::new() }; MAX_CPUS];

/// Has the order of locks checked from here on, in builds that do.
pub(crate) fn check_lock_order() {
    install_held_ranks(|| HELD.get(index()));
}

/// A stack on which an overflow of another is reported. One for all CPUs: whoever comes here does not return.
#[repr(align(16))]
struct EmergencyStack(#[expect(dead_code, reason = "used as a stack")] [u8; 8192]);
static EMERGENCY: Shared = Shared(core::cell::UnsafeCell::new(EmergencyStack([0; 8192])));
struct Shared(core::cell::UnsafeCell<EmergencyStack>);
// SAFETY: reached through a stack pointer only, by a CPU that reports its end.
unsafe impl Sync for Shared {}

/// What the trap entry finds while the first CPU boots: a stack to report on.
pub(crate) fn set_boot_block() {
    struct Boot(core::cell::UnsafeCell<PerCpu>);
    // SAFETY: only the first CPU's trap entry reads it.
    unsafe impl Sync for Boot {}
    static BOOT: Boot = Boot(core::cell::UnsafeCell::new(PerCpu {
        context: ptr::null_mut(),
        stack_top: 0,
        emergency_top: 0,
        index: 0,
        fp_owner: ptr::null_mut(),
        fp_open: false,
    }));
    let block = BOOT.0.get();
    // SAFETY: a static, this CPU's alone until it gets its own data.
    unsafe {
        (*block).emergency_top = emergency_top();
        cpu::set_block(block);
    }
}

fn emergency_top() -> u64 {
    EMERGENCY.0.get().addr() as u64 + size_of::<EmergencyStack>() as u64
}

/// Makes the data of CPU `index` with a stack of its own. `None` if memory is short.
fn new_cpu(index: usize) -> Option<&'static mut Cpu> {
    let stack_top = memory::map_stack(index as u64)?.get();
    Some(Cpu::new(index, stack_top, emergency_top()))
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
    let first = new_cpu(0)?;
    let top = VirtAddr::new(first.entry.stack_top);
    // SAFETY: leaked, and this CPU's alone. The whole is meant, of which the block is the start.
    unsafe { cpu::set_block(ptr::from_mut(first).cast()) };
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
        let Some(data) = new_cpu(index) else {
            say!("cpu {index}: no memory for its stack");
            return;
        };
        let start = SecondaryStart {
            root: memory::kernel_root(),
            stack_top: data.entry.stack_top,
            block: ptr::from_mut(data).expose_provenance() as u64,
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
