//! What the kernel needs of the machine: the only way in which `kcore` touches hardware, or its simulation.
//!
//! All methods may be called on any CPU, with interrupts masked, while locks of `kcore` are held; they never call
//! back into the kernel, never wait for a device, and do bounded work.

use core::ops::Deref;

use swos_abi::{SignalFrame, TimePage};
use swos_units::{Frame, Instant, PAGE_SIZE, VirtAddr};
use swos_vm::Audit;

/// Where and how a new thread starts at EL0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Start {
    /// First instruction.
    pub entry: VirtAddr,
    /// Stack pointer, 16-byte aligned.
    pub stack: VirtAddr,
    /// x0.
    pub argument: u64,
    /// TPIDR_EL0.
    pub tls: u64,
}

/// A user address that could not be read or written as asked. The kernel resolves the page and restarts the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UserFault {
    /// The address, or any other on its page.
    pub address: VirtAddr,
}

/// Which CPUs must forget a translation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The calling CPU: no other ran the address space since its ASID was given.
    Local,
    /// All CPUs.
    All,
}

/// A device did not take a request; a completion or an interrupt says when to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeviceBusy;

/// A device failed a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeviceError;

/// Frames that the machine has for the kernel and its programs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FrameCount {
    /// All.
    pub total: u64,
    /// Not in use, or kept only to be fast.
    pub free: u64,
    /// Held by the kernel's own objects.
    pub kernel: u64,
}

/// What to do with the machine as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Power {
    /// Switch it off. Under test the code becomes QEMU's exit status.
    Off {
        /// 0 = success.
        code: u32,
    },
    /// Start it again.
    Reset,
}

/// Address space that a CPU uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ActiveSpace {
    /// Top-level translation table.
    pub root: Frame,
    /// Address space id.
    pub asid: u16,
}

/// The machine under the kernel.
pub trait Machine: Send + Sync + Sized + 'static {
    /// Saved registers of an EL0 thread. `kcore` makes it, keeps it, and hands it back to run; it never looks inside.
    type Context: Send + Sync;

    /// A counted reference to a frame whose bytes don't change any more; the frame stays allocated as long as one exists.
    type Pinned: Deref<Target = [u8; PAGE_SIZE]> + Clone + Send + Sync;

    /// CPUs that take part, at least 1. Numbered from 0, the CPU that booted.
    fn cpu_count(&self) -> usize;

    /// The calling CPU.
    fn cpu_index(&self) -> usize;

    /// Time since boot.
    fn now(&self) -> Instant;

    /// Sets the calling CPU's one-shot timer; `None` = off. A moment in the past fires at once.
    fn set_deadline(&self, at: Option<Instant>);

    /// Interrupts CPU `cpu`, so that it calls `Kernel::interrupt` with `Event::Kick`.
    fn kick(&self, cpu: usize);

    /// Makes the registers of a new thread.
    fn new_context(&self, start: Start) -> Self::Context;

    /// The same registers once more, for a thread that goes on where this one is. No CPU runs that; it may be about to be saved.
    fn fork_context(&self, context: &Self::Context) -> Self::Context;

    /// Copies a thread's registers out: all of `frame` from `x` on. The thread runs on this CPU, and is not at EL0.
    fn save_context(&self, context: &Self::Context, frame: &mut SignalFrame);

    /// Gives a thread the registers of `frame`, whose values are a program's: of `pstate` the condition flags only. The thread
    /// runs on this CPU, and is not at EL0.
    fn restore_context(&self, context: &Self::Context, frame: &SignalFrame);

    /// Takes a frame with one reference. Its contents are undefined.
    fn alloc_frame(&self) -> Option<Frame>;

    /// Adds a reference.
    fn share_frame(&self, frame: Frame);

    /// Drops a reference; the last one frees the frame.
    fn release_frame(&self, frame: Frame);

    /// References to an allocated frame.
    fn frame_references(&self, frame: Frame) -> u32;

    /// Frames, all and free.
    fn frames(&self) -> FrameCount;

    /// Whether programs get no more frames: what is left is for the kernel's own objects. Those are small and made without
    /// asking, so none is made for a program while this holds.
    fn is_short(&self) -> bool {
        self.frames().free == 0
    }

    /// Fills a frame with zeros.
    fn zero_frame(&self, frame: Frame);

    /// Copies `bytes` into a frame at `offset`; what does not fit is left out.
    fn write_frame(&self, frame: Frame, offset: usize, bytes: &[u8]);

    /// Copies bytes of a frame from `offset` on out; beyond its end nothing. Programs may write them meanwhile: each byte is
    /// one that was there.
    fn read_frame(&self, frame: Frame, offset: usize, bytes: &mut [u8]);

    /// Copies a whole frame.
    fn copy_frame(&self, from: Frame, to: Frame);

    /// Makes the frame's new contents visible to instruction fetches (cleans data, invalidates instruction caches).
    fn sync_instructions(&self, frame: Frame);

    /// A reference to the bytes of a frame that nobody writes as long as a reference exists.
    fn pin(&self, frame: Frame) -> Self::Pinned;

    /// The same, and takes over a reference that the caller has.
    fn adopt(&self, frame: Frame) -> Self::Pinned {
        let pinned = self.pin(frame);
        self.release_frame(frame);
        pinned
    }

    /// Reads an entry of a translation table.
    fn read_entry(&self, table: Frame, index: usize) -> u64;

    /// Writes an entry of a translation table, visible to the table walker before the next access through it.
    fn write_entry(&self, table: Frame, index: usize, entry: u64);

    /// Makes table writes so far visible to the table walkers of all CPUs (`DSB ISHST`).
    fn publish_tables(&self);

    /// How many bits an ASID has.
    fn asid_width(&self) -> swos_vm::AsidWidth;

    /// Selects the calling CPU's user address space; `None` = one that maps nothing. What this CPU stored before is seen by
    /// the others before it first walks those tables.
    fn activate(&self, space: Option<ActiveSpace>);

    /// Starts to forget the translation of one user page, ordered after the table writes so far.
    fn invalidate_page(&self, asid: u16, page: VirtAddr, scope: Scope);

    /// Starts to forget all translations of one ASID.
    fn invalidate_asid(&self, asid: u16, scope: Scope);

    /// Returns when all invalidations so far are done.
    fn synchronize_tlb(&self, scope: Scope);

    /// Forgets all user translations on all CPUs and waits until that is done.
    fn invalidate_all(&self);

    /// Reads every entry of the kernel's own tables.
    fn audit_kernel(&self) -> Audit;

    /// Copies from user memory of the active space, with EL0's permissions. On an error some bytes may be copied.
    ///
    /// # Errors
    ///
    /// [`UserFault`] at the first address that EL0 could not read. Addresses beyond user space fault as well.
    fn copy_in(&self, from: VirtAddr, to: &mut [u8]) -> Result<(), UserFault>;

    /// Copies to user memory of the active space, with EL0's permissions. On an error some bytes may be copied.
    ///
    /// # Errors
    ///
    /// [`UserFault`] at the first address that EL0 could not write.
    fn copy_out(&self, to: VirtAddr, from: &[u8]) -> Result<(), UserFault>;

    /// Copies a page's worth of user memory from any address into a frame that nobody else has.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in); the frame may have been written in part.
    fn copy_in_page(&self, from: VirtAddr, to: Frame) -> Result<(), UserFault>;

    /// Copies `len` bytes of a frame from `offset` on to user memory; they lie in the frame. Nobody writes the frame meanwhile, and
    /// it stays allocated.
    ///
    /// # Errors
    ///
    /// As [`copy_out`](Self::copy_out).
    fn copy_out_frame(&self, to: VirtAddr, frame: Frame, offset: usize, len: usize) -> Result<(), UserFault>;

    /// Reads an aligned u32 of user memory in one access.
    ///
    /// # Errors
    ///
    /// [`UserFault`] if EL0 could not read it.
    fn load_u32(&self, at: VirtAddr) -> Result<u32, UserFault>;

    /// Writes an aligned u32 of user memory in one access.
    ///
    /// # Errors
    ///
    /// [`UserFault`] if EL0 could not write it.
    fn store_u32(&self, at: VirtAddr, value: u32) -> Result<(), UserFault>;

    /// Size of the selected disk in whole 4 KiB blocks; 0 = no disk.
    fn block_count(&self) -> u64;

    /// Selects the disk after this one, while no read is in flight; false = there is none, and nothing changed. The disk that
    /// the machine lists first is selected at the start.
    fn next_disk(&self) -> bool;

    /// Starts to read consecutive 4 KiB blocks into frames, at most 32. The device owns the frames until the completion.
    ///
    /// # Errors
    ///
    /// [`DeviceBusy`] if the queue is full; nothing was started.
    fn block_read(&self, id: u32, first: u64, frames: &[Frame]) -> Result<(), DeviceBusy>;

    /// Takes the next completed request.
    fn block_completion(&self) -> Option<(u32, Result<(), DeviceError>)>;

    /// Resets the selected disk, which forgets all requests and uses no frame any more. It works afterwards.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if it does not confirm that it is reset, or does not come back: it may still write to frames of its
    /// requests, and is not to be used again.
    fn block_reset(&self) -> Result<(), DeviceError>;

    /// MAC address of the network interface, if there is one.
    fn net_address(&self) -> Option<[u8; 6]>;

    /// Hands the next received frame to `take`; false = none left, and the next one interrupts.
    fn net_receive(&self, take: impl FnOnce(&[u8])) -> bool;

    /// How many frames the device takes at least. When it said none, `Event::Net` comes once there is room.
    fn net_room(&self) -> usize;

    /// Queues a frame of exactly `len` bytes, all written by `fill`; drops it if there is no room.
    fn net_transmit(&self, len: usize, fill: impl FnOnce(&mut [u8]));

    /// Tells the device about all queued frames and returned receive buffers: once a batch.
    fn net_flush(&self);

    /// Queues bytes for the console. What does not fit is written synchronously: nothing is lost.
    fn console_write(&self, bytes: &[u8]);

    /// Takes received console bytes; 0 = none left.
    fn console_read(&self, buffer: &mut [u8]) -> usize;

    /// 32 bytes of entropy gathered at boot, mixed; `None` = the machine has no source.
    fn entropy(&self) -> Option<[u8; 32]>;

    /// What programs need to compute the time.
    fn time_page(&self) -> TimePage;

    /// The SHA-256 compression function over whole blocks, with the CPU's instructions where it has them.
    fn sha256_compress(&self, state: &mut [u32; 8], blocks: &[[u8; 64]]);

    /// Switches off or resets. May return in a simulation.
    fn power(&self, action: Power);
}
