//! Where the frame of a handler goes.

/// An alternate stack; of size 0 there is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AltStack {
    /// Lowest address.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

impl AltStack {
    /// Whether a thread with this stack pointer runs on it. The upper end counts: a stack that is empty still is in use.
    #[must_use]
    pub const fn is_active(&self, sp: u64) -> bool {
        self.size != 0 && sp > self.base && sp - self.base <= self.size
    }

    /// The address of a frame of `size` bytes below `sp`, or at the top of this stack if it is `wanted` and not in use.
    /// `None` = it does not fit.
    #[must_use]
    pub fn place(&self, sp: u64, wanted: Wanted, size: u64) -> Option<u64> {
        let active = self.is_active(sp);
        let top = if wanted == Wanted::Alternate && self.size != 0 && !active {
            self.base.checked_add(self.size)?
        } else {
            sp
        };
        let at = top.checked_sub(size)? & !15;
        let alternate = active || top != sp;
        if alternate && at < self.base { None } else { Some(at) }
    }
}

/// Which stack a handler asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// The one in use.
    Current,
    /// The alternate one, if there is one.
    Alternate,
}
