//! PL031: a counter of seconds.

use core::fmt;
use safe_mmio::fields::ReadPure;
use safe_mmio::{UniqueMmioPointer, field_shared};

/// Registers of a PL031, as far as they are used.
#[repr(C, align(4))]
pub struct RtcRegisters {
    data: ReadPure<u32>,
}

/// A PL031.
pub struct Rtc {
    registers: UniqueMmioPointer<'static, RtcRegisters>,
}

impl Rtc {
    /// A driver for these registers.
    #[must_use]
    pub const fn new(registers: UniqueMmioPointer<'static, RtcRegisters>) -> Self {
        Self { registers }
    }

    /// Seconds since 1970, until 2106.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        field_shared!(self.registers, data).read()
    }
}

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rtc")
    }
}

impl fmt::Debug for RtcRegisters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RtcRegisters")
    }
}
