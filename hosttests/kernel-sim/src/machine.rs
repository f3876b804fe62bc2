//! The machine: frames, clock, disk, console, all in host memory.

use core::ops::Deref;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swos_abi::{SignalFrame, TimePage};
use swos_kcore::{ActiveSpace, DeviceBusy, DeviceError, FrameCount, Machine, Power, Scope, Start, UserFault};
use swos_swosbase::Sha256Blocks as _;
use swos_units::{Frame, Instant, PAGE_SIZE, Page, VirtAddr};
use swos_vm::{Access, AsidWidth, Audit};

use crate::user::{Context, Leash};

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// One in so many frame allocations fails; 0 = none.
    pub frames: u64,
    /// All frame allocations fail from this one on, counted from 1; 0 = none.
    pub frame_after: u64,
    /// The machine says that it is short from this time on that it is asked, counted from 1; 0 = never for this reason.
    pub short_after: u64,
    /// One in so many disk reads fails; 0 = none.
    pub disk: u64,
    /// Every disk read fails that touches this block.
    pub bad_block: Option<u64>,
    /// Disk reads that are never answered: the first by its number, and how many.
    pub silent: (u64, u64),
    /// The disk does not confirm a reset.
    pub no_reset: bool,
}

/// State behind the machine's lock. Only one thread of the host uses it at a time; the lock shows that to Rust.
pub(crate) struct State {
    pub(crate) now: u64,
    pub(crate) cpu: usize,
    pub(crate) deadlines: Vec<Option<Instant>>,
    pub(crate) kicks: Vec<bool>,
    pub(crate) active: Vec<Option<ActiveSpace>>,
    frames: Vec<Option<FrameState>>,
    free: Vec<usize>,
    pub(crate) disk: Vec<u8>,
    /// Those that the kernel finds after it.
    pub(crate) further_disks: VecDeque<Vec<u8>>,
    pub(crate) reads: VecDeque<(u64, u32, u64, Vec<Frame>)>,
    started: u64,
    /// Frames of reads that are never answered, until the next reset.
    unanswered: Vec<Frame>,
    pub(crate) completions: VecDeque<(u32, Result<(), DeviceError>)>,
    pub(crate) console: Vec<u8>,
    pub(crate) input: VecDeque<u8>,
    pub(crate) powered_off: Option<u32>,
    pub(crate) faults: Faults,
    random: u64,
    /// Translations that each CPU remembers, as a TLB would: by ASID and page.
    tlb: Vec<BTreeMap<(u16, u64), (Frame, Access)>>,
    programs: Vec<Leash>,
}

struct FrameState {
    bytes: Box<[u8; PAGE_SIZE]>,
    references: u32,
}

/// The simulated machine. Clones are the same machine.
#[derive(Clone)]
pub struct SimMachine(Arc<Mutex<State>>);

impl core::fmt::Debug for SimMachine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SimMachine")
    }
}

/// Number of the first frame: as if RAM began at 1 GiB.
const FIRST_FRAME: u64 = 0x4_0000;

impl SimMachine {
    /// A machine with so many CPUs and frames, and this disk.
    #[must_use]
    pub fn new(cpus: usize, frames: usize, disk: Vec<u8>, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            now: 1_000,
            cpu: 0,
            deadlines: vec![None; cpus],
            kicks: vec![false; cpus],
            active: vec![None; cpus],
            frames: (0..frames).map(|_| None).collect(),
            free: (0..frames).rev().collect(),
            disk,
            further_disks: VecDeque::new(),
            reads: VecDeque::new(),
            started: 0,
            unanswered: Vec::new(),
            completions: VecDeque::new(),
            console: Vec::new(),
            input: VecDeque::new(),
            powered_off: None,
            faults: Faults::default(),
            random: seed | 1,
            tlb: vec![BTreeMap::new(); cpus],
            programs: Vec::new(),
        })))
    }

    /// Ends the host's threads of all programs that there still are.
    pub(crate) fn end_programs(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = core::mem::take(&mut state.programs);
        drop(state);
        programs.iter().for_each(Leash::end);
    }

    fn remember(&self, context: Context) -> Context {
        let programs = &mut self.state().programs;
        if programs.len() == programs.capacity() {
            programs.retain(Leash::is_of_use);
        }
        programs.push(context.leash());
        context
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a panic elsewhere ends the test")
    }

    /// Makes things go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Frames in use now.
    #[must_use]
    pub fn frames_in_use(&self) -> usize {
        let state = self.state();
        state.frames.len() - state.free.len()
    }

    /// Threads whose registers the kernel still has.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.state().programs.iter().filter(|leash| leash.is_of_use()).count()
    }

    /// Disk reads started so far.
    #[must_use]
    pub fn reads_started(&self) -> u64 {
        self.state().started
    }

    /// Whether every frame that the disk may still write to is nobody else's: allocated since it was lent.
    #[must_use]
    pub fn lent_frames_are_kept(&self) -> bool {
        let state = self.state();
        state.unanswered.iter().all(|frame| {
            let index = usize::try_from(frame.number() - FIRST_FRAME).unwrap();
            state.frames[index].as_ref().is_some_and(|state| state.references == 1)
        })
    }

    /// What was written to the console.
    #[must_use]
    pub fn console_text(&self) -> String {
        String::from_utf8_lossy(&self.state().console).into_owned()
    }

    /// Moves the oldest reads to completed.
    pub(crate) fn run_disk(&self) {
        let mut state = self.state();
        while state.reads.front().is_some_and(|read| read.0 <= state.now) {
            let Some((_, id, first, frames)) = state.reads.pop_front() else { break };
            let odds = state.faults.disk;
            let bad = state.faults.bad_block.and_then(|block| block.checked_sub(first));
            let failed = bad.is_some_and(|offset| offset < frames.len() as u64)
                || odds != 0 && state.next_random().is_multiple_of(odds);
            for (index, frame) in frames.iter().enumerate() {
                let at = usize::try_from(first).unwrap() * PAGE_SIZE + index * PAGE_SIZE;
                if let Some(block) = state.disk.get(at..at + PAGE_SIZE).map(<[u8]>::to_vec) {
                    state.frame(*frame).bytes.copy_from_slice(&block);
                }
            }
            state.completions.push_back((id, if failed { Err(DeviceError) } else { Ok(()) }));
        }
    }
}

impl State {
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn frame(&mut self, frame: Frame) -> &mut FrameState {
        let index = usize::try_from(frame.number() - FIRST_FRAME).unwrap();
        self.frames[index].as_mut().expect("a frame that is in use")
    }

    /// Translates as the hardware would: through the TLB, then through the tables.
    pub(crate) fn translate(&mut self, at: VirtAddr, write: bool, execute: bool) -> Result<Frame, UserFault> {
        let fault = UserFault { address: at };
        if !at.is_user_range(1) {
            return Err(fault);
        }
        let space = self.active[self.cpu].ok_or(fault)?;
        let page = Page::containing(at).number();
        let cpu = self.cpu;
        let known = self.tlb[cpu].get(&(space.asid, page)).copied();
        let (frame, access) = match known {
            Some(known) => known,
            None => {
                let mapping = walk(self, space.root, at).ok_or(fault)?;
                self.tlb[cpu].insert((space.asid, page), mapping);
                mapping
            }
        };
        let allowed = match access {
            Access::None => false,
            Access::ReadOnly => !write && !execute,
            Access::ReadWrite => !execute,
            Access::ReadExecute => !write,
        };
        if allowed { Ok(frame) } else { Err(fault) }
    }

    /// Copies between user memory and `bytes`, page by page.
    pub(crate) fn user_copy(&mut self, at: VirtAddr, bytes: Copy<'_>) -> Result<(), UserFault> {
        let (len, write) = match &bytes {
            Copy::In(to) => (to.len(), false),
            Copy::Out(from) => (from.len(), true),
        };
        let mut bytes = bytes;
        let mut done = 0;
        while done < len {
            let address = VirtAddr::new(at.get().wrapping_add(done as u64));
            let frame = self.translate(address, write, false)?;
            let offset = address.page_offset();
            let count = (PAGE_SIZE - offset).min(len - done);
            let page = &mut self.frame(frame).bytes[offset..offset + count];
            match &mut bytes {
                Copy::In(to) => to[done..done + count].copy_from_slice(page),
                Copy::Out(from) => page.copy_from_slice(&from[done..done + count]),
            }
            done += count;
        }
        Ok(())
    }
}

/// Counts down to what fails from then on.
const fn is_due(countdown: &mut u64) -> bool {
    match *countdown {
        0 => false,
        1 => true,
        _ => {
            *countdown -= 1;
            false
        }
    }
}

/// Direction of a copy.
pub(crate) enum Copy<'a> {
    In(&'a mut [u8]),
    Out(&'a [u8]),
}

/// A walk of the tables as the architecture manual has it, written without the `vm` crate, so that one checks the other.
/// Source: Arm DDI 0487 L.a §D8.3 (descriptors), §D8.4 (permissions).
fn walk(state: &mut State, root: Frame, at: VirtAddr) -> Option<(Frame, Access)> {
    let mut table = root;
    for level in 0..4_u32 {
        let index = usize::try_from(at.get() >> (39 - 9 * level) & 0x1FF).unwrap();
        let bytes = &state.frame(table).bytes[index * 8..index * 8 + 8];
        let entry = u64::from_le_bytes(bytes.try_into().unwrap());
        if entry & 1 == 0 {
            return None;
        }
        assert_eq!(entry & 2, 2, "user space is mapped by pages, never by blocks");
        table = Frame::from_number((entry & 0x0000_FFFF_FFFF_F000) >> 12)?;
        if level == 3 {
            let (el0, read_only, uxn, pxn) =
                (entry >> 6 & 1, entry >> 7 & 1, entry >> 54 & 1, entry >> 53 & 1);
            assert_eq!((el0, pxn), (1, 1), "a user page is EL0's, and never EL1's to execute");
            assert_eq!(entry >> 10 & 3, 0b11, "access flag set, not global");
            return Some((
                table,
                match (read_only, uxn) {
                    (1, 1) => Access::ReadOnly,
                    (0, 1) => Access::ReadWrite,
                    (1, 0) => Access::ReadExecute,
                    _ => panic!("a page is writable and executable"),
                },
            ));
        }
    }
    None
}

/// A reference to a frame whose bytes stay.
pub struct SimPinned {
    machine: SimMachine,
    frame: Frame,
    bytes: Arc<[u8; PAGE_SIZE]>,
}

impl core::fmt::Debug for SimPinned {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SimPinned").field("frame", &self.frame).finish_non_exhaustive()
    }
}

impl Deref for SimPinned {
    type Target = [u8; PAGE_SIZE];

    fn deref(&self) -> &[u8; PAGE_SIZE] {
        &self.bytes
    }
}

impl Clone for SimPinned {
    fn clone(&self) -> Self {
        self.machine.share_frame(self.frame);
        Self { machine: self.machine.clone(), frame: self.frame, bytes: self.bytes.clone() }
    }
}

impl Drop for SimPinned {
    fn drop(&mut self) {
        // What the kernel itself must keep to: nobody writes what is pinned.
        let kept = *self.machine.state().frame(self.frame).bytes == *self.bytes;
        assert!(kept || std::thread::panicking(), "a pinned frame was written");
        self.machine.release_frame(self.frame);
    }
}

impl Machine for SimMachine {
    type Context = Context;
    type Pinned = SimPinned;

    fn cpu_count(&self) -> usize {
        self.state().deadlines.len()
    }

    fn cpu_index(&self) -> usize {
        self.state().cpu
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.state().now)
    }

    fn set_deadline(&self, at: Option<Instant>) {
        let mut state = self.state();
        let cpu = state.cpu;
        state.deadlines[cpu] = at;
    }

    fn kick(&self, cpu: usize) {
        self.state().kicks[cpu] = true;
    }

    fn new_context(&self, start: Start) -> Context {
        self.remember(Context::new(start))
    }

    fn fork_context(&self, context: &Context) -> Context {
        self.remember(context.fork())
    }

    fn save_context(&self, context: &Context, frame: &mut SignalFrame) {
        context.save(frame);
    }

    fn restore_context(&self, context: &Context, frame: &SignalFrame) {
        context.restore(frame);
    }

    fn alloc_frame(&self) -> Option<Frame> {
        let mut state = self.state();
        let odds = state.faults.frames;
        if odds != 0 && state.next_random().is_multiple_of(odds) {
            return None;
        }
        if is_due(&mut state.faults.frame_after) {
            return None;
        }
        let index = state.free.pop()?;
        // Rubbish, so that a page that nobody cleared shows.
        state.frames[index] = Some(FrameState { bytes: Box::new([0xA5; PAGE_SIZE]), references: 1 });
        Frame::from_number(FIRST_FRAME + index as u64)
    }

    fn share_frame(&self, frame: Frame) {
        self.state().frame(frame).references += 1;
    }

    fn release_frame(&self, frame: Frame) {
        let mut state = self.state();
        let held = state.frame(frame);
        held.references -= 1;
        if held.references == 0 {
            let index = usize::try_from(frame.number() - FIRST_FRAME).unwrap();
            state.frames[index] = None;
            state.free.push(index);
        }
    }

    fn frame_references(&self, frame: Frame) -> u32 {
        self.state().frame(frame).references
    }

    fn frames(&self) -> FrameCount {
        let state = self.state();
        FrameCount { total: state.frames.len() as u64, free: state.free.len() as u64, kernel: 0 }
    }

    fn is_short(&self) -> bool {
        let mut state = self.state();
        is_due(&mut state.faults.short_after) || state.faults.frame_after == 1 || state.free.is_empty()
    }

    fn zero_frame(&self, frame: Frame) {
        self.state().frame(frame).bytes.fill(0);
    }

    fn write_frame(&self, frame: Frame, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        let held = state.frame(frame);
        for (to, from) in held.bytes[offset..].iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    fn read_frame(&self, frame: Frame, offset: usize, bytes: &mut [u8]) {
        let mut state = self.state();
        for (to, from) in bytes.iter_mut().zip(state.frame(frame).bytes[offset..].iter()) {
            *to = *from;
        }
    }

    fn copy_frame(&self, from: Frame, to: Frame) {
        let mut state = self.state();
        let bytes = *state.frame(from).bytes;
        *state.frame(to).bytes = bytes;
    }

    fn sync_instructions(&self, _frame: Frame) {}

    fn pin(&self, frame: Frame) -> SimPinned {
        let bytes = {
            let mut state = self.state();
            let held = state.frame(frame);
            held.references += 1;
            Arc::new(*held.bytes)
        };
        SimPinned { machine: self.clone(), frame, bytes }
    }

    fn read_entry(&self, table: Frame, index: usize) -> u64 {
        let mut state = self.state();
        let bytes = &state.frame(table).bytes[index * 8..index * 8 + 8];
        u64::from_le_bytes(bytes.try_into().unwrap())
    }

    fn write_entry(&self, table: Frame, index: usize, entry: u64) {
        self.state().frame(table).bytes[index * 8..index * 8 + 8].copy_from_slice(&entry.to_le_bytes());
    }

    fn publish_tables(&self) {}

    fn asid_width(&self) -> AsidWidth {
        AsidWidth::Bits8
    }

    fn activate(&self, space: Option<ActiveSpace>) {
        let mut state = self.state();
        let cpu = state.cpu;
        state.active[cpu] = space;
    }

    fn invalidate_page(&self, asid: u16, page: VirtAddr, scope: Scope) {
        let number = Page::containing(page).number();
        self.each_tlb(scope, |tlb| {
            tlb.remove(&(asid, number));
        });
    }

    fn invalidate_asid(&self, asid: u16, scope: Scope) {
        self.each_tlb(scope, |tlb| tlb.retain(|key, _| key.0 != asid));
    }

    fn synchronize_tlb(&self, _scope: Scope) {}

    fn audit_kernel(&self) -> Audit {
        // A simulated kernel needs no translation.
        Audit::default()
    }

    fn invalidate_all(&self) {
        self.each_tlb(Scope::All, BTreeMap::clear);
    }

    fn copy_in(&self, from: VirtAddr, to: &mut [u8]) -> Result<(), UserFault> {
        self.state().user_copy(from, Copy::In(to))
    }

    fn copy_out(&self, to: VirtAddr, from: &[u8]) -> Result<(), UserFault> {
        self.state().user_copy(to, Copy::Out(from))
    }

    fn copy_in_page(&self, from: VirtAddr, to: Frame) -> Result<(), UserFault> {
        let mut state = self.state();
        let mut bytes = [0; PAGE_SIZE];
        let copied = state.user_copy(from, Copy::In(&mut bytes));
        *state.frame(to).bytes = bytes;
        copied
    }

    fn copy_out_frame(&self, to: VirtAddr, frame: Frame, offset: usize, len: usize) -> Result<(), UserFault> {
        let mut state = self.state();
        let bytes = *state.frame(frame).bytes;
        state.user_copy(to, Copy::Out(&bytes[offset..offset + len]))
    }

    fn load_u32(&self, at: VirtAddr) -> Result<u32, UserFault> {
        let mut bytes = [0; 4];
        self.copy_in(at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn store_u32(&self, at: VirtAddr, value: u32) -> Result<(), UserFault> {
        self.copy_out(at, &value.to_le_bytes())
    }

    fn block_count(&self) -> u64 {
        (self.state().disk.len() / PAGE_SIZE) as u64
    }

    fn next_disk(&self) -> bool {
        let mut state = self.state();
        assert!(state.reads.is_empty() && state.completions.is_empty(), "a read is in flight");
        match state.further_disks.pop_front() {
            Some(disk) => {
                state.disk = disk;
                true
            }
            None => false,
        }
    }

    fn block_read(&self, id: u32, first: u64, frames: &[Frame]) -> Result<(), DeviceBusy> {
        let mut state = self.state();
        let number = state.started;
        state.started += 1;
        let (first_silent, count) = state.faults.silent;
        if number.checked_sub(first_silent).is_some_and(|after| after < count) {
            state.unanswered.extend(frames);
            return Ok(());
        }
        let delay = 1_000 + state.next_random() % 200_000;
        // The device works in order; how long it takes varies.
        let last = state.reads.back().map_or(0, |read| read.0);
        let due = last.max(state.now) + delay;
        state.reads.push_back((due, id, first, frames.to_vec()));
        Ok(())
    }

    fn block_completion(&self) -> Option<(u32, Result<(), DeviceError>)> {
        self.state().completions.pop_front()
    }

    fn block_reset(&self) -> Result<(), DeviceError> {
        let mut state = self.state();
        if state.faults.no_reset {
            return Err(DeviceError);
        }
        state.reads.clear();
        state.completions.clear();
        state.unanswered.clear();
        Ok(())
    }

    fn net_address(&self) -> Option<[u8; 6]> {
        Some([2, 0, 0, 0, 0, 1])
    }

    fn net_receive(&self, _take: impl FnOnce(&[u8])) -> bool {
        false
    }

    fn net_room(&self) -> usize {
        usize::MAX
    }

    fn net_transmit(&self, len: usize, fill: impl FnOnce(&mut [u8])) {
        fill(&mut vec![0; len]);
    }

    fn net_flush(&self) {}

    fn console_write(&self, bytes: &[u8]) {
        self.state().console.extend_from_slice(bytes);
    }

    fn console_read(&self, buffer: &mut [u8]) -> usize {
        let mut state = self.state();
        let count = buffer.len().min(state.input.len());
        for (to, from) in buffer.iter_mut().zip(state.input.drain(..count)) {
            *to = from;
        }
        count
    }

    fn entropy(&self) -> Option<[u8; 32]> {
        let mut state = self.state();
        let words: [u64; 4] = core::array::from_fn(|_| state.next_random());
        let mut seed = [0; 32];
        for (to, word) in seed.chunks_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        Some(seed)
    }

    fn time_page(&self) -> TimePage {
        TimePage {
            size: 32,
            frequency_hz: 1_000_000_000,
            realtime_at_boot_ns: 1_700_000_000_000_000_000,
            ..TimePage::default()
        }
    }

    fn sha256_compress(&self, state: &mut [u32; 8], blocks: &[[u8; 64]]) {
        swos_swosbase::Software.compress(state, blocks);
    }

    fn power(&self, action: Power) {
        self.state().powered_off = Some(match action {
            Power::Off { code } => code,
            Power::Reset => 0,
        });
    }
}

impl SimMachine {
    fn each_tlb(&self, scope: Scope, change: impl Fn(&mut BTreeMap<(u16, u64), (Frame, Access)>)) {
        let mut state = self.state();
        let here = state.cpu;
        for (cpu, tlb) in state.tlb.iter_mut().enumerate() {
            if scope == Scope::All || cpu == here {
                change(tlb);
            }
        }
    }
}
