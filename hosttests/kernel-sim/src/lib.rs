//! The kernel on a simulated machine: several virtual CPUs, a virtual clock, seeded interleavings, faults on demand.
//!
//! [`Simulation::new`] packs a base image, puts it on a simulated disk and boots the real `swos-kcore` from it. Programs are
//! Rust functions ([`User`] is what they see): each runs on a thread of the host, but only one thread moves at a time, so
//! a run is decided by its seed alone. At every step the simulation picks a CPU and lets it take one trap, one
//! interrupt or one dispatch.
//!
//! **Invariant:** a run with the same seed and the same programs takes the same steps.
//! **Invariant:** frames are counted by an accounting of the simulation's own, so a leak shows even if the kernel's figures lie.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test library: what can't be ends the test"
)]

mod heap;
mod image;
mod line;
mod machine;
mod user;

use std::sync::Arc;

use swos_kcore::{
    AccessKind, Cause, Config, Dispatch, Event, Kernel, Level, Machine as _, Thread, Trap, UserException,
};
use swos_swosbase::TEST_PUBLIC_KEY;
use swos_sync::{CpuSet, CpuToken};
use swos_units::{Duration, PAGE_SIZE, VirtAddr};

pub use heap::ScarceHeap;
pub use image::{ImageFile, PROGRAM_SLOTS};
pub use machine::{Faults, SimMachine, SimPinned};
pub use swos_kcore::ExceptionKind;
pub use user::{Context, Handler, Program, Supply, User};

use crate::machine::Copy;
use crate::user::{Reply, Request};

/// What to simulate.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Virtual CPUs.
    pub cpus: usize,
    /// Frames of memory.
    pub frames: usize,
    /// Decides every choice.
    pub seed: u64,
    /// Programs by name; the first must be `init`.
    pub programs: &'a [(&'static str, Program)],
    /// Further files.
    pub files: &'a [ImageFile],
}

enum Cpu {
    /// It calls `dispatch` next.
    Kernel,
    Idle,
    Running(Arc<Thread<SimMachine>>),
}

/// A machine with its kernel.
pub struct Simulation {
    machine: SimMachine,
    kernel: Kernel<SimMachine>,
    cpus: Vec<(CpuToken, Cpu)>,
    programs: Vec<Program>,
    steps: u64,
    /// A program waits until the kernel has had so many more turns: its own CPU, and how many.
    awaited: Option<(usize, u64)>,
}

impl core::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Simulation").field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.machine.end_programs();
    }
}

impl Simulation {
    /// A machine that is about to boot.
    #[must_use]
    pub fn new(plan: &Plan<'_>) -> Self {
        let names: Vec<&str> = plan.programs.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.first(), Some(&"init"), "the kernel starts /bin/init");
        Self::with_disk(plan, image::build(&names, plan.files))
    }

    /// The same, with a disk of one's own making.
    #[must_use]
    pub fn with_disk(plan: &Plan<'_>, disk: Vec<u8>) -> Self {
        let machine =
            SimMachine::new(plan.cpus, plan.frames, disk, plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let set = CpuSet::new(plan.cpus);
        let config = Config {
            trusted_keys: vec![TEST_PUBLIC_KEY],
            version_floor: 0,
            network: None,
            disk_timeout: Duration::from_secs(30),
            init_args: Vec::new(),
            console_level: Level::Warning,
            log_sources: Vec::new(),
        };
        let kernel = Kernel::new(machine.clone(), &set, config).expect("memory for the kernel");
        let cpus = (0..plan.cpus).map(|cpu| (set.claim(cpu).unwrap(), Cpu::Kernel)).collect();
        Self {
            machine,
            kernel,
            cpus,
            programs: plan.programs.iter().map(|(_, program)| *program).collect(),
            steps: 0,
            awaited: None,
        }
    }

    /// Adds a disk that the machine lists after those it has.
    pub fn add_disk(&self, disk: Vec<u8>) {
        self.machine.state().further_disks.push_back(disk);
    }

    /// The image that a plan makes, to change it before it is used.
    #[must_use]
    pub fn disk_of(plan: &Plan<'_>) -> Vec<u8> {
        let names: Vec<&str> = plan.programs.iter().map(|(name, _)| *name).collect();
        image::build(&names, plan.files)
    }

    /// The same image in version 3 of the format.
    #[must_use]
    pub fn disk_of_version_3(plan: &Plan<'_>) -> Vec<u8> {
        let names: Vec<&str> = plan.programs.iter().map(|(name, _)| *name).collect();
        image::build_v3(&names, plan.files)
    }

    /// The machine, to look at it or to make things go wrong.
    #[must_use]
    pub const fn machine(&self) -> &SimMachine {
        &self.machine
    }

    /// The kernel.
    #[must_use]
    pub const fn kernel(&self) -> &Kernel<SimMachine> {
        &self.kernel
    }

    /// Steps taken.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Types at the console.
    pub fn type_in(&self, text: &[u8]) {
        self.machine.state().input.extend(text);
    }

    /// Runs until the machine is switched off; returns the exit code.
    ///
    /// # Panics
    ///
    /// After `limit` steps, or when nothing can ever happen again: a lost wake-up.
    pub fn run(&mut self, limit: u64) -> u32 {
        let end = self.steps + limit;
        loop {
            let ended = self.machine.state().powered_off;
            if let Some(code) = ended {
                let audit = self.kernel.audit();
                assert_eq!(audit.unsound, 0, "{audit:?}");
                return code;
            }
            assert!(self.steps < end, "no end after {limit} steps: {}", self.describe());
            self.step();
        }
    }

    fn describe(&self) -> String {
        let state = self.machine.state();
        format!("time {} ns, deadlines {:?}, reads {}", state.now, state.deadlines, state.reads.len())
    }

    /// One CPU takes one step.
    fn step(&mut self) {
        self.steps += 1;
        assert!(self.kernel.knows_its_chores(), "something is left, and no CPU would look for it");
        self.machine.run_disk();
        let candidates: Vec<usize> = (0..self.cpus.len())
            .filter(|&cpu| !matches!(self.cpus[cpu].1, Cpu::Idle) || self.event(cpu).is_some())
            .collect();
        if candidates.is_empty() {
            assert!(
                self.skip_time(),
                "nothing can happen any more: a wake-up was lost; {:#?}; console: {}",
                self.kernel,
                self.machine.console_text()
            );
            return;
        }
        let cpu = {
            let mut state = self.machine.state();
            let pick = usize::try_from(state.next_random() % candidates.len() as u64).unwrap();
            let cpu = match self.awaited {
                // Nobody does anything in between.
                Some((cpu, 0)) if matches!(self.cpus[cpu].1, Cpu::Running(_)) => cpu,
                _ => candidates[pick],
            };
            state.cpu = cpu;
            state.now += 200;
            cpu
        };
        // An interrupt is taken at EL0 or while idle, at once or a little later.
        let at_el0 = !matches!(self.cpus[cpu].1, Cpu::Kernel);
        if at_el0 && let Some(event) = self.event(cpu) {
            let prompt = self.machine.state().next_random().is_multiple_of(2);
            if prompt || matches!(self.cpus[cpu].1, Cpu::Idle) {
                self.interrupt(cpu, event);
                return;
            }
        }
        match &self.cpus[cpu].1 {
            Cpu::Kernel => self.dispatch(cpu),
            Cpu::Running(thread) => {
                let thread = thread.clone();
                self.run_thread(cpu, &thread);
            }
            Cpu::Idle => {}
        }
    }

    /// What interrupts this CPU now.
    fn event(&self, cpu: usize) -> Option<Event> {
        let state = self.machine.state();
        if state.kicks[cpu] {
            Some(Event::Kick)
        } else if state.deadlines[cpu].is_some_and(|at| at.as_nanos() <= state.now) {
            Some(Event::Timer)
        } else if cpu == 0 && !state.completions.is_empty() {
            Some(Event::Block)
        } else if cpu == 0 && !state.input.is_empty() {
            Some(Event::Console)
        } else {
            None
        }
    }

    /// Everybody waits: on to the next moment at which something happens. Whether there is one.
    fn skip_time(&self) -> bool {
        let mut state = self.machine.state();
        let deadline = state.deadlines.iter().flatten().map(|at| at.as_nanos()).min();
        let read = state.reads.front().map(|read| read.0);
        let next = deadline.into_iter().chain(read).min();
        state.now = state.now.max(next.unwrap_or_default());
        next.is_some()
    }

    fn interrupt(&mut self, cpu: usize, event: Event) {
        {
            let mut state = self.machine.state();
            match event {
                Event::Kick => state.kicks[cpu] = false,
                Event::Timer => state.deadlines[cpu] = None,
                Event::Block | Event::Net | Event::Console => {}
            }
        }
        let (token, place) = &mut self.cpus[cpu];
        match heap::counted(|| self.kernel.interrupt(token, event)) {
            Trap::Reschedule => *place = Cpu::Kernel,
            Trap::Resume => {}
            Trap::Return(_) => panic!("an interrupt returns no value"),
        }
    }

    fn kernel_begins(&mut self) {
        if let Some((_, left)) = &mut self.awaited {
            *left = left.saturating_sub(1);
        }
    }

    fn dispatch(&mut self, cpu: usize) {
        self.kernel_begins();
        let (token, place) = &mut self.cpus[cpu];
        match heap::counted(|| self.kernel.dispatch(token)) {
            Dispatch::Run { thread, result } => {
                thread.context().resume(result);
                *place = Cpu::Running(thread);
            }
            Dispatch::Idle => *place = Cpu::Idle,
            Dispatch::Again => {
                if let Some(event) = self.event(cpu) {
                    self.interrupt(cpu, event);
                    self.cpus[cpu].1 = Cpu::Kernel;
                }
            }
        }
    }

    /// The running thread does one thing.
    fn run_thread(&mut self, cpu: usize, thread: &Arc<Thread<SimMachine>>) {
        let context = thread.context();
        if !context.is_started() {
            match context.forked {
                Some(program) => context.begin(program),
                None => self.first_instruction(cpu, thread),
            }
            return;
        }
        let Some(request) = context.current() else {
            panic!("program of process {} failed; console: {}", thread.pid(), self.machine.console_text());
        };
        match request {
            Request::Call(number, arguments) => self.call(cpu, context, number, arguments),
            Request::Fork(child) => {
                context.set_child(child);
                self.call(cpu, context, swos_abi::NR_FORK, [0; 6]);
            }
            Request::Load(at, len) => {
                let mut bytes = vec![0; len];
                let result = self.machine.state().user_copy(VirtAddr::new(at), Copy::In(&mut bytes));
                match result {
                    Ok(()) => context.reply(Reply::Bytes(bytes)),
                    Err(fault) => {
                        context.put_back(Request::Load(at, len));
                        self.memory_fault(cpu, fault.address, AccessKind::Read);
                    }
                }
            }
            Request::Store(at, bytes) => {
                let result = self.machine.state().user_copy(VirtAddr::new(at), Copy::Out(&bytes));
                match result {
                    Ok(()) => context.reply(Reply::Value(0)),
                    Err(fault) => {
                        context.put_back(Request::Store(at, bytes));
                        self.memory_fault(cpu, fault.address, AccessKind::Write);
                    }
                }
            }
            Request::Spin(nanoseconds) => {
                let part = nanoseconds.min(100_000);
                self.machine.state().now += part;
                if part == nanoseconds {
                    context.reply(Reply::Value(0));
                } else {
                    context.put_back(Request::Spin(nanoseconds - part));
                }
            }
            Request::FailAfter(supply, count) => {
                let faults = &mut self.machine.state().faults;
                let left = match supply {
                    Supply::Frames => core::mem::replace(&mut faults.frame_after, count),
                    Supply::Objects => core::mem::replace(&mut faults.short_after, count),
                    Supply::Heap => heap::fail_after(count),
                };
                context.reply(Reply::Value(left.cast_signed()));
            }
            Request::Turns(count) => {
                let left = self.awaited.map_or(count, |(_, left)| left);
                let only = (0..self.cpus.len()).all(|other| {
                    other == cpu || matches!(self.cpus[other].1, Cpu::Idle) && self.event(other).is_none()
                });
                if left == 0 || only && self.event(cpu).is_none() && !self.skip_time() {
                    self.awaited = None;
                    context.reply(Reply::Value(0));
                } else {
                    self.awaited = Some((cpu, left));
                    context.put_back(Request::Turns(count));
                }
            }
            Request::Fault(kind) => {
                // As an instruction: done again until it goes through.
                context.put_back(Request::Fault(kind));
                if self.exception(cpu, kind) {
                    context.reply(Reply::Value(0));
                }
            }
        }
    }

    fn call(&mut self, cpu: usize, context: &Context, number: u64, arguments: [u64; 6]) {
        self.kernel_begins();
        context.enter_call(arguments[0]);
        let again = || (number, arguments);
        let trap = heap::counted(|| self.kernel.syscall(&mut self.cpus[cpu].0, number, arguments, again));
        match trap {
            Trap::Return(raw) => context.reply(Reply::Value(raw)),
            Trap::Reschedule => self.cpus[cpu].1 = Cpu::Kernel,
            Trap::Resume => panic!("a call returns a value"),
        }
    }

    /// Fetches the first instruction: the byte that says which function the program is.
    fn first_instruction(&mut self, cpu: usize, thread: &Arc<Thread<SimMachine>>) {
        let entry = thread.context().start.entry;
        let fetched = self.machine.state().translate(entry, false, true);
        match fetched {
            Ok(frame) => {
                let number = usize::from(self.machine.pin(frame)[entry.page_offset() % PAGE_SIZE]);
                match self.programs.get(number) {
                    Some(program) => thread.context().begin(*program),
                    // Code that a program made itself, or a wrong entry.
                    None => drop(self.exception(cpu, ExceptionKind::Instruction)),
                }
            }
            Err(fault) => self.memory_fault(cpu, fault.address, AccessKind::Execute),
        }
    }

    fn memory_fault(&mut self, cpu: usize, address: VirtAddr, access: AccessKind) {
        let mapped = self.machine.state().translate(address, false, false).is_ok()
            || self.machine.state().translate(address, false, true).is_ok();
        let cause = if mapped { Cause::Forbidden } else { Cause::Absent };
        self.exception(cpu, ExceptionKind::Memory { address, access, cause });
    }

    /// Whether the thread goes on.
    fn exception(&mut self, cpu: usize, kind: ExceptionKind) -> bool {
        self.kernel_begins();
        let (token, place) = &mut self.cpus[cpu];
        let exception = UserException { kind, pc: VirtAddr::new(0) };
        match heap::counted(|| self.kernel.user_fault(token, exception)) {
            Trap::Resume => true,
            Trap::Reschedule => {
                *place = Cpu::Kernel;
                false
            }
            Trap::Return(_) => panic!("an exception returns no value"),
        }
    }
}
