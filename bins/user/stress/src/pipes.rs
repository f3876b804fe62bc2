//! Pipes: within a process, and through a child that sends back what it gets.

use alloc::{string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Errno, Handle, Rights},
    io::{self, Read as _, Write as _},
    pipe::{PipeReader, PipeWriter, pipe},
    process::Command,
    testing::{equal, text},
    thread,
};

use crate::child;

/// More than a pipe holds: the writer has to wait for the reader on the way.
const MUCH: usize = 200_000;

/// Bytes that differ from those around them.
fn pattern(length: usize) -> Vec<u8> {
    (0_u32..).map(|at| (at.wrapping_mul(0x9E37_79B1) >> 24) as u8).take(length).collect()
}

/// A message, the end, and a writer whom nobody reads.
pub(crate) fn there_and_back() -> Result<(), String> {
    let (mut reader, mut writer) = pipe().map_err(text)?;
    let mut buffer = [0; 64];
    writer.write_all(b"there and back").map_err(text)?;
    let count = reader.read(&mut buffer).map_err(text)?;
    equal(buffer.get(..count), Some(b"there and back".as_slice()))?;
    writer.write_all(b"!").map_err(text)?;
    drop(writer);
    equal(reader.read(&mut buffer), Ok(1))?;
    equal(reader.read(&mut buffer), Ok(0))?;
    drop(reader);
    let (reader, mut writer) = pipe().map_err(text)?;
    drop(reader);
    equal(writer.write(b"x"), Err(io::Error::Os(Errno::PIPE)))
}

/// Sends much through a child and compares what comes back, byte by byte.
pub(crate) fn through_a_child() -> Result<(), String> {
    let (input, mut to_child) = pipe().map_err(text)?;
    let (mut from_child, output) = pipe().map_err(text)?;
    let mut echo: Command = child("echo");
    echo.handle(0, input.handle(), Rights::READ).handle(1, output.handle(), Rights::WRITE);
    let running = echo.spawn().map_err(text)?;
    // The child's copies are the only ones now, so that either side sees when the other is done.
    drop((input, output));
    let sender = thread::spawn(move || to_child.write_all(&pattern(MUCH))).map_err(text)?;
    let mut back = Vec::new();
    from_child.read_to_end(&mut back).map_err(text)?;
    sender.join().map_err(text)?;
    equal(running.wait().map_err(text)?.code(), Some(0))?;
    equal(back.len(), MUCH)?;
    equal(back == pattern(MUCH), true)
}

/// Sends standard input to standard output.
pub(crate) fn echo() -> i32 {
    let (mut input, mut output) =
        (PipeReader::from_handle(Handle::STDIN), PipeWriter::from_handle(Handle::STDOUT));
    let mut buffer = vec![0; 10_000];
    loop {
        let sent = match input.read(&mut buffer) {
            Ok(0) => return 0,
            Ok(count) => output.write_all(buffer.get(..count).unwrap_or(&[])),
            Err(error) => Err(error),
        };
        if sent.is_err() {
            return 1;
        }
    }
}
