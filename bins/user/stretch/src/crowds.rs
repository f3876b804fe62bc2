//! Many processes, many threads: those that are told something, those that are listed, those that end.

use alloc::{string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{
        Capabilities, Errno, Handle, OpenFlags, PID_GROUP, SIG_BLOCK, SIG_UNBLOCK, SIGCONT, SIGRTMIN,
        SIGSTOP, SIGTERM, SIGUSR1, SignalSet, WAIT_NO_HANG,
    },
    process::{Command, Fork, fork},
    sys,
    testing::text,
    thread,
    time::Duration,
};

use crate::{Case, child_ends, this_program, threads};

pub(crate) const CASES: &[Case] = &[
    ("signal-a-group-of-500", signal_group),
    ("list-500-processes", list),
    ("end-with-500-zombies", || child_ends("zombies")),
    ("wait-beside-500-zombies", wait_beside),
    ("end-of-a-session", || child_ends("session")),
    ("end-below-300-generations", || child_ends("generations")),
    ("signals-to-4000-threads", || child_ends("blocked")),
    ("stop-4000-threads", stop),
    ("exec-with-4000-threads", || child_ends("exec")),
    ("fork-with-4000-threads", || child_ends("fork-of-threads")),
    ("signals-queued", queued),
    ("4000-futexes", || child_ends("words")),
];

const PROCESSES: usize = 500;

/// Many children that do the same, each in this group; 0 = in one of its own.
fn children(deed: &str, group: u32) -> Result<Vec<swos_ulib::process::Child>, String> {
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        children.push(this_program(deed).process_group(group).spawn().map_err(text)?);
    }
    Ok(children)
}

fn signal_group() -> Result<(), String> {
    let leader = this_program("waiter").process_group(0).spawn().map_err(text)?;
    let others = children("waiter", leader.id())?;
    let group = u64::from(leader.id()) | PID_GROUP;
    for signal in [0, SIGSTOP, SIGCONT, SIGUSR1] {
        sys::kill(group, signal).map_err(text)?;
    }
    for child in others.into_iter().chain([leader]) {
        child.wait().map_err(text)?;
    }
    Ok(())
}

/// In `/sys`, and what is said of each.
fn list() -> Result<(), String> {
    let children = children("waiter", 0)?;
    let directory =
        sys::open(Handle::CWD, b"/sys/processes", OpenFlags::READ | OpenFlags::DIRECTORY, 0).map_err(text)?;
    let mut buffer = vec![0; 1 << 16];
    while sys::readdir(directory, &mut buffer).map_err(text)? > 0 {}
    sys::close(directory).map_err(text)?;
    for child in children {
        child.kill().map_err(text)?;
        child.wait().map_err(text)?;
    }
    Ok(())
}

fn make_zombies() -> Result<(), String> {
    children("nothing", 0)?;
    // Until all of them have ended.
    thread::sleep(Duration::from_millis(200));
    Ok(())
}

pub(crate) fn zombies() -> Result<(), String> {
    make_zombies()
}

/// Children that have ended are many, and none of them is of the group that is waited for.
fn wait_beside() -> Result<(), String> {
    make_zombies()?;
    let other = this_program("waiter").process_group(0).spawn().map_err(text)?;
    let group = u64::from(other.id()) | PID_GROUP;
    for _ in 0..2 {
        sys::wait(group, WAIT_NO_HANG).map_err(text)?;
    }
    other.kill().map_err(text)?;
    other.wait().map(drop).map_err(text)
}

/// The leader of a session with many in it.
pub(crate) fn session() -> Result<(), String> {
    sys::setsid().map_err(text)?;
    children("waiter", 0).map(drop)
}

/// Each process has a child; the first one signals all of them, and ends.
pub(crate) fn generations() -> Result<(), String> {
    const GENERATIONS: usize = 300;
    sys::setpgid(0, 0).map_err(text)?;
    let first = sys::getpid().map_err(text)?;
    let ends = sys::pipe(0).map_err(text)?;
    for _ in 0..GENERATIONS {
        match fork().map_err(text)? {
            Fork::Child => {}
            Fork::Parent(_) if sys::getpid().map_err(text)? == first => {
                // The last one closes nothing, but says that it is there.
                sys::read(ends.reader, &mut [0]).map_err(text)?;
                sys::signal_ignore(SIGUSR1).map_err(text)?;
                // Who may see others needs no search for whose child they are.
                sys::capabilities_drop(Capabilities::SPAWN).map_err(text)?;
                for signal in [0, SIGUSR1] {
                    sys::kill(u64::from(first) | PID_GROUP, signal).map_err(text)?;
                }
                return Ok(());
            }
            Fork::Parent(_) => {
                threads::for_ever();
                return Ok(());
            }
        }
    }
    sys::write(ends.writer, &[1]).map_err(text)?;
    threads::for_ever();
    Ok(())
}

/// Threads that all block a signal which comes to their process; then one that does not.
pub(crate) fn blocked() -> Result<(), String> {
    let set = SignalSet::of(&[SIGUSR1, SIGCONT, SIGTERM]);
    sys::signal_mask(SIG_BLOCK, set).map_err(text)?;
    threads::crowd()?;
    let own = u64::from(sys::getpid().map_err(text)?);
    for signal in [SIGUSR1, SIGCONT, SIGTERM] {
        sys::kill(own, signal).map_err(text)?;
    }
    // To the last one and to nobody.
    for tid in [u32::MAX, threads::last()] {
        match sys::thread_kill(tid, 0) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(text(errno)),
        }
        match sys::thread_info(0, tid) {
            Ok(_) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(text(errno)),
        }
    }
    // What waits is thrown away, at each.
    sys::signal_ignore(SIGTERM).map_err(text)?;
    sys::signal_ignore(SIGUSR1).map_err(text)?;
    // To be taken by the only one that does not block it, which then does.
    sys::signal_mask(SIG_UNBLOCK, set).map_err(text)?;
    sys::signal_mask(SIG_BLOCK, set).map_err(text)?;
    Ok(())
}

fn stop() -> Result<(), String> {
    let child = this_program("killed").spawn().map_err(text)?;
    while sys::system_info().map_err(text)?.threads < threads::THREADS {
        thread::sleep(Duration::from_millis(1));
    }
    for signal in [SIGSTOP, SIGCONT, SIGSTOP] {
        child.signal(signal).map_err(text)?;
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().map_err(text)?;
    child.wait().map(drop).map_err(text)
}

pub(crate) fn exec() -> Result<(), String> {
    threads::crowd()?;
    let mut command = Command::new("/bin/stretch");
    Err(text(command.args(["child", "nothing"]).exec()))
}

pub(crate) fn fork_of_threads() -> Result<(), String> {
    threads::crowd()?;
    match fork().map_err(text)? {
        Fork::Child => Ok(()),
        Fork::Parent(child) => child.wait().map(drop).map_err(text),
    }
}

/// As many signals as may wait, thrown away at once.
fn queued() -> Result<(), String> {
    let own = u64::from(sys::getpid().map_err(text)?);
    sys::signal_mask(SIG_BLOCK, SignalSet(u64::MAX)).map_err(text)?;
    for value in 0..100_000 {
        match sys::signal_queue(own, SIGRTMIN, value) {
            Ok(()) => {}
            Err(Errno::AGAIN) => break,
            Err(errno) => return Err(text(errno)),
        }
    }
    sys::signal_ignore(SIGRTMIN).map_err(text)
}

/// Threads that each wait for a word of their own.
pub(crate) fn words() -> Result<(), String> {
    threads::each_at_a_word()
}
