//! The machine-independent kernel: processes, memory, handles, files, sockets and time, over a [`Machine`].
//!
//! The kernel is event-driven. A trap, an interrupt or an exception of a program enters one of the functions of [`Kernel`]; that
//! function does a bounded piece of work and returns what the CPU does next. No thread ever sleeps inside: a call that
//! must wait registers its thread with what it waits for and leaves the CPU; when the event comes, the call is
//! *restarted* from its arguments and the little progress that it kept (the interrupt model of Fluke, seL4 and
//! Hubris). So a thread costs its registers and no stack, and the whole kernel runs under `cargo test` on a simulated
//! machine.
//!
//! **Invariant:** nothing that can't be repeated happens in a call before its last access to user memory that can fault.
//! **Invariant:** no lock is held across such an access, and none when a function of [`Kernel`] returns.
//! **Invariant:** locks are taken in the order of their ranks, which is asserted in tests.
//! **Invariant:** nothing here decides what a core below could decide: areas, tables, run queues, name resolution, the
//! page cache, the network protocols are crates of their own.
//!
//! Deliberately absent: assembly, registers, addresses of devices, unsafe code.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod audit;
mod boot;
mod calls;
mod counter;
mod disk;
mod dispatch;
mod endpoint;
mod enter;
mod exec;
mod family;
mod fault;
mod files;
mod fork;
mod load;
mod log;
mod machine;
mod mapped;
mod mappers;
mod memory;
mod net;
mod object;
mod oom;
mod pipe;
mod process;
mod random;
mod ranks;
mod ready;
mod signals;
mod slice;
mod space;
mod spawn;
mod sys;
mod thread;
mod trace;
mod turns;
mod unborn;
mod usage;
mod user;
mod wait;
mod work;
mod writable;

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

use swos_futex::{FutexTable, SeededHash};
use swos_sched::{Mark, Weight};
use swos_sync::{CpuSet, Lock, PerCpu};
use swos_units::{Frame, Instant};
use swos_vm::{AsidPool, Tag};
use zerocopy::IntoBytes as _;

pub use boot::Config;
pub use dispatch::{Dispatch, Event, Trap};
pub use fault::{ExceptionKind, UserException};
pub use log::{Level, Threshold};
pub use machine::{
    ActiveSpace, DeviceBusy, DeviceError, FrameCount, Machine, Power, Scope, Start, UserFault,
};
pub use process::Process;
pub use swos_aspace::{AccessKind, Cause};
pub use thread::Thread;

/// Processes of the whole system, those included that ended and were not waited for.
const PROCESSES_MAX: u32 = 65_536;

/// Memory of the log, in bytes.
const LOG_BYTES: usize = 64 * 1024;

/// The kernel of one machine.
pub struct Kernel<M: Machine> {
    machine: M,
    config: Config,
    own: PerCpu<dispatch::Own<M>>,
    cpus: Box<[dispatch::Shared<M>]>,
    processes: Lock<family::Processes<M>>,
    account: Arc<account::Account>,
    teardown: Lock<work::Queue<process::Teardown<M>>>,
    /// Its length, for a look without the lock.
    teardown_len: AtomicUsize,
    works: work::Works<M>,
    /// There may be something for [`Kernel::background`] to do.
    chores: AtomicBool,
    threads_alive: AtomicU32,
    last_tid: AtomicU32,
    waits: Lock<wait::WaitTable<M>>,
    asids: Lock<(AsidPool<{ space::CPUS_MAX }>, Vec<Tag>)>,
    time_page: Frame,
    /// Zeros: what was never written of a file. Nobody writes it.
    zero_page: Frame,
    realtime_at_boot_ns: u64,
    files: files::Files,
    objects_open: AtomicU32,
    net: Lock<net::Net<M>>,
    net_timer: net::NetTimer,
    disk_timer: disk::DiskTimer,
    console: Lock<VecDeque<u8>>,
    console_watchers: Lock<ready::Watchers<M>>,
    last_set: AtomicU64,
    last_pipe: AtomicU64,
    last_session: AtomicU32,
    last_endpoint: AtomicU64,
    last_counter: AtomicU64,
    dead_endpoints: endpoint::Dead<M>,
    last_space: AtomicU64,
    last_object: AtomicU64,
    dead_memory: Lock<memory::Dead>,
    dying_memory: AtomicU32,
    fifos: Lock<pipe::Fifos<M>>,
    /// Bytes of texts that open files of `/sys` hold.
    texts_held: AtomicUsize,
    oom: oom::Oom,
    random: Lock<random::Random>,
    log: Lock<log::Log>,
    counters: Counters,
    boot: Lock<boot::Boot>,
    booted: AtomicBool,
}

/// One CPU's flags and figures, which others read without its lock.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// It has called `dispatch` at least once.
    pub(crate) online: AtomicBool,
    /// It waits for an interrupt.
    pub(crate) idle: AtomicBool,
    /// A thread entered its run queue since it last looked.
    pub(crate) reschedule: AtomicBool,
    /// Interrupts get their turn before its next thread.
    pub(crate) breathe: AtomicBool,
    /// Threads in its run queue; written only with the queue locked.
    pub(crate) queued: AtomicUsize,
    /// When the running thread was last charged, in nanoseconds, and how far it was then; `u64::MAX` = none runs. Its own.
    pub(crate) charged_at: AtomicU64,
    pub(crate) vruntime: AtomicU64,
    pub(crate) weight: AtomicU32,
    /// When the running thread's slice ends, in nanoseconds; `u64::MAX` = it is alone.
    pub(crate) slice_end: AtomicU64,
    /// The frame of a file's page, plus one, that it copies from without a reference; 0 = none. Set with the page cache locked, so that who
    /// takes pages out of it sees it.
    pub(crate) copying: AtomicU64,
    /// What its timer is set to, in nanoseconds; `u64::MAX` = off.
    pub(crate) armed: AtomicU64,
    /// Threads that it made ready since interrupts had their turn. Its own.
    pub(crate) woken: AtomicUsize,
    /// System calls that it served.
    pub(crate) calls: AtomicU64,
    /// Time that it was idle, up to when it last became busy.
    pub(crate) idle_ns: AtomicU64,
    /// When it became idle, in nanoseconds; 0 = it is busy.
    pub(crate) idle_since: AtomicU64,
}

impl Flags {
    /// Whose thread runs from `since` on.
    #[inline]
    pub(crate) fn set_running(&self, mark: Mark, since: Instant) {
        self.vruntime.store(mark.vruntime, Ordering::Relaxed);
        self.weight.store(mark.weight.get(), Ordering::Relaxed);
        self.charged_at.store(since.as_nanos(), Ordering::Relaxed);
    }

    /// The running thread leaves.
    #[inline]
    pub(crate) fn set_none_running(&self) {
        self.charged_at.store(u64::MAX, Ordering::Relaxed);
    }

    /// How far the running thread was when it was last charged, and when that was.
    #[inline]
    pub(crate) fn running(&self) -> Option<(Mark, Instant)> {
        let since = self.charged_at.load(Ordering::Relaxed);
        let weight = Weight::from_raw(self.weight.load(Ordering::Relaxed));
        let mark = Mark { vruntime: self.vruntime.load(Ordering::Relaxed), weight };
        (since != u64::MAX).then_some((mark, Instant::from_nanos(since)))
    }

    /// Time that the CPU was idle up to `now`, in nanoseconds; the stretch that it may be in is counted.
    pub(crate) fn idle_until(&self, now: u64) -> u64 {
        let since = self.idle_since.load(Ordering::Relaxed);
        let current = if since == 0 { 0 } else { now.saturating_sub(since) };
        self.idle_ns.load(Ordering::Relaxed) + current
    }
}

/// Figures for `system_info`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames_received: AtomicU64,
    pub(crate) frames_sent: AtomicU64,
    pub(crate) blocks_verified: AtomicU64,
    pub(crate) blocks_refused: AtomicU64,
}

impl<M: Machine> Kernel<M> {
    /// Makes the kernel. Nothing runs yet: each CPU then calls [`Kernel::dispatch`], the first of them sets out to mount
    /// the system image and to start init. `None` if the machine has no memory for the kernel's own objects.
    pub fn new(machine: M, cpus: &CpuSet, config: Config) -> Option<Self> {
        let count = cpus.count().min(space::CPUS_MAX);
        let entropy = machine.entropy();
        let mut random = random::Random::new(entropy);
        let time_page = machine.alloc_frame()?;
        machine.zero_frame(time_page);
        // Read once: a clock that ticks in seconds would give each reader another start.
        let times = machine.time_page();
        machine.write_frame(time_page, 0, times.as_bytes());
        let zero_page = machine.alloc_frame()?;
        machine.zero_frame(zero_page);
        let seed = [random.next_or_time(&machine), random.next_or_time(&machine)];
        let asid_width = machine.asid_width();
        let mut filter = swos_log_record::Filter::new();
        for (source, threshold) in &config.log_sources {
            // The command line holds fewer than a filter takes.
            let _ = filter.set(source, Some(*threshold));
        }
        let log = log::Log::new(LOG_BYTES, filter)?;
        let net = net::Net::new(&machine, &mut random);
        Some(Self {
            own: PerCpu::new(cpus, |_| dispatch::Own {
                current: None,
                space: None,
                next: None,
                handed: core::cell::Cell::new(None),
                left_at: None,
            }),
            cpus: (0..count).map(dispatch::Shared::new).collect(),
            processes: Lock::new(ranks::PROCESSES, family::Processes::new()),
            account: account::Account::root(PROCESSES_MAX),
            teardown: Lock::new(ranks::TEARDOWN, work::Queue::new()),
            teardown_len: AtomicUsize::new(0),
            works: work::Works::new(),
            chores: AtomicBool::new(true),
            threads_alive: AtomicU32::new(0),
            last_tid: AtomicU32::new(0),
            waits: Lock::new(ranks::WAITS, FutexTable::new(SeededHash::new(seed))),
            asids: Lock::new(ranks::ASIDS, (AsidPool::new(asid_width), vec![Tag::default(); count])),
            time_page,
            zero_page,
            realtime_at_boot_ns: times.realtime_at_boot_ns,
            files: files::Files::new(seed[0], machine.block_count(), config.disk_timeout),
            objects_open: AtomicU32::new(0),
            net: Lock::new(ranks::NET, net),
            net_timer: net::NetTimer::default(),
            disk_timer: disk::DiskTimer::default(),
            console: Lock::new(ranks::CONSOLE, VecDeque::new()),
            console_watchers: Lock::new(ranks::WATCHERS, ready::Watchers::new()),
            last_set: AtomicU64::new(0),
            last_pipe: AtomicU64::new(0),
            texts_held: AtomicUsize::new(0),
            last_session: AtomicU32::new(process::FIRST_SESSION),
            last_endpoint: AtomicU64::new(0),
            last_counter: AtomicU64::new(0),
            dead_endpoints: endpoint::Dead::new(),
            last_space: AtomicU64::new(0),
            last_object: AtomicU64::new(0),
            dead_memory: Lock::new(ranks::DEAD_MEMORY, None),
            dying_memory: AtomicU32::new(0),
            fifos: Lock::new(ranks::FIFOS, Vec::new()),
            oom: oom::Oom::new(),
            random: Lock::new(ranks::RANDOM, random),
            log: Lock::new(ranks::LOG, log),
            counters: Counters::default(),
            boot: Lock::new(ranks::BOOT, boot::Boot::new()),
            booted: AtomicBool::new(false),
            machine,
            config,
        })
    }

    /// The machine under the kernel.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "CPU numbers come from tokens and masks of this kernel's CPUs"
    )]
    fn shared(&self, cpu: usize) -> &dispatch::Shared<M> {
        &self.cpus[cpu]
    }

    /// Console input, taken from the device when it interrupts.
    fn on_console(&self) {
        let mut bytes = [0; 64];
        let mut any = false;
        loop {
            let count = self.machine.console_read(&mut bytes);
            if count == 0 {
                break;
            }
            let mut input = self.console.lock();
            // Typed faster than read for so long: the oldest input is what was meant.
            let room = CONSOLE_INPUT_MAX.saturating_sub(input.len());
            input.extend(bytes.iter().take(count.min(room)));
            any = true;
        }
        if any {
            self.wake_all(wait::WaitKey::Console);
            self.notify_console();
        }
    }

    /// Another CPU asked for a look: at the run queue, or at a dead address space.
    fn on_kick(&self, cpu: &mut swos_sync::CpuToken) {
        self.leave_dead_space(cpu);
        self.shared(cpu.index()).flags.reschedule.store(true, Ordering::Relaxed);
    }
}

/// Bytes of console input that wait to be read at most.
const CONSOLE_INPUT_MAX: usize = 4096;

/// What every thread is doing, for whoever looks at a system that stands still.
impl<M: Machine> fmt::Debug for Kernel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        if let Some(processes) = self.processes.try_lock() {
            for (pid, entry) in &processes.table {
                match &entry.life {
                    family::Life::Alive(process) => {
                        list.entry(&format_args!("{} ({pid})", process.name()));
                        for thread in process.threads.try_lock().iter().flat_map(|threads| &threads.list) {
                            let state = thread.state.try_lock();
                            list.entry(&format_args!("  thread {}: {:?}", thread.tid, state.as_deref()));
                        }
                    }
                    family::Life::Ended(record, _) => {
                        list.entry(&format_args!("({pid}) ended: {record:?}"));
                    }
                }
            }
        }
        list.finish()
    }
}
