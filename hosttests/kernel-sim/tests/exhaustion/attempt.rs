//! How the calls of a deed are made: as they are, with something running out, or first with addresses that are no good.

use core::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Mutex;

use super::common::*;
use swos_abi::*;
use swos_kernel_sim::{Program, Supply, User};

pub(crate) const PAGE: u64 = 4096;
pub(crate) const READ_WRITE: u64 = 3;

/// Arguments that are the address of memory, by the name that the table gives them.
const ADDRESSES: [&str; 27] = [
    "action", "address", "args", "buffer", "config", "cursor", "ends", "event", "events", "fields", "from",
    "head", "info", "into", "items", "message", "name", "old", "path", "pieces", "record", "source", "stack",
    "target", "text", "times", "to",
];
/// Arguments that are numbers, though as wide.
const NUMBERS: [&str; 31] = [
    "argument",
    "badge",
    "capabilities",
    "capacity",
    "clear",
    "config_size",
    "count",
    "deadline_ns",
    "duration_ns",
    "entry",
    "fields_length",
    "first_ns",
    "frame",
    "from_len",
    "head_len",
    "initial",
    "keep",
    "length",
    "mask",
    "offset",
    "path_len",
    "period_ns",
    "pid",
    "set",
    "size",
    "target_len",
    "timeout_ns",
    "tls",
    "to_len",
    "token",
    "value",
];
/// Addresses that a call has, with those in its records.
pub(crate) const ADDRESSES_MAX: u64 = 4;
/// What has the name of one, but says where something is mapped or a thread starts.
const PLACES: [u64; 5] = [NR_MMAP, NR_MUNMAP, NR_MPROTECT, NR_MEMORY_ADVISE, NR_THREAD_CREATE];

/// Calls that came to their end with nothing in their way.
pub(crate) static MADE: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// Which arguments of a call are addresses.
fn addresses(number: u64) -> Vec<usize> {
    let entry = CALLS.iter().find(|entry| entry.number == number).unwrap();
    let wide = entry.arguments.iter().enumerate().filter(|(_, argument)| argument.1 == "u64");
    wide.filter(|(_, (name, _))| {
        let address = ADDRESSES.contains(name);
        assert_ne!(address, NUMBERS.contains(name), "{}: is {name} an address?", entry.name);
        // Nothing needs to be where others are to wait.
        let beside = number == NR_FUTEX_REQUEUE && *name == "target";
        address && !PLACES.contains(&number) && !beside
    })
    .map(|(at, _)| at)
    .collect()
}

/// Where an address leads instead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Astray {
    Unmapped,
    /// To so many bytes before memory that is not mapped.
    Edge(u64),
    ReadOnly,
    /// To the same on a page that comes when it is touched, which makes the call begin anew; behind it nothing.
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Plain,
    /// From which time on that one call asks for it there is none, counted from 1.
    Short(Supply, u64),
    Astray(Astray),
}

/// How the calls of a deed are made.
pub(crate) struct Try {
    way: Way,
    /// Which call is short, counted from 0, while the others are made as they are; [`EVERY`] = all. Or which address leads astray.
    target: u64,
    /// Where [`Self::traps`] are; 0 = not needed.
    traps: u64,
    /// Calls made so far.
    pub(crate) made: Cell<u64>,
    /// One came so far that something ran out.
    pub(crate) reached: Cell<bool>,
    /// One was refused for that.
    pub(crate) refused: Cell<bool>,
}

/// No call in particular.
pub(crate) const EVERY: u64 = u64::MAX;

/// Where a child finds what its parent left it: on the stack, which it has a copy of.
fn legacy(user: &User) -> u64 {
    user.stack() - 11_264
}

const SUPPLIES: [Supply; 3] = [Supply::Frames, Supply::Objects, Supply::Heap];
pub(crate) const STRAYS: [Astray; 5] =
    [Astray::Unmapped, Astray::Edge(1), Astray::Edge(8), Astray::ReadOnly, Astray::Absent];

impl Try {
    pub(crate) fn plain() -> Self {
        Self::new(Way::Plain, EVERY, 0)
    }

    /// One call without something, or every one, from the `countdown`th time on that it asks for it.
    pub(crate) fn short(supply: Supply, countdown: u64, target: u64) -> Self {
        Self::new(Way::Short(supply, countdown), target, 0)
    }

    /// All calls with one address that leads astray, into `traps`: that with this number.
    pub(crate) fn astray(astray: Astray, traps: u64, which: u64) -> Self {
        Self::new(Way::Astray(astray), which, traps)
    }

    fn new(way: Way, target: u64, traps: u64) -> Self {
        Self { way, target, traps, made: Cell::new(0), reached: Cell::new(false), refused: Cell::new(false) }
    }

    /// Memory for addresses that lead astray: a page to read and write, one to read, and one of a file. Behind each is nothing.
    pub(crate) fn traps(user: &mut User) -> u64 {
        let at = map(user, 6 * PAGE);
        for page in [1, 3, 5] {
            user.call(NR_MUNMAP, &[at + page * PAGE, PAGE]).unwrap();
        }
        user.store(at + 2 * PAGE, &[0]);
        user.call(NR_MPROTECT, &[at + 2 * PAGE, PAGE, 1]).unwrap();
        let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE;
        let file = open_at(user, Handle::CWD, "/tmp/trap", flags).unwrap();
        user.store(at, &file.to_le_bytes());
        user.call(NR_SET_SIZE, &[file, PAGE]).unwrap();
        at
    }

    pub(crate) fn call(&self, user: &mut User, number: u64, arguments: &[u64]) -> u64 {
        self.call_with(user, number, arguments, &[])
    }

    /// A call whose records have further addresses, at `inner`.
    pub(crate) fn call_with(&self, user: &mut User, number: u64, arguments: &[u64], inner: &[u64]) -> u64 {
        self.until_made(user, number, |user, way| match way {
            Way::Astray(astray) => self.lead_astray(user, number, arguments, inner, astray),
            Way::Plain | Way::Short(..) => user.call(number, arguments),
        })
    }

    /// A call that a signal ends.
    pub(crate) fn interrupted(&self, user: &mut User, number: u64, arguments: &[u64]) {
        self.until_made(user, number, |user, _| match user.call(number, arguments) {
            Err(Errno::INTR) => Ok(0),
            other => other,
        });
    }

    /// Becomes another program; returns only if that can't be for want of something.
    pub(crate) fn exec(&self, user: &mut User, arguments: &[u64], inner: &[u64]) {
        let refused = self.attempt(user, NR_EXEC, |user, way| match way {
            Way::Astray(astray) => self.lead_astray(user, NR_EXEC, arguments, inner, astray),
            Way::Plain | Way::Short(..) => user.call(NR_EXEC, arguments),
        });
        assert_eq!(refused, None);
    }

    /// A fork. The child finds with [`Self::of_parent`] how it makes its calls.
    pub(crate) fn fork(&self, user: &mut User, child: Program) -> u64 {
        self.bequeath(user);
        self.until_made(user, NR_FORK, |user, _| user.fork(child))
    }

    /// A child that makes some of the calls of this deed; it is there whatever runs out.
    pub(crate) fn child(&self, user: &mut User, child: Program) {
        self.bequeath(user);
        let pid = user.fork(child).unwrap();
        self.join(user, pid);
    }

    fn bequeath(&self, user: &mut User) {
        let (kind, which, countdown) = match self.way {
            Way::Plain => (0, 0, 0),
            Way::Short(supply, countdown) => {
                (1, SUPPLIES.iter().position(|&other| other == supply).unwrap(), countdown)
            }
            Way::Astray(astray) => (2, STRAYS.iter().position(|&other| other == astray).unwrap(), 0),
        };
        let target = match (self.way, self.target) {
            // What came before was made here.
            (Way::Short(..), target) if target != EVERY => {
                target.wrapping_sub(self.made.get()).min(EVERY - 1)
            }
            (_, target) => target,
        };
        let at = legacy(user);
        user.store(at, &[kind, which as u64, countdown, target, self.traps].map(u64::to_le_bytes).concat());
    }

    pub(crate) fn of_parent(user: &mut User) -> Self {
        let at = legacy(user);
        let [kind, which, countdown, target, traps] =
            [0, 8, 16, 24, 32].map(|offset| user.load_u64(at + offset));
        match kind {
            0 => Self::plain(),
            1 => Self::short(SUPPLIES[which as usize], countdown, target),
            _ => Self::astray(STRAYS[which as usize], traps, target),
        }
    }

    /// Ends a child that came to `self` by [`Self::of_parent`].
    pub(crate) fn leave(&self, user: &mut User) {
        let status = [self.reached.get(), self.refused.get()].map(u64::from);
        user.call(NR_EXIT, &[status[0] | status[1] << 1 | self.made.get() << 2]).unwrap();
    }

    /// Ends what a child became.
    pub(crate) fn leave_after_exec(user: &mut User) {
        // Whether the call that made it this program was short of something; nothing is from now on.
        let reached = SUPPLIES.map(|supply| user.fail_after(supply, 0)).contains(&1);
        user.call(NR_EXIT, &[u64::from(reached) | 1 << 2]).unwrap();
    }

    /// Waits for a child and hears how it went on with it. When memory runs out it may be ended.
    pub(crate) fn join(&self, user: &mut User, pid: u64) {
        match (wait(user, pid), self.way) {
            ((0, code), _) => {
                self.reached.set(self.reached.get() || code & 1 != 0);
                self.refused.set(self.refused.get() || code & 2 != 0);
                self.made.set(self.made.get() + (code >> 2) as u64);
            }
            ((1, 9), Way::Short(supply, _)) => {
                user.fail_after(supply, 0);
                self.reached.set(true);
            }
            (ended, way) => panic!("the child ended: {ended:?} ({way:?})"),
        }
    }

    /// Makes a call, and again if it was refused: then nothing is in its way.
    fn until_made(
        &self,
        user: &mut User,
        number: u64,
        make: impl Fn(&mut User, Way) -> Result<u64, Errno>,
    ) -> u64 {
        if let Some(value) = self.attempt(user, number, &make) {
            return value;
        }
        make(user, Way::Plain).unwrap_or_else(|errno| panic!("call {number} after {:?}: {errno}", self.way))
    }

    /// Makes a call; `None` = it was refused.
    fn attempt(
        &self,
        user: &mut User,
        number: u64,
        make: impl Fn(&mut User, Way) -> Result<u64, Errno>,
    ) -> Option<u64> {
        let turn = self.made.replace(self.made.get() + 1);
        let Way::Short(supply, countdown) = self.way else {
            let value = make(user, self.way);
            let value = value.unwrap_or_else(|errno| panic!("call {number} ({:?}): {errno}", self.way));
            if self.way == Way::Plain {
                MADE.lock().unwrap().insert(number);
            }
            return Some(value);
        };
        if self.target != EVERY && turn != self.target {
            let value = make(user, Way::Plain);
            return Some(
                value.unwrap_or_else(|errno| panic!("call {number}, beside {:?}: {errno}", self.way)),
            );
        }
        user.fail_after(supply, countdown);
        let result = make(user, self.way);
        if user.fail_after(supply, 0) == 1 {
            self.reached.set(true);
        }
        match result {
            Ok(value) => Some(value),
            Err(Errno::NOMEM | Errno::NOSPC | Errno::NOBUFS) => {
                self.refused.set(true);
                None
            }
            // A signal with a value needs a place in a queue.
            Err(Errno::AGAIN) if number == NR_SIGNAL_QUEUE => None,
            Err(errno) => panic!("call {number} ({:?}): {errno}", self.way),
        }
    }

    /// Makes a call with one of its addresses replaced; if that is refused, as it is.
    fn lead_astray(
        &self,
        user: &mut User,
        number: u64,
        arguments: &[u64],
        inner: &[u64],
        astray: Astray,
    ) -> Result<u64, Errno> {
        let own: Vec<usize> = addresses(number)
            .into_iter()
            .filter(|&at| arguments.get(at).is_some_and(|&address| address != 0))
            .collect();
        let which = self.target as usize;
        let futex = matches!(number, NR_FUTEX_WAIT | NR_FUTEX_WAKE | NR_FUTEX_REQUEUE | NR_FUTEX_WAIT_UNTIL);
        if futex && number != NR_FUTEX_WAKE && !matches!(astray, Astray::Unmapped | Astray::Edge(1)) {
            // Who waits there is not woken any more.
            return user.call(number, arguments);
        }
        assert!(own.len() + inner.len() <= ADDRESSES_MAX as usize, "call {number} has more addresses");
        let mut changed = arguments.to_vec();
        let (address, trap, laid, result);
        if let Some(&at) = own.get(which) {
            address = arguments[at];
            (trap, laid) = self.lay(user, address, astray);
            changed[at] = trap;
            result = user.call(number, &changed);
        } else if let Some(&place) = inner.get(which.wrapping_sub(own.len())) {
            address = user.load_u64(place);
            (trap, laid) = self.lay(user, address, astray);
            user.store(place, &trap.to_le_bytes());
            result = user.call(number, arguments);
            user.store(place, &address.to_le_bytes());
        } else {
            return user.call(number, arguments);
        }
        match result {
            Ok(value) => {
                take_over(user, trap, address, &laid);
                return Ok(value);
            }
            // It has answered before it showed that what it receives has no place, and answers no second time.
            Err(Errno::FAULT)
                if number == NR_ENDPOINT_REPLY_RECEIVE && astray == Astray::ReadOnly && which == 1 =>
            {
                return Ok(0);
            }
            Err(Errno::FAULT) => {
                // Longer than what is there, perhaps.
                let whole = own.get(which).and_then(|&at| arguments.get(at + 1));
                let there = whole.is_some_and(|&length| length <= PAGE - address % PAGE);
                assert!(
                    !there || astray != Astray::Absent,
                    "call {number}, address {which}: what is there is refused"
                );
            }
            // Not aligned, which is looked at first.
            Err(Errno::INVAL) if futex && matches!(astray, Astray::Edge(_)) => {}
            Err(errno) => panic!("call {number} with address {which} ({astray:?}): {errno}"),
        }
        user.call(number, arguments)
    }

    /// Lays what is at an address where that is led astray to. Also returns what may be written there.
    fn lay(&self, user: &mut User, address: u64, astray: Astray) -> (u64, Vec<u8>) {
        match astray {
            Astray::Unmapped => (self.traps + PAGE + address % PAGE, Vec::new()),
            Astray::Edge(bytes) => {
                let at = self.traps + PAGE - bytes;
                let content = user.load(address, bytes as usize);
                user.store(at, &content);
                (at, content)
            }
            Astray::ReadOnly => {
                let page = self.traps + 2 * PAGE;
                let at = page + address % PAGE;
                let content = user.load(address, (PAGE - address % PAGE) as usize);
                user.call(NR_MPROTECT, &[page, PAGE, READ_WRITE]).unwrap();
                user.store(at, &content);
                user.call(NR_MPROTECT, &[page, PAGE, 1]).unwrap();
                (at, Vec::new())
            }
            Astray::Absent => {
                let (file, page) = (user.load_u64(self.traps), self.traps + 4 * PAGE);
                let (offset, rest) = (address % PAGE, PAGE - address % PAGE);
                let content = user.load(address, rest as usize);
                user.call(NR_PWRITE, &[file, address, rest, offset]).unwrap();
                let flags = u64::from((MapFlags::SHARED | MapFlags::FIXED).bits());
                user.call(NR_MMAP, &[page, PAGE, READ_WRITE, flags, file, 0]).unwrap();
                (page + offset, content)
            }
        }
    }

    /// A call that is given a path, which lies in memory already.
    pub(crate) fn at_path(&self, user: &mut User, number: u64, path: &str, rest: &[u64]) -> u64 {
        let at = user.stack() - 4096;
        user.store(at, path.as_bytes());
        let arguments = [&[Handle::CWD.0, at, path.len() as u64], rest].concat();
        self.call(user, number, &arguments)
    }

    pub(crate) fn open(&self, user: &mut User, path: &str, flags: OpenFlags) -> u64 {
        self.at_path(user, NR_OPEN, path, &[u64::from(flags.bits()), 0o600])
    }
}

/// What a call wrote to where it was led comes to where it should have gone.
fn take_over(user: &mut User, trap: u64, address: u64, laid: &[u8]) {
    if !laid.is_empty() {
        let content = user.load(trap, laid.len());
        if content != laid {
            user.store(address, &content);
        }
    }
}
