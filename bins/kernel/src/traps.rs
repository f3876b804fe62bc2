//! From the trap entry to the kernel and back.

use swos_arch::context::{PerCpu, Registers};
use swos_arch::trap::SyscallReturn;
use swos_arch::{cpu, timer};

use crate::interrupts::{self, Source};
use crate::console;

/// Runs threads on this CPU, for ever.
pub(crate) fn run() -> ! {
    use crate::console::say;
    say!("cpu {} up", crate::smp::index());
    timer::arm(timer::counter() + timer::frequency() / 10);
    loop {
        cpu::wait_for_interrupt();
        while let Some(taken) = interrupts::acknowledge() {
            match taken.source {
                Source::Timer => {
                    timer::disarm();
                    say!("cpu {} timer", crate::smp::index());
                    if crate::smp::index() == 0 && crate::smp::online() > 1 { interrupts::kick(1); }
                    let _ = alloc::vec![0u8; 100];
                }
                Source::Console => {
                    console::on_interrupt();
                    let mut b = [0; 16];
                    let n = console::read(&mut b);
                    say!("got {:?}", &b[..n]);
                    if b[0] == b'p' { panic!("asked for"); }
                    if b[0] == b'o' { deep(1); }
                    if b[0] == b'f' { unsafe { (0x1234 as *mut u8).write_volatile(1) }; }
                    if b[0] == b'w' { unsafe { (swos_arch::image::IMAGE_BASE as *mut u8).write_volatile(1) }; }
                }
                other => say!("cpu {} {other:?}", crate::smp::index()),
            }
            taken.end();
        }
    }
}
#[inline(never)]
fn deep(n: u64) -> u64 { let mut a = [n; 64]; core::hint::black_box(&mut a); if n == 0 { 0 } else { deep(n + 1) + a[3] } }

#[unsafe(no_mangle)]
extern "C" fn swos_syscall(_a0: u64, _a1: u64, _a2: u64, _a3: u64, _a4: u64, _a5: u64, _number: u64, _block: *mut PerCpu) -> SyscallReturn {
    SyscallReturn { value: 0, leave: 0 }
}
#[unsafe(no_mangle)]
extern "C" fn swos_user_exception(_esr: u64, _far: u64, _block: *mut PerCpu) -> u64 { 0 }
#[unsafe(no_mangle)]
extern "C" fn swos_interrupt(_block: *mut PerCpu) -> u64 { 0 }
#[unsafe(no_mangle)]
extern "C" fn swos_reschedule(_block: *mut PerCpu) -> *mut Registers { core::ptr::null_mut() }
