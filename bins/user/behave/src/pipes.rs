//! Pipes.

use alloc::{string::String, vec};

use swos_ulib::{
    abi::{Errno, Handle, Rights},
    handle::Blocking,
    io::{self, Read as _, Write as _},
    pipe::{PipeWriter, pipe},
    testing::{equal, text},
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "pipes",
    checks: &[
        ("bytes arrive in order", in_order),
        ("the end is read when the last writer is gone", end),
        ("a write without a reader is refused", no_reader),
        ("an empty pipe that does not wait says so", would_wait),
        ("a full pipe takes no part of a small write", all_or_nothing),
        ("a child writes and its parent reads", through_a_child),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    match deed {
        "greet" => match PipeWriter::from_handle(Handle::STDOUT).write_all(b"greetings") {
            Ok(()) => 0,
            Err(_) => 1,
        },
        _ => UNKNOWN,
    }
}

fn in_order() -> Result<(), String> {
    let (mut reader, mut writer) = pipe().map_err(text)?;
    writer.write_all(b"one").map_err(text)?;
    writer.write_all(b"two").map_err(text)?;
    let mut buffer = [0; 16];
    let count = reader.read(&mut buffer).map_err(text)?;
    equal(buffer.get(..count), Some(b"onetwo".as_slice()))
}

fn end() -> Result<(), String> {
    let (mut reader, mut writer) = pipe().map_err(text)?;
    writer.write_all(b"!").map_err(text)?;
    drop(writer);
    let mut buffer = [0; 16];
    equal(reader.read(&mut buffer), Ok(1))?;
    equal(reader.read(&mut buffer), Ok(0))
}

fn no_reader() -> Result<(), String> {
    let (reader, mut writer) = pipe().map_err(text)?;
    drop(reader);
    equal(writer.write(b"x"), Err(io::Error::Os(Errno::PIPE)))
}

fn would_wait() -> Result<(), String> {
    let (mut reader, _writer) = pipe().map_err(text)?;
    reader.set_blocking(Blocking::Never).map_err(text)?;
    equal(reader.read(&mut [0; 16]), Err(io::Error::Os(Errno::AGAIN)))
}

fn all_or_nothing() -> Result<(), String> {
    let (mut reader, mut writer) = pipe().map_err(text)?;
    writer.set_blocking(Blocking::Never).map_err(text)?;
    let bytes = vec![7; 3000];
    let mut written = 0;
    loop {
        match writer.write(&bytes) {
            Ok(count) => {
                equal(count, bytes.len())?;
                written += count;
            }
            Err(error) => {
                equal(error, io::Error::Os(Errno::AGAIN))?;
                break;
            }
        }
    }
    drop(writer);
    let mut back = vec![];
    reader.read_to_end(&mut back).map_err(text)?;
    equal(back.len(), written)
}

fn through_a_child() -> Result<(), String> {
    let (mut reader, writer) = pipe().map_err(text)?;
    let mut command = crate::child(AREA.name, "greet");
    let running = command.handle(1, writer.handle(), Rights::WRITE).spawn().map_err(text)?;
    drop(writer);
    let mut back = vec![];
    reader.read_to_end(&mut back).map_err(text)?;
    equal(running.wait().map_err(text)?.code(), Some(0))?;
    equal(back.as_slice(), b"greetings")
}
