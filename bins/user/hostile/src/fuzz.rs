//! Starts processes that make random calls, ends them and what they leave, counts their calls, and looks what is left.

use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::Ordering::Relaxed;

use swos_ulib::{
    abi::{CALLS, CallEntry, Capabilities, Errno, Handle, Node, Rights, SIGKILL},
    fs,
    memory::{MemoryObject, SharedMapping, Use},
    println,
    process::{self, Child, Command},
    system,
    testing::{Report, equal, text},
    thread,
    time::{Duration, Instant},
};

use crate::random::{self, ANY, TALLY};

/// What a process that calls may be, together with all that it starts.
const FUZZERS: u32 = 16;
/// Calls of one number that such a process makes in an ordinary run.
const FEW: u64 = 400;
/// Calls that it makes at most in a long one.
const MANY: u64 = 4000;
/// Processes that make any calls at the same time.
const LANES: usize = 4;
/// How often a process may have made no call since it was looked at before it is taken for one that waits for ever.
const STILL: u32 = 10;
/// So many of them are replaced before what they left is ended.
const SWEEP: u32 = 8;
/// In how many tests the calls of any kind are made: the machine is not to be silent for too long.
const PARTS: u64 = 10;
/// After how many parts something may be missing: there were more of a thing at once than ever before, and a table grew.
const GROWTHS: u32 = 2;
/// In [`ProcessInfo::state`](swos_ulib::abi::ProcessInfo): ended, and not waited for.
const ENDED: u32 = 2;
const TICK: Duration = Duration::from_millis(2);

/// The processes that call, and where they count.
pub(crate) struct Search<'a> {
    object: MemoryObject,
    tally: SharedMapping,
    bystanders: &'a [Child],
    capabilities: Capabilities,
    /// Memory of each process.
    memory: u64,
    seed: u64,
}

/// One of those that run at the same time.
struct Lane {
    child: Child,
    seen: u32,
    still: u32,
}

impl<'a> Search<'a> {
    /// # Errors
    ///
    /// No memory.
    pub(crate) fn new(bystanders: &'a [Child]) -> Result<Self, Errno> {
        let object = MemoryObject::new(4096)?;
        let tally = object.map(Use::Write)?;
        let capabilities = Capabilities::FS_READ | Capabilities::NET | Capabilities::SPAWN;
        Ok(Self { object, tally, bystanders, capabilities, memory: 32 << 20, seed: 1 })
    }

    /// Calls that came back so far.
    fn made(&self) -> u64 {
        self.tally.words().iter().take(LANES).map(|word| u64::from(word.load(Relaxed))).sum()
    }

    fn in_lane(&self, lane: usize) -> u32 {
        self.tally.words().get(lane).map_or(0, |word| word.load(Relaxed))
    }

    /// Starts a process that has little.
    fn start(&mut self, number: u64, count: u64, lane: usize) -> Result<Child, Errno> {
        let words = [number, count, self.seed].map(|word| format!("{word}"));
        self.seed += 1;
        let [number, count, seed] = words;
        let mut command = Command::new(crate::SELF);
        // No stream that it could write into the middle of the report.
        command.args(["fuzz", &number, &count, &seed, &format!("{lane}")]);
        command.handle(2, Handle::STDERR, Rights::empty());
        command.handle(
            TALLY,
            self.object.handle(),
            Rights::READ | Rights::WRITE | Rights::MAP | Rights::GETATTR,
        );
        command.capabilities(self.capabilities).limits(self.memory, 64, 8).process_limit(FUZZERS);
        command.spawn()
    }

    /// Random arguments for one call, from one process. It may end, die or hang, and so may what it starts; the system must not.
    fn once(&mut self, number: u64, count: u64) -> Result<(), String> {
        let child = self.start(number, count, 0).map_err(text)?;
        let (mut seen, mut still) = (self.made(), 0);
        while child.wait_timeout(TICK).err() == Some(Errno::TIMEDOUT) {
            still = if self.made() == seen { still + 1 } else { 0 };
            seen = self.made();
            if still == STILL {
                // It waits for something that never comes, as it asked to.
                child.kill().map_err(text)?;
                child.wait().map_err(text)?;
                break;
            }
        }
        self.end_others(&[])
    }

    /// One process for each call.
    pub(crate) fn each_once(&mut self, report: &mut Report) {
        for call in kinds() {
            report.test(call.name, || self.once(call.number, FEW));
        }
    }

    /// So many calls of one number, as far as it can be done by a bounded number of processes.
    fn some(&mut self, number: u64, share: u64) -> Result<(), String> {
        const PROCESSES: u32 = 40;
        let target = self.made() + share;
        for _ in 0..PROCESSES {
            if self.made() >= target {
                break;
            }
            self.once(number, share.min(MANY))?;
        }
        Ok(())
    }

    /// Calls of all kinds from several processes at once, until so many were made.
    fn mixed(&mut self, target: u64) -> Result<(), String> {
        let mut lanes = (0..LANES).map(|number| self.lane(number)).collect::<Result<Vec<_>, _>>()?;
        let mut ended = 0_u32;
        while self.made() < target {
            thread::sleep(TICK);
            for (number, lane) in lanes.iter_mut().enumerate() {
                let now = self.in_lane(number);
                lane.still = if now == lane.seen { lane.still + 1 } else { 0 };
                lane.seen = now;
                if lane.child.try_wait().map_err(text)?.is_none() {
                    if lane.still < STILL {
                        continue;
                    }
                    lane.child.kill().map_err(text)?;
                    lane.child.wait().map_err(text)?;
                }
                *lane = self.lane(number)?;
                ended += 1;
            }
            if ended >= SWEEP {
                ended = 0;
                self.end_others(&lanes.iter().map(|lane| lane.child.id()).collect::<Vec<_>>())?;
            }
        }
        for lane in lanes {
            // It may have ended just now.
            let _gone = lane.child.kill();
            lane.child.wait().map_err(text)?;
        }
        self.end_others(&[])
    }

    fn lane(&mut self, number: usize) -> Result<Lane, String> {
        let child = self.start(ANY, MANY, number).map_err(text)?;
        Ok(Lane { child, seen: self.in_lane(number), still: 0 })
    }

    /// Ends everybody but init, this process, the bystanders and these: what fuzzers left. While some are ended others are made, but
    /// never more than their limit.
    fn end_others(&self, ours: &[u32]) -> Result<(), String> {
        let is_ours = |pid: u32| {
            [1, process::id()].contains(&pid)
                || ours.contains(&pid)
                || self.bystanders.iter().any(|child| child.id() == pid)
        };
        let start = Instant::now();
        loop {
            let mut left = None;
            for process in system::processes() {
                let process = process.map_err(text)?;
                // What ours made just now, and what ended and waits for one of them, is their own affair.
                let theirs = process.state == ENDED || ours.contains(&process.parent);
                if !is_ours(process.pid) && (ours.is_empty() || !theirs) {
                    // One that has ended meanwhile can't be found.
                    let killed = swos_ulib::sys::kill(process.pid.into(), SIGKILL);
                    left = Some((process, killed));
                }
            }
            let Some(left) = left else { return Ok(()) };
            if start.elapsed() > Duration::from_secs(30) {
                return Err(format!("can't be ended: {left:?}"));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The calls that are made.
fn kinds() -> impl Iterator<Item = &'static CallEntry> {
    CALLS.iter().filter(|call| random::is_fuzzed(call.number))
}

/// Memory that can be handed out, processes, threads, sockets, objects.
type Figures = (u64, u32, u32, u32, u32);

/// What there is once the kernel has tidied up: the same figures twice.
fn figures() -> Result<Figures, String> {
    let mut before = None;
    for _ in 0..200 {
        let info = system::system_info().map_err(text)?;
        let now =
            (info.memory_free + info.memory_cached, info.processes, info.threads, info.sockets, info.objects);
        if before.replace(now) == Some(now) {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(20));
    }
    before.ok_or_else(|| "no figures".into())
}

/// Removes what fuzzers made in a directory, whatever they made of its mode.
fn clean(directory: &str) -> Result<(), String> {
    let names: Vec<_> = fs::read_dir(directory).map_err(text)?.filter_map(Result::ok).collect();
    for entry in names {
        let path = format!("{directory}/{}", String::from_utf8_lossy(&entry.name));
        if entry.kind == Node::DIRECTORY {
            fs::set_permissions(&path, 0o700).map_err(text)?;
            clean(&path)?;
            fs::remove_dir(&path).map_err(text)?;
        } else {
            fs::remove_file(&path).map_err(text)?;
        }
    }
    Ok(())
}

/// `count` calls in all, by dice that `seed` gives: a quarter so many of each number, again a quarter, then any. After the first quarter
/// the kernel has the tables that it keeps; from then on what is missing after a part may only be a table that grew.
pub(crate) fn long(report: &mut Report, bystanders: &[Child], count: u64, seed: u64) {
    let mut search = match Search::new(bystanders) {
        Ok(search) => search,
        Err(errno) => return report.test("a tally", || Err(text(errno))),
    };
    let base = seed.wrapping_mul(1_000_000);
    search.seed = base;
    // All but to switch the machine off, and to become somebody whom this process may not end.
    search.capabilities = Capabilities::all()
        .difference(Capabilities::CONSOLE | Capabilities::LOGIN | Capabilities::PROCESS_INSPECT);
    search.memory = 24 << 20;
    let share = count / 4 / kinds().count() as u64;
    let mut last = None;
    let mut grown = 0;
    let mut same = || {
        clean("/tmp")?;
        let now = figures()?;
        let before = last.replace(now).unwrap_or(now);
        grown += u32::from(now != before);
        if grown > GROWTHS { equal(now, before) } else { Ok(()) }
    };
    for call in kinds() {
        report.test(&format!("first {}", call.name), || search.some(call.number, share));
    }
    report.test("calls of any kind first", || search.mixed(search.made() + count / 20));
    for call in kinds() {
        report.test(call.name, || search.some(call.number, share).and_then(|()| same()));
    }
    let first = search.made();
    for part in 1..=PARTS {
        let target = first + count.saturating_sub(first) * part / PARTS;
        report.test(&format!("calls of any kind {part} of {PARTS}"), || {
            search.mixed(target).and_then(|()| same())
        });
    }
    report.test("as many calls as were asked for", || {
        let made = search.made();
        println!("@calls {made} by seed {seed}, in {} processes; left {:?}", search.seed - base, figures());
        equal(made >= count, true)
    });
}
