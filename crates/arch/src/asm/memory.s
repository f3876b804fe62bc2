// What the compiler calls to copy, to fill and to compare memory. Those of `compiler_builtins`, which these replace, go by single
// registers; these by pairs, four at a time, and need no loop for what is left: the last 16 bytes overlap what came before.
// Addresses need no alignment, so not on device memory; Rust code runs only with the MMU on.

.section .text.memory, "ax"

// fn(x0 = to, x1 = from, x2 = length) -> x0. The ranges don't overlap.
.global memcpy
memcpy:
    mov     x3, x0
    cmp     x2, #16
    b.lo    4f
    add     x4, x1, x2
    ldp     x12, x13, [x4, #-16]
    add     x5, x0, x2
    subs    x2, x2, #64
    b.lo    2f
1:  ldp     x6, x7, [x1]
    ldp     x8, x9, [x1, #16]
    ldp     x10, x11, [x1, #32]
    ldp     x14, x15, [x1, #48]
    stp     x6, x7, [x3]
    stp     x8, x9, [x3, #16]
    stp     x10, x11, [x3, #32]
    stp     x14, x15, [x3, #48]
    add     x1, x1, #64
    add     x3, x3, #64
    subs    x2, x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f
    ldp     x6, x7, [x1]
    ldp     x8, x9, [x1, #16]
    stp     x6, x7, [x3]
    stp     x8, x9, [x3, #16]
    add     x1, x1, #32
    add     x3, x3, #32
3:  tbz     x2, #4, 5f
    ldp     x6, x7, [x1]
    stp     x6, x7, [x3]
5:  stp     x12, x13, [x5, #-16]
    ret
4:  tbz     x2, #3, 6f
    ldr     x6, [x1], #8
    str     x6, [x3], #8
6:  tbz     x2, #2, 7f
    ldr     w6, [x1], #4
    str     w6, [x3], #4
7:  tbz     x2, #1, 8f
    ldrh    w6, [x1], #2
    strh    w6, [x3], #2
8:  tbz     x2, #0, 9f
    ldrb    w6, [x1]
    strb    w6, [x3]
9:  ret

// fn(x0 = to, x1 = from, x2 = length) -> x0. The ranges may overlap.
.global memmove
memmove:
    sub     x3, x0, x1
    cmp     x3, x2
    // Forwards unless `to` lies within what is read. That reads before it writes, and the last bytes before all.
    b.hs    memcpy
    add     x4, x1, x2
    add     x5, x0, x2
    subs    x2, x2, #64
    b.lo    2f
1:  ldp     x6, x7, [x4, #-16]
    ldp     x8, x9, [x4, #-32]
    ldp     x10, x11, [x4, #-48]
    ldp     x12, x13, [x4, #-64]
    stp     x6, x7, [x5, #-16]
    stp     x8, x9, [x5, #-32]
    stp     x10, x11, [x5, #-48]
    stp     x12, x13, [x5, #-64]
    sub     x4, x4, #64
    sub     x5, x5, #64
    subs    x2, x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f
    ldp     x6, x7, [x4, #-16]
    ldp     x8, x9, [x4, #-32]
    stp     x6, x7, [x5, #-16]
    stp     x8, x9, [x5, #-32]
    sub     x4, x4, #32
    sub     x5, x5, #32
3:  tbz     x2, #4, 4f
    ldp     x6, x7, [x4, #-16]
    stp     x6, x7, [x5, #-16]
    sub     x4, x4, #16
    sub     x5, x5, #16
4:  tbz     x2, #3, 6f
    ldr     x6, [x4, #-8]!
    str     x6, [x5, #-8]!
6:  tbz     x2, #2, 7f
    ldr     w6, [x4, #-4]!
    str     w6, [x5, #-4]!
7:  tbz     x2, #1, 8f
    ldrh    w6, [x4, #-2]!
    strh    w6, [x5, #-2]!
8:  tbz     x2, #0, 9f
    ldrb    w6, [x4, #-1]!
    strb    w6, [x5, #-1]!
9:  ret

// fn(x0 = to, w1 = byte, x2 = length) -> x0.
.global memset
memset:
    mov     x3, x0
    mov     x4, #0x0101010101010101
    and     x1, x1, #0xff
    mul     x1, x1, x4
    cmp     x2, #16
    b.lo    4f
    add     x5, x0, x2
    subs    x2, x2, #64
    b.lo    2f
1:  stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    stp     x1, x1, [x3, #32]
    stp     x1, x1, [x3, #48]
    add     x3, x3, #64
    subs    x2, x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f
    stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    add     x3, x3, #32
3:  tbz     x2, #4, 5f
    stp     x1, x1, [x3]
5:  stp     x1, x1, [x5, #-16]
    ret
4:  tbz     x2, #3, 6f
    str     x1, [x3], #8
6:  tbz     x2, #2, 7f
    str     w1, [x3], #4
7:  tbz     x2, #1, 8f
    strh    w1, [x3], #2
8:  tbz     x2, #0, 9f
    strb    w1, [x3]
9:  ret

// fn(x0 = one, x1 = other, x2 = length) -> w0: less than, equal to or greater than 0, as the first byte that differs. Eight at a time; the
// last eight overlap what is equal already.
.global memcmp
memcmp:
    subs    x2, x2, #8
    b.lo    3f
1:  ldr     x3, [x0], #8
    ldr     x4, [x1], #8
    cmp     x3, x4
    b.ne    2f
    subs    x2, x2, #8
    b.hs    1b
    cmn     x2, #8
    b.eq    6f
    ldr     x3, [x0, x2]
    ldr     x4, [x1, x2]
    cmp     x3, x4
    b.eq    6f
2:  rev     x3, x3
    rev     x4, x4
    cmp     x3, x4
    mov     w0, #1
    cneg    w0, w0, lo
    ret
3:  adds    x2, x2, #8
    b.eq    6f
4:  ldrb    w3, [x0], #1
    ldrb    w4, [x1], #1
    subs    w3, w3, w4
    b.ne    5f
    subs    x2, x2, #1
    b.ne    4b
5:  mov     w0, w3
    ret
6:  mov     w0, #0
    ret
