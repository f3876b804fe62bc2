//! A panic ends the process with a message and status 101.

use core::{
    fmt::Write,
    panic::PanicInfo,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use swos_abi::{Handle, LOG_ERROR};

/// Status of a process that panicked, as in Rust's `std`.
const STATUS: i32 = 101;

/// A message of bounded length, without the heap, which may be what failed.
struct Message {
    text: [u8; 240],
    length: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for (into, byte) in self.text.iter_mut().skip(self.length).zip(text.bytes()) {
            *into = byte;
            self.length += 1;
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(panic: &PanicInfo<'_>) -> ! {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    if !PANICKED.swap(true, Relaxed) {
        let mut message = Message { text: [0; 240], length: 0 };
        let _cut = match panic.location() {
            Some(at) => writeln!(message, "panic at {}:{}: {}", at.file(), at.line(), panic.message()),
            None => writeln!(message, "panic: {}", panic.message()),
        };
        let text = message.text.get(..message.length).unwrap_or_default();
        let _nobody_listens = swos_sys::write(Handle::STDERR, text);
        let _full = swos_sys::log_write(LOG_ERROR, text);
    }
    swos_sys::exit(STATUS)
}
