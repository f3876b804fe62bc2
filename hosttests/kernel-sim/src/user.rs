//! What a simulated program sees, and how it is stepped.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use swos_abi::{Errno, result_from_raw};
use swos_kcore::{ExceptionKind, Start};

/// A program: a function of the host that acts through [`User`].
pub type Program = fn(&mut User);

/// What a program asks of the machine next.
pub(crate) enum Request {
    Call(u64, [u64; 6]),
    Fork(Program),
    Load(u64, usize),
    Store(u64, Vec<u8>),
    Spin(u64),
    FailFrame(u64),
    Fault(ExceptionKind),
}

/// What it gets.
pub(crate) enum Reply {
    Value(i64),
    Bytes(Vec<u8>),
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
    fn ask(&self, request: Request) -> Reply {
        let sent = self.requests.send(request);
        match sent.ok().and_then(|()| self.replies.recv().ok()) {
            Some(reply) => reply,
            None => resume_unwind(Box::new(Ended)),
        }
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
            Reply::Bytes(_) => unreachable!("a call returns a value"),
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
            Reply::Bytes(_) => unreachable!("a call returns a value"),
        }
    }

    /// Loads bytes.
    pub fn load(&mut self, at: u64, len: usize) -> Vec<u8> {
        match self.ask(Request::Load(at, len)) {
            Reply::Bytes(bytes) => bytes,
            Reply::Value(_) => unreachable!("a load returns bytes"),
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

    /// Lets all frame allocations fail from this one on, counted from 1; 0 = none. Returns what was left of the last such count.
    pub fn fail_frame_after(&mut self, count: u64) -> u64 {
        match self.ask(Request::FailFrame(count)) {
            Reply::Value(left) => left.cast_unsigned(),
            Reply::Bytes(_) => unreachable!("a count is a number"),
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
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    requests: Option<Receiver<Request>>,
    replies: Option<Sender<Reply>>,
    current: Option<Request>,
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
        Self { start, forked: None, child: Mutex::new(|_| {}), line: Mutex::new(Line::default()) }
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
        let (requests, from_program) = channel();
        let (to_program, replies) = channel();
        let start = self.start;
        let body = move || {
            let mut user = User { requests, replies, start };
            program(&mut user);
            // Falling off its end is an exit.
            let _ = user.call(swos_abi::NR_THREAD_EXIT, &[0]);
        };
        thread::Builder::new().stack_size(256 << 10).spawn(body).expect("a host thread");
        let mut line = self.line.lock().unwrap();
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
        let line = self.line.lock().unwrap();
        if let Some(replies) = &line.replies {
            let _ = replies.send(reply);
        }
    }
}
