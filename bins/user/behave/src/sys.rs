//! The tree of `/sys`.

use alloc::{format, string::String, vec::Vec};

use swos_ulib::{
    abi::{Capabilities, Errno, Handle, OpenFlags},
    fs::{self, File},
    io, process, sys,
    testing::{equal, text},
    thread,
    time::Duration,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "sys",
    checks: &[
        ("the tree has its names", top),
        ("every text has its keys", keys),
        ("idle time is counted while it lasts", idle),
        ("a process finds itself", itself),
        ("a process finds its child", its_child),
        ("the list of processes is all that may be seen", listed),
        ("others are absent without the capability", || blind("others")),
        ("the list is oneself without the capability", || blind("list")),
        ("the log needs its capability", || blind("log")),
        ("sockets need a capability", || blind("sockets")),
        ("a listening socket is shown", sockets),
        ("a text read in pieces is one text", pieces),
        ("a text is new from its start on", renewed),
        ("counters count", counters),
        ("the texts can not be changed", read_only),
        ("what is not there is not found", nothing),
        ("a way up from a process leads back", up),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    let done = match deed {
        "others" => others(),
        "list" => {
            names("/sys/processes").and_then(|list| equal(list, alloc::vec![format!("{}", process::id())]))
        }
        "log" => equal(File::open("/sys/log").map(drop), Err(Errno::ACCES)),
        "sockets" => equal(File::open("/sys/sockets").map(drop), Err(Errno::ACCES)),
        "wait" => swos_ulib::io::Read::read(&mut swos_ulib::io::stdin(), &mut [0; 1]).map(drop).map_err(text),
        _ => return UNKNOWN,
    };
    match done {
        Ok(()) => 0,
        Err(why) => {
            swos_ulib::eprintln!("{deed}: {why}");
            1
        }
    }
}

fn blind(deed: &str) -> Result<(), String> {
    let status = crate::child(AREA.name, deed).capabilities(Capabilities::FS_READ).status();
    equal(status.map_err(text)?.code(), Some(0))
}

fn names(path: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(text)? {
        names.push(String::from_utf8(entry.map_err(text)?.name).map_err(text)?);
    }
    Ok(names)
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why: io::Error| format!("{path}: {why}"))
}

fn value<'a>(text: &'a str, key: &str) -> Result<&'a str, String> {
    let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    found.ok_or_else(|| format!("no {key} in {text:?}"))
}

fn number(path: &str, key: &str) -> Result<u64, String> {
    value(&read(path)?, key)?.parse().map_err(text)
}

fn top() -> Result<(), String> {
    let expected = ["counters", "cpus", "log", "memory", "mounts", "processes", "sockets", "version"];
    equal(names("/sys")?, expected.map(String::from).to_vec())?;
    equal(names("/sys/counters")?.len(), 6)
}

fn keys() -> Result<(), String> {
    for (path, key) in [
        ("/sys/version", "name"),
        ("/sys/version", "abi"),
        ("/sys/memory", "total_bytes"),
        ("/sys/memory", "free_bytes"),
        ("/sys/cpus", "cpu.0.calls"),
        ("/sys/mounts", "/"),
        ("/sys/mounts", "/sys"),
        ("/sys/sockets", "sockets"),
        ("/sys/counters/calls", "threads"),
        ("/sys/counters/disk", "verified"),
        ("/sys/counters/log", "written"),
        ("/sys/counters/network", "segments_sent"),
        ("/sys/counters/pages", "hits"),
        ("/sys/counters/waits", "registered"),
    ] {
        value(&read(path)?, key)?;
    }
    equal(number("/sys/cpus", "count"), Ok(u64::from(sys::system_info().map_err(text)?.cpus)))
}

/// While this thread sleeps, every CPU is idle, and those that have nothing to do are idle all the time.
fn idle() -> Result<(), String> {
    let cpus = sys::system_info().map_err(text)?.cpus;
    let idle =
        || (0..cpus).map(|cpu| number("/sys/cpus", &format!("cpu.{cpu}.idle_ns"))).sum::<Result<u64, _>>();
    let mut after = idle()?;
    // Where the host is busy, part of the time goes before the CPU sleeps: once of ten times must be all but whole.
    let counted = (0..10).try_fold(false, |counted, _| {
        let before = idle()?;
        thread::sleep(Duration::from_millis(20));
        after = idle()?;
        Ok::<bool, String>(counted || after - before >= 15_000_000)
    })?;
    equal(counted, true)?;
    equal((0..cpus).find(|cpu| number("/sys/cpus", &format!("cpu.{cpu}.idle_ns")) == Ok(0)), None)?;
    equal(after <= sys::system_info().map_err(text)?.idle_ns, true)
}

fn itself() -> Result<(), String> {
    let own = process::id();
    let status = read(&format!("/sys/processes/{own}/status"))?;
    equal(value(&status, "name")?, "behave")?;
    equal(value(&status, "principal")?, "1")?;
    equal(number(&format!("/sys/processes/{own}/status"), "pid"), Ok(u64::from(own)))?;
    let before = number(&format!("/sys/processes/{own}/handles"), "handles")?;
    let kept = File::open("/etc/motd").map_err(text)?;
    let handles = read(&format!("/sys/processes/{own}/handles"))?;
    equal(value(&handles, &format!("{}", kept.handle().0))?, "file r--mdtg-")?;
    equal(number(&format!("/sys/processes/{own}/handles"), "handles"), Ok(before + 1))?;
    equal(number(&format!("/sys/processes/{own}/memory"), "resident_bytes")? > 4096, true)?;
    equal(number(&format!("/sys/processes/{own}/limits"), "threads")? > 0, true)
}

/// A child that waits, and the end of the pipe that lets it go.
fn waiting() -> Result<(process::Child, swos_ulib::pipe::PipeWriter), String> {
    let (reader, writer) = swos_ulib::pipe::pipe().map_err(text)?;
    let mut command = crate::child(AREA.name, "wait");
    command.handle(0, reader.handle(), swos_ulib::abi::Rights::READ).limits(1 << 24, 64, 3);
    Ok((command.spawn().map_err(text)?, writer))
}

fn its_child() -> Result<(), String> {
    let (running, writer) = waiting()?;
    let path = format!("/sys/processes/{}", running.id());
    let parent = number(&format!("{path}/status"), "parent");
    let limits = (number(&format!("{path}/limits"), "handles"), number(&format!("{path}/limits"), "threads"));
    drop(writer);
    running.wait().map_err(text)?;
    equal((parent, limits), (Ok(u64::from(process::id())), (Ok(64), Ok(3))))?;
    equal(File::open(format!("{path}/status")).map(drop), Err(Errno::NOENT))
}

fn listed() -> Result<(), String> {
    let (running, writer) = waiting()?;
    let listed = names("/sys/processes");
    drop(writer);
    running.wait().map_err(text)?;
    let expected = ["1".into(), format!("{}", process::id()), format!("{}", running.id())];
    equal(listed?, expected.to_vec())
}

fn others() -> Result<(), String> {
    for pid in [1, 99_999] {
        for name in ["", "/status", "/limits", "/handles", "/memory"] {
            let path = format!("/sys/processes/{pid}{name}");
            equal((&path, File::open(&path).map(drop)), (&path, Err(Errno::NOENT)))?;
            let stat = sys::stat(Handle::CWD, path.as_bytes(), OpenFlags::empty()).map(drop);
            equal((&path, stat), (&path, Err(Errno::NOENT)))?;
        }
    }
    read(&format!("/sys/processes/{}/status", process::id())).map(drop)
}

fn sockets() -> Result<(), String> {
    use swos_ulib::net::{Ipv4Addr, SocketAddrV4, TcpListener};
    let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7777), 4).map_err(text)?;
    let shown = read("/sys/sockets")?;
    drop(listener);
    equal(shown.lines().any(|line| line == "stream 127.0.0.1:7777 - -"), true).map_err(|_| shown)
}

fn pieces() -> Result<(), String> {
    let file = File::open("/sys/counters/network").map_err(text)?;
    let (mut all, mut byte) = (Vec::new(), [0; 3]);
    loop {
        match sys::read(file.handle(), &mut byte).map_err(text)? {
            0 => break,
            count => all.extend(byte.iter().take(count)),
        }
    }
    let whole = read("/sys/counters/network")?;
    let in_pieces = String::from_utf8(all).map_err(text)?;
    equal(in_pieces.lines().count(), whole.lines().count())?;
    equal(in_pieces.ends_with('\n'), true)
}

fn renewed() -> Result<(), String> {
    let file = File::open("/sys/counters/calls").map_err(text)?;
    let mut texts = [[0; 512]; 2];
    for text_of in &mut texts {
        sys::pread(file.handle(), text_of, 0).map_err(text)?;
    }
    let [first, second] = texts;
    equal(first == second, false)?;
    // Beyond the start it is the text of the last time.
    let mut rest = [0; 512];
    let count = sys::pread(file.handle(), &mut rest, 4).map_err(text)?;
    equal(rest.get(..count), second.get(4..4 + count))
}

fn counters() -> Result<(), String> {
    let before = (number("/sys/counters/log", "written")?, number("/sys/counters/calls", "calls")?);
    swos_ulib::log::write(swos_ulib::log::LOG_DEBUG, format_args!("one more"));
    let after = (number("/sys/counters/log", "written")?, number("/sys/counters/calls", "calls")?);
    equal((after.0 - before.0, after.1 > before.1 + 5), (1, true))?;
    equal(read("/sys/log")?.contains("behave: one more"), true)
}

fn read_only() -> Result<(), String> {
    let open = |flags| File::open_at(Handle::CWD, "/sys/memory", flags).map(drop);
    equal(open(OpenFlags::WRITE), Err(Errno::ROFS))?;
    equal(open(OpenFlags::EXECUTE), Err(Errno::ACCES))?;
    let stat = sys::stat(Handle::CWD, b"/sys/memory", OpenFlags::empty()).map_err(text)?;
    equal((stat.mode & 0o777, stat.size), (0o444, 0))
}

fn nothing() -> Result<(), String> {
    for path in ["/sys/none", "/sys/processes/0", "/sys/processes/01", "/sys/processes/x", "/sys/counters/x"]
    {
        equal((path, File::open(path).map(drop)), (path, Err(Errno::NOENT)))?;
    }
    equal(File::open("/sys/memory/x").map(drop), Err(Errno::NOTDIR))?;
    equal(fs::read("/sys/processes").map(drop).is_err(), true)
}

fn up() -> Result<(), String> {
    let path = format!("/sys/processes/{}/../../version", process::id());
    equal(value(&read(&path)?, "name")?, "swos")?;
    equal(value(&read("/sys/../sys/version")?, "name")?, "swos")
}
