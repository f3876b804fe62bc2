//! CPUs on, machine off: PSCI, and QEMU's semihosting for a test's exit status.
//!
//! Source: Arm DEN 0022 F.b §5; ARM semihosting 2.0 §6.10 (SYS_EXIT_EXTENDED).

use core::arch::asm;
use smccc::psci;
use smccc::{Hvc, Smc};

/// How PSCI is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conduit {
    /// `hvc`.
    Hvc,
    /// `smc`.
    Smc,
}

/// What a secondary CPU loads first, with its caches off.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct SecondaryStart {
    /// Physical address of the kernel's top table.
    pub root: u64,
    /// Top of its stack.
    pub stack_top: u64,
    /// Its [`crate::context::PerCpu`], as an address.
    pub block: u64,
}

/// PSCI refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Its error code.
    pub code: i64,
}

impl Conduit {
    /// Starts the CPU with affinity `mpidr` at physical address `entry`, x0 = `argument`.
    ///
    /// # Errors
    ///
    /// [`Refused`] with PSCI's code.
    ///
    /// # Safety
    ///
    /// `entry` is the secondary entry of this image; `argument` the physical address of a [`SecondaryStart`] that has
    /// been cleaned to memory and whose contents are true and no other CPU's.
    pub unsafe fn cpu_on(self, mpidr: u64, entry: u64, argument: u64) -> Result<(), Refused> {
        let result = match self {
            Self::Hvc => psci::cpu_on::<Hvc>(mpidr, entry, argument),
            Self::Smc => psci::cpu_on::<Smc>(mpidr, entry, argument),
        };
        result.map_err(|error| Refused { code: error.into() })
    }

    /// Switches the machine off. Returns if the firmware does not.
    pub fn system_off(self) {
        let _ = match self {
            Self::Hvc => psci::system_off::<Hvc>(),
            Self::Smc => psci::system_off::<Smc>(),
        };
    }

    /// Starts the machine again. Returns if the firmware does not.
    pub fn system_reset(self) {
        let _ = match self {
            Self::Hvc => psci::system_reset::<Hvc>(),
            Self::Smc => psci::system_reset::<Smc>(),
        };
    }
}

/// Physical address of the secondary entry. `image` is where the image lies.
#[must_use]
pub fn secondary_entry(image: u64) -> u64 {
    unsafe extern "C" {
        fn swos_secondary_entry();
    }
    (swos_secondary_entry as *const ()).addr() as u64 - crate::image::IMAGE_BASE + image
}

/// Ends QEMU with exit status `code`. Only where the command line says that a host listens: elsewhere `hlt` is an
/// undefined instruction.
pub fn semihosting_exit(code: u32) -> ! {
    const SYS_EXIT_EXTENDED: u64 = 0x20;
    const APPLICATION_EXIT: u64 = 0x2_0026;
    let block = [APPLICATION_EXIT, u64::from(code)];
    // SAFETY: the host reads the block and ends the machine. It may run on for a while, so we spin and touch nothing.
    unsafe {
        asm!("hlt #0xf000", inout("x0") SYS_EXIT_EXTENDED => _, in("x1") block.as_ptr(), options(nostack))
    };
    loop {
        core::hint::spin_loop();
    }
}
