// Access to EL0 memory with EL0's permissions (LDTR/STTR), so that PAN can stay set and a kernel address faults. Where the CPU
// has no PAN, long copies go by vector registers with EL1's permissions, which for pages that EL0 may use are the same: no
// page of the user half is the kernel's alone, and one that EL0 may only read, EL1 may only read.
// A fault anywhere between the two labels makes the routine return x0 = 1, x1 = the faulting address.

.arch_extension fp
.arch_extension simd

// 128 bytes from x1 to x0, both advanced. By byte elements, so that no address needs alignment.
.macro COPY_128
    ld1     {v0.16b-v3.16b}, [x1], #64
    ld1     {v4.16b-v7.16b}, [x1], #64
    st1     {v0.16b-v3.16b}, [x0], #64
    st1     {v4.16b-v7.16b}, [x0], #64
.endm

// v0-v7 may be a program's, open or not.
.macro SAVE_VECTORS
    stp     x29, x30, [sp, #-144]!
    mov     x29, sp
    stp     q0, q1, [sp, #16]
    stp     q2, q3, [sp, #48]
    stp     q4, q5, [sp, #80]
    stp     q6, q7, [sp, #112]
.endm

.macro RESTORE_VECTORS
    ldp     q0, q1, [sp, #16]
    ldp     q2, q3, [sp, #48]
    ldp     q4, q5, [sp, #80]
    ldp     q6, q7, [sp, #112]
    ldp     x29, x30, [sp], #144
.endm

.section .text.user_access, "ax"
.global swos_user_access_start
swos_user_access_start:

// fn(x0 = to, x1 = from in EL0, x2 = bytes) -> (x0 = 0)
.global swos_copy_from_user
swos_copy_from_user:
    subs    x2, x2, #64
    b.lo    2f
1:  ldtr    x3, [x1]
    ldtr    x4, [x1, #8]
    ldtr    x5, [x1, #16]
    ldtr    x6, [x1, #24]
    ldtr    x7, [x1, #32]
    ldtr    x8, [x1, #40]
    ldtr    x9, [x1, #48]
    ldtr    x10, [x1, #56]
    stp     x3, x4, [x0]
    stp     x5, x6, [x0, #16]
    stp     x7, x8, [x0, #32]
    stp     x9, x10, [x0, #48]
    add     x1, x1, #64
    add     x0, x0, #64
    subs    x2, x2, #64
    b.hs    1b
2:  adds    x2, x2, #56
    b.mi    4f
3:  ldtr    x3, [x1]
    str     x3, [x0], #8
    add     x1, x1, #8
    subs    x2, x2, #8
    b.pl    3b
4:  adds    x2, x2, #8
    b.eq    6f
5:  ldtrb   w3, [x1]
    strb    w3, [x0], #1
    add     x1, x1, #1
    subs    x2, x2, #1
    b.ne    5b
6:  mov     x0, #0
    ret

// fn(x0 = to in EL0, x1 = from, x2 = bytes) -> (x0 = 0)
.global swos_copy_to_user
swos_copy_to_user:
    subs    x2, x2, #64
    b.lo    2f
1:  ldp     x3, x4, [x1]
    ldp     x5, x6, [x1, #16]
    ldp     x7, x8, [x1, #32]
    ldp     x9, x10, [x1, #48]
    sttr    x3, [x0]
    sttr    x4, [x0, #8]
    sttr    x5, [x0, #16]
    sttr    x6, [x0, #24]
    sttr    x7, [x0, #32]
    sttr    x8, [x0, #40]
    sttr    x9, [x0, #48]
    sttr    x10, [x0, #56]
    add     x1, x1, #64
    add     x0, x0, #64
    subs    x2, x2, #64
    b.hs    1b
2:  adds    x2, x2, #56
    b.mi    4f
3:  ldr     x3, [x1], #8
    sttr    x3, [x0]
    add     x0, x0, #8
    subs    x2, x2, #8
    b.pl    3b
4:  adds    x2, x2, #8
    b.eq    6f
5:  ldrb    w3, [x1], #1
    sttrb   w3, [x0]
    add     x0, x0, #1
    subs    x2, x2, #1
    b.ne    5b
6:  mov     x0, #0
    ret

// fn(x0 = address in EL0, a multiple of 4) -> (x0 = 0, x1 = value). Acquires, for futexes.
.global swos_load_user_u32
swos_load_user_u32:
    ldtr    w1, [x0]
    dmb     ishld
    mov     x0, #0
    ret

// fn(x0 = address in EL0, a multiple of 4, x1 = value) -> (x0 = 0). Releases.
.global swos_store_user_u32
swos_store_user_u32:
    dmb     ish
    sttr    w1, [x0]
    mov     x0, #0
    ret

// fn(x0 = to, x1 = from, x2 = bytes, at least 128; one of the two in EL0) -> (x0 = 0). Clobbers v0-v7.
copy_wide:
    subs    x2, x2, #128
1:  COPY_128
    subs    x2, x2, #128
    b.hs    1b
    adds    x2, x2, #128
    b.eq    2f
    // The last 128 bytes, some of them again.
    sub     x3, x2, #128
    add     x0, x0, x3
    add     x1, x1, x3
    COPY_128
2:  mov     x0, #0
    ret

.global swos_user_access_end
swos_user_access_end:

.section .text, "ax"

// fn(x0 = to, x1 = from, x2 = bytes, at least 128; one of the two in EL0) -> (x0 = 0), or as any routine above.
.global swos_copy_wide
swos_copy_wide:
    SAVE_VECTORS
    bl      copy_wide
    RESTORE_VECTORS
    ret

// fn(x0 = page, x1 = block size of DC ZVA in bytes, 0 if prohibited; 4096 is a multiple of it)
.global swos_zero_page
swos_zero_page:
    add     x3, x0, #4096
    cbz     x1, 2f
    cmp     x1, #64
    b.ne    3f
1:  dc      zva, x0
    add     x5, x0, #64
    dc      zva, x5
    add     x6, x0, #128
    dc      zva, x6
    add     x7, x0, #192
    dc      zva, x7
    add     x0, x0, #256
    cmp     x0, x3
    b.ne    1b
    ret
3:  dc      zva, x0
    add     x0, x0, x1
    cmp     x0, x3
    b.ne    3b
    ret
2:  stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    cmp     x0, x3
    b.ne    2b
    ret

// fn(x0 = to, x1 = from): one page, both aligned.
.global swos_copy_page
swos_copy_page:
    SAVE_VECTORS
    add     x2, x1, #4096
1:  COPY_128
    cmp     x1, x2
    b.ne    1b
    RESTORE_VECTORS
    ret
