//! The EL1 virtual timer: one shot, by absolute counter value.

use super::{read, write};

/// Counter frequency in Hz.
#[must_use]
pub fn frequency() -> u64 {
    read!("cntfrq_el0")
}

/// The counter. The CPU may read it a few instructions early, which no two CPUs could tell apart from their distance.
#[must_use]
#[inline]
pub fn counter() -> u64 {
    read!("cntvct_el0")
}

/// Interrupts when the counter reaches `ticks`; at once if it has.
#[inline]
pub fn arm(ticks: u64) {
    // SAFETY: at most an interrupt.
    unsafe {
        write!("cntv_cval_el0", ticks);
        write!("cntv_ctl_el0", 1u64);
    }
}

/// No interrupt any more. A pending one goes away.
#[inline]
pub fn disarm() {
    // SAFETY: as above.
    unsafe { write!("cntv_ctl_el0", 0u64) };
}
