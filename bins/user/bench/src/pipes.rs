//! Benchmarks of pipes between two processes.

use alloc::{format, vec};
use core::hint::black_box;

use swos_ulib::{
    abi::{Errno, Handle, Rights},
    io::{Read as _, Write as _},
    pipe::pipe,
    process::{Child, Command},
    sys,
};

use crate::{SELF, report, time, times};

/// Where the other process finds its ends.
const INPUT: Handle = Handle::STDIN;
const OUTPUT: Handle = Handle::STDOUT;
/// Bytes of one write in [`flood`], and how many there are.
const CHUNK: usize = 65_536;
const CHUNKS: u64 = 512;

/// A byte to another process and back.
pub(crate) fn ping_pong() -> Result<(), Errno> {
    let ((to_us, from_them), (to_them, from_us)) = (pipe()?, pipe()?);
    let other = other("echo", &[(INPUT, to_them.handle()), (OUTPUT, from_them.handle())])?;
    drop((to_them, from_them));
    let mut byte = [0];
    let mut round = || {
        let _ = sys::write(from_us.handle(), &byte);
        let _ = black_box(sys::read(to_us.handle(), &mut byte));
    };
    (0..50).for_each(|_| round());
    time("pipe_pingpong", 10_000, |_| round());
    drop(from_us);
    other.wait().map(drop)
}

/// Answers each byte, until there are no more.
pub(crate) fn echo() -> i32 {
    let mut byte = [0];
    while sys::read(INPUT, &mut byte) == Ok(1) {
        let _ = sys::write(OUTPUT, &byte);
    }
    0
}

/// Much, from another process.
pub(crate) fn bandwidth() -> Result<(), Errno> {
    let (mut reader, writer) = pipe()?;
    let other = other("flood", &[(OUTPUT, writer.handle())])?;
    drop(writer);
    let (mut buffer, mut got) = (vec![0; CHUNK], 0);
    let start = sys::counter();
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        got += count as u64;
    }
    report("pipe_bw_KiB", got >> 10, start, sys::counter());
    other.wait().map(drop)
}

/// Writes as fast as the other side reads.
pub(crate) fn flood() -> i32 {
    let buffer = vec![0; CHUNK];
    let mut writer = swos_ulib::pipe::PipeWriter::from_handle(OUTPUT);
    i32::from((0..CHUNKS * times()).any(|_| writer.write_all(&buffer).is_err()))
}

/// Starts this program again, to do `deed` with these handles (its number, ours).
fn other(deed: &str, handles: &[(Handle, Handle)]) -> Result<Child, Errno> {
    let mut command = Command::new(SELF);
    command.args([deed, &format!("times={}", times())]);
    for &(its, ours) in handles {
        command.handle(u32::try_from(its.0).map_err(|_| Errno::INVAL)?, ours, Rights::all());
    }
    command.spawn()
}
