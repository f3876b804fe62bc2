//! Deeds that end a process, and some that must not.

use core::{arch::asm, hint::black_box, ptr::with_exposed_provenance_mut};

use swos_ulib::{
    abi::{self, Errno, Handle, MapFlags, NR_PREAD, Protection},
    fs::File,
    sys, thread,
};

/// One deed: its name, the signal that it must end with (`None` = it returns), and what it does; a returned text is a complaint.
pub(crate) struct Deed {
    pub(crate) name: &'static str,
    pub(crate) signal: Option<i32>,
    act: fn() -> Result<(), &'static str>,
}

const ILL: Option<i32> = Some(4);
const TRAP: Option<i32> = Some(5);
const BUS: Option<i32> = Some(7);
const SEGV: Option<i32> = Some(11);

/// The kernel's half of the address space, near its start and where the kernel lies.
const KERNEL: usize = 0xffff_0000_0000_0000;
const KERNEL_LATE: usize = 0xffff_ffff_8008_0000;
/// Between the halves: no address at all.
const NOWHERE: usize = 0x00ff_0000_0000_0000;

macro_rules! instruction {
    ($($text:literal),*) => {{
        // SAFETY: the process is there to die of it; nothing is kept if it does not.
        unsafe { asm!($($text),*) };
        Err("went on")
    }};
}

macro_rules! deeds {
    ($($name:literal $signal:ident $act:expr;)*) => {
        pub(crate) const DEEDS: &[Deed] = &[$(Deed { name: $name, signal: $signal, act: $act }),*];
    };
}

deeds! {
    "read null" SEGV || read(0);
    "write null" SEGV || write(0);
    "call null" SEGV || call(0);
    "read kernel" SEGV || read(KERNEL);
    "read kernel image" SEGV || read(KERNEL_LATE);
    "write kernel" SEGV || write(KERNEL_LATE);
    "call kernel" SEGV || call(KERNEL_LATE);
    "read nowhere" SEGV || read(NOWHERE);
    "write nowhere" SEGV || write(NOWHERE);
    "call nowhere" SEGV || call(NOWHERE);
    "read last page" SEGV || read(usize::MAX - 4095);
    "execute stack" SEGV || { let code = RET; call((&raw const code).expose_provenance()) };
    "execute heap" SEGV || { let code = alloc::vec![RET; 16]; call(code.as_ptr().expose_provenance()) };
    "execute rodata" SEGV || { static CODE: [u32; 4] = [RET; 4]; call((&raw const CODE).expose_provenance()) };
    "execute data" SEGV || call(DATA.as_ptr().expose_provenance());
    "write text" SEGV || write(run as fn(&str) -> i32 as usize);
    "write rodata" SEGV || { static TEXT: [u64; 2] = [7; 2]; write((&raw const TEXT).expose_provenance()) };
    "overflow stack" SEGV || { deeper(1); Err("went on") };
    "read below a guard" SEGV guard;
    "call into the middle of nothing" SEGV || { let page = mapped(Protection::empty())?; call(page) };
    "read reserved memory" SEGV || { let page = mapped(Protection::empty())?; read(page) };
    "write read-only memory" SEGV || { let page = mapped(Protection::READ)?; write(page) };
    "use unmapped memory" SEGV unmapped;
    "use a hole in a mapping" SEGV hole;
    "kernel writes into a hole" NONE kernel_hole;
    "unmap own text" SEGV unmap_text;
    "stack pointer zero" SEGV || instruction!("mov x9, xzr", "mov sp, x9", "ldr x0, [sp]");
    "stack pointer in the kernel" SEGV || instruction!("mov x9, #0xffff000000000000", "mov sp, x9", "str x0, [sp, #-16]!");
    "jump misaligned" BUS || call(run as fn(&str) -> i32 as usize + 2);
    "exclusive misaligned" BUS || { let word = [0_u64; 2]; exclusive((&raw const word).expose_provenance() + 4) };
    "undefined instruction" ILL || instruction!("udf #0");
    "undefined encoding" ILL || instruction!(".inst 0x00001234");
    "brk" TRAP || instruction!("brk #7");
    "hvc" ILL || instruction!("hvc #0");
    "smc" ILL || instruction!("smc #0");
    "eret" ILL || instruction!("eret");
    "read sctlr" ILL || instruction!("mrs x0, sctlr_el1");
    "write ttbr0" ILL || instruction!("msr ttbr0_el1, xzr");
    "write vbar" ILL || instruction!("msr vbar_el1, xzr");
    "write elr" ILL || instruction!("msr elr_el1, xzr");
    "read esr" ILL || instruction!("mrs x0, esr_el1");
    "mask interrupts" ILL || instruction!("msr daifset, #15");
    "write spsel" ILL || instruction!("msr spsel, #1");
    "flush the tlb" ILL || instruction!("tlbi vmalle1");
    "translate an address" ILL || instruction!("at s1e1r, x0");
    "invalidate a line" ILL || instruction!("dc ivac, x0");
    "program the timer" ILL || instruction!("msr cntp_cval_el0, xzr");
    "read the id registers" ILL || instruction!("mrs x0, s3_0_c15_c0_0");
    "divide by zero" NONE || if black_box(7_u64.wrapping_mul(divide(7, 0))) == 0 { Ok(()) } else { Err("not 0") };
    "writable and executable" NONE write_execute;
    "code becomes writable" NONE text_writable;
    "floating point over switches" NONE floating_point;
    "registers over calls" NONE registers;
    "long copies keep vector registers" NONE vectors;
    "fresh pages are zero" NONE fresh;
}

const NONE: Option<i32> = None;
/// The instruction `ret`.
const RET: u32 = 0xd65f_03c0;
static DATA: swos_ulib::sync::Mutex<u32> = swos_ulib::sync::Mutex::new(RET);

/// Where the mutex above lies: writable data.
trait Place {
    fn as_ptr(&self) -> *const u32;
}
impl Place for swos_ulib::sync::Mutex<u32> {
    fn as_ptr(&self) -> *const u32 {
        let guard = self.lock();
        &raw const *guard
    }
}

/// Does the deed of this name; the status is 0 if it was to return and did well.
pub(crate) fn run(name: &str) -> i32 {
    match DEEDS.iter().find(|deed| deed.name == name).map(|deed| (deed.act)()) {
        Some(Ok(())) => 0,
        Some(Err(complaint)) => {
            swos_ulib::eprintln!("{name}: {complaint}");
            1
        }
        None => 2,
    }
}

fn read(address: usize) -> Result<(), &'static str> {
    let pointer: *mut u64 = with_exposed_provenance_mut(address);
    // SAFETY: none; the process is there to die of it.
    black_box(unsafe { pointer.read_volatile() });
    Err("was readable")
}

fn write(address: usize) -> Result<(), &'static str> {
    let pointer: *mut u64 = with_exposed_provenance_mut(address);
    // SAFETY: none; the process is there to die of it.
    unsafe { pointer.write_volatile(0) };
    Err("was writable")
}

fn call(address: usize) -> Result<(), &'static str> {
    // SAFETY: none; the process is there to die of it.
    unsafe { asm!("blr {}", in(reg) address, clobber_abi("C")) };
    Err("was executable")
}

fn exclusive(address: usize) -> Result<(), &'static str> {
    // SAFETY: none; the process is there to die of it.
    unsafe { asm!("ldaxr {}, [{}]", out(reg) _, in(reg) address) };
    Err("was read")
}

fn divide(dividend: u64, divisor: u64) -> u64 {
    let quotient;
    // SAFETY: a division changes nothing else.
    unsafe { asm!("udiv {}, {}, {}", out(reg) quotient, in(reg) dividend, in(reg) divisor) };
    quotient
}

#[expect(unconditional_recursion, reason = "to overflow the stack")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    deeper(depth + 1) + frame.iter().sum::<u64>()
}

fn mapped(protection: Protection) -> Result<usize, &'static str> {
    sys::map_anonymous(4096, protection).map(|page| page.as_ptr().expose_provenance()).map_err(Errno::text)
}

/// The page below a thread's stack.
fn guard() -> Result<(), &'static str> {
    let thread = thread::spawn(|| {
        let here = 0_u8;
        let here = (&raw const here).expose_provenance();
        // Down from this frame, page by page: the stack has 256 KiB, then the guard must stop it.
        for pages in 1..80 {
            let _ = read(here - pages * 4096);
        }
    });
    thread.map_err(Errno::text)?.join();
    Err("no guard below the stack")
}

fn unmapped() -> Result<(), &'static str> {
    let page = sys::map_anonymous(4096, Protection::READ | Protection::WRITE).map_err(Errno::text)?;
    // SAFETY: the page is ours.
    unsafe {
        page.write(1);
        sys::munmap(page, 4096).map_err(Errno::text)?;
    }
    read(page.as_ptr().expose_provenance())
}

/// The last page of a mapping, never touched before it was unmapped.
fn hole() -> Result<(), &'static str> {
    let start = sys::map_anonymous(3 * 4096, Protection::READ | Protection::WRITE).map_err(Errno::text)?;
    // SAFETY: the pages are ours and not used.
    unsafe { sys::munmap(start.add(2 * 4096), 4096) }.map_err(Errno::text)?;
    write(start.as_ptr().expose_provenance() + 2 * 4096)
}

/// The kernel must not write where the program can't.
fn kernel_hole() -> Result<(), &'static str> {
    let file = swos_ulib::fs::File::open(crate::SELF).map_err(Errno::text)?;
    let start = sys::map_anonymous(2 * 4096, Protection::READ | Protection::WRITE).map_err(Errno::text)?;
    // SAFETY: the pages are ours and not used.
    unsafe { sys::munmap(start.add(4096), 4096) }.map_err(Errno::text)?;
    let edge = u64::try_from(start.as_ptr().expose_provenance() + 4096 - 16).unwrap_or(0);
    // SAFETY: up to the edge the memory is ours, behind it is nothing.
    let answers =
        [16, 17, 4096, u64::MAX].map(|length| unsafe { sys::raw::pread(file.handle(), edge, length, 0) });
    match answers {
        [Ok(16), Err(Errno::FAULT), Err(Errno::FAULT), Err(Errno::FAULT)] => Ok(()),
        _ => Err("wrote into a hole, or another error than FAULT"),
    }
}

fn unmap_text() -> Result<(), &'static str> {
    let here = (run as fn(&str) -> i32 as usize) & !0xf_ffff;
    for page in (here..here + 0x20_0000).step_by(4096) {
        let Some(page) = core::ptr::NonNull::new(with_exposed_provenance_mut(page)) else { continue };
        // SAFETY: none; the process is there to die of it.
        let _ = unsafe { sys::munmap(page, 4096) };
    }
    Err("runs without text")
}

fn write_execute() -> Result<(), &'static str> {
    let both = Protection::WRITE | Protection::EXECUTE;
    if sys::map_anonymous(4096, both).is_ok() || sys::map_anonymous(4096, both | Protection::READ).is_ok() {
        return Err("mapped");
    }
    let page = sys::map_anonymous(4096, Protection::READ | Protection::WRITE).map_err(Errno::text)?;
    // SAFETY: the page is ours.
    if unsafe { sys::mprotect(page, 4096, both) }.is_ok() { Err("changed") } else { Ok(()) }
}

fn text_writable() -> Result<(), &'static str> {
    let page = (run as fn(&str) -> i32 as usize) & !4095;
    let start = core::ptr::NonNull::new(with_exposed_provenance_mut(page)).ok_or("null")?;
    // SAFETY: if it succeeds, the text stays as it is.
    if unsafe { sys::mprotect(start, 4096, Protection::WRITE | Protection::EXECUTE) }.is_ok() {
        return Err("changed");
    }
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED_NOREPLACE;
    // SAFETY: it must not replace anything.
    match unsafe { sys::mmap(page, 4096, Protection::READ, flags, Handle::NONE, 0) } {
        Err(Errno::EXIST) => Ok(()),
        _ => Err("replaced, or another error than EXIST"),
    }
}

/// Four threads, each with its own values in all registers of interest, switching all the time.
fn floating_point() -> Result<(), &'static str> {
    let threads: alloc::vec::Vec<_> = (1..5_u32)
        .filter_map(|seed| {
            thread::spawn(move || {
                let (mut sum, step) = (f64::from(seed), f64::from(seed) / 1024.0);
                for _ in 0..2_000 {
                    sum = black_box(sum) + black_box(step);
                    thread::yield_now();
                }
                sum == f64::from(seed) + f64::from(seed) * 2_000.0 / 1024.0
            })
            .ok()
        })
        .collect();
    let count = threads.len();
    let right = threads.into_iter().filter_map(|thread| thread.join().then_some(())).count();
    if (count, right) == (4, 4) { Ok(()) } else { Err("a sum is wrong") }
}

/// A call keeps every register but x0.
fn registers() -> Result<(), &'static str> {
    let wrong: u64;
    // SAFETY: `getpid` touches no memory; every register that is changed is declared.
    unsafe {
        asm!(
            "mov x1, #101", "mov x2, #102", "mov x7, #107", "mov x9, #109", "mov x15, #115", "mov x17, #117",
            "fmov d0, #2.0", "fmov d31, #3.0", "mov x8, #2", "svc #0", "mov x0, xzr",
            "cmp x1, #101", "cinc x0, x0, ne", "cmp x2, #102", "cinc x0, x0, ne", "cmp x7, #107", "cinc x0, x0, ne",
            "cmp x9, #109", "cinc x0, x0, ne", "cmp x15, #115", "cinc x0, x0, ne", "cmp x17, #117", "cinc x0, x0, ne",
            "cmp x8, #2", "cinc x0, x0, ne", "fmov d1, #2.0", "fcmp d0, d1", "cinc x0, x0, ne",
            "fmov d1, #3.0", "fcmp d31, d1", "cinc x0, x0, ne",
            out("x0") wrong, clobber_abi("C")
        );
    }
    if wrong == 0 { Ok(()) } else { Err("a register changed") }
}

/// Long copies keep the vector registers with which the kernel makes them: those that succeed, and those that fault halfway.
fn vectors() -> Result<(), &'static str> {
    let file = File::open("/bin/hostile").map_err(Errno::text)?;
    let both = Protection::READ | Protection::WRITE;
    let start = sys::map_anonymous(2 * 4096, both).map_err(Errno::text)?;
    // SAFETY: the second page is ours and not used.
    unsafe { sys::munmap(start.add(4096), 4096) }.map_err(Errno::text)?;
    let mut small = [0; 100];
    for (offset, length, fits) in [(0, 4096, true), (3, 256, true), (7, 385, true), (0, 4097, false)] {
        let to = start.as_ptr() as u64 + if fits { 4096 - length } else { 0 };
        let (result, wrong): (i64, u64);
        // SAFETY: reads into pages that are ours, or fails; every register that is changed is declared.
        unsafe {
            asm!(
                "fmov d0, #1.0", "fmov d1, #2.0", "fmov d2, #3.0", "fmov d3, #4.0", "fmov d4, #5.0", "fmov d5, #6.0",
                "fmov d6, #7.0", "fmov d7, #8.0", "dup v7.2d, v7.d[0]", "svc #0", "mov x9, xzr",
                "fmov d16, #1.0", "fcmp d0, d16", "cinc x9, x9, ne", "fmov d16, #2.0", "fcmp d1, d16", "cinc x9, x9, ne",
                "fmov d16, #3.0", "fcmp d2, d16", "cinc x9, x9, ne", "fmov d16, #4.0", "fcmp d3, d16", "cinc x9, x9, ne",
                "fmov d16, #5.0", "fcmp d4, d16", "cinc x9, x9, ne", "fmov d16, #6.0", "fcmp d5, d16", "cinc x9, x9, ne",
                "fmov d16, #7.0", "fcmp d6, d16", "cinc x9, x9, ne", "fmov d16, #8.0", "fcmp d7, d16", "cinc x9, x9, ne",
                "mov d7, v7.d[1]", "fcmp d7, d16", "cinc x9, x9, ne",
                inlateout("x0") file.handle().0 => result, in("x1") to, in("x2") length, in("x3") offset,
                in("x8") NR_PREAD, out("x9") wrong, clobber_abi("C")
            );
        }
        if wrong != 0 {
            return Err("a register changed");
        }
        if !fits {
            // Nothing or the first page: both are answers.
            if result != 4096 && abi::result_from_raw(result) != Err(Errno::FAULT) {
                return Err("a read into a hole succeeded");
            }
            continue;
        }
        if result.cast_unsigned() != length {
            return Err("a short read");
        }
        for at in (0..length).step_by(small.len()) {
            let count = file.read_at(&mut small, offset + at).map_err(Errno::text)?;
            let count = count.min(usize::try_from(length - at).unwrap_or(0));
            // SAFETY: what was just read, within the mapped page.
            let long = unsafe { core::slice::from_raw_parts((to + at) as *const u8, count) };
            if small.get(..count) != Some(long) {
                return Err("other bytes than a short copy brings");
            }
        }
    }
    // SAFETY: the page is ours and not used again.
    unsafe { sys::munmap(start, 4096) }.map_err(Errno::text)
}

/// Pages that others have used come back zeroed.
fn fresh() -> Result<(), &'static str> {
    const LENGTH: usize = 64 * 4096;
    for round in 0..16 {
        let start = sys::map_anonymous(LENGTH, Protection::READ | Protection::WRITE).map_err(Errno::text)?;
        // SAFETY: the memory is ours, mapped and initialised (to zero, as is checked).
        let bytes = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), LENGTH) };
        if bytes.iter().any(|&byte| byte != 0) {
            return Err("a page was not zero");
        }
        bytes.fill(0xa5 ^ round);
        // SAFETY: the memory is ours and not used again.
        unsafe { sys::munmap(start, LENGTH) }.map_err(Errno::text)?;
    }
    Ok(())
}
