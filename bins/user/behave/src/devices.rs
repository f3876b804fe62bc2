//! Devices, and pipes with a name.

use alloc::{string::String, vec};

use swos_ulib::{
    abi::{Errno, Handle, Node, OpenFlags, POLL_IN, POLL_OUT, PollItem},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    sys,
    testing::{equal, text},
    thread,
};

use crate::{Area, UNKNOWN, files::place};

pub(crate) const AREA: Area = Area {
    name: "devices",
    checks: &[
        ("the devices are listed and are devices", listed),
        ("null takes all and gives nothing", null),
        ("zero gives zeros", zero),
        ("full is full", full),
        ("random differs each time", random),
        ("the console is a device", console),
        ("a device has no position and no size to set", no_position),
        ("a device is always ready", ready),
        ("a device is made and removed by nobody", fixed),
        ("a pipe with a name joins two who open it", fifo),
        ("who opens a named pipe first waits for the other", fifo_waits),
        ("who does not wait is told", fifo_nonblock),
        ("a named pipe ends when its last writer goes", fifo_end),
        ("a named pipe can be opened again", fifo_again),
        ("a named pipe without a name goes on", fifo_unlinked),
        ("a named pipe is opened one way", fifo_one_way),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    match deed {
        "greet" => i32::from(fs::write("/tmp/fifo-waits/pipe", "greetings").is_err()),
        _ => UNKNOWN,
    }
}

fn both(path: &str) -> Result<File, String> {
    OpenOptions::new().read(true).write(true).open(path).map_err(text)
}

fn listed() -> Result<(), String> {
    let mut names = vec![];
    for entry in fs::read_dir("/dev").map_err(text)? {
        let entry = entry.map_err(text)?;
        equal(entry.kind, Node::CHARACTER)?;
        let path = ["/dev/", &String::from_utf8_lossy(&entry.name)].concat();
        equal(Node::of_mode(fs::metadata(&path).map_err(text)?.mode), Node::CHARACTER)?;
        let opened = File::open(&path).map_err(text)?.metadata().map_err(text)?;
        equal((Node::of_mode(opened.mode), opened.inode), (Node::CHARACTER, entry.inode))?;
        names.push(path);
    }
    let wanted = ["null", "zero", "full", "random", "urandom", "console", "tty"];
    equal(names, wanted.iter().map(|name| ["/dev/", name].concat()).collect())
}

fn null() -> Result<(), String> {
    let mut null = both("/dev/null")?;
    equal(null.write(&[1; 5000]), Ok(5000))?;
    equal(null.read(&mut [0; 16]), Ok(0))?;
    // What a shell does with output that nobody wants.
    fs::write("/dev/null", "gone").map_err(text)?;
    equal(fs::metadata("/dev/null").map_err(text)?.size, 0)
}

fn zero() -> Result<(), String> {
    let mut zero = both("/dev/zero")?;
    let mut bytes = vec![1; 100_000];
    equal(zero.read(&mut bytes), Ok(100_000))?;
    equal(bytes.iter().all(|&byte| byte == 0), true)?;
    equal(zero.write(b"xyz"), Ok(3))
}

fn full() -> Result<(), String> {
    let mut full = both("/dev/full")?;
    equal(full.write(b"x"), Err(io::Error::Os(Errno::NOSPC)))?;
    equal(full.write(b""), Ok(0))?;
    let mut bytes = [1; 10];
    equal((full.read(&mut bytes), bytes), (Ok(10), [0; 10]))
}

fn random() -> Result<(), String> {
    for path in ["/dev/random", "/dev/urandom"] {
        let mut random = File::open(path).map_err(text)?;
        let (mut one, mut two) = (vec![0; 2000], vec![0; 2000]);
        equal(random.read(&mut one), Ok(2000))?;
        equal(random.read(&mut two), Ok(2000))?;
        equal(one == two, false)?;
        let ones: u32 = one.iter().map(|byte| byte.count_ones()).sum();
        equal((7_000..9_000).contains(&ones), true)?;
    }
    Ok(())
}

fn console() -> Result<(), String> {
    for path in ["/dev/console", "/dev/tty"] {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OpenFlags::NONBLOCK);
        let mut console = options.open(path).map_err(text)?;
        console.write_all(b"").map_err(text)?;
        equal(console.read(&mut [0; 16]), Err(io::Error::Os(Errno::AGAIN)))?;
    }
    Ok(())
}

fn no_position() -> Result<(), String> {
    let zero = both("/dev/zero")?;
    equal(sys::seek(zero.handle(), 0, 0), Err(Errno::SPIPE))?;
    equal(zero.read_at(&mut [0; 4], 0), Err(Errno::SPIPE))?;
    equal(zero.write_at(b"x", 0), Err(Errno::SPIPE))?;
    equal(zero.set_len(0), Err(Errno::INVAL))?;
    equal(zero.sync_all(), Err(Errno::INVAL))
}

fn ready() -> Result<(), String> {
    let null = both("/dev/null")?;
    let mut items = [PollItem { handle: null.handle(), events: POLL_IN | POLL_OUT, ready: 0, reserved: 0 }];
    equal(sys::poll(&mut items, 0), Ok(1))?;
    equal(items.first().map(|item| item.ready), Some(POLL_IN | POLL_OUT))
}

fn fixed() -> Result<(), String> {
    equal(fs::remove_file("/dev/null"), Err(Errno::ROFS))?;
    equal(File::create_new("/dev/new").err(), Some(Errno::ROFS))?;
    equal(fs::set_permissions("/dev/null", 0o600), Err(Errno::ROFS))?;
    equal(sys::open(Handle::CWD, b"/dev/null", OpenFlags::EXECUTE, 0).err(), Some(Errno::ACCES))?;
    let directory = OpenFlags::READ | OpenFlags::DIRECTORY;
    equal(sys::open(Handle::CWD, b"/dev/null", directory, 0).err(), Some(Errno::NOTDIR))
}

fn pipe(name: &str) -> Result<String, String> {
    let path = [&place(name)?, "/pipe"].concat();
    fs::mkfifo(&path, 0o600).map_err(text)?;
    Ok(path)
}

fn end(path: &str, way: OpenFlags) -> Result<File, Errno> {
    OpenOptions::new().custom_flags(way | OpenFlags::NONBLOCK).open(path)
}

fn fifo() -> Result<(), String> {
    let path = pipe("fifo")?;
    equal(Node::of_mode(fs::metadata(&path).map_err(text)?.mode), Node::FIFO)?;
    let mut reader = end(&path, OpenFlags::READ).map_err(text)?;
    let mut writer = end(&path, OpenFlags::WRITE).map_err(text)?;
    writer.write_all(b"through").map_err(text)?;
    let mut bytes = [0; 16];
    equal((reader.read(&mut bytes), bytes.get(..7)), (Ok(7), Some(b"through".as_slice())))
}

fn fifo_waits() -> Result<(), String> {
    let path = pipe("fifo-waits")?;
    // A thread of this process, and another process: each waits for this one, or this one for it.
    for round in 0..4 {
        let text_of = |path: &str| fs::read(path).map_err(text);
        if round % 2 == 0 {
            let mut command = crate::child(AREA.name, "greet");
            command.capabilities(
                swos_ulib::abi::Capabilities::FS_READ | swos_ulib::abi::Capabilities::TMP_WRITE,
            );
            let running = command.spawn().map_err(text)?;
            equal(text_of(&path)?.as_slice(), b"greetings")?;
            equal(running.wait().map_err(text)?.code(), Some(0))?;
        } else {
            let path = path.clone();
            let writer = path.clone();
            let other = thread::spawn(move || fs::write(&writer, "hello").is_ok()).map_err(text)?;
            equal(text_of(&path)?.as_slice(), b"hello")?;
            equal(other.join(), true)?;
        }
    }
    Ok(())
}

fn fifo_nonblock() -> Result<(), String> {
    let path = pipe("fifo-nonblock")?;
    equal(end(&path, OpenFlags::WRITE).err(), Some(Errno::NXIO))?;
    let mut reader = end(&path, OpenFlags::READ).map_err(text)?;
    equal(reader.read(&mut [0; 4]), Err(io::Error::Os(Errno::AGAIN)))?;
    end(&path, OpenFlags::WRITE).map(drop).map_err(text)
}

fn fifo_end() -> Result<(), String> {
    let path = pipe("fifo-end")?;
    let mut reader = end(&path, OpenFlags::READ).map_err(text)?;
    let mut one = end(&path, OpenFlags::WRITE).map_err(text)?;
    let two = end(&path, OpenFlags::WRITE).map_err(text)?;
    one.write_all(b"x").map_err(text)?;
    drop(one);
    let mut bytes = [0; 4];
    equal(reader.read(&mut bytes), Ok(1))?;
    equal(reader.read(&mut bytes), Err(io::Error::Os(Errno::AGAIN)))?;
    drop(two);
    equal(reader.read(&mut bytes), Ok(0))
}

fn fifo_again() -> Result<(), String> {
    let path = pipe("fifo-again")?;
    let mut reader = end(&path, OpenFlags::READ).map_err(text)?;
    for round in 0..3 {
        let mut writer = end(&path, OpenFlags::WRITE).map_err(text)?;
        writer.write_all(&[round; 3]).map_err(text)?;
        let mut bytes = [9; 8];
        equal((reader.read(&mut bytes), bytes.first()), (Ok(3), Some(&round)))?;
        drop(writer);
        equal(reader.read(&mut bytes), Ok(0))?;
    }
    // Without its last reader, what was written is gone, and the writer told.
    let mut writer = end(&path, OpenFlags::WRITE).map_err(text)?;
    writer.write_all(b"lost").map_err(text)?;
    drop(reader);
    equal(writer.write(b"x"), Err(io::Error::Os(Errno::PIPE)))?;
    let mut reader = end(&path, OpenFlags::READ).map_err(text)?;
    writer.write_all(b"found").map_err(text)?;
    equal(reader.read(&mut [0; 16]), Ok(5))
}

fn fifo_unlinked() -> Result<(), String> {
    let path = pipe("fifo-unlinked")?;
    let mut reader = end(&path, OpenFlags::READ).map_err(text)?;
    let mut writer = end(&path, OpenFlags::WRITE).map_err(text)?;
    fs::remove_file(&path).map_err(text)?;
    writer.write_all(b"on").map_err(text)?;
    equal(reader.read(&mut [0; 4]), Ok(2))?;
    // The next with this name is another pipe.
    fs::mkfifo(&path, 0o600).map_err(text)?;
    equal(end(&path, OpenFlags::WRITE).err(), Some(Errno::NXIO))
}

fn fifo_one_way() -> Result<(), String> {
    let path = pipe("fifo-one-way")?;
    equal(end(&path, OpenFlags::READ | OpenFlags::WRITE).err(), Some(Errno::INVAL))?;
    equal(OpenOptions::new().write(true).create_new(true).open(&path).err(), Some(Errno::EXIST))?;
    let reader = end(&path, OpenFlags::READ).map_err(text)?;
    equal(reader.set_len(0), Err(Errno::ACCES))?;
    equal(sys::seek(reader.handle(), 0, 0), Err(Errno::SPIPE))
}
