//! Roots that lookup can't leave.

use alloc::string::String;

use swos_ulib::{
    abi::{Capabilities, Errno, Handle, OpenFlags, Rights},
    fs::File,
    io,
    process::Command,
    sys,
    testing::{equal, text},
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "confine",
    checks: &[
        ("a confined process names what is inside", || inmate("inside")),
        ("what is outside does not exist", || inmate("outside")),
        ("a path upwards stays inside", || inmate("upwards")),
        ("a root never widens", || inmate("narrows")),
        ("a child inherits the root", || inmate("inherits")),
        ("the current directory moves inside", || inmate("moves")),
        ("a current directory inside stays", || inmate("stays")),
        ("open handles stay open", || inmate("open")),
        ("a handle to outside is no way out", || inmate("handle")),
        ("a parent sets the root of a child", given),
        ("a root that is no directory is refused", no_directory),
        ("a root that does not exist is refused", nothing),
        ("the parent is not confined", unconfined),
    ],
    child,
};

const CWD: Handle = Handle::CWD;

fn child(deed: &str) -> i32 {
    let done = match deed {
        "inside" => inside(),
        "outside" => outside(),
        "upwards" => upwards(),
        "narrows" => narrows(),
        "inherits" => inherits(),
        "moves" => moves(),
        "stays" => stays(),
        "open" => open_stays(),
        "handle" => handle(),
        // What a child of a confined process, or one that was given its root, sees.
        "look" => look(),
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

fn inmate(deed: &str) -> Result<(), String> {
    equal(crate::child(AREA.name, deed).status().map_err(text)?.code(), Some(0))
}

fn stat(path: &str) -> Result<(), Errno> {
    sys::stat(CWD, path.as_bytes(), OpenFlags::empty()).map(drop)
}

fn confined(path: &str) -> Result<(), String> {
    sys::confine(CWD, path.as_bytes()).map_err(text)
}

fn look() -> Result<(), String> {
    equal(stat("/index.html"), Ok(()))?;
    equal(stat("/etc/motd"), Err(Errno::NOENT))?;
    equal(stat("/www/index.html"), Err(Errno::NOENT))?;
    equal(stat("../bin/init"), Err(Errno::NOENT))
}

fn inside() -> Result<(), String> {
    confined("/www")?;
    look()?;
    let page = swos_ulib::fs::read("/index.html").map_err(text)?;
    equal(page.is_empty(), false)
}

fn outside() -> Result<(), String> {
    confined("/www")?;
    for path in ["/etc/motd", "/etc/nothing", "/bin/init", "/../etc/motd", "../../etc", "/etc"] {
        equal((path, stat(path)), (path, Err(Errno::NOENT)))?;
        equal((path, File::open(path).map(drop)), (path, Err(Errno::NOENT)))?;
        equal((path, sys::chdir(CWD, path.as_bytes())), (path, Err(Errno::NOENT)))?;
        equal((path, Command::new(path).spawn().map(drop)), (path, Err(Errno::NOENT)))?;
    }
    Ok(())
}

fn upwards() -> Result<(), String> {
    confined("/www")?;
    equal(stat("/../../index.html"), Ok(()))?;
    equal(stat("../index.html"), Ok(()))?;
    equal(sys::chdir(CWD, b".."), Ok(()))?;
    look()
}

fn narrows() -> Result<(), String> {
    confined("/etc")?;
    for path in ["/..", "..", "/www", "/etc/swos"] {
        let expected = if path.contains("..") { Ok(()) } else { Err(Errno::NOENT) };
        equal((path, sys::confine(CWD, path.as_bytes())), (path, expected))?;
        equal(stat("/motd"), Ok(()))?;
    }
    confined("swos")?;
    equal((stat("/services"), stat("/motd")), (Ok(()), Err(Errno::NOENT)))
}

fn inherits() -> Result<(), String> {
    let program = program()?;
    confined("/www")?;
    equal(with_program(&program).status().map_err(text)?.code(), Some(0))
}

/// An open `/bin/behave`, for who will not be able to name it.
fn program() -> Result<File, String> {
    File::open_at(CWD, "/bin/behave", OpenFlags::EXECUTE).map_err(text)
}

fn with_program(program: &File) -> Command {
    let mut command = Command::new("behave");
    command.args(["child", AREA.name, "look"]).program(program.handle()).capabilities(Capabilities::FS_READ);
    command
}

fn moves() -> Result<(), String> {
    sys::chdir(CWD, b"/etc").map_err(text)?;
    confined("/www")?;
    equal((stat("index.html"), stat("motd")), (Ok(()), Err(Errno::NOENT)))
}

fn stays() -> Result<(), String> {
    sys::chdir(CWD, b"/etc/swos").map_err(text)?;
    confined("/etc")?;
    equal((stat("services"), stat("../motd")), (Ok(()), Ok(())))
}

fn open_stays() -> Result<(), String> {
    let file = File::open("/etc/motd").map_err(text)?;
    confined("/www")?;
    equal(file.read_at(&mut [0; 1], 0), Ok(1))
}

fn handle() -> Result<(), String> {
    let etc = File::open_at(CWD, "/etc", OpenFlags::READ | OpenFlags::DIRECTORY).map_err(text)?;
    confined("/www")?;
    let at = |path: &str| sys::stat(etc.handle(), path.as_bytes(), OpenFlags::empty()).map(drop);
    // What it was given it has; the way up from there leads nowhere, and `/` is its own root.
    equal((at("motd"), at("swos/services")), (Ok(()), Ok(())))?;
    for path in ["..", "../etc/motd", "../bin/init", "swos/..", "/motd", "/etc/motd"] {
        equal((path, at(path)), (path, Err(Errno::NOENT)))?;
    }
    equal(at("/index.html"), Ok(()))?;
    equal(sys::chdir(etc.handle(), b"."), Err(Errno::NOENT))?;
    equal(sys::confine(etc.handle(), b"."), Err(Errno::NOENT))?;
    let mut widened = with_program(&etc);
    equal(widened.root(etc.handle()).spawn().map(drop), Err(Errno::NOENT))
}

fn given() -> Result<(), String> {
    let www = File::open_at(CWD, "/www", OpenFlags::READ | OpenFlags::DIRECTORY).map_err(text)?;
    let mut command = crate::child(AREA.name, "look");
    equal(command.root(www.handle()).status().map_err(text)?.code(), Some(0))
}

fn no_directory() -> Result<(), String> {
    equal(sys::confine(CWD, b"/etc/motd"), Err(Errno::NOTDIR))?;
    let file = File::open("/etc/motd").map_err(text)?;
    let mut command = crate::child(AREA.name, "look");
    equal(command.root(file.handle()).spawn().map(drop), Err(Errno::NOTDIR))?;
    let blind = sys::handle_duplicate(file.handle(), Rights::GETATTR, 0).map_err(text)?;
    equal(command.root(blind).spawn().map(drop), Err(Errno::ACCES))?;
    sys::close(blind).map_err(text)
}

fn nothing() -> Result<(), String> {
    equal(sys::confine(CWD, b"/nothing"), Err(Errno::NOENT))?;
    equal(sys::confine(CWD, b""), Err(Errno::NOENT))?;
    let mut command = crate::child(AREA.name, "look");
    equal(command.root(Handle(99 << 24)).spawn().map(drop), Err(Errno::BADF))
}

fn unconfined() -> Result<(), String> {
    let motd = swos_ulib::fs::read("/etc/motd");
    equal(motd.map(|bytes| bytes.is_empty()).map_err(|_: io::Error| ()), Ok(false))
}
