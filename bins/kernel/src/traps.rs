//! From the trap entry to the kernel and back.

use core::ptr;
use swos_arch::context::{PerCpu, Registers};
use swos_arch::trap::SyscallReturn;
use swos_arch::{cpu as arch_cpu, fp, timer, trap};
use swos_kcore::{AccessKind, Cause, Dispatch, Event, ExceptionKind, Trap, UserException};
use swos_sync::CpuToken;
use swos_units::VirtAddr;

use crate::console;
use crate::cpu::Cpu;
use crate::interrupts::{self, Source};
use crate::machine::{self, Kernel, NET};

/// Runs threads on this CPU, for ever.
pub(crate) fn run(kernel: &'static Kernel, token: CpuToken) -> ! {
    let cpu = Cpu::this();
    // SAFETY: this CPU's own data; nothing below uses these fields yet.
    unsafe {
        (*cpu).kernel = Some(kernel);
        (*cpu).token = Some(token);
        trap::enter_user(next(cpu))
    }
}

/// The kernel and this CPU's token.
///
/// # Safety
///
/// `cpu` is this CPU's own. The token's reference must not outlive this trap, and there is one at a time.
#[inline]
unsafe fn own(cpu: *mut Cpu) -> (&'static Kernel, &'static mut CpuToken) {
    // SAFETY: both are set in `run`, before the first trap; only the trap code uses `token`, one trap at a time.
    unsafe { ((*cpu).kernel.unwrap_unchecked(), (*cpu).token.as_mut().unwrap_unchecked()) }
}

/// Chooses a thread and makes its registers those of this CPU. The last one's context is whole.
fn next(cpu: *mut Cpu) -> *mut Registers {
    // SAFETY: this CPU's own data, one trap at a time.
    let (kernel, token) = unsafe { own(cpu) };
    // SAFETY: as above.
    let last = unsafe {
        (*cpu).entry.context = ptr::null_mut();
        (*cpu).running.take()
    };
    if let Some(last) = last {
        last.context().put();
    }
    loop {
        match kernel.dispatch(token) {
            Dispatch::Run { thread, result } => {
                let context = thread.context();
                context.take();
                let registers = context.registers();
                // SAFETY: this CPU has taken the context, and keeps the thread that holds it.
                unsafe {
                    if let Some(value) = result {
                        (*registers).x[0] = value.cast_unsigned();
                    }
                    (*cpu).entry.context = registers;
                    (*cpu).running = Some(thread);
                    fp::reopen(&raw mut (*cpu).entry);
                }
                return registers;
            }
            Dispatch::Again => {}
            Dispatch::Idle => arch_cpu::wait_for_interrupt(),
        }
        let _ = take_interrupts(kernel, token);
    }
}

/// Serves all pending interrupts. Whether the running thread left the CPU.
fn take_interrupts(kernel: &Kernel, token: &mut CpuToken) -> bool {
    let mut leave = false;
    while let Some(taken) = interrupts::acknowledge() {
        let event = match taken.source {
            Source::Timer => {
                timer::disarm();
                // SAFETY: this CPU's own field; the machine's methods are not active here.
                unsafe { (*Cpu::this()).deadline = u64::MAX };
                Some(Event::Timer)
            }
            Source::Kick => {
                if interrupts::was_pretended() {
                    leave |= kernel.interrupt(token, Event::Block) == Trap::Reschedule;
                }
                Some(Event::Kick)
            }
            Source::Console => console::on_interrupt().then_some(Event::Console),
            Source::Block => machine::disk().map(|disk| {
                disk.lock().on_interrupt();
                Event::Block
            }),
            Source::Net => NET.get().map(|net| {
                net.lock().on_interrupt();
                Event::Net
            }),
            Source::Unknown => None,
        };
        if let Some(event) = event {
            leave |= kernel.interrupt(token, event) == Trap::Reschedule;
        }
        taken.end();
    }
    leave
}

#[unsafe(no_mangle)]
extern "C" fn swos_syscall(
    a0: u64,
    a1: u64,
    a2: u64,
    a3: u64,
    a4: u64,
    a5: u64,
    number: u64,
    block: *mut PerCpu,
) -> SyscallReturn {
    // SAFETY: the trap entry passes this CPU's block, which starts its data.
    let (kernel, token) = unsafe { own(block.cast()) };
    match kernel.quick_call(token, number) {
        Some(value) => SyscallReturn { value, leave: 0 },
        None => full_syscall(a0, a1, a2, a3, a4, a5, number, block),
    }
}

/// The calls that are more than a look. Apart, and with the same arguments in the same registers, so that the quick ones
/// need no frame.
#[inline(never)]
extern "C" fn full_syscall(
    a0: u64,
    a1: u64,
    a2: u64,
    a3: u64,
    a4: u64,
    a5: u64,
    number: u64,
    block: *mut PerCpu,
) -> SyscallReturn {
    // SAFETY: as in `swos_syscall`.
    let (kernel, token) = unsafe { own(block.cast()) };
    let again = || {
        // SAFETY: the running thread's context, where the entry has saved what it passed on.
        let [b0, b1, b2, b3, b4, b5, _, _, number, ..] = unsafe { (*(*block).context).x };
        (number, [b0, b1, b2, b3, b4, b5])
    };
    match kernel.syscall(token, number, [a0, a1, a2, a3, a4, a5], again) {
        Trap::Return(value) => SyscallReturn { value, leave: 0 },
        // SAFETY: the running thread's context, saved by the entry.
        Trap::Resume => SyscallReturn { value: unsafe { (*(*block).context).x[0] }.cast_signed(), leave: 0 },
        Trap::Reschedule => SyscallReturn { value: 0, leave: 1 },
    }
}

#[unsafe(no_mangle)]
extern "C" fn swos_interrupt(block: *mut PerCpu) -> u64 {
    // SAFETY: as in `swos_syscall`.
    let (kernel, token) = unsafe { own(block.cast()) };
    u64::from(take_interrupts(kernel, token))
}

#[unsafe(no_mangle)]
extern "C" fn swos_reschedule(block: *mut PerCpu) -> *mut Registers {
    // SAFETY: this CPU's block; its context is the thread's that is being left.
    unsafe { fp::leave(block) };
    next(block.cast())
}

#[unsafe(no_mangle)]
extern "C" fn swos_user_exception(esr: u64, far: u64, block: *mut PerCpu) -> u64 {
    // Exception classes. Source: DDI 0487 L.a §D24.2.40.
    const FP_ACCESS: u64 = 0x07;
    const FETCH_ABORT: u64 = 0x20;
    const PC_ALIGNMENT: u64 = 0x22;
    const DATA_ABORT: u64 = 0x24;
    const SP_ALIGNMENT: u64 = 0x26;
    const BREAKPOINT: u64 = 0x3c;
    const WRITE: u64 = 1 << 6;
    const CACHE_MAINTENANCE: u64 = 1 << 8;

    let class = esr >> 26;
    if class == FP_ACCESS {
        // SAFETY: this CPU's block, with the running thread's context.
        unsafe { fp::open(block) };
        return 0;
    }
    // SAFETY: as above.
    let pc = VirtAddr::new(unsafe { (*(*block).context).pc });
    let address = VirtAddr::new(far);
    let memory = |access| match esr & 0x3c {
        0b00_0100 => Some(ExceptionKind::Memory { address, access, cause: Cause::Absent }),
        // Access flag and permission.
        0b00_1000 | 0b00_1100 => Some(ExceptionKind::Memory { address, access, cause: Cause::Forbidden }),
        // An address that does not fit the tables.
        0b00_0000 => Some(ExceptionKind::Memory { address, access, cause: Cause::Absent }),
        _ if esr & 0x3f == 0b10_0001 => Some(ExceptionKind::Alignment { address }),
        _ => None,
    };
    let kind = match class {
        DATA_ABORT if esr & (WRITE | CACHE_MAINTENANCE) == WRITE => memory(AccessKind::Write),
        DATA_ABORT => memory(AccessKind::Read),
        FETCH_ABORT => memory(AccessKind::Execute),
        // Trapped registers and instructions are as good as missing.
        0x00..=0x19 => Some(ExceptionKind::Instruction),
        PC_ALIGNMENT => Some(ExceptionKind::Alignment { address: pc }),
        SP_ALIGNMENT => {
            Some(ExceptionKind::Alignment { address: VirtAddr::new(swos_arch::cpu::user_stack()) })
        }
        BREAKPOINT => Some(ExceptionKind::Breakpoint),
        _ => None,
    };
    let exception = UserException { kind: kind.unwrap_or(ExceptionKind::Other { syndrome: esr }), pc };
    // SAFETY: as in `swos_syscall`.
    let (kernel, token) = unsafe { own(block.cast()) };
    match kernel.user_fault(token, exception) {
        Trap::Resume => 0,
        Trap::Return(value) => {
            // SAFETY: the running thread's context.
            unsafe { (*(*block).context).x[0] = value.cast_unsigned() };
            0
        }
        Trap::Reschedule => 1,
    }
}
