//! The interrupt controller, version 2 or 3, and the table of what each interrupt is.

use arm_gic::gicv2::{self, GicV2};
use arm_gic::gicv3::{GicCpuInterface, GicV3, Group, SgiTarget, SgiTargetGroup};
use arm_gic::{IntId, InterruptGroup, Trigger, UniqueMmioPointer};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use swos_arch::{cpu, image};
use swos_platform::{Gic, Interrupt, Platform, Region};
use swos_sync::{Lock, OnceCell};

use crate::{memory, ranks, smp};

/// SGI by which one CPU makes another reschedule.
const KICK: u32 = 0;
/// SGI by which a panic stops the others.
const STOP: u32 = 1;
const PRIORITY: u8 = 0x80;

/// What an interrupt is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// This CPU's timer.
    Timer,
    /// Another CPU wants this one to look at its run queue.
    Kick,
    /// The serial port.
    Console,
    /// The disk.
    Block,
    /// The network interface.
    Net,
    /// Nobody's.
    Unknown,
}

/// Shared INTIDs, set once at boot; 0 = none.
static TIMER: AtomicU32 = AtomicU32::new(0);
static CONSOLE: AtomicU32 = AtomicU32::new(0);
static BLOCK: AtomicU32 = AtomicU32::new(0);
static NET: AtomicU32 = AtomicU32::new(0);

enum Controller {
    V2 { distributor: *mut gicv2::registers::Gicd, interface: *mut gicv2::registers::Gicc, lock: Lock<()> },
    V3(Lock<GicV3<'static>>),
}

// SAFETY: the pointers are to device registers, mapped for ever. See `v2` for who uses what.
unsafe impl Sync for Controller {}
// SAFETY: as above.
unsafe impl Send for Controller {}

static CONTROLLER: OnceCell<Controller> = OnceCell::new();

/// Why there is no interrupt controller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Error {
    /// The device tree names none that we know.
    Absent,
    /// Its registers can't be mapped.
    NotMapped,
    /// Redistributors that `arm-gic` does not know.
    Redistributors,
}

/// A driver for the CPU's own part (`interface`), whose registers are banked, and for the shared part under the lock.
fn v2(distributor: *mut gicv2::registers::Gicd, interface: *mut gicv2::registers::Gicc) -> GicV2<'static> {
    // SAFETY: mapped device registers. Several of these exist, on different CPUs or in turn; what they do without the
    // lock is acknowledge and end (banked) and send an SGI (one store).
    unsafe { GicV2::new(distributor, interface) }
}

/// Finds and initialises the controller, and this CPU's part of it.
pub(crate) fn start(platform: &Platform) -> Result<(), Error> {
    let controller = match platform.gic.ok_or(Error::Absent)? {
        Gic::V2 { distributor, cpu_interface } => {
            let distributor = memory::map_device(distributor).ok_or(Error::NotMapped)?.as_ptr().cast();
            let interface = memory::map_device(cpu_interface).ok_or(Error::NotMapped)?.as_ptr().cast();
            Controller::V2 { distributor, interface, lock: Lock::new(ranks::GIC, ()) }
        }
        Gic::V3 { distributor, redistributors } => {
            let distributor = memory::map_device(distributor).ok_or(Error::NotMapped)?.cast();
            // Two or four frames of 64 KiB a CPU; only ours are mapped.
            let cpus = platform.cpus.len();
            let len = redistributors.len.min(cpus as u64 * 0x40000);
            let window = Region { len, ..redistributors };
            let redistributors = memory::map_device(window).ok_or(Error::NotMapped)?.cast();
            // SAFETY: mapped device registers, used through this driver alone.
            let gic = unsafe { GicV3::new(UniqueMmioPointer::new(distributor), redistributors, cpus) };
            Controller::V3(Lock::new(ranks::GIC, gic.map_err(|_| Error::Redistributors)?))
        }
    };
    match &controller {
        Controller::V2 { distributor, interface, .. } => {
            let mut gic = v2(*distributor, *interface);
            gic.enable_all_interrupts(false);
            gic.setup();
        }
        Controller::V3(gic) => {
            let mut gic = gic.lock();
            let own = redistributor(&mut gic, platform.cpus.len());
            gic.setup(own);
        }
    }
    let timer = platform.timer.map_or(0, |timer| timer.virtual_el1.id);
    TIMER.store(timer, Ordering::Relaxed);
    let _ = CONTROLLER.set(controller);
    start_private(platform);
    Ok(())
}

/// Index of this CPU's redistributor.
fn redistributor(gic: &mut GicV3<'_>, count: usize) -> usize {
    let own = cpu::affinity();
    (0..count).find(|&index| gic.gicr_typer(index).is_ok_and(|typer| typer.core_mpidr() == own)).unwrap_or(0)
}

/// Initialises this CPU's part. Other CPUs call it themselves.
pub(crate) fn start_cpu(platform: &Platform) {
    match CONTROLLER.get() {
        Some(Controller::V2 { distributor, interface, lock }) => {
            let _guard = lock.lock();
            v2(*distributor, *interface).setup();
        }
        Some(Controller::V3(gic)) => {
            let mut gic = gic.lock();
            let own = redistributor(&mut gic, platform.cpus.len());
            gic.init_cpu(own);
            GicCpuInterface::enable_group1(true);
        }
        None => return,
    }
    start_private(platform);
}

/// SGIs and the timer of this CPU.
fn start_private(platform: &Platform) {
    for id in [Some(IntId::sgi(KICK)), Some(IntId::sgi(STOP)), private(TIMER.load(Ordering::Relaxed))]
        .into_iter()
        .flatten()
    {
        match CONTROLLER.get() {
            Some(Controller::V2 { distributor, interface, lock }) => {
                let _guard = lock.lock();
                let mut gic = v2(*distributor, *interface);
                gic.set_interrupt_priority(id, PRIORITY);
                // SGIs can't be disabled on some; nothing to do about that.
                let _ = gic.enable_interrupt(id, true);
                gic.set_priority_mask(0xff);
            }
            Some(Controller::V3(gic)) => {
                let mut gic = gic.lock();
                let own = redistributor(&mut gic, platform.cpus.len());
                let _ = gic.set_group(id, Some(own), Group::Group1NS);
                let _ = gic.set_interrupt_priority(id, Some(own), PRIORITY);
                let _ = gic.enable_interrupt(id, Some(own), true);
                GicCpuInterface::set_priority_mask(0xff);
            }
            None => {}
        }
    }
}

fn private(id: u32) -> Option<IntId> {
    (16..32).contains(&id).then(|| IntId::ppi(id - 16))
}

/// Routes a device's interrupt to the boot CPU.
pub(crate) fn connect(interrupt: Interrupt, source: Source) {
    if !(32..1020).contains(&interrupt.id) {
        return;
    }
    let slot = match source {
        Source::Console => &CONSOLE,
        Source::Block => &BLOCK,
        Source::Net => &NET,
        Source::Timer | Source::Kick | Source::Unknown => return,
    };
    slot.store(interrupt.id, Ordering::Relaxed);
    let id = IntId::spi(interrupt.id - 32);
    let trigger = match interrupt.trigger {
        swos_platform::Trigger::Edge => Trigger::Edge,
        swos_platform::Trigger::Level => Trigger::Level,
    };
    match CONTROLLER.get() {
        Some(Controller::V2 { distributor, interface, lock }) => {
            let _guard = lock.lock();
            let mut gic = v2(*distributor, *interface);
            gic.set_trigger(id, trigger);
            gic.set_interrupt_priority(id, PRIORITY);
            // SAFETY: byte registers of the mapped distributor, under the lock; the driver has no call for them.
            unsafe {
                let targets = (&raw mut (*(*distributor)).itargetsr).cast::<u8>();
                // Registers 0 to 31 are banked and read as this CPU's own bit.
                let own = targets.read_volatile();
                targets.add(image::bytes(interrupt.id.into())).write_volatile(own);
            }
            let _ = gic.enable_interrupt(id, true);
        }
        Some(Controller::V3(gic)) => {
            let mut gic = gic.lock();
            let _ = gic.set_group(id, None, Group::Group1NS);
            let _ = gic.set_trigger(id, None, trigger);
            let _ = gic.set_interrupt_priority(id, None, PRIORITY);
            let _ = gic.distributor().set_routing(id, Some(cpu::affinity()));
            let _ = gic.enable_interrupt(id, None, true);
        }
        None => {}
    }
}

/// Takes the next pending interrupt.
#[inline]
pub(crate) fn acknowledge() -> Option<Taken> {
    let (id, raw) = match CONTROLLER.get()? {
        Controller::V2 { distributor, interface, .. } => {
            let raw = v2(*distributor, *interface).get_and_acknowledge_interrupt(InterruptGroup::Group0)?;
            // An SGI comes with its sender above bit 10.
            (u32::from(raw) & 0x3ff, raw)
        }
        Controller::V3(_) => {
            let raw = GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1)?;
            (u32::from(raw), raw)
        }
    };
    if (1020..1024).contains(&id) {
        return None;
    }
    if id == STOP {
        cpu::halt();
    }
    let source = if id == KICK {
        Source::Kick
    } else if id == TIMER.load(Ordering::Relaxed) {
        Source::Timer
    } else if id == NET.load(Ordering::Relaxed) {
        Source::Net
    } else if id == BLOCK.load(Ordering::Relaxed) {
        Source::Block
    } else if id == CONSOLE.load(Ordering::Relaxed) {
        Source::Console
    } else {
        Source::Unknown
    };
    Some(Taken { source, raw })
}

/// An interrupt that was acknowledged.
#[must_use = "it stays active until it is ended"]
pub(crate) struct Taken {
    /// What it is for.
    pub(crate) source: Source,
    raw: IntId,
}

impl Taken {
    /// Ends it, after its cause was dealt with.
    #[inline]
    pub(crate) fn end(self) {
        match CONTROLLER.get() {
            Some(Controller::V2 { distributor, interface, .. }) => {
                v2(*distributor, *interface).end_interrupt(self.raw, InterruptGroup::Group0);
            }
            Some(Controller::V3(_)) => GicCpuInterface::end_interrupt(self.raw, InterruptGroup::Group1),
            None => {}
        }
    }
}

/// Makes CPU `index` reschedule.
pub(crate) fn kick(index: usize) {
    send(KICK, Some(index));
}

/// Whether the disk's event is due without its interrupt.
static PRETENDED: AtomicBool = AtomicBool::new(false);

/// Makes this CPU serve the disk as if it had interrupted.
pub(crate) fn pretend_block() {
    PRETENDED.store(true, Ordering::Relaxed);
    kick(smp::index());
}

/// Whether [`pretend_block`] was called since the last time.
pub(crate) fn was_pretended() -> bool {
    PRETENDED.load(Ordering::Relaxed) && PRETENDED.swap(false, Ordering::Relaxed)
}

/// Stops all other CPUs, for ever.
pub(crate) fn stop_others() {
    send(STOP, None);
}

fn send(sgi: u32, to: Option<usize>) {
    cpu::barrier();
    let id = IntId::sgi(sgi);
    match CONTROLLER.get() {
        Some(Controller::V2 { distributor, interface, .. }) => {
            use gicv2::{SgiTarget, SgiTargetListFilter};
            let target = match to {
                None => SgiTarget::List {
                    target_list_filter: SgiTargetListFilter::ForwardOthersOnly,
                    target_list: 0,
                },
                // GICv2 has at most eight interfaces, numbered by Aff0.
                Some(index) => SgiTarget::List {
                    target_list_filter: SgiTargetListFilter::CPUTargetList,
                    target_list: 1 << (smp::affinity(index) & 7),
                },
            };
            v2(*distributor, *interface).send_sgi(id, target);
        }
        Some(Controller::V3(_)) => {
            let target = to.map_or(SgiTarget::All, |index| {
                let affinity = smp::affinity(index).to_le_bytes();
                SgiTarget::List {
                    affinity3: affinity[4],
                    affinity2: affinity[2],
                    affinity1: affinity[1],
                    target_list: 1 << (affinity[0] & 15),
                }
            });
            let _ = GicCpuInterface::send_sgi(id, target, SgiTargetGroup::CurrentGroup1);
        }
        None => {}
    }
}
