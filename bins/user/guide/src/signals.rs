//! Signals: handled, held back, waited for.

use core::sync::atomic::{AtomicU32, Ordering};
use swos_ulib::{
    io::Result,
    println, process,
    signal::{self, ActionFlags, SIGUSR1, SIGUSR2, SignalFrame, SignalInfo, SignalSet},
};

static SEEN: AtomicU32 = AtomicU32::new(0);

/// Runs between any two instructions of the program: it may touch atomics, and make calls that don't allocate or lock.
extern "C" fn on_signal(_number: u32, _info: &SignalInfo, _frame: &SignalFrame) {
    SEEN.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn main() -> Result<()> {
    signal::handle(SIGUSR1, on_signal, ActionFlags::RESTART)?;
    signal::raise(SIGUSR1)?;
    println!("handled {}", SEEN.load(Ordering::Relaxed));

    // Held back while the guard lives; however often it was sent meanwhile, it comes once.
    let held = signal::block(SignalSet::of(&[SIGUSR1]))?;
    signal::raise(SIGUSR1)?;
    signal::raise(SIGUSR1)?;
    println!("handled {}", SEEN.load(Ordering::Relaxed));
    drop(held);
    println!("handled {}", SEEN.load(Ordering::Relaxed));

    // Or without any handler: blocked, and taken in the order of the program, with a value from the sender.
    let _held = signal::block(SignalSet::of(&[SIGUSR2]))?;
    signal::queue(process::id(), SIGUSR2, 42)?;
    let info = signal::wait(SignalSet::of(&[SIGUSR2]))?;
    println!("signal {} with {}", info.signal, info.value);
    Ok(())
}
