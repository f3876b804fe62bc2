//! Processes: forks, ids, ends, orphans.

use alloc::{string::String, vec, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use swos_ulib::{
    abi::{Capabilities, Errno, Handle, OpenFlags, Rights},
    env,
    fs::File,
    io::{Read as _, Write as _},
    pipe::{PipeReader, PipeWriter, pipe},
    process::{self, Child, Command, Fork, fork},
    sys,
    testing::{equal, text},
    thread,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "processes",
    checks: &[
        ("a fork returns twice", twice),
        ("memory is apart after a fork", apart),
        ("many pages are apart after a fork", many_pages),
        ("registers go along, those for vectors too", registers),
        ("a fork of a thread has only that thread", one_thread),
        ("handles have the same numbers in a fork", same_numbers),
        ("a handle without the right to duplicate is not in a fork", not_duplicable),
        ("a fork shares the position of a file", shared_position),
        ("a fork has no children", no_children),
        ("a fork of a fork is a grandchild", grandchild),
        ("without the capability there is no fork", no_capability),
        ("arguments and environment arrive as they were given", given),
        ("a program is given no more than that", given_nothing),
        ("another program goes on under the same id", exec),
        ("a marked handle is closed for the next program", exec_closes),
        ("a program that can't start changes nothing", exec_refused),
        ("another program has no other threads", exec_alone),
        ("a kill finds whichever program runs", exec_killed),
        ("orphans end under init", orphans),
        ("ids are not used again soon", ids),
        ("an end is told once", told_once),
        ("an end can be looked for without waiting", looked_for),
        ("a kill is told with its signal", killed),
        ("only descendants can be killed", not_a_descendant),
        ("the time of a child that was waited for is counted", children_time),
    ],
    child,
};

/// Words for a child: empty, with blanks, no UTF-8.
const WORDS: [&[u8]; 4] = [b"one", b"", b"two words", b"\xFF\xC3"];
const VARIABLES: [(&str, &str); 3] = [("HOME", "/tmp"), ("EMPTY", ""), ("A", "b=c")];

fn child(deed: &str) -> i32 {
    match deed {
        "given" => i32::from(!env::args_bytes().skip(4).eq(WORDS) || !env::vars().eq(VARIABLES)),
        "given nothing" => {
            let open = (0..8).filter(|&number| sys::handle_rights(Handle(number)).is_ok());
            let more = env::args().count() - 4 + env::vars().count() + usize::from(!open.eq([2]));
            i32::from(more != 0)
        }
        "fork" => match fork() {
            Err(Errno::ACCES) => 0,
            _ => 1,
        },
        "exec" => become_another("exec end"),
        "exec end" => i32::from(process::usage().is_ok_and(|usage| usage.threads == 1)) + 40,
        "exec closes" => exec_with_marked(),
        "handles" => process::usage().map_or(0, |usage| usage.handles.cast_signed()),
        "exec refused" => exec_refused_in_child(),
        "exec alone" => {
            for _ in 0..3 {
                let _detached = thread::spawn(|| {
                    loop {
                        thread::yield_now();
                    }
                });
            }
            thread::yield_now();
            become_another("exec end")
        }
        "exec for ever" => become_another("exec for ever"),
        "orphan" => {
            let _orphan = crate::child(AREA.name, "spin").spawn();
            0
        }
        "sleep" => loop {
            thread::sleep(core::time::Duration::from_secs(1));
        },
        "spin" => {
            let start = sys::counter();
            while sys::counter() - start < sys::counter_frequency() / 50 {}
            0
        }
        _ => UNKNOWN,
    }
}

/// Runs `deed` in a fork, and returns the status that it ends with.
pub(crate) fn forked(deed: impl FnOnce() -> Result<i32, String>) -> Result<Option<i32>, String> {
    match fork().map_err(text)? {
        Fork::Child => process::exit(deed().unwrap_or(99)),
        Fork::Parent(child) => Ok(child.wait().map_err(text)?.code()),
    }
}

fn twice() -> Result<(), String> {
    let own = process::id();
    let status = forked(|| Ok(if process::id() > own { 7 } else { 1 }))?;
    equal(status, Some(7))?;
    equal(process::id(), own)
}

fn apart() -> Result<(), String> {
    let mut local = 1;
    let heap = vec![2; 100_000];
    static WORD: AtomicU32 = AtomicU32::new(3);
    let status = forked(|| {
        equal((local, heap.iter().sum::<i32>(), WORD.load(SeqCst)), (1, 200_000, 3))?;
        local = 10;
        WORD.store(30, SeqCst);
        drop(heap);
        Ok(local)
    })?;
    equal(status, Some(10))?;
    equal((local, WORD.load(SeqCst)), (1, 3))
}

fn many_pages() -> Result<(), String> {
    const PAGES: usize = 3000;
    let mut bytes = vec![0_u8; PAGES * 4096];
    for (number, page) in bytes.chunks_mut(4096).enumerate() {
        page.fill(number.to_le_bytes()[0]);
    }
    let same = |bytes: &[u8]| {
        bytes.chunks(4096).enumerate().all(|(number, page)| page.first() == Some(&number.to_le_bytes()[0]))
    };
    let mut copy = bytes;
    let status = forked(|| {
        let whole = same(&copy);
        copy.fill(0xEE);
        Ok(i32::from(whole))
    })?;
    equal(status, Some(1))?;
    equal(same(&copy), true)
}

fn registers() -> Result<(), String> {
    // A sum that the compiler keeps in vector registers across the call, if it wants to.
    let (mut sum, mut square) = (1.5_f64, 2.25_f64);
    for turn in 0..process::id() {
        sum += f64::from(turn);
        square *= 1.001;
    }
    let before = (sum.to_bits(), square.to_bits());
    let status = forked(|| Ok(i32::from((sum.to_bits(), square.to_bits()) == before)))?;
    equal(status, Some(1))?;
    equal((sum.to_bits(), square.to_bits()), before)
}

fn one_thread() -> Result<(), String> {
    static TURNS: AtomicU32 = AtomicU32::new(0);
    static STOP: AtomicU32 = AtomicU32::new(0);
    let runner = thread::spawn(|| {
        while STOP.load(SeqCst) == 0 {
            TURNS.fetch_add(1, SeqCst);
            thread::yield_now();
        }
    })
    .map_err(text)?;
    while TURNS.load(SeqCst) == 0 {
        thread::yield_now();
    }
    let own = thread::current_id();
    let status = forked(|| {
        let before = TURNS.load(SeqCst);
        for _ in 0..100 {
            thread::yield_now();
        }
        equal(TURNS.load(SeqCst), before)?;
        equal(process::usage().map_err(text)?.threads, 1)?;
        equal(thread::current_id() == own, false)?;
        // Its heap and its threads work.
        let thread = thread::spawn(|| vec![1; 1000].len()).map_err(text)?;
        equal(thread.join(), 1000)?;
        Ok(5)
    })?;
    STOP.store(1, SeqCst);
    runner.join();
    equal(status, Some(5))
}

fn same_numbers() -> Result<(), String> {
    let (mut reader, writer) = pipe().map_err(text)?;
    let status = forked(|| {
        let mut writer = PipeWriter::from_handle(writer.handle());
        writer.write_all(b"child").map_err(text)?;
        Ok(0)
    })?;
    equal(status, Some(0))?;
    drop(writer);
    let mut got = Vec::new();
    reader.read_to_end(&mut got).map_err(text)?;
    equal(got.as_slice(), b"child")
}

fn not_duplicable() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let bound = sys::handle_duplicate(reader.handle(), Rights::READ | Rights::TRANSFER, 0).map_err(text)?;
    let status = forked(|| {
        equal(sys::handle_rights(bound), Err(Errno::BADF))?;
        equal(sys::handle_rights(reader.handle()).is_ok(), true)?;
        let other = sys::handle_duplicate(reader.handle(), Rights::all(), 0).map_err(text)?;
        Ok(i32::from(other == bound))
    })?;
    drop(PipeReader::from_handle(bound));
    equal(status, Some(0))
}

fn shared_position() -> Result<(), String> {
    let mut file = File::open("/bin/behave").map_err(text)?;
    let mut four = [0; 4];
    file.read_exact(&mut four).map_err(text)?;
    let handle = file.handle();
    let status = forked(|| {
        let mut eight = [0; 8];
        Ok(i32::from(sys::read(handle, &mut eight) == Ok(8)))
    })?;
    equal(status, Some(1))?;
    equal(sys::seek(handle, 0, swos_ulib::abi::SEEK_CUR), Ok(12))
}

fn no_children() -> Result<(), String> {
    let sleeper = crate::child(AREA.name, "sleep").spawn().map_err(text)?;
    let status = forked(|| Ok(i32::from(process::try_wait_any() == Err(Errno::CHILD))))?;
    sleeper.kill().map_err(text)?;
    equal(sleeper.wait().map_err(text)?.signal(), Some(9))?;
    equal(status, Some(1))
}

fn grandchild() -> Result<(), String> {
    let status = forked(|| forked(|| Ok(3)).map(|status| status.unwrap_or(0) + 1))?;
    equal(status, Some(4))
}

fn no_capability() -> Result<(), String> {
    let mut command = crate::child(AREA.name, "fork");
    let status = command.capabilities(Capabilities::FS_READ).status().map_err(text)?;
    equal(status.code(), Some(0))
}

/// Another program: this one again.
fn become_another(deed: &str) -> i32 {
    let mut command = Command::new("/bin/behave");
    command.args(["child", AREA.name, deed]).capabilities(Capabilities::FS_READ | Capabilities::SPAWN);
    let errno = command.exec();
    swos_ulib::eprintln!("{errno}");
    1
}

fn given() -> Result<(), String> {
    let mut command = crate::child(AREA.name, "given");
    command.args(WORDS);
    for (name, value) in VARIABLES {
        command.env([name, "=", value].concat());
    }
    equal(command.status().map_err(text)?.code(), Some(0))
}

/// But the handle on which it says what went wrong.
fn given_nothing() -> Result<(), String> {
    let (_reader, _writer) = pipe().map_err(text)?;
    let status = crate::child(AREA.name, "given nothing").status().map_err(text)?;
    equal(status.code(), Some(0))
}

fn exec() -> Result<(), String> {
    let child = crate::child(AREA.name, "exec").spawn().map_err(text)?;
    let status = child.wait().map_err(text)?;
    equal((status.0.pid, status.code()), (child.id(), Some(41)))
}

fn exec_closes() -> Result<(), String> {
    let mut command = crate::child(AREA.name, "exec closes");
    command.handle(1, Handle::STDOUT, Rights::WRITE | Rights::DUPLICATE);
    // Both streams, and the one of two copies that is not marked.
    equal(command.status().map_err(text)?.code(), Some(3))
}

fn exec_with_marked() -> i32 {
    let marked = sys::handle_duplicate(Handle::STDOUT, Rights::WRITE, 0);
    let kept = sys::handle_duplicate(Handle::STDOUT, Rights::WRITE, 0);
    let mark = OpenFlags::CLOSE_ON_EXEC;
    match marked.and_then(|marked| sys::handle_set_flags(marked, mark, mark)) {
        Ok(_) if kept.is_ok() => become_another("handles"),
        _ => 99,
    }
}

fn exec_refused() -> Result<(), String> {
    equal(crate::child(AREA.name, "exec refused").status().map_err(text)?.code(), Some(0))
}

fn exec_refused_in_child() -> i32 {
    let nothing = Command::new("/bin/nothing").exec();
    let data = Command::new("/etc/swos/services").exec();
    let mut with_handles = Command::new("/bin/behave");
    let handles = with_handles.handle(1, Handle::STDERR, Rights::WRITE).exec();
    let found = [nothing, data, handles];
    i32::from(found != [Errno::NOENT, Errno::ACCES, Errno::INVAL])
}

fn exec_alone() -> Result<(), String> {
    equal(crate::child(AREA.name, "exec alone").status().map_err(text)?.code(), Some(41))
}

fn exec_killed() -> Result<(), String> {
    for turn in 0..20 {
        let child = crate::child(AREA.name, "exec for ever").spawn().map_err(text)?;
        thread::sleep(core::time::Duration::from_micros(turn * 331));
        child.kill().map_err(text)?;
        equal(child.wait().map_err(text)?.signal(), Some(9))?;
    }
    Ok(())
}

fn orphans() -> Result<(), String> {
    let before = process::usage().map_err(text)?.processes;
    for _ in 0..5 {
        equal(crate::child(AREA.name, "orphan").status().map_err(text)?.code(), Some(0))?;
    }
    // Not ours to wait for.
    equal(process::try_wait_any(), Err(Errno::CHILD))?;
    for _ in 0..1000 {
        if process::usage().map_err(text)?.processes == before {
            return Ok(());
        }
        thread::sleep(core::time::Duration::from_millis(5));
    }
    equal(process::usage().map_err(text)?.processes, before)
}

fn ids() -> Result<(), String> {
    let mut last = process::id();
    for _ in 0..100 {
        let Fork::Parent(child) = fork().map_err(text)? else { process::exit(0) };
        equal(child.id() > last, true)?;
        last = child.id();
        child.wait().map_err(text)?;
        // Who kept its id finds nobody.
        equal(sys::kill(u64::from(last), 9), Err(Errno::SRCH))?;
    }
    Ok(())
}

fn told_once() -> Result<(), String> {
    let Fork::Parent(child) = fork().map_err(text)? else { process::exit(6) };
    equal(child.wait().map_err(text)?.code(), Some(6))?;
    equal(child.wait(), Err(Errno::CHILD))?;
    equal(process::wait_any(), Err(Errno::CHILD))
}

fn looked_for() -> Result<(), String> {
    let sleeper = crate::child(AREA.name, "sleep").spawn().map_err(text)?;
    equal(sleeper.try_wait(), Ok(None))?;
    sleeper.kill().map_err(text)?;
    loop {
        if let Some(status) = sleeper.try_wait().map_err(text)? {
            return equal(status.signal(), Some(9));
        }
        thread::yield_now();
    }
}

fn killed() -> Result<(), String> {
    let Fork::Parent(child) = fork().map_err(text)? else {
        loop {
            thread::yield_now();
        }
    };
    child.kill().map_err(text)?;
    let status = child.wait().map_err(text)?;
    equal((status.code(), status.signal()), (None, Some(9)))
}

fn not_a_descendant() -> Result<(), String> {
    let parent = process::id();
    let status = forked(|| {
        // With it, those of the same principal and session are in reach, too.
        sys::capabilities_drop(!Capabilities::PROCESS_INSPECT).map_err(text)?;
        equal(sys::kill(u64::from(parent), 9), Err(Errno::SRCH))?;
        equal(sys::kill(1, 9), Err(Errno::SRCH))?;
        Ok(0)
    })?;
    equal(status, Some(0))
}

fn children_time() -> Result<(), String> {
    let before = process::usage().map_err(text)?;
    let child = crate::child(AREA.name, "spin").spawn().map_err(text)?;
    let between = process::usage().map_err(text)?;
    equal(between.children_cpu_ns, before.children_cpu_ns)?;
    let status: process::ExitStatus = Child::wait(&child).map_err(text)?;
    let after = process::usage().map_err(text)?;
    equal(after.children_cpu_ns - before.children_cpu_ns, status.0.cpu_ns)?;
    equal(status.0.cpu_ns > 1_000_000, true)?;
    equal(after.children_faults > before.children_faults, true)
}
