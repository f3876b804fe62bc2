// FP/SIMD state of threads, and SHA-256 with the CPU's instructions. The rest of the kernel never touches these
// registers.

.arch_extension fp
.arch_extension simd
.arch_extension sha2

.section .text, "ax"

// fn(x0 = &FpState)
.global swos_fp_save
swos_fp_save:
    stp     q0, q1, [x0]
    stp     q2, q3, [x0, #32]
    stp     q4, q5, [x0, #64]
    stp     q6, q7, [x0, #96]
    stp     q8, q9, [x0, #128]
    stp     q10, q11, [x0, #160]
    stp     q12, q13, [x0, #192]
    stp     q14, q15, [x0, #224]
    stp     q16, q17, [x0, #256]
    stp     q18, q19, [x0, #288]
    stp     q20, q21, [x0, #320]
    stp     q22, q23, [x0, #352]
    stp     q24, q25, [x0, #384]
    stp     q26, q27, [x0, #416]
    stp     q28, q29, [x0, #448]
    stp     q30, q31, [x0, #480]
    add     x3, x0, #512
    mrs     x1, fpcr
    mrs     x2, fpsr
    stp     x1, x2, [x3]
    ret

// fn(x0 = &FpState)
.global swos_fp_load
swos_fp_load:
    ldp     q0, q1, [x0]
    ldp     q2, q3, [x0, #32]
    ldp     q4, q5, [x0, #64]
    ldp     q6, q7, [x0, #96]
    ldp     q8, q9, [x0, #128]
    ldp     q10, q11, [x0, #160]
    ldp     q12, q13, [x0, #192]
    ldp     q14, q15, [x0, #224]
    ldp     q16, q17, [x0, #256]
    ldp     q18, q19, [x0, #288]
    ldp     q20, q21, [x0, #320]
    ldp     q22, q23, [x0, #352]
    ldp     q24, q25, [x0, #384]
    ldp     q26, q27, [x0, #416]
    ldp     q28, q29, [x0, #448]
    ldp     q30, q31, [x0, #480]
    add     x3, x0, #512
    ldp     x1, x2, [x3]
    msr     fpcr, x1
    msr     fpsr, x2
    ret

// fn(x0 = &mut [u32; 8], x1 = blocks of 64 bytes, x2 = their number, not 0). Clobbers v0-v7, v16-v31.
// FIPS 180-4 §6.2.2 with SHA256H, SHA256H2, SHA256SU0, SHA256SU1 (DDI 0487 L.a §C7.2).
.macro ROUNDS4 k, w
    add     v4.4s, \w\().4s, \k\().4s
    mov     v5.16b, v2.16b
    sha256h  q2, q3, v4.4s
    sha256h2 q3, q5, v4.4s
.endm
.macro ROUNDS4_NEXT k, w0, w1, w2, w3
    add     v4.4s, \w0\().4s, \k\().4s
    mov     v5.16b, v2.16b
    sha256h  q2, q3, v4.4s
    sha256h2 q3, q5, v4.4s
    sha256su0 \w0\().4s, \w1\().4s
    sha256su1 \w0\().4s, \w2\().4s, \w3\().4s
.endm
.global swos_sha256_blocks
swos_sha256_blocks:
    // v8-v15 would need saving for a C caller; the four last K vectors are loaded per block into v6 instead.
    adrp    x3, sha256_k
    add     x3, x3, :lo12:sha256_k
    ld1     {v16.4s, v17.4s, v18.4s, v19.4s}, [x3], #64
    ld1     {v20.4s, v21.4s, v22.4s, v23.4s}, [x3], #64
    ld1     {v24.4s, v25.4s, v26.4s, v27.4s}, [x3], #64
    ldp     q0, q1, [x0]
1:  mov     v2.16b, v0.16b
    mov     v3.16b, v1.16b
    ld1     {v28.16b, v29.16b, v30.16b, v31.16b}, [x1], #64
    rev32   v28.16b, v28.16b
    rev32   v29.16b, v29.16b
    rev32   v30.16b, v30.16b
    rev32   v31.16b, v31.16b
    ROUNDS4_NEXT v16, v28, v29, v30, v31
    ROUNDS4_NEXT v17, v29, v30, v31, v28
    ROUNDS4_NEXT v18, v30, v31, v28, v29
    ROUNDS4_NEXT v19, v31, v28, v29, v30
    ROUNDS4_NEXT v20, v28, v29, v30, v31
    ROUNDS4_NEXT v21, v29, v30, v31, v28
    ROUNDS4_NEXT v22, v30, v31, v28, v29
    ROUNDS4_NEXT v23, v31, v28, v29, v30
    ROUNDS4_NEXT v24, v28, v29, v30, v31
    ROUNDS4_NEXT v25, v29, v30, v31, v28
    ROUNDS4_NEXT v26, v30, v31, v28, v29
    ROUNDS4_NEXT v27, v31, v28, v29, v30
    ldp     q6, q7, [x3]
    ROUNDS4 v6, v28
    ROUNDS4 v7, v29
    ldp     q6, q7, [x3, #32]
    ROUNDS4 v6, v30
    ROUNDS4 v7, v31
    add     v0.4s, v0.4s, v2.4s
    add     v1.4s, v1.4s, v3.4s
    subs    x2, x2, #1
    b.ne    1b
    stp     q0, q1, [x0]
    ret

.section .rodata, "a"
.balign 16
// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4 §4.2.2).
sha256_k:
    .long   0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5
    .long   0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174
    .long   0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da
    .long   0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967
    .long   0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85
    .long   0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070
    .long   0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3
    .long   0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
