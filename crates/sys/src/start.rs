//! Where a program and its threads begin, in assembly.
//!
//! `_start` relocates the program before any Rust code runs: it is position-independent, loaded at a random base, and its
//! initialised pointers hold link-time addresses (relative relocations, packed as `DT_RELR`; `DT_RELA` is read too).
//! Then it calls `swos_rt_start`, which `swos-rt` defines, with the stack pointer that the kernel gave.
//!
//! Source: System V gABI (draft 2024), "Relocation Entries" for `DT_RELR`; ELF for the Arm 64-bit Architecture
//! 2024Q3 §5.7.7 (`R_AARCH64_RELATIVE` = 1027: S = base + addend).

/// Code that a thread begins with: gets the argument of `thread_create`.
pub type ThreadEntry = unsafe extern "C" fn(usize) -> !;

#[cfg(all(target_arch = "aarch64", target_os = "none"))]
core::arch::global_asm!(
    r#"
    .section .text.swos_start, "ax", %progbits
    .global _start
    .hidden _DYNAMIC
    .hidden __ehdr_start
    .type _start, %function
_start:
    .cfi_startproc
    .cfi_undefined x30
    bti     c
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, sp
    adrp    x1, __ehdr_start            // x1 = load base: the program is linked at 0
    add     x1, x1, :lo12:__ehdr_start
    adrp    x2, _DYNAMIC
    add     x2, x2, :lo12:_DYNAMIC
    mov     x3, xzr                     // x3, x4 = RELR table and its size
    mov     x4, xzr
    mov     x5, xzr                     // x5, x6 = RELA table and its size
    mov     x6, xzr
1:  ldp     x7, x8, [x2], #16           // tag, value
    cbz     x7, 2f
    cmp     x7, #36                     // DT_RELR
    csel    x3, x8, x3, eq
    cmp     x7, #35                     // DT_RELRSZ
    csel    x4, x8, x4, eq
    cmp     x7, #7                      // DT_RELA
    csel    x5, x8, x5, eq
    cmp     x7, #8                      // DT_RELASZ
    csel    x6, x8, x6, eq
    b       1b
2:  add     x3, x3, x1
    add     x4, x3, x4                  // end
    add     x5, x5, x1
    add     x6, x5, x6                  // end
3:  cmp     x3, x4
    b.hs    7f
    ldr     x7, [x3], #8
    tbnz    x7, #0, 4f
    add     x9, x1, x7                  // an address: relocate the word there, go on after it
    ldr     x10, [x9]
    add     x10, x10, x1
    str     x10, [x9], #8
    b       3b
4:  lsr     x7, x7, #1                  // a bitmap of the 63 words from x9 on
    mov     x11, x9
5:  cbz     x7, 6f
    tbz     x7, #0, 8f
    ldr     x10, [x11]
    add     x10, x10, x1
    str     x10, [x11]
8:  add     x11, x11, #8
    lsr     x7, x7, #1
    b       5b
6:  add     x9, x9, #504
    b       3b
7:  cmp     x5, x6
    b.hs    9f
    ldp     x7, x8, [x5], #16           // where, kind
    ldr     x10, [x5], #8               // addend
    cmp     w8, #1027
    b.ne    7b
    add     x10, x10, x1
    str     x10, [x1, x7]
    b       7b
9:  bl      swos_rt_start
    brk     #1
    .cfi_endproc
    .size _start, . - _start
"#
);
