//! What the stack asks of the world: a place for frames, and pages that stay as they are.

/// A counted reference to bytes that don't change while a reference exists: a page of the page
/// cache. Cloning it takes a reference, dropping it gives one back; both are cheap.
pub trait PageRef: Clone {
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

/// No pages: for users that only send bytes.
#[derive(Clone, Copy, Debug)]
pub enum NoPages {}

impl PageRef for NoPages {
    fn bytes(&self) -> &[u8] {
        match *self {}
    }
}

/// The sending side of a network device.
pub trait Transmit {
    /// Whether the device takes another frame now. While it says no, the stack keeps its work and
    /// resumes it when `poll` is called after the device has room again.
    fn has_room(&mut self) -> bool;

    /// Sends one frame of exactly `len` bytes, which `fill` writes in place, all of them. The
    /// buffer may hold anything before. Called only after [`Self::has_room`] said yes; a device
    /// that can't keep that promise drops the frame.
    fn transmit(&mut self, len: usize, fill: impl FnOnce(&mut [u8]));
}
