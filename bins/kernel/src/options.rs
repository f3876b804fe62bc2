//! What the command line says about the end of the machine.

use core::sync::atomic::{AtomicU8, Ordering};
use swos_platform::{Options, PanicEnd};

/// What a panic ends with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum End {
    /// All CPUs stop.
    Halt,
    /// The machine starts again.
    Reset,
    /// QEMU ends with an exit status.
    Semihosting,
}

static END: AtomicU8 = AtomicU8::new(End::Halt as u8);

/// Says what a panic ends with.
pub(crate) fn set(options: &Options<'_>) {
    let end = match options.panic {
        _ if options.exit_by_semihosting => End::Semihosting,
        PanicEnd::Reset => End::Reset,
        PanicEnd::Halt => End::Halt,
    };
    END.store(end as u8, Ordering::Relaxed);
}

/// What a panic ends with.
pub(crate) fn end() -> End {
    match END.load(Ordering::Relaxed) {
        end if end == End::Reset as u8 => End::Reset,
        end if end == End::Semihosting as u8 => End::Semihosting,
        _ => End::Halt,
    }
}
