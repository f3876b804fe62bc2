//! Handles: copies, rights, flags.

use alloc::string::String;

use swos_ulib::{
    abi::{CLOSE_ON_EXEC, Errno, HANDLE_FLAGS, Handle, OpenFlags, Rights, SOCKET_STREAM},
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    ipc::endpoint,
    pipe::{PipeReader, PipeWriter, pipe},
    sys,
    testing::{equal, text},
};

use crate::{Area, UNKNOWN, files::file};

pub(crate) const AREA: Area = Area {
    name: "handles",
    checks: &[
        ("a copy goes to a number never used", to_new),
        ("a copy takes the place of what was there", to_open),
        ("streams are put aside and come back", streams),
        ("a copy does not go where it can't", to_nowhere),
        ("a copy has no more rights than asked for", rights),
        ("flags show how a handle is open", flags),
        ("close on exec is one handle's", on_exec),
        ("a handle can be marked to close on exec where it is made", on_exec_from_the_start),
        ("not to wait is the object's", nonblock),
        ("flags that can't be set are refused", refused),
    ],
    child: |_| UNKNOWN,
};

const NONE: OpenFlags = OpenFlags::empty();

fn to_new() -> Result<(), String> {
    let (reader, writer) = pipe().map_err(text)?;
    let target = Handle(900);
    equal(sys::handle_duplicate_to(writer.handle(), target, Rights::all(), NONE), Ok(target))?;
    drop(writer);
    PipeWriter::from_handle(target).write_all(b"x").map_err(text)?;
    let mut back = alloc::vec![];
    let mut reader = reader;
    equal(reader.read_to_end(&mut back), Ok(1))
}

fn to_open() -> Result<(), String> {
    let (mut one, first) = pipe().map_err(text)?;
    let (mut two, second) = pipe().map_err(text)?;
    sys::handle_duplicate_to(second.handle(), first.handle(), Rights::all(), NONE).map_err(text)?;
    // What was there is closed.
    equal(one.read(&mut [0; 4]), Ok(0))?;
    let mut first = first;
    first.write_all(b"to the second").map_err(text)?;
    drop((first, second));
    let mut back = alloc::vec![];
    equal(two.read_to_end(&mut back), Ok(13))
}

/// What a shell does to send one command's output elsewhere.
fn streams() -> Result<(), String> {
    let (mut reader, writer) = pipe().map_err(text)?;
    let aside = sys::handle_duplicate(Handle::STDERR, Rights::all(), 0).map_err(text)?;
    sys::handle_duplicate_to(writer.handle(), Handle::STDERR, Rights::all(), NONE).map_err(text)?;
    let written = sys::write(Handle::STDERR, b"caught");
    sys::handle_duplicate_to(aside, Handle::STDERR, Rights::all(), NONE).map_err(text)?;
    sys::close(aside).map_err(text)?;
    equal(written, Ok(6))?;
    drop(writer);
    let mut back = alloc::vec![];
    equal(reader.read_to_end(&mut back), Ok(6))
}

fn to_nowhere() -> Result<(), String> {
    let (reader, writer) = pipe().map_err(text)?;
    let to = |from: Handle, target, flags| sys::handle_duplicate_to(from, target, Rights::all(), flags);
    equal(to(reader.handle(), reader.handle(), NONE), Err(Errno::INVAL))?;
    equal(to(Handle(77_777), Handle(901), NONE), Err(Errno::BADF))?;
    equal(to(reader.handle(), Handle(1024), NONE), Err(Errno::MFILE))?;
    equal(to(reader.handle(), Handle::NONE, NONE), Err(Errno::MFILE))?;
    equal(to(reader.handle(), Handle(902), OpenFlags::APPEND), Err(Errno::INVAL))?;
    let used_up = writer.handle();
    drop(writer);
    // Its number is never used again.
    equal(to(reader.handle(), used_up, NONE).is_err(), true)
}

fn rights() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let copy = sys::handle_duplicate_to(reader.handle(), Handle(903), Rights::GETATTR, NONE).map_err(text)?;
    equal(sys::handle_rights(copy), Ok(Rights::GETATTR))?;
    equal(sys::handle_duplicate_to(copy, Handle(904), Rights::all(), NONE), Err(Errno::ACCES))?;
    equal(PipeReader::from_handle(copy).read(&mut [0; 4]).is_err(), true)
}

fn flags() -> Result<(), String> {
    let path = file("flags")?;
    let shown = |file: &File| sys::handle_flags(file.handle());
    let options =
        OpenOptions::new().append(true).create(true).close_on_exec(true).open(&path).map_err(text)?;
    equal(shown(&options), Ok(OpenFlags::WRITE | OpenFlags::APPEND | OpenFlags::CLOSE_ON_EXEC))?;
    equal(shown(&File::open(&path).map_err(text)?), Ok(OpenFlags::READ))?;
    equal(sys::handle_flags(Handle(77_777)), Err(Errno::BADF))
}

fn on_exec() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let exec = OpenFlags::CLOSE_ON_EXEC;
    sys::handle_set_flags(reader.handle(), exec, exec).map_err(text)?;
    let copy = sys::handle_duplicate(reader.handle(), Rights::all(), 0).map_err(text)?;
    let marked = sys::handle_duplicate_to(copy, Handle(905), Rights::all(), exec).map_err(text)?;
    let shown = [reader.handle(), copy, marked].map(sys::handle_flags);
    equal(shown, [Ok(OpenFlags::READ | exec), Ok(OpenFlags::READ), Ok(OpenFlags::READ | exec)])?;
    sys::handle_set_flags(marked, exec, NONE).map_err(text)?;
    equal(sys::handle_flags(marked), Ok(OpenFlags::READ))?;
    sys::close(copy).map_err(text)?;
    sys::close(marked).map_err(text)
}

fn on_exec_from_the_start() -> Result<(), String> {
    let marked = |handle: Handle| {
        let flags = sys::handle_flags(handle).map_err(text)?;
        sys::close(handle).map_err(text)?;
        equal(flags & (OpenFlags::CLOSE_ON_EXEC | OpenFlags::NONBLOCK), OpenFlags::CLOSE_ON_EXEC)
    };
    let ends = sys::pipe(CLOSE_ON_EXEC).map_err(text)?;
    let pair = sys::socket_pair(SOCKET_STREAM | CLOSE_ON_EXEC).map_err(text)?;
    marked(ends.reader)?;
    marked(ends.writer)?;
    marked(pair.first)?;
    marked(pair.second)?;
    marked(sys::event_create(0, CLOSE_ON_EXEC).map_err(text)?)?;
    marked(sys::timer_create(CLOSE_ON_EXEC).map_err(text)?)?;
    marked(sys::memory_create(1, CLOSE_ON_EXEC).map_err(text)?)?;
    marked(sys::ready_create(CLOSE_ON_EXEC).map_err(text)?)?;
    let (sender, _receiver) = endpoint().map_err(text)?;
    marked(sys::endpoint_mint(sender.handle(), 7, CLOSE_ON_EXEC).map_err(text)?)?;
    marked(sys::handle_duplicate(sender.handle(), Rights::all(), CLOSE_ON_EXEC).map_err(text)?)?;
    marked(sys::handle_lend(sender.handle(), Rights::all(), CLOSE_ON_EXEC).map_err(text)?)?;
    equal(sys::handle_lend(sender.handle(), Rights::all(), 1), Err(Errno::INVAL))
}

fn nonblock() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let copy = sys::handle_duplicate(reader.handle(), Rights::all(), 0).map_err(text)?;
    sys::handle_set_flags(copy, OpenFlags::NONBLOCK, OpenFlags::NONBLOCK).map_err(text)?;
    equal(sys::handle_flags(reader.handle()), Ok(OpenFlags::READ | OpenFlags::NONBLOCK))?;
    equal(sys::read(reader.handle(), &mut [0; 4]), Err(Errno::AGAIN))?;
    sys::close(copy).map_err(text)
}

fn refused() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let set = |mask, flags| sys::handle_set_flags(reader.handle(), mask, flags);
    equal(set(OpenFlags::READ, OpenFlags::READ), Err(Errno::INVAL))?;
    equal(set(OpenFlags::NONBLOCK, HANDLE_FLAGS), Err(Errno::INVAL))?;
    equal(set(OpenFlags::APPEND, OpenFlags::APPEND).is_err(), true)?;
    equal(set(NONE, NONE), Ok(()))?;
    equal(sys::handle_set_flags(Handle(77_777), NONE, NONE), Err(Errno::BADF))
}
