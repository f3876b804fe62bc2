//! Memory used up in every way that a program has, each in a process of its own. The kernel refuses, or ends the process that has
//! most; all others go on, and every page comes back.

use alloc::{format, string::String, vec, vec::Vec};
use core::mem::forget;

use swos_ulib::{
    abi::{EndpointConfig, Errno, Handle, OpenFlags, POLL_IN, Protection, Rights},
    event::Event,
    fs::{self, File},
    handle::Blocking,
    io::{Read as _, Write as _},
    ipc::{Outgoing, endpoint_with},
    memory::MemoryObject,
    net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    pair::PairStream,
    pipe::{PipeReader, PipeWriter, pipe},
    process::{self, Child, Fork, fork},
    ready::ReadySet,
    signal::{self, SIGRTMIN, SignalSet},
    sys, system,
    testing::{Report, equal, text},
    thread,
    time::Duration,
    timer::Timer,
};

use crate::{SELF, child, leaves_nothing_after, processes};

/// Where the ways that make files make them.
const FULL: &str = "/tmp/full";
const PAGE: usize = 4096;

/// A way to use memory up: it goes on until it is refused, and says with what, or is ended.
type Way = fn() -> Errno;

/// What the kernel may say when there is no more of something.
const REFUSALS: [Errno; 6] =
    [Errno::NOMEM, Errno::NOSPC, Errno::NOBUFS, Errno::NFILE, Errno::MFILE, Errno::AGAIN];

const WAYS: &[(&str, Way)] = &[
    ("anonymous memory", processes::touch),
    ("translation tables", processes::spread),
    ("memory objects", objects),
    ("private pages of a file", copies),
    ("files", files),
    ("names", names),
    ("pipes", processes::pipes),
    ("socket pairs", pairs),
    ("connections", connections),
    ("datagrams", datagrams),
    ("messages with handles", messages),
    ("handles", handles),
    ("timers and events and sets", counters),
    ("signals", signals),
    ("threads", processes::threads),
    ("forks", processes::forks),
    ("forks of a large process", large_forks),
    ("forks by many processes of many areas", forks_of_areas),
    ("arguments", arguments),
    ("looks at a full system", looks),
];

pub(crate) fn all() -> i32 {
    let mut report = Report::default();
    let mut bystander = None;
    report.test("a bystander starts", || {
        bystander = Some(Bystander::start().map_err(text)?);
        Ok(())
    });
    for &(name, way) in WAYS {
        report.test(name, || {
            let mut outcomes = Vec::new();
            let act = || {
                outcomes.push(run(way)?);
                bystander.as_mut().ok_or("no bystander")?.answers()
            };
            let left = leaves_nothing_after(1, 1, act);
            swos_ulib::println!("@refused {name}: {}", outcomes.join(", "));
            left
        });
    }
    report.done()
}

/// A process that sends back what it gets.
struct Bystander {
    _running: Child,
    to: PipeWriter,
    from: PipeReader,
}

impl Bystander {
    fn start() -> Result<Self, Errno> {
        let ((input, to), (from, output)) = (pipe()?, pipe()?);
        let mut echo = child("echo");
        echo.handle(0, input.handle(), Rights::READ).handle(1, output.handle(), Rights::WRITE);
        Ok(Self { _running: echo.spawn()?, to, from })
    }

    fn answers(&mut self) -> Result<(), String> {
        self.to.write_all(b"well?").map_err(text)?;
        let mut answer = [0; 5];
        self.from.read_exact(&mut answer).map_err(text)?;
        equal(&answer, b"well?")
    }
}

/// In a process of its own, which says with its status what it was refused with.
fn run(way: Way) -> Result<&'static str, String> {
    let before = system::system_info().map_err(text)?.processes;
    let Fork::Parent(running) = fork().map_err(text)? else { process::exit(way().get().into()) };
    let status = running.wait().map_err(text)?;
    // Its children, if it left any, are init's, and find out in their own time.
    for _ in 0..1000 {
        if system::system_info().map_err(text)?.processes <= before {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    if fs::exists(FULL).map_err(text)? {
        fs::remove_dir_all(FULL).map_err(text)?;
    }
    if status.signal() == Some(9) {
        return Ok("ended");
    }
    let refused = Errno::TABLE.iter().find(|(errno, ..)| status.code() == Some(errno.get().into()));
    match refused {
        Some(&(errno, name, _)) if REFUSALS.contains(&errno) => Ok(name),
        other => Err(format!("{:?}: {other:?}", status.code())),
    }
}

const BOTH: Protection = Protection::READ.union(Protection::WRITE);

/// Objects that nobody maps.
fn objects() -> Errno {
    let bytes = vec![1; PAGE];
    loop {
        match MemoryObject::new(1 << 20) {
            Ok(object) => {
                for offset in (0..1 << 20).step_by(PAGE) {
                    if let Err(errno) = object.write_at(offset, &bytes) {
                        return errno;
                    }
                }
                forget(object);
            }
            Err(errno) => return errno,
        }
    }
}

/// Pages of a file that are written in private, again and again.
fn copies() -> Errno {
    let copy = || -> Result<(), Errno> {
        let file = File::open(SELF)?;
        let length = usize::try_from(file.metadata()?.size).unwrap_or(0);
        let start = sys::map_file(file.handle(), 0, length, BOTH)?;
        for offset in (0..length).step_by(PAGE) {
            // SAFETY: within the mapping, which is ours and used by nobody else.
            unsafe { start.add(offset).write_volatile(1) };
        }
        Ok(())
    };
    until_refused(copy)
}

/// Does something until it is refused.
pub(crate) fn until_refused(mut act: impl FnMut() -> Result<(), Errno>) -> Errno {
    loop {
        if let Err(errno) = act() {
            return errno;
        }
    }
}

/// One file that becomes longer and longer.
fn files() -> Errno {
    let bytes = vec![1; 16 * PAGE];
    let (mut offset, made) = (0, fs::create_dir(FULL).and_then(|()| File::create(format!("{FULL}/file"))));
    let file = match made {
        Ok(file) => file,
        Err(errno) => return errno,
    };
    until_refused(|| {
        offset += file.write_at(&bytes, offset)? as u64;
        Ok(())
    })
}

/// Empty files, directories and links with long texts.
fn names() -> Errno {
    let (long, mut number) = ("x".repeat(200), 0);
    if let Err(errno) = fs::create_dir(FULL) {
        return errno;
    }
    until_refused(|| {
        number += 1;
        let name = format!("{FULL}/{number}-{long}");
        match number % 3 {
            0 => fs::create_dir(name),
            1 => fs::symlink(&long, name),
            _ => File::create_new(name).map(drop),
        }
    })
}

/// Writes until that would wait.
fn fill(mut write: impl FnMut(&[u8]) -> bool) {
    let bytes = [1; PAGE];
    while write(&bytes) {}
}

/// Both directions full.
fn pairs() -> Errno {
    until_refused(|| {
        let (mut one, mut other) = PairStream::pair()?;
        one.set_blocking(Blocking::Never)?;
        other.set_blocking(Blocking::Never)?;
        fill(|bytes| one.write(bytes).is_ok());
        fill(|bytes| other.write(bytes).is_ok());
        forget((one, other));
        Ok(())
    })
}

const HERE: [u8; 4] = [127, 0, 0, 1];

/// Connections to oneself, full in both directions.
fn connections() -> Errno {
    let listener = TcpListener::bind(SocketAddrV4::new(HERE.into(), 4000), 16);
    let Ok(listener) = listener else { return Errno::ADDRNOTAVAIL };
    let Ok(address) = listener.local_addr() else { return Errno::ADDRNOTAVAIL };
    until_refused(|| {
        let mut one = TcpStream::connect(address)?;
        let (mut other, _) = listener.accept()?;
        one.set_blocking(Blocking::Never)?;
        other.set_blocking(Blocking::Never)?;
        fill(|bytes| one.write(bytes).is_ok());
        fill(|bytes| other.write(bytes).is_ok());
        forget((one, other));
        Ok(())
    })
}

/// Sockets whose queues are full of datagrams that nobody takes.
fn datagrams() -> Errno {
    let bytes = [1; 1000];
    let mut port = 10_000;
    until_refused(|| {
        let address = SocketAddrV4::new(HERE.into(), port);
        port = port.checked_add(1).ok_or(Errno::ADDRINUSE)?;
        let socket = UdpSocket::bind(address)?;
        for _ in 0..64 {
            socket.send_to(&bytes, address)?;
        }
        forget(socket);
        Ok(())
    })
}

/// Queues full of messages that have handles with them.
fn messages() -> Errno {
    let bytes = vec![1; 2 * PAGE];
    until_refused(|| {
        let (sender, receiver) = endpoint_with(&EndpointConfig::default())?;
        sender.set_blocking(Blocking::Never)?;
        loop {
            let file = File::open(SELF)?.into_handle();
            match sender.send_message(&mut Outgoing::new(&bytes).with(file, Rights::READ), None) {
                Ok(()) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        forget((sender, receiver));
        Ok(())
    })
}

/// As many as a process may have.
fn handles() -> Errno {
    until_refused(|| sys::handle_duplicate(Handle::STDERR, Rights::WRITE, 0).map(drop))
}

/// A set that watches timers and events that never come.
fn counters() -> Errno {
    let mut token = 0;
    until_refused(|| {
        let (timer, event, set) = (Timer::new()?, Event::new()?, ReadySet::new()?);
        timer.once(Duration::from_secs(10_000))?;
        for handle in [timer.handle(), event.handle()] {
            token += 1;
            set.add(handle, POLL_IN.into(), token)?;
        }
        forget((timer, event, set));
        Ok(())
    })
}

/// Queued for oneself, and never taken.
fn signals() -> Errno {
    match signal::block(SignalSet::of(&[SIGRTMIN])) {
        Ok(blocked) => forget(blocked),
        Err(errno) => return errno,
    }
    until_refused(|| signal::queue(process::id(), SIGRTMIN, 1))
}

/// Copies of a process with much memory, each of which writes to all of it.
fn large_forks() -> Errno {
    const LENGTH: usize = 8 << 20;
    let Ok(start) = sys::map_anonymous(LENGTH, BOTH) else { return Errno::NOMEM };
    let write = |value| {
        for offset in (0..LENGTH).step_by(PAGE) {
            // SAFETY: within the mapping, which is ours and used by nobody else.
            unsafe { start.add(offset).write_volatile(value) };
        }
    };
    write(1);
    processes::fork_until_refused(|| write(2))
}

/// Processes with thousands of areas each, which all fork at the same time.
fn forks_of_areas() -> Errno {
    const AREAS: usize = 3000;
    let Ok(start) = sys::map_anonymous(AREAS * PAGE, BOTH) else { return Errno::NOMEM };
    for page in (0..AREAS).step_by(2) {
        // SAFETY: within the mapping, which nobody uses.
        let split = unsafe { sys::mprotect(start.add(page * PAGE), PAGE, Protection::READ) };
        if let Err(errno) = split {
            return errno;
        }
    }
    processes::fork_until_refused(|| {
        let _full = processes::fork_until_refused(|| {});
    })
}

/// Processes with as many arguments as fit, which wait.
fn arguments() -> Errno {
    let (input, keep) = match pipe() {
        Ok(ends) => ends,
        Err(errno) => return errno,
    };
    let long = "x".repeat(1000);
    let refused = until_refused(|| {
        let mut command = child("echo");
        command.args((0..60).map(|_| &long)).handle(0, input.handle(), Rights::READ);
        command.spawn().map(drop)
    });
    drop(keep);
    refused
}

/// Reads what the kernel says of itself while there is no memory for anything.
fn looks() -> Errno {
    const TEXTS: [&str; 4] = ["/sys/memory", "/sys/cpus", "/sys/processes", "/sys/net"];
    let mut room = [0; 512];
    let refused = objects();
    for path in TEXTS {
        // It says what is the case, or that there is no memory for it.
        if let Ok(mut file) = File::open_at(Handle::CWD, path, OpenFlags::READ) {
            while file.read(&mut room).is_ok_and(|count| count > 0) {}
        }
    }
    refused
}
