//! Time without a call: the counter of the CPU and the kernel's read-only page.

use core::{
    ptr::with_exposed_provenance_mut,
    sync::atomic::{AtomicPtr, Ordering::Relaxed},
};

use swos_abi::{CLOCK_MONOTONIC, CLOCK_REALTIME, TimePage};
use swos_sys::{clock_get, counter};

/// Null until the start found one; then every reading is without a call.
static PAGE: AtomicPtr<TimePage> = AtomicPtr::new(core::ptr::null_mut());

const SECOND_NS: u64 = 1_000_000_000;

/// # Safety
///
/// `address` is that of the page in the auxiliary vector.
pub(crate) unsafe fn set_page(address: u64) {
    #[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits")]
    PAGE.store(with_exposed_provenance_mut(address as usize), Relaxed);
}

fn page() -> Option<TimePage> {
    let page = PAGE.load(Relaxed);
    // SAFETY: not null, so `set_page` got it from the kernel: mapped, readable, for the life of the process. Volatile, because
    // the kernel may set the clock later.
    if page.is_null() { None } else { Some(unsafe { page.read_volatile() }) }
}

/// `ticks` of a counter of `frequency_hz` (not 0) in nanoseconds, exact to the last digit, for 584 years.
#[must_use]
#[inline]
pub const fn ticks_to_nanos(ticks: u64, frequency_hz: u64) -> u64 {
    // In two parts: ticks * 10^9 would overflow after minutes. The rest is below the frequency, which fits 32 bits.
    let (seconds, rest) = (ticks / frequency_hz, ticks % frequency_hz);
    seconds.wrapping_mul(SECOND_NS).wrapping_add(rest * SECOND_NS / frequency_hz)
}

/// Nanoseconds since boot.
#[must_use]
pub fn monotonic_ns() -> u64 {
    match page() {
        Some(page) if page.frequency_hz != 0 => {
            ticks_to_nanos(counter().wrapping_sub(page.counter_at_boot), page.frequency_hz)
        }
        _ => clock_get(CLOCK_MONOTONIC).unwrap_or(0),
    }
}

/// Nanoseconds since 1970-01-01 UTC; `None` if the machine has no clock.
#[must_use]
pub fn realtime_ns() -> Option<u64> {
    match page() {
        Some(page) => {
            (page.realtime_at_boot_ns != 0).then(|| page.realtime_at_boot_ns.wrapping_add(monotonic_ns()))
        }
        None => clock_get(CLOCK_REALTIME).ok().filter(|&nanos| nanos != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_exactly() {
        for (ticks, frequency) in [(1, 62_500_000), (u64::MAX / 2, 62_500_000), (999, 1_000), (7, 24_000_000)]
        {
            let exact = u128::from(ticks) * 1_000_000_000 / u128::from(frequency);
            assert_eq!(u128::from(ticks_to_nanos(ticks, frequency)), exact & u128::from(u64::MAX));
        }
    }
}
