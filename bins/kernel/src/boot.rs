//! From the first instruction in Rust to the scheduler.

use swos_arch::clock::Clock;
use swos_arch::{cpu, early, timer};
use swos_platform::Platform;
use swos_sync::OnceCell;

use crate::console::{self, say};
use crate::interrupts::{self, Source};
use crate::{layout, memory, options, smp, traps};

static PLATFORM: OnceCell<Platform> = OnceCell::new();
static CLOCK: OnceCell<Clock> = OnceCell::new();

/// The machine, known since boot.
pub(crate) fn platform() -> &'static Platform {
    PLATFORM.get().unwrap_or_else(|| unreachable!("set before the first use"))
}

/// The clock, known since boot.
#[inline]
pub(crate) fn clock() -> &'static Clock {
    CLOCK.get().unwrap_or_else(|| unreachable!("set before the first use"))
}

/// Boot time, for what comes before the clock.
fn start_clock() {
    let counter = timer::counter();
    // A broken frequency register: pretend the architecture's usual one, so that time at least passes.
    let clock = Clock::new(counter, timer::frequency()).or_else(|| Clock::new(counter, 62_500_000));
    if let Some(clock) = clock {
        let _ = CLOCK.set(clock);
    }
}

/// The first CPU, on the boot stack, translation on by the boot tables.
#[unsafe(no_mangle)]
extern "C" fn swos_boot_main(dtb: u64, _handoff: u64, image: u64) -> ! {
    layout::set_image(image);
    start_clock();
    // SAFETY: once, by the first CPU, while the boot tables are selected; the boot protocol puts a device tree at `dtb`.
    let tree = unsafe { early::device_tree(dtb) };
    let parsed = Platform::from_device_tree(tree);
    let (platform, error) = match parsed {
        Ok(platform) => (platform, None),
        // Enough to say so, if the tree is whole up to its serial port.
        Err(error) => (Platform::console_only(tree, image), Some(error)),
    };
    let platform = PLATFORM.get_or_init(|| platform);
    options::set(&platform.bootargs);
    if memory::map_kernel(platform).is_err() {
        // Nothing can be said without tables.
        cpu::halt();
    }
    if let Some(uart) = platform.uart {
        console::start(uart);
    }
    if let Some(error) = error {
        panic!("{error}");
    }
    if let Err(error) = memory::start_frames(platform) {
        panic!("no frame allocator: {error:?}");
    }
    let Some(stack) = smp::start_first(platform) else { panic!("no memory for the first stack") };
    // SAFETY: a fresh stack of this CPU; nothing on the boot stack is used again.
    unsafe { cpu::call_on_stack(stack.get(), first_cpu, 0) }
}

extern "C" fn first_cpu(_: u64) -> ! {
    memory::reclaim_boot();
    let platform = platform();
    banner(platform);
    if let Err(error) = interrupts::start(platform) {
        panic!("no interrupt controller: {error:?}");
    }
    if let Some(uart) = platform.uart {
        interrupts::connect(uart.interrupt, Source::Console);
        console::enable_input();
    }
    smp::start_others(platform);
    traps::run()
}

/// Another CPU, on its own stack.
#[unsafe(no_mangle)]
extern "C" fn swos_secondary_main(_block: u64) -> ! {
    interrupts::start_cpu(platform());
    smp::mark_online();
    traps::run()
}

fn banner(platform: &Platform) {
    struct Hex(&'static [u8]);
    impl core::fmt::Display for Hex {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
    let id = layout::build_id();
    let kib = platform.memory.iter().map(|region| region.len).sum::<u64>() / 1024;
    say!(
        "swos {} build {} | {} cpu, {} KiB RAM, {}",
        env!("CARGO_PKG_VERSION"),
        Hex(id.get(..8).unwrap_or(id)),
        smp::count(platform),
        kib,
        match platform.gic {
            Some(swos_platform::Gic::V2 { .. }) => "GICv2",
            Some(swos_platform::Gic::V3 { .. }) => "GICv3",
            None => "no GIC",
        },
    );
}
