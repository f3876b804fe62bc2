//! Access to the memory of the program whose address space is selected, with that program's permissions.

use core::sync::atomic::{AtomicBool, Ordering};

use swos_units::VirtAddr;

/// The address that EL0 could not have used so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault(pub VirtAddr);

#[repr(C)]
struct Outcome {
    faulted: u64,
    value: u64,
}

unsafe extern "C" {
    fn swos_copy_from_user(to: *mut u8, from: u64, len: usize) -> Outcome;
    fn swos_copy_to_user(to: u64, from: *const u8, len: usize) -> Outcome;
    fn swos_copy_wide(to: u64, from: u64, len: usize) -> Outcome;
    fn swos_load_user_u32(from: u64) -> Outcome;
    fn swos_store_user_u32(to: u64, value: u32) -> Outcome;
}

impl Outcome {
    #[inline]
    fn check(self) -> Result<u64, Fault> {
        if self.faulted == 0 {
            return Ok(self.value);
        }
        let address = VirtAddr::new(self.value);
        // The routines touch kernel memory too; a fault there is our own error and must not look like the program's.
        assert!(address.is_user_range(1), "user copy faulted at kernel address {address:?}");
        Err(Fault(address))
    }
}

/// Whether long copies may go by vector registers: not where PAN keeps EL1's loads and stores out.
static WIDE: AtomicBool = AtomicBool::new(false);
/// From this length on the registers that must be saved are worth it.
const LONG: usize = 256;

/// Chooses how long copies are made. Once: all CPUs are of one kind.
pub fn init() {
    WIDE.store(!super::cpu::has_pan(), Ordering::Relaxed);
}

#[inline]
fn is_wide(len: usize) -> bool {
    len >= LONG && WIDE.load(Ordering::Relaxed)
}

/// Refuses what does not lie in the user half.
#[inline]
fn checked(start: VirtAddr, len: usize) -> Result<(), Fault> {
    if start.is_user_range(len as u64) { Ok(()) } else { Err(Fault(start)) }
}

/// Copies from EL0 memory.
///
/// # Errors
///
/// [`Fault`] at the first address that can't be read; some bytes may have been copied.
#[inline]
pub fn copy_in(from: VirtAddr, to: &mut [u8]) -> Result<(), Fault> {
    checked(from, to.len())?;
    if is_wide(to.len()) {
        // SAFETY: as below; the range is in the user half, where EL1's permissions are EL0's.
        return unsafe { swos_copy_wide(to.as_mut_ptr() as u64, from.get(), to.len()) }.check().map(drop);
    }
    // SAFETY: writes `to` alone; reads with EL0's permissions, and a fault there comes back as a value.
    unsafe { swos_copy_from_user(to.as_mut_ptr(), from.get(), to.len()) }.check().map(drop)
}

/// Copies to EL0 memory.
///
/// # Errors
///
/// [`Fault`] at the first address that can't be written; some bytes may have been copied.
#[inline]
pub fn copy_out(to: VirtAddr, from: &[u8]) -> Result<(), Fault> {
    checked(to, from.len())?;
    if is_wide(from.len()) {
        // SAFETY: as below; the range is in the user half, where EL1's permissions are EL0's.
        return unsafe { swos_copy_wide(to.get(), from.as_ptr() as u64, from.len()) }.check().map(drop);
    }
    // SAFETY: reads `from` alone; writes with EL0's permissions, and no Rust object lies where EL0 may write.
    unsafe { swos_copy_to_user(to.get(), from.as_ptr(), from.len()) }.check().map(drop)
}

/// Reads an aligned word in one access; later accesses are ordered after it.
///
/// # Errors
///
/// [`Fault`] if EL0 could not read it, or the address is not a multiple of 4.
#[inline]
pub fn load_u32(at: VirtAddr) -> Result<u32, Fault> {
    checked(at, 4)?;
    if !at.get().is_multiple_of(4) {
        return Err(Fault(at));
    }
    // SAFETY: reads with EL0's permissions; a fault comes back as a value.
    #[expect(clippy::cast_possible_truncation, reason = "a word was loaded")]
    unsafe { swos_load_user_u32(at.get()) }.check().map(|value| value as u32)
}

/// Writes an aligned word in one access; earlier accesses are ordered before it.
///
/// # Errors
///
/// [`Fault`] if EL0 could not write it, or the address is not a multiple of 4.
#[inline]
pub fn store_u32(at: VirtAddr, value: u32) -> Result<(), Fault> {
    checked(at, 4)?;
    if !at.get().is_multiple_of(4) {
        return Err(Fault(at));
    }
    // SAFETY: writes with EL0's permissions; a fault comes back as a value.
    unsafe { swos_store_user_u32(at.get(), value) }.check().map(drop)
}
