//! Files: how they are opened, and by whom.

use alloc::{string::String, vec};

use swos_ulib::{
    abi::{Errno, FileTimes, Handle, Node, OpenFlags, TIME_NOW, TIME_OMIT},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    sys,
    testing::{equal, text},
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "files",
    checks: &[
        ("what is written is read", written),
        ("a file without create is not made", no_create),
        ("create opens what is there", create),
        ("create new refuses what is there, and a link", create_new),
        ("truncate empties", truncate),
        ("a link is not followed when that is asked", no_follow),
        ("directory refuses a file", directory),
        ("what can't be meant is refused", refused_flags),
        ("the image takes no byte", read_only),
        ("a handle allows what it was opened for", rights),
        ("mode bits of the owner decide", modes),
        ("only the owner's handle or name changes a mode", set_mode),
        ("a file is not given away without the right", give_away),
        ("times are kept as they are set", times),
        ("a write changes the time", write_time),
        ("a file is no program", no_program),
        ("a copy has bytes and mode", copy),
    ],
    child: |_| UNKNOWN,
};

/// A place of its own for a check.
pub(crate) fn place(name: &str) -> Result<String, String> {
    let path = ["/tmp/", name].concat();
    match fs::remove_dir_all(&path) {
        Ok(()) | Err(Errno::NOENT) => fs::create_dir(&path).map_err(text)?,
        Err(errno) => return Err(text(errno)),
    }
    Ok(path)
}

/// A file in a place of its own.
pub(crate) fn file(name: &str) -> Result<String, String> {
    Ok([&place(name)?, "/file"].concat())
}

fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    match result {
        Err(io::Error::Os(errno)) => Some(errno),
        _ => None,
    }
}

pub(crate) fn both(path: &str) -> Result<File, String> {
    OpenOptions::new().read(true).write(true).create(true).open(path).map_err(text)
}

fn written() -> Result<(), String> {
    let path = file("written")?;
    fs::write(&path, "over and out").map_err(text)?;
    equal(fs::read(&path).map_err(text)?.as_slice(), b"over and out")?;
    let stat = fs::metadata(&path).map_err(text)?;
    equal((stat.size, stat.links, stat.mode), (12, 1, Node::REGULAR.0 | 0o644))
}

fn no_create() -> Result<(), String> {
    let path = file("no-create")?;
    equal(OpenOptions::new().write(true).open(&path).err(), Some(Errno::NOENT))?;
    equal(fs::exists(&path), Ok(false))
}

fn create() -> Result<(), String> {
    let path = file("create")?;
    fs::write(&path, "kept").map_err(text)?;
    let _same = OpenOptions::new().write(true).create(true).open(&path).map_err(text)?;
    equal(fs::read(&path).map_err(text)?.as_slice(), b"kept")?;
    let through = [&path, ".link"].concat();
    fs::symlink("made", &through).map_err(text)?;
    fs::write(&through, "behind a link").map_err(text)?;
    equal(fs::exists("/tmp/create/made"), Ok(true))?;
    equal(File::create("/tmp/create/none/x").err(), Some(Errno::NOENT))?;
    equal(File::create([&path, "/x"].concat()).err(), Some(Errno::NOTDIR))?;
    equal(File::create("/tmp/create/new/").err(), Some(Errno::ISDIR))?;
    equal(File::create("/tmp").err(), Some(Errno::ISDIR))
}

fn create_new() -> Result<(), String> {
    let path = file("create-new")?;
    let _first = File::create_new(&path).map_err(text)?;
    equal(File::create_new(&path).err(), Some(Errno::EXIST))?;
    let link = [&path, ".link"].concat();
    fs::symlink("nowhere", &link).map_err(text)?;
    equal(File::create_new(&link).err(), Some(Errno::EXIST))?;
    equal(fs::exists("/tmp/create-new/nowhere"), Ok(false))
}

fn truncate() -> Result<(), String> {
    let path = file("truncate")?;
    fs::write(&path, vec![7; 10_000]).map_err(text)?;
    let _emptied = OpenOptions::new().write(true).truncate(true).open(&path).map_err(text)?;
    let stat = fs::metadata(&path).map_err(text)?;
    equal((stat.size, stat.allocated), (0, 0))
}

fn no_follow() -> Result<(), String> {
    let path = file("no-follow")?;
    fs::write(&path, "x").map_err(text)?;
    fs::symlink("file", "/tmp/no-follow/link").map_err(text)?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OpenFlags::NO_FOLLOW);
    equal(options.open("/tmp/no-follow/link").err(), Some(Errno::LOOP))?;
    options.open(&path).map(drop).map_err(text)
}

fn directory() -> Result<(), String> {
    let path = file("directory")?;
    fs::write(&path, "x").map_err(text)?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OpenFlags::DIRECTORY);
    equal(options.open(&path).err(), Some(Errno::NOTDIR))?;
    options.open("/tmp/directory").map(drop).map_err(text)
}

fn refused_flags() -> Result<(), String> {
    let path = file("refused-flags")?;
    let open = |flags: OpenFlags, mode| sys::open(Handle::CWD, path.as_bytes(), flags, mode).err();
    equal(open(OpenFlags::CREATE, 0o644), Some(Errno::INVAL))?;
    equal(open(OpenFlags::from_bits_retain(1 << 31 | 1), 0), Some(Errno::INVAL))?;
    equal(open(OpenFlags::WRITE | OpenFlags::CREATE, 0o1777), Some(Errno::INVAL))?;
    for bad in [OpenFlags::DIRECTORY, OpenFlags::EXECUTE] {
        equal(open(OpenFlags::READ | OpenFlags::CREATE | bad, 0o644), Some(Errno::INVAL))?;
    }
    equal(fs::exists(&path), Ok(false))
}

fn read_only() -> Result<(), String> {
    equal(OpenOptions::new().write(true).open("/etc/motd").err(), Some(Errno::ROFS))?;
    equal(File::create("/etc/new").err(), Some(Errno::ROFS))?;
    equal(OpenOptions::new().read(true).write(true).truncate(true).open("/etc/motd").err(), Some(Errno::ROFS))
}

fn rights() -> Result<(), String> {
    let path = file("rights")?;
    fs::write(&path, "x").map_err(text)?;
    let mut reader = File::open(&path).map_err(text)?;
    equal(errno(reader.write(b"y")), Some(Errno::ACCES))?;
    equal(reader.set_len(0), Err(Errno::ACCES))?;
    equal(reader.set_permissions(0o600), Err(Errno::ACCES))?;
    let mut writer = OpenOptions::new().write(true).open(&path).map_err(text)?;
    equal(errno(writer.read(&mut [0; 4])), Some(Errno::ACCES))
}

fn modes() -> Result<(), String> {
    let path = file("modes")?;
    let mut writer = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path).map_err(text)?;
    // Whoever made it may write it; whoever comes then may not.
    writer.write_all(b"x").map_err(text)?;
    equal(OpenOptions::new().write(true).open(&path).err(), Some(Errno::ACCES))?;
    fs::set_permissions(&path, 0o200).map_err(text)?;
    equal(File::open(&path).err(), Some(Errno::ACCES))?;
    fs::set_permissions("/tmp/modes", 0o600).map_err(text)?;
    equal(fs::metadata(&path).err(), Some(Errno::ACCES))?;
    equal(swos_ulib::env::set_current_dir("/tmp/modes").err(), Some(Errno::ACCES))?;
    fs::set_permissions("/tmp/modes", 0o500).map_err(text)?;
    equal(fs::remove_file(&path), Err(Errno::ACCES))?;
    equal(File::create("/tmp/modes/new").err(), Some(Errno::ACCES))?;
    fs::set_permissions("/tmp/modes", 0o700).map_err(text)
}

fn set_mode() -> Result<(), String> {
    let path = file("set-mode")?;
    let writer = both(&path)?;
    writer.set_permissions(0o640).map_err(text)?;
    equal(fs::metadata(&path).map_err(text)?.mode & 0o7777, 0o640)?;
    equal(fs::set_permissions(&path, 0o4755), Err(Errno::INVAL))?;
    equal(fs::set_permissions("/etc/motd", 0o600), Err(Errno::ROFS))?;
    equal(sys::set_mode(Handle::STDOUT, &[], OpenFlags::empty(), 0o600).is_err(), true)?;
    equal(sys::set_mode(Handle::CWD, path.as_bytes(), OpenFlags::READ, 0o600), Err(Errno::INVAL))
}

fn give_away() -> Result<(), String> {
    let path = file("give-away")?;
    fs::write(&path, "gift").map_err(text)?;
    let me = fs::metadata(&path).map_err(text)?.owner;
    fs::chown(&path, me).map_err(text)?;
    // This program runs with every capability, so it may; afterwards it is not the owner any more.
    fs::chown(&path, me + 7).map_err(text)?;
    equal(fs::metadata(&path).map_err(text)?.owner, me + 7)?;
    equal(fs::chown(&path, me), Err(Errno::ACCES))?;
    equal(fs::set_permissions(&path, 0o777), Err(Errno::ACCES))?;
    equal(OpenOptions::new().write(true).open(&path).err(), Some(Errno::ACCES))?;
    fs::read(&path).map(drop).map_err(text)
}

fn times() -> Result<(), String> {
    let path = file("times")?;
    fs::write(&path, "x").map_err(text)?;
    fs::set_times(&path, FileTimes { accessed_ns: 5, modified_ns: 6 }).map_err(text)?;
    let stat = fs::metadata(&path).map_err(text)?;
    equal((stat.accessed_ns, stat.modified_ns), (5, 6))?;
    let both = both(&path)?;
    both.set_times(FileTimes { accessed_ns: TIME_OMIT, modified_ns: TIME_NOW }).map_err(text)?;
    let later = fs::metadata(&path).map_err(text)?;
    equal((later.accessed_ns, later.modified_ns > stat.changed_ns), (5, true))
}

fn write_time() -> Result<(), String> {
    let path = file("write-time")?;
    let mut writer = both(&path)?;
    let before = writer.metadata().map_err(text)?;
    writer.write_all(b"x").map_err(text)?;
    let after = writer.metadata().map_err(text)?;
    equal(after.modified_ns > before.modified_ns, true)?;
    fs::set_permissions(&path, 0o600).map_err(text)?;
    let changed = writer.metadata().map_err(text)?;
    equal((changed.modified_ns, changed.changed_ns > after.changed_ns), (after.modified_ns, true))
}

fn no_program() -> Result<(), String> {
    let path = file("no-program")?;
    fs::copy("/bin/behave", &path).map_err(text)?;
    fs::set_permissions(&path, 0o755).map_err(text)?;
    equal(swos_ulib::process::Command::new(&path).status().err(), Some(Errno::ACCES))?;
    let open = sys::open(Handle::CWD, path.as_bytes(), OpenFlags::EXECUTE, 0);
    equal(open.err(), Some(Errno::ACCES))
}

fn copy() -> Result<(), String> {
    let path = file("copy")?;
    fs::write(&path, vec![3; 70_000]).map_err(text)?;
    fs::set_permissions(&path, 0o640).map_err(text)?;
    equal(fs::copy(&path, "/tmp/copy/to"), Ok(70_000))?;
    equal(fs::read("/tmp/copy/to").map_err(text)?.len(), 70_000)?;
    equal(fs::metadata("/tmp/copy/to").map_err(text)?.mode & 0o777, 0o640)
}
