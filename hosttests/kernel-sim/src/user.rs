//! What a simulated program sees, and how it is stepped.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use swos_abi::{Errno, NR_SIGNAL_RETURN, SignalFrame, result_from_raw};
use swos_kcore::{AccessKind, Cause, ExceptionKind, Start};
use swos_units::VirtAddr;

use crate::line::{Receiver, Sender, line};

/// A program: a function of the host that acts through [`User`].
pub type Program = fn(&mut User);

/// A signal handler: gets the signal and the address of its frame, as a handler gets them in x0 and x2. When it returns, it calls
/// `signal_return` as a restorer would.
pub type Handler = fn(&mut User, u64, u64);

/// All handlers of all programs, so that every thread knows what its process was told.
static HANDLERS: Mutex<Vec<Handler>> = Mutex::new(Vec::new());
/// Where handlers "are": the first one's address.
const HANDLERS_AT: u64 = 0x10_0000;
/// How far below its start a thread's stack pointer is: above, programs keep their buffers.
const STACK_USED: u64 = 12_288;

/// What the kernel may find nothing left of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Supply {
    /// Frames: no allocation succeeds any more.
    Frames,
    /// The kernel's reserve: the machine says that it is short.
    Objects,
    /// The kernel's heap: one allocation fails, if its caller can bear that. Needs [`ScarceHeap`](crate::ScarceHeap).
    Heap,
}

/// What a program asks of the machine next.
#[derive(Clone)]
pub(crate) enum Request {
    Call(u64, [u64; 6]),
    Fork(Program),
    Load(u64, usize),
    Store(u64, Vec<u8>),
    Spin(u64),
    Turns(u64),
    FailAfter(Supply, u64),
    Fault(ExceptionKind),
}

/// What it gets.
pub(crate) enum Reply {
    Value(i64),
    Bytes(Vec<u8>),
    /// The kernel gave the thread other registers: it goes on there.
    Resume(Box<Registers>),
}

/// The registers that a simulated program has.
///
/// A program that has nothing under way, or whose load or store was not done yet, "is at" its entry; after a call it is 4 bytes
/// further. So the kernel's "make the call again" (4 less) becomes a request that is made again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
    vector: u128,
}

/// The program's end of the line.
#[derive(Debug)]
pub struct User {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    start: Start,
}

/// A panic payload that is no failure: the thread was ended by the kernel.
struct Ended;

impl User {
    fn ask(&mut self, request: Request) -> Reply {
        loop {
            match self.ask_once(request.clone()) {
                Reply::Resume(registers) => {
                    if let Some(raw) = self.run_handlers(*registers) {
                        return Reply::Value(raw);
                    }
                }
                other => return other,
            }
        }
    }

    fn ask_once(&mut self, request: Request) -> Reply {
        let sent = self.requests.send(request);
        match sent.ok().and_then(|()| self.replies.recv().ok()) {
            Some(reply) => reply,
            None => resume_unwind(Box::new(Ended)),
        }
    }

    /// Runs handlers until the program is back where it was. `Some` = the answer of its call; `None` = it makes its request again.
    fn run_handlers(&mut self, mut registers: Registers) -> Option<i64> {
        loop {
            let entry = self.start.entry.get();
            if registers.pc == entry {
                return None;
            }
            if registers.pc == entry + 4 {
                return Some(registers.x[0].cast_signed());
            }
            let index = registers.pc.wrapping_sub(HANDLERS_AT) / 16;
            let handler =
                usize::try_from(index).ok().and_then(|at| HANDLERS.lock().unwrap().get(at).copied());
            let Some(handler) = handler else {
                let address = VirtAddr::new(registers.pc);
                let jump =
                    ExceptionKind::Memory { address, access: AccessKind::Execute, cause: Cause::Absent };
                match self.ask_once(Request::Fault(jump)) {
                    Reply::Resume(next) => registers = *next,
                    _ => unreachable!("nothing is mapped there"),
                }
                continue;
            };
            let frame = registers.x[2];
            assert_eq!(registers.sp, frame, "the frame is where the stack pointer leads");
            handler(self, registers.x[0], frame);
            match self.ask_once(Request::Call(NR_SIGNAL_RETURN, [frame, 0, 0, 0, 0, 0])) {
                Reply::Resume(next) => registers = *next,
                _ => unreachable!("a frame has registers"),
            }
        }
    }

    /// The address under which the kernel may be told of a handler.
    pub fn handler(&mut self, handler: Handler) -> u64 {
        let mut all = HANDLERS.lock().unwrap();
        let known = all.iter().position(|other| core::ptr::fn_addr_eq(*other, handler));
        let index = known.unwrap_or_else(|| {
            all.push(handler);
            all.len() - 1
        });
        HANDLERS_AT + 16 * index as u64
    }

    /// A system call as the program sees it.
    ///
    /// # Errors
    ///
    /// The errno that the kernel put into x0.
    pub fn call(&mut self, number: u64, arguments: &[u64]) -> Result<u64, Errno> {
        let mut registers = [0; 6];
        registers[..arguments.len()].copy_from_slice(arguments);
        match self.ask(Request::Call(number, registers)) {
            Reply::Value(raw) => result_from_raw(raw),
            Reply::Bytes(_) | Reply::Resume(_) => unreachable!("a call returns a value"),
        }
    }

    /// Forks. A copy of a function of the host can't be made; so the child runs another one, `child`, from its beginning, on the
    /// copied memory: what it shall know lies there.
    ///
    /// # Errors
    ///
    /// The errno that the kernel put into x0.
    pub fn fork(&mut self, child: Program) -> Result<u64, Errno> {
        match self.ask(Request::Fork(child)) {
            Reply::Value(raw) => result_from_raw(raw),
            Reply::Bytes(_) | Reply::Resume(_) => unreachable!("a call returns a value"),
        }
    }

    /// Loads bytes.
    pub fn load(&mut self, at: u64, len: usize) -> Vec<u8> {
        match self.ask(Request::Load(at, len)) {
            Reply::Bytes(bytes) => bytes,
            Reply::Value(_) | Reply::Resume(_) => unreachable!("a load returns bytes"),
        }
    }

    /// Loads a u64.
    pub fn load_u64(&mut self, at: u64) -> u64 {
        u64::from_le_bytes(self.load(at, 8).try_into().unwrap())
    }

    /// Loads a u32.
    pub fn load_u32(&mut self, at: u64) -> u32 {
        u32::from_le_bytes(self.load(at, 4).try_into().unwrap())
    }

    /// Stores bytes.
    pub fn store(&mut self, at: u64, bytes: &[u8]) {
        self.ask(Request::Store(at, bytes.to_vec()));
    }

    /// Computes for so many nanoseconds.
    pub fn spin(&mut self, nanoseconds: u64) {
        self.ask(Request::Spin(nanoseconds));
    }

    /// Computes until the kernel has had so many more turns, or gets none any more; what this program does next comes before anything else
    /// happens. A turn is a call, each further part of one that is not done at once, or a fault. One program at a time, and not on the only
    /// CPU.
    pub fn spin_turns(&mut self, count: u64) {
        self.ask(Request::Turns(count));
    }

    /// Lets all frame allocations fail from this one on, counted from 1; 0 = none. Returns what was left of the last such count.
    pub fn fail_frame_after(&mut self, count: u64) -> u64 {
        self.fail_after(Supply::Frames, count)
    }

    /// The same for any supply.
    pub fn fail_after(&mut self, supply: Supply, count: u64) -> u64 {
        match self.ask(Request::FailAfter(supply, count)) {
            Reply::Value(left) => left.cast_unsigned(),
            Reply::Bytes(_) | Reply::Resume(_) => unreachable!("a count is a number"),
        }
    }

    /// Causes an exception. Does not return if the kernel ends the program for it.
    pub fn fault(&mut self, kind: ExceptionKind) {
        self.ask(Request::Fault(kind));
    }

    /// x0 at the start.
    #[must_use]
    pub const fn argument(&self) -> u64 {
        self.start.argument
    }

    /// The first instruction's address.
    #[must_use]
    pub const fn entry(&self) -> u64 {
        self.start.entry.get()
    }

    /// The stack pointer at the start; below it is free memory.
    #[must_use]
    pub const fn stack(&self) -> u64 {
        self.start.stack.get()
    }

    /// The arguments.
    pub fn args(&mut self) -> Vec<String> {
        let at = self.stack();
        let count = self.load_u64(at);
        (0..count)
            .map(|index| {
                let mut text = Vec::new();
                let mut from = self.load_u64(at + 8 + 8 * index);
                loop {
                    match self.load(from, 1)[0] {
                        0 => return String::from_utf8(text).unwrap(),
                        byte => text.push(byte),
                    }
                    from += 1;
                }
            })
            .collect()
    }
}

/// The kernel's end: the "registers" of a simulated thread.
#[derive(Debug)]
pub struct Context {
    pub(crate) start: Start,
    /// A forked thread runs this; others what is at their entry.
    pub(crate) forked: Option<Program>,
    /// What the child of the fork under way runs.
    child: Mutex<Program>,
    line: Arc<Mutex<Line>>,
}

/// Reaches a program's thread of the host when the machine is gone: the kernel may hold the thread that it simulates for ever, as a
/// machine does that is switched off in the middle of a call.
#[derive(Debug)]
pub(crate) struct Leash(Weak<Mutex<Line>>);

impl Leash {
    pub(crate) fn is_of_use(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Ends the program where it waits.
    pub(crate) fn end(&self) {
        if let Some(line) = self.0.upgrade() {
            *line.lock().unwrap_or_else(PoisonError::into_inner) = Line::default();
        }
    }
}

#[derive(Debug, Default)]
struct Line {
    requests: Option<Receiver<Request>>,
    replies: Option<Sender<Reply>>,
    current: Option<Request>,
    /// The kernel has its call.
    in_call: bool,
    registers: Option<Registers>,
    /// The kernel changed the registers.
    redirected: bool,
}

impl core::fmt::Debug for Request {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Request")
    }
}

impl core::fmt::Debug for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Reply")
    }
}

impl Context {
    pub(crate) fn new(start: Start) -> Self {
        let registers = Registers {
            x: [start.argument; 31],
            sp: start.stack.get().wrapping_sub(STACK_USED),
            pc: start.entry.get(),
            pstate: 0,
            vector: 0,
        };
        let line = Line { registers: Some(registers), ..Line::default() };
        Self { start, forked: None, child: Mutex::new(|_| {}), line: Arc::new(Mutex::new(line)) }
    }

    pub(crate) fn leash(&self) -> Leash {
        Leash(Arc::downgrade(&self.line))
    }

    /// The registers of a child that runs what [`Self::set_child`] said; without that it ends at once.
    pub(crate) fn fork(&self) -> Self {
        Self { forked: Some(*self.child.lock().unwrap()), ..Self::new(self.start) }
    }

    pub(crate) fn set_child(&self, child: Program) {
        *self.child.lock().unwrap() = child;
    }

    pub(crate) fn is_started(&self) -> bool {
        self.line.lock().unwrap().requests.is_some()
    }

    /// Starts the program's own thread of the host.
    pub(crate) fn begin(&self, program: Program) {
        let (requests, from_program) = line();
        let (to_program, replies) = line();
        let start = self.start;
        let mut line = self.line.lock().unwrap();
        // A signal may come before its first instruction.
        let first = core::mem::take(&mut line.redirected).then_some(line.registers).flatten();
        let body = move || {
            let mut user = User { requests, replies, start };
            if let Some(registers) = first {
                let _ = user.run_handlers(registers);
            }
            program(&mut user);
            // Falling off its end is an exit.
            let _ = user.call(swos_abi::NR_THREAD_EXIT, &[0]);
        };
        thread::Builder::new().stack_size(256 << 10).spawn(body).expect("a host thread");
        line.requests = Some(from_program);
        line.replies = Some(to_program);
    }

    /// What the program does now; asks it if it has nothing under way. `None` = its function panicked.
    pub(crate) fn current(&self) -> Option<Request> {
        let mut line = self.line.lock().unwrap();
        match line.current.take() {
            Some(request) => Some(request),
            None => line.requests.as_ref()?.recv().ok(),
        }
    }

    /// It could not be done yet: it is done next time.
    pub(crate) fn put_back(&self, request: Request) {
        self.line.lock().unwrap().current = Some(request);
    }

    pub(crate) fn reply(&self, reply: Reply) {
        let mut line = self.line.lock().unwrap();
        line.in_call = false;
        line.current = None;
        line.set_pc(self.start.entry.get());
        if let Some(replies) = &line.replies {
            let _ = replies.send(reply);
        }
    }
}

impl Context {
    /// The program has made a call: it is behind the instruction.
    pub(crate) fn enter_call(&self, argument: u64) {
        let mut line = self.line.lock().unwrap();
        line.in_call = true;
        line.set_pc(self.start.entry.get() + 4);
        if let Some(registers) = &mut line.registers {
            registers.x[0] = argument;
        }
    }

    /// The kernel lets the thread go on, with this result of its call if it made one.
    pub(crate) fn resume(&self, result: Option<i64>) {
        let mut line = self.line.lock().unwrap();
        if line.requests.is_some() && core::mem::take(&mut line.redirected) {
            let Some(mut registers) = line.registers else { return };
            if let Some(raw) = result {
                registers.x[0] = raw.cast_unsigned();
                line.registers = Some(registers);
            }
            // What the program asks for, or is about to, is asked again when the handler has returned.
            let taken = core::mem::take(&mut line.in_call) || line.current.take().is_some();
            if !taken && let Some(requests) = &line.requests {
                let _ = requests.recv();
            }
            if let Some(replies) = &line.replies {
                let _ = replies.send(Reply::Resume(Box::new(registers)));
            }
            line.set_pc(self.start.entry.get());
            return;
        }
        drop(line);
        if let Some(raw) = result {
            self.reply(Reply::Value(raw));
        }
    }

    pub(crate) fn save(&self, frame: &mut SignalFrame) {
        let line = self.line.lock().unwrap();
        let Some(registers) = line.registers else { return };
        frame.x = registers.x;
        (frame.sp, frame.pc, frame.pstate) = (registers.sp, registers.pc, registers.pstate);
        frame.vectors[0] = registers.vector;
    }

    pub(crate) fn restore(&self, frame: &SignalFrame) {
        let mut line = self.line.lock().unwrap();
        let pstate = frame.pstate & 0xF000_0000;
        let (x, sp, pc, vector) = (frame.x, frame.sp, frame.pc, frame.vectors[0]);
        line.registers = Some(Registers { x, sp, pc, pstate, vector });
        line.redirected = true;
    }
}

impl Line {
    fn set_pc(&mut self, pc: u64) {
        if let Some(registers) = &mut self.registers {
            registers.pc = pc;
        }
    }
}
