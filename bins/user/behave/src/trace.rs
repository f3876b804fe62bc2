//! Traces of a child's calls.

use alloc::{string::String, vec::Vec};

use swos_ulib::{
    abi::{
        Capabilities, Errno, Handle, NR_EXEC, NR_EXIT, NR_GETPID, NR_OPEN, Rights, TRACE_UNFINISHED,
        TraceRecord, result_from_raw,
    },
    fs::File,
    io::Read as _,
    pipe::pipe,
    process::{self, Command},
    sys,
    testing::{equal, text},
    trace,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "trace",
    checks: &[
        ("each call of a child is told in order", in_order),
        ("the result and the path are told", results),
        ("the last record is of the call that ended it", last),
        ("a line has names and arguments", a_line),
        ("a trace goes on after an exec", after_exec),
        ("the program that traces shows the calls and ends as the traced one", shown),
        ("trace says what is wrong, and which signal ended its program", its_words),
        ("a tracer that leaves stops nobody", gone),
        ("only the writing end of a pipe is a sink", no_sink),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    match deed {
        "calls" => {
            let _own = process::id();
            let _found = File::open("/etc/motd");
            let _absent = File::open("/etc/nothing");
            7
        }
        "exec" => {
            let mut program = Command::new("/bin/behave");
            program.args(["child", AREA.name, "calls"]).capabilities(Capabilities::FS_READ);
            let _refused = program.exec();
            1
        }
        "signal" => {
            let _sent = sys::kill(u64::from(process::id()), 9);
            1
        }
        _ => UNKNOWN,
    }
}

fn traced() -> Result<(Vec<TraceRecord>, Option<i32>, u32), String> {
    traced_in("calls")
}

fn traced_in(deed: &str) -> Result<(Vec<TraceRecord>, Option<i32>, u32), String> {
    let (mut reader, writer) = pipe().map_err(text)?;
    let running = crate::child(AREA.name, deed).trace(writer.handle()).spawn().map_err(text)?;
    drop(writer);
    let mut records = Vec::new();
    while let Some(record) = trace::next(&mut reader).map_err(text)? {
        records.push(record);
    }
    Ok((records, running.wait().map_err(text)?.code(), running.id()))
}

/// The records of one kind of call.
fn of(records: &[TraceRecord], number: u64) -> Vec<&TraceRecord> {
    records.iter().filter(|record| u64::from(record.number) == number).collect()
}

fn in_order() -> Result<(), String> {
    let (records, status, _) = traced()?;
    equal(status, Some(7))?;
    equal(records.is_sorted_by_key(|record| record.time_ns), true)?;
    equal(records.iter().map(|record| record.dropped).sum::<u32>(), 0)?;
    equal((of(&records, NR_GETPID).len(), of(&records, NR_OPEN).len()), (1, 2))
}

fn results() -> Result<(), String> {
    let (records, _, pid) = traced()?;
    let own = of(&records, NR_GETPID).first().map(|record| record.result);
    equal(own, Some(i64::from(pid)))?;
    let opened = of(&records, NR_OPEN);
    let paths: Vec<_> = opened.iter().map(|record| record.path.get(..record.path_len as usize)).collect();
    equal(paths, [Some(&b"/etc/motd"[..]), Some(b"/etc/nothing")].to_vec())?;
    equal(opened.last().map(|record| result_from_raw(record.result)), Some(Err(Errno::NOENT)))
}

fn last() -> Result<(), String> {
    let (records, _, _) = traced()?;
    let last = records.last().map(|record| (u64::from(record.number), record.flags, record.arguments[0]));
    equal(last, Some((NR_EXIT, TRACE_UNFINISHED, 7)))
}

fn a_line() -> Result<(), String> {
    let (records, _, _) = traced()?;
    let lines: Vec<String> = of(&records, NR_OPEN).into_iter().map(trace::line).collect();
    let found =
        lines.iter().any(|line| line.contains(" open(directory=CWD, path=\"/etc/nothing\", path_len=12,"));
    equal((found, lines.iter().any(|line| line.contains(") = ENOENT <"))), (true, true))
}

fn after_exec() -> Result<(), String> {
    let (records, status, _) = traced_in("exec")?;
    equal(status, Some(7))?;
    // The first program makes none of these calls.
    equal(
        (of(&records, NR_GETPID).len(), of(&records, NR_OPEN).len(), of(&records, NR_EXIT).len()),
        (1, 2, 1),
    )?;
    let lines: Vec<String> = of(&records, NR_EXEC).into_iter().map(trace::line).collect();
    equal(lines.len(), 1)?;
    equal(lines.iter().any(|line| line.contains(" exec(args=\"/bin/behave\", size=128) = 0 <")), true)
}

/// `/bin/trace` without standard input and output: its program has none either.
fn shown() -> Result<(), String> {
    let (mut reader, writer) = pipe().map_err(text)?;
    let mut command = Command::new("/bin/trace");
    command.args(["/bin/behave", "child", AREA.name, "exec"]).handle(2, writer.handle(), Rights::all());
    let running = command.capabilities(Capabilities::FS_READ | Capabilities::SPAWN).spawn().map_err(text)?;
    drop(writer);
    let mut shown = Vec::new();
    reader.read_to_end(&mut shown).map_err(text)?;
    let shown = String::from_utf8_lossy(&shown);
    equal(running.wait().map_err(text)?.code(), Some(7))?;
    let calls =
        ["exec(args=\"/bin/behave\"", "open(directory=CWD, path=\"/etc/motd\"", "exit(status=7) ended in it"];
    let found = calls.map(|call| shown.lines().filter(|line| line.contains(call)).count());
    equal(found, [1, 1, 1])
}

/// What `/bin/trace` says when there is nothing to show, and when a signal ends the program.
fn its_words() -> Result<(), String> {
    let run = |args: &[&str]| -> Result<(Option<i32>, String), String> {
        let (mut reader, writer) = pipe().map_err(text)?;
        let mut command = Command::new("/bin/trace");
        command.args(args).handle(2, writer.handle(), Rights::all());
        let running =
            command.capabilities(Capabilities::FS_READ | Capabilities::SPAWN).spawn().map_err(text)?;
        drop(writer);
        let mut said = Vec::new();
        reader.read_to_end(&mut said).map_err(text)?;
        Ok((running.wait().map_err(text)?.code(), String::from_utf8_lossy(&said).into_owned()))
    };
    let (status, said) = run(&[])?;
    equal((status, said.starts_with("usage: trace PROGRAM")), (Some(2), true))?;
    let (status, said) = run(&["/bin/nothing"])?;
    equal((status, said.starts_with("trace: /bin/nothing: ")), (Some(1), true))?;
    let (status, said) = run(&["/bin/behave", "child", AREA.name, "signal"])?;
    equal((status, said.contains("/bin/behave ended with signal 9")), (Some(128 + 9), true))
}

fn gone() -> Result<(), String> {
    let (reader, writer) = pipe().map_err(text)?;
    let running = crate::child(AREA.name, "calls").trace(writer.handle()).spawn().map_err(text)?;
    drop((reader, writer));
    equal(running.wait().map_err(text)?.code(), Some(7))
}

fn no_sink() -> Result<(), String> {
    let (reader, writer) = pipe().map_err(text)?;
    let start = |handle| crate::child(AREA.name, "calls").trace(handle).spawn().map(drop);
    equal(start(reader.handle()), Err(Errno::ACCES))?;
    equal(start(Handle(99 << 24)), Err(Errno::BADF))?;
    let lent = sys::handle_lend(writer.handle(), Rights::all(), 0).map_err(text)?;
    equal((start(lent), sys::close(lent)), (Err(Errno::PERM), Ok(())))
}
