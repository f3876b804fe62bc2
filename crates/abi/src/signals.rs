//! Signals, process groups and sessions.
//!
//! Source: POSIX.1-2017 `<signal.h>`; the numbers are those of Linux on aarch64.

use bitflags::bitflags;
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout};

macro_rules! signals {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: u32 = $number;)*
    };
}

signals! {
    SIGHUP = 1, "The terminal is gone.";
    SIGINT = 2, "Interrupted from the terminal.";
    SIGQUIT = 3, "Quit from the terminal.";
    SIGILL = 4, "An instruction that does not exist, or not for programs.";
    SIGTRAP = 5, "A breakpoint.";
    SIGABRT = 6, "The program gave up.";
    SIGBUS = 7, "Memory without anything behind it, or a misaligned access.";
    SIGFPE = 8, "Arithmetic went wrong.";
    SIGKILL = 9, "Ends the process; nothing can be done about it.";
    SIGUSR1 = 10, "For programs to use.";
    SIGSEGV = 11, "An access to memory that was not allowed.";
    SIGUSR2 = 12, "For programs to use.";
    SIGPIPE = 13, "A pipe without a reader. The kernel never sends it: the write answers `PIPE`.";
    SIGALRM = 14, "Time is up.";
    SIGTERM = 15, "Please end.";
    SIGCHLD = 17, "A child ended, stopped or went on. Ignored by default.";
    SIGCONT = 18, "Go on after a stop. It does that even if it is blocked or ignored.";
    SIGSTOP = 19, "Stops the process; nothing can be done about it.";
    SIGTSTP = 20, "Stop from the terminal.";
    SIGTTIN = 21, "A background process reads from the terminal.";
    SIGTTOU = 22, "A background process writes to the terminal.";
    SIGURG = 23, "Urgent data. Ignored by default.";
    SIGXCPU = 24, "Too much time used.";
    SIGXFSZ = 25, "A file would become too large.";
    SIGVTALRM = 26, "Time of the process is up.";
    SIGPROF = 27, "A profiler's time is up.";
    SIGWINCH = 28, "The terminal has another size. Ignored by default.";
    SIGIO = 29, "Input or output is possible.";
    SIGPWR = 30, "Power fails.";
    SIGSYS = 31, "A call that does not exist.";
    SIGRTMIN = 32, "First of the real-time signals, which are queued.";
    SIGRTMAX = 64, "Last of them, and of all.";
}

/// A set of signals: bit `n - 1` is signal `n`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(u64::MAX);

    /// These; numbers that are no signal's are left out.
    #[must_use]
    pub const fn of(signals: &[u32]) -> Self {
        let mut bits = 0;
        let mut rest = signals;
        while let [first, others @ ..] = rest {
            bits |= Self::bit(*first);
            rest = others;
        }
        Self(bits)
    }

    const fn bit(signal: u32) -> u64 {
        if signal >= 1 && signal <= SIGRTMAX { 1 << (signal - 1) } else { 0 }
    }

    /// Whether it has `signal`.
    #[must_use]
    pub const fn contains(self, signal: u32) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that `other` lacks.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The one with the lowest number.
    #[must_use]
    pub const fn first(self) -> Option<u32> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() + 1) }
    }
}

/// [`SignalAction::handler`]: what the signal does by default.
pub const SIG_DEFAULT: u64 = 0;
/// [`SignalAction::handler`]: nothing.
pub const SIG_IGNORE: u64 = 1;

/// `signal_mask`: blocks these as well.
pub const SIG_BLOCK: u32 = 0;
/// `signal_mask`: unblocks these.
pub const SIG_UNBLOCK: u32 = 1;
/// `signal_mask`: blocks these and no others.
pub const SIG_SETMASK: u32 = 2;

bitflags! {
    /// How a handler is called.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct ActionFlags: u64 {
        /// For `SIGCHLD`: not when a child stops or goes on.
        const NOCLDSTOP = 1;
        /// For `SIGCHLD`: children that end leave nothing to wait for.
        const NOCLDWAIT = 2;
        /// The handler takes three arguments. It is always given them; the bit is allowed for those who set it.
        const SIGINFO = 4;
        /// On the thread's alternate stack, if it has one.
        const ONSTACK = 0x0800_0000;
        /// Calls that it interrupts are made again, where that is allowed.
        const RESTART = 0x1000_0000;
        /// The signal is not blocked while its handler runs.
        const NODEFER = 0x4000_0000;
        /// The handler is called once; then the default holds again.
        const RESETHAND = 0x8000_0000;
    }
}

/// What a signal does in a process: argument of `signal_action`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SignalAction {
    /// [`SIG_DEFAULT`], [`SIG_IGNORE`] or the address of a handler: `fn(signal, &SignalInfo, &mut SignalFrame)`.
    pub handler: u64,
    /// Where the handler returns to; it must call `signal_return` with the frame, which is where the stack pointer leads then.
    pub restorer: u64,
    /// Blocked while the handler runs, besides the signal itself.
    pub mask: SignalSet,
    /// Bits of [`ActionFlags`].
    pub flags: u64,
}

static_assertions::assert_eq_size!(SignalAction, [u8; 32]);

/// [`SignalInfo::code`]: sent by `kill` or `thread_kill`.
pub const SI_USER: i32 = 0;
/// Sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// Sent by `signal_queue`.
pub const SI_QUEUE: i32 = -1;
/// `SIGSEGV`: nothing is mapped there.
pub const SEGV_MAPERR: i32 = 1;
/// `SIGSEGV`: what is mapped there does not allow it.
pub const SEGV_ACCERR: i32 = 2;
/// `SIGBUS`: misaligned.
pub const BUS_ADRALN: i32 = 1;
/// `SIGBUS`: nothing behind the mapping.
pub const BUS_ADRERR: i32 = 2;
/// `SIGILL`: no such instruction.
pub const ILL_ILLOPC: i32 = 1;
/// `SIGTRAP`: a breakpoint.
pub const TRAP_BRKPT: i32 = 1;
/// `SIGCHLD`: it ended by itself; [`SignalInfo::status`] is its status.
pub const CLD_EXITED: i32 = 1;
/// It was ended by the signal in the status.
pub const CLD_KILLED: i32 = 2;
/// It was stopped by that signal.
pub const CLD_STOPPED: i32 = 5;
/// It went on.
pub const CLD_CONTINUED: i32 = 6;

/// Where a signal comes from, and what it is about.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SignalInfo {
    /// Its number.
    pub signal: u32,
    /// Why, one of `SI_*` or a number that depends on the signal.
    pub code: i32,
    /// Process that sent it, or that it is about.
    pub pid: u32,
    /// Principal of that process.
    pub principal: u32,
    /// Address of the fault.
    pub address: u64,
    /// What `signal_queue` was given.
    pub value: u64,
    /// `SIGCHLD`: status or signal.
    pub status: i32,
    /// Zero.
    pub reserved: u32,
}

static_assertions::assert_eq_size!(SignalInfo, [u8; 40]);

/// What the kernel leaves on the stack for a handler, and `signal_return` takes back. A handler may change it.
///
/// Of `pstate` only the condition flags are taken back; every other register may have any value.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C, align(16))]
pub struct SignalFrame {
    /// Size of this record.
    pub size: u32,
    /// Zero.
    pub flags: u32,
    /// The signal.
    pub info: SignalInfo,
    /// The mask that holds again when the handler returns.
    pub mask: SignalSet,
    /// x0 to x30.
    pub x: [u64; 31],
    /// Stack pointer.
    pub sp: u64,
    /// Program counter.
    pub pc: u64,
    /// Condition flags, in bits 28 to 31.
    pub pstate: u64,
    /// TPIDR_EL0.
    pub tls: u64,
    /// FP control register.
    pub fpcr: u64,
    /// FP status register.
    pub fpsr: u64,
    /// Zero.
    pub reserved: [u64; 2],
    /// v0 to v31.
    pub vectors: [u128; 32],
}

static_assertions::assert_eq_size!(SignalFrame, [u8; 880]);

impl Default for SignalFrame {
    fn default() -> Self {
        Self::new_zeroed()
    }
}

/// [`SignalStack::flags`]: there is none.
pub const STACK_DISABLE: u32 = 2;
/// [`SignalStack::flags`], only reported: the thread runs on it now.
pub const STACK_ACTIVE: u32 = 1;
/// Least size of an alternate stack.
pub const STACK_MIN: u64 = 2048;

/// A thread's alternate stack: argument of `signal_stack`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SignalStack {
    /// Its lowest address.
    pub base: u64,
    /// Its size in bytes, at least [`STACK_MIN`].
    pub size: u64,
    /// 0 or [`STACK_DISABLE`].
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

static_assertions::assert_eq_size!(SignalStack, [u8; 24]);

/// In place of a process id, for `kill`, `signal_queue` and `wait`: `PID_GROUP | id` is a process group, and with id 0 the
/// caller's.
pub const PID_GROUP: u64 = 1 << 32;

/// `wait`: also children that stopped.
pub const WAIT_UNTRACED: u32 = 2;
/// `wait`: also children that went on.
pub const WAIT_CONTINUED: u32 = 4;
/// `wait`: at most as long as its fourth argument says; then `TIMEDOUT`.
pub const WAIT_TIMEOUT: u32 = 8;
/// In [`crate::ExitRecord::cause`]: stopped by the signal `code`; it is still there.
pub const EXIT_STOPPED: u32 = 2;
/// In [`crate::ExitRecord::cause`]: it went on.
pub const EXIT_CONTINUED: u32 = 3;

/// In [`crate::SpawnArgs::flags`]: the child enters process group [`crate::SpawnArgs::group`], or with 0 a new one of its own.
pub const SPAWN_GROUP: u32 = 0x200;
