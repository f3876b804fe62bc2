//! What the command line says to the machine's side of the kernel.

use core::sync::atomic::{AtomicU8, Ordering};

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

/// Reads `swos.exit=semihosting` and `swos.panic=halt|reset` among the words of the command line.
pub(crate) fn set(arguments: &str) {
    for word in arguments.split_ascii_whitespace() {
        let end = match word {
            "swos.exit=semihosting" => End::Semihosting,
            "swos.panic=reset" => End::Reset,
            "swos.panic=halt" => End::Halt,
            _ => continue,
        };
        END.store(end as u8, Ordering::Relaxed);
    }
}

/// What a panic ends with.
pub(crate) fn end() -> End {
    match END.load(Ordering::Relaxed) {
        end if end == End::Reset as u8 => End::Reset,
        end if end == End::Semihosting as u8 => End::Semihosting,
        _ => End::Halt,
    }
}
