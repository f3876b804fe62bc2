//! The machine under `kcore`: each method is a few instructions or a call into a driver.

use alloc::boxed::Box;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use swos_abi::{SignalFrame, TimePage};
use swos_arch::clock::Clock;
use swos_arch::context::Context;
use swos_arch::{cpu as arch_cpu, fp, sha256, timer, tlb, translation, user};
use swos_kcore::{ActiveSpace, DeviceBusy, DeviceError, FrameCount, Machine, Power, Scope, Start, UserFault};
use swos_mmio::{Rtc, Window};
use swos_platform::{Interrupt, Region};
use swos_sync::{Lock, OnceCell};
use swos_units::{Frame, Instant, PAGE_SIZE, VirtAddr};
use swos_vm::{AsidWidth, Audit};

use crate::cpu::{self, Cpu};
use crate::interrupts::Source;
use crate::virtio::{BlockDevice, NetDevice};
use crate::{boot, console, heap, interrupts, memory, panic, smp};

/// The machine. What it drives is in statics of the modules beside this one; the drivers that only it uses are here.
#[derive(Debug)]
pub(crate) struct Metal {
    pub(crate) cpus: usize,
    pub(crate) entropy: Option<[u8; 32]>,
    pub(crate) total_frames: u64,
    pub(crate) clock: Clock,
}

/// A disk, and the interrupt by which it reports.
pub(crate) struct Disk {
    pub(crate) device: Lock<BlockDevice>,
    pub(crate) interrupt: Interrupt,
}

/// All disks, in the order of the command line of QEMU.
pub(crate) static DISKS: OnceCell<Box<[Disk]>> = OnceCell::new();
/// Which of them is in use.
static DISK: AtomicUsize = AtomicUsize::new(0);

/// The disk in use.
pub(crate) fn disk() -> Option<&'static Lock<BlockDevice>> {
    DISKS.get()?.get(DISK.load(Ordering::Relaxed)).map(|disk| &disk.device)
}
/// The network interface.
pub(crate) static NET: OnceCell<Lock<NetDevice>> = OnceCell::new();
/// Tables that map nothing.
static EMPTY: AtomicU64 = AtomicU64::new(0);
/// Whether SHA-256 has instructions here.
static SHA256: AtomicBool = AtomicBool::new(false);

/// Selects tables that map nothing for the user half of this CPU, instead of the boot's.
pub(crate) fn leave_user_half() {
    let number = EMPTY.load(Ordering::Relaxed);
    let root = match Frame::from_number(number) {
        Some(frame) if number != 0 => frame,
        // The first CPU, once.
        _ => {
            let Some(frame) = memory::alloc() else { return };
            memory::zero(frame);
            EMPTY.store(frame.number(), Ordering::Relaxed);
            user::init();
            SHA256.store(arch_cpu::has_sha256() && instructions_agree(), Ordering::Relaxed);
            frame
        }
    };
    // SAFETY: an empty table, never changed or freed.
    unsafe { translation::set_user_tables(root, 0) };
    tlb::asid_local(0);
    tlb::finish_local();
}

/// Whether the instructions and the software fold a block to the same state: what the system's trust rests on is worth
/// a few hundred instructions at boot.
fn instructions_agree() -> bool {
    let block = [core::array::from_fn(|index| u8::try_from(index).unwrap_or(0))];
    let (mut ours, mut theirs) = ([0x0123_4567; 8], [0x0123_4567; 8]);
    // SAFETY: the CPU has the instructions; no thread exists yet.
    unsafe { fp::sha256_blocks(arch_cpu::block(), &mut ours, &block) };
    sha256::compress_portable(&mut theirs, &block);
    ours == theirs
}

/// A frame that stays allocated as long as this exists.
#[derive(Debug)]
pub(crate) struct Pinned(Frame);

impl Deref for Pinned {
    type Target = [u8; PAGE_SIZE];
    #[inline]
    fn deref(&self) -> &[u8; PAGE_SIZE] {
        expect(self.0);
        // SAFETY: RAM in the linear map, kept by this reference; `kcore` promises that nobody writes it meanwhile.
        unsafe { &*memory::linear(self.0).cast() }
    }
}

impl Clone for Pinned {
    fn clone(&self) -> Self {
        share(self.0);
        Self(self.0)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        cpu::release_frame(self.0);
    }
}

fn share(frame: Frame) {
    expect(frame);
    if let Some(frames) = memory::frames() {
        let shared = frames.lock().share(frame);
        debug_assert!(shared.is_ok(), "{shared:?}");
    }
}

/// That a frame which `kcore` names is one that it has, where that is checked.
#[inline]
fn expect(frame: Frame) {
    #[cfg(debug_assertions)]
    crate::ledger::expect(frame, crate::ledger::Owner::Pages);
    #[cfg(not(debug_assertions))]
    let _ = frame;
}

const fn fault(fault: user::Fault) -> UserFault {
    UserFault { address: fault.0 }
}

/// Folds blocks with the CPU's instructions where it has them.
pub(crate) fn compress(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    if SHA256.load(Ordering::Relaxed) {
        // SAFETY: the CPU has them, as all its siblings do; the block is this CPU's.
        unsafe { fp::sha256_blocks(arch_cpu::block(), state, blocks) };
    } else {
        sha256::compress_portable(state, blocks);
    }
}

impl Machine for Metal {
    type Context = Context;
    type Pinned = Pinned;

    fn cpu_count(&self) -> usize {
        self.cpus
    }

    #[inline]
    fn cpu_index(&self) -> usize {
        smp::index()
    }

    #[inline]
    fn now(&self) -> Instant {
        self.clock.instant(timer::counter())
    }

    #[inline]
    fn set_deadline(&self, at: Option<Instant>) {
        let ticks = at.map_or(u64::MAX, |at| self.clock.ticks(at));
        // SAFETY: this CPU's own field; interrupts are masked.
        let deadline = unsafe { &mut (*Cpu::this()).deadline };
        // Writing the timer makes an emulator reschedule its own: only when something changes.
        if *deadline != ticks {
            *deadline = ticks;
            if ticks == u64::MAX { timer::disarm() } else { timer::arm(ticks) }
        }
    }

    fn kick(&self, cpu: usize) {
        interrupts::kick(cpu);
    }

    fn new_context(&self, start: Start) -> Context {
        Context::new(start.entry.get(), start.stack.get(), start.argument, start.tls)
    }

    fn fork_context(&self, context: &Context) -> Context {
        // SAFETY: `kcore` copies the registers of the thread whose call it serves before it lets that run again.
        unsafe { context.copy() }
    }

    fn save_context(&self, context: &Context, frame: &mut SignalFrame) {
        context.take();
        // SAFETY: taken, so that no CPU has any of it in its registers but a copy of its FP state.
        let registers = unsafe { &*context.registers() };
        frame.x = registers.x;
        (frame.sp, frame.pc) = (registers.sp, registers.pc);
        (frame.pstate, frame.tls) = (registers.pstate, registers.tls);
        (frame.fpcr, frame.fpsr) = (registers.fp.fpcr, registers.fp.fpsr);
        frame.vectors = registers.fp.vectors;
        context.put();
    }

    fn restore_context(&self, context: &Context, frame: &SignalFrame) {
        context.take();
        // SAFETY: as above.
        let registers = unsafe { &mut *context.registers() };
        registers.x = frame.x;
        (registers.sp, registers.pc, registers.tls) = (frame.sp, frame.pc, frame.tls);
        registers.set_pstate(frame.pstate);
        (registers.fp.fpcr, registers.fp.fpsr) = (frame.fpcr, frame.fpsr);
        registers.fp.vectors = frame.vectors;
        // What a CPU still has in its FP registers is no longer this thread's.
        registers.fp_cpu = 0;
        context.put();
    }

    #[inline]
    fn alloc_frame(&self) -> Option<Frame> {
        cpu::alloc_frame()
    }

    fn share_frame(&self, frame: Frame) {
        share(frame);
    }

    fn release_frame(&self, frame: Frame) {
        cpu::release_frame(frame);
    }

    fn frame_references(&self, frame: Frame) -> u32 {
        memory::frames().and_then(|frames| frames.lock().references(frame)).unwrap_or(0)
    }

    fn frames(&self) -> FrameCount {
        let free = memory::frames().map_or(0, |frames| frames.lock().free_frames());
        // What caches of frames and objects keep is taken from them before anybody is refused.
        let (kernel, kept) = heap::frames();
        FrameCount { total: self.total_frames, free: free + cpu::cached_frames() + kept, kernel }
    }

    fn is_short(&self) -> bool {
        cpu::is_short()
    }

    #[inline]
    fn zero_frame(&self, frame: Frame) {
        expect(frame);
        memory::zero(frame);
    }

    fn write_frame(&self, frame: Frame, offset: usize, bytes: &[u8]) {
        expect(frame);
        let offset = offset.min(PAGE_SIZE);
        let len = bytes.len().min(PAGE_SIZE - offset);
        // SAFETY: RAM in the linear map that `kcore` owns; inside the frame. `bytes` is Rust memory of its own.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), memory::linear(frame).add(offset), len) };
    }

    fn read_frame(&self, frame: Frame, offset: usize, bytes: &mut [u8]) {
        expect(frame);
        let offset = offset.min(PAGE_SIZE);
        let len = bytes.len().min(PAGE_SIZE - offset);
        // SAFETY: RAM in the linear map that `kcore` owns; inside the frame. `bytes` is Rust memory of its own. Programs may write
        // the frame meanwhile, as they may while their memory is copied in: the bytes have no meaning to the kernel.
        unsafe { core::ptr::copy_nonoverlapping(memory::linear(frame).add(offset), bytes.as_mut_ptr(), len) };
    }

    fn copy_frame(&self, from: Frame, to: Frame) {
        expect(from);
        expect(to);
        // SAFETY: two frames of RAM that `kcore` owns; it copies between different ones.
        unsafe { translation::copy_page(memory::linear(to), memory::linear(from)) };
    }

    fn sync_instructions(&self, frame: Frame) {
        expect(frame);
        translation::sync_instructions(memory::linear(frame), PAGE_SIZE);
    }

    fn pin(&self, frame: Frame) -> Pinned {
        share(frame);
        Pinned(frame)
    }

    fn adopt(&self, frame: Frame) -> Pinned {
        Pinned(frame)
    }

    #[inline]
    fn read_entry(&self, table: Frame, index: usize) -> u64 {
        expect(table);
        // SAFETY: a table of `kcore`'s, in RAM; the index is cut to the table.
        unsafe { memory::linear(table).cast::<u64>().wrapping_add(index & 511).read_volatile() }
    }

    #[inline]
    fn write_entry(&self, table: Frame, index: usize, entry: u64) {
        expect(table);
        // SAFETY: as above; it holds the lock of the space.
        unsafe {
            translation::store_entry(memory::linear(table).cast::<u64>().wrapping_add(index & 511), entry)
        };
    }

    #[inline]
    fn publish_tables(&self) {
        translation::publish_entries();
    }

    fn asid_width(&self) -> AsidWidth {
        if arch_cpu::asid_bits() == 16 { AsidWidth::Bits16 } else { AsidWidth::Bits8 }
    }

    fn activate(&self, space: Option<ActiveSpace>) {
        let (root, asid) = match space {
            Some(space) => (space.root, space.asid),
            None => (Frame::from_number(EMPTY.load(Ordering::Relaxed)).unwrap_or_default(), 0),
        };
        // SAFETY: tables of a user space, which `kcore` keeps while they are selected; or the empty ones.
        unsafe { translation::set_user_tables(root, asid) };
    }

    #[inline]
    fn invalidate_page(&self, asid: u16, page: VirtAddr, scope: Scope) {
        match scope {
            Scope::Local => tlb::page_local(asid, page),
            Scope::All => tlb::page_everywhere(asid, page),
        }
    }

    fn invalidate_asid(&self, asid: u16, scope: Scope) {
        match scope {
            Scope::Local => tlb::asid_local(asid),
            Scope::All => tlb::asid_everywhere(asid),
        }
    }

    #[inline]
    fn synchronize_tlb(&self, scope: Scope) {
        match scope {
            Scope::Local => tlb::finish_local(),
            Scope::All => tlb::finish_everywhere(),
        }
    }

    fn invalidate_all(&self) {
        tlb::everything();
    }

    fn audit_kernel(&self) -> Audit {
        memory::audit()
    }

    #[inline]
    fn copy_in(&self, from: VirtAddr, to: &mut [u8]) -> Result<(), UserFault> {
        user::copy_in(from, to).map_err(fault)
    }

    #[inline]
    fn copy_out(&self, to: VirtAddr, from: &[u8]) -> Result<(), UserFault> {
        user::copy_out(to, from).map_err(fault)
    }

    fn copy_in_page(&self, from: VirtAddr, to: Frame) -> Result<(), UserFault> {
        expect(to);
        // SAFETY: a frame of RAM in the linear map that `kcore` alone has.
        let bytes = unsafe { core::slice::from_raw_parts_mut(memory::linear(to), PAGE_SIZE) };
        user::copy_in(from, bytes).map_err(fault)
    }

    #[inline]
    fn copy_out_frame(&self, to: VirtAddr, frame: Frame, offset: usize, len: usize) -> Result<(), UserFault> {
        expect(frame);
        let offset = offset.min(PAGE_SIZE);
        let len = len.min(PAGE_SIZE - offset);
        // SAFETY: RAM in the linear map, inside the frame; `kcore` promises that it stays allocated and nobody writes it meanwhile.
        let bytes = unsafe { core::slice::from_raw_parts(memory::linear(frame).add(offset), len) };
        user::copy_out(to, bytes).map_err(fault)
    }

    #[inline]
    fn load_u32(&self, at: VirtAddr) -> Result<u32, UserFault> {
        user::load_u32(at).map_err(fault)
    }

    #[inline]
    fn store_u32(&self, at: VirtAddr, value: u32) -> Result<(), UserFault> {
        user::store_u32(at, value).map_err(fault)
    }

    fn block_count(&self) -> u64 {
        disk().map_or(0, |disk| disk.lock().blocks())
    }

    fn next_disk(&self) -> bool {
        let next = DISK.load(Ordering::Relaxed) + 1;
        let Some(disk) = DISKS.get().and_then(|disks| disks.get(next)) else { return false };
        DISK.store(next, Ordering::Relaxed);
        interrupts::connect(disk.interrupt, Source::Block);
        true
    }

    fn block_read(&self, id: u32, first: u64, frames: &[Frame]) -> Result<(), DeviceBusy> {
        frames.iter().copied().for_each(expect);
        let Some(disk) = disk() else { return Err(DeviceBusy) };
        let mut disk = disk.lock();
        if !disk.read(id, first, frames) {
            return Err(DeviceBusy);
        }
        if disk.is_broken() {
            // It will not interrupt any more, and the request has failed already.
            interrupts::pretend_block();
        }
        Ok(())
    }

    fn block_completion(&self) -> Option<(u32, Result<(), DeviceError>)> {
        let (id, good) = disk()?.lock().complete()?;
        Some((id, if good { Ok(()) } else { Err(DeviceError) }))
    }

    fn block_reset(&self) -> Result<(), DeviceError> {
        if disk().is_some_and(|disk| disk.lock().reset()) { Ok(()) } else { Err(DeviceError) }
    }

    fn net_address(&self) -> Option<[u8; 6]> {
        NET.get().map(|net| net.lock().address())
    }

    fn net_receive(&self, take: impl FnOnce(&[u8])) -> bool {
        let Some(net) = NET.get() else { return false };
        let Some(received) = net.lock().receive() else { return false };
        // Not under the lock: the kernel takes locks of its own in there.
        take(received.frame());
        net.lock().give_back(received);
        true
    }

    fn net_room(&self) -> usize {
        NET.get().map_or(1, |net| net.lock().room())
    }

    fn net_transmit(&self, len: usize, fill: impl FnOnce(&mut [u8])) {
        let Some(net) = NET.get() else { return };
        let mut net = net.lock();
        // Filling takes no lock: it copies from pages and buffers.
        let Some(mut blank) = net.blank() else { return };
        fill(blank.frame(len));
        net.send(blank, len);
    }

    fn net_flush(&self) {
        if let Some(net) = NET.get() {
            net.lock().flush();
        }
    }

    fn console_write(&self, bytes: &[u8]) {
        console::write(bytes);
    }

    fn console_read(&self, buffer: &mut [u8]) -> usize {
        console::read(buffer)
    }

    fn entropy(&self) -> Option<[u8; 32]> {
        self.entropy
    }

    fn time_page(&self) -> TimePage {
        TimePage {
            size: 32,
            flags: 0,
            counter_at_boot: boot::clock().base(),
            frequency_hz: timer::frequency(),
            realtime_at_boot_ns: boot::platform()
                .rtc
                .and_then(real_time)
                .map_or(0, |now| now.saturating_sub(self.now().as_nanos())),
        }
    }

    fn sha256_compress(&self, state: &mut [u32; 8], blocks: &[[u8; 64]]) {
        compress(state, blocks);
    }

    fn power(&self, action: Power) {
        match action {
            Power::Off { code } => {
                panic::overflow_if_asked(boot::platform(), "last");
                panic::power_off(code)
            }
            Power::Reset => panic::reset(),
        }
    }
}

/// Nanoseconds since 1970 by the real-time clock.
fn real_time(window: Region) -> Option<u64> {
    let base = memory::map_device(window)?;
    // SAFETY: mapped for ever; the clock is read here alone, once.
    let window = unsafe { Window::new(base, usize::try_from(window.len).ok()?) };
    Some(u64::from(Rtc::new(window.registers()?).seconds()) * 1_000_000_000)
}

/// The kernel over this machine.
pub(crate) type Kernel = swos_kcore::Kernel<Metal>;

const _: () = assert!(size_of::<TimePage>() == 32);
