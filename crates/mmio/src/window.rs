//! A range of device registers.

use core::ptr::NonNull;
use safe_mmio::UniqueMmioPointer;

/// Registers of one device, mapped, not yet given to a driver.
#[derive(Debug)]
pub struct Window {
    base: NonNull<u8>,
    len: usize,
}

impl Window {
    /// Takes possession of the registers at `base`.
    ///
    /// # Safety
    ///
    /// `len` bytes from `base` are mapped as device memory for ever and nothing else uses them.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    /// The registers as a `T`; `None` if they are fewer or not aligned for it.
    #[must_use]
    pub fn registers<T>(self) -> Option<UniqueMmioPointer<'static, T>> {
        let registers = self.base.cast::<T>();
        let fits = size_of::<T>() <= self.len && registers.is_aligned();
        // SAFETY: mapped and ours by the promise of `new`, large enough and aligned as just checked.
        fits.then(|| unsafe { UniqueMmioPointer::new(registers) })
    }

    /// The registers as a `T` followed by as many bytes as there are.
    #[must_use]
    pub fn registers_and_rest<T>(
        self,
    ) -> Option<(UniqueMmioPointer<'static, T>, UniqueMmioPointer<'static, [u8]>)> {
        let rest = self.len.checked_sub(size_of::<T>())?;
        let head = self.base.cast::<T>();
        if !head.is_aligned() {
            return None;
        }
        // SAFETY: inside the window.
        let tail = unsafe { self.base.add(size_of::<T>()) };
        // SAFETY: as in `registers`; the two do not overlap.
        unsafe {
            Some((
                UniqueMmioPointer::new(head),
                UniqueMmioPointer::new(NonNull::slice_from_raw_parts(tail, rest)),
            ))
        }
    }
}
