//! Process groups, sessions, stop and continue, waits with a time-out.

use alloc::string::String;

use swos_ulib::{
    abi::{Capabilities, Errno, Rights},
    io::{self, Read as _, Write as _},
    pipe::{PipeReader, pipe},
    process::{self, Child},
    signal::{self, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1, SignalSet},
    system,
    testing::{equal, text},
    thread,
    time::Duration,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "groups",
    checks: &[
        ("a child is in its parent's group", inherited),
        ("a child starts a group", own_group),
        ("a child enters a group", entered),
        ("a group is signalled and others are not", signalled),
        ("a group is waited for", group_wait),
        ("what is no group is refused", no_group),
        ("a leader stays", leader),
        ("a session starts once", session),
        ("a stranger is not there", stranger),
        ("signal 0 only asks", probe),
        ("a wait ends in time", in_time),
        ("a stop and its end are reported", reported),
        ("what is stopped stands still", still),
        ("a stop from the terminal can be blocked", terminal),
        ("a stopped process can be killed", killed),
        ("a parent hears of stops", heard),
        ("a stop that waits is cancelled by continuing", cancelled),
    ],
    child,
};

const SECOND: Duration = Duration::from_secs(5);

fn child(deed: &str) -> i32 {
    match deed {
        "pause" => loop {
            thread::sleep(Duration::from_secs(1));
        },
        "session" => match (process::start_session(), process::start_session()) {
            (Ok(new), Err(Errno::PERM)) if new == process::id() => i32::from(process::group_of(0) != Ok(new)),
            _ => 1,
        },
        "tick" => loop {
            if io::stdout().write_all(b".").is_err() {
                return 0;
            }
            thread::sleep(Duration::from_millis(1));
        },
        "block" => {
            let Ok(_guard) = signal::block(SignalSet::of(&[SIGTSTP])) else { return 1 };
            let _ready = io::stdout().write_all(b"!");
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
        "stranger" => {
            let answers =
                [signal::kill(1, 0), process::group_of(1).map(drop), process::session_of(1).map(drop)];
            i32::from(answers != [Err(Errno::SRCH); 3])
        }
        _ => UNKNOWN,
    }
}

/// A child that waits, in process group `group`, or its parent's.
fn pause(group: Option<u32>) -> Result<Child, String> {
    let mut command = crate::child(AREA.name, "pause");
    if let Some(group) = group {
        command.process_group(group);
    }
    command.spawn().map_err(text)
}

fn end(running: &Child) -> Result<(), String> {
    running.kill().map_err(text)?;
    equal(running.wait().map_err(text)?.signal(), Some(9))
}

fn inherited() -> Result<(), String> {
    let running = pause(None)?;
    let own = process::group_of(0).map_err(text)?;
    equal(process::group_of(running.id()), Ok(own))?;
    equal(process::session_of(running.id()), process::session_of(0))?;
    end(&running)
}

fn own_group() -> Result<(), String> {
    let running = pause(Some(0))?;
    equal(process::group_of(running.id()), Ok(running.id()))?;
    equal(process::session_of(running.id()), process::session_of(0))?;
    end(&running)?;
    let running = pause(None)?;
    process::set_group(running.id(), 0).map_err(text)?;
    equal(process::group_of(running.id()), Ok(running.id()))?;
    end(&running)
}

fn entered() -> Result<(), String> {
    let first = pause(Some(0))?;
    let second = pause(Some(first.id()))?;
    let third = pause(None)?;
    process::set_group(third.id(), first.id()).map_err(text)?;
    for one in [&second, &third] {
        equal(process::group_of(one.id()), Ok(first.id()))?;
    }
    // The name lives as long as a member.
    end(&first)?;
    let fourth = pause(Some(first.id()))?;
    for one in [&second, &third, &fourth] {
        end(one)?;
    }
    equal(pause(Some(first.id())).err().is_some(), true)
}

fn signalled() -> Result<(), String> {
    let first = pause(Some(0))?;
    let second = pause(Some(first.id()))?;
    let other = pause(Some(0))?;
    signal::kill_group(first.id(), SIGTERM).map_err(text)?;
    for one in [&first, &second] {
        equal(one.wait().map_err(text)?.signal(), Some(SIGTERM.cast_signed()))?;
    }
    equal(other.wait_timeout(Duration::from_millis(5)), Err(Errno::TIMEDOUT))?;
    end(&other)
}

fn group_wait() -> Result<(), String> {
    let other = pause(Some(0))?;
    let first = pause(Some(0))?;
    let second = pause(Some(first.id()))?;
    other.kill().map_err(text)?;
    signal::kill_group(first.id(), SIGKILL).map_err(text)?;
    let mut ended = [0; 2];
    for slot in &mut ended {
        *slot = process::wait_group(first.id()).map_err(text)?.0.pid;
    }
    ended.sort_unstable();
    equal(ended, [first.id(), second.id()])?;
    equal(process::wait_group(first.id()).err(), Some(Errno::CHILD))?;
    equal(other.wait().map_err(text)?.signal(), Some(9))
}

fn no_group() -> Result<(), String> {
    let running = pause(None)?;
    equal(process::set_group(running.id(), 999_999), Err(Errno::PERM))?;
    equal(signal::kill_group(999_999, SIGTERM), Err(Errno::SRCH))?;
    equal(process::set_group(999_999, 0), Err(Errno::SRCH))?;
    equal(process::group_of(999_999), Err(Errno::SRCH))?;
    end(&running)
}

fn leader() -> Result<(), String> {
    let mut command = crate::child(AREA.name, "session");
    equal(command.process_group(0).status().map_err(text)?.code(), Some(1))
}

fn session() -> Result<(), String> {
    equal(crate::child(AREA.name, "session").status().map_err(text)?.code(), Some(0))
}

fn stranger() -> Result<(), String> {
    equal(crate::child(AREA.name, "stranger").status().map_err(text)?.code(), Some(0))
}

fn probe() -> Result<(), String> {
    let running = pause(None)?;
    equal(signal::kill(running.id(), 0), Ok(()))?;
    equal(signal::kill(running.id(), 65), Err(Errno::INVAL))?;
    end(&running)?;
    equal(signal::kill(running.id(), 0), Err(Errno::SRCH))
}

fn in_time() -> Result<(), String> {
    equal(process::wait_any_timeout(Duration::from_millis(1)).err(), Some(Errno::CHILD))?;
    let running = pause(None)?;
    equal(process::wait_any_timeout(Duration::ZERO).err(), Some(Errno::TIMEDOUT))?;
    equal(process::wait_any_timeout(Duration::from_millis(3)).err(), Some(Errno::TIMEDOUT))?;
    running.kill().map_err(text)?;
    equal(process::wait_any_timeout(SECOND).map(|status| status.0.pid), Ok(running.id()))
}

/// Waits until a child tells that it stopped.
fn stopped(running: &Child, by: u32) -> Result<(), String> {
    equal(running.wait_change(SECOND).map(|status| status.stopped()), Ok(Some(by.cast_signed())))
}

fn reported() -> Result<(), String> {
    let running = pause(None)?;
    for by in [SIGSTOP, SIGTSTP] {
        running.signal(by).map_err(text)?;
        stopped(&running, by)?;
        // Once; and it has not ended.
        equal(running.wait_change(Duration::ZERO), Err(Errno::TIMEDOUT))?;
        running.signal(SIGCONT).map_err(text)?;
        equal(running.wait_change(SECOND).map(|status| status.continued()), Ok(true))?;
        equal(running.wait_change(Duration::ZERO), Err(Errno::TIMEDOUT))?;
    }
    end(&running)
}

/// A child whose output this gets.
fn with_output(deed: &str) -> Result<(Child, PipeReader), String> {
    let (reader, writer) = pipe().map_err(text)?;
    let running =
        crate::child(AREA.name, deed).handle(1, writer.handle(), Rights::WRITE).spawn().map_err(text)?;
    Ok((running, reader))
}

fn still() -> Result<(), String> {
    let (running, mut reader) = with_output("tick")?;
    reader.read_exact(&mut [0; 3]).map_err(text)?;
    running.signal(SIGSTOP).map_err(text)?;
    stopped(&running, SIGSTOP)?;
    thread::sleep(Duration::from_millis(5));
    reader.set_blocking(swos_ulib::handle::Blocking::Never).map_err(text)?;
    while reader.read(&mut [0; 64]).is_ok() {}
    thread::sleep(Duration::from_millis(20));
    equal(reader.read(&mut [0; 64]), Err(io::Error::Os(Errno::AGAIN)))?;
    running.signal(SIGCONT).map_err(text)?;
    reader.set_blocking(swos_ulib::handle::Blocking::Wait).map_err(text)?;
    reader.read_exact(&mut [0; 3]).map_err(text)?;
    end(&running)
}

fn terminal() -> Result<(), String> {
    let (running, mut reader) = with_output("block")?;
    reader.read_exact(&mut [0]).map_err(text)?;
    running.signal(SIGTSTP).map_err(text)?;
    equal(running.wait_change(Duration::from_millis(5)), Err(Errno::TIMEDOUT))?;
    end(&running)
}

fn killed() -> Result<(), String> {
    let running = pause(None)?;
    running.signal(SIGSTOP).map_err(text)?;
    stopped(&running, SIGSTOP)?;
    // What it would end by waits until it goes on; this does not.
    running.signal(SIGTERM).map_err(text)?;
    equal(running.wait_timeout(Duration::from_millis(5)), Err(Errno::TIMEDOUT))?;
    end(&running)
}

fn heard() -> Result<(), String> {
    let set = SignalSet::of(&[SIGCHLD]);
    let _guard = signal::block(set).map_err(text)?;
    let running = pause(None)?;
    for (by, code) in [(SIGSTOP, swos_ulib::abi::CLD_STOPPED), (SIGCONT, swos_ulib::abi::CLD_CONTINUED)] {
        running.signal(by).map_err(text)?;
        let info = signal::wait_timeout(set, SECOND).map_err(text)?;
        equal((info.pid, info.code, info.status), (running.id(), code, by.cast_signed()))?;
    }
    end(&running)?;
    signal::wait_timeout(set, SECOND).map(drop).map_err(text)
}

fn cancelled() -> Result<(), String> {
    let (running, mut reader) = with_output("block")?;
    reader.read_exact(&mut [0]).map_err(text)?;
    running.signal(SIGTSTP).map_err(text)?;
    running.signal(SIGCONT).map_err(text)?;
    running.signal(SIGUSR1).map_err(text)?;
    equal(running.wait().map_err(text)?.signal(), Some(SIGUSR1.cast_signed()))?;
    let held = system::security_info().map_err(text)?.capabilities;
    equal(held & Capabilities::SPAWN.bits() != 0, true)
}
