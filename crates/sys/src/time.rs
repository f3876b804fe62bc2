//! Clocks.

use swos_abi::Errno;

use crate::raw;

/// Nanoseconds of `clock`, one of `CLOCK_*`, by a call. `swos-rt` reads the time page without one.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_CLOCK_GET`].
pub fn clock_get(clock: u32) -> Result<u64, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::clock_get(clock) }
}

/// Sleeps at least `duration_ns`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SLEEP`].
pub fn sleep(duration_ns: u64) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::sleep(duration_ns) }.map(drop)
}

/// The counter `CNTVCT_EL0`, read after all instructions before it; 0 where there is none.
///
/// Source: Arm DDI 0487 L.a §D11.1.2 (a read may be early without the barrier).
#[must_use]
#[inline]
pub fn counter() -> u64 {
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    {
        let value: u64;
        // SAFETY: reads a register that EL0 may read.
        unsafe {
            core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack, preserves_flags))
        };
        value
    }
    #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
    0
}

/// Ticks of [`counter`] a second: `CNTFRQ_EL0`; 0 where there is none.
#[must_use]
pub fn counter_frequency() -> u64 {
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    {
        let value: u64;
        // SAFETY: reads a register that EL0 may read.
        unsafe {
            core::arch::asm!("mrs {}, cntfrq_el0", out(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }
    #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
    0
}
