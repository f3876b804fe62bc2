// Exception vectors, entry from and return to EL0.
//
// While EL0 runs, SP_EL1 is the address of the running thread's `Context`, so that the first instructions can store
// there without a free register. The CPU's only kernel stack is empty then; its top is in the per-CPU block.
// Interrupts stay masked in EL1; idle waits with WFI and asks the interrupt controller itself.
//
// A call saves x0-x19, x29, x30, pc, pstate. x20-x28, SP_EL0 and TPIDR_EL0 stay in their registers (the Rust code
// below keeps the former by its calling convention) and are saved only when the thread is switched away from.
//
// Offsets are those of `Context` and `PerCpu`, checked there by `const` assertions.

.equ CTX_X1,     8
.equ CTX_X18,    144
.equ CTX_X20,    160
.equ CTX_X28,    224
.equ CTX_X29,    232
.equ CTX_SP,     248
.equ CTX_PC,     256
.equ CTX_TLS,    272
.equ CPU_CTX,    0
.equ CPU_STACK,  8
.equ CPU_EMERG,  16
.equ FRAME,      288
.equ STACK_BIT,  15
.equ EC_SVC64,   0x15

.macro SAVE_CALLER
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #CTX_X18]
    stp     x29, x30, [sp, #CTX_X29]
    mrs     x9, elr_el1
    mrs     x10, spsr_el1
    stp     x9, x10, [sp, #CTX_PC]
    mov     x19, sp                         // the Context; Rust keeps x19
.endm

.macro RESTORE_CALLER_BUT_X0
    ldp     x29, x30, [sp, #CTX_X29]
    ldr     x1, [sp, #CTX_X1]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #CTX_X18]
.endm

.section .text.vectors, "ax"
.balign 2048
.global swos_vectors
swos_vectors:
.macro BAD kind
.balign 128
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    mov     x0, #\kind
    b       el1_frame
.endm
    BAD     0                               // SP_EL0 is never selected in EL1
    BAD     1
    BAD     2
    BAD     3
.balign 128
    b       el1_sync
    BAD     5
    BAD     6
    BAD     7

.balign 128                                 // EL0, synchronous
    SAVE_CALLER
    mrs     x11, esr_el1
    mrs     x7, tpidr_el1
    ldr     x10, [x7, #CPU_STACK]
    mov     sp, x10
    lsr     x12, x11, #26
    cmp     x12, #EC_SVC64
    b.ne    el0_fault
    mov     x6, x8
    bl      swos_syscall                    // (a0..a5, number, per-CPU) -> x0 = result, x1 = 0 if it is one
    cbnz    x1, el0_leave
    b       el0_return_x0

.balign 128                                 // EL0, IRQ
    SAVE_CALLER
    mrs     x0, tpidr_el1
    ldr     x10, [x0, #CPU_STACK]
    mov     sp, x10
    bl      swos_interrupt                  // (per-CPU) -> x0 = 0: resume
    cbnz    x0, el0_leave
    b       el0_resume
.balign 128                                 // EL0, FIQ
    mov     x0, #10
    b       el0_bad
.balign 128                                 // EL0, SError
    mov     x0, #11
    b       el0_bad
// EL0 in AArch32: no PSTATE that we load selects it.
.balign 128
    mov     x0, #12
    b       el0_bad
.balign 128
    mov     x0, #13
    b       el0_bad
.balign 128
    mov     x0, #14
    b       el0_bad
.balign 128
    mov     x0, #15
    b       el0_bad

.section .text, "ax"

// The result is in x0; ELR and SPSR still are the caller's.
el0_return_x0:
    mov     sp, x19
    RESTORE_CALLER_BUT_X0
    eret

el0_resume:
    mov     sp, x19
    RESTORE_CALLER_BUT_X0
    ldr     x0, [sp]
    eret

el0_fault:
    mov     x0, x11
    mrs     x1, far_el1
    mov     x2, x7
    bl      swos_user_exception             // (esr, far, per-CPU) -> x0 = 0: resume
    cbz     x0, el0_resume

// The thread may be left: make its context whole, then ask what to run.
el0_leave:
    mrs     x0, tpidr_el1
    stp     x20, x21, [x19, #CTX_X20]
    stp     x22, x23, [x19, #176]
    stp     x24, x25, [x19, #192]
    stp     x26, x27, [x19, #208]
    str     x28, [x19, #CTX_X28]
    mrs     x11, sp_el0
    str     x11, [x19, #CTX_SP]
    mrs     x12, tpidr_el0
    str     x12, [x19, #CTX_TLS]
    bl      swos_reschedule                 // (per-CPU) -> x0 = the Context to run

// fn(x0 = Context) -> !
.global swos_enter_user
swos_enter_user:
    mov     sp, x0
    ldp     x9, x10, [sp, #CTX_PC]
    msr     elr_el1, x9
    msr     spsr_el1, x10
    ldr     x11, [sp, #CTX_SP]
    msr     sp_el0, x11
    ldr     x12, [sp, #CTX_TLS]
    msr     tpidr_el0, x12
    ldp     x20, x21, [sp, #CTX_X20]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldr     x28, [sp, #CTX_X28]
    RESTORE_CALLER_BUT_X0
    ldr     x0, [sp]
    eret

// SP is a Context: the frame goes to the kernel stack.
el0_bad:
    mrs     x9, tpidr_el1
    ldr     x9, [x9, #CPU_STACK]
    mov     sp, x9
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    b       el1_frame

// An exception in EL1. A bad user address in a user copy is answered there; all else is fatal.
el1_sync:
    sub     sp, sp, #FRAME
    // SP must still lie in the mapped half of its slot: bit STACK_BIT set. No register is free, so swap through sums.
    add     sp, sp, x0
    sub     x0, sp, x0
    tbz     x0, #STACK_BIT, stack_overflow
    sub     x0, sp, x0
    sub     sp, sp, x0
    stp     x0, x1, [sp]
    mrs     x0, elr_el1
    adrp    x1, swos_user_access_start
    add     x1, x1, :lo12:swos_user_access_start
    sub     x0, x0, x1
    cmp     x0, #(swos_user_access_end - swos_user_access_start)
    b.lo    user_access_fault
    mov     x0, #4
el1_frame:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    add     x9, sp, #FRAME
    stp     x30, x9, [sp, #240]
    mrs     x9, elr_el1
    mrs     x10, spsr_el1
    stp     x9, x10, [sp, #256]
    mrs     x9, esr_el1
    mrs     x10, far_el1
    stp     x9, x10, [sp, #272]
    mov     x1, sp
    bl      swos_fatal_exception            // (kind, frame) -> !
    b       .

// A leaf routine in the user-access section faulted: return 1 and the address to its caller. The exception has
// overwritten ELR and SPSR; the thread's are in its context. No ERET is needed: PSTATE is what the routine ran with.
user_access_fault:
    add     sp, sp, #FRAME
    mrs     x0, tpidr_el1
    ldr     x0, [x0, #CPU_CTX]
    cbz     x0, 1f
    ldp     x1, x2, [x0, #CTX_PC]
    msr     elr_el1, x1
    msr     spsr_el1, x2
1:  mov     x0, #1
    mrs     x1, far_el1
    ret

stack_overflow:
    // x0 = the bad SP. What x0 was is lost; everything else is shown.
    msr     tpidrro_el0, x0
    mrs     x0, tpidr_el1
    ldr     x0, [x0, #CPU_EMERG]
    mov     sp, x0
    sub     sp, sp, #FRAME
    mrs     x0, tpidrro_el0
    msr     tpidrro_el0, xzr
    stp     x0, x1, [sp]
    mov     x0, #16
    b       el1_frame
