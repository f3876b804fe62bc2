//! The serial port: bytes out through a ring that interrupts empty, bytes in through another.

use arm_pl011_uart::{DataBits, Interrupts, LineConfig, PL011Registers, Parity, StopBits, Uart};
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use safe_mmio::UniqueMmioPointer;
use swos_arch::image;
use swos_mmio::Window;
use swos_platform::Device;
use swos_sync::Lock;

use crate::{memory, ranks};

/// Depth of the transmit FIFO that every PL011 has.
const FIFO: usize = 16;
/// Reference clock and speed. Only a real line cares; firmware on such boards uses the same.
const CLOCK_HZ: u32 = 24_000_000;
const BAUD: u32 = 115_200;

/// A ring of bytes; `N` is a power of two.
struct Ring<const N: usize> {
    bytes: [u8; N],
    read: usize,
    write: usize,
}

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], read: 0, write: 0 }
    }

    const fn is_empty(&self) -> bool {
        self.read == self.write
    }

    fn push(&mut self, byte: u8) -> bool {
        let room = self.write.wrapping_sub(self.read) < N;
        if room {
            self.bytes[self.write % N] = byte;
            self.write = self.write.wrapping_add(1);
        }
        room
    }

    fn pop(&mut self) -> Option<u8> {
        if self.is_empty() {
            return None;
        }
        let byte = self.bytes[self.read % N];
        self.read = self.read.wrapping_add(1);
        Some(byte)
    }
}

struct Console {
    uart: Option<Uart<'static>>,
    out: Ring<2048>,
    /// The last byte that was queued.
    last: u8,
    input: Ring<256>,
    /// What the port's mask register holds.
    mask: Interrupts,
}

static CONSOLE: Lock<Console> = Lock::new(
    ranks::CONSOLE,
    Console { uart: None, out: Ring::new(), last: 0, input: Ring::new(), mask: Interrupts::empty() },
);

/// Address of the registers, for a panic that can't get the lock. 0 = none.
static REGISTERS: AtomicUsize = AtomicUsize::new(0);

impl Console {
    /// Moves bytes from the ring to the port until either is satisfied.
    fn pump(&mut self) {
        let Some(uart) = &mut self.uart else { return };
        while !self.out.is_empty() && uart.is_tx_fifo_empty() {
            for _ in 0..FIFO {
                let Some(byte) = self.out.pop() else { break };
                uart.write_word(byte);
            }
        }
        let mut mask = self.mask;
        mask.set(Interrupts::TXI, !self.out.is_empty());
        if mask != self.mask {
            uart.set_interrupt_masks(mask);
            self.mask = mask;
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.uart.is_none() {
            return;
        }
        for &byte in bytes {
            // The port is a terminal, and the kernel's log and plain programs end lines with a line feed alone.
            if byte == b'\n' && self.last != b'\r' {
                self.put(b'\r');
            }
            self.put(byte);
            self.last = byte;
        }
        self.pump();
    }

    fn put(&mut self, byte: u8) {
        while !self.out.push(byte) {
            self.pump();
        }
    }
}

/// Takes the port into use.
pub(crate) fn start(device: Device) {
    let Some(base) = memory::map_device(device.window) else { return };
    // SAFETY: the window of a PL011, mapped as device memory and used through this alone, but for a panic.
    let window = unsafe { Window::new(base, image::bytes(device.window.len)) };
    let Some(registers) = window.registers() else { return };
    REGISTERS.store(base.addr().get(), Ordering::Relaxed);
    let mut uart = Uart::new(registers);
    let line = LineConfig { data_bits: DataBits::Bits8, parity: Parity::None, stop_bits: StopBits::One };
    // Fails only for impossible speeds.
    let _ = uart.enable(line, BAUD, CLOCK_HZ);
    CONSOLE.lock().uart = Some(uart);
}

/// Lets the port interrupt when bytes come in.
pub(crate) fn enable_input() {
    let mut console = CONSOLE.lock();
    let mask = console.mask | Interrupts::RXI | Interrupts::RTI;
    console.mask = mask;
    if let Some(uart) = &mut console.uart {
        uart.set_interrupt_masks(mask);
    }
}

/// Queues bytes; what does not fit is written out first.
pub(crate) fn write(bytes: &[u8]) {
    CONSOLE.lock().write(bytes);
}

/// Serves the port's interrupt. Whether input came.
pub(crate) fn on_interrupt() -> bool {
    let mut console = CONSOLE.lock();
    let console = &mut *console;
    let mut came = false;
    if let Some(uart) = &mut console.uart {
        uart.clear_interrupts(Interrupts::RXI | Interrupts::RTI | Interrupts::OEI);
        loop {
            match uart.read_word() {
                // What does not fit is lost, as on any line whose reader is asleep.
                Ok(Some(byte)) => came |= console.input.push(byte),
                Ok(None) => break,
                Err(_) => {}
            }
        }
    }
    console.pump();
    came
}

/// Takes received bytes.
pub(crate) fn read(buffer: &mut [u8]) -> usize {
    let mut console = CONSOLE.lock();
    let mut count = 0;
    for slot in buffer {
        let Some(byte) = console.input.pop() else { break };
        *slot = byte;
        count += 1;
    }
    count
}

/// Writes text at once, in order after what was queued.
pub(crate) struct Out;

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

/// Prints a line of the boot report.
macro_rules! say {
    ($($arguments:tt)*) => {{
        use core::fmt::Write as _;
        // The console does not fail.
        let _ = writeln!($crate::console::Out, $($arguments)*);
    }};
}
pub(crate) use say;

/// Text out, one byte at a time, past any lock: for a panic.
pub(crate) struct Emergency(Option<Uart<'static>>);

impl Emergency {
    /// Takes the port away from whoever has it, after its queue if that can be had.
    pub(crate) fn seize() -> Self {
        for _ in 0..1_000_000 {
            if let Some(mut console) = CONSOLE.try_lock() {
                while !console.out.is_empty() {
                    console.pump();
                }
                break;
            }
            core::hint::spin_loop();
        }
        let base =
            core::ptr::with_exposed_provenance_mut::<PL011Registers>(REGISTERS.load(Ordering::Relaxed));
        // SAFETY: the registers' address, mapped since `start`. The other CPUs have stopped or are about to; at worst
        // their bytes and ours mix.
        Self(core::ptr::NonNull::new(base).map(|base| Uart::new(unsafe { UniqueMmioPointer::new(base) })))
    }
}

impl fmt::Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(uart) = &mut self.0 else { return Ok(()) };
        for byte in text.bytes() {
            if byte == b'\n' {
                uart.write_str("\r")?;
            }
            while uart.is_tx_fifo_full() {}
            uart.write_word(byte);
        }
        Ok(())
    }
}
