//! From the first instruction in Rust to the scheduler.

use alloc::boxed::Box;
use alloc::vec::Vec;
use swos_abi::NetworkConfig;
use swos_arch::clock::Clock;
use swos_arch::{cpu, early, timer};
use swos_kcore::{Config, Level, Threshold};
use swos_platform::{LogLevel, Options, Platform};
use swos_swosbase::PublicKey;
use swos_sync::{CpuSet, Lock, OnceCell};
use swos_units::Duration;

use crate::console::{self, say};
use crate::interrupts::{self, Source};
use crate::machine::{self, DISKS, Disk, Kernel, Metal, NET};
use crate::{entropy, layout, memory, options, panic, ranks, smp, traps, virtio};

/// How long a disk may take for a read, unless the command line says otherwise.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

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
#[expect(
    clippy::panic,
    reason = "without these parts of the machine there is no kernel, and no caller to tell"
)]
extern "C" fn swos_boot_main(dtb: u64, _handoff: u64, image: u64) -> ! {
    smp::set_boot_block();
    smp::check_lock_order();
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
    options::set(&Options::parse(&platform.bootargs));
    panic::overflow_if_asked(platform, "early");
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
    panic::overflow_if_asked(platform, "boot");
    if let Err(error) = memory::start_frames(platform) {
        panic!("no frame allocator: {error:?}");
    }
    let Some(stack) = smp::start_first(platform) else { panic!("no memory for the first stack") };
    machine::leave_user_half();
    start_kernel(platform);
    // SAFETY: a fresh stack of this CPU; nothing on the boot stack is used again.
    unsafe { cpu::call_on_stack(stack.get(), first_cpu, 0) }
}

/// The first CPU on its own stack.
extern "C" fn first_cpu(_: u64) -> ! {
    memory::reclaim_boot();
    panic::overflow_if_asked(platform(), "first");
    smp::start_others(platform());
    run()
}

/// Everything between memory and the first thread.
#[expect(
    clippy::panic,
    reason = "without these parts of the machine there is no kernel, and no caller to tell"
)]
fn start_kernel(platform: &Platform) {
    let options = Options::parse(&platform.bootargs);
    banner(platform);
    for word in &options.refused {
        say!("not understood: {word}");
    }
    if let Err(error) = interrupts::start(platform) {
        panic!("no interrupt controller: {error:?}");
    }
    let entropy = start_devices(platform);
    let cpus = smp::count(platform);
    let set = CpuSet::new(cpus);
    let total_frames = memory::frames().map_or(0, |frames| frames.lock().total_frames());
    let Some(kernel) =
        Kernel::new(Metal { cpus, entropy, total_frames, clock: *clock() }, &set, config(&options))
    else {
        panic!("no memory for the kernel");
    };
    let _ = SHARED.set((Box::leak(Box::new(kernel)), set));
}

static SHARED: OnceCell<(&'static Kernel, CpuSet)> = OnceCell::new();

/// The kernel, once it is there.
pub(crate) fn kernel() -> Option<&'static Kernel> {
    SHARED.get().map(|(kernel, _)| *kernel)
}

/// Another CPU, on its own stack.
#[unsafe(no_mangle)]
extern "C" fn swos_secondary_main(_block: u64) -> ! {
    interrupts::start_cpu(platform());
    panic::overflow_if_asked(platform(), "other");
    machine::leave_user_half();
    run()
}

fn run() -> ! {
    match SHARED.get().map(|(kernel, set)| (kernel, set.claim(smp::index()))) {
        Some((kernel, Some(token))) => traps::run(kernel, token),
        _ => cpu::halt(),
    }
}

/// Finds the devices and connects their interrupts. Returns the entropy that was found.
fn start_devices(platform: &Platform) -> Option<[u8; 32]> {
    if let Some(uart) = platform.uart {
        interrupts::connect(uart.interrupt, Source::Console);
        console::enable_input();
    }
    // A sixteenth of a small machine's memory at most goes to network buffers, two of which share a frame.
    let free = memory::frames().map_or(0, |frames| frames.lock().free_frames());
    let buffers = usize::try_from(free / 32).unwrap_or(usize::MAX);
    let mut found = virtio::find(platform, buffers);
    let disks: Box<[Disk]> = found
        .blocks
        .into_iter()
        .map(|(disk, device)| Disk { device: Lock::new(ranks::BLOCK, disk), interrupt: device.interrupt })
        .collect();
    if let Some(first) = disks.first() {
        interrupts::connect(first.interrupt, Source::Block);
    }
    let _ = DISKS.set(disks);
    if let Some((net, device)) = found.net {
        let _ = NET.set(Lock::new(ranks::NET, net));
        interrupts::connect(device.interrupt, Source::Net);
        if let Some(net) = NET.get() {
            net.lock().open();
        }
    }
    let entropy = entropy::gather(platform, found.entropy.as_mut());
    if let Some(device) = found.entropy {
        device.close();
    }
    entropy
}

fn config(options: &Options<'_>) -> Config {
    const _: () = assert!(size_of::<NetworkConfig>() == 16);
    /// 32 bytes, or none in a build without a key.
    static KEY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trust.key"));
    let mut init_args = Vec::new();
    for word in options.init.split_ascii_whitespace() {
        init_args.extend_from_slice(word.as_bytes());
        init_args.push(0);
    }
    Config {
        trusted_keys: KEY.try_into().map(PublicKey).into_iter().collect(),
        version_floor: 0,
        network: options.address.map(|(address, prefix)| NetworkConfig {
            size: 16,
            prefix: u32::from(prefix),
            address: address.octets(),
            gateway: options.gateway.map_or([0; 4], |gateway| gateway.octets()),
        }),
        disk_timeout: options
            .disk_timeout
            .map_or(DISK_TIMEOUT, |seconds| Duration::from_secs(seconds.into())),
        init_args,
        console_level: level(options.log),
        log_sources: options
            .log_sources
            .iter()
            .map(|&(source, least)| {
                (source.into(), least.map_or(Threshold::Off, |least| Threshold::From(level(least))))
            })
            .collect(),
    }
}

const fn level(named: LogLevel) -> Level {
    match named {
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warning => Level::Warning,
        LogLevel::Error => Level::Error,
    }
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
