//! The end of the kernel: a report that `xtask symbolize` reads, and a way out.

use core::fmt::Write;
use core::hint::black_box;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use swos_arch::{cpu, power, trap::Frame};
use swos_platform::Platform;

use crate::console::Emergency;
use crate::options::{self, End};
use crate::{boot, interrupts, layout, smp};

static PANICKED: AtomicBool = AtomicBool::new(false);

/// The first CPU that comes here stops the others and reports; any later one just stops.
fn begin() -> Emergency {
    if PANICKED.swap(true, Ordering::AcqRel) {
        cpu::halt();
    }
    interrupts::stop_others();
    let mut out = Emergency::seize();
    let _ = out.write_str("\n");
    out
}

fn identify(out: &mut Emergency) {
    let _ = out.write_str("build-id ");
    for byte in layout::build_id() {
        let _ = write!(out, "{byte:02x}");
    }
    let _ = writeln!(out, "\ncpu {}", smp::index());
}

fn backtrace(out: &mut Emergency, first: Option<u64>, from: Option<u64>) {
    let offset = usize::from(first.is_some());
    if let Some(address) = first {
        let _ = writeln!(out, "#0 {address:#x}");
    }
    cpu::backtrace(from, |depth, address| {
        let _ = writeln!(out, "#{} {address:#x}", depth + offset);
    });
}

/// Records of the log that a report ends with.
const TAIL: u64 = 16;

fn finish(mut out: Emergency) -> ! {
    if let Some(kernel) = boot::kernel() {
        let _ = writeln!(out, "log, its newest {TAIL} records:");
        kernel.log_tail(TAIL, |line| {
            let _ = out.write_str(core::str::from_utf8(line).unwrap_or("?\n"));
        });
    }
    let _ = out.write_str("end of panic\n");
    match options::end() {
        End::Semihosting => power::semihosting_exit(101),
        End::Reset => {
            if let Some(conduit) = smp::conduit() {
                conduit.system_reset();
            }
        }
        End::Halt => {}
    }
    cpu::halt()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut out = begin();
    let _ = match info.location() {
        Some(at) => writeln!(out, "panic: {} ({at})", info.message()),
        None => writeln!(out, "panic: {}", info.message()),
    };
    identify(&mut out);
    backtrace(&mut out, None, None);
    finish(out)
}

/// An exception in the kernel, or one that can't come from EL0.
#[unsafe(no_mangle)]
extern "C" fn swos_fatal_exception(kind: u64, frame: &Frame) -> ! {
    const KERNEL_FAULT: u64 = 4;
    const OVERFLOW: u64 = 16;
    const KINDS: [&str; 17] = [
        "synchronous, SP_EL0",
        "IRQ, SP_EL0",
        "FIQ, SP_EL0",
        "SError, SP_EL0",
        "synchronous exception in the kernel",
        "IRQ in the kernel",
        "FIQ in the kernel",
        "SError in the kernel",
        "synchronous from EL0",
        "IRQ from EL0",
        "FIQ from EL0",
        "SError from EL0",
        "AArch32",
        "AArch32",
        "AArch32",
        "AArch32",
        "kernel stack overflow",
    ];
    let mut out = begin();
    // The trap entry knows the stacks of running CPUs by one bit of their addresses; the boot stack lacks it in half of
    // its pages, and then arrives here as an overflow, with its SP in x0.
    let kind =
        if kind == OVERFLOW && layout::boot_stack().contains(&frame.x[0]) { KERNEL_FAULT } else { kind };
    let name = usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind)).unwrap_or(&"unknown exception");
    let _ = writeln!(out, "panic: {name}, esr {:#x}, far {:#x}", frame.esr, frame.far);
    identify(&mut out);
    let _ = writeln!(out, "pc {:#018x} sp {:#018x} pstate {:#x}", frame.pc, frame.sp, frame.pstate);
    for (row, registers) in frame.x.chunks(4).enumerate() {
        for (column, value) in registers.iter().enumerate() {
            let _ = write!(out, "x{:<2} {value:#018x} ", row * 4 + column);
        }
        let _ = out.write_str("\n");
    }
    // Caller of the faulting function first: it may not have made its own frame yet.
    backtrace(&mut out, Some(frame.pc), Some(frame.x[29]));
    finish(out)
}

/// Uses up the stack that it runs on, if the command line says `swos.overflow=STACK` to a kernel that checks itself: what
/// lies below a stack is tested by going there.
pub(crate) fn overflow_if_asked(platform: &Platform, stack: &str) {
    #[inline(never)]
    fn descend(depth: u64) -> u64 {
        let frame = black_box([depth; 32]);
        if depth == u64::MAX { 0 } else { frame[0].wrapping_add(descend(depth + 1)) }
    }
    let asked = |word: &str| word.strip_prefix("swos.overflow=") == Some(stack);
    if cfg!(debug_assertions) && platform.bootargs.split_ascii_whitespace().any(asked) {
        black_box(descend(0));
    }
}

/// Ends the machine as asked. Under test the code becomes QEMU's exit status.
pub(crate) fn power_off(code: u32) -> ! {
    if options::end() == End::Semihosting {
        power::semihosting_exit(code);
    }
    if let Some(conduit) = smp::conduit() {
        conduit.system_off();
    }
    cpu::halt()
}

/// Starts the machine again.
pub(crate) fn reset() -> ! {
    if let Some(conduit) = smp::conduit() {
        conduit.system_reset();
    }
    cpu::halt()
}
