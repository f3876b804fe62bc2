//! Capabilities, identities, rights of handles, loans.

use alloc::{format, string::String};

use swos_ulib::{
    abi::{
        CALLS, Capabilities, Errno, Handle, LOG_INHERIT, LOG_JSON, NR_CHDIR, NR_CONFINE, NR_EXEC,
        NR_FILE_SYSTEM_INFO, NR_FORK, NR_LINK, NR_LOG_EXPORT, NR_LOG_FILTER, NR_LOG_READ, NR_LOGIN, NR_MKDIR,
        NR_MKFIFO, NR_NET_CONFIGURE, NR_OPEN, NR_POWER, NR_PROCESS_INFO, NR_READLINK, NR_RENAME, NR_SET_MODE,
        NR_SET_OWNER, NR_SET_TIMES, NR_SOCKET, NR_SPAWN, NR_STAT, NR_SYMLINK, NR_THREAD_INFO, NR_UNLINK,
        OpenFlags, POWER_OFF, PollItem, Rights,
    },
    fs::{self, File},
    handle::{Blocking, OwnedHandle},
    io::{self, Read as _, Write as _},
    pipe::{PipeReader, PipeWriter, pipe},
    process::{self, Command, Fork, fork},
    ready::{POLL_ERR, POLL_HUP, POLL_IN, POLL_INVALID, ReadyEvent, ReadySet},
    sys,
    testing::{equal, text},
    thread,
    time::Duration,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "authority",
    checks: &[
        ("every call that names a capability is attempted", complete),
        ("without its capability each call is refused", lacking),
        ("capabilities only go down", monotone),
        ("a child has no more than its parent", inherited),
        ("who lacks the right to log in can not", no_login),
        ("a login is bounded by the mask of who may", bounded),
        ("each login has a session of its own", sessions),
        ("a login without a principal is refused", nobody),
        ("rights of a handle only go down", shrink),
        ("objects have the rights that are written down", minted),
        ("a closed handle stays invalid", stale),
        ("a loan ends when its source says so", loan),
        ("a copy of a loan ends with it", copies),
        ("a file opened through a borrowed directory ends with it", derived),
        ("a dead loan can only be closed", dead),
        ("the lender goes on after a revocation", lender),
        ("loans of loans are bounded", depth),
        ("a blocked child hears that its handle was taken back", blocked),
        ("a readiness set tells a revoked handle once", watched),
        ("a poll tells a revoked handle", polled),
        ("to lend needs the right to duplicate", needs_duplicate),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    let status = |errno: Errno| i32::from(errno.get());
    match deed {
        "read" => match PipeReader::from_handle(Handle::STDIN).read(&mut [0; 8]) {
            Err(io::Error::Os(errno)) => status(errno),
            _ => 0,
        },
        "capabilities" => sys::security_info().map_or(1, |info| status_of(info.capabilities)),
        "drop" => sys::capabilities_drop(Capabilities::FS_READ).map_or(1, |left| status_of(left.bits())),
        "login" => match sys::login(5, Capabilities::FS_READ | Capabilities::NET) {
            Ok(session) => match sys::security_info() {
                Ok(now) if (now.principal, now.session) == (5, session) => status_of(now.capabilities),
                _ => 1,
            },
            Err(errno) => status(errno),
        },
        "session" => sys::login(5, Capabilities::empty()).map_or(0, u32::cast_signed),
        "nobody" => sys::login(0, Capabilities::all()).map_or_else(status, |_| 0),
        _ => match deed.parse().ok().and_then(|index: usize| ATTEMPTS.get(index)) {
            Some((_, _, attempt)) => attempt().map_or_else(status, |()| 0),
            None => UNKNOWN,
        },
    }
}

/// An exit status holds 31 bits; no capability is up there.
fn status_of(capabilities: u64) -> i32 {
    i32::try_from(capabilities).unwrap_or(-1)
}

/// A call that needs a capability, and that capability.
type Attempt = (u64, Capabilities, fn() -> Result<(), Errno>);

const ATTEMPTS: &[Attempt] = &[
    (NR_SPAWN, Capabilities::SPAWN, || Command::new("/bin/hello").spawn().map(drop)),
    (NR_SPAWN, Capabilities::FS_READ, || Command::new("/bin/hello").spawn().map(drop)),
    (NR_OPEN, Capabilities::FS_READ, || File::open("/etc/motd").map(drop)),
    (NR_OPEN, Capabilities::TMP_WRITE, || {
        File::open_at(Handle::CWD, "/etc/motd", OpenFlags::WRITE).map(drop)
    }),
    (NR_STAT, Capabilities::FS_READ, || sys::stat(Handle::CWD, b"/etc", OpenFlags::empty()).map(drop)),
    (NR_CHDIR, Capabilities::FS_READ, || sys::chdir(Handle::CWD, b"/etc").map(drop)),
    (NR_READLINK, Capabilities::FS_READ, || sys::readlink(Handle::CWD, b"/etc", &mut [0; 64]).map(drop)),
    (NR_CONFINE, Capabilities::FS_READ, || sys::confine(Handle::CWD, b"/etc")),
    (NR_SOCKET, Capabilities::NET, || sys::socket(2, 1).map(drop)),
    (NR_LOG_READ, Capabilities::LOG_EXPORT, || sys::log_read(&mut 0, &mut [0; 64]).map(drop)),
    (NR_LOG_EXPORT, Capabilities::LOG_EXPORT, || sys::log_export(&mut 0, &mut [0; 64], LOG_JSON).map(drop)),
    (NR_LOG_FILTER, Capabilities::CONSOLE, || sys::log_filter(LOG_INHERIT, "boot")),
    (NR_PROCESS_INFO, Capabilities::PROCESS_INSPECT, || sys::process_info(1).map(drop)),
    (NR_THREAD_INFO, Capabilities::PROCESS_INSPECT, || sys::thread_info(1, 0).map(drop)),
    (NR_EXEC, Capabilities::FS_READ, || Err(Command::new("/bin/hello").exec())),
    (NR_FORK, Capabilities::SPAWN, || match fork()? {
        Fork::Child => process::exit(0),
        Fork::Parent(child) => child.wait().map(drop),
    }),
    (NR_NET_CONFIGURE, Capabilities::NET_ADMIN, || {
        swos_ulib::system::configure_network([10, 9, 9, 9], 8, [0; 4])
    }),
    (NR_POWER, Capabilities::CONSOLE, || sys::power(POWER_OFF)),
    (NR_LOGIN, Capabilities::LOGIN, || sys::login(5, Capabilities::empty()).map(drop)),
    (NR_SET_MODE, Capabilities::TMP_WRITE, || fs::set_permissions("/etc/motd", 0o600)),
    (NR_SET_OWNER, Capabilities::TMP_WRITE, || fs::chown("/etc/motd", 1)),
    (NR_SET_OWNER, Capabilities::LOGIN, || fs::chown("/etc/motd", 7)),
    (NR_SET_TIMES, Capabilities::TMP_WRITE, || {
        fs::set_times("/etc/motd", fs::FileTimes { accessed_ns: 0, modified_ns: 0 })
    }),
    (NR_MKDIR, Capabilities::TMP_WRITE, || fs::create_dir("/tmp/authority")),
    (NR_UNLINK, Capabilities::TMP_WRITE, || fs::remove_file("/tmp/authority")),
    (NR_RENAME, Capabilities::TMP_WRITE, || fs::rename("/tmp/authority", "/tmp/other")),
    (NR_LINK, Capabilities::TMP_WRITE, || fs::hard_link("/tmp/authority", "/tmp/other")),
    (NR_SYMLINK, Capabilities::TMP_WRITE, || fs::symlink("authority", "/tmp/authority")),
    (NR_MKFIFO, Capabilities::TMP_WRITE, || fs::mkfifo("/tmp/authority", 0o600)),
    (NR_FILE_SYSTEM_INFO, Capabilities::FS_READ, || fs::file_system_info("/tmp").map(drop)),
];

fn complete() -> Result<(), String> {
    for call in CALLS {
        let named = call
            .needs
            .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
            .filter_map(Capabilities::from_name)
            .fold(Capabilities::empty(), |all, one| all | one);
        let attempts = ATTEMPTS.iter().filter(|(number, ..)| *number == call.number);
        let attempted = attempts.fold(Capabilities::empty(), |all, (_, one, _)| all | *one);
        equal((call.name, attempted), (call.name, named))?;
    }
    Ok(())
}

fn lacking() -> Result<(), String> {
    for (index, (number, capability, _)) in ATTEMPTS.iter().enumerate() {
        let mut command = crate::child(AREA.name, &format!("{index}"));
        let status = command.capabilities(Capabilities::all() - *capability).status().map_err(text)?;
        equal((number, status.code()), (number, Some(i32::from(Errno::ACCES.get()))))?;
    }
    Ok(())
}

/// What a child with these capabilities ends with.
fn told(deed: &str, capabilities: Capabilities) -> Result<Option<i32>, String> {
    let status = crate::child(AREA.name, deed).capabilities(capabilities).status();
    Ok(status.map_err(text)?.code())
}

fn monotone() -> Result<(), String> {
    let some = Capabilities::FS_READ | Capabilities::NET;
    equal(told("drop", some)?, Some(status_of(Capabilities::FS_READ.bits())))?;
    equal(told("drop", Capabilities::NET)?, Some(0))
}

fn inherited() -> Result<(), String> {
    let own = Capabilities::from_bits_retain(sys::security_info().map_err(text)?.capabilities);
    let beyond = Capabilities::from_bits_retain(1 << 30);
    equal(told("capabilities", own | beyond)?, Some(status_of(own.bits())))
}

fn no_login() -> Result<(), String> {
    let without = Capabilities::all() - Capabilities::LOGIN;
    equal(told("login", without)?, Some(i32::from(Errno::ACCES.get())))
}

fn bounded() -> Result<(), String> {
    let own = Capabilities::LOGIN | Capabilities::FS_READ | Capabilities::SPAWN;
    equal(told("login", own)?, Some(status_of(Capabilities::FS_READ.bits())))
}

fn sessions() -> Result<(), String> {
    let mut last = sys::security_info().map_err(text)?.session.cast_signed();
    for _ in 0..5 {
        let next = told("session", Capabilities::LOGIN)?.unwrap_or(0);
        if next <= last {
            return Err(format!("session {next} after {last}"));
        }
        last = next;
    }
    Ok(())
}

fn nobody() -> Result<(), String> {
    equal(told("nobody", Capabilities::all())?, Some(i32::from(Errno::INVAL.get())))
}

fn motd() -> Result<OwnedHandle, String> {
    sys::open(Handle::CWD, b"/etc/motd", OpenFlags::READ, 0).map(OwnedHandle::new).map_err(text)
}

fn rights(handle: &OwnedHandle) -> Result<Rights, Errno> {
    sys::handle_rights(handle.get())
}

fn shrink() -> Result<(), String> {
    let file = motd()?;
    let copy = file.duplicate(Rights::READ | Rights::WRITE | Rights::DUPLICATE).map_err(text)?;
    equal(rights(&copy), Ok(Rights::READ | Rights::DUPLICATE))?;
    equal(copy.duplicate(Rights::all()).as_ref().map(rights), Ok(Ok(Rights::READ | Rights::DUPLICATE)))?;
    sys::handle_restrict(copy.get(), Rights::READ).map_err(text)?;
    sys::handle_restrict(copy.get(), Rights::all()).map_err(text)?;
    equal(rights(&copy), Ok(Rights::READ))?;
    equal(copy.duplicate(Rights::READ).map(drop), Err(Errno::ACCES))
}

fn minted() -> Result<(), String> {
    let common = Rights::DUPLICATE | Rights::TRANSFER | Rights::GETATTR;
    let program = sys::open(Handle::CWD, b"/bin/hello", OpenFlags::EXECUTE, 0).map_err(text)?;
    let (reader, writer) = pipe().map_err(text)?;
    let socket = OwnedHandle::new(sys::socket(2, 1).map_err(text)?);
    let set = OwnedHandle::new(sys::ready_create(0).map_err(text)?);
    for (what, found, expected) in [
        ("file", rights(&motd()?), common | Rights::READ | Rights::MAP),
        ("program", rights(&OwnedHandle::new(program)), common | Rights::EXECUTE),
        ("reader", sys::handle_rights(reader.handle()), common | Rights::READ),
        ("writer", sys::handle_rights(writer.handle()), common | Rights::WRITE),
        ("socket", rights(&socket), common | Rights::READ | Rights::WRITE | Rights::SETATTR),
        ("set", rights(&set), Rights::READ | Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER),
    ] {
        equal((what, found), (what, Ok(expected)))?;
    }
    Ok(())
}

fn stale() -> Result<(), String> {
    let first = motd()?.get();
    for _ in 0..2_000 {
        let next = motd()?;
        equal(next.get() == first, false)?;
        equal(sys::handle_rights(first), Err(Errno::BADF))?;
    }
    Ok(())
}

fn readable(handle: Handle) -> Result<usize, Errno> {
    sys::pread(handle, &mut [0; 1], 0)
}

fn loan() -> Result<(), String> {
    let file = motd()?;
    let lent = file.lend(Rights::READ).map_err(text)?;
    equal(readable(lent.get()), Ok(1))?;
    file.revoke().map_err(text)?;
    equal(readable(lent.get()), Err(Errno::ACCES))
}

fn copies() -> Result<(), String> {
    let file = motd()?;
    let lent = file.lend(Rights::all()).map_err(text)?;
    let copy = lent.duplicate(Rights::all()).map_err(text)?;
    let below = copy.lend(Rights::all()).map_err(text)?;
    drop(lent);
    file.revoke().map_err(text)?;
    equal((readable(copy.get()), readable(below.get())), (Err(Errno::ACCES), Err(Errno::ACCES)))
}

fn directory() -> Result<OwnedHandle, String> {
    let flags = OpenFlags::READ | OpenFlags::DIRECTORY;
    sys::open(Handle::CWD, b"/etc", flags, 0).map(OwnedHandle::new).map_err(text)
}

fn derived() -> Result<(), String> {
    let directory = directory()?;
    let lent = directory.lend(Rights::READ).map_err(text)?;
    let theirs = sys::open(lent.get(), b"motd", OpenFlags::READ, 0).map_err(text)?;
    let own = sys::open(directory.get(), b"motd", OpenFlags::READ, 0).map_err(text)?;
    equal(sys::chdir(lent.get(), b"."), Err(Errno::PERM))?;
    directory.revoke().map_err(text)?;
    equal((readable(theirs), readable(own)), (Err(Errno::ACCES), Ok(1)))?;
    equal(sys::open(lent.get(), b"motd", OpenFlags::READ, 0), Err(Errno::ACCES))?;
    equal((sys::close(theirs), sys::close(own)), (Ok(()), Ok(())))
}

fn dead() -> Result<(), String> {
    let file = motd()?;
    let lent = file.lend(Rights::all()).map_err(text)?;
    file.revoke().map_err(text)?;
    equal(lent.duplicate(Rights::all()).map(drop), Err(Errno::ACCES))?;
    equal(lent.lend(Rights::all()).map(drop), Err(Errno::ACCES))?;
    equal(lent.revoke(), Err(Errno::ACCES))?;
    equal(sys::fstat(lent.get()).map(drop), Err(Errno::ACCES))?;
    let number = lent.get();
    drop(lent);
    equal(sys::close(number), Err(Errno::BADF))
}

fn lender() -> Result<(), String> {
    let file = motd()?;
    file.revoke().map_err(text)?;
    let first = file.lend(Rights::READ).map_err(text)?;
    file.revoke().map_err(text)?;
    let second = file.lend(Rights::READ).map_err(text)?;
    equal((readable(file.get()), readable(first.get())), (Ok(1), Err(Errno::ACCES)))?;
    equal(readable(second.get()), Ok(1))
}

fn depth() -> Result<(), String> {
    let mut chain = alloc::vec![motd()?];
    while let Some(last) = chain.last() {
        match last.lend(Rights::all()) {
            Ok(next) => chain.push(next),
            Err(errno) => return equal((errno, chain.len()), (Errno::LOOP, 9)),
        }
    }
    Ok(())
}

/// A pipe's writer, and a child that waits at its reader, which it only has on loan.
fn borrower() -> Result<(PipeReader, PipeWriter, process::Child), String> {
    let (reader, writer) = pipe().map_err(text)?;
    let running = crate::child(AREA.name, "read").loan(0, reader.handle(), Rights::READ).spawn();
    Ok((reader, writer, running.map_err(text)?))
}

fn blocked() -> Result<(), String> {
    for pause in [0, 1, 20] {
        let (reader, mut writer, running) = borrower()?;
        thread::sleep(Duration::from_millis(pause));
        sys::handle_revoke(reader.handle()).map_err(text)?;
        equal(running.wait().map_err(text)?.code(), Some(i32::from(Errno::ACCES.get())))?;
        // The pipe itself is unhurt.
        let mut reader = reader;
        writer.write_all(b"x").map_err(text)?;
        equal(reader.read(&mut [0; 8]), Ok(1))?;
    }
    Ok(())
}

fn watched() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let lent = OwnedHandle::new(sys::handle_lend(reader.handle(), Rights::READ, 0).map_err(text)?);
    let set = ReadySet::new().map_err(text)?;
    set.add(lent.get(), u32::from(POLL_IN), 7).map_err(text)?;
    let mut events = [ReadyEvent::default(); 4];
    let mut told = || {
        let ready = set.wait(&mut events, Some(Duration::ZERO)).map_err(text)?;
        Ok::<_, String>(ready.iter().map(|event| (event.token, event.events)).next())
    };
    equal(told()?, None)?;
    sys::handle_revoke(reader.handle()).map_err(text)?;
    equal(told()?, Some((7, u32::from(POLL_ERR | POLL_HUP))))?;
    equal(told()?, None)
}

fn polled() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let lent = OwnedHandle::new(sys::handle_lend(reader.handle(), Rights::READ, 0).map_err(text)?);
    let mut items = [PollItem { handle: lent.get(), events: POLL_IN, ready: 0, reserved: 0 }];
    equal(sys::poll(&mut items, 0), Ok(0))?;
    sys::handle_revoke(reader.handle()).map_err(text)?;
    equal(sys::poll(&mut items, u64::MAX), Ok(1))?;
    equal(items[0].ready, POLL_INVALID)
}

fn needs_duplicate() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    reader.set_blocking(Blocking::Never).map_err(text)?;
    for (kept, answer) in [(Rights::READ | Rights::TRANSFER, Errno::ACCES), (Rights::DUPLICATE, Errno::ACCES)]
    {
        let half = OwnedHandle::new(sys::handle_duplicate(reader.handle(), kept, 0).map_err(text)?);
        let refused = crate::child(AREA.name, "read").loan(0, half.get(), Rights::READ).spawn();
        equal(refused.map(drop), Err(answer))?;
    }
    equal(sys::handle_revoke(Handle(77 << 24)), Err(Errno::BADF))
}
