// Image header, first instructions of every CPU, early translation tables.
//
// Symbols from the linker script: _head _text_end _bss_start _bss_end _image_size _early_tables _boot_guard _boot_stack
// _boot_stack_top.
// Until `primary_virtual` everything is position independent: `adrp` yields physical addresses.
//
// Source: Linux Documentation/arch/arm64/booting.rst (header); DDI 0487 L.a §D8.3 (descriptors), §D24.2 (registers).

.equ TABLE,        0x3                      // table descriptor
.equ BLOCK_RX,     0x1 | (1 << 10) | (3 << 8) | (2 << 6) | (1 << 54)   // block, AF, ISH, EL1 read-only, UXN
.equ PAGE_RWX,     0x3 | (1 << 10) | (3 << 8) | (1 << 54)              // early only; gone before WXN is set

.section .text.head, "ax"
.global _head
_head:
    b       primary_entry
    .long   0
    .quad   0                               // text_offset: at the start of any 2 MiB-aligned RAM
    .quad   _image_size
    .quad   0xa                             // little endian, 4 KiB, anywhere
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

.section .text.boot, "ax"

// In: x0 = device tree or 0, x1 = hand-off record or 0, physical. MMU off, EL1 or EL2.
primary_entry:
    mov     x20, x0
    mov     x21, x1
    bl      drop_to_el1

    // Zero the early tables: identity L0 L1 L2, high L0 L1 L2 L3.
    adrp    x0, _early_tables
    mov     x1, x0
    add     x2, x0, #(7 * 4096)
1:  stp     xzr, xzr, [x1], #16
    stp     xzr, xzr, [x1], #16
    stp     xzr, xzr, [x1], #16
    stp     xzr, xzr, [x1], #16
    cmp     x1, x2
    b.ne    1b

    adrp    x22, _head                      // physical base of the image
    // Identity: the one 2 MiB block of the image, read-only and executable.
    add     x1, x0, #0x1000
    orr     x2, x1, #TABLE
    ubfx    x3, x22, #39, #9
    str     x2, [x0, x3, lsl #3]
    add     x2, x1, #0x1000
    orr     x2, x2, #TABLE
    ubfx    x3, x22, #30, #9
    str     x2, [x1, x3, lsl #3]
    add     x1, x1, #0x1000
    ldr     x2, =BLOCK_RX
    orr     x2, x2, x22
    ubfx    x3, x22, #21, #9
    str     x2, [x1, x3, lsl #3]
    // High half: the same block at the link address, but for what lies below the boot stack.
    add     x0, x0, #0x3000
    add     x1, x0, #0x1000
    orr     x2, x1, #TABLE
    str     x2, [x0, #(256 * 8)]
    add     x2, x1, #0x1000
    orr     x2, x2, #TABLE
    str     x2, [x1]
    add     x1, x1, #0x1000
    add     x2, x1, #0x1000
    orr     x3, x2, #TABLE
    str     x3, [x1]
    adrp    x3, _boot_guard
    adrp    x4, _boot_stack
    ldr     x5, =PAGE_RWX
    mov     x6, x22
    add     x7, x22, #0x200000
1:  cmp     x6, x3
    ccmp    x6, x4, #2, hs                  // below the guard as if above it
    b.lo    2f
    orr     x8, x5, x6
    str     x8, [x2]
2:  add     x2, x2, #8
    add     x6, x6, #0x1000
    cmp     x6, x7
    b.ne    1b

    // The stores bypassed the caches; drop what may be stale there.
    dmb     sy
    adrp    x1, _early_tables
    add     x2, x1, #(7 * 4096)
1:  dc      ivac, x1
    add     x1, x1, #64
    cmp     x1, x2
    b.ne    1b
    dsb     sy

    adrp    x23, _early_tables
    add     x24, x23, #0x3000
    ldr     x25, =primary_virtual
    b       mmu_on

primary_virtual:
    ldr     x0, =_boot_stack_top
    mov     sp, x0
    ldr     x0, =swos_vectors
    msr     vbar_el1, x0
    ldr     x0, =_bss_start
    ldr     x1, =_bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    b       1b
2:  msr     tpidr_el1, xzr
    mov     x0, x20
    mov     x1, x21
    mov     x2, x22
    mov     x29, xzr
    mov     x30, xzr
    bl      swos_boot_main
    b       .

// In: x0 = physical address of a `SecondaryStart` record: root, stack top, per-CPU block. Entered by PSCI CPU_ON.
.global swos_secondary_entry
swos_secondary_entry:
    mov     x20, x0
    bl      drop_to_el1
    // Written with the caches on; this CPU's are off. The writer has cleaned it to the point of coherency.
    ldp     x24, x26, [x20]
    ldr     x27, [x20, #16]
    adrp    x23, _early_tables
    ldr     x25, =secondary_virtual
    b       mmu_on

secondary_virtual:
    ldr     x0, =swos_vectors
    msr     vbar_el1, x0
    mov     sp, x26
    msr     tpidr_el1, x27
    mrs     x0, sctlr_el1
    orr     x0, x0, #(1 << 19)              // WXN
    msr     sctlr_el1, x0
    isb
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x27
    bl      swos_secondary_main
    b       .

// In: x23 = TTBR0 (identity), x24 = TTBR1, x25 = virtual address to go on at. Keeps x19 and up.
mmu_on:
    ldr     x0, =0x4404ff
    msr     mair_el1, x0
    // 48-bit halves, 4 KiB, write-back inner-shareable walks; physical size and ASID size as the CPU has them.
    ldr     x0, =(16 | (1 << 8) | (1 << 10) | (3 << 12) | (16 << 16) | (1 << 24) | (1 << 26) | (3 << 28) | (2 << 30))
    mrs     x1, id_aa64mmfr0_el1
    and     x2, x1, #0xf
    cmp     x2, #5
    mov     x3, #5
    csel    x2, x2, x3, lo
    bfi     x0, x2, #32, #3
    ubfx    x2, x1, #4, #4
    cmp     x2, #2
    cset    x2, eq
    bfi     x0, x2, #36, #1
    msr     tcr_el1, x0
    msr     ttbr0_el1, x23
    msr     ttbr1_el1, x24
    mov     x0, #(1 << 20)                  // FP: EL1 may, EL0 traps
    msr     cpacr_el1, x0
    mov     x0, #2                          // EL0 reads the virtual counter and nothing else
    msr     cntkctl_el1, x0
    msr     mdscr_el1, xzr
    mrs     x0, id_aa64dfr0_el1
    ubfx    x0, x0, #8, #4
    sub     x0, x0, #1
    cmp     x0, #13
    b.hi    1f
    msr     S3_3_C9_C14_0, xzr              // PMUSERENR_EL0
1:  isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    // M C SA SA0 SED EOS I DZE UCT nTWE TSCXT EIS nTLSMD LSMAOE; SPAN (keep PAN off at exceptions) only without PAN.
    ldr     x0, =((1 << 0) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 8) | (1 << 11) | (1 << 12) | (1 << 14) | (1 << 15) | (1 << 18) | (1 << 20) | (1 << 22) | (1 << 28) | (1 << 29))
    mrs     x1, id_aa64mmfr1_el1
    ubfx    x1, x1, #20, #4
    cbnz    x1, 2f
    orr     x0, x0, #(1 << 23)
2:  msr     sctlr_el1, x0
    isb
    cbz     x1, 3f
    .inst   0xd500419f                      // msr pan, #1
3:  br      x25

// Returns at EL1 with the MMU off and everything masked. Clobbers x0-x3.
drop_to_el1:
    msr     daifset, #0xf
    ldr     x1, =((1 << 11) | (1 << 20) | (1 << 22) | (1 << 23) | (1 << 28) | (1 << 29))
    mrs     x0, CurrentEL
    cmp     x0, #(2 << 2)
    b.eq    1f
    msr     sctlr_el1, x1
    isb
    ret
1:  msr     sctlr_el1, x1
    mov     x0, #(1 << 31)
    msr     hcr_el2, x0
    isb
    mrs     x0, cnthctl_el2
    orr     x0, x0, #3
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     mdcr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    mrs     x0, id_aa64pfr0_el1
    ubfx    x0, x0, #24, #4
    cbz     x0, 2f
    mrs     x0, S3_4_C12_C9_5               // ICC_SRE_EL2: system registers, also for EL1
    mov     x1, #9
    orr     x0, x0, x1
    msr     S3_4_C12_C9_5, x0
    isb
    msr     S3_4_C12_C11_0, xzr             // ICH_HCR_EL2
2:  mov     x0, #0x3c5
    msr     spsr_el2, x0
    msr     elr_el2, x30
    eret

// fn(x0 = physical address of a new TTBR1 root). Runs on the identity map so that no two sizes of one
// mapping are ever live together (DDI 0487 §D8.16.1), then sets WXN.
.global swos_switch_kernel_tables
swos_switch_kernel_tables:
    adrp    x1, 1f                          // virtual
    add     x1, x1, :lo12:1f
    adrp    x2, _head
    sub     x1, x1, x2
    adrp    x3, _early_tables
    sub     x3, x3, x2
    mrs     x4, ttbr1_el1
    sub     x4, x4, #0x3000
    sub     x4, x4, x3                      // physical base of the image
    add     x1, x1, x4
    br      x1
1:  msr     ttbr1_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    mrs     x2, sctlr_el1
    orr     x2, x2, #(1 << 19)
    msr     sctlr_el1, x2
    isb
    ret

.section .text, "ax"

// fn(x0 = stack top, x1 = function, x2 = its argument) -> !
.global swos_call_on_stack
swos_call_on_stack:
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x2
    br      x1
