//! Files, handles, paths, the log, pipes, readiness.

use alloc::{string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Errno, Handle, LOG_INFO, OpenFlags, POLL_IN, POLL_OUT, PollItem, Rights},
    fs::File,
    io::Write as _,
    pipe::pipe,
    ready::{ReadyEvent, ReadySet},
    sys,
    testing::text,
    time::Duration,
};

use crate::{Case, child_ends};

pub(crate) const CASES: &[Case] = &[
    ("read-file", read_file),
    ("random", random),
    ("log-read", log_read),
    ("log-long-after-short", log_write),
    ("long-path", long_path),
    ("read-directory", read_directory),
    ("pipe", through_pipe),
    ("poll-1024", poll),
    ("ready-set-of-many", ready),
    ("watched-by-many-sets", watched),
    ("handle-65532", || many_handles().and_then(close_all)),
    ("end-with-all-handles", || child_ends("handles")),
];

fn read_file() -> Result<(), String> {
    let file = File::open("/bin/stretch").map_err(text)?;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..4 {
        file.read_at(&mut buffer, 0).map_err(text)?;
    }
    Ok(())
}

fn random() -> Result<(), String> {
    let mut buffer = vec![0; 1 << 16];
    sys::random(&mut buffer).map(drop).map_err(text)
}

fn log_read() -> Result<(), String> {
    let (mut cursor, mut buffer) = (0, vec![0; 1 << 16]);
    while sys::log_read(&mut cursor, &mut buffer).map_err(text)? > 0 {}
    Ok(())
}

/// Many short records make room for a long one.
fn log_write() -> Result<(), String> {
    for _ in 0..10_000 {
        sys::log_write(LOG_INFO, b"").map_err(text)?;
    }
    sys::log_write(LOG_INFO, &[b'x'; 512]).map(drop).map_err(text)
}

fn long_path() -> Result<(), String> {
    for part in [b"bin/../".as_slice(), b"./", b"//"] {
        let mut path = b"/".to_vec();
        while path.len() + part.len() < swos_ulib::abi::PATH_MAX - 12 {
            path.extend_from_slice(part);
        }
        path.extend_from_slice(b"bin/stretch");
        // Whether it is too long does not matter here, but for how long that is thought about.
        let _answer = sys::stat(Handle::CWD, &path, OpenFlags::empty());
    }
    Ok(())
}

fn read_directory() -> Result<(), String> {
    let handle = sys::open(Handle::CWD, b"/bin", OpenFlags::READ | OpenFlags::DIRECTORY, 0).map_err(text)?;
    let mut buffer = vec![0; 1 << 16];
    while sys::readdir(handle, &mut buffer).map_err(text)? > 0 {}
    sys::close(handle).map_err(text)
}

fn through_pipe() -> Result<(), String> {
    let (reader, mut writer) = pipe().map_err(text)?;
    writer.write_all(&vec![1; 1 << 16]).map_err(text)?;
    let mut buffer = vec![0; 1 << 16];
    sys::read(reader.handle(), &mut buffer).map(drop).map_err(text)
}

fn poll() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let item = PollItem { handle: reader.handle(), events: POLL_IN, ready: 0, reserved: 0 };
    let mut items = vec![item; 1024];
    for timeout in [0, 1_000] {
        sys::poll(&mut items, timeout).map_err(text)?;
    }
    Ok(())
}

fn ready() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let mut pipes = Vec::new();
    for token in 0..2048 {
        let (reader, writer) = pipe().map_err(text)?;
        set.add(reader.handle(), u32::from(POLL_IN), token).map_err(text)?;
        set.add(writer.handle(), u32::from(POLL_OUT), token).map_err(text)?;
        pipes.push((reader, writer));
    }
    let mut events = [ReadyEvent::default(); 64];
    // Once all ready, then all written full: what was ready is so no more when it is collected.
    for (_, writer) in &mut pipes {
        writer.write_all(&[1]).map_err(text)?;
    }
    set.wait(&mut events, Some(Duration::ZERO)).map_err(text)?;
    let mut byte = [0];
    for (reader, _) in &pipes {
        sys::read(reader.handle(), &mut byte).map_err(text)?;
    }
    set.wait(&mut events, Some(Duration::ZERO)).map_err(text)?;
    drop(set);
    drop(pipes);
    Ok(())
}

/// As many sets as may watch one pipe hear of a byte.
fn watched() -> Result<(), String> {
    let (reader, mut writer) = pipe().map_err(text)?;
    let mut sets = Vec::new();
    for _ in 0..2048 {
        let set = ReadySet::new().map_err(text)?;
        match set.add(reader.handle(), u32::from(POLL_IN), 1) {
            Ok(()) => sets.push(set),
            Err(_) if !sets.is_empty() => break,
            Err(errno) => return Err(text(errno)),
        }
    }
    writer.write_all(&[1]).map_err(text)?;
    drop((reader, writer));
    Ok(())
}

pub(crate) fn many_handles() -> Result<Vec<Handle>, String> {
    let mut handles = Vec::new();
    loop {
        match sys::handle_duplicate(Handle::STDERR, Rights::all(), 0) {
            Ok(handle) => handles.push(handle),
            Err(Errno::MFILE | Errno::NOMEM) => return Ok(handles),
            Err(errno) => return Err(text(errno)),
        }
    }
}

fn close_all(handles: Vec<Handle>) -> Result<(), String> {
    handles.into_iter().try_for_each(|handle| sys::close(handle).map_err(text))
}
