//! `print!` and its kin: formatted into a small buffer on the stack, so that a line is one write.

use core::fmt::{self, Write as _};

use swos_abi::{Errno, Handle};

struct Buffered {
    handle: Handle,
    bytes: [u8; 256],
    length: usize,
}

impl Buffered {
    fn flush(&mut self) {
        let mut rest = self.bytes.get(..self.length).unwrap_or_default();
        while !rest.is_empty() {
            // Output that nobody takes is dropped, as a program should not fail because its console is gone.
            match swos_sys::write(self.handle, rest) {
                Ok(count @ 1..) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.length = 0;
    }
}

impl fmt::Write for Buffered {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length == self.bytes.len() {
                self.flush();
            }
            if let Some(into) = self.bytes.get_mut(self.length) {
                *into = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// Writes formatted text to a handle: what the macros expand to.
pub fn write_to(handle: Handle, text: fmt::Arguments<'_>) {
    let mut buffered = Buffered { handle, bytes: [0; 256], length: 0 };
    let _never_fails = buffered.write_fmt(text);
    buffered.flush();
}

/// Prints to standard output.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::write_to($crate::abi::Handle::STDOUT, ::core::format_args!($($arg)*)) };
}

/// Prints a line to standard output.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arg:tt)*) => {
        $crate::write_to($crate::abi::Handle::STDOUT, ::core::format_args!("{}\n", ::core::format_args!($($arg)*)))
    };
}

/// Prints a line to standard error.
#[macro_export]
macro_rules! eprintln {
    ($($arg:tt)*) => {
        $crate::write_to($crate::abi::Handle::STDERR, ::core::format_args!("{}\n", ::core::format_args!($($arg)*)))
    };
}
