//! A second stack for handlers of signals, so that one can run when the first is used up.

use core::marker::PhantomData;

use swos_abi::{Errno, STACK_DISABLE, SignalStack};

use crate::mapping::Mapping;

/// The calling thread's alternate stack. Given back when dropped; it stays on its thread.
#[derive(Debug)]
pub struct AltStack {
    /// Kept mapped as long as the kernel may use it.
    _pages: Mapping,
    _of_this_thread: PhantomData<*const ()>,
}

impl AltStack {
    /// Gives the calling thread an alternate stack of `length` bytes, in place of the one it had.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`]; [`Errno::BUSY`] in a handler that runs on one.
    pub fn new(length: usize) -> Result<Self, Errno> {
        let pages = Mapping::new(length)?;
        let (base, size) = (pages.as_ptr().expose_provenance() as u64, length as u64);
        let stack = SignalStack { base, size, flags: 0, reserved: 0 };
        // SAFETY: the pages are ours, nobody else has their address, and they stay until `drop` has told the kernel.
        unsafe { swos_sys::signal_stack(Some(&stack)) }?;
        Ok(Self { _pages: pages, _of_this_thread: PhantomData })
    }
}

impl Drop for AltStack {
    fn drop(&mut self) {
        let none = SignalStack { flags: STACK_DISABLE, ..SignalStack::default() };
        // SAFETY: takes a stack away. A handler that runs on it can't be here: it is dropped by a scope of the code below.
        let _unused = unsafe { swos_sys::signal_stack(Some(&none)) };
    }
}
