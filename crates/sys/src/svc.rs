//! The instruction itself.

/// Makes one function for each number of arguments, so that no register is loaded in vain.
macro_rules! svc {
    ($($name:ident($($arg:ident in $register:tt),*);)*) => {$(
        /// One call. x0 is its result; every other register, the flags and FP state included, keeps its value.
        ///
        /// # Safety
        ///
        /// Addresses among the arguments are such that the call may read or write what they name.
        #[inline(always)]
        #[cfg(all(target_arch = "aarch64", target_os = "none"))]
        pub(crate) unsafe fn $name(number: u64 $(, $arg: u64)*) -> i64 {
            let result: i64;
            // SAFETY: the kernel keeps all registers but x0 (its interface says so), uses no user stack, and touches only the
            // memory that the caller vouches for; the block clobbers memory.
            unsafe {
                core::arch::asm!(
                    "svc #0",
                    in("x8") number,
                    $(in($register) $arg,)*
                    lateout("x0") result,
                    options(nostack, preserves_flags)
                );
            }
            result
        }

        /// Where there is no kernel: `NOSYS`.
        ///
        /// # Safety
        ///
        /// None needed; the signature is that of the call.
        #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
        pub(crate) unsafe fn $name(_number: u64 $(, _: svc!(@u64 $arg))*) -> i64 {
            -i64::from(swos_abi::Errno::NOSYS.get())
        }
    )*};
    (@u64 $arg:ident) => { u64 };
}

svc! {
    svc0();
    svc1(a in "x0");
    svc2(a in "x0", b in "x1");
    svc3(a in "x0", b in "x1", c in "x2");
    svc4(a in "x0", b in "x1", c in "x2", d in "x3");
    svc5(a in "x0", b in "x1", c in "x2", d in "x3", e in "x4");
    svc6(a in "x0", b in "x1", c in "x2", d in "x3", e in "x4", f in "x5");
}
